"""pricing.py: sums, epochs, and a guard that never lets money go unasked."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import config, pricing


@pytest.fixture
def paid(monkeypatch, tmp_path):
    """A paid provider, an empty ledger, no limit set and nobody at the keyboard."""
    monkeypatch.setattr(config, "provider", lambda: SimpleNamespace(name="openai", paid=True))
    monkeypatch.setattr(config, "OUTPUT", tmp_path)
    monkeypatch.delenv("SPEND_LIMIT_USD", raising=False)
    return tmp_path


def five_dollars():
    return pricing.estimate_training(200_000, 5, "gpt-4.1-mini")


def test_training_is_price_times_tokens_times_epochs():
    estimate = five_dollars()
    assert estimate.tokens == 1_000_000
    assert estimate.usd == pytest.approx(5.00)
    assert "5.00 USD" in str(estimate) and pricing.PRICES_AS_OF in str(estimate)


def test_inference_on_a_tuned_model_costs_more():
    plain = pricing.estimate_inference(1000, 500, 200, "gpt-4.1-mini")
    tuned = pricing.estimate_inference(1000, 500, 200, "ft:gpt-4.1-mini-2025-04-14:o:s:1")
    assert plain.usd == pytest.approx(0.52)
    assert tuned.usd == pytest.approx(1.04)
    assert tuned.tokens == 700_000


@pytest.mark.parametrize("model", ["workbook-mini", "ft:workbook-mini:local:chris:abcdefgh"])
def test_the_local_model_is_free(model):
    assert pricing.estimate_training(10**9, 3, model).usd == 0
    assert pricing.estimate_inference(10**6, 500, 500, model).usd == 0


@pytest.mark.parametrize("model", ["gpt-9", "gpt-4o-audio-preview", "claude"])
def test_an_unknown_price_is_an_error(model):
    with pytest.raises(pricing.UnknownPrice, match="PRICES"):
        pricing.estimate_training(1000, 1, model)


def test_a_model_that_cannot_be_tuned():
    with pytest.raises(pricing.UnknownPrice, match="not offered"):
        pricing.estimate_training(1000, 1, "gpt-5.6-luna")
    with pytest.raises(pricing.UnknownPrice, match="fine-tuned"):
        pricing.estimate_inference(1, 1, 1, "ft:gpt-5.6-luna:o:s:1")


def test_every_price_is_a_row_of_the_dated_table():
    table = pricing.price_table()
    assert list(table.index) == [price.model for price in pricing.PRICES]
    assert pricing.PRICES_AS_OF in table.index.name


@pytest.mark.parametrize(
    ("n", "epochs"),
    [(1, 25), (4, 25), (5, 20), (10, 10), (20, 5), (33, 3), (120, 3), (8333, 3), (8334, 2),
     (12_501, 1), (10**6, 1)],
)  # fmt: skip
def test_auto_epochs_as_observed(n, epochs):
    assert pricing.auto_epochs(n) == epochs


@given(st.integers(1, 200_000))
def test_auto_epochs_stay_in_their_bounds(n):
    epochs = pricing.auto_epochs(n)
    assert 1 <= epochs <= 25
    assert epochs == 1 or epochs * n <= 25_000 or n * 3 <= 25_000


def test_no_examples_no_epochs():
    with pytest.raises(ValueError, match="at least one"):
        pricing.auto_epochs(0)


def test_local_is_silent(monkeypatch, capsys):
    monkeypatch.setattr(config, "provider", lambda: SimpleNamespace(name="local", paid=False))

    def never(_):
        raise AssertionError("asked about something free")

    assert pricing.confirm(five_dollars(), ask=never)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("answer", "allowed"), [("yes", True), (" Y ", True), ("no", False),
                                                 ("", False), ("sure", False)])  # fmt: skip
def test_a_person_is_shown_the_estimate_and_asked(paid, capsys, answer, allowed):
    assert pricing.confirm(five_dollars(), ask=lambda _: answer) is allowed
    assert "about 5.00 USD" in capsys.readouterr().out
    assert pricing.allowed_so_far() == (pytest.approx(5.0) if allowed else 0)


def test_nobody_to_ask_means_no(paid, capsys):
    assert not pricing.confirm(five_dollars())
    assert "nothing was sent" in capsys.readouterr().out
    assert not (paid / "spending.jsonl").exists()


def test_the_limit_covers_until_it_is_used_up(paid, monkeypatch, capsys):
    monkeypatch.setenv("SPEND_LIMIT_USD", "12")
    assert [pricing.confirm(five_dollars()) for _ in range(3)] == [True, True, False]
    ledger = (paid / "spending.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["usd"] for line in ledger] == [5.0, 5.0]
    assert "10.00 of it used" in capsys.readouterr().out


def test_a_kernel_without_a_front_end_is_nobody(paid):
    def no_stdin(_):
        raise NotImplementedError("raw_input was called, but this frontend does not support it")

    assert not pricing.confirm(five_dollars(), ask=no_stdin)
