"""Pre-train the shipped base model. Run as: python -m helpers.local_platform.pretrain

A small Llama is trained from random weights on the documents of `corpus.py`. The run is written
to be read from top to bottom: tokenizer, rows, model, optimisers, loop, export. It resumes from
its last state when it is started again with the same `--out`.
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
from itertools import islice
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from helpers.local_platform import corpus, warm_start

HERE = Path(__file__).resolve().parents[2] / "data" / "base_model"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PROMPT_WEIGHT = 0.15  # the prompt's tokens teach language too, but random lists teach noise
ANSWER_FLOOR = 48  # a short answer counts like one of so many tokens, or long mails drown it


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The recipe's dials; the defaults are those of the shipped model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, help="where the model is written")
    parser.add_argument("--prose", type=Path, help="gzipped JSONL of public-domain text")
    parser.add_argument("--tokens", type=float, default=38e6, help="training tokens in all")
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--context", type=int, default=1024, help="tokens a row")
    parser.add_argument("--rows", type=int, default=6, help="rows a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--optimiser", choices=["muon", "adamw"], default="muon")
    parser.add_argument(
        "--start",
        choices=["random", "embeddings", "encoder"],
        default="embeddings",
        help="random weights; word vectors of all-MiniLM-L6-v2; or its whole encoder (then its "
        "width and layers)",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--compile", action="store_true", help="needs a C++ compiler; a third faster"
    )
    parser.add_argument("--save-every", type=int, default=100, help="steps between two states")
    return parser.parse_args(arguments)


def train_tokenizer(sources: corpus.Sources, vocabulary: int, seed: int) -> PreTrainedTokenizerFast:
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
    texts = [_flat(document) for document in islice(corpus.documents(sources, seed), 12000)]
    texts += [" ".join(corpus.EMOJI), "\n".join(corpus.EMOJI)] * 40
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token=SPECIAL[0], eos_token=SPECIAL[2], model_max_length=1024
    )
    tokenizer.chat_template = (HERE / "chat_template.jinja").read_text(encoding="utf-8")
    return tokenizer


def encode(tokenizer, document: corpus.Document) -> tuple[list[int], list[float]]:
    """Token ids of a document and the weight of each in the loss."""
    if document.text:
        ids = tokenizer(document.text)["input_ids"] + [tokenizer.pad_token_id]
        return ids, [1.0] * len(ids)
    encoded = tokenizer.apply_chat_template(
        list(document.messages),
        tools=list(document.tools) or None,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    mask = encoded["assistant_masks"]
    weight = max(1.0, ANSWER_FLOOR / max(1, sum(mask)))
    return encoded["input_ids"], [weight if m else PROMPT_WEIGHT for m in mask]


def rows(tokenizer, sources, context: int, seed: int) -> Iterator[tuple[list[int], list[float]]]:
    """Fill rows of `context` tokens with whole documents; a long one is cut at the row's end.

    A conversation is never split over two rows: half a prompt cannot be copied from.
    """
    ids, weights = [], []
    for document in corpus.documents(sources, seed):
        more, scores = encode(tokenizer, document)
        if len(ids) + len(more) > context:
            pad = context - len(ids)
            if document.text and pad > 64:
                yield ids + more[:pad], weights + scores[:pad]
                ids, weights = [], []
                continue
            yield ids + [tokenizer.pad_token_id] * pad, weights + [0.0] * pad
            ids, weights = [], []
        ids, weights = ids + more[:context], weights + scores[:context]


def build_model(options, tokenizer) -> PreTrainedModel:
    """A Llama with tied embeddings; heads of 32, a gated MLP of 8/3 the width."""
    if options.start == "encoder":
        return warm_start.decoder(tokenizer, options.context)
    heads = options.width // 32
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=options.width,
            num_hidden_layers=options.layers,
            intermediate_size=math.ceil(options.width * 8 / 3 / 32) * 32,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            max_position_embeddings=options.context,
            rope_theta=10000.0,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            dtype="float32",
        )
    )
    if options.start == "embeddings":
        warm_start.borrow_embeddings(model, tokenizer)
    return model


def build_optimisers(model, options) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest; or AdamW for all."""
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    outer = [p for n, p in model.named_parameters() if p.ndim != 2 or "embed" in n]
    if options.optimiser == "adamw":
        return [
            torch.optim.AdamW(
                inner + outer, lr=options.learning_rate, betas=(0.9, 0.95), weight_decay=0.05
            )
        ]
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


def schedule(step: int, steps: int) -> float:
    """Warm-up over 2 %, then flat, then linear to a twentieth over the last 30 %."""
    return min(1.0, (step + 1) / max(1, steps * 0.02), 0.05 + 0.95 * (steps - step) / (steps * 0.3))


def loss_of(model, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy of the next token, in nats. Shapes (rows, context)."""
    logits = model(input_ids=ids).logits[:, :-1].float()
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none"
    )
    scale = weights[:, 1:].flatten()
    return (losses * scale).sum() / scale.sum().clamp(min=1)


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
    steps = max(1, int(options.tokens // (options.rows * options.context)))
    state = work / "state.pt"
    first = _resume(state, model, optimisers) if state.exists() else 0
    stream = rows(tokenizer, sources, options.context, options.seed)
    # The stream is a pure function of the seed: to resume is to skip what was read.
    batches = islice(iter(lambda: list(islice(stream, options.rows)), []), first, None)
    forward = torch.compile(model) if options.compile else model
    started, smooth = time.time(), None
    for step in range(first, steps):
        batch = next(batches)
        ids, weights = (torch.tensor(part) for part in zip(*batch, strict=True))
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = options.learning_rate * schedule(step, steps)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = loss_of(forward, ids, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad()
        smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
        if step % 10 == 0 or step == steps - 1:
            rate = (step + 1 - first) * ids.numel() / (time.time() - started)
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
