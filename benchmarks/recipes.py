"""Recipes for the base model at equal compute, each by the scores of the base model's tasks.

Run as: python benchmarks/recipes.py --prose PROSE.jsonl.gz

Every recipe changes one dial of the shipped one. All are given as many multiplications as the
shipped one needs for `--tokens` tokens, so a smaller model reads more. Prints the table of the
model card; what is finished is kept in `--out` and not trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from helpers.local_platform import evaluate, pretrain

RECIPES = {
    "the shipped recipe: width 192, 8,192 tokens, Muon, word vectors": [],
    "AdamW for all": ["--optimiser", "adamw"],
    "random start": ["--start", "random"],
    "vocabulary of 4,096": ["--vocabulary", "4096"],
    "width 128": ["--width", "128"],
    "width 256": ["--width", "256"],
    "a Llama, without pointer": ["--architecture", "llama"],
}
SHOWN = {  # the scores that the table shows, by the start of their name
    "held-out mails": "bits per character",
    "task 1: content": "task 1: words of the points",
    "task 2: content": "task 2: words in the mail",
    "task 3: the exact": "task 3: exact",
    "task 3: \"I don't": 'task 3: "I don\'t know"',
}


def work(options) -> float:
    """Multiplications a token: the weights of all layers and of the output, each used once."""
    layer = 4 * options.width**2 + 3 * options.width * pretrain.inner_width(options.width)
    return options.layers * layer + options.vocabulary * options.width


def score(dials: list[str], options, folder: Path) -> dict[str, float]:
    """Train one recipe and measure it; or read what was measured earlier."""
    kept = folder / "scores.json"
    if not kept.exists():
        common = ["--out", str(folder), "--seed", "1"]
        common += ["--prose", str(options.prose)] if options.prose else []
        common += ["--bfloat16"] if options.bfloat16 else []
        recipe = pretrain.parse_arguments(common + dials)
        recipe.tokens = options.tokens * work(pretrain.parse_arguments([])) / work(recipe)
        pretrain.train(recipe)
        scores = evaluate.main(["--model", str(folder), "--only", "base"])
        found = {score.what: score.value for score in scores} | {"tokens": recipe.tokens}
        kept.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def line(name: str, scores: dict[str, float]) -> str:
    """One row of the table."""
    shown = [next(scores[what] for what in scores if what.startswith(start)) for start in SHOWN]
    cells = [f"{shown[0]:.2f}"] + [f"{value:.0%}" for value in shown[1:]]
    return " | ".join([f"| {name}", f"{scores['tokens'] / 1e6:.1f}M", *cells]) + " |"


def main() -> None:
    """Train and measure all recipes, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prose", type=Path, help="as for pretrain")
    parser.add_argument("--tokens", type=float, default=1e6, help="what the shipped recipe reads")
    parser.add_argument("--bfloat16", action="store_true", help="as for pretrain")
    parser.add_argument("--out", type=Path, default=Path("output/recipes"))
    options = parser.parse_args()
    rows = [
        line(name, score(dials, options, options.out / str(number)))
        for number, (name, dials) in enumerate(RECIPES.items(), start=1)
    ]
    print(f"\n| recipe | tokens | {' | '.join(SHOWN.values())} |")
    print("|---" * (len(SHOWN) + 2) + "|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
