"""Pre-train the shipped base model. Run as: python -m helpers.local_platform.pretrain

A small Llama that can point at what it has read (`copying.py`) is trained from random weights on
the documents of `corpus.py`. The run is written to be read from top to bottom: tokenizer, batches,
model, optimisers, loop, export. It resumes from its last state when it is started again with the
same `--out`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from copy import deepcopy
from itertools import groupby, islice
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from helpers.local_platform import corpus, vocabulary, warm_start
from helpers.local_platform.copying import SENTENCES, CopyLlamaConfig, CopyLlamaForCausalLM

HERE = Path(__file__).resolve().parents[2] / "data" / "base_model"
PROMPT_WEIGHT = 0.15  # the prompt's tokens teach language too, but random lists teach noise
# In a short answer the first tokens choose (this sentence of the context, that one, or "I don't
# know"), the rest copies: they weigh more, or the many tokens of long mails drown the choice.
SHORT_ANSWER, CHOICE = 48, 4  # tokens
CHOICE_WEIGHT, COPY_WEIGHT = 6.0, 2.0
RUN = 4  # tokens in a row, alike in prompt and answer, that count as copied
VALUE_WEIGHT = 5.0  # of a JSON value's first two tokens: is there one, and which
LENGTHS = (96, 144, 192, 288, 448, 576)  # tokens; few, for `--compile` builds the model for each


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The recipe's dials; the defaults are those of the shipped model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="where the model is written")
    parser.add_argument("--prose", type=Path, help="gzipped JSONL of public-domain text")
    parser.add_argument("--tokens", type=float, default=168e6, help="training tokens in all")
    parser.add_argument("--vocabulary", type=int, default=8192)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--architecture", choices=["copy_llama", "llama"], default="copy_llama")
    parser.add_argument("--context", type=int, default=1024, help="tokens the model can attend to")
    parser.add_argument("--batch", type=int, default=2304, help="tokens a batch")
    parser.add_argument("--batches", type=int, default=3, help="batches a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--decay", type=float, default=0.6, help="share of the run that slows down")
    parser.add_argument("--optimiser", choices=["muon", "adamw"], default="muon")
    parser.add_argument(
        "--start",
        default="embeddings",
        help="random: random weights; embeddings: word vectors of all-MiniLM-L6-v2; encoder: its "
        "whole encoder (then its width and layers); or the folder of a model to train on",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--compile", action="store_true", help="needs a C++ compiler; a third faster"
    )
    parser.add_argument(
        "--bfloat16", action="store_true", help="faster where the processor computes in it"
    )
    parser.add_argument("--save-every", type=int, default=100, help="steps between two states")
    return parser.parse_args(arguments)


def train_tokenizer(sources: corpus.Sources, size: int, seed: int) -> PreTrainedTokenizerFast:
    """A tokenizer of `size` tokens (see `vocabulary`), made for the first documents."""
    texts = [_flat(document) for document in islice(corpus.documents(sources, seed), 12000)]
    emoji = [" ".join(corpus.EMOJI), "\n".join(corpus.EMOJI)] * 40
    core = vocabulary.train(texts + emoji, size)
    special = vocabulary.SPECIAL
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=special[0], eos_token=special[2], model_max_length=1024
    )
    tokenizer.chat_template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    return tokenizer


def encode(tokenizer, document: corpus.Document) -> tuple[list[int], list[float], list[int]]:
    """Token ids of a document, the weight of each in the loss, and where it was copied from."""
    if document.text:
        ids = tokenizer(document.text)["input_ids"] + [tokenizer.pad_token_id]
        return ids, [1.0] * len(ids), [-1] * len(ids)
    encoded = tokenizer.apply_chat_template(
        list(document.messages),
        tools=list(document.tools) or None,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ids = encoded["input_ids"]
    weights = _weights(encoded["assistant_masks"])
    origins = _origins(ids, encoded["assistant_masks"])
    for place, token in enumerate(tokenizer.convert_ids_to_tokens(ids[:-2]), start=1):
        if token.endswith('":') and weights[place] >= 1:
            weights[place : place + 2] = [VALUE_WEIGHT] * 2
    return ids, weights, origins


def _origins(ids: list[int], mask: list[int]) -> list[int]:
    """For each token that the assistant copied, its place in what was said to it; else -1.

    Copied are RUN tokens or more in a row, and the one before them, whose space or capital may
    differ. `mask` is 1 where the assistant speaks.
    """
    known: dict[tuple, int] = {}
    origins = [-1] * len(ids)
    for place in range(len(ids) - RUN + 1):
        run = tuple(ids[place : place + RUN])
        if not any(mask[place : place + RUN]):
            known.setdefault(run, place)
        elif all(mask[place : place + RUN]) and run in known:
            origins[place] = known[run]
            if mask[place - 1] and origins[place - 1] < 0:
                origins[place - 1] = known[run] - 1
    return origins


def _weights(mask: list[int]) -> list[float]:
    """Weights of a conversation's tokens; `mask` is 1 where the assistant speaks."""
    weights: list[float] = []
    for spoken, run in groupby(mask):
        count = len(list(run))
        if not spoken:
            weights += [PROMPT_WEIGHT] * count
        elif count > SHORT_ANSWER:
            weights += [1.0] * count
        else:
            weights += ([CHOICE_WEIGHT] * CHOICE + [COPY_WEIGHT] * SHORT_ANSWER)[:count]
    return weights


def batches(tokenizer, sources, tokens: int, seed: int) -> Iterator[tuple]:
    """Documents of similar length, padded on the right to the same: (ids, weights, origins).

    A row holds one document, for what stands in another cannot help to answer. What is longer
    than the last of LENGTHS loses its end.
    """
    waiting: dict[int, list] = {length: [] for length in LENGTHS}
    for document in corpus.documents(sources, seed):
        parts = encode(tokenizer, document)
        length = next((length for length in LENGTHS if length >= len(parts[0])), LENGTHS[-1])
        fillers = tokenizer.pad_token_id, 0.0, -1
        pad = max(0, length - len(parts[0]))
        row = [part[:length] + [filler] * pad for part, filler in zip(parts, fillers, strict=True)]
        waiting[length].append(row)
        if len(waiting[length]) >= max(1, tokens // length):
            yield tuple(torch.tensor(part) for part in zip(*waiting[length], strict=True))
            waiting[length] = []


def build_model(options, tokenizer) -> PreTrainedModel:
    """A model with tied embeddings, heads of 64 and a gated MLP of 8/3 the width."""
    if options.start == "encoder":
        return warm_start.decoder(tokenizer, options.context)
    if Path(options.start).is_dir():
        model = AutoModelForCausalLM.from_pretrained(options.start, dtype=torch.float32)
        if isinstance(model, CopyLlamaForCausalLM):
            model.read_vocabulary(tokenizer)
        return model
    heads = max(1, options.width // 64)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": options.width,
        "num_hidden_layers": options.layers,
        "intermediate_size": inner_width(options.width),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": options.context,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": True,
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "dtype": "float32",
    }
    if options.architecture == "llama":
        model = LlamaForCausalLM(LlamaConfig(**shape))
    else:
        shape["num_hidden_layers"] += 1  # the pointer head
        model = CopyLlamaForCausalLM(CopyLlamaConfig(**shape))
        model.read_vocabulary(tokenizer)
    if options.start == "embeddings":
        warm_start.borrow_embeddings(model, tokenizer)
    return model


def inner_width(width: int) -> int:
    """The width inside the gated MLP: 8/3 of the model's, rounded up to a multiple of 32."""
    return math.ceil(width * 8 / 3 / 32) * 32


def build_optimisers(model, options) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest; or AdamW for all."""
    inner, outer = [], []
    for name, parameter in model.named_parameters():
        apart = ("embed", "sentence", "stem", "gate.", "gate_seen", "follow", "leave")
        by_adam = parameter.ndim != 2 or any(part in name for part in apart)
        (outer if by_adam else inner).append(parameter)
    if options.optimiser == "adamw":
        return [
            torch.optim.AdamW(
                inner + outer, lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.05
            )
        ]
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        torch.optim._muon._zeropower_via_newtonschulz = orthogonal
    muon = torch.optim.Muon(
        inner,
        lr=options.learning_rate,
        weight_decay=0.05,
        momentum=0.95,
        adjust_lr_fn="match_rms_adamw",
    )
    return [
        muon,
        torch.optim.AdamW(outer, lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def orthogonal(
    gradient: torch.Tensor, coefficients: tuple[float, float, float], rounds: int, least: float
) -> torch.Tensor:
    """What `torch.optim.Muon` does to a gradient (Newton-Schulz), in the gradient's precision.

    Its own sums are in bfloat16, which took five seconds of every eight on a processor without it.
    See https://kellerjordan.github.io/posts/muon/ for the method.

    Args:
        gradient: (rows, columns).
        coefficients: of the polynomial's first, third and fifth power.
        rounds: how often the polynomial is applied.
        least: the smallest norm that the gradient is divided by.
    """
    first, third, fifth = coefficients
    wide = gradient.T if gradient.shape[0] > gradient.shape[1] else gradient
    wide = wide / wide.norm().clamp(min=least)
    for _ in range(rounds):
        gram = wide @ wide.T
        wide = first * wide + (third * gram + fifth * gram @ gram) @ wide
    return wide.T if gradient.shape[0] > gradient.shape[1] else wide


def schedule(step: int, steps: int, decay: float) -> float:
    """Warm-up over 2 %, then flat, then linear to a twentieth over the last share `decay`."""
    left = (steps - step) / (steps * decay)
    return min(1.0, (step + 1) / max(1, steps * 0.02), 0.05 + 0.95 * left)


def loss_of(model, ids, weights, origins) -> torch.Tensor:
    """Cross-entropy of the next token, weighted and summed, in nats; of the look too, where the
    model has one. Three tensors of shape (rows, tokens), as `batches` yields them."""
    read, targets = ids[:, :-1], ids[:, 1:]
    if model.config.model_type == "copy_llama":
        first = ids.sum(dim=1, keepdim=True) % SENTENCES  # as good as random, and the same again
        sources = {"origins": origins[:, 1:], "first_sentence": first}
        losses = model(input_ids=read, targets=targets, **sources).loss
    else:
        logits = model(input_ids=read).logits.float()
        losses = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), reduction="none"
        ).view_as(targets)
    return (losses * weights[:, 1:]).sum()


def train(options) -> dict:
    """Train, print a line every 10 steps, save states, export; returns the figures for the card."""
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    sources = corpus.load_sources(options.prose)
    work = options.out / "pretraining"
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(work, sources, options)
    model = build_model(options, tokenizer)
    optimisers = build_optimisers(model, options)
    steps = max(1, int(options.tokens // (options.batches * options.batch)))
    state = work / "state.pt"
    first = _resume(state, model, optimisers) if state.exists() else 0
    # The stream is a pure function of the seed: to resume is to skip what was read.
    stream = batches(tokenizer, sources, options.batch, options.seed)
    stream = islice(stream, first * options.batches, None)
    forward = torch.compile(model, dynamic=False) if options.compile else model
    started, smooth = time.time(), None
    for step in range(first, steps):
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = options.learning_rate * schedule(step, steps, options.decay)
        parts = list(islice(stream, options.batches))
        scale = sum(weights[:, 1:].sum().item() for _, weights, _ in parts)
        total = 0.0
        for part in parts:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
                loss = loss_of(forward, *part) / scale
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        smooth = total if smooth is None else 0.95 * smooth + 0.05 * total
        if step % 10 == 0 or step == steps - 1:
            read = (step + 1 - first) * options.batches * options.batch
            rate = read / (time.time() - started)
            print(f"step {step + 1}/{steps}  loss {smooth:.3f}  {rate:,.0f} tokens/s", flush=True)
        if (step + 1) % options.save_every == 0 or step == steps - 1:
            _save(state, model, optimisers, step + 1)
            export(model, tokenizer, options.out)
    return {"steps": steps, "loss": smooth, "parameters": model.num_parameters()}


def export(model, tokenizer, out: Path) -> None:
    """Write the model in bfloat16 (half the bytes; loaded back to float32) and its tokenizer."""
    copy = deepcopy(model)
    copy.to(torch.bfloat16).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _flat(document: corpus.Document) -> str:
    return document.text or "\n".join(message["content"] or "" for message in document.messages)


def _tokenizer(work: Path, sources, options) -> PreTrainedTokenizerFast:
    folder = work / "tokenizer"
    if not folder.exists():
        train_tokenizer(sources, options.vocabulary, options.seed).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _save(path: Path, model, optimisers, step: int) -> None:
    fresh = path.with_suffix(".new")
    torch.save(
        {
            "step": step,
            "model": model.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        },
        fresh,
    )
    fresh.replace(path)  # never half a state


def _resume(path: Path, model, optimisers) -> int:
    saved = torch.load(path, weights_only=True)
    model.load_state_dict(saved["model"])
    for optimiser, state in zip(optimisers, saved["optimisers"], strict=True):
        optimiser.load_state_dict(state)
    return saved["step"]


if __name__ == "__main__":
    arguments = parse_arguments()
    print(json.dumps(train(arguments)))
    shutil.rmtree(arguments.out / "pretraining")
