"""Embeddings: the packaged MiniLM, against what sentence-transformers makes of the same files."""

import threading

import numpy as np
import pytest

from helpers.local_platform.embedding import (
    DIMENSIONS,
    MAX_TOKENS,
    BadEmbeddingInput,
    Embedder,
    embedding_model_folder,
)

TEXTS = [
    "How do I change my password?",
    "I forgot my login and want a new one.",
    "The shark swam past the leaf blower. 🦈",
    "Größe, naïve, 漢字",
    "word " * 150,
]


@pytest.fixture(scope="module")
def embedder():
    return Embedder()


def test_vectors_equal_those_of_sentence_transformers(embedder):
    from sentence_transformers import SentenceTransformer

    theirs = SentenceTransformer(str(embedding_model_folder()), device="cpu").encode(TEXTS)
    ours, _ = embedder.embed(TEXTS)
    assert all(v.dtype == np.float32 and v.shape == (DIMENSIONS,) for v in ours)
    np.testing.assert_allclose(np.stack(ours), theirs, atol=1e-5)


def test_vectors_have_length_one_and_like_meanings_lie_close(embedder):
    vectors = np.stack(embedder.embed(TEXTS)[0])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    password, login, shark = vectors[:3]
    assert password @ login > 0.5 > password @ shark


def test_a_text_has_one_vector_whatever_comes_with_it(embedder):
    many, tokens = embedder.embed(TEXTS * 10)
    alone = [embedder.embed([text]) for text in TEXTS]
    for text, (vectors, _) in enumerate(alone):
        np.testing.assert_allclose(many[text + 20], vectors[0], atol=1e-5)
    assert tokens == 10 * sum(count for _, count in alone)


def test_fewer_dimensions_are_the_first_ones_scaled_anew(embedder):
    whole, _ = embedder.embed(TEXTS)
    short, _ = embedder.embed(TEXTS, 64)
    for a, b in zip(whole, short, strict=True):
        np.testing.assert_allclose(b, a[:64] / np.linalg.norm(a[:64]), atol=1e-6)
        assert b.dtype == np.float32 and b.flags["C_CONTIGUOUS"]
    assert embedder.embed(["x"], DIMENSIONS)[0][0].shape == (DIMENSIONS,)


def test_tokens_of_the_model_do_as_well_as_the_text(embedder):
    tokens = embedder._tokenizer(TEXTS[0], add_special_tokens=False)["input_ids"]
    from_tokens, count = embedder.embed([tokens])
    np.testing.assert_allclose(from_tokens[0], embedder.embed(TEXTS[:1])[0][0], atol=1e-6)
    assert count == len(tokens)


@pytest.mark.parametrize(
    "inputs, text",
    [
        ([], "nothing to embed"),
        ([""], "empty"),
        ([" \n"], "empty"),
        (["fine", []], "empty"),
        ([[0, 30522]], "30521"),
        ([[-1]], "Token ids"),
        ([["a"]], "Token ids"),
        (
            ["word " * (MAX_TOKENS + 1)],
            f"at most {MAX_TOKENS} tokens; an input has {MAX_TOKENS + 1}",
        ),
        ([[7] * (MAX_TOKENS + 1)], "chunks"),
    ],
)
def test_what_cannot_be_embedded_is_refused_with_the_reason(embedder, inputs, text):
    with pytest.raises(BadEmbeddingInput, match=text):
        embedder.embed(inputs)


@pytest.mark.parametrize("dimensions", [0, -1, DIMENSIONS + 1])
def test_dimensions_out_of_range_are_refused(embedder, dimensions):
    with pytest.raises(BadEmbeddingInput, match="384") as caught:
        embedder.embed(["x"], dimensions)
    assert caught.value.param == "dimensions"


def test_the_longest_text_allowed_is_embedded(embedder):
    assert embedder.embed(["word " * MAX_TOKENS])[1] == MAX_TOKENS


def test_threads_share_one_model(embedder):
    expected = np.stack(embedder.embed(TEXTS)[0])
    got = {}

    def work(number):
        got[number] = np.stack(embedder.embed(TEXTS)[0])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 4
    for vectors in got.values():
        np.testing.assert_allclose(vectors, expected, atol=1e-6)
