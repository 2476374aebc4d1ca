"""/v1/fine_tuning: jobs with their events and checkpoints; cancel, pause, resume."""

from __future__ import annotations

import re
import secrets
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from helpers.local_platform.errors import ApiError, no_such_model
from helpers.local_platform.file_routes import paged
from helpers.local_platform.requests import Hyperparameters, JobBody, read, whole_number
from helpers.local_platform.store import new_id

WAITING = ("validating_files", "queued")


async def create(request: Request) -> Response:
    """POST /fine_tuning/jobs: note the job and return at once; files are validated after that."""
    body = await read(request, JobBody)
    store = request.app.state.store
    for param in ("training_file", "validation_file"):
        _check_file(store, getattr(body, param), param)
    model = store.model(body.model)
    if model is None:
        raise no_such_model(body.model)
    if body.integrations:
        raise ApiError("This platform has no integrations.", "integrations", "unsupported_value")
    numbers = _hyperparameters(body).model_dump()
    tag = new_id("", 8)
    # A tuned model that is tuned further keeps the base model's name in its own.
    base = body.model.split(":")[1] if body.model.startswith("ft:") else body.model
    suffix = re.sub(r"[^a-z0-9]+", "-", (body.suffix or "").lower()).strip("-")
    job = {
        "object": "fine_tuning.job",
        "id": new_id("ftjob-"),
        "model": body.model,
        "created_at": int(time.time()),
        "finished_at": None,
        "fine_tuned_model": None,
        "organization_id": "org-local",
        "result_files": [],
        "status": "validating_files",
        "training_file": body.training_file,
        "validation_file": body.validation_file,
        "hyperparameters": numbers,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        "trained_tokens": None,
        "error": None,
        "seed": secrets.randbelow(2**31) if body.seed is None else body.seed,
        "estimated_finish": None,
        "integrations": [],
        "metadata": body.metadata,
        "user_provided_suffix": body.suffix,
    }
    store.add_job(job, {"tag": tag, "model_name": f"ft:{base}:local:{suffix}:{tag}"})
    store.add_event(job["id"], f"Created fine-tuning job: {job['id']}")
    request.app.state.supervisor.submit(job["id"])
    return JSONResponse(job)


def _check_file(store, file_id: str | None, param: str) -> None:
    if file_id is None:
        return
    file = store.file(file_id)
    if file is None:
        raise ApiError(f"'{param}' names no file: {file_id}", param, "invalid_" + param)
    if file["purpose"] != "fine-tune":
        raise ApiError(
            f"The file {file_id} was uploaded with purpose '{file['purpose']}', not 'fine-tune'.",
            param,
            "invalid_" + param,
        )


def _hyperparameters(body: JobBody) -> Hyperparameters:
    if body.method is None:
        return body.hyperparameters or Hyperparameters()
    if body.method.type != "supervised" or body.method.dpo or body.method.reinforcement:
        kind = body.method.type
        raise ApiError(
            f"This platform trains with method 'supervised' only, not '{kind}'.",
            "method.type",
            "unsupported_value",
        )
    if body.hyperparameters and body.method.supervised:
        raise ApiError("Give 'method' or 'hyperparameters', not both.", "hyperparameters")
    if body.method.supervised:
        return body.method.supervised.hyperparameters
    return body.hyperparameters or Hyperparameters()


async def list_all(request: Request) -> Response:
    """GET /fine_tuning/jobs, newest first; `metadata[key]=value` and `metadata=null` filter."""
    query = request.query_params
    pairs = {m[1]: v for k, v in query.items() if (m := re.fullmatch(r"metadata\[(.+)\]", k))}
    limit = whole_number(request, "limit", 20, 100)
    after, without = query.get("after"), query.get("metadata") == "null"
    page = request.app.state.store.jobs(after, limit, pairs, without)
    return JSONResponse(paged(page, after))


def find(request: Request) -> dict:
    """The job that the path names. Raises: ApiError 404."""
    job_id = request.path_params["job_id"]
    job = request.app.state.store.job(job_id)
    if job is None:
        raise ApiError(
            f"Could not find fine tune: {job_id}",
            "fine_tuning_job_id",
            "fine_tuning_job_not_found",
            status=404,
        )
    return job


async def retrieve(request: Request) -> Response:
    """GET /fine_tuning/jobs/{id}."""
    return JSONResponse(find(request))


async def cancel(request: Request) -> Response:
    """POST .../cancel: a waiting job ends at once, a running one after the step it is in."""
    job, store = find(request), request.app.state.store
    now = int(time.time())
    if store.change_job(job["id"], (*WAITING, "paused"), status="cancelled", finished_at=now):
        store.add_event(job["id"], "The job was cancelled before it had ended")
    else:
        _ask_worker(store, job["id"], "cancel", "cancelled")
    return JSONResponse(store.job(job["id"]))


async def pause(request: Request) -> Response:
    """POST .../pause: a waiting job waits on, a running one stops after the step it is in."""
    job, store = find(request), request.app.state.store
    if store.change_job(job["id"], ("queued",), status="paused"):
        store.add_event(job["id"], "The job was paused before it started")
    else:
        _ask_worker(store, job["id"], "pause", "paused")
    return JSONResponse(store.job(job["id"]))


async def resume(request: Request) -> Response:
    """POST .../resume: a paused job goes on from its saved state."""
    job, store = find(request), request.app.state.store
    if not store.change_job(job["id"], ("paused",), status="queued"):
        raise _wrong_state(job, "resumed")
    store.set_wish(job["id"], None)
    store.add_event(job["id"], "The job was resumed")
    request.app.state.supervisor.resume(job["id"])
    return JSONResponse(store.job(job["id"]))


def _ask_worker(store, job_id: str, wish: str, what: str) -> None:
    """Leave a wish for the worker of a running job. The status is read anew: a job that waited when
    the request came may have begun since."""
    job = store.job(job_id)
    if job["status"] != "running":
        raise _wrong_state(job, what)
    store.set_wish(job_id, wish)


def _wrong_state(job: dict, what: str) -> ApiError:
    return ApiError(f"Job {job['id']} is {job['status']} and cannot be {what}.", "status")


async def events(request: Request) -> Response:
    """GET .../events, newest first."""
    job, after = find(request), request.query_params.get("after")
    limit = whole_number(request, "limit", 20, 100)
    return JSONResponse(paged(request.app.state.store.events(job["id"], after, limit), after))


async def checkpoints(request: Request) -> Response:
    """GET .../checkpoints, newest first: the last three epochs'."""
    job, after = find(request), request.query_params.get("after")
    limit = whole_number(request, "limit", 10, 100)
    page = request.app.state.store.checkpoints(job["id"], after, limit)
    return JSONResponse(paged(page, after, ends=True))


ROUTES = [
    Route("/fine_tuning/jobs", create, methods=["POST"]),
    Route("/fine_tuning/jobs", list_all, methods=["GET"]),
    Route("/fine_tuning/jobs/{job_id}", retrieve, methods=["GET"]),
    Route("/fine_tuning/jobs/{job_id}/cancel", cancel, methods=["POST"]),
    Route("/fine_tuning/jobs/{job_id}/pause", pause, methods=["POST"]),
    Route("/fine_tuning/jobs/{job_id}/resume", resume, methods=["POST"]),
    Route("/fine_tuning/jobs/{job_id}/events", events, methods=["GET"]),
    Route("/fine_tuning/jobs/{job_id}/checkpoints", checkpoints, methods=["GET"]),
]
