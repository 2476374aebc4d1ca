"""Recordings of jobs: keep what a job reported, and watch it again in the same panels.

A recording is plain JSONL: the job in its first line, then its events and its checkpoints, the
oldest first. The times in it are seconds since the job was created, so that it tells neither when
nor where it ran. A `Player` answers the calls by which panels watch a job, and lets the events come
as they came.
Every number is one that a real job reported; a teacher without minutes, and a reader without the
platform, sees the same curve grow.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import httpx2
import openai
from openai.pagination import SyncCursorPage
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint

from helpers import jobs

JOB, EVENT, CHECKPOINT = (
    "fine_tuning.job", "fine_tuning.job.event", "fine_tuning.job.checkpoint"
)  # fmt: skip
TIMES = ("created_at", "started_at", "finished_at", "estimated_finish")
OWNED = {"organization_id": "", "result_files": []}  # whose it is and where, not what it did


def save(client: openai.OpenAI, job_id: str, path: Path) -> Path:
    """Write a finished job, its events and checkpoints to `path`; returns the path.

    Raises: ValueError where the job has not ended yet: half a recording would end in nothing.
    """
    job = client.fine_tuning.jobs.retrieve(job_id)
    if job.status not in jobs.FINISHED:
        raise ValueError(f"Job {job_id} is still {job.status}; record it when it has ended.")
    kept = list(client.fine_tuning.jobs.checkpoints.list(job_id))
    rows = [job, *jobs.all_events(client, job_id), *kept[::-1]]
    lines = [json.dumps(_timeless(row.to_dict(), job.created_at)) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
    return path


def _timeless(row: dict, start: int) -> dict:
    """The row with its times counted from `start`, and without the account's own names."""
    emptied = {name: nothing for name, nothing in OWNED.items() if name in row}
    times = {name: row[name] - start for name in TIMES if row.get(name) is not None}
    return {**row, **emptied, **times}


class Player:
    """A stand-in for the SDK's client that plays one recording in `JobPanel` and `Dashboard`.

    It answers what these ask to watch a job, and refuses to change what is over. It has no files
    and no models. The clock starts at the first call.

    Args:
        path: the recording.
        speed: recorded seconds that pass in a second; infinite shows the end at once.
        clock: what tells the seconds.

    Raises: ValueError where the file is no recording, with the line at fault.
    """

    def __init__(self, path: Path, speed: float = 20, clock: Callable[[], float] = time.monotonic):
        if not speed > 0:
            raise ValueError(f"The speed must be above 0, not {speed}.")
        job, *others = _read(path)
        self.job = FineTuningJob.construct(**job)
        self.events = _of(others, FineTuningJobEvent, EVENT)
        self._checkpoints = _of(others, FineTuningJobCheckpoint, CHECKPOINT)
        # A job that failed may have no time of its end: then its last event was the end.
        ends = [event.created_at for event in self.events]
        self.end = max(ends, default=0) if self.job.finished_at is None else self.job.finished_at
        self.speed, self.clock = speed, clock
        self.fine_tuning = self.jobs = self  # `client.fine_tuning.jobs.retrieve` is `retrieve`
        self.checkpoints = SimpleNamespace(list=self._list_checkpoints)
        nothing = SimpleNamespace(list=lambda **_: iter(()))
        self.models = nothing
        refused = dict.fromkeys(("create", "content", "delete"), self.cancel)
        self.files = SimpleNamespace(list=nothing.list, **refused)
        self._started: float | None = None

    @property
    def job_id(self) -> str:
        """The id of the job that was recorded."""
        return self.job.id

    def passed(self) -> float:
        """Recorded seconds that have passed since the first call."""
        if self._started is None:
            self._started = self.clock()
        if self.speed == float("inf"):
            return self.speed
        return (self.clock() - self._started) * self.speed

    def retrieve(self, job_id: str) -> FineTuningJob:
        """The job as it was at this moment: running, until its recorded end has come."""
        self._known(job_id)
        if self.passed() >= self.end:
            return self.job
        unfinished = dict.fromkeys(("finished_at", "fine_tuned_model", "trained_tokens", "error"))
        return self.job.model_copy(update={"status": "running", **unfinished})

    def list_events(self, job_id: str, limit: int = 20) -> SyncCursorPage:
        """The events that have come so far, the newest first, on one page."""
        self._known(job_id)
        return self._come(self.events, FineTuningJobEvent)

    def list(self, limit: int = 20) -> SyncCursorPage:
        """The one job that there is."""
        return SyncCursorPage[FineTuningJob].construct(
            data=[self.retrieve(self.job_id)], has_more=False
        )

    def cancel(self, *_, **__):
        """Refused, as what has happened cannot be changed. Raises openai.BadRequestError."""
        raise _refusal(400, "This is a recording: the job is over and can only be watched.")

    pause = resume = create = cancel

    def _list_checkpoints(self, job_id: str) -> SyncCursorPage:
        self._known(job_id)
        return self._come(self._checkpoints, FineTuningJobCheckpoint)

    def _come(self, rows: Sequence, kind: type) -> SyncCursorPage:
        """The rows whose time has come, the newest first, on one page."""
        now = self.passed()
        come = [row for row in rows if row.created_at <= now]
        return SyncCursorPage[kind].construct(data=come[::-1], has_more=False)

    def _known(self, job_id: str) -> None:
        if job_id != self.job.id:
            raise _refusal(404, f"The recording holds {self.job.id}, not {job_id}.")


def _of(rows: Sequence[dict], kind: type, name: str) -> list:
    return [kind.construct(**row) for row in rows if row["object"] == name]


def _read(path: Path) -> list[dict]:
    """The rows of a recording. Raises ValueError for what is none."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            kind = row["object"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{path.name}, line {number}: no object of a job.") from None
        wanted = (JOB,) if number == 1 else (EVENT, CHECKPOINT)
        if kind not in wanted:
            belongs = " or ".join(map(repr, wanted))
            raise ValueError(f"{path.name}, line {number}: {kind!r} where {belongs} belongs.")
        rows.append(row)
    if not rows:
        raise ValueError(f"{path.name} is empty; recordings.save writes one.")
    return rows


def _refusal(status: int, message: str) -> openai.APIStatusError:
    request = httpx2.Request("GET", "http://recording")
    kind = openai.NotFoundError if status == 404 else openai.BadRequestError
    return kind(message, response=httpx2.Response(status, request=request), body=None)
