"""How much longer eight mails take one after another than at once.

Run as: python benchmarks/answers.py

The local platform writes them, through the SDK as in the notebooks. Each mail is cut at 150 tokens
and kept from ending sooner, so that both ways write the same amount.
"""

from __future__ import annotations

import time

from helpers import config, dataset, inference

TOKENS, ROUNDS = 150, 3
NO_END = {"2": -100.0}  # the shipped tokenizer's end of an answer


def main() -> None:
    """Print the ratio of each round."""
    client, model = config.client(), config.provider().chat_model
    lists = list(dataset.held_out_topics().values())[: inference.AT_ONCE]

    def send(bullets) -> int:
        reply = client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": dataset.user_message(bullets)}],
            max_tokens=TOKENS,
            logit_bias=NO_END,
        )
        return reply.usage.completion_tokens

    def seconds(ask_all) -> float:
        started = time.perf_counter()
        assert sum(ask_all()) == TOKENS * len(lists)
        return time.perf_counter() - started

    send(lists[0])  # the first call loads the model
    for number in range(1, ROUNDS + 1):
        alone = seconds(lambda: [send(bullets) for bullets in lists])
        together = seconds(lambda: inference.at_once(send, lists))
        print(f"round {number}: one after another takes {alone / together:.1f} times as long")


if __name__ == "__main__":
    main()
