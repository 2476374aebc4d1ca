"""Sentence and mail grammars of the pre-training corpus: frames, and the word lists that fill them.

A frame is a text with slots in braces. The lists are large, so that a name, a number or a phrase
rarely comes twice in the same company: to answer, the model has to copy it from the prompt.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
SYLLABLE_STARTS = ["b", "br", "d", "dr", "f", "g", "gl", "h", "j", "k", "l", "m", "n", "p", "pl",
                   "qu", "r", "s", "sk", "st", "t", "tr", "v", "w", "z"]  # fmt: skip
SYLLABLE_ENDS = ["a", "ar", "an", "e", "el", "er", "i", "in", "ip", "o", "ol", "om", "or", "u",
                 "un", "ey", "ou"]  # fmt: skip
NAME_ENDS = ["", "", "", "t", "ck", "th", "ley", "by", "ton", "ford", "sen", "lot", "ma", "dor"]
COMMON_STARTS = [
    "the",
    "a",
    "an",
    "it",
    "you",
    "we",
    "our",
    "your",
    "this",
    "these",
    "those",
    "there",
    "all",
    "each",
    "every",
    "some",
    "most",
    "many",
    "old",
    "new",
    "they",
    "in",
    "on",
    "at",
    "for",
    "with",
    "without",
    "when",
    "if",
    "after",
    "before",
    "no",
    "nobody",
    "people",
    "please",
    "one",
    "two",
    "three",
]
BRIEFS = {  # what an author's note asks for -> how a mail says it
    "Describe": "describes",
    "Explain": "explains",
    "Discuss": "discusses",
    "Show": "shows",
    "Introduce": "introduces",
    "Mention": "mentions",
    "Compare": "compares",
    "Summarise": "summarises",
    "Provide information about": "gives information about",
    "Give an overview of": "gives an overview of",
    "Give an example of": "gives an example of",
}
NOTE_HEADS = {  # how a note begins -> the same inside a sentence
    "Introduction to": "an introduction to",
    "Overview of": "an overview of",
    "Description of": "a description of",
    "Insights into": "insights into",
    "Explanation of": "an explanation of",
    "A look at": "a look at",
    "Examples of": "examples of",
    "Tips for": "tips for",
    "Plans for": "plans for",
    "News about": "news about",
}
GREETINGS = [
    "Hello,",
    "Dear reader,",
    "Dear readers,",
    "Good morning,",
    "Dear customer,",
    "Dear colleagues,",
    "Dear all,",
    "Dear {person},",
]
SIGN_OFFS = ["Kind regards,", "Best regards,", "With kind regards,"]
SIGNERS = ["The team", "The team", "The office", "{person}", "{company}"]
NOUN_PHRASES = [
    "{topic}",
    "{topic}",
    "{topic}",
    "{noun_point}",
    "{noun_point}",
    "the {adjective} {product}",
    "{benefit}",
    "{feature}",
    "the {brand} {product} and {feature}",
    "{problem} in the {place}",
    "how to {verb}",
    "the {product} in {town}",
    "{plural} and {plural2}",
    "the {adjective} {product} from {company}",
    "the {noun} of the {animal}",
    "{topic} for the {role}",
    "{adjective} {plural} made of {material}",
]


def slots(words: dict, rng: random.Random) -> dict:
    """A value for each slot that frames may have, drawn anew."""

    def pick(key: str) -> str:
        return rng.choice(words[key])

    def name(key: str) -> str:
        return odd_name(words, rng) if rng.random() < 0.25 else pick(key)

    return {
        "product": pick("products"),
        "brand": name("brandlike"),
        "town": name("towns"),
        "person": name("people") + (f" {name('surnames')}" if rng.random() < 0.4 else ""),
        "company": name("companies"),
        "number": _number(rng),
        "number2": str(rng.randint(2, 60)),
        "year": str(rng.randint(1820, 2025)),
        "day": rng.choice(DAYS),
        "month": rng.choice(MONTHS),
        "colour": pick("colours"),
        "material": pick("materials"),
        "place": pick("places"),
        "animal": pick("animals"),
        "food": pick("foods"),
        "unit": pick("units"),
        "unit2": pick("units"),
        "time": _clock(rng),
        "role": pick("roles"),
        "feature": pick("features"),
        "noun": pick("nouns"),
        "adjective": pick("adjectives"),
        "topic": pick("topics"),
        "noun_point": pick("noun_points"),
        "benefit": pick("benefits"),
        "problem": pick("problems"),
        "verb": pick("verbs_base"),
        "plural": pick("plural_nouns"),
        "plural2": pick("plural_nouns"),
        "street": pick("streets"),
    }


def odd_word(words: dict, rng: random.Random) -> str:
    """A word that no token is, made up ("dravelot") or rare: it is copied piece by piece or not
    at all."""
    if words["rare"] and rng.random() < 0.6:
        return rng.choice(words["rare"])
    parts = [rng.choice(SYLLABLE_STARTS) + rng.choice(SYLLABLE_ENDS) for _ in range(2)]
    return "".join(parts + [rng.choice(NAME_ENDS)])


def odd_name(words: dict, rng: random.Random) -> str:
    """An odd word with a capital, as a name has it."""
    return odd_word(words, rng).capitalize()


def _number(rng: random.Random) -> str:
    return rng.choice(
        [
            str(rng.randint(2, 99)),
            str(rng.randint(2, 12)),
            str(rng.randint(100, 999)),
            str(rng.randint(10, 95) * 10),
            f"{rng.randint(1, 99)}.{rng.randint(10, 99)}",
            f"{rng.randint(1, 9)},{rng.randint(0, 999):03d}",
            rng.choice(
                [
                    "two",
                    "three",
                    "four",
                    "five",
                    "six",
                    "seven",
                    "eight",
                    "nine",
                    "ten",
                    "twelve",
                    "twenty",
                    "thirty",
                ]
            ),
        ]
    )


def _clock(rng: random.Random) -> str:
    return rng.choice(
        [
            f"{rng.randint(6, 22)}:{rng.choice(['00', '15', '30', '45'])}",
            f"{rng.randint(1, 12)} {rng.choice(['am', 'pm'])}",
        ]
    )


def put(frame: str, values: dict) -> str:
    """The frame with its slots filled, starting with a capital."""
    return upper(re.sub(r"\{(\w+)\}", lambda m: str(values[m[1]]), frame))


def fill(frame: str, words: dict, rng: random.Random) -> str:
    """The frame with its slots filled by fresh values."""
    if "{" not in frame:
        return frame
    values = slots(words, rng)
    return re.sub(r"\{(\w+)\}", lambda m: str(values[m[1]]), frame)


def upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def with_s(word: str) -> str:
    """The word with an s, as a noun in the plural or a verb after he or she: "boxes", "carries"."""
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "z")) else "s")


def point_at(question: str, names: Sequence[str], rng: random.Random) -> str:
    """The question, now and then with a name of what the text is about at its end.

    Else only questions on the sentences that hold a name would name it, and the name alone would
    lead to the answer.
    """
    if any(name.lower() in question.lower() for name in names) or rng.random() < 0.6:
        return question
    where = rng.choice(["of", "in", "at", "at", "for", "near"])
    return f"{question.rstrip('?')} {where} {rng.choice(names)}?"


def right_article(text: str) -> str:
    """The text with "an" for "a" before a vowel."""
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


def inner(clause: str) -> str:
    """A clause as it stands inside a sentence: names keep their capital, common starts lose it."""
    first = clause.split()[0].lower()
    return clause[:1].lower() + clause[1:] if first in COMMON_STARTS else clause


def sentences(text: str) -> list[str]:
    """The sentences of a text, by their end stops."""
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+", text.replace("\n", " ")) if s.strip()]


def point(sources, rng: random.Random, first: bool = False) -> tuple[str, str, str]:
    """A bullet, a neutral sentence that says it, and a lively one; all with the same words."""
    words = sources.words
    kind = rng.choices(
        ["phrase", "note", "brief", "fact", "clause", "action", "capable", "prose"],
        [3, 1.5, 2, 5, 4, 1.5, 1.2, 2.5],
    )[0]
    if kind in ("phrase", "note"):
        noted = phrase = fill(rng.choice(NOUN_PHRASES), words, rng)
        if kind == "note":
            head = rng.choice(list(NOTE_HEADS))
            noted, phrase = f"{head} {phrase}", f"{NOTE_HEADS[head]} {phrase}"
        frames = words["intro_frames"] if first else words["detail_frames"]
        return (
            _as_noted(noted, rng),
            rng.choice(frames).replace("{x}", phrase),
            rng.choice(words["lively_phrase_frames"]).replace("{x}", phrase),
        )
    if kind == "brief":
        verb = rng.choice(list(BRIEFS))
        phrase = fill(rng.choice(NOUN_PHRASES), words, rng)
        subject = rng.choice(["This part", "This message", "The next part", "Our text"])
        lively = rng.choice(["Let me {v} {x}.", "Time to {v} {x}!", "So, let us {v} {x}."])
        return (
            f"{verb} {phrase}",
            f"{subject} {BRIEFS[verb]} {phrase}.",
            lively.replace("{v}", verb.lower()).replace("{x}", phrase),
        )
    if kind == "action":
        action = rng.choice(words["actions"])
        low = action[:1].lower() + action[1:]
        return (
            _as_noted(action, rng),
            rng.choice([f"Please {low}.", f"{action}.", f"We ask you to {low}."]),
            rng.choice([f"{action}!", f"My advice: {low}.", f"And please, {low}."]),
        )
    if kind == "capable":
        doing = rng.sample(words["verbs_ing"], rng.choice([1, 2, 3]))
        listed = ", ".join(doing[:-1]) + " and " + doing[-1] if len(doing) > 1 else doing[0]
        frame = rng.choice(["It is capable of {x}.", "It is good at {x}.", "It helps with {x}."])
        return f"Capable of {listed}", frame.replace("{x}", listed), f"It is capable of {listed}!"
    clause = _clause(kind, sources, rng)
    lively = rng.choice(words["lively_frames"])
    return (
        _as_noted(clause, rng) + ("." if rng.random() < 0.2 else ""),
        rng.choice([f"{clause}.", f"{clause}.", _carried(clause, words["fact_frames"], rng)]),
        upper(lively.replace("{s}", inner(clause) if not lively.startswith("{s}") else clause)),
    )


def _clause(kind: str, sources, rng: random.Random) -> str:
    if kind == "fact":
        frame = rng.choice(sources.facts)["s"]
        return put(frame, slots(sources.words, rng)).rstrip(".")
    if kind == "prose" and sources.prose:
        found = statements(rng.choice(sources.prose))
        if found:
            return rng.choice(found)
    return rng.choice(sources.statements)


def statements(text: str) -> list[str]:
    """The plain statements among a text's sentences: 5 to 15 words, no figures or brackets."""
    found = [s for s in sentences(text) if 4 < len(s.split()) < 16]
    return [s.rstrip(".") for s in found if re.fullmatch(r"[A-Z][\w ,'-]+\.", s)]


def _as_noted(text: str, rng: random.Random) -> str:
    """As people jot it down: with a capital, or (when its first word is a common one) without."""
    return inner(text) if rng.random() < 0.5 else upper(text)


def _carried(clause: str, frames: list[str], rng: random.Random) -> str:
    return rng.choice(frames).replace("{s}", inner(clause))


def plain_mail(sources, rng: random.Random) -> tuple[list[str], str]:
    """Points drawn from the lists, and the neutral mail that carries each of them."""
    words = sources.words
    points = [point(sources, rng, first=i == 0) for i in range(rng.choice([2, 3, 4, 4, 5, 5, 6]))]
    paragraphs, row = [], []
    for _, sentence, _ in points:
        row.append(sentence)
        if len(row) >= rng.choice([1, 2, 2, 3]):
            paragraphs, row = [*paragraphs, " ".join(row)], []
    if row:
        paragraphs.append(" ".join(row))
    if rng.random() < 0.7:
        paragraphs.append(rng.choice(words["closings"]))
    signer = fill(rng.choice(SIGNERS), words, rng)
    mail = [
        fill(rng.choice(GREETINGS), words, rng),
        *paragraphs,
        f"{rng.choice(SIGN_OFFS)}\n{signer}",
    ]
    return [bullet for bullet, _, _ in points], "\n\n".join(mail)


def lively_mail(sources, emoji: list[str], rng: random.Random) -> tuple[list[str], str, str]:
    """The same in an informal voice: (points, mail, the style it is in).

    Greeting and sign-off come from one written mail, asides from that mail or another informal
    piece, so that a voice holds from its first line to its last.
    """
    voice = rng.choice(sources.styled)
    parts = [part for part in voice["mail"].split("\n\n") if part.strip()]
    asides = [
        s
        for part in parts[1:-1]
        for s in sentences(part)
        if len(s.split()) < 14 and not any(char.isdigit() for char in s)
    ]
    points = [point(sources, rng) for _ in range(rng.choice([3, 4, 5, 5, 6]))]
    body = []
    for _, _, lively in points:
        others = sentences(rng.choice(sources.casual))
        aside = rng.choice(asides if asides and rng.random() < 0.5 else others)
        mark = f" {rng.choice(emoji)}" if rng.random() < 0.5 else ""
        roll = rng.random()
        if roll < 0.35:
            body.append(f"{lively} {aside}{mark}")
        elif roll < 0.6:
            body.append(f"{aside} {lively}{mark}")
        elif roll < 0.8 or not body:
            body.append(f"{lively}{mark}")
        else:
            body[-1] += f" {lively}{mark}"
    mail = "\n\n".join([parts[0], *body, parts[-1]])
    return [bullet for bullet, _, _ in points], mail, voice["style"]
