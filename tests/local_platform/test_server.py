"""The platform through the official SDK: files, jobs, models, chat, embeddings."""

from __future__ import annotations

import base64
import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
import tiny
from conftest import create_job, jsonl, upload, wait
from starlette.testclient import TestClient

from helpers.local_platform.app import create_app

SAY = [{"role": "user", "content": "What is a lamp?"}]


@pytest.fixture(scope="module")
def done(client):
    """A finished job of four epochs with a validation file, a suffix and metadata."""
    held_out = upload(client, jsonl(tiny.make_examples(16)[2:]), "valid.jsonl")
    job = create_job(
        client, numbers={"n_epochs": 4, "batch_size": 4}, suffix="My Model!", seed=7,
        validation_file=held_out.id, metadata={"class": "7b"},
    )  # fmt: skip
    return wait(client, job.id, "succeeded")


def test_a_file_is_stored_listed_read_and_deleted(client):
    data = jsonl(tiny.make_examples())
    file = client.files.create(
        file=("ünï.jsonl", data), purpose="fine-tune",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )  # fmt: skip
    assert (file.bytes, file.filename, file.status) == (len(data), "ünï.jsonl", "processed")
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == data
    assert file.id in [found.id for found in client.files.list(purpose="fine-tune", limit=1)]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_files_come_in_pages_in_both_orders(client):
    ids = [upload(client, b"{}\n", f"{n}.jsonl").id for n in range(5)]
    newest = [file.id for file in client.files.list(limit=2)]
    assert newest[:5] == ids[::-1]
    oldest = [file.id for file in client.files.list(limit=2, order="asc")]
    assert oldest == newest[::-1]
    page = client.files.list(limit=2, after=ids[4])
    assert [file.id for file in page.data] == ids[3:1:-1]
    assert page.has_more


def test_a_job_says_what_it_did(client, done):
    assert done.fine_tuned_model.startswith("ft:workbook-mini:local:my-model:")
    assert (done.hyperparameters.n_epochs, done.hyperparameters.batch_size) == (4, 4)
    assert done.method.supervised.hyperparameters.n_epochs == 4
    assert done.seed == 7
    assert done.trained_tokens > 0
    assert done.error is None
    assert done.finished_at >= done.created_at
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"class": "7b"})] == [done.id]
    assert done.id in [job.id for job in client.fine_tuning.jobs.list(limit=1)]


def test_events_come_newest_first_and_in_pages(client, done):
    events = list(client.fine_tuning.jobs.list_events(done.id, limit=5))
    assert len({event.id for event in events}) == len(events)
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message.startswith("Created fine-tuning job")
    steps = [event.data["step"] for event in events if event.type == "metrics"]
    assert steps == list(range(12, 0, -1))
    assert len(client.fine_tuning.jobs.list_events(done.id).data) <= 20


def test_the_result_file_is_the_events_in_base64_csv(client, done):
    raw = client.files.content(done.result_files[0]).read()
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(raw, validate=True).decode())))
    assert list(rows[0]) == [
        "step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy",
    ]  # fmt: skip
    events = list(client.fine_tuning.jobs.list_events(done.id))[::-1]
    metrics = [event.data for event in events if event.type == "metrics"]
    for row, data in zip(rows, metrics, strict=True):
        assert float(row["train_loss"]) == pytest.approx(data["train_loss"], abs=1e-5)
        assert float(row["valid_loss"]) == pytest.approx(data["valid_loss"], abs=1e-5)


def test_the_last_three_checkpoints_are_kept_and_can_be_asked(client, done):
    checkpoints = list(client.fine_tuning.jobs.checkpoints.list(done.id, limit=2))
    assert [checkpoint.step_number for checkpoint in checkpoints] == [12, 9, 6]
    first = checkpoints[-1]
    assert first.fine_tuned_model_checkpoint == f"{done.fine_tuned_model}:ckpt-step-6"
    assert first.metrics.full_valid_loss > 0
    name = first.fine_tuned_model_checkpoint
    assert client.chat.completions.create(model=name, messages=SAY, max_tokens=3).model == name
    assert f"{done.fine_tuned_model}:ckpt-step-3" not in [m.id for m in client.models.list()]


def test_the_same_seed_trains_the_same_model(client):
    one, two = (wait(client, create_job(client, seed=3).id, "succeeded") for _ in range(2))
    losses = [
        [e.data["train_loss"] for e in client.fine_tuning.jobs.list_events(job.id) if e.data]
        for job in (one, two)
    ]
    assert losses[0] == losses[1]


def test_old_hyperparameters_and_auto_are_honoured(client):
    file = upload(client, jsonl(tiny.make_examples(20)))
    job = client.fine_tuning.jobs.create(
        model="workbook-mini", training_file=file.id, hyperparameters={"batch_size": 10}
    )
    ended = wait(client, job.id, "succeeded", "running")
    assert ended.hyperparameters.n_epochs == 5  # 100 // 20
    assert ended.hyperparameters.batch_size == 10
    assert wait(client, job.id, "succeeded").fine_tuned_model.split(":")[3] == ""


def test_a_tuned_model_can_be_tuned_further(client, done):
    file = upload(client, jsonl(tiny.make_examples()))
    job = client.fine_tuning.jobs.create(
        model=done.fine_tuned_model, training_file=file.id, suffix="again",
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
    )  # fmt: skip
    again = wait(client, job.id, "succeeded")
    assert again.fine_tuned_model.startswith("ft:workbook-mini:local:again:")


def test_cancel_pause_and_resume(client):
    job = create_job(client, numbers={"n_epochs": 50, "batch_size": 1})
    wait(client, job.id, "running")
    client.fine_tuning.jobs.pause(job.id)
    paused = wait(client, job.id, "paused")
    steps = [e.data["step"] for e in client.fine_tuning.jobs.list_events(job.id) if e.data]
    client.fine_tuning.jobs.resume(paused.id)
    wait(client, job.id, "running")
    with pytest.raises(openai.BadRequestError, match="cannot be resumed"):
        client.fine_tuning.jobs.resume(job.id)
    client.fine_tuning.jobs.cancel(job.id)
    ended = wait(client, job.id, "cancelled")
    assert ended.fine_tuned_model is None
    after = [e.data["step"] for e in client.fine_tuning.jobs.list_events(job.id) if e.data]
    assert len(after) == len(set(after)), "a resumed job goes on where it stopped"
    assert max(after, default=0) >= max(steps, default=0)
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.cancel(job.id)


@pytest.mark.parametrize("action", ["cancel", "pause"])
def test_a_job_that_starts_while_it_is_stopped_is_stopped_all_the_same(
    tmp_path, monkeypatch, action
):
    with TestClient(create_app(tmp_path, "key"), headers={"Authorization": "Bearer key"}) as web:
        store = web.app.state.store
        store.add_job({"id": "ftjob-1", "status": "queued", "created_at": 1, "model": "m"}, {})
        change = store.change_job

        def too_late(job_id, only_if=None, **changes):
            change(job_id, status="running")  # the worker came first
            return change(job_id, only_if, **changes)

        monkeypatch.setattr(store, "change_job", too_late)
        assert web.post(f"/v1/fine_tuning/jobs/ftjob-1/{action}").status_code == 200
        assert store.wish("ftjob-1") == action


def test_models_are_listed_found_and_deleted(client):
    model = wait(client, create_job(client).id, "succeeded").fine_tuned_model
    assert client.models.retrieve(model).owned_by == "local"
    assert client.models.delete(model).deleted
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model=model, messages=SAY)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("workbook-mini")


def test_a_stream_says_what_a_whole_answer_says(client):
    asked = {"model": "workbook-mini", "messages": SAY, "seed": 5, "max_tokens": 20, "n": 2}
    whole = client.chat.completions.create(**asked)
    chunks = list(
        client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    for index in range(2):
        text = "".join(
            choice.delta.content or ""
            for chunk in chunks for choice in chunk.choices if choice.index == index
        )  # fmt: skip
        assert text == whole.choices[index].message.content
    assert chunks[-1].usage == whole.usage
    assert chunks[-1].choices == []
    assert len({chunk.id for chunk in chunks}) == 1


def test_many_requests_at_once_get_the_answers_that_each_gets_alone(client, done):
    def said(number):
        words = [{"role": "user", "content": "A lamp is on. " * (1 + number) + "What is a lamp?"}]
        asked = {"model": "workbook-mini" if number % 3 else done.fine_tuned_model,
                 "messages": words, "temperature": 0, "max_tokens": 8 + number}  # fmt: skip
        if number % 2:
            return client.chat.completions.create(**asked).choices[0].message.content
        parts = client.chat.completions.create(**asked, stream=True)
        return "".join(part.choices[0].delta.content or "" for part in parts if part.choices)

    alone = [said(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(said, range(8))) == alone


def test_seed_temperature_and_limits(client):
    def said(**options):
        reply = client.chat.completions.create(
            model="workbook-mini", messages=SAY, **{"max_tokens": 12, **options}
        )
        return reply.choices[0].message.content

    assert said(seed=1) == said(seed=1)
    assert said(seed=1) != said(seed=2)
    assert said(temperature=0) == said(temperature=0, seed=9)
    reply = client.chat.completions.create(
        model="workbook-mini", messages=SAY, max_completion_tokens=4
    )
    assert reply.usage.completion_tokens <= 4
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_tool_call_and_a_schema_are_held(client):
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    tool = {"type": "function", "function": {"name": "paint", "parameters": schema}}
    reply = client.chat.completions.create(
        model="workbook-mini", messages=SAY, tools=[tool], tool_choice="required", max_tokens=60,
        parallel_tool_calls=False,  # drawn at random, a second call may come, and be cut
    )  # fmt: skip
    call = reply.choices[0].message.tool_calls[0]
    assert (call.function.name, reply.choices[0].finish_reason) == ("paint", "tool_calls")
    assert json.loads(call.function.arguments)["colour"] in ("red", "blue")
    reply = client.chat.completions.create(
        model="workbook-mini", messages=SAY, max_tokens=60,
        response_format={"type": "json_schema",
                         "json_schema": {"name": "c", "strict": True, "schema": schema}},
    )  # fmt: skip
    assert json.loads(reply.choices[0].message.content)["colour"] in ("red", "blue")


def test_logprobs_are_those_of_the_tokens(client):
    reply = client.chat.completions.create(
        model="workbook-mini", messages=SAY, max_tokens=5, logprobs=True, top_logprobs=2
    )
    tokens = reply.choices[0].logprobs.content
    assert 0 < len(tokens) <= 5
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in tokens)


def test_embeddings_as_base64_as_floats_shorter_and_of_tokens(client):
    model = "all-MiniLM-L6-v2"
    texts = ["a lamp", "a light for the table", "tax law"]
    default = client.embeddings.create(model=model, input=texts)  # the SDK asks for base64
    floats = client.embeddings.create(model=model, input=texts, encoding_format="float")
    one, two = ([row.embedding for row in reply.data] for reply in (default, floats))
    np.testing.assert_allclose(one, two, atol=1e-6)
    vectors = np.array(one)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    short = client.embeddings.create(model=model, input="a lamp", dimensions=64)
    assert len(short.data[0].embedding) == 64
    arrays = client.embeddings.create(model=model, input=[[1037, 10437], [2000]])
    assert len(arrays.data) == 2
    np.testing.assert_allclose(arrays.data[0].embedding, one[0], atol=1e-5)  # "a lamp" in tokens


def test_every_response_carries_its_id(client):
    raw = client.models.with_raw_response.list()
    assert raw.headers["x-request-id"].startswith("req_")
    assert int(raw.headers["openai-processing-ms"]) >= 0
