"""Every exercise: its right answers pass, its wrong ones are told why, untouched and junk too."""

from __future__ import annotations

import json

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


def test_progress_is_kept_and_solutions_can_be_switched_off(monkeypatch, capsys):
    exercises.check("01.1", "retrieval")
    exercises.check("01.1", "prompting")
    assert exercises.progress()["01.1"] == "wrong"
    path = config.OUTPUT / "progress.json"
    assert json.loads(path.read_text(encoding="utf-8"))["01.1"] == "wrong"
    monkeypatch.setenv("SOLUTIONS", "off")
    exercises.solution("01.1")
    assert "switched the solutions off" in capsys.readouterr().out


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
