"""Exercises that check themselves: `check`, `hint`, `solution`.

A check has three outcomes (right, wrong, untouched), never raises, and never says the expected
value: it names the misconception that it recognises. The exercises of notebook 01 lie in
`exercise_sets/nb01.py`, and so on; each ships a right answer, known wrong ones and the untouched
one, and the tests run them all.

The best outcome of each exercise is kept in `output/progress.json`, and `board` shows it. A run
without a learner (WORKBOOK_HEADLESS=1, as `helpers/runner.py` sets it) neither writes that file
nor shows it, so that what is committed is the same on every machine.
"""

from __future__ import annotations

import copy
import html
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from decouple import AutoConfig
from IPython.display import display

from helpers import config
from helpers.classroom import Attempts, read_progress, write_progress

COLOURS = {"right": "#00704f", "wrong": "#a33a00", "untouched": "#3d5a80", "note": "#3d5a80"}
# No one colour of text is readable on a light and on a dark page: boxes bring their own ground.
GROUND, INK, LINE = "#ffffff", "#1a1a1a", "#8c8c8c"


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
        style = (
            f"background:{GROUND};color:{INK};border-left:4px solid {colour};"
            "padding:4px 10px;white-space:pre-wrap"
        )
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
    if any(answer is value for value in (*exercise.untouched, None, ...)) or _blank(answer):
        return Feedback("untouched", _what_to_replace(exercise))
    try:
        exercise.check(answer if callable(answer) else copy.deepcopy(answer))
    except Wrong as wrong:
        return Feedback("wrong", str(wrong))
    except Exception as error:  # a check that stumbles over a strange answer is no reason to crash
        return Feedback(
            "wrong", f"The answer is of another kind than was asked for ({type(error).__name__})."
        )
    return Feedback("right", exercise.why)


def _blank(answer: object) -> bool:
    return isinstance(answer, str) and not answer.strip()


def answer_name(exercise: Exercise) -> str:
    """The variable or function that the learner is to write: the one that the solution makes."""
    return re.search(r"^(?:def )?(ex_\w+)", exercise.solution, re.MULTILINE)[1]


def _what_to_replace(exercise: Exercise) -> str:
    name = answer_name(exercise)
    if f"def {name}(" in exercise.solution:
        return (
            f"Replace the line `{name} = None` by a function of that name "
            f"(`def {name}(...):`), then run the cell again."
        )
    return f"Replace None in `{name} = None` by your answer, then run the cell again."


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


@dataclass(frozen=True)
class Decision:
    """One decision of a plan: the choice that fits, the fault that it prevents, and for each
    choice that does not fit the misconception behind it."""

    fits: str
    prevents: str
    misfits: dict[str, str]


def weigh(plan: object, decisions: dict[str, Decision], faults: dict[str, str]) -> None:
    """Check a plan: a dict of decision -> (choice, fault that the choice prevents).

    `faults` says of each fault what it means. Raises: Wrong naming one thing that is amiss, the
    choices before the reasons.
    """
    if not isinstance(plan, dict):
        raise Wrong("A dictionary is asked for: a pair (choice, fault) for each decision.")
    missing = [name for name in decisions if not plan.get(name)]
    if missing:
        raise Wrong(f"Nothing decided yet for: {', '.join(missing)}.")
    for name in decisions:
        if not isinstance(plan[name], tuple | list) or len(plan[name]) != 2:
            raise Wrong(f"{name}: a pair is asked for, the choice and the fault that it prevents.")
    for name, decision in decisions.items():
        chosen = one_of(plan[name][0], tuple(sorted([decision.fits, *decision.misfits])))
        if chosen != decision.fits:
            raise Wrong(f"{name}: {decision.misfits[chosen]}")
    for name, decision in decisions.items():
        reason = one_of(plan[name][1], tuple(sorted(faults)))
        if reason != decision.prevents:
            raise Wrong(
                f"{name}: a good choice with another reason. {reason.capitalize()} means that "
                f"{faults[reason]}; which of the decisions prevents that most directly?"
            )


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


MARKS = {  # outcome -> sign and word: never told by colour alone
    "right": ("+", "right"),
    "wrong": ("x", "not yet"),
    "untouched": (".", "untouched"),
}


@dataclass(frozen=True)
class Board:
    """How far a learner has come: one row a notebook, one mark an exercise."""

    rows: dict[str, dict[str, str]]

    @property
    def green(self) -> tuple[int, int]:
        """(exercises answered right, exercises in all)."""
        outcomes = [outcome for row in self.rows.values() for outcome in row.values()]
        return outcomes.count("right"), len(outcomes)

    @property
    def summary(self) -> str:
        """The whole board in one sentence."""
        right, all_of_them = self.green
        return f"{right} of {all_of_them} exercises right"

    @property
    def columns(self) -> list[str]:
        """The numbers of the exercises within a notebook: those of the longest one."""
        numbers = {id_.split(".")[1] for row in self.rows.values() for id_ in row}
        return sorted(numbers, key=int)

    def _table(self) -> list[tuple[str, list[str], str]]:
        """Each notebook's number, the outcome in every column ("" for none), and its sum."""
        return [
            (number, [row.get(f"{number}.{column}", "") for column in self.columns], _sum(row))
            for number, row in self.rows.items()
        ]

    def __repr__(self) -> str:
        def line(first: str, middle: list[str], last: str) -> str:
            return f"{first:<10}" + "".join(f"{text:<13}" for text in middle) + last

        lines = [line("notebook", self.columns, "right")]
        lines += [
            line(number, [" ".join(MARKS.get(outcome, ())) for outcome in outcomes], total)
            for number, outcomes, total in self._table()
        ]
        return "\n".join([*lines, self.summary])

    def _repr_html_(self) -> str:
        exercises = [f"exercise {column}" for column in self.columns]
        head = "".join(_head(text, "col") for text in ("notebook", *exercises, "right"))
        body = "".join(
            f"<tr>{_head(number, 'row')}{''.join(map(_mark, outcomes))}{_cell(total)}</tr>"
            for number, outcomes, total in self._table()
        )
        return (
            f"<table style='border-collapse:collapse'><caption style='{_style()}'>"
            f"{self.summary}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )


def _sum(row: dict[str, str]) -> str:
    return f"{list(row.values()).count('right')} of {len(row)}"


def _style(colour: str = INK) -> str:
    """The look of a cell, on its own ground: a theme's colours for tables may be dark."""
    return (
        f"background:{GROUND};color:{colour};border:1px solid {LINE};padding:4px 8px;"
        "text-align:left"
    )


def _head(text: str, scope: str) -> str:
    return f"<th scope='{scope}' style='{_style()}'>{text}</th>"


def _cell(content: str, colour: str = INK) -> str:
    return f"<td style='{_style(colour)}'>{content}</td>"


def _mark(outcome: str) -> str:
    """The cell of one exercise; an empty one where a notebook has no more of them."""
    if not outcome:
        return _cell("")
    sign, word = MARKS[outcome]
    return _cell(f"<b aria-hidden='true'>{sign}</b> {word}", COLOURS[outcome])


def board() -> Board:
    """The progress of this learner over all notebooks; untouched throughout in a headless run."""
    done = {} if config.headless() else progress()
    folder = config.ROOT / "helpers" / "exercise_sets"
    numbers = sorted(path.stem.removeprefix("nb") for path in folder.glob("nb*.py"))
    return Board({n: {id_: done.get(id_, "untouched") for id_ in load(n)} for n in numbers})


def progress() -> dict[str, str]:
    """The best outcome so far of each exercise that was checked."""
    return {exercise: kept.outcome for exercise, kept in _kept().items()}


def _kept() -> dict[str, Attempts]:
    """What the learner's file holds. One that cannot be read is as good as none: `check` and
    `board` must work all the same."""
    try:
        return read_progress(config.OUTPUT / "progress.json")
    except ValueError:
        return {}


def _note(exercise_id: str, outcome: str) -> None:
    """Add one outcome to the learner's file; a headless run has no learner."""
    if config.headless():
        return
    path, kept = config.OUTPUT / "progress.json", _kept()
    if path.exists() and not kept:  # damaged, or empty: never written over, so that it can be saved
        path.replace(path.with_name("progress-unreadable.json"))
    attempts = kept.get(exercise_id, Attempts()).and_then(outcome)
    write_progress(path, {**kept, exercise_id: attempts})
