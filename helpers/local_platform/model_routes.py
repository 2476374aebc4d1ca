"""/v1/models: list, look at, delete. Names may hold ':' and '/'."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from helpers.local_platform.errors import ApiError, no_such_model


async def list_all(request: Request) -> Response:
    """GET /models."""
    return JSONResponse({"object": "list", "data": request.app.state.store.models()})


async def retrieve(request: Request) -> Response:
    """GET /models/{model}."""
    name = request.path_params["model"]
    found = request.app.state.store.model(name)
    if found is None:
        raise no_such_model(name)
    return JSONResponse(found[0])


async def delete(request: Request) -> Response:
    """DELETE /models/{model}: fine-tuned models only, as at OpenAI."""
    name, store = request.path_params["model"], request.app.state.store
    found = store.model(name)
    if found is None:
        raise no_such_model(name)
    if found[2] is None:
        raise ApiError(
            f"'{name}' is a base model. Only fine-tuned models can be deleted.",
            "model",
            status=403,
        )
    request.app.state.generators.forget(found[1], found[2])
    store.delete_model(name)
    return JSONResponse({"id": name, "object": "model", "deleted": True})


ROUTES = [
    Route("/models", list_all, methods=["GET"]),
    Route("/models/{model:path}", retrieve, methods=["GET"]),
    Route("/models/{model:path}", delete, methods=["DELETE"]),
]
