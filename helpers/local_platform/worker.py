"""One job, in a process beside the server: from the first event to the model's name."""

from __future__ import annotations

import csv
import io
import os
import shutil
import threading
import time
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

from helpers.local_platform.errors import storage_full
from helpers.local_platform.store import Store, new_id

RESULT_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}


def get_ready() -> None:
    """Load the training libraries, which takes seconds, before there is a job to wait for them."""
    _end_with_the_server()
    with suppress(Exception):  # what is missing is said by the job that needs it
        from helpers.local_platform import training  # noqa: F401


def run(folder: Path, job_id: str) -> None:
    """Train one queued job and write all that comes of it into the store.

    A job that is no longer queued (cancelled or paused meanwhile) is left alone. What goes wrong
    becomes the job's error; nothing is raised.
    """
    store = Store(folder)
    if not store.change_job(job_id, only_if=("queued",), status="running"):
        return
    try:
        _train(store, job_id)
    except Exception as error:  # whatever it is, the learner must see it and the job must end
        full = storage_full(error)
        message = full.body["message"] if full else f"{type(error).__name__}: {error}"
        fail(store, job_id, full.body["code"] if full else "server_error", message)


def fail(store: Store, job_id: str, code: str, message: str, param: str | None = None) -> None:
    """End a job as failed, with the reason in its error and as its last event."""
    store.add_event(job_id, f"The job failed: {message}", level="error")
    store.change_job(
        job_id,
        status="failed",
        finished_at=int(time.time()),
        estimated_finish=None,
        error={"code": code, "message": message, "param": param},
    )


def _train(store: Store, job_id: str) -> None:
    from helpers.local_platform import training

    job, notes = store.job(job_id), store.internal(job_id)
    store.add_event(job_id, "Fine-tuning job started")
    _, base, adapter = store.model(job["model"])
    numbers = job["hyperparameters"]
    spec = training.TrainingSpec(
        base_model=base,
        start_adapter=adapter,
        training_file=store.file_path(job["training_file"]),
        validation_file=job["validation_file"] and store.file_path(job["validation_file"]),
        n_epochs=numbers["n_epochs"],
        batch_size=numbers["batch_size"],
        learning_rate_multiplier=numbers["learning_rate_multiplier"],
        seed=job["seed"],
        job_dir=store.job_folder(job_id),
    )
    spec.job_dir.mkdir(parents=True, exist_ok=True)
    started = {"time": time.time(), "step": None}

    def on_event(kind: str, data: dict) -> None:
        if kind == "metrics":
            _metrics(store, job_id, data, started)
        elif kind == "checkpoint":
            _checkpoint(store, job, notes, data, base)
        else:
            store.add_event(job_id, data["message"], level=data["level"])

    outcome = training.train(spec, on_event, lambda: store.wish(job_id))
    if outcome.status == "completed":
        _finish(store, job, notes, base, outcome)
        return
    store.set_wish(job_id, None)
    now = int(time.time()) if outcome.status == "cancelled" else None
    store.change_job(job_id, status=outcome.status, finished_at=now, estimated_finish=None)
    store.add_event(job_id, f"The job was {outcome.status} after step {outcome.steps}")


def _metrics(store: Store, job_id: str, data: dict, started: dict) -> None:
    message = f"Step {data['step']}/{data['total_steps']}: training loss={data['train_loss']:.2f}"
    if "valid_loss" in data:
        message += f", validation loss={data['valid_loss']:.2f}"
    if "full_valid_loss" in data:
        message += f", full validation loss={data['full_valid_loss']:.2f}"
    store.add_event(job_id, message, kind="metrics", data=data)
    if started["step"] is None:
        started.update(time=time.time(), step=data["step"])
        return
    pace = (time.time() - started["time"]) / (data["step"] - started["step"])
    left = pace * (data["total_steps"] - data["step"])
    store.change_job(job_id, estimated_finish=int(time.time() + left))


def _checkpoint(store: Store, job: dict, notes: dict, data: dict, base: str) -> None:
    name = f"{notes['model_name']}:ckpt-step-{data['step']}"
    wanted = ("train_", "valid_", "full_valid_", "step")
    metrics = {k: v for k, v in data["metrics"].items() if k.startswith(wanted)}
    store.add_model(name, base, Path(data["path"]))
    store.add_checkpoint(
        {
            "object": "fine_tuning.job.checkpoint",
            "id": new_id("ftckpt_"),
            "created_at": int(time.time()),
            "fine_tuned_model_checkpoint": name,
            "fine_tuning_job_id": job["id"],
            "step_number": data["step"],
            "metrics": metrics,
        }
    )
    store.add_event(job["id"], f"Checkpoint created at step {data['step']} with name: {name}")


def _finish(store: Store, job: dict, notes: dict, base: str, outcome) -> None:
    """The last checkpoint becomes the model, the metrics the result file."""
    name = notes["model_name"]
    last = store.job_folder(job["id"]) / "checkpoints" / f"step-{outcome.steps}"
    target = store.folder / "models" / notes["tag"]
    shutil.copytree(last, target, dirs_exist_ok=True)
    store.add_model(name, base, target)
    result = _result_file(store, job["id"])
    store.add_event(job["id"], f"New fine-tuned model created: {name}")
    store.add_event(job["id"], "The job has successfully completed")
    store.change_job(
        job["id"],
        status="succeeded",
        finished_at=int(time.time()),
        fine_tuned_model=name,
        result_files=[result],
        trained_tokens=outcome.trained_tokens,
        estimated_finish=None,
    )


def _result_file(store: Store, job_id: str) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(RESULT_COLUMNS)
    for row in store.metrics(job_id):
        values = [row.get(key, "") for key in RESULT_COLUMNS.values()]
        table.writerow([round(v, 6) if isinstance(v, float) else v for v in values])
    file_id = new_id("file-")
    data = text.getvalue().encode("utf-8")
    store.file_path(file_id).write_bytes(data)
    store.add_file(
        {
            "id": file_id,
            "object": "file",
            "bytes": len(data),
            "created_at": int(time.time()),
            "filename": "step_metrics.csv",
            "purpose": "fine-tune-results",
            "status": "processed",
        },
        encoded=True,
    )
    return file_id


def _end_with_the_server() -> None:
    """A worker whose server was killed must not go on: the next server takes the job up again."""
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
