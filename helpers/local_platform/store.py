"""The platform's memory: one SQLite file (WAL) for what it knows, plain files for what it holds.

Every call opens its own connection, so that server threads and worker processes can share one
store; SQLite's own locks do the rest.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import string
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, body TEXT NOT NULL, encoded INTEGER);
CREATE TABLE IF NOT EXISTS jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, body TEXT NOT NULL,
    internal TEXT NOT NULL, wish TEXT);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, job TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_job ON events (job, seq);
CREATE TABLE IF NOT EXISTS checkpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, job TEXT NOT NULL, step INTEGER,
    body TEXT NOT NULL, UNIQUE (job, step));
CREATE TABLE IF NOT EXISTS models (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, body TEXT NOT NULL, base TEXT NOT NULL,
    adapter TEXT);
"""
CHECKPOINTS_KEPT = 3
ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """A random identifier in OpenAI's style, such as `ftjob-` and 24 letters and digits."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


class Store:
    """Files, jobs, events, checkpoints and models under one folder. Safe for threads and processes.

    Objects are kept as the JSON bodies that the API returns.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        for name in ("files", "jobs", "models"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(f"PRAGMA journal_mode=WAL; {SCHEMA}")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self.folder / "platform.sqlite3", timeout=30)
        try:
            with database:
                yield database
        finally:
            database.close()

    def _page(self, table: str, where: str, values: tuple, after, limit, newest_first):
        """A page of (rows, has_more); `after` is the id of the last object of the page before."""
        with self._open() as database:
            if after:
                found = database.execute(
                    f"SELECT seq FROM {table} WHERE id = ?", (after,)
                ).fetchone()
                if not found:
                    return None
                where += f" AND seq {'<' if newest_first else '>'} {found[0]}"
            order = "DESC" if newest_first else "ASC"
            query = f"SELECT body FROM {table} WHERE {where} ORDER BY seq {order} LIMIT {limit + 1}"
            rows = [json.loads(row[0]) for row in database.execute(query, values)]
        return rows[:limit], len(rows) > limit

    # files

    def file_path(self, file_id: str) -> Path:
        """Where a file's bytes lie."""
        return self.folder / "files" / file_id

    def add_file(self, body: dict, encoded: bool = False) -> dict:
        """Note a file whose bytes are in place; `encoded` ones are served in base64."""
        with self._open() as database:
            database.execute(
                "INSERT INTO files (id, body, encoded) VALUES (?, ?, ?)",
                (body["id"], json.dumps(body), encoded),
            )
        return body

    def file(self, file_id: str) -> dict | None:
        """A file's body, or None; an expired file is deleted when it is asked for."""
        with self._open() as database:
            row = database.execute("SELECT body FROM files WHERE id = ?", (file_id,)).fetchone()
        body = json.loads(row[0]) if row else None
        if body and body.get("expires_at") and body["expires_at"] < time.time():
            self.delete_file(file_id)
            return None
        return body

    def is_encoded(self, file_id: str) -> bool:
        """Whether the file's content is served in base64, as OpenAI does with result files."""
        with self._open() as database:
            row = database.execute("SELECT encoded FROM files WHERE id = ?", (file_id,)).fetchone()
        return bool(row and row[0])

    def files(self, purpose, after, limit, newest_first):
        """A page of files, or None where `after` is unknown."""
        where, values = (
            ("json_extract(body, '$.purpose') = ?", (purpose,)) if purpose else ("1", ())
        )
        return self._page("files", where, values, after, limit, newest_first)

    def delete_file(self, file_id: str) -> bool:
        """Delete a file and its bytes; False where there is none."""
        with self._open() as database:
            gone = database.execute("DELETE FROM files WHERE id = ?", (file_id,)).rowcount
        self.file_path(file_id).unlink(missing_ok=True)
        return bool(gone)

    # jobs

    def job_folder(self, job_id: str) -> Path:
        """Where a job keeps its state and checkpoints."""
        return self.folder / "jobs" / job_id

    def add_job(self, body: dict, internal: dict) -> None:
        """Note a new job; `internal` is what the API does not show."""
        with self._open() as database:
            database.execute(
                "INSERT INTO jobs (id, body, internal) VALUES (?, ?, ?)",
                (body["id"], json.dumps(body), json.dumps(internal)),
            )

    def job(self, job_id: str) -> dict | None:
        """A job's body, or None."""
        with self._open() as database:
            row = database.execute("SELECT body FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return json.loads(row[0]) if row else None

    def internal(self, job_id: str) -> dict:
        """What the platform keeps about a job beside its body."""
        with self._open() as database:
            row = database.execute("SELECT internal FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return json.loads(row[0])

    def change_internal(self, job_id: str, **changes) -> None:
        """Merge changes into a job's internal notes."""
        with self._open() as database:
            database.execute(
                "UPDATE jobs SET internal = json_patch(internal, ?) WHERE id = ?",
                (json.dumps(changes), job_id),
            )

    def change_job(self, job_id: str, only_if: tuple[str, ...] | None = None, **changes) -> bool:
        """Set fields of a job; with `only_if`, only while its status is one of these.

        Returns whether it was changed. The test and the change are one transaction.
        """
        with self._open() as database:
            database.execute("BEGIN IMMEDIATE")
            row = database.execute("SELECT body FROM jobs WHERE id = ?", (job_id,)).fetchone()
            body = json.loads(row[0])
            if only_if and body["status"] not in only_if:
                return False
            database.execute(
                "UPDATE jobs SET body = ? WHERE id = ?", (json.dumps(body | changes), job_id)
            )
        return True

    def jobs(self, after, limit, metadata: dict | None = None, without_metadata: bool = False):
        """A page of jobs, newest first, or None where `after` is unknown."""
        where, values = "1", []
        for key, value in (metadata or {}).items():
            where += " AND EXISTS (SELECT 1 FROM json_each(json_extract(body, '$.metadata')) "
            where += "WHERE key = ? AND value = ?)"
            values += [key, value]
        if without_metadata:
            where += " AND json_extract(body, '$.metadata') IS NULL"
        return self._page("jobs", where, tuple(values), after, limit, True)

    def unfinished_jobs(self) -> list[dict]:
        """Jobs that were under way or waiting, oldest first."""
        query = (
            "SELECT body FROM jobs WHERE json_extract(body, '$.status') IN "
            "('validating_files', 'queued', 'running') ORDER BY seq"
        )
        with self._open() as database:
            return [json.loads(row[0]) for row in database.execute(query)]

    def set_wish(self, job_id: str, wish: str | None) -> None:
        """Leave a wish ("cancel", "pause") for the worker, or take it back."""
        with self._open() as database:
            database.execute("UPDATE jobs SET wish = ? WHERE id = ?", (wish, job_id))

    def wish(self, job_id: str) -> str | None:
        """What the worker is asked to do next, if anything."""
        with self._open() as database:
            row = database.execute("SELECT wish FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return row[0] if row else None

    # events and checkpoints

    def add_event(
        self, job_id: str, message: str, level: str = "info", kind: str = "message", data=None
    ) -> None:
        """Append an event to a job's list."""
        body = {
            "object": "fine_tuning.job.event",
            "id": new_id("ftevent-"),
            "created_at": int(time.time()),
            "level": level,
            "message": message,
            "data": data or {},
            "type": kind,
        }
        with self._open() as database:
            database.execute(
                "INSERT INTO events (id, job, body) VALUES (?, ?, ?)",
                (body["id"], job_id, json.dumps(body)),
            )

    def events(self, job_id: str, after, limit):
        """A page of a job's events, newest first, or None where `after` is unknown."""
        return self._page("events", "job = ?", (job_id,), after, limit, True)

    def metrics(self, job_id: str) -> list[dict]:
        """The data of a job's metrics events, one a step: the last report counts."""
        query = (
            "SELECT json_extract(body, '$.data') FROM events WHERE job = ? "
            "AND json_extract(body, '$.type') = 'metrics' ORDER BY seq"
        )
        with self._open() as database:
            rows = [json.loads(row[0]) for row in database.execute(query, (job_id,))]
        return sorted({row["step"]: row for row in rows}.values(), key=lambda row: row["step"])

    def add_checkpoint(self, body: dict) -> None:
        """Note a checkpoint and forget all but the job's last three, their models too."""
        job_id = body["fine_tuning_job_id"]
        with self._open() as database:
            database.execute(
                "INSERT OR REPLACE INTO checkpoints (id, job, step, body) VALUES (?, ?, ?, ?)",
                (body["id"], job_id, body["step_number"], json.dumps(body)),
            )
            old = database.execute(
                "SELECT seq, json_extract(body, '$.fine_tuned_model_checkpoint') FROM checkpoints "
                "WHERE job = ? ORDER BY step DESC LIMIT -1 OFFSET ?",
                (job_id, CHECKPOINTS_KEPT),
            ).fetchall()
            for seq, name in old:
                database.execute("DELETE FROM checkpoints WHERE seq = ?", (seq,))
                database.execute("DELETE FROM models WHERE id = ?", (name,))

    def checkpoints(self, job_id: str, after, limit):
        """A page of a job's checkpoints, newest first, or None where `after` is unknown."""
        return self._page("checkpoints", "job = ?", (job_id,), after, limit, True)

    # models

    def add_model(
        self, model_id: str, base: str, adapter: Path | None, owner: str | None = None
    ) -> None:
        """Note a model: a base model, or an adapter on one."""
        body = {
            "id": model_id,
            "object": "model",
            "created": int(time.time()),
            "owned_by": owner or ("system" if adapter is None else "local"),
        }
        with self._open() as database:
            database.execute(
                "INSERT INTO models (id, body, base, adapter) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET base = excluded.base, adapter = excluded.adapter",
                (model_id, json.dumps(body), base, adapter and str(adapter)),
            )

    def model(self, model_id: str) -> tuple[dict, str, Path | None] | None:
        """(body, base model, adapter folder) of a model, or None."""
        query = "SELECT body, base, adapter FROM models WHERE id = ?"
        with self._open() as database:
            row = database.execute(query, (model_id,)).fetchone()
        return row and (json.loads(row[0]), row[1], row[2] and Path(row[2]))

    def models(self) -> list[dict]:
        """Every model, oldest first."""
        with self._open() as database:
            rows = database.execute("SELECT body FROM models ORDER BY seq").fetchall()
        return [json.loads(row[0]) for row in rows]

    def delete_model(self, model_id: str) -> Path | None:
        """Delete a fine-tuned model and its adapter; returns the folder that was freed."""
        found = self.model(model_id)
        with self._open() as database:
            database.execute("DELETE FROM models WHERE id = ?", (model_id,))
        adapter = found[2] if found else None
        if adapter and self.folder in adapter.parents:
            shutil.rmtree(adapter, ignore_errors=True)
        return adapter
