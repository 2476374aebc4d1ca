"""What a job or an answer costs: dated prices, estimates, and the guard in front of spending.

Training on the local platform is free, so nothing here is ever asked about it. For a hosted
provider, `confirm` shows the estimate and asks before the first cent is spent.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from helpers import tokens

PRICES_AS_OF = "2026-11-20"
PRICES_SOURCE = "https://developers.openai.com/api/docs/pricing"
END_DATES_SOURCE = (
    "https://developers.openai.com/api/docs/deprecations#update-to-openais-self-serve-fine-tuning"
)


class UnknownPrice(ValueError):
    """No price is on record for this model."""


class NotConfirmed(RuntimeError):
    """Somebody, or the spending limit, said no to a paid call."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens; None where the maker does not sell that.

    `input` and `output` are the plain model's, `tuned_input` and `tuned_output` those of a
    fine-tune of it. `last_day` is the day on which the model is switched off, if announced.
    """

    model: str
    input: float
    output: float | None
    training: float | None = None
    tuned_input: float | None = None
    tuned_output: float | None = None
    last_day: str | None = None


# Copied on PRICES_AS_OF from PRICES_SOURCE; last days from END_DATES_SOURCE. Prices that other
# sites quote for fine-tuning are often wrong: check the source before a large job.
PRICES = (
    Price("gpt-4.1", 2.00, 8.00, 25.00, 3.00, 12.00, "2027-01-14"),
    Price("gpt-4.1-mini", 0.40, 1.60, 5.00, 0.80, 3.20, "2027-01-14"),
    Price("gpt-4.1-nano", 0.10, 0.40, 1.50, 0.20, 0.80, "2026-10-23"),
    Price("gpt-4o", 2.50, 10.00, 25.00, 3.75, 15.00, "2027-01-14"),
    Price("gpt-4o-mini", 0.15, 0.60, 3.00, 0.30, 1.20, "2027-01-14"),
    Price("gpt-3.5-turbo", 0.50, 1.50, 8.00, 3.00, 6.00, "2026-10-23"),
    Price("gpt-6-luna", 0.10, 0.50),
    Price("gpt-5.6-luna", 0.20, 1.20),
    Price("text-embedding-3-small", 0.02, None),
    Price("text-embedding-3-large", 0.13, None),
    Price("workbook-mini", 0.0, 0.0, 0.0, 0.0, 0.0),
    Price("all-MiniLM-L6-v2", 0.0, None),
)


@dataclass(frozen=True)
class Estimate:
    """What something will cost. `detail` is the sum in words; `tokens` is what is billed."""

    what: str
    usd: float
    tokens: int
    detail: str

    def __str__(self) -> str:
        return f"{self.what}: about {self.usd:.2f} USD ({self.detail}; prices of {PRICES_AS_OF})"


def price_of(model: str) -> Price:
    """The price record of `model`, dated and fine-tuned names included. Raises UnknownPrice."""
    base = tokens.base_model_of(model)
    for price in sorted(PRICES, key=lambda price: len(price.model), reverse=True):
        rest = base.removeprefix(price.model)
        # What follows may only be a date (gpt-4.1-mini-2025-04-14, gpt-3.5-turbo-0125): a
        # gpt-4o-audio is another product at another price.
        if rest == "" or (base.startswith(price.model) and rest.replace("-", "").isdigit()):
            return price
    raise UnknownPrice(
        f"No price is on record for {model!r}. Look it up with its provider and add a line to "
        f"PRICES in helpers/pricing.py (the table is of {PRICES_AS_OF}, from {PRICES_SOURCE})."
    )


def price_table():
    """PRICES as a pandas DataFrame, in USD per million tokens."""
    import pandas as pd

    table = pd.DataFrame([vars(price) for price in PRICES]).set_index("model")
    return table.rename_axis(f"USD per million tokens, {PRICES_AS_OF}")


def auto_epochs(n_examples: int) -> int:
    """The number of epochs that `n_epochs="auto"` chooses for `n_examples` training examples.

    Three; for small sets 100 divided by the number of examples, rounded down (25 at most), and for
    very large ones 25,000 divided by it, rounded down (one at least). Source: OpenAI cookbook,
    `Chat_finetuning_data_prep`; real jobs of 10 and of 101 examples agree with it.
    """
    if n_examples < 1:
        raise ValueError(f"A data set needs at least one example, not {n_examples}.")
    if n_examples * 3 < 100:
        return min(25, 100 // n_examples)
    if n_examples * 3 > 25_000:
        return max(1, 25_000 // n_examples)
    return 3


def estimate_training(n_tokens: int, epochs: int, model: str) -> Estimate:
    """The cost of training on a file of `n_tokens` for `epochs` epochs.

    Price per million x tokens in the file x epochs; OpenAI does not bill the validation file's
    tokens. Raises UnknownPrice for an unknown model or one that cannot be tuned.
    """
    price = price_of(model)
    if price.training is None:
        raise UnknownPrice(f"{model} is not offered for fine-tuning, so training has no price.")
    billed = n_tokens * epochs
    detail = f"{n_tokens:,} tokens x {epochs} epochs at {price.training:.2f} USD a million"
    return Estimate(f"Training {model}", billed * price.training / 1e6, billed, detail)


def estimate_inference(
    n_calls: int, prompt_tokens: float, completion_tokens: float, model: str
) -> Estimate:
    """The cost of `n_calls` answers of so many tokens in and out each (averages are fine).

    A fine-tuned name (`ft:...`) takes the higher price of tuned models.
    """
    price = price_of(model)
    tuned = model.startswith("ft:")
    into = price.tuned_input if tuned else price.input
    out = (price.tuned_output if tuned else price.output) or 0.0
    if into is None:
        raise UnknownPrice(f"{price.model} has no price for a fine-tuned model.")
    usd = n_calls * (prompt_tokens * into + completion_tokens * out) / 1e6
    detail = (
        f"{n_calls:,} calls x ({prompt_tokens:,.0f} tokens in at {into:.2f} + "
        f"{completion_tokens:,.0f} out at {out:.2f} USD a million)"
    )
    total = round(n_calls * (prompt_tokens + completion_tokens))
    return Estimate(f"Asking {model}", usd, total, detail)


def together(estimates: Sequence[Estimate]) -> Estimate:
    """Several estimates as one, to be asked about once."""
    return Estimate(
        "; ".join(each.what for each in estimates),
        sum(each.usd for each in estimates),
        sum(each.tokens for each in estimates),
        "; ".join(each.detail for each in estimates),
    )


def confirm(estimate: Estimate, ask: Callable[[str], str] | None = None) -> bool:
    """The spending guard: True if this may be spent. Call it right before a paid call.

    On a free provider, or for an estimate of 0 USD, it says nothing and allows. Otherwise it
    shows the estimate and asks (`ask` is `input` unless given). Where nobody can answer (a run
    without a person), it allows only what the setting SPEND_LIMIT_USD still covers, counting
    everything it has allowed so far (the ledger is `spending.jsonl` in the output folder).
    """
    if estimate.usd == 0 or not _provider_is_paid():
        return True
    from helpers import config

    limit, spent = _spend_limit(), allowed_so_far()
    print(estimate)
    try:
        if ask is None and config.headless():
            raise EOFError
        answer = (ask or input)(f"Spend {estimate.usd:.2f} USD? Type yes to go on: ")
        allowed = answer.strip().lower() in ("y", "yes")
        print("Going ahead." if allowed else "Nothing was sent and nothing was spent.")
    except (EOFError, NotImplementedError):
        # `python -m helpers run`, no terminal (EOFError), or a kernel without a front end
        # (ipykernel's StdinNotImplementedError is a NotImplementedError): nobody is there to ask.
        allowed = spent + estimate.usd <= limit
        verdict = "covers it: going ahead." if allowed else "does not cover it: nothing was sent."
        print(f"Nobody to ask. SPEND_LIMIT_USD={limit:.2f}, {spent:.2f} of it used, {verdict}")
    if allowed:
        _note(estimate)
    return allowed


def require(estimate: Estimate, ask: Callable[[str], str] | None = None) -> None:
    """`confirm`, and an error where the answer is no: a notebook then stops before the paid call.

    Not an `assert`, which Python leaves out when it is told to optimise, the question with it.

    Raises: NotConfirmed.
    """
    if not confirm(estimate, ask):
        raise NotConfirmed("Not confirmed: nothing was sent and nothing was spent.")


def allowed_so_far() -> float:
    """USD that `confirm` has allowed, by the ledger in the output folder."""
    ledger = _ledger()
    if not ledger.exists():
        return 0.0
    lines = ledger.read_text(encoding="utf-8").splitlines()
    return sum(json.loads(line)["usd"] for line in lines)


def _note(estimate: Estimate) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entry = {"time": now, "what": estimate.what, "usd": estimate.usd}
    _ledger().parent.mkdir(parents=True, exist_ok=True)
    with _ledger().open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(entry) + "\n")


def _ledger() -> Path:
    from helpers import config

    return config.OUTPUT / "spending.jsonl"


def _provider_is_paid() -> bool:
    from helpers import config

    return config.provider().paid


def _spend_limit() -> float:
    from decouple import AutoConfig

    from helpers import config

    return AutoConfig(search_path=str(config.ROOT))("SPEND_LIMIT_USD", default=0.0, cast=float)
