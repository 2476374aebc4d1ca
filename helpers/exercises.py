"""Exercises that check themselves: `check`, `hint`, `solution`.

A check has three outcomes (right, wrong, untouched), never raises, and never says the expected
value: it names the misconception that it recognises. The exercises of notebook 01 lie in
`exercise_sets/nb01.py`, and so on; each ships a right answer, known wrong ones and the untouched
one, and the tests run them all.
"""

from __future__ import annotations

import copy
import html
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from decouple import AutoConfig
from IPython.display import display

from helpers import config

COLOURS = {"right": "#00704f", "wrong": "#a33a00", "untouched": "#3d5a80", "note": "#3d5a80"}


class Wrong(Exception):
    """Raised inside a check: the answer is wrong, and the message says in which way."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    `check` gets the answer and returns nothing if it is right, else raises `Wrong`. `solution` is
    code that defines the variable the notebook asks for, `why` the reason in a sentence. `right`
    are answers that must pass; `wrongs` are pairs of a wrong answer and words that the feedback
    on it must contain.
    """

    id: str
    question: str
    check: Callable[[object], None]
    hints: tuple[str, str]
    solution: str
    why: str
    right: tuple
    wrongs: tuple[tuple[object, str], ...]
    untouched: tuple = (None,)


@dataclass(frozen=True)
class Feedback:
    """What the learner sees: a word for the outcome and a sentence. Text and HTML say the same."""

    outcome: str
    message: str

    def __repr__(self) -> str:
        return f"{self.outcome.upper()}: {self.message}"

    def _repr_html_(self) -> str:
        colour = COLOURS.get(self.outcome, COLOURS["note"])
        style = f"border-left:4px solid {colour};padding:4px 10px;white-space:pre-wrap"
        word = f"<b style='color:{colour}'>{self.outcome.capitalize()}</b>"
        return f"<div style='{style}'>{word}: {html.escape(self.message)}</div>"


def check(exercise_id: str, answer: object) -> None:
    """Check an answer and show the outcome. Works in Run All; nothing is ever raised."""
    feedback = judge(find(exercise_id), answer)
    _note(exercise_id, feedback.outcome)
    display(feedback)


def hint(exercise_id: str, number: int = 1) -> None:
    """Show the first or the second hint."""
    hints = find(exercise_id).hints
    chosen = hints[min(max(number, 1), len(hints)) - 1]
    more = f' (more: hint("{exercise_id}", 2))' if number < len(hints) else ""
    display(Feedback("hint", chosen + more))


def solution(exercise_id: str) -> None:
    """Show a solution and why it is one, unless the setting SOLUTIONS is off."""
    if AutoConfig(search_path=str(config.ROOT))("SOLUTIONS", default="on").lower() == "off":
        display(Feedback("solution", "Your teacher has switched the solutions off (SOLUTIONS)."))
        return
    exercise = find(exercise_id)
    display(Feedback("solution", f"{exercise.solution}\n\n{exercise.why}"))


def judge(exercise: Exercise, answer: object) -> Feedback:
    """The outcome of an answer. The answer itself is not changed: its check sees a copy."""
    if any(answer is value for value in (*exercise.untouched, None, ...)) or answer == "":
        return Feedback("untouched", "Replace None by your answer, then run the cell again.")
    try:
        exercise.check(answer if callable(answer) else copy.deepcopy(answer))
    except Wrong as wrong:
        return Feedback("wrong", str(wrong))
    except Exception as error:  # a check that stumbles over a strange answer is no reason to crash
        return Feedback(
            "wrong", f"The answer is of another kind than was asked for ({type(error).__name__})."
        )
    return Feedback("right", exercise.why)


def call(function: object, *arguments: object):
    """Call a learner's function on copies of the arguments; its errors become sentences.

    Raises: Wrong where it is no function, raises, or returns nothing.
    """
    if not callable(function):
        raise Wrong("A function is asked for: begin with `def`, and hand over its name.")
    shown = ", ".join(repr(argument) for argument in arguments)
    try:
        result = function(*copy.deepcopy(arguments))
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise Wrong(f"Called with ({shown}), your function stopped with {said}.") from error
    return result


def returned(function: object, *arguments: object):
    """As `call`, for functions that must return something: a forgotten `return` is named."""
    result = call(function, *arguments)
    if result is None:
        raise Wrong("Your function returned None. Did you forget `return`?")
    return result


def one_of(answer: object, choices: tuple[str, ...]) -> str:
    """The answer as one of the named choices, whatever its case. Raises: Wrong."""
    if not isinstance(answer, str):
        raise Wrong(f"A text is asked for, one of: {', '.join(choices)}.")
    plain = answer.strip().lower()
    if plain not in choices:
        raise Wrong(f"{answer!r} is none of: {', '.join(choices)}.")
    return plain


def find(exercise_id: str) -> Exercise:
    """The exercise of this id. Raises: KeyError naming those that its notebook has."""
    number = exercise_id.split(".")[0]
    exercises = load(number)
    if exercise_id not in exercises:
        raise KeyError(f"No exercise {exercise_id}; notebook {number} has {', '.join(exercises)}.")
    return exercises[exercise_id]


def load(number: str) -> dict[str, Exercise]:
    """The exercises of a notebook ("02"), by id."""
    module = importlib.import_module(f"helpers.exercise_sets.nb{number}")
    return {exercise.id: exercise for exercise in module.EXERCISES}


@dataclass(frozen=True)
class Board:
    """How far a learner has come: one row a notebook, one mark an exercise."""

    rows: dict[str, dict[str, str]]

    @property
    def green(self) -> tuple[int, int]:
        """(exercises answered right, exercises in all)."""
        outcomes = [outcome for row in self.rows.values() for outcome in row.values()]
        return outcomes.count("right"), len(outcomes)

    def __repr__(self) -> str:
        lines = [
            f"{number}  " + "  ".join(f"{id_} {MARKS[outcome][0]}" for id_, outcome in row.items())
            for number, row in self.rows.items()
        ]
        right, all_of_them = self.green
        return "\n".join([*lines, f"{right} of {all_of_them} right"])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th scope='row'>{number}</th>" + "".join(map(_cell, row.items())) + "</tr>"
            for number, row in self.rows.items()
        )
        right, all_of_them = self.green
        caption = f"<caption>{right} of {all_of_them} exercises right</caption>"
        return f"<table>{caption}{cells}</table>"


MARKS = {  # outcome -> sign and word: never told by colour alone
    "right": ("+", "right"),
    "wrong": ("x", "not yet"),
    "untouched": (".", "untouched"),
}


def _cell(item: tuple[str, str]) -> str:
    id_, outcome = item
    sign, word = MARKS[outcome]
    return f"<td style='color:{COLOURS[outcome]}'>{id_} <b>{sign}</b> {word}</td>"


def board() -> Board:
    """The progress of this learner over all notebooks."""
    done = progress()
    folder = config.ROOT / "helpers" / "exercise_sets"
    numbers = sorted(path.stem.removeprefix("nb") for path in folder.glob("nb*.py"))
    return Board({n: {id_: done.get(id_, "untouched") for id_ in load(n)} for n in numbers})


def progress() -> dict[str, str]:
    """The last outcome of each exercise that was checked."""
    path = config.OUTPUT / "progress.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _note(exercise_id: str, outcome: str) -> None:
    path = config.OUTPUT / "progress.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    known = dict(sorted({**progress(), exercise_id: outcome}.items()))
    path.write_text(json.dumps(known, indent=1), encoding="utf-8", newline="\n")
