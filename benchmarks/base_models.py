"""How long a ChrisGPT job takes with larger base models, against the shipped one.

Run as: python benchmarks/base_models.py

The speed of a model depends on its shape, not on its weights. So each shape is built with random
weights, and nothing is downloaded. Three training steps are timed after one to warm up.
"""

from __future__ import annotations

import time

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PretrainedConfig, Qwen2Config

from helpers import dataset, tokens
from helpers.local_platform import modeling, training

SMOLLM = {"vocab_size": 49152, "tie_word_embeddings": True, "max_position_embeddings": 2048}
QWEN = {"vocab_size": 151936, "tie_word_embeddings": True, "max_position_embeddings": 2048}
# Shapes from the config.json of each model on the Hugging Face hub.
SHAPES = {
    "HuggingFaceTB/SmolLM2-135M-Instruct": LlamaConfig(
        hidden_size=576, intermediate_size=1536, num_hidden_layers=30,
        num_attention_heads=9, num_key_value_heads=3, **SMOLLM),
    "HuggingFaceTB/SmolLM2-360M-Instruct": LlamaConfig(
        hidden_size=960, intermediate_size=2560, num_hidden_layers=32,
        num_attention_heads=15, num_key_value_heads=5, **SMOLLM),
    "Qwen/Qwen2.5-0.5B-Instruct": Qwen2Config(
        hidden_size=896, intermediate_size=4864, num_hidden_layers=24,
        num_attention_heads=14, num_key_value_heads=2, **QWEN),
}  # fmt: skip
MAILS, EPOCHS, STEPS = 150, 3, 3


def seconds_a_step(model, length: int, batch_size: int) -> float:
    """Mean seconds of a training step on `batch_size` examples of `length` tokens."""
    ids = torch.randint(10, model.config.vocab_size, (batch_size, length))
    labels = ids.clone()
    labels[:, : length // 5] = training.IGNORED  # about the share of the prompt
    batch = {"input_ids": ids, "labels": labels}
    model = training.add_adapter(model)
    started = 0.0
    for step in range(STEPS + 1):
        if step == 1:
            started = time.perf_counter()
        loss, _, labelled = training.loss_and_hits(model, batch)
        (loss / labelled).backward()
        model.zero_grad()
    return (time.perf_counter() - started) / STEPS


def random_model(shape: PretrainedConfig):
    """A model of that shape in float32."""
    return AutoModelForCausalLM.from_config(shape, dtype=torch.float32)


def main() -> None:
    """Print a line a model: parameters, minutes a job on this machine, times the shipped model."""
    examples = dataset.build_examples()[:MAILS]
    chosen = training.auto_hyperparameters(MAILS, {"n_epochs": EPOCHS})
    steps = MAILS // chosen["batch_size"] * EPOCHS
    shipped, tokenizer = modeling.load_base(str(modeling.SHIPPED_BASE_MODEL))
    lengths = [len(modeling.encode_example(tokenizer, e)[0]) for e in examples]
    # The larger models have larger vocabularies, and so fewer tokens for the same mail.
    shorter = [tokens.count_example(e, tokens.encoding("o200k_base")) for e in examples]
    baseline = seconds_a_step(shipped, sum(lengths) // MAILS, chosen["batch_size"])
    print(f"{'shipped model':38} {baseline * steps / 60:6.1f} min")
    for name, shape in SHAPES.items():
        model = random_model(shape)
        millions = model.num_parameters() / 1e6
        took = seconds_a_step(model, sum(shorter) // MAILS, chosen["batch_size"])
        print(f"{name:38} {took * steps / 60:6.1f} min {took / baseline:6.0f} times "
              f"{millions:5.0f}M parameters")  # fmt: skip
        del model


if __name__ == "__main__":
    main()
