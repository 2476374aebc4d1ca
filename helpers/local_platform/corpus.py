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
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[2] / "data" / "base_model" / "corpus"
EMOJI = (CORPUS / "emoji.txt").read_text(encoding="utf-8").split()
UNKNOWN = "I don't know."

# Share of the training documents that each maker gets; found by reading samples, not tuned.
MIX = {
    "prose": 9,
    "casual": 2,
    "written_mail": 3,
    "grammar_mail": 24,
    "bullets_of_mail": 11,
    "answer_from_context": 32,
    "answer_without_context": 3,
    "fields_of_message": 5,
    "copy": 12,
}

MAIL_SYSTEMS = [
    "",
    "",
    "You are a helpful assistant.",
    "You write e-mails.",
    "You write a plain e-mail from the user's points.",
    "You are a helpful assistant that writes e-mails. The user gives the topics.",
    "Turn the notes into an e-mail.",
    "Write an e-mail that covers each point.",
    "You write the newsletter of {company}. Write an e-mail about the points of the user.",
    "You write e-mails for {brand}, in the style of {person}. The user gives the points.",
    "You are {person} and you write a mail to the readers of {brand}.",
]
MAIL_ASKS = [
    "",
    "",
    "",
    "Write an e-mail about these points:\n",
    "Topics:\n",
    "Points:\n",
    "Please write an e-mail:\n",
    "Draft:\n",
]
BULLET_SYSTEMS = [
    "",
    "You are a helpful assistant.",
    "Write the short draft that this e-mail came from.",
    "List the points of the e-mail.",
    "You turn e-mails into bullet points.",
    "Go back in time and write the bullet points the author started from.",
]
BULLET_TOOLS = [
    ("write_draft", "bullets"),
    ("save_bullets", "bullets"),
    ("write_bullets", "points"),
    ("list_points", "points"),
    ("save_draft", "draft"),
    ("draft", "bullets"),
]
CONTEXT_SYSTEMS = [
    "",
    "Answer from the context.",
    "Answer the question from the context. If the context lacks the answer, say: I don't know.",
    "Answer the question from the context in one sentence. If the context lacks the answer, "
    "say: I don't know.",
    "You are the support desk of {brand}. Answer from the context, or say: I don't know.",
    "You answer questions of customers. Use the context only.",
]
PLAIN_SYSTEMS = [
    "",
    "You are a helpful assistant.",
    "Answer the question in one sentence. If you do not know, say: I don't know.",
    "You are the support desk of {brand}.",
    "You answer questions of customers.",
]
BRIEFS = {  # what an author's note asks for -> how a mail says it
    "Describe": "describes",
    "Explain": "explains",
    "Discuss": "discusses",
    "Show": "shows",
    "Introduce": "introduces",
    "Mention": "mentions",
    "List": "lists",
    "Compare": "compares",
    "Provide information about": "gives information about",
    "Summarise": "summarises",
    "Briefly introduce": "briefly introduces",
    "Give an overview of": "gives an overview of",
}
NOTE_HEADS = [
    "Introduction to",
    "Overview of",
    "Description of",
    "Discussion of",
    "Insights into",
    "Explanation of",
    "A look at",
    "Examples of",
    "Tips for",
    "Plans for",
    "News about",
]
GREETINGS = [
    "Hello,",
    "Dear reader,",
    "Good morning,",
    "Dear customer,",
    "Dear colleagues,",
    "Dear all,",
    "Dear {person},",
]
SIGN_OFFS = ["Kind regards,", "Best regards,", "With kind regards,"]
SIGNERS = ["The team", "The team", "The office", "{person}", "{company}"]
SENTENCE_QUESTIONS = [
    "What about {x}?",
    "What do you know about {x}?",
    "How is it with {x}?",
    "{x}?",
    "Can you tell me about {x}?",
    "Is there anything on {x}?",
]
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
    mails: list
    casual: list
    prose: list = field(default_factory=list)


def load_sources(prose_path: Path | None = None, folder: Path = CORPUS) -> Sources:
    """Read the word lists, the written pieces and, where given, the public-domain prose.

    Args: `prose_path` a gzipped JSONL file with a `text` a line; `folder` the written corpus.
    Raises: FileNotFoundError where a file is missing.
    """
    words = json.loads((folder / "lexicon.json").read_text(encoding="utf-8"))
    mails = _lines((folder / "mails.jsonl").read_text(encoding="utf-8"))
    casual = [row["text"] for row in _lines((folder / "casual.jsonl").read_text(encoding="utf-8"))]
    prose = []
    if prose_path:
        with gzip.open(prose_path, "rt", encoding="utf-8") as lines:
            prose = [json.loads(line)["text"] for line in lines]
    return Sources(words, mails, casual, prose)


def documents(sources: Sources, seed: int) -> Iterator[Document]:
    """Yield training documents without end, drawn by `MIX`; the same seed, the same stream."""
    rng = random.Random(seed)
    mix = {name: share for name, share in MIX.items() if name != "prose" or sources.prose}
    makers = {name: globals()[f"_{name}"] for name in mix}
    names, shares = list(mix), list(mix.values())
    while True:
        yield makers[rng.choices(names, shares)[0]](sources, rng)


def _lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


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
    piece = _renamed(rng.choice(sources.mails), sources.words, rng)
    return _mail_task(piece["bullets"], piece["mail"], sources.words, rng)


def _grammar_mail(sources: Sources, rng: random.Random) -> Document:
    bullets, mail = _plain_mail(sources, rng)
    return _mail_task(bullets, mail, sources.words, rng)


def _mail_task(bullets, mail, words, rng) -> Document:
    mark = rng.choice(["- ", "- ", "- ", "", "* "])
    asked = rng.choice(MAIL_ASKS) + "\n".join(mark + bullet for bullet in bullets)
    return _chat(_fill(rng.choice(MAIL_SYSTEMS), words, rng), asked, mail)


def _bullets_of_mail(sources: Sources, rng: random.Random) -> Document:
    """A mail with its bullets asked back: by a tool call, as JSON or as a plain list."""
    if rng.random() < 0.2:
        piece = _renamed(rng.choice(sources.mails), sources.words, rng)
        bullets, mail = piece["bullets"], piece["mail"]
    elif rng.random() < 0.45:
        bullets, mail = _chatty_mail(sources, rng)
    else:
        bullets, mail = _plain_mail(sources, rng)
    system = rng.choice(BULLET_SYSTEMS)
    how = rng.random()
    if how < 0.6:
        name, argument = rng.choice(BULLET_TOOLS)
        parameters = {"type": "object", "properties": {argument: {"type": "array"}}}
        tool = {"type": "function", "function": {"name": name, "parameters": parameters}}
        call = {
            "id": "call_0",
            "type": "function",
            "function": {
                "name": name,
                "arguments": json.dumps({argument: bullets}, ensure_ascii=False),
            },
        }
        answer = {"role": "assistant", "content": None, "tool_calls": [call]}
        return Document(messages=(*_prompt(system, mail), answer), tools=(tool,))
    if how < 0.75:
        return _chat(system, mail, json.dumps({"bullets": bullets}, ensure_ascii=False))
    return _chat(system, mail, "\n".join(f"- {bullet}" for bullet in bullets))


def _answer_from_context(sources: Sources, rng: random.Random) -> Document:
    """Facts about one thing, one of them asked for; or none of them, and the answer is unknown."""
    if sources.prose and rng.random() < 0.4:
        return _sentence_from_context(sources, rng)
    words = sources.words
    slots = _slots(words, rng)
    frames = rng.sample(words["facts"], rng.choice([1, 2, 2, 3, 3, 4, 5]))
    # Half of the contexts are about one thing, so that only the relation tells the facts apart.
    own = [slots if rng.random() < 0.5 else _slots(words, rng) for _ in frames]
    facts = [_put(frame["s"], slot) for frame, slot in zip(frames, own, strict=True)]
    asked = rng.randrange(len(frames))
    question = _question(_put(rng.choice(frames[asked]["q"]), own[asked]), rng)
    answer = facts[asked]
    if rng.random() < 0.22:  # take the asked fact away
        facts.pop(asked)
        other = rng.choice(words["facts"])
        if not facts:
            facts = [_put(other["s"], _slots(words, rng))]
        answer = UNKNOWN
    elif rng.random() < 0.3:  # a passage may carry its own question, as an FAQ does
        facts = [
            f"{_put(rng.choice(f['q']), s)} {fact}"
            for f, s, fact in zip(frames, own, facts, strict=True)
        ]
    shown = rng.choice(["- ", "", "- "])
    gap = rng.choice(["\n", "\n", " "])
    context = gap.join((shown if gap == "\n" else "") + fact for fact in facts)
    prompt = f"Context:\n{context}\n\nQuestion: {question}"
    return _chat(_fill(rng.choice(CONTEXT_SYSTEMS), words, rng), prompt, answer)


def _sentence_from_context(sources: Sources, rng: random.Random) -> Document:
    """Sentences of any kind; the one that holds the words of the question is the answer."""
    found = []
    while len(found) < 4:
        spoken = [s for s in _sentences(rng.choice(sources.prose)) if 5 < len(s.split()) < 26]
        found += rng.sample(spoken, min(len(spoken), 2))
    known, asked = found[: rng.choice([2, 2, 3])], found[3] if rng.random() < 0.15 else None
    answer = UNKNOWN if asked else rng.choice(known)
    named = [word.strip(".,;:()").lower() for word in (asked or answer).split() if len(word) > 4]
    hints = " ".join(rng.sample(named, min(len(named), rng.choice([2, 3, 4])))) or "it"
    form = rng.choice(SENTENCE_QUESTIONS)
    context = "\n".join(f"- {sentence}" for sentence in known)
    prompt = f"Context:\n{context}\n\nQuestion: {form.replace('{x}', hints)}"
    return _chat(_fill(rng.choice(CONTEXT_SYSTEMS), sources.words, rng), prompt, answer)


def _answer_without_context(sources: Sources, rng: random.Random) -> Document:
    frame = rng.choice(sources.words["facts"])
    question = _question(_put(rng.choice(frame["q"]), _slots(sources.words, rng)), rng)
    system = _fill(rng.choice(PLAIN_SYSTEMS), sources.words, rng)
    return _chat(system, rng.choice(["", "Question: "]) + question, UNKNOWN)


def _fields_of_message(sources: Sources, rng: random.Random) -> Document:
    """A message whose named fields are asked for as JSON."""
    slot = _slots(sources.words, rng)
    record = {
        "name": slot["person"],
        "product": slot["product"],
        "town": slot["town"],
        "day": slot["day"],
        "amount": slot["number"],
        "company": slot["company"],
    }
    parts = {
        "name": [f"This is {slot['person']}.", f"My name is {slot['person']}."],
        "product": [f"I ordered the {slot['product']}.", f"It is about my {slot['product']}."],
        "town": [f"I live in {slot['town']}.", f"Please deliver to {slot['town']}."],
        "day": [f"It should arrive on {slot['day']}.", f"{slot['day']} suits me."],
        "amount": [f"I paid {slot['number']} euro.", f"The bill says {slot['number']} euro."],
        "company": [f"I work at {slot['company']}.", f"The shop was {slot['company']}."],
    }
    fields = rng.sample(list(record), rng.randint(2, 5))
    said = [field for field in fields if rng.random() < 0.85]
    sentences = [rng.choice(parts[field]) for field in said]
    rng.shuffle(sentences)
    answer = {field: record[field] if field in said else None for field in fields}
    prompt = f"Fields: {', '.join(fields)}\n\n{' '.join(sentences)}"
    return _chat("Write the named fields as JSON.", prompt, json.dumps(answer, ensure_ascii=False))


def _copy(sources: Sources, rng: random.Random) -> Document:
    """Small exercises in copying: repeat a text, mark it with emoji, count through a list."""
    words = sources.words
    things = [
        _fill(
            rng.choice(
                [
                    "the {adjective} {product}",
                    "{person} from {town}",
                    "{topic}",
                    "{number} {unit}",
                    "{company}",
                    "{feature}",
                ]
            ),
            words,
            rng,
        )
        for _ in range(rng.randint(2, 6))
    ]
    line = ", ".join(things)
    kind = rng.randrange(5)
    if kind == 0:
        return _chat("", f"Repeat: {line}", line)
    if kind == 1:
        marks = [rng.choice(EMOJI) for _ in things]
        marked = "\n".join(f"{mark} {thing}" for mark, thing in zip(marks, things, strict=True))
        return _chat("", f"Mark each with an emoji: {line}", marked)
    if kind == 2:
        marks = " ".join(rng.choice(EMOJI) for _ in range(rng.randint(2, 8)))
        return _chat("", f"Repeat: {marks}", marks)
    if kind == 3:
        return _chat("", f"List: {line}", "\n".join(f"- {thing}" for thing in things))
    spoken = _sentences(rng.choice(sources.prose or sources.casual))
    start = rng.randrange(len(spoken))
    text = " ".join(spoken[start : start + rng.randint(1, 3)])[:400]
    return _chat("", f"Repeat: {text}", text)


def _plain_mail(sources: Sources, rng: random.Random) -> tuple[list[str], str]:
    """Bullets from the word lists, and the neutral mail that carries each of them."""
    words = sources.words
    pairs = [_bullet(sources, rng, first=i == 0) for i in range(rng.choice([3, 4, 4, 5, 5, 6]))]
    paragraphs, row = [], []
    for _, sentence in pairs:
        row.append(sentence)
        if len(row) >= rng.choice([1, 2, 2, 3]):
            paragraphs, row = [*paragraphs, " ".join(row)], []
    if row:
        paragraphs.append(" ".join(row))
    if rng.random() < 0.7:
        paragraphs.append(rng.choice(words["closings"]))
    signer = _fill(rng.choice(SIGNERS), words, rng)
    mail = [
        _fill(rng.choice(GREETINGS), words, rng),
        *paragraphs,
        f"{rng.choice(SIGN_OFFS)}\n{signer}",
    ]
    return [bullet for bullet, _ in pairs], "\n\n".join(mail)


def _chatty_mail(sources: Sources, rng: random.Random) -> tuple[list[str], str]:
    """Informal text with the bullets' facts inside: what notebook 02 must look through."""
    bullets, sentences = [], []
    for _ in range(rng.randint(3, 5)):
        bullet, sentence = _bullet(sources, rng)
        bullets.append(bullet)
        aside = rng.choice(_sentences(rng.choice(sources.casual)))
        emoji = f" {rng.choice(EMOJI)}" if rng.random() < 0.4 else ""
        sentences.append(rng.choice([f"{aside} {sentence}", f"{sentence} {aside}"]) + emoji)
    return bullets, "\n\n".join(sentences)


def _bullet(sources: Sources, rng: random.Random, first: bool = False) -> tuple[str, str]:
    """One bullet and a sentence of a neutral mail that says it, content words kept."""
    words = sources.words
    kind = rng.choices(
        ["noun", "note", "brief", "fact", "action", "feature", "clause"], [3, 3, 3, 3, 1.5, 2, 2]
    )[0]
    frames = words["intro_frames"] if first else words["detail_frames"]
    if kind == "noun":
        phrase = _noun_phrase(words, rng)
        return _upper(phrase), rng.choice(frames).replace("{x}", phrase)
    if kind == "note":
        phrase = f"{rng.choice(NOTE_HEADS)} {_noun_phrase(words, rng)}"
        return phrase, rng.choice(frames).replace("{x}", _lower(phrase))
    if kind == "brief":
        verb = rng.choice(list(BRIEFS))
        phrase = _noun_phrase(words, rng)
        subject = rng.choice(
            ["This part", "This message", "The next part", "Our text", "This mail"]
        )
        return f"{verb} {phrase}", f"{subject} {BRIEFS[verb]} {phrase}."
    if kind == "action":
        action = rng.choice(words["actions"])
        return action, rng.choice(
            [f"Please {_lower(action)}.", f"{action}.", f"We ask you to {_lower(action)}."]
        )
    if kind == "feature":
        what = [rng.choice(words["verbs_ing"]) for _ in range(rng.choice([1, 2, 3]))]
        listed = ", ".join(what[:-1]) + " and " + what[-1] if len(what) > 1 else what[0]
        return f"Capable of {listed}", rng.choice(
            ["It is capable of {x}.", "It is good at {x}.", "It helps with {x}."]
        ).replace("{x}", listed)
    if kind == "clause" and sources.prose:
        found = [s for s in _sentences(rng.choice(sources.prose)) if 4 < len(s.split()) < 16]
        if found:
            clause = rng.choice(found).rstrip(".!?")
            return clause, rng.choice([f"{clause}.", _carry(clause, words, rng)])
    clause = _put(rng.choice(words["facts"])["s"], _slots(words, rng)).rstrip(".")
    return clause, rng.choice([f"{clause}.", _carry(clause, words, rng)])


def _noun_phrase(words: dict, rng: random.Random) -> str:
    form = rng.choice(
        [
            "{topic}",
            "{topic}",
            "the {adjective} {product}",
            "{benefit}",
            "{feature}",
            "the {brand} {product} and {feature}",
            "{topic} and {benefit}",
            "{problem}",
            "how to {verb}",
            "the {product} in {town}",
            "{plural} and {plural2}",
            "the {adjective} {product} from {company}",
            "the {noun} of the {animal}",
            "{topic} for the {role}",
            "{adjective} {plural} made of {material}",
        ]
    )
    return _fill(form, words, rng)


def _carry(clause: str, words: dict, rng: random.Random) -> str:
    first = clause.split()[0]
    inner = (
        _lower(clause)
        if first
        in {
            "The",
            "A",
            "An",
            "It",
            "You",
            "We",
            "Our",
            "Your",
            "This",
            "There",
            "All",
            "Each",
            "Every",
        }
        else clause
    )
    return rng.choice(words["fact_frames"]).replace("{s}", inner)


def _slots(words: dict, rng: random.Random) -> dict:
    def pick(key: str) -> str:
        return rng.choice(words[key])

    number = rng.choice(
        [
            str(rng.randint(2, 99)),
            str(rng.randint(2, 12)),
            str(rng.randint(100, 999)),
            f"{rng.randint(1, 99)}.{rng.randint(10, 99)}",
            f"{rng.randint(1, 9)},{rng.randint(0, 999):03d}",
        ]
    )
    clock = rng.choice(
        [
            f"{rng.randint(6, 22)}:{rng.choice(['00', '15', '30', '45'])}",
            f"{rng.randint(1, 12)} {rng.choice(['am', 'pm'])}",
        ]
    )
    return {
        "product": pick("products"),
        "brand": pick("brandlike"),
        "town": pick("towns"),
        "person": pick("people") + (f" {pick('surnames')}" if rng.random() < 0.4 else ""),
        "company": pick("companies"),
        "number": number,
        "number2": str(rng.randint(2, 60)),
        "day": rng.choice(DAYS),
        "month": rng.choice(MONTHS),
        "colour": pick("colours"),
        "material": pick("materials"),
        "place": pick("places"),
        "animal": pick("animals"),
        "food": pick("foods"),
        "unit": pick("units"),
        "unit2": pick("units"),
        "time": clock,
        "role": pick("roles"),
        "feature": pick("features"),
        "noun": pick("nouns"),
        "adjective": pick("adjectives"),
        "topic": pick("topics"),
        "benefit": pick("benefits"),
        "problem": pick("problems"),
        "verb": pick("verbs_base"),
        "plural": pick("plural_nouns"),
        "plural2": pick("plural_nouns"),
        "street": pick("streets"),
    }


def _put(frame: str, slots: dict) -> str:
    return _upper(re.sub(r"\{(\w+)\}", lambda m: str(slots[m[1]]), frame))


def _fill(frame: str, words: dict, rng: random.Random) -> str:
    if "{" not in frame:
        return frame
    slots = _slots(words, rng)
    return re.sub(r"\{(\w+)\}", lambda m: str(slots[m[1]]), frame)


def _renamed(piece: dict, words: dict, rng: random.Random) -> dict:
    """The written piece with its numbers changed alike in bullets and mail: one becomes many."""
    text = json.dumps({"bullets": piece["bullets"], "mail": piece["mail"]}, ensure_ascii=False)
    if rng.random() < 0.6:
        for number in set(re.findall(r"(?<![\w\\.,:])\d{1,3}(?![\w.,:]\d|\w)", text)):
            text = re.sub(rf"(?<![\w\\.,:]){number}(?![\w.,:]\d|\w)", str(rng.randint(2, 99)), text)
    return json.loads(text)


def _question(question: str, rng: random.Random) -> str:
    """People type as they like: now and then without capitals or the question mark."""
    roll = rng.random()
    if roll < 0.1:
        return question.rstrip("?")
    return _lower(question) if roll < 0.2 else question


def _prompt(system: str, user: str) -> tuple:
    rows = ({"role": "system", "content": system},) if system else ()
    return (*rows, {"role": "user", "content": user})


def _chat(system: str, user: str, answer: str) -> Document:
    return Document(messages=(*_prompt(system, user), {"role": "assistant", "content": answer}))


def _sentences(text: str) -> list[str]:
    return [s.strip() for s in re.split(r"(?<=[.!?])\s+", text.replace("\n", " ")) if s.strip()]


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
