"""Exercises of notebook 01."""

from __future__ import annotations

import math

from helpers.exercises import Exercise, Wrong, call, one_of, returned


def _tool(answer: object) -> None:
    chosen = one_of(answer, ("prompting", "fine-tuning", "retrieval"))
    if chosen == "fine-tuning":
        raise Wrong("That would freeze the stock as it was on the day of the training.")
    if chosen == "prompting":
        raise Wrong("An instruction alone brings no knowledge; something must fetch the stock.")


def _break_even(answer: object) -> None:
    found = returned(answer, 10.0, 0.05, 0.02)  # no whole number of calls, so rounding shows
    if math.isclose(found, 10.0 / 0.05):
        raise Wrong("You divided by the price of a long call. What is saved by each tuned call?")
    if math.isclose(found, 10.0 * (0.05 - 0.02)):
        raise Wrong("You multiplied. How often does the saving fit into the price of the training?")
    if not math.isclose(found, 10.0 / 0.03):
        if abs(found - 10.0 / 0.03) < 1:
            raise Wrong("You rounded. Return the number as the division gives it.")
        raise Wrong("The number of calls is not right for training 10, long 0.05, tuned 0.02.")
    if call(answer, 10.0, 0.02, 0.05) is not None:
        raise Wrong("Where a tuned call costs more, no number of calls pays: return None there.")
    if call(answer, 10.0, 0.02, 0.02) is not None:
        raise Wrong("Where both calls cost the same, the training is never paid back.")


def _right_break_even(training, long_call, tuned_call):
    return training / (long_call - tuned_call) if tuned_call < long_call else None


def _scores(vectors, query):
    return [sum(a * b for a, b in zip(vector, query, strict=True)) for vector in vectors]


def _nearest(answer: object) -> None:
    vectors = [[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]]
    found = returned(answer, vectors, [0.1, 0.99])
    if isinstance(found, float) and not float(found).is_integer():
        raise Wrong("You returned a similarity. The position of the vector is asked for.")
    if found == 2:
        raise Wrong("You took the least similar vector: a large cosine means close.")
    if found != 1:
        raise Wrong("For the query [0.1, 0.99] another of the three vectors is closer.")
    if returned(answer, vectors, [-0.9, 0.1]) != 2:
        raise Wrong("A second query gets the wrong vector. Does the sign of the product count?")


SOLUTION_NEAREST = """\
def ex_nearest(vectors, query):
    scores = [sum(a * b for a, b in zip(vector, query)) for vector in vectors]
    return scores.index(max(scores))"""

SITUATIONS = {"tone": "fine-tuning", "prices": "retrieval", "trial": "prompting"}


def _plan(answer: object) -> None:
    if not isinstance(answer, dict):
        raise Wrong("A dictionary is asked for: a tool for each of the three needs.")
    missing = [need for need in SITUATIONS if not answer.get(need)]
    if missing:
        raise Wrong(f"No tool yet for: {', '.join(missing)}.")
    chosen = {need: one_of(answer[need], tuple(SITUATIONS.values())) for need in SITUATIONS}
    if chosen["prices"] == "fine-tuning":
        raise Wrong("Prices: they would be frozen on the day of the training.")
    if chosen["prices"] == "prompting":
        raise Wrong("Prices: ten thousand do not fit into a prompt. Fetch the few you need.")
    if chosen["tone"] == "retrieval":
        raise Wrong("Tone: a passage brings facts into an answer, not a way of speaking.")
    if chosen["tone"] == "prompting":
        raise Wrong("Tone: a prompt with examples was tried, and it did not hold the tone.")
    if chosen["trial"] != "prompting":
        raise Wrong("Trial: for twenty messages and one afternoon, what needs no preparation?")


EXERCISES = [
    Exercise(
        "01.1",
        "Which tool brings today's stock into an answer?",
        _tool,
        ("Which of the three keeps knowledge outside the model?",
         "Stock changes by the hour: which tool can be updated without any training?"),
        'ex_tool = "retrieval"',
        "Knowledge that changes belongs outside the model, where it is fetched for each question.",
        right=("retrieval", " Retrieval "),
        wrongs=(("fine-tuning", "day of the training"), ("prompting", "fetch"),
                ("embedding", "none of"), (3, "text")),
    ),
    Exercise(
        "01.2",
        "From how many calls on is a fine-tune cheaper?",
        _break_even,
        ("Every tuned call saves the difference of the two prices.",
         "Divide the price of the training by the saving per call; mind a saving of zero or less."),
        "def ex_break_even(training, long_call, tuned_call):\n"
        "    saving = long_call - tuned_call\n"
        "    return training / saving if saving > 0 else None",
        "The training is paid back once the savings of all calls add up to its price.",
        right=(_right_break_even,),
        wrongs=(
            (lambda t, a, b: t / a, "long call"),
            (lambda t, a, b: t * (a - b), "multiplied"),
            (lambda t, a, b: round(t / (a - b)) if b < a else None, "rounded"),
            (lambda t, a, b: math.ceil(t / (a - b)) if b < a else None, "rounded"),
            (lambda t, a, b: round(t / (a - b), 2) if b < a else None, "rounded"),
            (lambda t, a, b: t / (a - b) if a != b else None, "no number of calls"),
            (lambda t, a, b: t / (a - b) if a >= b else None, "ZeroDivisionError"),
            (lambda t, a, b: t / (a - b) if a > b else 0 if a == b else None, "never paid"),
            (lambda t, a, b: t / (a + b), "not right"),
            (lambda t, a, b: None, "forget"),
            (42, "def"),
        ),
    ),
    Exercise(
        "01.3",
        "The position of the most similar vector.",
        _nearest,
        ("For vectors of length 1 the cosine is the sum of the products of their numbers.",
         "Compute one score per vector, then find the position of the largest."),
        SOLUTION_NEAREST,
        "The largest cosine marks the smallest angle; the length does not matter when it is 1.",
        right=(lambda v, q: max(range(len(v)), key=_scores(v, q).__getitem__),),
        wrongs=(
            (lambda v, q: min(range(len(v)), key=_scores(v, q).__getitem__), "least"),
            (lambda v, q: max(_scores(v, q)), "position"),
            (lambda v, q: 0, "closer"),
            (lambda v, q: 1, "sign"),
            (lambda v: 0, "stopped"),
        ),
    ),
    Exercise(
        "01.4",
        "A tool for each of three needs.",
        _plan,
        ("Ask of each need: does it change, and how often is it used?",
         "What changes belongs outside the model; what repeats belongs inside; what is tried once "
         "belongs in the prompt."),
        'ex_plan = {"tone": "fine-tuning", "prices": "retrieval", "trial": "prompting"}',
        "The tools are parts of one system, not rivals: most products end up with all three.",
        right=(dict(SITUATIONS), {**SITUATIONS, "tone": "Fine-tuning"}),
        wrongs=(
            ({**SITUATIONS, "prices": "fine-tuning"}, "frozen"),
            ({**SITUATIONS, "prices": "prompting"}, "fit into"),
            ({**SITUATIONS, "tone": "retrieval"}, "way of speaking"),
            ({**SITUATIONS, "tone": "prompting"}, "was tried"),
            ({**SITUATIONS, "trial": "retrieval"}, "afternoon"),
            ({**SITUATIONS, "trial": "magic"}, "none of"),
            ({"tone": "fine-tuning"}, "prices"),
            ("fine-tuning", "dictionary"),
        ),
    ),
]  # fmt: skip
