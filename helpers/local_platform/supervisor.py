"""The queue: jobs go to an executor, one after another in a process beside the server's."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

from helpers.local_platform import worker
from helpers.local_platform.formats import FormatError, check_file
from helpers.local_platform.store import Store

# A new process spends seconds on loading its libraries, as long as a small job trains. So it takes
# some jobs before another takes its place and the memory that it has kept is given back.
JOBS_A_PROCESS = 32
RESTARTS = 2  # how often a job whose worker died is taken up again before it fails
# A training step asks for the same large arrays again and again. Where the C library is glibc, a
# worker that keeps freed memory (up to these bytes) trains about a tenth faster; others ignore it.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31)}


class Supervisor:
    """Validates jobs, queues them, and looks after those whose worker or server died."""

    def __init__(self, store: Store):
        self.store = store
        self._lock = threading.Lock()
        self._checks = ThreadPoolExecutor(max_workers=1, thread_name_prefix="validation")
        self._pool = _new_pool()

    def take_up_unfinished(self) -> None:
        """Go on with what an earlier server left: called once, when the server starts."""
        for job in self.store.unfinished_jobs():
            if job["status"] == "validating_files":
                self.submit(job["id"])
            elif job["status"] == "queued":
                self._queue(job["id"])
            else:
                self._again(job["id"], "The platform was stopped", counts=False)

    def submit(self, job_id: str) -> None:
        """Validate a new job's files in the background, then queue it."""
        self._checks.submit(self._validate, job_id)

    def resume(self, job_id: str) -> None:
        """Queue a job that was paused; it goes on from its saved state."""
        self._queue(job_id)

    def close(self) -> None:
        """Stop the processes; jobs under way are taken up by the next server."""
        self._checks.shutdown(wait=False, cancel_futures=True)
        for process in list((self._pool._processes or {}).values()):
            process.terminate()  # a training step may be long; its state is on disk
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _validate(self, job_id: str) -> None:
        store, job = self.store, self.store.job(job_id)
        said = f"Validating training file: {job['training_file']}"
        if job["validation_file"]:
            said += f" and validation file: {job['validation_file']}"
        store.add_event(job_id, said)
        count = None
        for param, what in (("training_file", "Training"), ("validation_file", "Validation")):
            if not job[param]:
                continue
            try:
                found = check_file(store.file_path(job[param]), what)
                count = found if count is None else count
            except FormatError as error:
                worker.fail(store, job_id, error.code, str(error), param)
                return
            except OSError as error:
                worker.fail(
                    store, job_id, f"invalid_{param}", f"{what} file: {error.strerror}", param
                )
                return
        self._settle(job, count)
        if store.change_job(job_id, only_if=("validating_files",), status="queued"):
            store.add_event(job_id, "Files validated, moving job to queued state")
            self._queue(job_id)

    def _settle(self, job: dict, examples: int) -> None:
        """Replace each "auto" by the number that was chosen for these examples."""
        from helpers.local_platform.training import auto_hyperparameters

        numbers = auto_hyperparameters(examples, job["hyperparameters"])
        method = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
        self.store.change_job(job["id"], hyperparameters=numbers, method=method)

    def _queue(self, job_id: str) -> None:
        with self._lock:
            try:
                future = self._pool.submit(worker.run, self.store.folder, job_id)
            except RuntimeError:  # the pool broke when a worker was killed
                self._pool = _new_pool()
                future = self._pool.submit(worker.run, self.store.folder, job_id)
        future.add_done_callback(lambda done: self._look_after(job_id, done))

    def _look_after(self, job_id: str, done: Future) -> None:
        """A worker that ended without ending its job was killed: take the job up again."""
        if done.cancelled():
            return
        status = self.store.job(job_id)["status"]
        if done.exception() and status == "queued":
            self._queue(job_id)  # it only waited behind the one that was killed
        elif done.exception() and status == "running":
            self._again(job_id, "The training process died")

    def _again(self, job_id: str, reason: str, counts: bool = True) -> None:
        restarts = self.store.internal(job_id).get("restarts", 0)
        if self.store.wish(job_id) == "cancel":
            self.store.change_job(job_id, status="cancelled")
            return
        if counts and restarts >= RESTARTS:
            worker.fail(self.store, job_id, "server_error", f"{reason} {restarts + 1} times.")
            return
        self.store.change_internal(job_id, restarts=restarts + counts)
        self.store.change_job(job_id, status="queued")
        self.store.add_event(job_id, f"{reason}; the job goes on from its last state", level="warn")
        self._queue(job_id)


def _new_pool() -> ProcessPoolExecutor:
    for name, size in KEEP_MEMORY.items():
        os.environ.setdefault(name, size)
    # spawn: a fork of a process with threads can hang. No job depends on the one before it: each
    # sets its seed and loads its model anew.
    return ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        max_tasks_per_child=JOBS_A_PROCESS,
        initializer=worker.get_ready,
    )
