"""The pre-training recipe at smoke size, and the corpus that feeds it."""

from __future__ import annotations

import json
import random
from itertools import islice

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from helpers.local_platform import corpus, deeds, pretrain, records

ORTHOGONAL = torch.optim._muon._zeropower_via_newtonschulz  # before a test replaces it
SMALL = [
    "--vocabulary", "600", "--width", "64", "--layers", "2", "--batch", "512", "--batches", "1",
    "--threads", "1", "--seed", "3",
]  # fmt: skip


@pytest.fixture(scope="module")
def sources():
    return corpus.load_sources()


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(pretrain.HERE)


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
        messages = getattr(corpus, f"_answer_from_{kind}")(sources, rng).messages
        context = next(m["content"] for m in messages if m["role"] == "user")
        answers += [m["content"] for m in messages if m["role"] == "assistant"]
        assert messages[-1]["content"] == corpus.UNKNOWN or messages[-1]["content"] in context
    assert 0.1 < answers.count(corpus.UNKNOWN) / len(answers) < 0.4


def test_the_choice_in_a_short_answer_weighs_more_than_its_copying_or_a_long_answer():
    long, short = pretrain.SHORT_ANSWER + 1, 6
    weights = pretrain._weights([0] * 5 + [1] * short + [0] * 2 + [1] * long)
    assert len(weights) == 5 + short + 2 + long
    prompt, choice, copied, mail = weights[0], weights[5], weights[5 + short - 1], weights[-1]
    assert prompt < mail < copied < choice


def test_what_the_assistant_copied_is_known_by_its_place_and_the_rest_is_not():
    said = [9, 20, 21, 22, 23, 24, 9, 21, 22, 23]
    answer = [30, 21, 22, 23, 24, 31, 22, 23, 24]  # the second run is one token short
    mask = [0] * len(said) + [1] * len(answer)
    origins = pretrain._origins(said + answer, mask)
    # The token before a run counts as copied, for its space or its capital may have changed.
    assert origins == [-1] * len(said) + [1, 2, -1, -1, -1, -1, -1, -1, -1]


def test_the_tokens_that_open_a_value_weigh_more(tokenizer):
    document = corpus._chat("", "Two mugs.", '{"name": "mug", "count": 2, "colour": null}')
    ids, weights, _ = pretrain.encode(tokenizer, document)
    heavy = [weight == pretrain.VALUE_WEIGHT for weight in weights]
    said = "".join(tokenizer.decode([i]) for i, h in zip(ids, heavy, strict=True) if h)
    assert said == ' "mug 2 null}'  # two tokens of each value


def test_what_a_deed_does_not_tell_is_not_in_its_statement(sources):
    rng = random.Random(8)
    for _ in range(200):
        about = deeds.subject(sources.words, rng)
        for fact in deeds.facts(about, sources.words, rng, 3):
            assert fact.questions
            assert not set(fact.questions) & set(fact.unanswered)
            assert all(q[0].isupper() and q.endswith("?") for q in fact.questions)
            assert all(q[0].isupper() and q.endswith("?") for q in fact.unanswered)


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


def test_a_title_is_kept_only_where_no_first_name_is_told(sources):
    rng = random.Random(10)
    named = [records._customer(sources.words, rng) for _ in range(2000)]
    kept = [(written, name) for written, name in named if written != name]
    assert all(written.endswith(f" {name}") for written, name in kept)
    titles = {written.removesuffix(name).strip() for written, name in kept}
    assert titles == {"Family", *sources.words["orders"]["title"]}
    assert any(name.startswith("Mrs ") for _, name in named)


def test_the_things_with_a_fault_are_what_the_customer_names(sources):
    rng, counts = random.Random(11), set()
    for kind in ("repair", "return"):
        for _ in range(200):
            (spoken,), things = records._fault(kind, sources.words, rng)
            counts.add(len(things))
            for product, count, colour in things:
                assert product.lower() in spoken.lower()
                assert (count, colour) == (1, None)
            assert "{" not in spoken
    assert counts == {1, 2}


def test_many_of_the_things_to_copy_are_no_token(sources, tokenizer):
    rng = random.Random(12)
    things = [records._product(sources.words, rng) for _ in range(300)]
    cut = [any(len(tokenizer(f" {w}")["input_ids"]) > 2 for w in t.split()) for t in things]
    assert 0.25 < sum(cut) / len(cut) < 0.6


def test_a_question_weighs_most_where_a_name_alone_would_mislead():
    context = ["The ice rink is smoothed hourly.", "The music is chosen by a skater."]
    asked = ["Who chooses the music at the ice rink?", "Who picks the music?", "Who is the DJ?"]
    piece = {"context": context, "qa": [[question, 1] for question in asked]}
    assert corpus._weighed(piece)["weights"] == [2.0, 1.0, 0.5]


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


@pytest.mark.parametrize("shape", [(12, 40), (40, 12)])
def test_muon_without_bfloat16_turns_a_gradient_into_the_same_matrix(shape):
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(4))
    dials = (3.4445, -4.775, 2.0315), 5, 1e-7
    expected = ORTHOGONAL(gradient, *dials).float()
    assert torch.allclose(pretrain.orthogonal(gradient, *dials), expected, atol=0.03)


def _stop_after(options, steps: int) -> None:
    """Run with a schedule that raises at a step, as an interrupt would."""
    plain = pretrain.schedule

    def interrupted(step: int, total: int, decay: float) -> float:
        if step == steps:
            raise KeyboardInterrupt
        return plain(step, total, decay)

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
    assert config["model_type"] == "copy_llama"
