"""Score a base model on the held-out sets. Run as: python -m helpers.local_platform.evaluate

Nothing in `data/base_model/eval` shares eight words in a row with the training text. The tasks of
the base model are answered greedily; ChrisGPT, the FAQ and the extraction are fine-tuned first,
with the platform's own training loop and the settings of the notebooks.

This command sits above the platform and the course alike: it scores with the measures that the
notebooks use, on the data that they use. The platform itself knows neither.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from helpers import dataset, evaluation
from helpers.local_platform import modeling, training
from helpers.local_platform.embedding import Embedder
from helpers.local_platform.generation import GenerationRequest, Generator, merge_adapter
from helpers.local_platform.grammar import sentences

EVAL = modeling.SHIPPED_BASE_MODEL / "eval"
UNKNOWN = "I don't know."
BATCH = 16
MAIL_PROMPT = "You write e-mails. The user gives the points."
PLAIN_PROMPT = "Answer the question in one sentence. If you do not know, say: I don't know."
CONTEXT_PROMPT = (
    "Answer the question from the context in one sentence. "
    "If the context lacks the answer, say: I don't know."
)
SAMPLED = {1: "mails", 3: "contexts", 4: "questions", 5: "messages"}  # task 2 shares the mails
SYSTEM_ORDER = [
    {
        "role": "system",
        "content": "Write the message as JSON: request, customer, items, when, delivery.",
    }
]
POINTS_TOOL = {
    "type": "function",
    "function": {
        "name": "write_draft",
        "description": "Store the notes that an e-mail was written from.",
        "parameters": {
            "type": "object",
            "properties": {
                "bullets": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 3,
                    "maxItems": 6,
                }
            },
            "required": ["bullets"],
        },
    },
}


@dataclass(frozen=True)
class Score:
    """A line of the table: what was measured, its mean (0 to 1, or seconds) and the cases."""

    what: str
    value: float
    cases: int
    unit: str = "%"

    def line(self) -> str:
        shown = f"{self.value:.1%}" if self.unit == "%" else f"{self.value:.2f} {self.unit}"
        return f"| {self.what} | {shown} | {self.cases} |"


def read(name: str) -> list[dict]:
    """The rows of one held-out set."""
    text = (EVAL / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@torch.inference_mode()
def answer_all(
    model,
    tokenizer,
    prompts: Sequence[list[dict]],
    max_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
) -> list[str]:
    """Answers to many prompts, a batch at a time; greedy unless a temperature is given."""
    tokenizer.padding_side = "left"
    texts = [modeling.render(tokenizer, p, add_generation_prompt=True) for p in prompts]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    answers = [""] * len(texts)
    torch.manual_seed(seed)
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        batch = tokenizer(
            [texts[i] for i in chosen], return_tensors="pt", padding=True, add_special_tokens=False
        )
        room = modeling.context_length(model) - batch["input_ids"].shape[1]
        sampling = {"temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {}
        out = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=min(max_tokens, room),
            do_sample=bool(temperature),
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=sorted(modeling.stop_token_ids(model, tokenizer)),
            **sampling,
        )
        for i, row in zip(chosen, out[:, batch["input_ids"].shape[1] :], strict=True):
            answers[i] = tokenizer.decode(row, skip_special_tokens=True).strip()
    return answers


def prompt(system: str, user: str) -> list[dict]:
    """A system and a user message."""
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


def well_formed(texts: Sequence[str]) -> list[bool]:
    """For each sentence of the texts, whether Harper finds no fault with it and it has an end stop.

    Harper (https://writewithharper.com) is an offline grammar checker. Its findings on spelling
    (invented names), wording and style are left out. Greetings, sign-offs and list items are no
    sentences and are not counted.
    """
    import harper  # a development tool: only this measure needs it

    linter = harper.Linter(dialect=harper.Dialect.BRITISH)
    left_out = ("Spelling", "Style", "WordChoice", "Enhancement", "Readability", "Regionalism")
    judged = []
    for text in texts:
        for sentence in sentences_of(text):
            faults = [
                lint
                for lint in linter.lint(sentence)
                if not any(kind.lower() in lint.lint_kind.lower() for kind in left_out)
            ]
            judged.append(not faults and sentence[-1] in ".!?:" and sentence[0].isupper())
    return judged


def sentences_of(mail: str) -> list[str]:
    """The sentences of a mail's paragraphs: lines that do not end in a comma and have 4 words."""
    found = []
    for paragraph in mail.split("\n\n")[1:]:
        if not paragraph.split("\n")[0].rstrip().endswith(","):
            found += [s for s in sentences(paragraph) if len(s.split()) > 3]
    return found


@torch.inference_mode()
def task_bits(model, tokenizer) -> list[Score]:
    """Bits per character of the held-out mails, given their points: log2 loss over characters."""
    rows, bits, characters = read("mails"), 0.0, 0
    for row in rows:
        messages = prompt(MAIL_PROMPT, dataset.user_message(row["bullets"]))
        answer = {"role": "assistant", "content": row["mail"]}
        ids, mask = modeling.encode_example(tokenizer, {"messages": [*messages, answer]})
        logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].float()
        losses = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
        bits += (losses * torch.tensor(mask[1:])).sum().item() / math.log(2)
        characters += len(row["mail"])
    return [Score("held-out mails, given their points", bits / characters, len(rows), "bits/char")]


def task_mails(model, tokenizer) -> list[Score]:
    """Task 1: points to a plain mail."""
    rows = read("mails")
    prompts = [prompt(MAIL_PROMPT, dataset.user_message(row["bullets"])) for row in rows]
    mails = answer_all(model, tokenizer, prompts, 320)
    covered = [evaluation.coverage(r["bullets"], mail) for r, mail in zip(rows, mails, strict=True)]
    judged = well_formed(mails)
    return [
        Score("task 1: content words of the points in the mail", mean(covered), len(rows)),
        Score("task 1: well-formed sentences (Harper)", mean(judged), len(judged)),
    ]


def points_of(generator: Generator, mail: str) -> str:
    """The arguments of the tool call that notes a mail's points: JSON, held to its schema."""
    request = GenerationRequest(
        messages=prompt("Write the short draft that this e-mail came from.", mail),
        tools=[POINTS_TOOL],
        tool_choice={"type": "function", "function": {"name": "write_draft"}},
        temperature=0.0,
        max_tokens=300,
    )
    return "".join(p.tool_call.arguments for p in generator.stream(request) if p.tool_call)


def task_points(folder: Path) -> list[Score]:
    """Task 2: a mail to its points, by a tool call held to its schema."""
    rows, generator, valid, found = read("mails"), Generator(str(folder)), [], []
    for row in rows:
        try:
            points = json.loads(points_of(generator, row["mail"]))["bullets"]
        except (ValueError, KeyError):
            valid.append(False)
            continue
        valid.append(True)
        found.append(evaluation.coverage(points, row["mail"]))
    return [
        Score("task 2: valid structured output", mean(valid), len(valid)),
        Score("task 2: content words of the points that the mail holds", mean(found), len(found)),
    ]


def task_contexts(model, tokenizer) -> list[Score]:
    """Task 3: an answer from the context, or the admission that it lacks one."""
    rows = read("contexts")
    prompts = [
        prompt(CONTEXT_PROMPT, with_context(row["context"], row["question"])) for row in rows
    ]
    answers = answer_all(model, tokenizer, prompts, 60)
    pairs = list(zip(rows, answers, strict=True))
    known = [same(row["answer"], answer) for row, answer in pairs if row["answer"]]
    lacking = [same(UNKNOWN, answer) for row, answer in pairs if not row["answer"]]
    return [
        Score("task 3: the exact answer from the context", mean(known), len(known)),
        Score('task 3: "I don\'t know" where the context lacks it', mean(lacking), len(lacking)),
    ]


def task_questions(model, tokenizer) -> list[Score]:
    """Task 4: no answer invented where there is no context."""
    rows = read("questions")
    prompts = [prompt(PLAIN_PROMPT, row["question"]) for row in rows]
    answers = answer_all(model, tokenizer, prompts, 40)
    honest = [same(UNKNOWN, answer) for answer in answers]
    return [Score("task 4: no invented fact", mean(honest), len(honest))]


def task_messages(model, tokenizer) -> list[Score]:
    """Task 5: the named fields of a message as JSON, before any tuning."""
    rows = read("messages")
    answers = answer_all(model, tokenizer, [fields_prompt(row) for row in rows], 120)
    exact = [as_json(answer) == row["answer"] for row, answer in zip(rows, answers, strict=True)]
    return [Score("task 5: every field right, before tuning", mean(exact), len(exact))]


def fields_prompt(row: dict) -> list[dict]:
    """The conversation that asks for the named fields of a message."""
    asked = f"Fields: {', '.join(row['fields'])}\n\n{row['message']}"
    return prompt("Write the named fields as JSON.", asked)


def samples(model, tokenizer, folder: Path, count: int, seed: int = 1) -> str:
    """Markdown of `count` unselected samples: as many of each task, drawn with the seed."""
    random_rows = random.Random(seed)
    drawn = {name: random_rows.sample(read(name), count // 5) for name in SAMPLED.values()}
    mails = drawn["mails"]
    prompts = {
        "Task 1": [prompt(MAIL_PROMPT, dataset.user_message(row["bullets"])) for row in mails],
        "Task 3": [
            prompt(CONTEXT_PROMPT, with_context(row["context"], row["question"]))
            for row in drawn["contexts"]
        ],
        "Task 4": [prompt(PLAIN_PROMPT, row["question"]) for row in drawn["questions"]],
        "Task 5": [fields_prompt(row) for row in drawn["messages"]],
    }
    pairs = [
        (task, asked[-1]["content"], answer)
        for task, every in prompts.items()
        for asked, answer in zip(every, answer_all(model, tokenizer, every, 320), strict=True)
    ]
    generator = Generator(str(folder))
    pairs += [("Task 2", row["mail"], points_of(generator, row["mail"])) for row in mails]
    return "\n\n".join(
        f"**{task}**\n\n```text\n{asked}\n```\n\n```text\n{answer}\n```"
        for task, asked, answer in sorted(pairs, key=lambda pair: pair[0])
    )


def fine_tune(
    folder: Path, examples: list[dict], job: Path, epochs: int | str = "auto", rate: float = 1.0
) -> tuple[object, object, float]:
    """Train an adapter, its learning rate times `rate`, else with automatic settings.

    Returns (merged model, tokenizer, seconds).
    """
    file = dataset.write_jsonl(job / "training.jsonl", examples)
    chosen = training.auto_hyperparameters(
        len(examples), {"n_epochs": epochs, "learning_rate_multiplier": rate}
    )
    started = time.perf_counter()
    training.train(
        training.TrainingSpec(str(folder), None, file, None, seed=1, job_dir=job, **chosen),
        lambda kind, data: None,
    )
    seconds = time.perf_counter() - started
    model, tokenizer = modeling.load_base(str(folder))
    last = max((job / "checkpoints").glob("step-*"), key=lambda p: int(p.name[5:]))
    return merge_adapter(model, last), tokenizer, seconds


def task_chris(folder: Path, job: Path) -> list[Score]:
    """ChrisGPT as in notebook 04: 150 mails, 3 epochs; 30 topic lists that no mail is about."""
    examples = dataset.build_examples()[:150]
    model, tokenizer, seconds = fine_tune(folder, examples, job, rate=1.6)
    rows = read("topics")
    system = dataset.system_prompt()
    prompts = [prompt(system, dataset.user_message(row["bullets"])) for row in rows]
    mails = answer_all(model, tokenizer, prompts, 600, temperature=0.7, top_p=0.9)
    (job / "mails.json").write_text(json.dumps(mails, ensure_ascii=False), encoding="utf-8")
    style = [all(evaluation.style_markers(mail).values()) for mail in mails]
    covered = [evaluation.coverage(r["bullets"], m) for r, m in zip(rows, mails, strict=True)]
    repeated = [evaluation.repeated_ngrams(mail) for mail in mails]
    return [
        Score("ChrisGPT: greeting, sign-off and emoji", mean(style), len(style)),
        Score("ChrisGPT: content words of the points in the mail", mean(covered), len(covered)),
        Score("ChrisGPT: repeated 4-grams", mean(repeated), len(repeated)),
        Score("ChrisGPT: training, 150 mails and 3 epochs", seconds, len(examples), "s"),
    ]


def task_faq(folder: Path, job: Path) -> list[Score]:
    """The FAQ of notebook 06 by fine-tuning, by retrieval (the first passage found) and by both."""
    faq, changed = (read_data(f"faq/{name}.jsonl") for name in ("faq", "changed_facts"))
    base = modeling.load_base(str(folder))
    tuned = fine_tune(folder, faq_examples(faq), job, epochs=11)[:2]
    now = {row["id"]: row for row in changed}
    known = [entry for entry in faq if entry["id"] not in now]
    asked = {
        "trained wording": [(entry["question"], entry["key"]) for entry in known],
        "paraphrase": [(text, entry["key"]) for entry in known for text in entry["paraphrases"]],
        "changed fact": [(e["question"], now[e["id"]]["key"]) for e in faq if e["id"] in now],
    }
    entries = [{**entry, **now.get(entry["id"], {})} for entry in faq]
    find = searcher(entries)
    scores = []
    for group, pairs in asked.items():
        bare = [prompt(PLAIN_PROMPT, question) for question, _ in pairs]
        found = [prompt(CONTEXT_PROMPT, with_context([find(q)], q)) for q, _ in pairs]
        ways = [("fine-tuned", tuned, bare), ("retrieval", base, found), ("both", tuned, found)]
        for name, (model, tokenizer), prompts in ways:
            answers = answer_all(model, tokenizer, prompts, 60)
            right = [
                evaluation.contains_answer(answer, key)
                for answer, (_, key) in zip(answers, pairs, strict=True)
            ]
            scores.append(Score(f"FAQ, {name}: {group}", mean(right), len(right)))
    return scores


def task_orders(folder: Path, job: Path) -> list[Score]:
    """Messages to nested JSON: three examples in the prompt, then fine-tuned on 70 % of them."""
    rows = read_data("orders/orders.jsonl")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(7)).tolist()
    cut = round(0.7 * len(rows))
    shown, held_out = ([rows[i] for i in part] for part in (order[:cut], order[cut:]))

    def examine(name: str, model, tokenizer, before: list[dict]) -> Score:
        prompts = [[*before, order_messages(row)[1]] for row in held_out]
        answers = answer_all(model, tokenizer, prompts, 220)
        exact = [as_json(a) == row["gold"] for a, row in zip(answers, held_out, strict=True)]
        return Score(f"extraction, {name}: every field right", mean(exact), len(exact))

    base, tokenizer = modeling.load_base(str(folder))
    few = [message for row in shown[:3] for message in order_messages(row)[1:]]
    few_shot = examine("three examples in the prompt", base, tokenizer, [*SYSTEM_ORDER, *few])
    examples = [{"messages": order_messages(row)} for row in shown]
    model, tokenizer, _ = fine_tune(folder, examples, job, epochs=8)
    return [few_shot, examine("fine-tuned", model, tokenizer, SYSTEM_ORDER)]


def order_messages(row: dict) -> list[dict]:
    """The conversation of one order: system prompt, message with the day it was sent, record."""
    gold = json.dumps(row["gold"], ensure_ascii=False)
    return [
        *prompt(SYSTEM_ORDER[0]["content"], f"Sent on {row['sent']}\n\n{row['message']}"),
        {"role": "assistant", "content": gold},
    ]


def faq_examples(faq: list[dict]) -> list[dict]:
    """Training examples as in notebook 06: each question bare and with its passage, a few with
    a passage that does not help."""
    examples = []
    for number, entry in enumerate(faq):
        question, answer = entry["question"], entry["answer"]
        stray = with_context([faq[(number + 7) % len(faq)]["answer"]], question)
        pairs = [(PLAIN_PROMPT, question, answer)]
        pairs.append((CONTEXT_PROMPT, with_context([answer], question), answer))
        if number % 12 == 1:  # as there, where every third entry from the first is in the test
            pairs.append((CONTEXT_PROMPT, stray, UNKNOWN))
        examples += [
            {"messages": [*prompt(system, user), {"role": "assistant", "content": reply}]}
            for system, user, reply in pairs
        ]
    return examples


def searcher(entries: list[dict]) -> Callable[[str], str]:
    """A function from a question to the answer of the entry nearest to it in meaning."""
    embedder = Embedder()
    vectors = np.stack(embedder.embed([f"{e['question']} {e['answer']}" for e in entries])[0])

    def find(question: str) -> str:
        return entries[int(np.argmax(vectors @ embedder.embed([question])[0][0]))]["answer"]

    return find


def with_context(passages: Sequence[str], question: str) -> str:
    """The user's message of a question that is to be answered from passages."""
    return "Context:\n" + "\n".join(f"- {p}" for p in passages) + f"\n\nQuestion: {question}"


def read_data(name: str) -> list[dict]:
    """The rows of a JSONL file of the course's data."""
    return dataset.read_jsonl(modeling.SHIPPED_BASE_MODEL.parent / name)


def same(expected: str, answer: str) -> bool:
    """Equal but for case, spacing and a final stop."""

    def plain(text: str) -> str:
        return " ".join(text.lower().split()).rstrip(".")

    return plain(expected) == plain(answer)


def as_json(text: str) -> dict | None:
    """The text read as JSON, or None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def mean(values: Sequence[float]) -> float:
    """The mean, and 0 where there is nothing to average."""
    return statistics.fmean(values) if values else 0.0


def main(arguments: list[str] | None = None) -> list[Score]:
    """Score a model on the tasks asked for and print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=modeling.SHIPPED_BASE_MODEL)
    parser.add_argument("--only", nargs="*", help="base, chris, faq, orders")
    parser.add_argument("--samples", type=int, help="print that many samples instead of the table")
    options = parser.parse_args(arguments)
    wanted = set(options.only or ["base", "chris", "faq", "orders"])
    model, tokenizer = modeling.load_base(str(options.model))
    if options.samples:
        print(samples(model, tokenizer, options.model, options.samples))
        return []
    print("| what | measured | cases |\n|---|---|---|", flush=True)
    scores: list[Score] = []

    def report(found: list[Score]) -> None:
        scores.extend(found)
        print("\n".join(score.line() for score in found), flush=True)

    if "base" in wanted:
        report(task_bits(model, tokenizer))
        report(task_mails(model, tokenizer))
        report(task_points(options.model))
        report(task_contexts(model, tokenizer))
        report(task_questions(model, tokenizer))
        report(task_messages(model, tokenizer))
    for name, measure in (("chris", task_chris), ("faq", task_faq), ("orders", task_orders)):
        if name in wanted:
            with tempfile.TemporaryDirectory() as job:
                report(measure(options.model, Path(job)))
    return scores


if __name__ == "__main__":
    main()
