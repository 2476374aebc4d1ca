"""Exercises of notebook 02."""

from __future__ import annotations

import math
import re

from helpers.exercises import Decision, Exercise, Wrong, returned, weigh

GREETING = "Grüße from Chris 🧵"
BROKEN = GREETING.encode("utf-8").decode("cp1252")


def _fixed(answer: object) -> None:
    if not isinstance(answer, str):
        raise Wrong("A text is asked for.")
    if answer == BROKEN:
        raise Wrong("It is still garbled. Which function of this section undoes mojibake?")
    if answer == BROKEN.encode("ascii", "ignore").decode():
        raise Wrong("You dropped the odd letters. Nothing was lost here: all of it can come back.")
    if "\ufffd" in answer:
        raise Wrong("A replacement sign means that a letter was given up; none needs to be.")
    if answer.strip() != GREETING:
        raise Wrong("Not yet: the umlaut, the sharp s and the emoji must all be right.")


def _invented(answer: object) -> None:
    draft, mail = ["duck", "bath", "soap"], ["duck", "sings", "in", "duck", "opera"]
    found = returned(answer, draft, mail)
    if math.isclose(found, 2 / 3):
        raise Wrong("You looked from the other side: which words of the *mail* lack in the draft?")
    if math.isclose(found, 3 / 5):
        raise Wrong("You counted a repeated word twice. Different words are asked for: use sets.")
    if math.isclose(found, 1 / 4) or math.isclose(found, 1 / 3):
        raise Wrong("That is the share the draft does hold. What is the rest?")
    if found in (3, 75, 75.0):
        raise Wrong("A share from 0 to 1 is asked for: divide by the mail's number of words.")
    if not math.isclose(found, 3 / 4):
        raise Wrong(f"For the draft {draft} and the mail {mail} the share is another one.")
    if returned(answer, ["duck"], []) != 0:
        raise Wrong("An empty mail invents nothing: return 0 there.")


def _right_invented(draft_words, mail_words):
    mail = set(mail_words)
    return len(mail - set(draft_words)) / len(mail) if mail else 0.0


def _leaks(answer: object) -> None:
    train, test = ["Hey, one\n", "Hey, two"], ["Hey, two\n\n", "Hey, three", "Hey, one"]
    found = returned(answer, train, test)
    if isinstance(found, (bool, int)):
        raise Wrong("The list of leaked answers is asked for, not how many or whether.")
    found = list(found)
    if found == []:
        raise Wrong("Two answers leak here, but a line break at their end hides them.")
    if sorted(found) == sorted(train):
        raise Wrong("Those are the answers from training; the ones from the test are asked for.")
    if [text.strip() for text in found] == ["Hey, one", "Hey, two"]:
        raise Wrong("Right answers in another order: keep that of the test. A set has no order.")
    if [text.strip() for text in found] != ["Hey, two", "Hey, one"]:
        raise Wrong("Not these: a test answer leaks if it stands in training too.")
    if list(returned(answer, ["hey, a  b"], ["Hey, a b", "hey, a b"])) != []:
        raise Wrong("Pass over white space at both ends only, not capitals or the middle.")


def _right_leaks(train_answers, test_answers):
    known = {text.strip() for text in train_answers}
    return [text for text in test_answers if text.strip() in known]


def _redact(answer: object) -> None:
    found = returned(answer, "Ann met Annabel. Ann waved.", {"Ann": "{User}"})
    if not isinstance(found, str):
        raise Wrong("The changed text is asked for.")
    if "{User}abel" in found:
        raise Wrong("Annabel lost half of her name: replace whole words only.")
    if found.count("{User}") == 1:
        raise Wrong("One Ann is still there. Replace every occurrence.")
    if found != "{User} met Annabel. {User} waved.":
        raise Wrong("Ann must go, Annabel must stay, and nothing else may change.")
    nested = returned(answer, "To Ann Lee, Hill Row 3", {"Ann": "{User}", "Ann Lee": "{Name}"})
    if "{User}" in nested:
        raise Wrong("'Ann Lee' was torn apart by 'Ann'. Begin with the longest.")
    priced = returned(answer, "It costs 3.50 (net), not 3150.", {"3.50": "{Price}"})
    if priced != "It costs {Price} (net), not 3150.":
        raise Wrong("A point in what is sought has to be a point. Have you used `re.escape`?")


def _right_redact(text, known):
    for item in sorted(known, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(item)}(?!\w)", known[item], text)
    return text


def _in_order(text, known):
    for item, sign in known.items():
        text = re.sub(rf"\b{re.escape(item)}\b", sign, text)
    return text


def _as_patterns(text, known):
    for item in sorted(known, key=len, reverse=True):
        text = re.sub(rf"\b{item}\b", known[item], text)
    return text


SOLUTION_REDACT = r"""import re

def ex_redact(text, known):
    for item in sorted(known, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(item)}(?!\w)", known[item], text)
    return text"""


FAULTS = {
    "invention": "the model makes up what it was not given",
    "disclosure": "the model tells what should have stayed private",
    "flattery": "the test makes the model look better than it is",
    "relapse": "the tuned model falls back into its old manner",
}
DATA_PLAN = {
    "draft": Decision(
        "every fact",
        "invention",
        {
            "subject only": "A date and a price that stand in no draft are still written into the "
            "answer. So each example teaches to make up a date and a price.",
            "whole letter": "Then the example teaches to copy. When the model is used there is no "
            "letter yet: what will stand in the prompt?",
        },
    ),
    "names": Decision(
        "placeholders",
        "disclosure",
        {
            "keep": "A tuned model can repeat what it was trained on, word for word: some patient "
            "may read another's name.",
            "cut out": "Where the name was there is now a hole. The model learns to write letters "
            "with holes, and nothing can be filled in.",
        },
    ),
    "split": Decision(
        "copies out first",
        "flattery",
        {
            "shuffle and cut": "Some letters are there twice. Shuffled, one copy may be learned "
            "by heart and the other stand in the test.",
            "all to training": "Then no letter is left on which the model could be tested: its "
            "marks on what it knows by heart mean nothing.",
        },
    ),
    "prompt": Decision(
        "same in both",
        "relapse",
        {
            "training only": "The model learns its manner after these words. Left out when you "
            "ask, they may take the manner with them.",
            "asking only": "The model has never seen these words before its new manner. Why should "
            "they call it up?",
        },
    ),
}
RIGHT_DATA_PLAN = {name: (each.fits, each.prevents) for name, each in DATA_PLAN.items()}


def _data_plan(answer: object) -> None:
    weigh(answer, DATA_PLAN, FAULTS)


EXERCISES = [
    Exercise(
        "02.1",
        "Repair a garbled string.",
        _fixed,
        ("`dataset.repair_text` has repaired the duck.",
         "By hand: turn the text back into the bytes it was wrongly read from, then read them as "
         "utf-8."),
        f'broken_greeting = "{BROKEN}"\n'
        'ex_fixed = broken_greeting.encode("cp1252").decode("utf-8")',
        "Mojibake is a wrong reading of right bytes: undo the reading, and read again.",
        right=(GREETING, GREETING + " "),
        wrongs=(
            (BROKEN, "still garbled"),
            (BROKEN.encode("ascii", "ignore").decode(), "dropped"),
            (BROKEN.encode("latin-1", "replace").decode("utf-8", "replace"), "given up"),
            ("Grüsse from Chris", "sharp s"),
            (7, "text"),
        ),
    ),
    Exercise(
        "02.2",
        "The share of a mail's words that its draft lacks.",
        _invented,
        ("Make a set of each list; the difference of two sets is written with a minus.",
         "Divide the size of the difference by the size of the mail's set; mind the empty mail."),
        "def ex_invented(draft_words, mail_words):\n"
        "    mail = set(mail_words)\n"
        "    return len(mail - set(draft_words)) / len(mail) if mail else 0.0",
        "What the mail has and the draft lacks is what the example asks the model to make up.",
        right=(_right_invented,),
        wrongs=(
            (lambda d, m: len(set(d) - set(m)) / len(set(d)), "other side"),
            (lambda d, m: sum(w not in d for w in m) / len(m), "twice"),
            (lambda d, m: len(set(m) & set(d)) / len(set(m)), "does hold"),
            (lambda d, m: len(set(m) - set(d)), "from 0 to 1"),
            (lambda d, m: len(set(m) - set(d)) / len(set(m)), "ZeroDivisionError"),
            (lambda d, m: len(set(m) - set(d)) / len(set(m)) if m else 1.0, "empty mail"),
            (lambda d, m: 0.5, "another one"),
            ("0.75", "def"),
        ),
    ),
    Exercise(
        "02.3",
        "Test answers that also stand in training.",
        _leaks,
        ("`strip()` takes white space off both ends of a text.",
         "Collect the stripped training answers in a set, then go through the test in order."),
        "def ex_leaks(train_answers, test_answers):\n"
        "    known = {text.strip() for text in train_answers}\n"
        "    return [text for text in test_answers if text.strip() in known]",
        "A leaked example flatters the model: it is examined on what it may know by heart.",
        right=(_right_leaks,
               lambda a, b: [t.strip() for t in b if t.strip() in [s.strip() for s in a]]),
        wrongs=(
            (lambda a, b: [t for t in b if t in a], "line break"),
            (lambda a, b: sum(t.strip() in {s.strip() for s in a} for t in b), "how many"),
            (lambda a, b: [s for s in a if s.strip() in {t.strip() for t in b}], "from training"),
            (lambda a, b: sorted({s.strip() for s in a} & {t.strip() for t in b}), "order"),
            (lambda a, b: [t for t in b if t.strip() not in {s.strip() for s in a}], "Not these"),
            (lambda a, b: [t for t in b if t.split() in [s.split() for s in a]], "the middle"),
            ([], "def"),
        ),
    ),
    Exercise(
        "02.4",
        "Replace what is known to be personal.",
        _redact,
        ("`re.sub` with `\\b` around it finds whole words; `re.escape` takes signs as they are.",
         "Sort the known items by length, the longest first, and replace one after another."),
        SOLUTION_REDACT,
        "Whole words, longest first: then no name is torn apart and no other word is harmed.",
        right=(_right_redact,),
        wrongs=(
            (lambda text, known: text.replace("Ann", "{User}"), "half of her name"),
            (lambda text, known: re.sub(r"\bAnn\b", "{User}", text, count=1), "still there"),
            (lambda text, known: "", "must stay"),
            (lambda text, known: _in_order(text, known), "longest"),
            (_as_patterns, "re.escape"),
            (lambda text, known: [text], "changed text"),
            (lambda text, known: None, "return"),
            (["{User}"], "def"),
        ),
    ),
    Exercise(
        "02.5",
        "A data set for a practice's letters: four decisions, each with its reason.",
        _data_plan,
        ("Play one example through: what will the model have in front of it when it is used?",
         "Each fault belongs to one decision. Ask of each: if I decide badly, what goes wrong "
         "first?"),
        "ex_data_plan = {\n"
        '    "draft": ("every fact", "invention"),\n'
        '    "names": ("placeholders", "disclosure"),\n'
        '    "split": ("copies out first", "flattery"),\n'
        '    "prompt": ("same in both", "relapse"),\n'
        "}",
        "A data set is a list of promises: what the prompt will hold, what may be said, and what "
        "the test is worth.",
        right=(RIGHT_DATA_PLAN,
               {name: [one.fits.upper(), one.prevents] for name, one in DATA_PLAN.items()}),
        wrongs=(
            ({**RIGHT_DATA_PLAN, "draft": ("subject only", "invention")}, "make up a date"),
            ({**RIGHT_DATA_PLAN, "draft": ("whole letter", "invention")}, "teaches to copy"),
            ({**RIGHT_DATA_PLAN, "names": ("keep", "disclosure")}, "another's name"),
            ({**RIGHT_DATA_PLAN, "names": ("cut out", "disclosure")}, "with holes"),
            ({**RIGHT_DATA_PLAN, "split": ("shuffle and cut", "flattery")}, "there twice"),
            ({**RIGHT_DATA_PLAN, "split": ("all to training", "flattery")}, "no letter is left"),
            ({**RIGHT_DATA_PLAN, "prompt": ("training only", "relapse")}, "take the manner"),
            ({**RIGHT_DATA_PLAN, "prompt": ("asking only", "relapse")}, "never seen"),
            ({**RIGHT_DATA_PLAN, "names": ("placeholders", "flattery")}, "another reason"),
            ({**RIGHT_DATA_PLAN, "names": ("placeholders", "law")}, "none of"),
            ({**RIGHT_DATA_PLAN, "names": ("initials", "disclosure")}, "none of"),
            ({**RIGHT_DATA_PLAN, "names": "placeholders"}, "a pair"),
            ({"draft": ("every fact", "invention")}, "names, split, prompt"),
            (["every fact"], "dictionary"),
        ),
    ),
]  # fmt: skip
