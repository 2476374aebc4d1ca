"""A job is recorded from the real platform, and played again through the panels that watched it."""

from __future__ import annotations

import io
import json

import openai
import pytest

from helpers import config, dashboard, jobs, recordings, widgets


@pytest.fixture(scope="module")
def finished():
    """The client, and a short job that has ended."""
    client = config.client()
    rows = [
        {"messages": [{"role": "user", "content": f"Where is shelf {n}?"},
                      {"role": "assistant", "content": f"Shelf {n} is in room {n % 3}."}]}
        for n in range(12)
    ]  # fmt: skip
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = client.files.create(file=("s.jsonl", io.BytesIO(content)), purpose="fine-tune")
    numbers = {"n_epochs": 2, "batch_size": 4}
    job = client.fine_tuning.jobs.create(
        model=config.provider().chat_model,
        training_file=file.id,
        suffix="recorded",
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
    )
    return client, jobs.follow(client, job.id)


@pytest.fixture(scope="module")
def path(finished, tmp_path_factory):
    client, job = finished
    return recordings.save(client, job.id, tmp_path_factory.mktemp("tape") / "job.jsonl")


@pytest.fixture(scope="module")
def long(path):
    """The recording with a second between any two rows: the job itself may end within one."""
    job, *rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    timed = [{**row, "created_at": second} for second, row in enumerate(rows, start=1)]
    tape = path.with_name("long.jsonl")
    rows = [{**job, "finished_at": len(rows)}, *timed]
    tape.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return tape


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_is_played_is_what_the_job_reported(finished, path):
    client, job = finished
    player = recordings.Player(path, speed=float("inf"))
    played = jobs.follow(player, player.job_id, poll=0)
    assert (played.id, played.status, played.fine_tuned_model, played.trained_tokens) == (
        job.id, "succeeded", job.fine_tuned_model, job.trained_tokens)  # fmt: skip
    assert played.hyperparameters.n_epochs == 2
    told, held = (jobs.all_events(c, job.id) for c in (client, player))
    assert [(e.id, e.type, e.message, e.data) for e in told] == [
        (e.id, e.type, e.message, e.data) for e in held
    ]
    assert jobs.loss_history(told).equals(jobs.loss_history(held))


def test_the_shipped_recording_plays_to_its_end():
    player = recordings.Player(config.DATA / "recordings" / "chris-gpt.jsonl", speed=float("inf"))
    job = jobs.follow(player, player.job_id, poll=0)
    history = jobs.loss_history(player.events)
    assert job.status == "succeeded" and job.organization_id == ""
    assert list(history["step"]) == list(range(1, len(history) + 1))
    assert history["full_valid_loss"].dropna().size == job.hyperparameters.n_epochs
    assert len(list(player.checkpoints.list(player.job_id))) == 3


def test_a_recording_tells_neither_when_nor_whose(finished, path):
    client, job = finished
    text = path.read_text(encoding="utf-8")
    assert str(job.created_at)[:6] not in text
    assert not job.organization_id or job.organization_id not in text
    assert [json.loads(line)["created_at"] for line in text.splitlines()][0] == 0


def test_events_come_as_they_came(long):
    clock = Clock()
    player = recordings.Player(long, speed=10, clock=clock)
    end = player.end
    assert player.retrieve(player.job_id).status == "running"
    counts = []
    for share in (0, 0.5, 1.01):
        clock.now = share * end / 10
        counts.append(len(jobs.all_events(player, player.job_id)))
        assert all(e.created_at <= share * end for e in jobs.all_events(player, player.job_id))
    assert counts[0] == 0 < counts[1] < counts[2] == len(player.events)
    assert player.retrieve(player.job_id).status == "succeeded"


def test_the_panel_shows_a_recording_and_its_buttons_say_why_they_do_nothing(long):
    clock = Clock()
    player = recordings.Player(long, speed=1, clock=clock)
    panel = widgets.JobPanel(player, player.job_id)
    panel.update(panel.job, jobs.all_events(player, player.job_id))
    assert "running" in panel.status.value
    panel.act("cancel")
    assert "recording" in panel.messages.value
    clock.now = player.end + 1.0
    panel.update(player.retrieve(player.job_id), jobs.new_events(player, player.job_id, set()))
    assert "succeeded" in panel.status.value
    assert panel.curve.value[1:4] == b"PNG"


def test_the_dashboard_plays_it_too(finished, path):
    client, job = finished
    board = dashboard.Dashboard(recordings.Player(path, speed=float("inf")))
    assert list(board.jobs.known) == [job.id]
    assert board.jobs.list.value == (job.id,)
    live = dashboard.JobsTab(client)
    live.choose([job.id])
    assert board.jobs.checkpoints.value == live.checkpoints.value != ""
    assert board.jobs.sentence() == live.sentence()
    assert board.jobs.detail(job.id)["step"] == live.detail(job.id)["step"]
    board.jobs.act("cancel")
    assert "recording" in board.jobs.said.value
    assert board.files.send("a.jsonl", b"{}") is None
    assert "recording" in board.files.said.value


def test_a_failed_job_fails_again_when_its_last_event_has_come(tmp_path):
    said = {"object": "fine_tuning.job.event", "type": "message", "level": "error", "id": "e1"}
    error = {"code": "invalid_file", "message": "line 3 is no JSON", "param": None}
    job = {"object": "fine_tuning.job", "id": "ftjob-1", "status": "failed", "created_at": 0,
           "finished_at": None, "error": error}  # fmt: skip
    rows = [job, {**said, "created_at": 4, "message": "The job failed."}]
    path = tmp_path / "tape.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    clock = Clock()
    player = recordings.Player(path, speed=1, clock=clock)
    assert player.retrieve("ftjob-1").status == "running"
    clock.now = 4.0
    with pytest.raises(jobs.JobFailed, match="line 3"):
        jobs.follow(player, "ftjob-1", poll=0)


def test_another_job_is_not_in_it(path):
    with pytest.raises(openai.NotFoundError, match="holds"):
        recordings.Player(path).retrieve("ftjob-other")


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_speed_must_lead_forwards(path, speed):
    with pytest.raises(ValueError, match="above 0"):
        recordings.Player(path, speed=speed)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "empty"),
        ("no json\n", "line 1"),
        ("[1]\n", "line 1"),
        ('{"object": "fine_tuning.job.event"}\n', "line 1: 'fine_tuning.job.event'"),
        ('{"object": "fine_tuning.job"}\n{"object": "file"}\n', "line 2: 'file' where"),
    ],
)
def test_what_is_no_recording_is_named_with_its_line(tmp_path, text, said):
    path = tmp_path / "tape.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        recordings.Player(path)


def test_a_job_that_has_not_ended_is_not_recorded(finished, tmp_path):
    client, job = finished
    again = client.fine_tuning.jobs.create(model=job.model, training_file=job.training_file)
    try:
        with pytest.raises(ValueError, match="when it has ended"):
            recordings.save(client, again.id, tmp_path / "tape.jsonl")
        assert not (tmp_path / "tape.jsonl").exists()
    finally:
        client.fine_tuning.jobs.cancel(again.id)
