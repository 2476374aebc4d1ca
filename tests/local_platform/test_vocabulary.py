"""The base model's tokenizer: what it cuts, and that a word keeps its shape."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.local_platform import modeling, vocabulary

TEXTS = ["the clock in the cellar stopped, and the keeper mended the boxes and the clocks"] * 20
SIZE = 1000


@pytest.fixture(scope="module")
def small():
    return vocabulary.train([*TEXTS, "Hello, Tom", "Tom has a Clock"], SIZE)


@pytest.fixture(scope="module")
def shipped():
    return modeling.load_base(str(modeling.SHIPPED_BASE_MODEL))[1]


def test_the_commonest_words_are_one_token_in_each_form(small):
    for form in vocabulary.forms_of("clock"):
        assert len(small.encode(form).tokens) == 1, form
    assert small.encode("Clocks").tokens == ["Clock", "s"]
    assert small.encode(" boxes").tokens == small.encode(" box").tokens + ["es"]


def test_it_keeps_to_the_size_asked_for(small):
    assert small.get_vocab_size() <= SIZE
    assert sorted(small.get_vocab().values()) == list(range(small.get_vocab_size()))


@given(text=st.text())
def test_any_text_survives(small, text):
    assert small.decode(small.encode(text).ids) == text


@given(word=st.from_regex(r"[a-z]{1,12}", fullmatch=True))
def test_a_word_is_cut_alike_with_a_space_and_without(small, shipped, word):
    for cut in (lambda text: small.encode(text).tokens, shipped.tokenize):
        alone, after_space = cut(word), cut(f" {word}")
        if after_space[0] == vocabulary.SPACE:  # a rare start: the space stays a token
            assert after_space[1:] == alone
        else:
            assert after_space[0].removeprefix(vocabulary.SPACE) == alone[0]
            assert after_space[1:] == alone[1:]


@pytest.mark.parametrize("word", ["clock", "snorkel", "skipping rope", "puncture kit", "glass"])
def test_the_singular_is_cut_as_the_plural_begins(shipped, word):
    plural = shipped.tokenize(word + ("es" if word.endswith("s") else "s"))
    assert plural[:-1] == shipped.tokenize(word)


@pytest.mark.parametrize("text", ["glass", "bus", "this", "is", "us"])
def test_an_s_that_is_no_ending_stays(shipped, text):
    assert shipped.tokenize(f" {text}")[-1] not in ("s", "es")
