"""The pre-training recipe at smoke size, and the corpus that feeds it."""

from __future__ import annotations

import json
import random
from itertools import islice

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from helpers.local_platform import corpus, deeds, pretrain, records

SMALL = [
    "--vocabulary", "600", "--width", "64", "--layers", "2", "--context", "256", "--rows", "2",
    "--threads", "1", "--seed", "3",
]  # fmt: skip


@pytest.fixture(scope="module")
def sources():
    return corpus.load_sources()


def test_the_stream_of_documents_is_a_function_of_the_seed(sources):
    first, again, other = (list(islice(corpus.documents(sources, seed), 60)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_every_grammar_fills_every_slot(sources):
    for document in islice(corpus.documents(sources, 5), 1500):
        text = pretrain._flat(document)
        assert "{x}" not in text
        assert "{s}" not in text
        assert "{product}" not in text


@pytest.mark.parametrize("kind", ["facts", "deeds", "context"])
def test_the_answer_from_a_context_stands_in_the_context_or_is_unknown(sources, kind):
    rng = random.Random(4)
    answers = []
    for _ in range(400):
        prompt, answer = getattr(corpus, f"_answer_from_{kind}")(sources, rng).messages[-2:]
        answers.append(answer["content"])
        assert answer["content"] == corpus.UNKNOWN or answer["content"] in prompt["content"]
    assert 0.1 < answers.count(corpus.UNKNOWN) / len(answers) < 0.4


def test_what_a_deed_does_not_tell_is_not_in_its_statement(sources):
    rng = random.Random(8)
    for _ in range(200):
        about = deeds.subject(sources.words, rng)
        for fact in deeds.facts(about, sources.words, rng, 3):
            assert fact.questions
            assert not set(fact.questions) & set(fact.unanswered)
            assert all(q[0].isupper() and q.endswith("?") for q in fact.questions)


def test_the_values_of_a_record_stand_in_its_message(sources):
    rng = random.Random(9)
    for _ in range(300):
        _, message, record = records.task(sources.words, rng)
        first = next(iter(record.values()))
        if isinstance(first, str) and first in ("order", "return", "repair", "quote", "cancel"):
            _, who, things, _, _ = record.values()
            assert all(value in message for value in who.values() if value)
            for product, count, colour in (thing.values() for thing in things):
                assert product.partition(" of ")[0][:-2].lower() in message.lower()
                assert count >= 1
                assert colour is None or colour in message


def test_a_varied_piece_changes_alike_in_points_and_mail(sources):
    piece = {"bullets": ["a kettle for 12 guests"], "mail": "Kettle ready! It serves 12 guests."}
    seen = set()
    for seed in range(200):
        new = corpus._varied(piece, sources.words, random.Random(seed))
        point, mail = new["bullets"][0], new["mail"]
        things, count = point.split()[1], point.split()[3]
        assert mail.lower().startswith(things)
        assert f"It serves {count} " in mail
        seen.add(point)
    assert len(seen) > 50


def test_no_training_mail_opens_or_ends_like_chris(sources):
    for document in islice(corpus.documents(sources, 6), 1500):
        text = pretrain._flat(document)
        assert "Hey {User}" not in text
        assert "\nChris" not in text


def test_emoji_newlines_and_digits_survive_the_tokenizer(sources):
    tokenizer = pretrain.train_tokenizer(sources, 600, seed=1)
    text = "Hey 🦆🧑‍💻\n\nIt costs 12.50 — naïve, 你好."
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("4096")["input_ids"]) == 4


def test_a_run_that_was_stopped_ends_like_one_that_was_not(tmp_path):
    tokens = ["--tokens", str(2 * 256 * 12)]
    whole = pretrain.train(
        pretrain.parse_arguments([*SMALL, *tokens, "--out", str(tmp_path / "a")])
    )
    half = [*SMALL, *tokens, "--out", str(tmp_path / "b"), "--save-every", "6"]
    options = pretrain.parse_arguments(half)
    with pytest.raises(KeyboardInterrupt):
        _stop_after(options, steps=8)
    resumed = pretrain.train(options)
    assert whole["steps"] == resumed["steps"] == 12
    one, two = (AutoModelForCausalLM.from_pretrained(tmp_path / name) for name in "ab")
    for before, after in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(before, after)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert tokenizer.eos_token == "<|im_end|>"
    assert "generation" in tokenizer.chat_template


def _stop_after(options, steps: int) -> None:
    """Run with a schedule that raises at a step, as an interrupt would."""
    plain = pretrain.schedule

    def interrupted(step: int, total: int) -> float:
        if step == steps:
            raise KeyboardInterrupt
        return plain(step, total)

    pretrain.schedule = interrupted
    try:
        pretrain.train(options)
    finally:
        pretrain.schedule = plain


def test_the_loss_falls_and_the_shipped_model_is_small():
    folder = pretrain.HERE
    weights = folder / "model.safetensors"
    if not weights.exists():
        pytest.fail("data/base_model holds no weights")
    assert weights.stat().st_size < 40e6
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "llama"
