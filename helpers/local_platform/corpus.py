"""The base model's training text: written pieces, and grammars that multiply them.

Every document is either plain prose or a list of chat messages. The grammars draw names,
numbers and phrases from large word lists (`data/base_model/corpus/`), so that the only way to
answer is to copy from the prompt: copying is the skill that the course's tasks need most.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from helpers.local_platform import attributes, deeds, grammar, records

CORPUS = Path(__file__).resolve().parents[2] / "data" / "base_model" / "corpus"
EMOJI = (CORPUS / "emoji.txt").read_text(encoding="utf-8").split()
PROMPTS = json.loads((CORPUS / "prompts.json").read_text(encoding="utf-8"))
UNKNOWN = "I don't know."
SMALL_WORDS = {"the", "and", "for", "are", "was", "were", "does", "did", "what", "which", "who",
               "when", "where", "how", "why", "with", "from", "that", "this", "there", "their",
               "they", "them", "its", "you", "your", "can", "may", "must", "will", "has", "have",
               "had", "not", "any", "one", "much", "many", "long"}  # fmt: skip
NUMBER = re.compile(r"(?<![\w.,:])\d{1,3}(?![\w.,:]\d|\w)")

# Share of the training documents that each maker gets; found by reading samples, not tuned.
MIX = {
    "prose": 3,
    "casual": 1,
    "written_mail": 9,
    "plain_mail": 14,
    "styled_mail": 10,
    "lively_mail": 5,
    "points_of_mail": 7,
    "answer_from_facts": 11,
    "answer_from_deeds": 22,
    "answer_from_context": 30,
    "answer_on_attributes": 11,
    "answer_from_sentences": 4,
    "answer_without_context": 3,
    "fields_of_message": 42,
    "parts_of_messages": 16,
    "copy": 4,
    "look_up": 7,
}


@dataclass(frozen=True)
class Document:
    """One training document: `text` is plain prose, or `messages` (and `tools`) a conversation."""

    text: str = ""
    messages: tuple = ()
    tools: tuple = ()


@dataclass(frozen=True)
class Sources:
    """What the grammars draw on. `prose` may be empty: the corpus is then only ours."""

    words: dict
    facts: list
    mails: list
    styled: list
    casual: list
    contexts: list
    statements: list
    prose: list = field(default_factory=list)


def load_sources(prose_path: Path | None = None, folder: Path = CORPUS) -> Sources:
    """Read the word lists, the written pieces and, where given, the public-domain prose.

    Args: `prose_path` a gzipped JSONL file with a `text` a line; `folder` the written corpus.
    Raises: FileNotFoundError where a file is missing.
    """
    prose = []
    if prose_path:
        with gzip.open(prose_path, "rt", encoding="utf-8") as lines:
            prose = [json.loads(line)["text"] for line in lines]
    words = json.loads((folder / "lexicon.json").read_text(encoding="utf-8"))
    words["orders"] = json.loads((folder / "orders.json").read_text(encoding="utf-8"))
    words["messages"] = _lines(folder / "messages.jsonl")
    words["attributes"] = json.loads((folder / "attributes.json").read_text(encoding="utf-8"))
    words["exchangeable"] = _exchangeable(words)
    words["rare"] = _rare(prose)
    mails = _lines(folder / "mails.jsonl")
    casual = [row["text"] for row in _lines(folder / "casual.jsonl")]
    written = [paragraph for mail in mails for paragraph in mail["mail"].split("\n\n")]
    return Sources(
        words=words,
        facts=_lines(folder / "facts.jsonl"),
        mails=mails,
        styled=_lines(folder / "styled.jsonl"),
        casual=casual,
        contexts=[_weighed(piece) for piece in _lines(folder / "contexts.jsonl")],
        statements=words["clauses"]
        + [s for text in written + casual for s in grammar.statements(text)],
        prose=prose,
    )


def documents(sources: Sources, seed: int) -> Iterator[Document]:
    """Yield training documents without end, drawn by `MIX`; the same seed, the same stream."""
    rng = random.Random(seed)
    mix = {name: share for name, share in MIX.items() if name != "prose" or sources.prose}
    makers = {name: globals()[f"_{name}"] for name in mix}
    names, shares = list(mix), list(mix.values())
    while True:
        yield makers[rng.choices(names, shares)[0]](sources, rng)


def _lines(path: Path) -> list[dict]:
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def _rare(texts: list[str]) -> list[str]:
    """Words that the texts have four times at most and that may be nouns in the singular."""
    counts = Counter(word for text in texts for word in re.findall(r"\b[a-z]{5,12}\b", text))
    no_noun = re.compile(r".*(s|ly|ed|ing|ful|ous)")
    return sorted(w for w, count in counts.items() if count < 5 and not no_noun.fullmatch(w))


def _prose(sources: Sources, rng: random.Random) -> Document:
    """About 1,500 characters of a public-domain text, from a sentence's start."""
    text = rng.choice(sources.prose)
    if len(text) > 1600:
        start = text.find(". ", rng.randrange(len(text) - 1500))
        text = text[start + 2 : start + 1500]
    return Document(text=text)


def _casual(sources: Sources, rng: random.Random) -> Document:
    """An informal piece, as running text or as the answer to its own opening words."""
    text = rng.choice(sources.casual)
    if rng.random() < 0.5:
        return Document(text=text)
    opening = " ".join(text.split()[: rng.randint(4, 9)])
    return _chat("", f"Continue: {opening}", text)


def _written_mail(sources: Sources, rng: random.Random) -> Document:
    piece = _varied(rng.choice(sources.mails), sources.words, rng)
    return _mail_task(piece["bullets"], piece["mail"], sources, rng)


def _plain_mail(sources: Sources, rng: random.Random) -> Document:
    points, mail = grammar.plain_mail(sources, rng)
    return _mail_task(points, mail, sources, rng)


def _styled_mail(sources: Sources, rng: random.Random) -> Document:
    piece = _varied(rng.choice(sources.styled), sources.words, rng)
    return _mail_task(piece["bullets"], piece["mail"], sources, rng, piece["style"])


def _lively_mail(sources: Sources, rng: random.Random) -> Document:
    points, mail, style = grammar.lively_mail(sources, EMOJI, rng)
    return _mail_task(points, mail, sources, rng, style)


def _mail_task(points, mail, sources, rng, style: str = "") -> Document:
    """Points in, mail out. A mail is plain unless the system prompt asks for a style."""
    mark = rng.choice(["- ", "- ", "- ", "", "* "])
    asked = rng.choice(PROMPTS["mail_asks"]) + "\n".join(mark + point for point in points)
    system = grammar.fill(rng.choice(PROMPTS["mail_systems"]), sources.words, rng)
    if style:
        system = f"{system} Style: {style}.".strip()
    return _chat(system, asked, mail)


def _points_of_mail(sources: Sources, rng: random.Random) -> Document:
    """A mail with its points asked back: by a tool call, as JSON or as a plain list."""
    roll = rng.random()
    if roll < 0.3:
        piece = _varied(rng.choice(sources.mails + sources.styled), sources.words, rng)
        points, mail = piece["bullets"], piece["mail"]
    elif roll < 0.7:
        points, mail, _ = grammar.lively_mail(sources, EMOJI, rng)
    else:
        points, mail = grammar.plain_mail(sources, rng)
    points = [grammar.upper(point).rstrip(".") for point in points]
    system = rng.choice(PROMPTS["point_systems"])
    how = rng.random()
    if how < 0.6:
        return _tool_call(system, mail, points, rng)
    if how < 0.75:
        return _chat(system, mail, json.dumps({"bullets": points}, ensure_ascii=False))
    return _chat(system, mail, "\n".join(f"- {point}" for point in points))


def _tool_call(system: str, mail: str, points: list[str], rng: random.Random) -> Document:
    name, argument = rng.choice(PROMPTS["point_tools"])
    parameters = {"type": "object", "properties": {argument: {"type": "array"}}}
    tool = {"type": "function", "function": {"name": name, "parameters": parameters}}
    arguments = json.dumps({argument: points}, ensure_ascii=False)
    call = {"id": "call_0", "type": "function", "function": {"name": name, "arguments": arguments}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    return Document(messages=(*_prompt(system, mail), answer), tools=(tool,))


def _answer_from_facts(sources: Sources, rng: random.Random) -> Document:
    """Facts about one thing and questions on them; what was taken away is unknown."""
    words = sources.words
    common = grammar.slots(words, rng)
    frames = rng.sample(sources.facts, rng.choice([1, 2, 2, 3, 3, 4, 5]))
    # Half of the facts are about one thing, so that only the relation tells them apart.
    own = [common if rng.random() < 0.5 else grammar.slots(words, rng) for _ in frames]
    asked_of = [rng.choice(frame["q"]) for frame in frames]
    told = [grammar.put(frame["s"], values) for frame, values in zip(frames, own, strict=True)]
    asked = [grammar.put(question, values) for question, values in zip(asked_of, own, strict=True)]
    turns, shown = list(zip(asked, told, strict=True)), list(told)
    if rng.random() < (0.7 if len(told) > 1 else 0.02):  # take a fact away
        gone = rng.randrange(len(told))
        turns[gone] = (asked[gone], UNKNOWN)
        shown.pop(gone)
        if not shown:  # another fact about the same thing, or the exercise would be too easy
            shown = [grammar.put(rng.choice(sources.facts)["s"], own[gone])]
    elif rng.random() < 0.3:  # a passage may carry a question of its own, as an FAQ does
        shown = [
            f"{grammar.put(rng.choice(frame['q']), values)} {fact}"
            for frame, values, fact in zip(frames, own, told, strict=True)
        ]
        turns = list(zip(asked, shown, strict=True))
    return _context_task(shown, turns, words, rng)


def _answer_from_deeds(sources: Sources, rng: random.Random) -> Document:
    """Statements about one thing, by a grammar; asked for are parts of them, or what none says."""
    about = deeds.subject(sources.words, rng)
    told = deeds.facts(about, sources.words, rng, rng.choice([1, 2, 3, 4, 4, 5, 6]))
    context = [told[0].statement] + [deeds.mention(fact, about, rng) for fact in told[1:]]
    turns = []
    for number, fact in enumerate(told):
        turns.append((rng.choice(fact.questions), context[number]))
        if len(told) > 1 and rng.random() < 0.2:  # the deed is told, but not the part asked for
            turns[-1] = (rng.choice(fact.unanswered), UNKNOWN)
    if len(told) > 1 and rng.random() < 0.3:
        gone = rng.randrange(len(told))
        del context[gone]
        turns[gone] = (rng.choice(told[gone].questions), UNKNOWN)
    rng.shuffle(context)
    names = about.full, about.short
    turns = [(grammar.point_at(question, names, rng), answer) for question, answer in turns]
    return _context_task(context, turns, sources.words, rng)


def _answer_from_context(sources: Sources, rng: random.Random) -> Document:
    """A written context, some of its sentences left out, and some of its questions.

    A passage that stands alone is one that a search found: it holds the answer, however the
    question is put, or else is about something else altogether.
    """
    place, count = rng.randrange(len(sources.contexts)), len(sources.contexts)
    piece = _varied(sources.contexts[place], sources.words, rng)
    stray = sources.contexts[(place + rng.randrange(1, count)) % count]
    sentences = piece["context"]
    alone = rng.random() < 0.4
    kept = set(rng.sample(range(len(sentences)), 1 if alone else rng.randint(2, len(sentences))))
    known, weights = [], []
    for (question, holder), weight in zip(piece["qa"], piece["weights"], strict=True):
        if holder in kept:
            known.append((question, sentences[holder]))
            weights.append(weight**0.5 if alone else weight)
    if alone:
        asked = [question for question, _ in stray["qa"]]
    else:
        asked = [question for question, holder in piece["qa"] if holder not in kept]
        asked += piece["unknown"]
    lacking = [(question, UNKNOWN) for question in asked]
    unknown = 0.03 if alone else 0.35
    turns = [
        rng.choice(lacking) if rng.random() < unknown else rng.choices(known, weights)[0]
        for _ in range(6)
    ]
    turns = [(grammar.point_at(q, piece["names"], rng), answer) for q, answer in turns]
    context = [sentence for number, sentence in enumerate(sentences) if number in kept]
    if rng.random() < 0.3:
        rng.shuffle(context)
    return _context_task(context, turns, sources.words, rng)


def _weighed(piece: dict) -> dict:
    """The context with a weight for each of its questions.

    Small where the answer has none of its words ("Do they sell umbrellas?" - "It may rain"), for a
    small model takes that for unknown; large where another sentence has as many of them, for only
    such a question tells a word that matters from a name that all share.
    """
    stems = [_stems(sentence) for sentence in piece["context"]]
    weights = []
    for question, holder in piece["qa"]:
        asked = _stems(question)
        shared = [len(asked & sentence) for sentence in stems]
        own = shared.pop(holder)
        weights.append(2.0 if 0 < own <= max(shared, default=0) else 1.0 if own else 0.5)
    return {**piece, "weights": weights}


def _stems(text: str) -> set[str]:
    """The first four letters of the words that carry meaning."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {word[:4] for word in words if len(word) > 2 and word not in SMALL_WORDS}


def _answer_on_attributes(sources: Sources, rng: random.Random) -> Document:
    """A written context, and of its things what it does not tell; half of that is told then."""
    whole = rng.choice(sources.contexts)
    swapped = {key: whole[key] for key in ("context", "qa", "names", "parts")}
    piece = _varied(swapped, sources.words, rng)
    found = attributes.things(piece["names"], piece["parts"], whole["told"])
    kept = sorted(rng.sample(range(len(piece["context"])), rng.randint(1, len(piece["context"]))))
    context = [piece["context"][number] for number in kept]
    turns = [(q, piece["context"][holder]) for q, holder in piece["qa"] if holder in kept]
    turns = rng.sample(turns, min(len(turns), 2))
    for statement, question in attributes.ask(found, sources.words, rng):
        if rng.random() < 0.5:
            turns.append((question, UNKNOWN))
        else:
            turns.append((question, statement))
            context.insert(rng.randint(1, len(context)), statement)
    return _context_task(context, turns, sources.words, rng)


def _answer_from_sentences(sources: Sources, rng: random.Random) -> Document:
    """Sentences of any kind; the one that holds the words of the question is the answer."""
    pool = sources.prose or [mail["mail"] for mail in sources.mails]
    found = []
    while len(found) < 4:
        spoken = [s for s in grammar.sentences(rng.choice(pool)) if 5 < len(s.split()) < 26]
        spoken = [s for s in spoken if s[0].isupper() and s[-1] in ".!?"]
        found += rng.sample(spoken, min(len(spoken), 2))
    known, asked = found[: rng.choice([2, 2, 3])], found[3] if rng.random() < 0.3 else None
    answer = UNKNOWN if asked else rng.choice(known)
    named = [word.strip(".,;:()").lower() for word in (asked or answer).split() if len(word) > 4]
    hints = " ".join(rng.sample(named, min(len(named), rng.choice([2, 3, 4])))) or "it"
    question = rng.choice(PROMPTS["sentence_questions"]).replace("{x}", hints)
    return _context_task(known, [(question, answer)], sources.words, rng)


def _context_task(facts: list[str], turns: list[tuple[str, str]], words, rng) -> Document:
    """A context with the first question, then more of them, each answered in its turn.

    Args: `turns` pairs of question and answer; in any order, and some are left out.
    """
    turns = rng.sample(turns, min(len(turns), rng.choice([1, 1, 2, 3, 4, 5, 6])))
    shown = rng.choice(["- ", "", "- "])
    gap = rng.choice(["\n", "\n", " "])
    context = gap.join((shown if gap == "\n" else "") + fact for fact in facts)
    system = grammar.fill(rng.choice(PROMPTS["context_systems"]), words, rng)
    asked = [_typed(question, rng) for question, _ in turns]
    before = f"Question: {asked[0]}\n\n" if rng.random() < 0.25 else ""
    messages = _prompt(system, f"{before}Context:\n{context}\n\nQuestion: {asked[0]}")
    for number, (_, answer) in enumerate(turns):
        if number:
            messages += ({"role": "user", "content": f"Question: {asked[number]}"},)
        messages += ({"role": "assistant", "content": answer},)
    return Document(messages=messages)


def _answer_without_context(sources: Sources, rng: random.Random) -> Document:
    frame = rng.choice(sources.facts)
    question = grammar.put(rng.choice(frame["q"]), grammar.slots(sources.words, rng))
    system = grammar.fill(rng.choice(PROMPTS["plain_systems"]), sources.words, rng)
    return _chat(system, rng.choice(["", "Question: "]) + _typed(question, rng), UNKNOWN)


def _fields_of_message(sources: Sources, rng: random.Random) -> Document:
    system, message, record = records.task(sources.words, rng)
    return _chat(system, message, json.dumps(record, ensure_ascii=False))


def _parts_of_messages(sources: Sources, rng: random.Random) -> Document:
    system, turns = records.short_tasks(sources.words, rng)
    messages: tuple = ({"role": "system", "content": system},)
    for message, part in turns:
        answer = json.dumps(part, ensure_ascii=False)
        messages += ({"role": "user", "content": message}, {"role": "assistant", "content": answer})
    return Document(messages=messages)


def _copy(sources: Sources, rng: random.Random) -> Document:
    """Small exercises in copying: repeat a text, mark it with emoji, list its parts."""
    forms = ["the {adjective} {product}", "{person} from {town}", "{topic}", "{number} {unit}"]
    forms += ["{company}", "{feature}"]
    things = [grammar.fill(rng.choice(forms), sources.words, rng) for _ in range(rng.randint(2, 6))]
    line = ", ".join(things)
    kind = rng.randrange(6)
    if kind == 5:
        line = " ".join(grammar.odd_word(sources.words, rng) for _ in range(rng.randint(2, 6)))
        line = rng.choice([line, line.title()])
        return _chat("", f"Repeat: {line}", line)
    if kind == 0:
        return _chat("", f"Repeat: {line}", line)
    if kind == 1:
        marked = "\n".join(f"{rng.choice(EMOJI)} {thing}" for thing in things)
        return _chat("", f"Mark each with an emoji: {line}", marked)
    if kind == 2:
        marks = " ".join(rng.choice(EMOJI) for _ in range(rng.randint(2, 8)))
        return _chat("", f"Repeat: {marks}", marks)
    if kind == 3:
        return _chat("", f"List: {line}", "\n".join(f"- {thing}" for thing in things))
    spoken = grammar.sentences(rng.choice(sources.prose or sources.casual))
    start = rng.randrange(len(spoken))
    text = " ".join(spoken[start : start + rng.randint(1, 3)])[:400]
    return _chat("", f"Repeat: {text}", text)


def _look_up(sources: Sources, rng: random.Random) -> Document:
    """Lines, and many short questions on them: find one by its words, by its number, or the next.

    The densest exercise in choosing: an answer copies a whole line, so only its start is hard.
    """
    drawn = [_line(sources, rng) for _ in range(rng.randint(3, 9))]
    lines = list(dict.fromkeys(drawn))  # each once
    mark = rng.choice(["- ", "- ", "", "* "])
    shown = "\n".join(mark + line for line in lines)
    kind = rng.random()
    if kind < 0.2:
        ask = rng.choice(["Repeat the lines:", "Repeat each line:", "Read the lines back:"])
        return _chat("", f"{ask}\n{shown}", "\n".join(lines))
    if kind < 0.3:
        return _chat("", f"Repeat the lines from last to first:\n{shown}", "\n".join(lines[::-1]))
    messages: tuple = ()
    for number in range(rng.randint(4, 8)):
        question, answer = _query(lines, sources.words, rng)
        asked = question if number else f"Lines:\n{shown}\n\n{question}"
        messages += ({"role": "user", "content": asked}, {"role": "assistant", "content": answer})
    return Document(messages=messages)


def _line(sources: Sources, rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.4:
        return grammar.point(sources, rng)[0].rstrip(".")
    if roll < 0.7:
        return rng.choice(rng.choice(sources.contexts)["context"])
    forms = ["the {adjective} {product}", "{person} from {town}", "{topic}", "{number} {unit}"]
    return grammar.fill(rng.choice(forms), sources.words, rng)


def _query(lines: list[str], words: dict, rng: random.Random) -> tuple[str, str]:
    """A question on the lines, and the line that answers it."""
    number = rng.randrange(len(lines))
    if rng.random() < 0.15 and number:
        return f"What comes after: {lines[number - 1]}", lines[number]
    said = [re.findall(r"[\w-]+", line.lower()) for line in lines]
    others = {word for place, line in enumerate(said) if place != number for word in line}
    own = [word for word in said[number] if word not in others and len(word) > 2]
    if not own:
        return f"Line {number + 1}", lines[number]
    hints = rng.sample(own, min(len(own), rng.choice([1, 1, 2, 2, 3])))
    elsewhere = grammar.odd_word(words, rng)
    if rng.random() < 0.12 and elsewhere not in (*own, *others):
        return f"Find: {elsewhere}", UNKNOWN
    return f"{rng.choice(['Find', 'Find', 'Which line has'])}: {' '.join(hints)}", lines[number]


def _varied(piece: dict, words: dict, rng: random.Random) -> dict:
    """The written piece with some of its words and numbers changed, alike wherever they stand.

    One piece becomes many: nonsense at times ("the kettle" may become "the ladder"), but what
    stands in the prompt still stands in the answer, and no piece can be learned by heart.
    """
    text, changed = json.dumps(piece, ensure_ascii=False), {}
    if rng.random() < 0.6:
        for number in sorted(set(NUMBER.findall(text))):
            changed[number] = str(rng.randint(2, 99))
    if rng.random() < 0.7:
        others = words["exchangeable"]
        for word in sorted(set(re.findall(r"[A-Za-z]+", text)) & others.keys()):
            if rng.random() < 0.4:
                changed[word] = rng.choice(others[word])
    changed |= {word.capitalize(): new.capitalize() for word, new in changed.items()}

    def swap(value):
        if isinstance(value, list):
            return [swap(part) for part in value]
        if not isinstance(value, str):
            return value
        value = NUMBER.sub(lambda found: changed.get(found[0], found[0]), value)
        return re.sub(r"[A-Za-z]+", lambda found: changed.get(found[0], found[0]), value)

    return {key: swap(value) for key, value in piece.items()}


def _exchangeable(words: dict) -> dict[str, list[str]]:
    """For each word of a class, those that can stand in its place ("a" and "an" stay right)."""
    verbs = {form for pair in words["deeds"] for form in pair}
    found: dict[str, list[str]] = {}
    for kind in ("nouns", "plural_nouns", "adjectives", "people"):
        for vowel in (True, False):
            alike = [word for word in words[kind] if (word[0].lower() in "aeiou") == vowel]
            found |= {word: alike for word in alike if word.isalpha() and word not in verbs}
    return found


def _typed(question: str, rng: random.Random) -> str:
    """People type as they like: now and then without capitals or the question mark."""
    roll = rng.random()
    if roll < 0.1:
        return question.rstrip("?")
    return question[:1].lower() + question[1:] if roll < 0.2 else question


def _prompt(system: str, user: str) -> tuple:
    rows = ({"role": "system", "content": system},) if system else ()
    return (*rows, {"role": "user", "content": user})


def _chat(system: str, user: str, answer: str) -> Document:
    return Document(messages=(*_prompt(system, user), {"role": "assistant", "content": answer}))
