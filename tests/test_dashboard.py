"""The dashboard without a browser: its buttons are clicked, and the provider is asked what came."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest

from helpers import config, dashboard, jobs


@pytest.fixture(scope="module")
def client():
    return config.client()


@pytest.fixture(scope="module")
def content() -> bytes:
    rows = [
        {"messages": [{"role": "user", "content": f"Where is shelf {n}?"},
                      {"role": "assistant", "content": f"Shelf {n} is in room {n % 3}."}]}
        for n in range(12)
    ]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def wait_until(true, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def test_a_file_is_uploaded_inspected_and_deleted(client, content):
    tab = dashboard.FilesTab(client)
    now = datetime.now(UTC)
    tab.upload.value = [
        {"name": "shelves.jsonl", "type": "", "size": len(content), "last_modified": now,
         "content": memoryview(content)}
    ]  # fmt: skip
    uploaded = tab.list.value
    assert client.files.retrieve(uploaded).filename == "shelves.jsonl"
    tab.buttons["inspect"].click()
    assert "Where is shelf 0?" in tab.said.value
    assert "shelves.jsonl" in tab.table().index
    tab.buttons["delete"].click()
    assert uploaded not in {file.id for file in client.files.list()}


def test_a_broken_file_is_inspected_with_its_line_and_cure(client, content):
    tab = dashboard.FilesTab(client)
    tab.send("broken.jsonl", content + b'{"messages": []}\n')
    tab.buttons["inspect"].click()
    assert "line 13" in tab.said.value
    tab.buttons["delete"].click()


def test_the_form_says_what_is_wrong_and_creates_nothing(client, content):
    board = dashboard.Dashboard(client)
    before = len(list(client.fine_tuning.jobs.list()))
    board.files.send("shelves.jsonl", content)
    board.new.model.value = "workbook-mini"
    assert board.new.training.value is not None  # for the page shows one as chosen
    board.new.training.value = board.files.list.value
    board.new.epochs.value = "many"
    board.new.buttons["create"].click()
    assert "Epochs" in board.new.said.value and "many" in board.new.said.value
    board.new.epochs.value, board.new.model.value = "1", "no-such-model"
    board.new.buttons["create"].click()
    assert "no-such-model" in board.new.said.value
    assert len(list(client.fine_tuning.jobs.list())) == before


def test_a_job_is_created_followed_and_cancelled_by_its_buttons(client, content):
    board = dashboard.Dashboard(client)
    board.files.send("shelves.jsonl", content)
    form = board.new
    form.model.value, form.suffix.value = "workbook-mini", "shelves"
    form.training.value = form.validation.value = board.files.list.value
    form.epochs.value, form.batch.value, form.rate.value, form.seed.value = "50", "2", "0.5", "3"
    form.buttons["create"].click()
    assert "is created" in form.said.value
    (job_id,) = board.jobs.list.value
    job = client.fine_tuning.jobs.retrieve(job_id)
    chosen = job.method.supervised.hyperparameters
    assert (chosen.n_epochs, chosen.batch_size, chosen.learning_rate_multiplier) == (50, 2, 0.5)
    assert (job.seed, job.user_provided_suffix) == (3, "shelves")

    def has_steps() -> bool:
        board.jobs.keep_up(poll=0.1, rounds=1)
        return len(jobs.loss_history(board.jobs.events[job_id])) >= 5

    wait_until(has_steps)
    board.jobs.update(redraw=True)
    assert bytes(board.jobs.curve.value).startswith(b"\x89PNG")
    assert {"step", "training loss", "validation loss"} <= set(board.jobs.detail(job_id))
    assert board.jobs.bar.max == 300
    board.jobs.buttons["cancel"].click()
    wait_until(lambda: client.fine_tuning.jobs.retrieve(job_id).status == "cancelled")
    board.jobs.refresh()
    board.jobs.update(redraw=True)
    assert board.jobs.buttons["cancel"].disabled
    drawn = jobs.loss_history(board.jobs.events[job_id])
    told = jobs.loss_history(jobs.all_events(client, job_id))
    assert drawn["train_loss"].tolist() == told["train_loss"].tolist()[: len(drawn)]


def test_several_jobs_lie_over_each_other_and_the_still_is_complete(client, content):
    board = dashboard.Dashboard(client)
    board.files.send("shelves.jsonl", content)
    for suffix in ("one", "two"):
        job = client.fine_tuning.jobs.create(
            model="workbook-mini", training_file=board.files.list.value, suffix=suffix,
            hyperparameters={"n_epochs": 1},
        )  # fmt: skip
        jobs.follow(client, job.id)
    board.jobs.refresh()
    latest = [job.id for job in client.fine_tuning.jobs.list(limit=2).data]
    board.jobs.list.value = tuple(latest)
    board.jobs.update(redraw=True)
    assert len(board.jobs.histories()) == 2
    assert "one" in board.jobs.sentence() and "two" in board.jobs.sentence()
    assert {"one", "two"} <= set(board.jobs.table()["job"])


def test_twenty_updates_a_second_draw_twice_a_second(client, monkeypatch):
    tab = dashboard.JobsTab(client)
    drawn = []
    monkeypatch.setattr(tab, "_draw", lambda: drawn.append(tab.__setattr__("_drawn", tab_time())))
    monkeypatch.setattr(tab, "_fetch", lambda job_id: True)
    clock = [0.0]

    def tab_time() -> float:
        return clock[0]

    monkeypatch.setattr(dashboard.time, "monotonic", tab_time)
    tab._drawn = 0.0
    for _ in range(100):  # five seconds of twenty updates
        clock[0] += 0.05
        tab.update()
    assert 9 <= len(drawn) <= 10
