"""The base model's tokenizer: byte-level BPE, in which a word keeps its shape wherever it stands.

Plain BPE cuts one word in several ways: " clock" after a space is one token, "clock" after a
quotation mark two, "Clock" at the start of a line two others, and "clocks" three. A small model
that has to copy the word then has to spell it. So here

- an "s" or "es" at a word's end is a token of its own: "clocks" is "clock" and "s";
- words are cut as if they stood alone, and only then does the space before one join its first
  token: what comes after it is the same with the space and without;
- the commonest words are one token with a capital, too.

A copy, or the singular of what was said, then takes the same steps as the original.
"""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SPACE = "Ġ"  # how byte-level BPE writes a space
ENDING = Regex(r"(?:(?<=ss|sh|ch|[a-z]x)es|(?<=[a-z]{2}[a-hj-rtv-z])s)(?![a-z])")  # not "ss", "us"
# Shares of the vocabulary: what BPE learns, capitals among it; the rest is for spaces.
LEARNED, CAPITALS = 0.43, 0.12


def train(texts: list[str], size: int) -> Tokenizer:
    """A tokenizer of at most `size` tokens; any text survives it, emoji and newlines among it.

    Digits stay apart, so that numbers never seen can be copied digit by digit.
    """
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = _cutter(spaces_apart=True)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(round(size * LEARNED), 256 + len(SPECIAL)),
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(texts, trainer)
    core = _add_capitals(core, texts, core.get_vocab_size() + round(size * CAPITALS))
    core = _add_spaces(core, texts, size)
    core.pre_tokenizer = _cutter(spaces_apart=False)
    return core


def forms_of(word: str) -> tuple[str, str, str, str]:
    """A word in lower case and with a capital, each without a space and after one."""
    capital = word[:1].upper() + word[1:]
    return word, f" {word}", capital, f" {capital}"


def _cutter(spaces_apart: bool) -> pre_tokenizers.PreTokenizer:
    """What cuts a text before BPE does: no token crosses these cuts."""
    steps = [pre_tokenizers.Digits(individual_digits=True)]
    steps += [pre_tokenizers.Split(" ", "isolated")] if spaces_apart else []
    steps += [pre_tokenizers.Split(ENDING, "isolated")]
    return pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False)])


def _add_capitals(core: Tokenizer, texts: list[str], size: int) -> Tokenizer:
    """Make the commonest words one token with a capital too, up to `size` tokens in all."""
    for token in _after_space(core, texts):
        if not (token.isascii() and token.isalpha() and token.islower()):
            continue
        pieces = core.encode(token.capitalize()).tokens
        if core.get_vocab_size() + len(pieces) > size + 1:
            return core
        while len(pieces) > 1:
            core = _with_merges(core, [(pieces[0], pieces[1])])
            pieces[:2] = [pieces[0] + pieces[1]]
    return core


def _add_spaces(core: Tokenizer, texts: list[str], size: int) -> Tokenizer:
    """Let a space join the commonest tokens that follow one, up to `size` tokens in all.

    These merges come last, so that the space takes no part in how the word is cut.
    """
    following = _after_space(core, texts)
    return _with_merges(core, [(SPACE, t) for t in following[: size - core.get_vocab_size()]])


def _after_space(core: Tokenizer, texts: list[str]) -> list[str]:
    """Tokens of the texts that follow a space, the commonest first."""
    counts: Counter[str] = Counter()
    for encoded in core.encode_batch(texts):
        counts.update(token for before, token in pairwise(encoded.tokens) if before == SPACE)
    del counts[SPACE]
    return [token for token, _ in counts.most_common()]


def _with_merges(core: Tokenizer, pairs: list[tuple[str, str]]) -> Tokenizer:
    """The tokenizer with more merges, below all that it has."""
    data = json.loads(core.to_str())
    for first, second in pairs:
        data["model"]["merges"].append([first, second])
        data["model"]["vocab"].setdefault(first + second, len(data["model"]["vocab"]))
    return Tokenizer.from_str(json.dumps(data))
