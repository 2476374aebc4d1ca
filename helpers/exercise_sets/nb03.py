"""Exercises of notebook 03."""

from __future__ import annotations

import json
import math

from helpers.exercises import Decision, Exercise, Wrong, returned, weigh

LINES = ['{"a": 1},', "", '{"b": "x, y,"}', "   ", '{"c": [1, 2]} , ', '{"d": ","}']
CLEAN = [{"a": 1}, {"b": "x, y,"}, {"c": [1, 2]}, {"d": ","}]


def _repair(answer: object) -> None:
    found = returned(answer, LINES)
    if isinstance(found, str):
        raise Wrong("A list of lines is asked for, not one text.")
    found = list(found)
    if any(isinstance(line, dict) for line in found):
        raise Wrong("Return the lines as strings; they are to be written to a file.")
    if any(not line.strip() for line in found):
        raise Wrong("A blank line is still there. Mind lines that hold only spaces.")
    broken = [line for line in found if not _is_json(line)]
    if broken:
        raise Wrong(f"This line is still no JSON: {broken[0]!r}")
    values = [json.loads(line) for line in found]
    if values != CLEAN and sorted(map(str, values)) == sorted(map(str, CLEAN)):
        raise Wrong("All lines are there, but in another order.")
    if len(values) != len(CLEAN):
        raise Wrong("Examples were lost: repair a line that ends in a comma, do not drop it.")
    if values != CLEAN:
        raise Wrong("You changed more than the end of a line: commas inside are part of the text.")


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _right_repair(lines):
    return [line.strip().rstrip(",").strip() for line in lines if line.strip()]


class _Letters:
    """A stand-in tokenizer for the check: every letter is a token."""

    def encode_ordinary(self, text):
        return list(text)

    def encode(self, text, **_):
        return list(text)

    def __repr__(self):
        return "enc"


MESSAGES = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": None},
    {"role": "assistant", "content": "you!", "weight": 0},
]


def _count(answer: object) -> None:
    two, three = {"messages": MESSAGES[:2]}, {"messages": MESSAGES}
    right_two = 3 + (3 + 4 + 5) + (3 + 9)
    found = returned(answer, two, _Letters())
    if found == right_two - 3:
        raise Wrong("3 tokens are missing: those that open the answer, once an example.")
    if found == right_two - 6:
        raise Wrong("The 3 tokens around each message are missing.")
    if found == 4 + 5 + 9:
        raise Wrong("You counted the texts alone; markers stand around each message.")
    if found in (8 + 4 + 5 + 9, 8 + 4 + 5 + 9 + 4):
        raise Wrong("That is the shortcut of 2 for every key and value.")
    if found == right_two - 13:
        raise Wrong("The role is read by the model too, so its tokens count.")
    if found != right_two:
        raise Wrong("The number is not right for a user message and an answer without content.")
    if returned(answer, three, _Letters()) != right_two + 3 + 9 + 4:
        raise Wrong("It fails on a third message with a weight, which must add nothing itself.")


def _right_count(example, enc):
    total = 3
    for message in example["messages"]:
        text = message.get("content") or ""
        total += 3 + len(enc.encode_ordinary(message["role"])) + len(enc.encode_ordinary(text))
    return total


def _epochs(answer: object) -> None:
    if isinstance(answer, bool) or not isinstance(answer, (int, float)):
        raise Wrong("A number is asked for.")
    if answer == 3:
        raise Wrong("Three is the rule for larger files. Do 20 examples reach 100 in three epochs?")
    if answer == 25:
        raise Wrong("25 is only the ceiling. How often does a file of 20 fit into 100 examples?")
    if answer in (2, 2.5):
        raise Wrong("That is for 40 examples, before half of them went; and it is below three.")
    if answer in (100, 20, 60):
        raise Wrong("You gave a number of examples. How many passes over the file are they?")
    if answer != 5:
        raise Wrong("The rule: divide 100 by the examples that are left, and round down.")


def _cost(answer: object) -> None:
    found = returned(answer, 200_000, 50_000, 4, 3.0)
    if math.isclose(found, 3.0):
        raise Wrong("You added the validation file, which OpenAI does not bill.")
    if math.isclose(found, 0.6):
        raise Wrong("One epoch only: each pass over the file is billed.")
    if math.isclose(found, 2400):
        raise Wrong("You divided by a thousand: the price is for a million tokens.")
    if math.isclose(found, 2_400_000):
        raise Wrong("The price is for a million tokens, not for one.")
    if not math.isclose(found, 2.4):
        raise Wrong("Not right for 200,000 tokens, 50,000 to validate, 4 epochs, 3 USD a million.")


FAULTS = {
    "late failure": "the job stops hours after the upload, when nobody is watching",
    "wrong bill": "the sum that you agreed to is not the sum that you pay",
    "no ending": "the model sees answers without their proper end",
    "wrong dose": "the model changes too little to notice, or learns its examples by heart",
}
GATE_PLAN = {
    "format": Decision(
        "own rules",
        "late failure",
        {
            "json parser": "Valid JSON says how a text is written, not what it must hold: a parser "
            "passes what no trainer takes.",
            "upload": "A host checks little at the upload and the rest when the job starts. That "
            "is on Friday night.",
        },
    ),
    "count": Decision(
        "model's tokenizer",
        "wrong bill",
        {
            "four characters": "The rule of thumb is for plain English. Code, emoji and other "
            "languages are cut more finely, and nothing tells you so.",
            "older list": "A newer model cuts text by another list; a count by the older one is "
            "that of another model.",
        },
    ),
    "too long": Decision(
        "split or drop",
        "no ending",
        {
            "send as it is": "If the host takes it at all, what does not fit is cut off at the "
            "end: the last words of the answer, and its end sign with them.",
            "cut the answer": "Now the end sign stands after half an answer, and the model learns "
            "to stop there. That is worse than what the trainer does, which leaves no end sign.",
        },
    ),
    "epochs": Decision(
        "auto",
        "wrong dose",
        {
            "the most": "25 passes are the ceiling, meant for a handful of examples. For 60 they "
            "are dear, and the model may know the file by heart.",
            "one": "60 examples, each seen once, change little: by the rule they are seen three "
            "times.",
        },
    ),
}
RIGHT_GATE_PLAN = {name: (each.fits, each.prevents) for name, each in GATE_PLAN.items()}


def _gate_plan(answer: object) -> None:
    weigh(answer, GATE_PLAN, FAULTS)


EXERCISES = [
    Exercise(
        "03.1",
        "Repair lines that are nearly JSONL.",
        _repair,
        ("`strip()` takes white space off both ends, `rstrip(\",\")` a comma off the right.",
         "Leave out lines of which nothing is left; mind spaces before and after the last comma."),
        "def ex_repair(lines):\n"
        "    return [line.strip().rstrip(',').strip() for line in lines if line.strip()]",
        "Only the ends of the lines are touched, so what the examples say stays as it was.",
        right=(_right_repair,),
        wrongs=(
            (lambda lines: [x.rstrip(",") for x in lines], "blank line"),
            (lambda lines: [x for x in lines if x.strip()], "no JSON"),
            (lambda lines: [x.replace(",", "") for x in lines if x.strip()], "no JSON"),
            (lambda lines: [x for x in lines if x.strip() and not x.strip().endswith(",")], "lost"),
            (lambda lines: "\n".join(lines), "list of lines"),
            (lambda lines: [json.loads(x) for x in _right_repair(lines)], "strings"),
            (lambda lines: _right_repair(lines)[::-1], "order"),
            (lambda lines: [x.replace(",\"", "\"") for x in _right_repair(lines)], "inside"),
            (lambda lines: None, "return"),
        ),
    ),
    Exercise(
        "03.2",
        "Count the tokens of an example by the documented formula.",
        _count,
        ("`len(enc.encode_ordinary(text))` counts a text; `message.get(\"content\") or \"\"` copes "
         "with None.",
         "Start with 3; add, for each message, 3 and the tokens of role and content."),
        "def ex_count(example, enc):\n"
        "    total = 3\n"
        "    for message in example['messages']:\n"
        "        text = message.get('content') or ''\n"
        "        total += 3 + len(enc.encode_ordinary(message['role']))\n"
        "        total += len(enc.encode_ordinary(text))\n"
        "    return total",
        "3 for each message, the tokens of role and content, and 3 once for the example.",
        right=(_right_count,),
        wrongs=(
            (lambda e, enc: _right_count(e, enc) - 3, "once an example"),
            (lambda e, enc: _right_count(e, enc) - 3 * len(e["messages"]), "around each"),
            (lambda e, enc: sum(len(v or "") for m in e["messages"] for v in m.values()), "alone"),
            (lambda e, enc: sum(2 * len(m) + len(m["role"]) + len(m["content"] or "")
                                for m in e["messages"]) + 4, "shortcut"),
            (lambda e, enc: 3 + sum(3 + len(m["content"] or "") for m in e["messages"]), "role"),
            (lambda e, enc: 3 + sum(3 + sum(len(str(v)) for k, v in m.items() if v is not None)
                                    for m in e["messages"]), "weight"),
            (lambda e, enc: sum(len(v) for m in e["messages"] for v in m.values()), "TypeError"),
            (lambda e, enc: 1, "not right"),
            (36, "def"),
        ),
    ),
    Exercise(
        "03.3",
        "Epochs that `auto` gives to 20 examples.",
        _epochs,
        ("Three epochs would show the model 3 x 20 examples. Is that 100?",
         "If it is less, `auto` divides 100 by the number of examples and rounds down."),
        "ex_epochs = 100 // 20",
        "Small files get more passes: 100 divided by the number of examples, rounded down.",
        right=(5, 5.0),
        wrongs=((3, "larger"), (25, "ceiling"), (2, "half"), (100, "passes"), (4, "divide"),
                ("five", "number")),
    ),
    Exercise(
        "03.4",
        "The price of a training job.",
        _cost,
        ("Which of the two files is billed, and how often is it read?",
         "Tokens times epochs, divided by a million, times the price."),
        "def ex_cost(n_tokens, n_valid_tokens, epochs, usd_per_million):\n"
        "    return n_tokens * epochs * usd_per_million / 1_000_000",
        "Every pass over the training file is billed; the validation file is not.",
        right=(lambda n, v, epochs, usd: n * epochs * usd / 1e6,),
        wrongs=(
            (lambda n, v, epochs, usd: (n + v) * epochs * usd / 1e6, "validation"),
            (lambda n, v, epochs, usd: n * usd / 1e6, "One epoch"),
            (lambda n, v, epochs, usd: n * epochs * usd / 1e3, "thousand"),
            (lambda n, v, epochs, usd: n * epochs * usd, "not for one"),
            (lambda n, v, epochs, usd: n + v, "Not right"),
            (2.4, "def"),
        ),
    ),
    Exercise(
        "03.5",
        "A gate before every training: four decisions, each with its reason.",
        _gate_plan,
        ("Go through the sections of this notebook: each decision has one.",
         "Each fault belongs to one decision. Which of them shows at night, which on the bill, "
         "and which two only in the finished model?"),
        "ex_gate_plan = {\n"
        '    "format": ("own rules", "late failure"),\n'
        '    "count": ("model\'s tokenizer", "wrong bill"),\n'
        '    "too long": ("split or drop", "no ending"),\n'
        '    "epochs": ("auto", "wrong dose"),\n'
        "}",
        "What is checked before the upload costs seconds; afterwards it costs a night, or a model.",
        right=(RIGHT_GATE_PLAN,
               {name: [one.fits.upper(), one.prevents] for name, one in GATE_PLAN.items()}),
        wrongs=(
            ({**RIGHT_GATE_PLAN, "format": ("json parser", "late failure")}, "must hold"),
            ({**RIGHT_GATE_PLAN, "format": ("upload", "late failure")}, "Friday night"),
            ({**RIGHT_GATE_PLAN, "count": ("four characters", "wrong bill")}, "rule of thumb"),
            ({**RIGHT_GATE_PLAN, "count": ("older list", "wrong bill")}, "another model"),
            ({**RIGHT_GATE_PLAN, "too long": ("send as it is", "no ending")}, "takes it at all"),
            ({**RIGHT_GATE_PLAN, "too long": ("cut the answer", "no ending")}, "to stop there"),
            ({**RIGHT_GATE_PLAN, "epochs": ("the most", "wrong dose")}, "ceiling"),
            ({**RIGHT_GATE_PLAN, "epochs": ("one", "wrong dose")}, "change little"),
            ({**RIGHT_GATE_PLAN, "count": ("model's tokenizer", "no ending")}, "another reason"),
            ({**RIGHT_GATE_PLAN, "count": ("model's tokenizer", "fraud")}, "none of"),
            ({**RIGHT_GATE_PLAN, "epochs": (3, "wrong dose")}, "text"),
            ({**RIGHT_GATE_PLAN, "epochs": "auto"}, "a pair"),
            ({"format": ("own rules", "late failure")}, "count, too long, epochs"),
            ("own rules", "dictionary"),
        ),
    ),
]  # fmt: skip
