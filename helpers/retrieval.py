"""Finding text by meaning: chunks, embeddings, and an index that can be asked; and by words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from decouple import AutoConfig
from openai import OpenAI
from qdrant_client import QdrantClient, models

from helpers import config

BATCH = 64  # texts a request: few enough for any provider's limit


def chunk(text: str, words: int = 80, overlap: int = 20) -> list[str]:
    """Cut a text into pieces of `words` words, each sharing `overlap` words with the one before.

    Raises: ValueError unless 0 <= overlap < words.
    """
    if not 0 <= overlap < words:
        raise ValueError(f"overlap must be at least 0 and below {words}, not {overlap}.")
    parts = text.split()
    step = words - overlap
    starts = range(0, max(1, len(parts) - overlap), step)
    return [" ".join(parts[start : start + words]) for start in starts if parts]


def embed(client: OpenAI, texts: Sequence[str], model: str) -> np.ndarray:
    """The vectors of texts, (n, d) float32 of length 1, asked for in batches."""
    rows = []
    for start in range(0, len(texts), BATCH):
        reply = client.embeddings.create(model=model, input=list(texts[start : start + BATCH]))
        rows += [item.embedding for item in reply.data]
    vectors = np.asarray(rows, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def keyword_scores(
    query: str, texts: Sequence[str], k1: float = 1.5, b: float = 0.75
) -> np.ndarray:
    """How well each text matches the words of a query, by BM25: (n,), 0 where no word is shared.

    The sum over the query's words w of idf(w) tf (k1 + 1) / (tf + k1 (1 - b + b L / mean L)), where
    tf is how often w stands in the text, L the text's length in words, and with w in n of N texts
    idf(w) = ln(1 + (N - n + 0.5) / (n + 0.5)). So a rare word counts more than a common one, the
    tenth time adds less than the second, and a long text gains nothing by its length. Source:
    Robertson and Zaragoza 2009, doi:10.1561/1500000019; the 1 in the idf, as in Lucene, keeps a
    very common word from counting against a text. Words are compared in lower case and without
    the -s of a plural.

    Args: `k1` how soon more of the same word stops counting; `b` how much length matters, 0 to 1.
    """
    documents = [Counter(_words(text)) for text in texts]
    lengths = np.array([counts.total() for counts in documents], dtype=float)
    scores = np.zeros(len(documents))
    for word in set(_words(query)):
        times = np.array([counts[word] for counts in documents])
        holding = np.count_nonzero(times)
        if holding:
            rarity = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
            room = k1 * (1 - b + b * lengths / lengths.mean())
            scores += rarity * times * (k1 + 1) / (times + room)
    return scores


def _words(text: str) -> list[str]:
    return [re.sub(r"(?<=\w\w\w)(?<!s)s$", "", word) for word in re.findall(r"\w+", text.lower())]


class Index:
    """A vector index in memory, or on the Qdrant cluster that QDRANT_URL names.

    The calls are the same for both. Close it at the end.
    """

    def __init__(self, name: str):
        url = AutoConfig(search_path=str(config.ROOT))("QDRANT_URL", default="").strip()
        self.name = name
        self._client = QdrantClient(url=url) if url else QdrantClient(":memory:")
        self._count = 0

    def build(self, vectors: np.ndarray, payloads: Sequence[dict]) -> None:
        """Start anew with `vectors` (n, d) and one payload (a dict with the text) for each."""
        if self._client.collection_exists(self.name):
            self._client.delete_collection(self.name)
        size = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
        self._client.create_collection(self.name, vectors_config=size)
        self._count = 0
        self.add(vectors, payloads)

    def add(
        self, vectors: np.ndarray, payloads: Sequence[dict], ids: Sequence[int] | None = None
    ) -> None:
        """Add vectors, or replace those whose positions `ids` names.

        Raises: ValueError where the lengths differ.
        """
        if len(vectors) != len(payloads):
            raise ValueError(f"{len(vectors)} vectors but {len(payloads)} payloads.")
        if ids is None:
            ids = range(self._count, self._count + len(vectors))
        points = [
            models.PointStruct(id=number, vector=vector.tolist(), payload=payload)
            for number, vector, payload in zip(ids, vectors, payloads, strict=True)
        ]
        self._client.upsert(self.name, points)
        self._count = max(self._count, *(number + 1 for number in ids))

    def search(self, vector: np.ndarray, k: int = 3) -> list[dict]:
        """The payloads of the `k` most similar vectors, best first, each with its `score`."""
        found = self._client.query_points(self.name, query=vector.tolist(), limit=k)
        return [{**point.payload, "score": point.score} for point in found.points]

    def close(self) -> None:
        """Release the index; an index in memory is gone after this."""
        self._client.close()
