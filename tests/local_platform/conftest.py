"""A real platform with a tiny random base model on a temporary folder; the official SDK asks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import openai
import pytest

from helpers.local_platform import server as lifecycle

sys.path.insert(0, str(Path(__file__).parent))
import tiny


@dataclass
class Platform:
    """One state folder and the calls that start and stop a server on it."""

    folder: Path
    environment: dict

    def run(self, action: str) -> subprocess.CompletedProcess:
        """Run `server start|stop|status|serve` as a process of its own."""
        command = [sys.executable, "-m", "helpers.local_platform.server", action]
        return subprocess.run(
            [*command, "--folder", str(self.folder)],
            env=self.environment, capture_output=True, text=True, encoding="utf-8", timeout=120,
        )  # fmt: skip

    def client(self, **options) -> openai.OpenAI:
        """The SDK's client for the running server."""
        found = lifecycle.running(self.folder)
        key = (self.folder / "key").read_text(encoding="utf-8")
        return openai.OpenAI(
            **{"base_url": found["url"], "api_key": key, "max_retries": 0, **options}
        )


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory) -> Path:
    """A tiny random Llama with the course's chat template."""
    folder = tmp_path_factory.mktemp("tiny-base")
    tiny.make_checkpoint(folder, "llama")
    return folder


def make_platform(folder: Path, base: Path) -> Platform:
    environment = {**os.environ, "LOCAL_BASE_MODEL": str(base), "LOCAL_TRAINING_THREADS": "1"}
    return Platform(folder, environment)


@pytest.fixture(scope="session")
def platform(tmp_path_factory, tiny_base):
    """The platform that most tests share."""
    shared = make_platform(tmp_path_factory.mktemp("platform"), tiny_base)
    done = shared.run("start")
    assert done.returncode == 0, done.stderr
    yield shared
    shared.run("stop")


@pytest.fixture(scope="session")
def client(platform) -> openai.OpenAI:
    return platform.client()


@pytest.fixture
def own_platform(tmp_path, tiny_base):
    """A platform of the test's own, to be killed and started again."""
    own = make_platform(tmp_path / "state", tiny_base)
    yield own
    own.run("stop")


def jsonl(examples: list) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in examples).encode()


def upload(client: openai.OpenAI, data: bytes, name: str = "train.jsonl"):
    return client.files.create(file=(name, data), purpose="fine-tune")


def create_job(client: openai.OpenAI, examples: int = 12, **options):
    file = upload(client, jsonl(tiny.make_examples(examples)))
    numbers = options.pop("numbers", {"n_epochs": 1, "batch_size": 4})
    method = {"type": "supervised", "supervised": {"hyperparameters": numbers}}
    return client.fine_tuning.jobs.create(
        model="workbook-mini", training_file=file.id, method=method, **options
    )


def wait(client: openai.OpenAI, job_id: str, *states: str, limit: float = 120):
    """The job once it is in one of these states; an unexpected end fails the test."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in states:
            return job
        assert job.status not in ("succeeded", "failed", "cancelled"), job
        time.sleep(0.1)
    raise AssertionError(f"job {job_id} is still {job.status}")
