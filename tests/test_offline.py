"""In local mode nothing leaves the machine: client, server and training worker are all watched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GUARD = Path(__file__).parent / "offline_guard"

COURSE_CALLS = """
import json
from helpers import config, dataset, jobs, retrieval, tokens

client = config.client()
base = config.provider().chat_model
say = [{"role": "user", "content": "- The shop opens at 9"}]
client.models.list()
print(client.chat.completions.create(model=base, messages=say, max_tokens=8).choices[0])
for chunk in client.chat.completions.create(model=base, messages=say, max_tokens=8, stream=True):
    pass
print(retrieval.embed(client, ["a lamp"], config.provider().embedding_model).shape)
print(tokens.count_text("Hello", tokens.encoding_for("gpt-4.1-mini")))
path = dataset.write_jsonl(config.OUTPUT / "offline.jsonl", dataset.chris_dataset()["train"][:10])
with path.open("rb") as handle:
    file = client.files.create(file=handle, purpose="fine-tune")
job = client.fine_tuning.jobs.create(
    model=base, training_file=file.id, method={"type": "supervised", "supervised": {
        "hyperparameters": {"n_epochs": 1, "batch_size": 5}}})
job = jobs.follow(client, job.id)
assert job.status == "succeeded", job
"""


@pytest.fixture
def watched(tmp_path):
    """An environment whose Pythons may reach loopback only, and the log of what they tried."""
    log = tmp_path / "tried.txt"
    log.touch()
    paths = [str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OFFLINE_GUARD_LOG": str(log),
        "WORKBOOK_OUTPUT": str(tmp_path / "output"),
    }
    yield environment, log
    stop = [sys.executable, "-m", "helpers", "--here", "platform", "stop"]
    subprocess.run(stop, env=environment, check=False)


def test_the_guard_itself_refuses_the_world(watched):
    environment, log = watched
    ask = "import urllib.request; urllib.request.urlopen('http://example.org', timeout=3)"
    done = subprocess.run([sys.executable, "-c", ask], env=environment, capture_output=True)
    assert done.returncode != 0
    assert log.read_text(encoding="utf-8").strip() == "example.org"


def test_the_calls_of_the_course_stay_on_this_machine(watched):
    environment, log = watched
    done = subprocess.run(
        [sys.executable, "-c", COURSE_CALLS], env=environment, capture_output=True, text=True,
        encoding="utf-8", timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert log.read_text(encoding="utf-8") == ""
