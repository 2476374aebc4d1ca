"""The course as a learner runs it: every notebook in a fresh kernel, then ChrisGPT is examined.

The notebooks run in order and share one output folder, as in `python -m helpers run`. What they
made is then held against the course's promises: a model that learned, and curves that are true.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

import nbformat
import numpy as np
import pytest

from helpers import config, dataset, evaluation, exercises, inference, jobs, runner

NOTEBOOKS = runner.choose(None)
SLOW = os.environ.get("WORKBOOK_SLOW") == "1"  # half an hour more


def with_answers(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook after a learner has typed an answer wherever it has an empty one."""
    for cell in notebook.cells:
        asked = re.search(r'^check\("([\d.]+)", ex_', cell.source, re.MULTILINE)
        if cell.cell_type == "code" and asked:
            answer = exercises.find(asked[1]).solution
            empty = re.compile(r"^ex_\w+ = None.*$", re.MULTILINE)
            cell.source = empty.sub(lambda _, answer=answer: answer, cell.source)
    return notebook


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebooks by number, executed once with a learner's answers; the test's set-up."""
    folder, done = tmp_path_factory.mktemp("learner"), {}
    for path in NOTEBOOKS:
        answered = folder / path.name
        nbformat.write(with_answers(nbformat.read(path, as_version=4)), answered)
        done[path.name[:2]] = runner.execute(answered)
    return done


@pytest.fixture(scope="module")
def chris(executed):
    """The name of the model that notebook 04 trained."""
    return jobs.recall_model("chris-gpt")


@pytest.fixture(scope="module")
def job(chris):
    for found in config.client().fine_tuning.jobs.list():
        if found.fine_tuned_model == chris:
            return found
    raise AssertionError("ChrisGPT's job is not on the platform")


@pytest.mark.parametrize("number", [path.name[:2] for path in NOTEBOOKS])
def test_a_notebook_runs_in_a_fresh_kernel(executed, number):
    notebook = executed[number]
    assert notebook is not None, "a cell failed: see the output above"
    outputs = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    assert [o for o in outputs if o.get("name") == "stderr"] == []
    assert any("image/png" in o.get("data", {}) for o in outputs)


def feedback(notebook: nbformat.NotebookNode) -> dict[str, str]:
    """What each check of an executed notebook said, by exercise: `RIGHT: ...`."""
    said = {}
    for cell in notebook.cells:
        asked = re.search(r'^check\("([\d.]+)", ex_', cell.source, re.MULTILINE)
        if cell.cell_type == "code" and asked:
            shown = [output.data for output in cell.outputs if "data" in output]  # not the prints
            said[asked[1]] = "\n".join(data["text/plain"] for data in shown)
    return said


@pytest.mark.parametrize("number", [path.name[:2] for path in NOTEBOOKS])
def test_a_learner_who_types_the_answers_sees_every_check_turn_green(executed, number):
    said = feedback(executed[number])
    assert set(said) == set(exercises.load(number))
    assert {name: text for name, text in said.items() if not text.startswith("RIGHT: ")} == {}


def test_a_second_run_of_a_notebook_works_too(executed):
    path = next(path for path in NOTEBOOKS if path.name.startswith("03"))
    assert runner.execute(path) is not None


@pytest.mark.skipif(not SLOW, reason="WORKBOOK_SLOW=1 runs each notebook alone, and twice")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_alone_and_twice_in_a_row(path, tmp_path, monkeypatch):
    # The kernels, and the platform that they start, take the empty folder from the environment.
    monkeypatch.setenv("WORKBOOK_OUTPUT", str(tmp_path / "output"))
    try:
        for turn in ("alone", "again"):
            notebook = runner.execute(path)
            assert notebook is not None, f"a cell failed, {turn}: see the output above"
            shown = [o for cell in notebook.cells for o in cell.get("outputs", [])]
            assert [o.text for o in shown if o.get("name") == "stderr"] == [], turn
            assert any("image/png" in o.get("data", {}) for o in shown), turn
    finally:
        stop = [sys.executable, "-m", "helpers", "--here", "platform", "stop"]
        subprocess.run(stop, cwd=config.ROOT, capture_output=True)


def test_the_summary_names_the_model_and_the_mails(executed, chris):
    said = runner.summary()
    assert chris in said
    assert "ChrisGPT's mails" in said


def test_the_loss_curve_from_the_events_is_the_result_file(job):
    client = config.client()
    from_events = jobs.loss_history(jobs.all_events(client, job.id))
    from_file = jobs.result_history(client, job)
    assert list(from_events["step"]) == list(from_file["step"])
    pairs = {"train_loss": "train_loss", "train_accuracy": "train_accuracy",
             "valid_loss": "valid_loss"}  # fmt: skip
    for event_column, file_column in pairs.items():
        np.testing.assert_allclose(
            from_events[event_column], from_file[file_column], atol=1e-4, equal_nan=True
        )


def test_validation_loss_falls_by_a_quarter(job):
    history = jobs.loss_history(jobs.all_events(config.client(), job.id))
    valid = history["valid_loss"].dropna()
    assert valid.min() <= 0.75 * valid.iloc[0]


def test_chris_writes_like_chris_and_the_base_model_does_not(chris):
    client = config.client()
    share = {}
    for model in (chris, config.provider().chat_model):
        answers = inference.ask_all(client, model, list(dataset.held_out_topics().values()))
        hits = [all(evaluation.style_markers(answer.text).values()) for answer in answers]
        assert len(hits) == 15
        share[model] = sum(hits) / len(hits)
    assert share[chris] >= 0.8
    assert share[config.provider().chat_model] <= 0.1
