"""The base model's tokenizer: byte-level BPE, in which a word keeps its shape wherever it stands.

Plain BPE cuts one word in several ways: " clock" after a space is one token, "clock" after a
quotation mark two and "Clock" at the start of a line two others. A small model that has to copy the
word then has to spell it. So the commonest words and beginnings of words get all four forms as
tokens: with and without the space, with and without the capital. A copy is then always one step.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def train_bpe(texts: Iterable[str], size: int) -> Tokenizer:
    """Byte-level BPE: any text survives a round trip, emoji and newlines among it.

    Digits stay apart, so that numbers never seen can be copied digit by digit.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(texts, trainer)
    return core


def forms_of(word: str) -> tuple[str, str, str, str]:
    """A word in lower case and with a capital, each without a space and after one."""
    capital = word[:1].upper() + word[1:]
    return word, f" {word}", capital, f" {capital}"


def add_forms(core: Tokenizer, texts: Iterable[str], size: int) -> Tokenizer:
    """Give the commonest words of `texts` all their forms as tokens, up to `size` tokens in all.

    Each form that is still several tokens gets merges of its own, below all others, so that every
    other text is cut as before, or more coarsely.
    """
    data = json.loads(core.to_str())
    vocabulary, merges = data["model"]["vocab"], data["model"]["merges"]
    for word in _words(core, texts):
        for form in forms_of(word):
            pieces = core.encode(form).tokens
            if len(vocabulary) + len(pieces) > size + 1:
                return core
            if len(pieces) == 1:
                continue
            while len(pieces) > 1:
                merges.append(pieces[:2])
                pieces[:2] = [pieces[0] + pieces[1]]
                vocabulary.setdefault(pieces[0], len(vocabulary))
            core = Tokenizer.from_str(json.dumps(data))  # the next form may be cut otherwise now
    return core


def _words(core: Tokenizer, texts: Iterable[str]) -> list[str]:
    """Tokens that begin a word, in lower case without their space, the commonest first."""
    seen = Counter(token for encoded in core.encode_batch(list(texts)) for token in encoded.tokens)
    counts: Counter[str] = Counter()
    for token, count in seen.items():
        word = token.removeprefix("Ġ")  # how byte-level BPE writes a space
        if word.isascii() and word.isalpha() and (word != token or word[0].isupper()):
            counts[word.lower()] += count
    return [word for word, _ in counts.most_common()]
