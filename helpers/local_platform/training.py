"""LoRA fine-tuning of a causal language model on chat examples: the loop a job runs.

The base model's weights stay as they are; every linear layer, those of the attention and
feed-forward blocks and the one that scores the next token, gets a low-rank pair of matrices beside
it (LoRA, Hu et al. 2021, arXiv:2106.09685). Only those are trained, with AdamW, on the words the
assistant says.

Nothing random happens after the adapter is initialised except the order of the examples, and that
is a function of (seed, epoch). So a job that was stopped and taken up again goes through the very
numbers it would have gone through undisturbed.
"""

import json
import math
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft import set_peft_model_state_dict as load_adapter_weights
from peft.tuners import lora
from torch.nn.functional import cross_entropy
from transformers.pytorch_utils import Conv1D

from helpers.local_platform.copying import CopyLlamaForCausalLM
from helpers.local_platform.modeling import context_length, encode_example, load_base

# What learning_rate_multiplier 1.0 means. Chosen with 120 mails on a late state of the
# shipped base model: twice this rate, twice this rank or half the batch move the validation loss by
# less than 1 %; a quarter of this rate ends 5 % higher.
BASE_LEARNING_RATE = 4e-3
RANK = 16
ALPHA = 32
WARM_UP_SHARE = 0.1
FINAL_LEARNING_RATE_SHARE = 0.1
MAX_GRADIENT_NORM = 1.0
VALIDATION_SAMPLE = 2
VALIDATIONS = 30  # a job, at most, beside those at the ends of epochs: enough for a curve
VALIDATION_BATCH = 4  # as fast as more, and little is padded
CHECKPOINTS_KEPT = 3
FEW_TOKENS = 120  # a step
IGNORED = -100  # the label PyTorch's cross entropy leaves out


@dataclass(frozen=True)
class TrainingSpec:
    """One job. Files are JSONL in OpenAI's chat format; `job_dir` is the job's own folder."""

    base_model: str
    start_adapter: Path | None
    training_file: Path
    validation_file: Path | None
    n_epochs: int
    batch_size: int
    learning_rate_multiplier: float
    seed: int
    job_dir: Path
    method: str = "supervised"


@dataclass(frozen=True)
class TrainingOutcome:
    """How a run ended: "completed", "cancelled" or "paused"; tokens read and steps taken so far."""

    status: str
    trained_tokens: int
    steps: int


@dataclass(frozen=True)
class Example:
    """A tokenised example: ids, and labels (the id where the loss is taken, else IGNORED)."""

    input_ids: list[int]
    labels: list[int]


def auto_hyperparameters(n_examples: int, requested: dict) -> dict:
    """Fill in what a job left to "auto" (or left out).

    Epochs follow the rule OpenAI documents for estimating a job: three, more when three passes
    would show fewer than 100 examples in all (at most 25 epochs), fewer when they would show more
    than 25 000. Batch size and multiplier are this platform's: a batch size that gives about 50
    steps an epoch, from 1 to 16, and multiplier 1, which means a peak learning rate of
    BASE_LEARNING_RATE.

    Args:
        n_examples: examples in the training file.
        requested: any of n_epochs, batch_size, learning_rate_multiplier; a number or "auto".

    Returns:
        The three as numbers.
    """
    n_epochs = 3
    if n_examples * n_epochs < 100:
        n_epochs = min(25, 100 // max(1, n_examples))
    elif n_examples * n_epochs > 25_000:
        n_epochs = max(1, 25_000 // n_examples)
    chosen = {
        "n_epochs": n_epochs,
        "batch_size": min(16, max(1, round(n_examples / 50))),
        "learning_rate_multiplier": 1.0,
    }
    asked = {k: v for k, v in requested.items() if k in chosen and v not in (None, "auto")}
    return chosen | asked


def learning_rate(step: int, total_steps: int, peak: float) -> float:
    """Learning rate of step 1 ... total_steps: linear warm-up, then half a cosine down to a tenth.

    A pure function of the step, so there is no scheduler state to lose when a job is interrupted.
    """
    warm_up = max(1, round(total_steps * WARM_UP_SHARE))
    if step <= warm_up:
        return peak * step / warm_up
    progress = (step - warm_up) / max(1, total_steps - warm_up)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return peak * (FINAL_LEARNING_RATE_SHARE + (1 - FINAL_LEARNING_RATE_SHARE) * cosine)


def read_examples(path: Path, tokenizer, context: int) -> tuple[list[Example], int]:
    """Tokenise a JSONL file; examples longer than the context lose their end, as at OpenAI.

    Returns:
        (examples, how many were cut). Examples with nothing to train on are kept out.
    """
    examples, cut = [], 0
    with Path(path).open(encoding="utf-8-sig") as lines:
        for line in lines:
            if not line.strip():
                continue
            ids, mask = encode_example(tokenizer, json.loads(line))
            cut += len(ids) > context
            ids, mask = ids[:context], mask[:context]
            # The first token has nothing before it to be predicted from.
            labels = [i if m else IGNORED for i, m in zip(ids, mask, strict=True)]
            labels[0] = IGNORED
            if any(label != IGNORED for label in labels):
                examples.append(Example(ids, labels))
    return examples, cut


def collate(examples: list[Example], pad_id: int) -> dict[str, torch.Tensor]:
    """Stack examples into (batch, longest) tensors, padded on the right; padding has no label.

    No attention mask is needed: a causal model never looks ahead, so no word sees the padding.
    """
    longest = max(len(e.input_ids) for e in examples)
    return {
        "input_ids": torch.tensor(
            [e.input_ids + [pad_id] * (longest - len(e.input_ids)) for e in examples]
        ),
        "labels": torch.tensor(
            [e.labels + [IGNORED] * (longest - len(e.labels)) for e in examples]
        ),
    }


def loss_and_hits(model, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, int, int]:
    """Summed cross entropy in nats over the labelled tokens of a batch.

    The logits at position i predict token i + 1, so labels are shifted by one. Logits, a row as
    wide as the vocabulary, are computed only from the first position that any example needs.

    Returns:
        (loss summed over labelled tokens, how many the model's first guess got right, how many
        labelled tokens there are).
    """
    targets = batch["labels"][:, 1:]
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    if isinstance(inner, CopyLlamaForCausalLM):
        loss, hits = inner.judge(batch["input_ids"][:, :-1], targets)
        return loss, hits, int((targets != IGNORED).sum())
    first = int((targets != IGNORED).any(dim=0).nonzero()[0])
    width = targets.shape[1] - first
    logits = model(
        input_ids=batch["input_ids"],
        use_cache=False,
        logits_to_keep=width + 1,
    ).logits[:, -(width + 1) : -1]
    targets = targets[:, first:]
    labelled = targets != IGNORED
    logits, targets = logits[labelled], targets[labelled]
    loss = cross_entropy(logits, targets, reduction="sum")
    hits = int((logits.argmax(dim=-1) == targets).sum())
    return loss, hits, targets.numel()


@torch.no_grad()
def evaluate(model, examples: list[Example], pad_id: int) -> tuple[float, float]:
    """Mean loss per labelled token (nats) and token accuracy (0 to 1) over examples."""
    model.eval()
    total, hits, tokens = 0.0, 0, 0
    for start in range(0, len(examples), VALIDATION_BATCH):
        batch = collate(examples[start : start + VALIDATION_BATCH], pad_id)
        loss, hit, count = loss_and_hits(model, batch)
        total, hits, tokens = total + loss.item(), hits + hit, tokens + count
    model.train()
    return total / tokens, hits / tokens


def train(
    spec: TrainingSpec,
    on_event: Callable[[str, dict], None],
    should_stop: Callable[[], str | None] = lambda: None,
) -> TrainingOutcome:
    """Run a job to its end, or until it is told to stop; a saved state is taken up again.

    Args:
        spec: the job.
        on_event: called with (kind, data):
            "message" {"message", "level"}: a sentence for the learner ("info" or "warn");
            "metrics": one a step: step, total_steps, train_loss (nats per labelled token),
            train_mean_token_accuracy; with a validation file also valid_loss and
            valid_mean_token_accuracy on two of its examples, always the same so that the curve
            compares like with like, at the first step and then every few steps (see
            `validates`); at the end of an epoch also full_valid_loss and
            full_valid_mean_token_accuracy over the whole file;
            "checkpoint" {"step", "path", "metrics"}: at the end of an epoch; `path` is an adapter
            folder that peft and the generator load. The last three are kept.
            After a kill (not a pause) the steps since the last epoch are gone through again, and
            their events come again, with the same numbers.
        should_stop: asked after every step; None to go on, "cancel" or "pause".

    Returns:
        How it ended. A pause leaves its state in `spec.job_dir`; calling `train` again goes on.

    Raises:
        ValueError: an unknown method, no examples, or examples that cannot be encoded.
        FileNotFoundError: the base model or a file is missing.
    """
    if spec.method != "supervised":
        raise ValueError(f"Training method {spec.method!r} is not available; use 'supervised'.")
    torch.manual_seed(spec.seed)
    base, tokenizer = load_base(spec.base_model)
    context, pad_id = context_length(base), tokenizer.pad_token_id
    examples = _read(spec.training_file, "training", tokenizer, context, on_event)
    torch.set_num_threads(threads_for(examples, spec.batch_size))
    held_out = []
    if spec.validation_file:
        held_out = _read(spec.validation_file, "validation", tokenizer, context, on_event)

    model = add_adapter(base, spec.start_adapter)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.0, betas=(0.9, 0.95), weight_decay=0.0, fused=True)
    peak = BASE_LEARNING_RATE * spec.learning_rate_multiplier
    steps_per_epoch = math.ceil(len(examples) / spec.batch_size)
    total_steps = steps_per_epoch * spec.n_epochs
    step, tokens_read = load_state(spec, model, optimizer)
    if step:
        on_event("message", {"message": f"Resuming from step {step}", "level": "info"})

    model.train()
    while step < total_steps:
        epoch, position = divmod(step, steps_per_epoch)
        order = example_order(len(examples), spec.seed, epoch)
        chosen = order[position * spec.batch_size : (position + 1) * spec.batch_size]
        batch = [examples[i] for i in chosen]
        step += 1

        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, total_steps, peak)
        loss, hits, labelled = loss_and_hits(model, collate(batch, pad_id))
        (loss / labelled).backward()
        torch.nn.utils.clip_grad_norm_(trained, MAX_GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad()
        tokens_read += sum(len(e.input_ids) for e in batch)

        metrics = {
            "step": step,
            "total_steps": total_steps,
            "train_loss": loss.item() / labelled,
            "train_mean_token_accuracy": hits / labelled,
        }
        epoch_ends = step % steps_per_epoch == 0
        if held_out and (epoch_ends or validates(step, total_steps)):
            sample = held_out[:VALIDATION_SAMPLE]
            metrics["valid_loss"], metrics["valid_mean_token_accuracy"] = evaluate(
                model, sample, pad_id
            )
        if held_out and epoch_ends:
            metrics["full_valid_loss"], metrics["full_valid_mean_token_accuracy"] = evaluate(
                model, held_out, pad_id
            )
        on_event("metrics", metrics)
        if epoch_ends:
            path = save_checkpoint(spec.job_dir, model, step)
            on_event("checkpoint", {"step": step, "path": path, "metrics": metrics})

        wish = should_stop()
        if epoch_ends or wish == "pause":
            save_state(spec, model, optimizer, step, tokens_read)
        if wish == "cancel":
            return TrainingOutcome("cancelled", tokens_read, step)
        if wish == "pause" and step < total_steps:
            return TrainingOutcome("paused", tokens_read, step)
    return TrainingOutcome("completed", tokens_read, step)


def validates(step: int, total_steps: int) -> bool:
    """Whether the validation sample is looked at after this step, counted from 1.

    As at OpenAI, most steps of a long job have no validation loss; a short job's all have one.
    """
    return (step - 1) % math.ceil(total_steps / VALIDATIONS) == 0


def threads_for(examples: list[Example], batch_size: int) -> int:
    """How many threads train: LOCAL_TRAINING_THREADS where it is set, else all cores but one.

    The one is for whoever watches: a thread that loses its core makes all others wait. A machine
    of two cores gives both. Steps of few tokens get one thread: there, threads wait longer for
    each other than they compute.
    """
    asked = int(os.environ.get("LOCAL_TRAINING_THREADS") or 0)
    tokens = batch_size * sum(len(e.input_ids) for e in examples) / len(examples)
    cores = os.cpu_count() or 1
    return asked or (1 if tokens < FEW_TOKENS else cores if cores <= 2 else cores - 1)


def _read(path: Path, what: str, tokenizer, context: int, on_event) -> list[Example]:
    examples, cut = read_examples(path, tokenizer, context)
    if not examples:
        raise ValueError(f"The {what} file holds no example with an assistant message to learn.")
    if cut:
        sentence = (
            f"{cut} example(s) of the {what} file are longer than the model's context of {context} "
            "tokens and lose their end."
        )
        on_event("message", {"message": sentence, "level": "warn"})
    return examples


def example_order(count: int, seed: int, epoch: int) -> list[int]:
    """The order in which an epoch goes through the examples: a permutation, fixed by its inputs."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator).tolist()


def add_adapter(base, start_adapter: Path | None = None):
    """Put a fresh LoRA adapter on every linear layer, or go on from a saved one.

    The output layer is among them: a small model has to learn there that an emoji may come next.
    Where it shares its weights with the input embedding, only the output side is adapted.
    """
    with warnings.catch_warnings():
        # peft warns of merging an adapter into shared weights; the generator parts them first.
        warnings.simplefilter("ignore")
        if start_adapter:
            model = PeftModel.from_pretrained(base, start_adapter, is_trainable=True)
        else:
            config = LoraConfig(
                task_type="CAUSAL_LM",
                r=RANK,
                lora_alpha=ALPHA,
                lora_dropout=0.0,
                target_modules=linear_layers(base),
            )
            model = get_peft_model(base, config)
    for module in model.modules():
        if isinstance(module, lora.Linear):
            module.forward = partial(_adapted, module)
    return model


def _adapted(layer: lora.Linear, inputs: torch.Tensor) -> torch.Tensor:
    """What peft's own layer computes, W x + scaling B A x, with the sum inside the last product.

    peft scales and adds in passes of their own over the whole output, which for the layer that
    scores every token of the vocabulary take as long as the product.
    """
    (name,) = layer.active_adapters
    plain, low = layer.base_layer(inputs), layer.lora_A[name](inputs)
    raised = layer.lora_B[name].weight.t()
    plain.flatten(0, -2).addmm_(low.flatten(0, -2), raised, alpha=layer.scaling[name])
    return plain


def linear_layers(model) -> list[str]:
    """Names of all linear layers, the last part where it tells them apart ("q_proj", "lm_head")."""
    names = set()
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear | Conv1D):
            last = name.rpartition(".")[2]
            names.add(name if last.isdigit() else last)
    return sorted(names)


def save_checkpoint(job_dir: Path, model, step: int) -> Path:
    """Save the adapter as checkpoints/step-N, whole or not at all; the last three are kept."""
    folder = Path(job_dir) / "checkpoints"
    target, unfinished = folder / f"step-{step}", folder / f".step-{step}"
    shutil.rmtree(unfinished, ignore_errors=True)
    # Without the last argument peft adds a copy of the base model's embedding matrix.
    model.save_pretrained(unfinished, save_embedding_layers=False)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    saved = sorted(folder.glob("step-*"), key=lambda p: int(p.name.removeprefix("step-")))
    for old in saved[:-CHECKPOINTS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def _fingerprint(spec: TrainingSpec) -> dict:
    return {
        "base_model": spec.base_model,
        "n_epochs": spec.n_epochs,
        "batch_size": spec.batch_size,
        "learning_rate_multiplier": spec.learning_rate_multiplier,
        "seed": spec.seed,
    }


def save_state(spec: TrainingSpec, model, optimizer, step: int, tokens_read: int) -> None:
    """Write everything a resumed job needs to one file, replaced in one move."""
    state = {
        "spec": _fingerprint(spec),
        "step": step,
        "tokens_read": tokens_read,
        "adapter": get_peft_model_state_dict(model, save_embedding_layers=False),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }
    target = Path(spec.job_dir) / "state.pt"
    unfinished = target.with_suffix(".partial")
    torch.save(state, unfinished)
    unfinished.replace(target)


def load_state(spec: TrainingSpec, model, optimizer) -> tuple[int, int]:
    """Take up a saved state, if the job's folder holds one of this very job.

    Returns:
        (step, tokens read); (0, 0) where there is nothing to resume.

    Raises:
        ValueError: the state in the folder belongs to a job with other settings.
    """
    path = Path(spec.job_dir) / "state.pt"
    if not path.is_file():
        return 0, 0
    state = torch.load(path, weights_only=True)
    if state["spec"] != _fingerprint(spec):
        raise ValueError(f"{path} belongs to a job with other settings.")
    load_adapter_weights(model, state["adapter"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return state["step"], state["tokens_read"]
