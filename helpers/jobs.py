"""Following a fine-tuning job: its events page by page, its losses, its result file."""

from __future__ import annotations

import base64
import binascii
import contextlib
import io
import json
import time
from collections.abc import Callable, Sequence

import openai
import pandas as pd

from helpers import config

FINISHED = ("succeeded", "failed", "cancelled")
EVENT_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_mean_token_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
    "full_valid_loss": "full_valid_loss",
    "full_valid_mean_token_accuracy": "full_valid_accuracy",
}
RESULT_COLUMNS = {"valid_mean_token_accuracy": "valid_accuracy"}


class JobFailed(RuntimeError):
    """A job ended without a model; the message is the provider's reason."""


def follow(
    client: openai.OpenAI,
    job_id: str,
    view: Callable[[object, list], None] | None = None,
    poll: float = 0.5,
):
    """Watch a job until it ends; returns the finished job.

    Interrupting the cell stops the watching, never the job: call `follow` again to go on.

    Args:
        view: called as `view(job, new_events)` at every look, with the events that are new.
        poll: seconds between two looks.
    Raises: JobFailed with the provider's reason where the job failed or was cancelled.
    """
    seen: set[str] = set()
    try:
        while True:
            job = client.fine_tuning.jobs.retrieve(job_id)
            new = new_events(client, job_id, seen)
            if view:
                view(job, new)
            if job.status in FINISHED or job.status == "paused":
                break
            time.sleep(poll)
    except KeyboardInterrupt:
        print("Stopped watching. The job goes on; call follow again with the same id.")
        return client.fine_tuning.jobs.retrieve(job_id)
    if job.status == "failed":
        raise JobFailed(f"The job failed: {job.error.message} ({job.error.code})")
    if job.status == "cancelled":
        raise JobFailed("The job was cancelled before it made a model.")
    return job


def new_events(client: openai.OpenAI, job_id: str, seen: set[str]) -> list:
    """The events not in `seen` (ids, which is updated), oldest first.

    The API lists the newest first, a page at a time; the paging stops at the first known event.
    """
    fresh = []
    for event in client.fine_tuning.jobs.list_events(job_id, limit=50):
        if event.id in seen:
            break
        seen.add(event.id)
        fresh.append(event)
    return fresh[::-1]


def all_events(client: openai.OpenAI, job_id: str) -> list:
    """Every event of a job, oldest first, over all pages (`.data` alone would be the first 20)."""
    return new_events(client, job_id, set())


def metrics_of(events: Sequence) -> list:
    """The events that carry numbers, in the order given."""
    return [event for event in events if event.type == "metrics" and event.data]


def loss_history(events: Sequence) -> pd.DataFrame:
    """The metrics events as a table, a row a step: losses in nats a token, accuracies 0 to 1.

    It reads each event's data, never its message. A job that was resumed repeats some steps with
    the same numbers; the last report of a step counts.
    """
    rows = [event.data for event in metrics_of(events)]
    table = pd.DataFrame(rows, columns=list(EVENT_COLUMNS)).rename(columns=EVENT_COLUMNS)
    table = table.drop_duplicates("step", keep="last").sort_values("step", ignore_index=True)
    return table.astype({**dict.fromkeys(table.columns, float), "step": int})


def result_history(client: openai.OpenAI, job) -> pd.DataFrame:
    """The job's result file as a table with the columns of `loss_history` (no full validation).

    The API returns the CSV in base64, some providers plainly; both are read.
    Raises: ValueError where the job has no result file yet.
    """
    if not job.result_files:
        raise ValueError(f"Job {job.id} has no result file; its status is {job.status}.")
    raw = client.files.content(job.result_files[0]).read()
    with contextlib.suppress(binascii.Error):  # plain CSV: commas are not in base64's alphabet
        raw = base64.b64decode(raw, validate=True)
    table = pd.read_csv(io.BytesIO(raw))
    return table.rename(columns=RESULT_COLUMNS)


def remember_model(name: str, model_id: str) -> str:
    """Note under which id a model can be asked, for later notebooks; returns the id."""
    path = config.OUTPUT / "models.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**known, name: model_id}, indent=1)
    path.write_text(text, encoding="utf-8", newline="\n")
    return model_id


def recall_model(name: str) -> str | None:
    """The id that `remember_model` noted, or None where no notebook made that model yet."""
    path = config.OUTPUT / "models.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return known.get(name)


def explain_error(error: Exception) -> str:
    """What an error of the API means for a learner, and how to go on."""
    code = getattr(error, "code", None)
    if code == "training_not_available":
        return (
            "The provider no longer lets your organisation start training jobs: OpenAI closes "
            "self-serve fine-tuning step by step until 2027-01-06. Set PROVIDER=local in .env, "
            "restart the kernel and run the notebook again: the platform on your machine trains."
        )
    if isinstance(error, openai.AuthenticationError):
        return "The provider does not know this key. Look at the key in .env, then restart."
    if isinstance(error, openai.RateLimitError):
        return "The provider asks you to slow down, or your credit is used up. Wait, then retry."
    if isinstance(error, openai.APIConnectionError):
        return "Nobody answers at the provider's address. Run: python -m helpers doctor"
    return f"The provider answered: {getattr(error, 'message', error)}"
