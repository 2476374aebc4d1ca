"""The web application: routes, the key, error shapes, and what every response carries."""

from __future__ import annotations

import hmac
import logging
import sqlite3
import time
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount

from helpers.local_platform import (
    chat_routes,
    embedding_routes,
    file_routes,
    job_routes,
    model_routes,
)
from helpers.local_platform.errors import ApiError, storage_full
from helpers.local_platform.store import Store, new_id
from helpers.local_platform.supervisor import Supervisor

BASE_MODEL = "workbook-mini"
RANDOM_MODEL = "workbook-mini-random"  # the same shape, never trained: notebook 01 compares
EMBEDDING_MODEL = "all-MiniLM-L6-v2"
API_VERSION = "2020-10-01"
log = logging.getLogger("local_platform")


def create_app(folder: Path, key: str) -> Starlette:
    """The platform on a state folder; requests must carry the key as their bearer token."""
    store = Store(folder)
    for name in (BASE_MODEL, RANDOM_MODEL):
        store.add_model(name, base=name, adapter=None)
    store.add_model(EMBEDDING_MODEL, base=EMBEDDING_MODEL, adapter=None, owner="embedding")

    @asynccontextmanager
    async def lifespan(app: Starlette):
        app.state.store = store
        app.state.supervisor = Supervisor(store)
        app.state.generators = chat_routes.Generators()
        app.state.embedders = embedding_routes.Embedders()
        app.state.supervisor.take_up_unfinished()
        yield
        app.state.supervisor.close()

    routes = [
        *file_routes.ROUTES,
        *job_routes.ROUTES,
        *model_routes.ROUTES,
        *chat_routes.ROUTES,
        *embedding_routes.ROUTES,
    ]
    app = Starlette(
        routes=[Mount("/v1", routes=routes)],
        lifespan=lifespan,
        exception_handlers={
            ApiError: lambda request, error: error.response(),
            HTTPException: _http_error,
            OSError: _broken,
            sqlite3.Error: _broken,
            Exception: _broken,
        },
    )
    app.add_middleware(_Guard, key=key)
    return app


class _Guard:
    """Checks the key before anything is read, and stamps id, version and time on each response."""

    def __init__(self, app, key: str):
        self.app, self.key = app, key

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()

        async def stamped(message):
            if message["type"] == "http.response.start":
                spent = int(1000 * (time.perf_counter() - started))
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", new_id("req_").encode()),
                    (b"openai-version", API_VERSION.encode()),
                    (b"openai-organization", b"org-local"),
                    (b"openai-processing-ms", str(spent).encode()),
                ]
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal.response() if refusal else self.app)(scope, receive, stamped)

    def _refusal(self, request: Request) -> ApiError | None:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and hmac.compare_digest(given.encode(), self.key.encode()):
            return None
        message = (
            "Incorrect API key provided. The local platform's key lies in the file `key` of its "
            "folder; config.client() reads it."
            if given
            else "You didn't provide an API key. Send it as: Authorization: Bearer KEY"
        )
        return ApiError(message, code="invalid_api_key", status=401)


def _http_error(request: Request, error: HTTPException) -> Response:
    """No such route, or not by this method."""
    message = f"Invalid URL ({request.method} {request.url.path})"
    if error.status_code == 400:  # a multipart body that cannot be read
        message = f"The request could not be read: {error.detail}"
    return ApiError(message, status=error.status_code).response()


def _broken(request: Request, error: Exception) -> Response:
    """A full disk is the learner's to cure; anything else is a fault of ours, and says so."""
    full = storage_full(error)
    if full:
        return full.response()
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    message = f"The platform failed on this request ({type(error).__name__}); see server.log."
    return ApiError(message, status=500, kind="server_error").response()
