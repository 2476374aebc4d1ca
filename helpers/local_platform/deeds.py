"""A grammar of statements about one thing, each with the questions that it answers.

A statement says who does what to what, and where, when, how often, for how long, how or why. A
question asks for one of these parts, in the active or the passive voice, whatever the statement
has. The words are drawn at random ("Two bakers fold the ladders of the old mill by hand"), so
that only the words in common and the kind of question lead to the answer. What no statement says
is unknown: the part that was asked for is missing, or the whole statement is.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from helpers.local_platform import attributes, grammar

OFTEN = ["once a year", "twice a week", "three times a day", "every morning", "every other week",
         "at every full moon", "only once", "now and then", "four times an hour"]  # fmt: skip
SPANS = ["minutes", "hours", "days", "weeks", "months", "years"]
SIZES = [("metres", "long"), ("metres", "high"), ("metres", "wide"), ("centimetres", "deep"),
         ("years", "old"), ("kilos", "heavy"), ("centimetres", "tall"),
         ("millimetres", "thick")]  # fmt: skip
NUMBER_WORDS = ["two", "three", "four", "five", "six", "seven", "nine", "eleven", "forty"]
CROWDS = ["volunteers", "visitors", "guests", "members", "pupils", "neighbours", "tourists",
          "children", "customers", "students", "helpers", "workers", "riders", "passengers",
          "singers", "players", "parents", "owners", "keepers", "farmers"]  # fmt: skip
EXTREMES = ["newest", "oldest", "largest", "smallest", "loudest", "heaviest", "youngest", "best",
            "longest", "rarest", "first", "last", "fastest", "cheapest"]  # fmt: skip
ASKING = {  # the kind of a part -> how one asks for it
    "where": ["Where", "Where", "In which place", "At what place"],
    "day": ["When", "When", "On which day", "On what day"],
    "month": ["When", "When", "In which month", "In what month"],
    "clock": ["When", "At what time", "At what hour"],
    "often": ["How often", "How often", "How many times"],
    "long": ["How long", "How long", "For how long"],
    "how": ["How", "With what", "In what way"],
    "why": ["Why", "Why", "For what reason"],
}


@dataclass(frozen=True)
class Subject:
    """What a context is about: its full name ("the mill of Tirano") and its short one."""

    full: str
    short: str
    kind: str

    def named(self, rng: random.Random) -> str:
        """Either name, the short one more often."""
        return self.full if rng.random() < 0.4 else self.short


@dataclass(frozen=True)
class Fact:
    """A statement, the questions it answers, and questions on the same deed that it does not."""

    statement: str
    questions: tuple[str, ...]
    unanswered: tuple[str, ...] = ()


def subject(words: dict, rng: random.Random) -> Subject:
    """A place, a product or a club, with a name that can be shortened."""

    def pick(key: str) -> str:
        return rng.choice(words[key])

    kind = rng.choice(["place", "place", "product", "club"])
    name = f"{pick('nouns')} club" if kind == "club" else pick(f"{kind}s")
    full = rng.choice(
        [
            f"the {name} of {pick('towns')}",
            f"the {name} of {grammar.odd_name(words, rng)}",
            f"the {name} in {pick('streets')}",
            f"the {pick('brandlike')} {name}",
            f"the {grammar.odd_name(words, rng)} {name}",
            f"the {pick('adjectives')} {name}",
        ]
    )
    return Subject(full, f"the {name}", kind)


def facts(about: Subject, words: dict, rng: random.Random, count: int) -> list[Fact]:
    """That many statements about one thing; deeds and attributes most often."""
    makers = [_deed, _deed, _deed, _deed, _attribute, _attribute, _attribute]
    makers += [_size, _number, _material, _called, _rule, _without]
    return [rng.choice(makers)(about, words, rng) for _ in range(count)]


def mention(fact: Fact, about: Subject, rng: random.Random) -> str:
    """The statement as it comes later in a text: now and then with "it" or "its"."""
    if rng.random() < 0.5:
        return fact.statement
    either = f"(?:{re.escape(about.full)}|{re.escape(about.short)})"
    part = rf"\bthe ((?:\w+ )?\w+) of {either}(?=[ .])"
    text = re.sub(part, r"its \1", fact.statement, flags=re.I)
    return grammar.upper(re.sub(rf"^{either} (is|has)\b", r"it \1", text, flags=re.I))


def _deed(about: Subject, words: dict, rng: random.Random) -> Fact:
    """Somebody does something to something, with one or two circumstances."""
    base, done = rng.choice(words["deeds"])
    doer, many = _doer(about, words, rng)
    target, targets = _target(about, words, rng)
    parts = rng.sample(list(ASKING), rng.choice([1, 1, 1, 2]))
    said = {kind: _part(kind, words, rng) for kind in parts}
    tail = " ".join(said.values())
    passive = rng.random() < 0.5
    by = f" by {doer}" if rng.random() < 0.5 else ""
    are = "are" if targets else "is"
    if passive:
        statement = f"{target} {are} {done}{by} {tail}."
    else:
        statement = f"{doer} {base if many else grammar.with_s(base)} {target} {tail}."
    knows_doer = not passive or bool(by)

    def ask(kind: str) -> str:
        head = rng.choice(ASKING[kind])
        if not knows_doer or rng.random() < 0.5:
            return f"{head} {are} {target} {done}?"
        return f"{head} {'do' if many else 'does'} {doer} {base} {target}?"

    questions = [ask(kind) for kind in parts]
    if knows_doer:
        questions.append(f"Who {grammar.with_s(base)} {target}?")
        questions.append(f"What {'do' if many else 'does'} {doer} {base} {rng.choice([tail, ''])}")
    questions.append(f"What {rng.choice(['is', are])} {done} {tail}?")
    missing = rng.choice([kind for kind in ASKING if not _alike(kind, parts)])
    unanswered = [ask(missing)] + ([] if knows_doer else [f"Who {grammar.with_s(base)} {target}?"])
    return _fact(statement, questions, unanswered)


def _alike(kind: str, parts: list[str]) -> bool:
    """Whether one of the parts may pass for an answer to a question of this kind."""
    times = {"day", "month", "clock", "often"}
    return kind in parts or (kind in times and bool(times & set(parts)))


def _doer(about: Subject, words: dict, rng: random.Random) -> tuple[str, bool]:
    """Who does it, and whether that is a plural."""
    roll = rng.random()
    role = rng.choice(words["roles"])
    if roll < 0.25:
        return f"{rng.choice(CROWDS)} of {about.named(rng)}", True
    if roll < 0.45:
        return rng.choice(CROWDS), True
    if roll < 0.6:
        return f"{rng.choice(NUMBER_WORDS)} {role}s", True
    if roll < 0.8:
        return rng.choice([f"the {role}", f"the {role} of {about.named(rng)}"]), False
    return rng.choice(words["people"]) + " " + rng.choice(words["surnames"]), False


def _target(about: Subject, words: dict, rng: random.Random) -> tuple[str, bool]:
    """What it is done to, and whether that is a plural."""
    roll = rng.random()
    things, noun = rng.choice(words["plural_nouns"]), rng.choice(words["nouns"])
    if roll < 0.3:
        return f"the {things} of {about.named(rng)}", True
    if roll < 0.45:
        return things, True
    if roll < 0.6:
        return f"the {rng.choice(words['adjectives'])} {things}", True
    if roll < 0.75:
        return about.named(rng), False
    return rng.choice([f"the {noun}", f"the {noun} of {about.named(rng)}"]), False


def _part(kind: str, words: dict, rng: random.Random) -> str:
    """One circumstance of that kind."""

    def pick(key: str) -> str:
        return rng.choice(words[key])

    at = rng.choice(["in", "behind", "next to", "above", "under", "beside", "on", "near"])
    count = rng.choice([str(rng.randint(2, 90)), rng.choice(NUMBER_WORDS)])
    choices = {
        "where": [f"{at} the {pick('places')}", f"{at} the {pick('adjectives')} {pick('nouns')}",
                  f"in {pick('towns')}", f"in {pick('streets')}"],
        "day": [f"on {rng.choice(grammar.DAYS)}", f"on {rng.choice(grammar.DAYS)}s only"],
        "month": [f"in {rng.choice(grammar.MONTHS)}", f"until {rng.choice(grammar.MONTHS)}",
                  f"before the end of {rng.choice(grammar.MONTHS)}"],
        "clock": [f"at {grammar.slots(words, rng)['time']}", "at noon", "at midnight",
                  f"after {grammar.slots(words, rng)['time']}"],
        "often": [rng.choice(OFTEN), f"every {count} {rng.choice(SPANS)}"],
        "long": [f"for {count} {rng.choice(SPANS)}"],
        "how": ["by hand", f"with {pick('materials')}", f"with a {pick('nouns')}",
                f"with {pick('plural_nouns')}", f"by {pick('verbs_ing')}"],
        "why": [f"because of the {pick('plural_nouns')}", f"because of {pick('problems')}",
                f"to {pick('verbs_base')}"],
    }  # fmt: skip
    return rng.choice(choices[kind])


def _attribute(about: Subject, words: dict, rng: random.Random) -> Fact:
    """What may be asked of any place, product or club, of a part of it, or of somebody there: its
    price, owner, age. Not answered by it is a question on another attribute of the same thing."""
    whole = about.named(rng)
    kind, named = rng.choice(
        [
            (about.kind, whole),
            (about.kind, whole),
            ("part", f"the {rng.choice(words['nouns'])} of {whole}"),
            ("part", f"the {rng.choice(words['adjectives'])} {rng.choice(words['nouns'])}"),
            ("person", f"the {rng.choice(words['roles'])} of {whole}"),
        ]
    )
    told, other = rng.sample(list(words["attributes"][kind].values()), 2)
    statement = attributes.tell(rng.choice(told["s"]), named, words, rng)
    questions, unanswered = (
        [frame.replace("{t}", named) for frame in attribute["q"]] for attribute in (told, other)
    )
    return _fact(statement, questions, unanswered)


def _size(about: Subject, words: dict, rng: random.Random) -> Fact:
    unit, size = rng.choice(SIZES)
    noun = rng.choice(words["nouns"])
    thing = rng.choice([about.named(rng), about.named(rng), f"the {noun} of {about.named(rng)}"])
    statement = f"{thing} is {rng.randint(2, 900)} {unit} {size}."
    other = rng.choice([word for _, word in SIZES if word != size])
    questions = [f"How {size} is {thing}?", f"How many {unit} {size} is {thing}?"]
    return _fact(statement, questions, [f"How {other} is {thing}?"])


def _number(about: Subject, words: dict, rng: random.Random) -> Fact:
    things, others = rng.sample(words["plural_nouns"], 2)
    count = rng.choice([str(rng.randint(2, 900)), rng.choice(NUMBER_WORDS)])
    thing = about.named(rng)
    statement = rng.choice(
        [f"{thing} has {count} {things}.", f"there are {count} {things} in {thing}."]
    )
    questions = [
        f"How many {things} does {thing} have?",
        f"How many {things} are there in {thing}?",
        f"What is the number of {things} in {thing}?",
    ]
    return _fact(statement, questions, [f"How many {others} does {thing} have?"])


def _material(about: Subject, words: dict, rng: random.Random) -> Fact:
    things, thing = rng.choice(words["plural_nouns"]), about.named(rng)
    statement = f"the {things} of {thing} are made of {rng.choice(words['materials'])}."
    questions = [
        f"What are the {things} of {thing} made of?",
        f"Of what material are the {things} of {thing}?",
        f"Which material are the {things} made from?",
    ]
    return _fact(statement, questions, [f"What colour are the {things} of {thing}?"])


def _called(about: Subject, words: dict, rng: random.Random) -> Fact:
    extreme, other = rng.sample(EXTREMES, 2)
    noun, thing = rng.choice(words["nouns"] + words["animals"]), about.named(rng)
    statement = f"the {extreme} {noun} of {thing} is called {rng.choice(words['people'])}."
    questions = [
        f"What is the {extreme} {noun} of {thing} called?",
        f"What is the name of the {extreme} {noun}?",
        f"Which name does the {extreme} {noun} of {thing} have?",
    ]
    unanswered = [f"How old is the {extreme} {noun}?", f"What is the {other} {noun} called?"]
    return _fact(statement, questions, unanswered)


def _rule(about: Subject, words: dict, rng: random.Random) -> Fact:
    base, done = rng.choice(words["deeds"])
    things, thing = rng.choice(words["plural_nouns"]), about.named(rng)
    may = rng.choice(["may not be", "must be", "can be", "should never be"])
    statement = f"{things} {may} {done} in {thing}."
    questions = [
        f"Can I {base} {things} in {thing}?",
        f"May {things} be {done} in {thing}?",
        f"Is it allowed to {base} {things} in {thing}?",
    ]
    return _fact(statement, questions, [f"Who may {base} {things} in {thing}?"])


def _without(about: Subject, words: dict, rng: random.Random) -> Fact:
    done, crowd = rng.choice(words["deeds"])[1], rng.choice(CROWDS + words["plural_nouns"])
    noun, part = rng.choice(words["nouns"]), _part(rng.choice(["where", "how", "day"]), words, rng)
    statement = f"{crowd} without a {noun} are {done} {part}."
    questions = [f"What happens to {crowd} without a {noun}?", f"What if {crowd} have no {noun}?"]
    return _fact(statement, questions, [f"What happens to {crowd} with two {noun}s?"])


def _fact(statement: str, questions: list[str], unanswered: list[str]) -> Fact:
    def tidy(text: str) -> str:
        return grammar.right_article(" ".join(text.split()))

    # All in one form, or the form would tell which have an answer.
    asked, not_told = (
        tuple(tidy(grammar.upper(question.rstrip("?."))) + "?" for question in some)
        for some in (questions, unanswered)
    )
    return Fact(tidy(grammar.upper(statement)), asked, not_told)
