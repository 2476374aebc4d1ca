"""The base model's tokenizer: what it cuts, and that a word keeps its shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.local_platform import vocabulary

TEXTS = ["the clock in the cellar stopped, and the keeper mended the clock"] * 20 + ["Hello, Tom"]
SIZE = 330


@pytest.fixture(scope="module")
def plain():
    return vocabulary.train_bpe(TEXTS, 300)


@pytest.fixture(scope="module")
def widened(plain):
    return vocabulary.add_forms(plain, TEXTS, SIZE)


def test_the_commonest_words_are_one_token_in_each_form(plain, widened):
    assert len(plain.encode("Clock").tokens) > 1
    for form in vocabulary.forms_of("the") + vocabulary.forms_of("clock"):
        assert len(widened.encode(form).tokens) == 1, form
    assert widened.encode("Clocks").tokens == ["Clock", "s"]  # its other forms begin alike
    assert widened.encode(" clocks").tokens == ["Ġclock", "s"]


def test_it_grows_to_the_size_asked_for_and_keeps_what_it_had(plain, widened):
    assert SIZE - 5 < widened.get_vocab_size() <= SIZE
    assert plain.get_vocab().items() <= widened.get_vocab().items()
    assert sorted(widened.get_vocab().values()) == list(range(widened.get_vocab_size()))


@given(text=st.text())
def test_any_text_survives_and_none_takes_more_tokens(plain, widened, text):
    encoded = widened.encode(text)
    assert widened.decode(encoded.ids) == text
    assert len(encoded.ids) <= len(plain.encode(text).ids)
