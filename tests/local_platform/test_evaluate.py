"""The held-out sets of the base model: apart from its training text, and gold that can be right."""

from __future__ import annotations

import re
from itertools import islice

import pytest

from helpers.local_platform import corpus, evaluate, pretrain

SETS = ["mails", "contexts", "questions", "messages", "topics"]
LONG = 8  # words in a row that no training text may share with a held-out one


def words_of(value) -> list[str]:
    """All words of a row, in order, whatever its shape."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [word for part in value for word in [*words_of(part), "|"]]
    return re.findall(r"[a-z0-9']+", str(value).lower())


def runs(words: list[str]) -> set[tuple[str, ...]]:
    """Every run of LONG words that crosses no boundary between two texts."""
    found = (tuple(words[i : i + LONG]) for i in range(len(words) - LONG + 1))
    return {run for run in found if "|" not in run}


@pytest.fixture(scope="module")
def held_out() -> set[tuple[str, ...]]:
    return {run for name in SETS for row in evaluate.read(name) for run in runs(words_of(row))}


def test_no_written_piece_shares_eight_words_with_a_held_out_set(held_out):
    sources = corpus.load_sources()
    written = (sources.facts, sources.mails, sources.styled, sources.casual, sources.contexts)
    for part in (sources.words, *written):
        assert not runs(words_of(part)) & held_out


def test_no_document_of_the_training_stream_does_either(held_out):
    sources = corpus.load_sources()
    for document in islice(corpus.documents(sources, 11), 4000):
        assert not runs(words_of(pretrain._flat(document))) & held_out


def test_the_newsletters_and_the_faq_share_no_eight_words_with_the_topics(held_out):
    from helpers import dataset

    for example in dataset.build_examples():
        assert not runs(words_of(example["messages"][2]["content"])) & held_out


@pytest.mark.parametrize("row", evaluate.read("contexts"), ids=lambda row: row["question"][:40])
def test_an_answer_stands_in_its_context(row):
    assert row["answer"] is None or row["answer"] in row["context"]


@pytest.mark.parametrize("row", evaluate.read("messages"), ids=lambda row: row["message"][:40])
def test_every_field_stands_in_its_message(row):
    assert list(row["answer"]) == row["fields"]
    for value in row["answer"].values():
        assert value is None or value in row["message"]
