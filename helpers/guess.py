"""A learner's guess held against what was then measured."""


def compare(guess: float | None, measured: float, unit: str) -> str:
    """One sentence: the measurement, and how near the guess came (none is fine).

    Near means within a tenth of the measured value, or within one unit of it.
    """
    said = f"Measured: {_number(measured)} {unit}."
    if guess is None:
        return f"{said} (You made no guess: try one first, it makes the number stick.)"
    if not isinstance(guess, int | float):
        return f"{said} Your guess should be a number, not {guess!r}."
    difference = guess - measured
    if abs(difference) <= max(1, abs(measured) / 10):
        return f"{said} Your guess of {_number(guess)} was close."
    side = "too high" if difference > 0 else "too low"
    return f"{said} Your guess of {_number(guess)} was {side}, by {_number(abs(difference))}."


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"
