"""Bad input gets a clear error and loses nothing; the server answers on."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import openai
import pytest
import tiny
from conftest import jsonl, upload, wait
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from helpers import validation
from helpers.local_platform import file_routes
from helpers.local_platform.app import create_app

GOOD = tiny.make_examples(12)
USER = {"role": "user", "content": "Hello"}
BOT = {"role": "assistant", "content": "Good day"}


def with_line(line: str, at: int = 2) -> bytes:
    """A good file with one line (counted from 0) replaced."""
    lines = jsonl(GOOD).decode().splitlines()
    lines[at] = line
    return "\n".join(lines).encode()


def example(*messages, **more) -> str:
    return json.dumps({"messages": list(messages), **more})


BROKEN_FILES = {
    "empty": (b"", "invalid_n_examples", "0 example"),
    "nine examples": (jsonl(GOOD[:9]), "invalid_n_examples", "9 example"),
    "JSON array": (json.dumps(GOOD).encode(), "invalid_file_format", "not a dictionary"),
    "pretty JSON": (json.dumps(GOOD, indent=2).encode(), "invalid_file_format", "Line 1"),
    "a message a line": (jsonl([USER, BOT] * 6), "invalid_file_format", "single message"),
    "byte-order mark": (b"\xef\xbb\xbf" + jsonl(GOOD), "invalid_file_format", "byte-order mark"),
    "not UTF-8": (jsonl(GOOD)[:-20] + b"\xff\xfe\n", "invalid_file_format", "not UTF-8"),
    "unknown role": (with_line(example({"role": "robot", "content": "x"}, BOT)),
                     "invalid_file_format", "Line 3"),
    "no assistant": (with_line(example(USER)), "invalid_file_format", "no assistant message"),
    "weight 0 only": (with_line(example(USER, {**BOT, "weight": 0})),
                      "invalid_file_format", "no assistant message"),
    "weight on user": (with_line(example({**USER, "weight": 1}, BOT)),
                       "invalid_file_format", "weight"),
    "unknown key": (with_line(example({**USER, "mood": 1}, BOT)), "invalid_file_format", "mood"),
    "no content": (with_line(example({"role": "user"}, BOT)), "invalid_file_format", "content"),
    "no messages": (with_line('{"prompt": "a"}'), "invalid_file_format", "messages"),
    "broken JSON": (with_line('{"messages": ['), "invalid_file_format", "Line 3"),
    "deep JSON": (with_line("[" * 100_000), "invalid_file_format", "Line 3"),
    "picture": (with_line(example({"role": "user", "content": [{"type": "image_url"}]}, BOT)),
                "invalid_file_format", "text parts"),
    "call without JSON": (with_line(example(USER, {"role": "assistant", "tool_calls": [
        {"function": {"name": "f", "arguments": "{"}}]})), "invalid_file_format", "arguments"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_file_fails_its_job_with_code_line_and_cure(client, name):
    data, code, words = BROKEN_FILES[name]
    file = upload(client, data)
    job = client.fine_tuning.jobs.create(model="workbook-mini", training_file=file.id)
    failed = wait(client, job.id, "failed")
    assert (failed.error.code, failed.error.param) == (code, "training_file")
    assert words in failed.error.message
    assert client.files.content(file.id).read() == data  # nothing is lost
    events = client.fine_tuning.jobs.list_events(job.id).data
    assert events[0].level == "error"


def test_a_broken_validation_file_is_named(client):
    good, bad = upload(client, jsonl(GOOD)), upload(client, jsonl(GOOD[:3]))
    job = client.fine_tuning.jobs.create(
        model="workbook-mini", training_file=good.id, validation_file=bad.id
    )
    failed = wait(client, job.id, "failed")
    assert failed.error.param == "validation_file"
    assert "Validation file has 3 example" in failed.error.message


def test_an_example_beyond_the_context_is_cut_and_said_so(client):
    long = {"messages": [USER, {"role": "assistant", "content": "a lamp and a pot " * 400}]}
    file = upload(client, jsonl([*GOOD, long]))
    job = client.fine_tuning.jobs.create(
        model="workbook-mini", training_file=file.id,
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
    )  # fmt: skip
    wait(client, job.id, "succeeded")
    warnings = [e for e in client.fine_tuning.jobs.list_events(job.id) if e.level == "warn"]
    assert len(warnings) == 1
    assert "1 example(s)" in warnings[0].message
    assert "lose their end" in warnings[0].message


def test_a_line_of_200_megabytes(client, tmp_path):
    path = tmp_path / "long.jsonl"
    with path.open("wb") as file:
        file.write(b'{"messages": "')
        for _ in range(200):
            file.write(b"a" * 2**20)
        file.write(b'"}\n')
    with path.open("rb") as handle:
        stored = client.files.create(file=handle, purpose="fine-tune")
    assert stored.bytes > 200 * 2**20
    job = client.fine_tuning.jobs.create(model="workbook-mini", training_file=stored.id)
    failed = wait(client, job.id, "failed")
    assert failed.error.code == "invalid_file_format"
    assert f"longer than {validation.MAX_LINE_BYTES // 2**20} MB" in failed.error.message
    client.files.delete(stored.id)


def test_a_wrong_key_and_a_missing_one(platform):
    with pytest.raises(openai.AuthenticationError) as error:
        platform.client(api_key="wrong").models.list()
    assert error.value.code == "invalid_api_key"
    assert (platform.folder / "key").read_text(encoding="utf-8") not in str(error.value)


def test_an_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as error:
        client.chat.completions.create(model="gpt-0", messages=[USER])
    assert error.value.code == "model_not_found"
    file = upload(client, jsonl(GOOD))
    with pytest.raises(openai.NotFoundError):
        client.fine_tuning.jobs.create(model="gpt-0", training_file=file.id)
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="gpt-0", input="a")


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"temperature": 3}, "temperature"),
        ({"n": 0}, "n"),
        ({"top_p": -1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"store": True}, "store"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"extra_body": {"colour": "red"}}, "colour"),
        ({"messages": [{"role": "user", "content": "word " * 900}]}, "messages"),
    ],
)
def test_a_parameter_that_cannot_be_honoured_is_named(client, more, param):
    asked = {"model": "workbook-mini", "messages": [USER], "max_tokens": 2, **more}
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(**asked)
    assert error.value.param == param


@pytest.mark.parametrize(
    "more",
    [
        {"method": {"type": "dpo", "dpo": {}}},
        {"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]},
        {"suffix": "x" * 65},
        {"seed": -1},
        {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 51}}}},
        {"training_file": "file-none"},
        {"metadata": {"key": "v" * 513}},
    ],
)
def test_a_job_that_cannot_be_honoured_is_refused_at_once(client, more):
    asked = {"model": "workbook-mini", "training_file": upload(client, jsonl(GOOD)).id, **more}
    with pytest.raises(openai.BadRequestError) as error:
        client.fine_tuning.jobs.create(**asked)
    assert error.value.param


def test_embeddings_refuse_what_they_cannot_read(client):
    for bad in ("", [], ["a", ""], [[999_999]], "word " * 600):
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model="all-MiniLM-L6-v2", input=bad)
    with pytest.raises(openai.BadRequestError) as error:
        client.embeddings.create(model="all-MiniLM-L6-v2", input="a", dimensions=500)
    assert error.value.param == "dimensions"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["model", "messages", "input", "training_file", "n", "tools", "stop", "method", "suffix"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    path=st.sampled_from(["/chat/completions", "/embeddings", "/fine_tuning/jobs"]),
    body=st.dictionaries(FIELDS, JSON) | JSON,
    named=st.booleans(),
)
def test_no_body_makes_the_server_fail(client, path, body, named):
    if named and isinstance(body, dict):
        body = {**body, "model": "workbook-mini"}
    with pytest.raises(openai.APIStatusError) as error:
        client.post(path, body=body, cast_to=object)
    assert 400 <= error.value.status_code < 500
    assert client.models.list().data


def test_what_is_not_json_and_what_is_not_there(client):
    for content in (b"{", b"\xff\xfe", b"", b"[" * 100_000):
        with pytest.raises(openai.BadRequestError):
            client.post("/chat/completions", content=content, cast_to=object)
    with pytest.raises(openai.NotFoundError):
        client.get("/nothing/here", cast_to=object)


def test_a_full_disk_refuses_the_upload_and_keeps_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(file_routes.shutil, "copyfileobj", full)
    with TestClient(create_app(tmp_path, "key"), headers={"Authorization": "Bearer key"}) as web:
        sent = web.post("/v1/files", files={"file": b"{}"}, data={"purpose": "fine-tune"})
        assert sent.status_code == 400
        assert sent.json()["error"]["code"] == "insufficient_storage"
        assert web.get("/v1/files").json()["data"] == []
        assert list((tmp_path / "files").iterdir()) == []


def test_a_full_disk_fails_the_job_with_the_reason(tmp_path, monkeypatch, tiny_base):
    from helpers.local_platform import training, worker
    from helpers.local_platform.store import Store

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(training, "save_checkpoint", full)
    monkeypatch.setattr(training, "load_base", _load(tiny_base))
    store = Store(tmp_path)
    store.add_model("workbook-mini", "workbook-mini", None)
    store.file_path("file-1").write_bytes(jsonl(GOOD))
    numbers = {"n_epochs": 1, "batch_size": 6, "learning_rate_multiplier": 1.0}
    job = {"id": "ftjob-1", "model": "workbook-mini", "status": "queued", "seed": 1,
           "training_file": "file-1", "validation_file": None,
           "hyperparameters": numbers}  # fmt: skip
    store.add_job(job, {"tag": "t", "model_name": "ft:workbook-mini:local::t"})
    worker.run(tmp_path, "ftjob-1")
    ended = store.job("ftjob-1")
    assert (ended["status"], ended["error"]["code"]) == ("failed", "insufficient_storage")
    assert store.file_path("file-1").exists()


def _load(base: Path):
    from helpers.local_platform import modeling

    return lambda _: modeling.load_base(str(base))
