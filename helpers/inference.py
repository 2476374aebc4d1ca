"""Asking a model for a mail, and keeping what it said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from openai import OpenAI

from helpers import config, dataset

AT_ONCE = 8  # requests under way at a time; hosted providers have limits on how many


@dataclass(frozen=True)
class Answer:
    """What came back: the text, how long it took, and the tokens that a provider bills."""

    text: str
    seconds: float
    prompt_tokens: int
    completion_tokens: int
    finish_reason: str


def ask(
    client: OpenAI,
    model: str,
    topics: str | Sequence[str],
    system: str | None = None,
    *,
    temperature: float = 0.7,
    top_p: float = 0.9,
    max_tokens: int = 800,
    seed: int | None = None,
) -> Answer:
    """Ask for a mail about topics: a list of bullets, or text that is sent as it is.

    `system` is the prompt that ChrisGPT was trained with, unless another is given: a tuned model
    asked with a prompt it never saw is a worse model.
    """
    user = topics if isinstance(topics, str) else dataset.user_message(topics)
    start = time.perf_counter()
    reply = client.chat.completions.create(
        model=model,
        messages=[
            {"role": "system", "content": dataset.system_prompt() if system is None else system},
            {"role": "user", "content": user},
        ],
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        seed=seed,
    )
    choice = reply.choices[0]
    return Answer(
        choice.message.content or "",
        time.perf_counter() - start,
        reply.usage.prompt_tokens,
        reply.usage.completion_tokens,
        choice.finish_reason,
    )


def ask_all(
    client: OpenAI,
    model: str,
    lists: Sequence[str | Sequence[str]],
    system: str | None = None,
    *,
    seed: int = 0,
    **sampling,
) -> list[Answer]:
    """Ask for a mail about each of the lists, several at once; the answers in their order.

    Args: `seed` of the first, and one more for each; `sampling` as in `ask`.
    """

    def one(topics: str | Sequence[str], number: int) -> Answer:
        return ask(client, model, topics, system, seed=number, **sampling)

    return at_once(one, lists, count(seed))


def at_once(send: Callable, *arguments: Iterable) -> list:
    """`list(map(send, *arguments))`, but AT_ONCE calls are under way at a time.

    A server that waits for several answers writes them together, in little more time than one.
    Raises: what the first call that failed raised; those not yet sent are not.
    """
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(send, *arguments))
    finally:
        pool.shutdown(cancel_futures=True)


def save_answer(text: str, stem: str, folder: Path | None = None) -> Path:
    """Save a text as `<stem>.txt`, `<stem>-2.txt`, ...: no answer ever replaces another.

    A name made from the clock collides when two answers come in one second; here the file system
    itself decides, because mode "x" creates a file or fails.
    """
    folder = folder or config.OUTPUT / "answers"
    folder.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = folder / (f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt")
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            return path
        except FileExistsError:
            number += 1
