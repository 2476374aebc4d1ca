"""Starting a language model from the sentence-embedding model that the course installs anyway.

Two ways, both measured in the model card: borrow its word vectors as the embeddings of a new
Llama, or turn the whole encoder into a decoder by masking what lies ahead. Words then begin with
a place near their synonyms, which a small corpus alone would never teach.
"""

from __future__ import annotations

import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertLMHeadModel

from helpers.local_platform.embedding import embedding_model_folder

NOISE = 0.1  # of a vector's spread: tells " The", "the" and "The" apart from the first step on


def word_vectors(tokenizer, seed: int = 0) -> torch.Tensor:
    """A vector for each token of `tokenizer`: the mean of the word pieces that its text covers.

    Returns:
        float32 (vocabulary, 384), with some noise, since tokens that differ only in case or in a
        leading space cover the same pieces. Tokens without a letter of their own get noise alone.
    """
    folder = embedding_model_folder()
    pieces = AutoTokenizer.from_pretrained(folder)
    vectors = AutoModel.from_pretrained(folder, dtype=torch.float32).embeddings.word_embeddings
    vectors = vectors.weight.detach()
    spread, centre = vectors.std().item(), vectors.mean(dim=0)
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(len(tokenizer), vectors.shape[1], generator=generator) * spread * NOISE
    for token in range(len(tokenizer)):
        text = tokenizer.decode([token])
        covered = pieces(text, add_special_tokens=False)["input_ids"]
        covered = [piece for piece in covered if piece != pieces.unk_token_id]
        if covered:
            found[token] += vectors[covered].mean(dim=0) - centre
    return found


def borrow_embeddings(model, tokenizer, spread: float = 0.02) -> None:
    """Set a model's embeddings to word vectors, cut to its width along their main axes (PCA)."""
    vectors = word_vectors(tokenizer)
    width = model.get_input_embeddings().weight.shape[1]
    axes = torch.linalg.svd(vectors, full_matrices=False).Vh[:width]
    cut = vectors @ axes.T
    rotate = torch.linalg.qr(torch.randn(width, width, generator=torch.Generator().manual_seed(0)))
    cut = cut @ rotate.Q  # or the first dimensions would be louder than the last
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(cut * (spread / cut.std()))


def decoder(tokenizer, context: int) -> BertLMHeadModel:
    """The encoder's six layers, its attention masked to look back only, with a new vocabulary."""
    encoder = AutoModel.from_pretrained(embedding_model_folder(), dtype=torch.float32)
    config = BertConfig(
        **{
            **encoder.config.to_diff_dict(),
            "architectures": None,
            "is_decoder": True,
            "vocab_size": len(tokenizer),
            "max_position_embeddings": context,
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "pad_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
            "dtype": "float32",
        }
    )
    model = BertLMHeadModel(config)
    weights = encoder.state_dict()
    positions = weights.pop("embeddings.position_embeddings.weight")
    weights.pop("embeddings.word_embeddings.weight")
    weights = {name: value for name, value in weights.items() if "pooler" not in name}
    model.bert.load_state_dict(weights, strict=False)
    vectors = word_vectors(tokenizer)
    centre = encoder.embeddings.word_embeddings.weight.detach().mean(dim=0)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(vectors + centre)
        for start in range(0, context, len(positions)):
            room = model.bert.embeddings.position_embeddings.weight[start : start + len(positions)]
            room.copy_(positions[: len(room)])
    return model
