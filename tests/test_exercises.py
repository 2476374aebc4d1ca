"""Every exercise: its right answers pass, its wrong ones are told why, untouched and junk too."""

from __future__ import annotations

import ast
import re
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import config, exercises

NUMBERS = sorted(
    path.stem.removeprefix("nb")
    for path in (config.ROOT / "helpers" / "exercise_sets").glob("nb*.py")
)
EVERY = [exercise for number in NUMBERS for exercise in exercises.load(number).values()]

each_exercise = pytest.mark.parametrize("exercise", EVERY, ids=lambda exercise: exercise.id)


def test_each_notebook_has_at_least_four():
    for number in ("01", "02", "03", "04", "05", "06"):
        assert len(exercises.load(number)) >= 4


@each_exercise
def test_right_answers_pass(exercise):
    for answer in exercise.right:
        assert exercises.judge(exercise, answer).outcome == "right"


@each_exercise
def test_wrong_answers_are_told_in_which_way(exercise):
    assert exercise.wrongs
    for answer, words in exercise.wrongs:
        feedback = exercises.judge(exercise, answer)
        assert feedback.outcome == "wrong"
        assert words in feedback.message


def test_each_thing_that_a_check_can_say_is_said_to_one_of_the_wrong_answers():
    for number in NUMBERS:
        path = config.ROOT / "helpers" / "exercise_sets" / f"nb{number}.py"
        tree = ast.parse(path.read_text(encoding="utf-8"))
        unsaid = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Raise)}

        def watch(frame, event, _, path=str(path), unsaid=unsaid):
            if frame.f_code.co_filename == path:
                unsaid.discard(frame.f_lineno)
                return watch
            return None

        before = sys.gettrace()
        for exercise in exercises.load(number).values():
            sys.settrace(watch)
            for answer, _ in exercise.wrongs:
                exercises.judge(exercise, answer)
            sys.settrace(before)
        assert not unsaid, f"{path.name}: no wrong answer reaches line {min(unsaid)}"


@each_exercise
def test_untouched_is_neither_right_nor_wrong(exercise):
    for answer in (*exercise.untouched, None, ..., ""):
        assert exercises.judge(exercise, answer).outcome == "untouched"


@each_exercise
@given(junk=st.one_of(st.integers(), st.text(), st.floats(), st.lists(st.integers()),
                      st.dictionaries(st.text(), st.integers()), st.binary()))  # fmt: skip
def test_junk_never_raises(exercise, junk):
    assert exercises.judge(exercise, junk).outcome in ("right", "wrong", "untouched")


@each_exercise
def test_functions_that_misbehave_never_raise(exercise):
    def raising(*_):
        raise RuntimeError("no")

    for answer in (raising, lambda: 1, print, object()):
        assert exercises.judge(exercise, answer).outcome == "wrong"


@each_exercise
def test_two_hints_and_a_solution_that_names_the_learners_variable(exercise):
    assert len(exercise.hints) == 2
    assert "ex_" in exercise.solution
    namespace = {}
    exec("import math, json\n" + exercise.solution, namespace)
    answer = [value for name, value in namespace.items() if name.startswith("ex_")][0]
    assert exercises.judge(exercise, answer).outcome == "right"


@each_exercise
def test_the_solution_stands_on_its_own_and_is_right(exercise):
    names = {}
    exec(exercise.solution, names)
    answer = next(value for name, value in names.items() if name.startswith("ex_"))
    assert exercises.judge(exercise, answer).outcome == "right"


@each_exercise
def test_untouched_names_what_to_replace_and_it_is_what_the_notebook_has(exercise):
    said = exercises.judge(exercise, None).message
    name = re.search(r"`(ex_\w+) = None`", said)[1]
    assert ("def" in said) == callable(exercise.right[0])
    path = next((config.ROOT / "notebooks").glob(f"{exercise.id[:2]}_*.ipynb"))
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    cell = next(source for source in cells if f'\ncheck("{exercise.id}", ' in source)
    assert f'check("{exercise.id}", {name})' in cell
    assert re.search(rf"^{name} = None", cell, re.MULTILINE)


@pytest.fixture
def learner(monkeypatch, tmp_path):
    """A learner at a notebook, with an empty output folder of their own."""
    monkeypatch.setenv("WORKBOOK_HEADLESS", "0")
    monkeypatch.setattr(config, "OUTPUT", tmp_path)
    return tmp_path / "progress.json"


def test_the_best_outcome_is_kept(learner):
    exercises.check("01.1", None)
    assert exercises.progress() == {"01.1": "untouched"}
    exercises.check("01.1", "prompting")
    exercises.check("01.1", None)
    assert exercises.progress() == {"01.1": "wrong"}
    exercises.check("01.1", "retrieval")
    for later in (None, "prompting"):
        exercises.check("01.1", later)
        assert exercises.progress() == {"01.1": "right"}


def test_a_file_of_the_first_form_is_taken_up(learner):
    learner.write_text('{"01.1": "right", "01.2": "wrong"}', encoding="utf-8")
    exercises.check("01.3", None)
    assert exercises.progress() == {"01.1": "right", "01.2": "wrong", "01.3": "untouched"}


def test_a_damaged_file_stops_no_check_and_is_not_lost(learner):
    learner.write_text('{"01.1": "ri', encoding="utf-8")
    assert exercises.board().green[0] == 0
    exercises.check("01.1", "retrieval")
    assert exercises.progress() == {"01.1": "right"}
    assert '{"01.1": "ri' in [path.read_text("utf-8") for path in learner.parent.iterdir()]


def test_solutions_can_be_switched_off(monkeypatch, capsys):
    exercises.solution("01.1")
    assert "retrieval" in capsys.readouterr().out
    monkeypatch.setenv("SOLUTIONS", "off")
    exercises.solution("01.1")
    said = capsys.readouterr().out
    assert "switched the solutions off" in said
    assert "retrieval" not in said


@pytest.mark.parametrize("answer", [np.zeros(3), pd.DataFrame({"a": [1, 2]}), pd.Series([])])
def test_tables_and_arrays_are_answers_too(answer):
    assert exercises.judge(exercises.find("01.1"), answer).outcome == "wrong"


@pytest.mark.parametrize("number", ["02", "03", "05"])
def test_a_plan_is_judged_decision_by_decision(number):
    """Every choice and every reason is right once, and no message gives the right one away."""
    exercise = exercises.find(f"{number}.5")
    right = exercise.right[0]
    told = [
        exercises.judge(exercise, wrong).message
        for wrong, _ in exercise.wrongs
        if isinstance(wrong, dict) and set(wrong) == set(right)
    ]
    for name, (choice, fault) in right.items():
        about = [message for message in told if message.startswith(f"{name}: ")]
        assert about
        assert not any(choice in message or fault in message for message in about)
    faults = [fault for _, fault in right.values()]
    for name, (choice, fault) in right.items():
        for other in set(faults) - {fault}:
            said = exercises.judge(exercise, {**right, name: (choice, other)})
            assert said.outcome == "wrong"
            assert said.message.startswith(f"{name}: ")


def test_an_unknown_exercise_names_the_known_ones():
    with pytest.raises(KeyError, match="01.1, 01.2"):
        exercises.find("01.99")


def test_a_learners_list_is_not_changed():
    seen = []

    def greedy(ranks, k):
        seen.append(ranks)
        ranks.clear()
        return 0.5

    exercises.judge(exercises.find("06.2"), greedy)
    assert seen  # the function got a copy: the check went on with its own list
