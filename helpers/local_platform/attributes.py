"""What a written context might tell of its things, and mostly does not: their age, price, owner.

A sentence that tells it is added to the context or not, and the question is the same: whether it
has an answer hangs on that sentence alone. `attributes.json` holds the sentences and questions;
`contexts.jsonl` names the things of each context, and the attributes that it tells of them already.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from helpers.local_platform import grammar


@dataclass(frozen=True)
class Thing:
    """Something in a context: how it is called, its kind, the attributes that are told of it."""

    names: tuple[str, ...]
    kind: str
    told: frozenset[str]


def things(names: list[str], parts: list[str], told: list) -> list[Thing]:
    """What a context is about, and then its parts.

    Args: `told` pairs of the kind and the told attributes of each of them.
    """
    called = [tuple(names)] + [(f"the {part}",) for part in parts]
    return [
        Thing(names, kind, frozenset(known))
        for names, (kind, known) in zip(called, told, strict=True)
    ]


def ask(found: list[Thing], words: dict, rng: random.Random) -> list[tuple[str, str]]:
    """Pairs of a statement and a question that it answers; no context tells the like of it.

    Two attributes of one thing each, so that one can be told and the other asked for.
    """
    topic, *parts = found
    pairs = []
    for thing in [topic, *rng.sample(parts, min(len(parts), 1))]:
        frames = words["attributes"][thing.kind]
        free = [name for name in frames if name not in thing.told]
        for attribute in rng.sample(free, min(len(free), 2)):
            statement = _told(rng.choice(frames[attribute]["s"]), thing, words, rng)
            named = rng.choice(thing.names)
            if thing is not topic and rng.random() < 0.3:
                named += f" {rng.choice(['of', 'at', 'in'])} {rng.choice(topic.names)}"
            question = rng.choice(frames[attribute]["q"]).replace("{t}", named)
            pairs.append((statement, question))
    return pairs


def tell(frame: str, name: str, words: dict, rng: random.Random) -> str:
    """The statement about what has that name, its slots filled."""
    values = {**grammar.slots(words, rng), "T": name, "t": name}
    return grammar.right_article(grammar.put(frame, values))


def _told(frame: str, thing: Thing, words: dict, rng: random.Random) -> str:
    """The statement; "it" now and then for what the context is about."""
    if thing.kind not in ("part", "person") and rng.random() < 0.25:
        frame = re.sub(r"^\{T\}", "It", frame)
    return tell(frame, rng.choice(thing.names), words, rng)
