"""/v1/files: upload, list, look at, read back, delete."""

from __future__ import annotations

import asyncio
import base64
import shutil
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from helpers.local_platform.errors import ApiError, not_found
from helpers.local_platform.requests import whole_number
from helpers.local_platform.store import Store, new_id

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
SIZE_LIMIT = 512 * 2**20


async def create(request: Request) -> Response:
    """POST /files: multipart with `file`, `purpose` and perhaps `expires_after[...]`."""
    if "multipart/form-data" not in request.headers.get("content-type", ""):
        raise ApiError("Send the file as multipart/form-data.", "file")
    async with request.form() as form:
        upload, purpose = form.get("file"), form.get("purpose")
        unknown = set(form) - {"file", "purpose", "expires_after[anchor]", "expires_after[seconds]"}
        if unknown:
            name = sorted(unknown)[0]
            raise ApiError(f"Unknown parameter: '{name}'.", name, "unknown_parameter")
        if upload is None or isinstance(upload, str):
            raise ApiError("Missing required parameter: 'file'.", "file")
        if purpose not in PURPOSES:
            raise ApiError(f"'purpose' is one of {', '.join(PURPOSES)}.", "purpose")
        if (upload.size or 0) > SIZE_LIMIT:
            raise ApiError(f"A file has at most {SIZE_LIMIT // 2**20} MB.", "file", status=413)
        now = int(time.time())
        body = {
            "id": new_id("file-"),
            "object": "file",
            "bytes": upload.size or 0,
            "created_at": now,
            "filename": upload.filename or "file",
            "purpose": purpose,
            "status": "processed",
            **_expiry(form, now),
        }
        return JSONResponse(await asyncio.to_thread(_keep, request.app.state.store, upload, body))


def _keep(store: Store, upload, body: dict) -> dict:
    """Copy the upload into place, then note it: a full disk leaves neither bytes nor a note."""
    path = store.file_path(body["id"])
    try:
        with path.open("wb") as target:
            shutil.copyfileobj(upload.file, target, 2**20)
        return store.add_file(body)
    except Exception:
        path.unlink(missing_ok=True)
        raise


def _expiry(form, now: int) -> dict:
    anchor, seconds = form.get("expires_after[anchor]"), form.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return {}
    if anchor != "created_at":
        raise ApiError("'expires_after[anchor]' is 'created_at'.", "expires_after[anchor]")
    if not str(seconds).isdigit() or not 3600 <= int(str(seconds)[:9]) <= 2592000:
        raise ApiError(
            "'expires_after[seconds]' is a whole number from 3600 to 2592000.",
            "expires_after[seconds]",
        )
    return {"expires_at": now + int(seconds)}


async def list_all(request: Request) -> Response:
    """GET /files."""
    query = request.query_params
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise ApiError("'order' is 'asc' or 'desc'.", "order", "invalid_value")
    limit = whole_number(request, "limit", 10000, 10000)
    after = query.get("after")
    page = request.app.state.store.files(query.get("purpose"), after, limit, order == "desc")
    return JSONResponse(paged(page, after, ends=True))


def paged(page, after: str | None, ends: bool = False) -> dict:
    """A page as the API's list object; `ends` adds the ids of its first and last object."""
    if page is None:
        raise ApiError(f"'after' names no object of this list: {after}", "after", "invalid_value")
    rows, more = page
    body = {"object": "list", "data": rows, "has_more": more}
    if ends:
        body["first_id"] = rows[0]["id"] if rows else None
        body["last_id"] = rows[-1]["id"] if rows else None
    return body


def find(request: Request) -> dict:
    """The file that the path names. Raises: ApiError 404."""
    file_id = request.path_params["file_id"]
    body = request.app.state.store.file(file_id)
    if body is None:
        raise not_found("File object", file_id, "id")
    return body


async def retrieve(request: Request) -> Response:
    """GET /files/{file_id}."""
    return JSONResponse(find(request))


async def delete(request: Request) -> Response:
    """DELETE /files/{file_id}. A file that a job still has to read stays."""
    body, store = find(request), request.app.state.store
    for job in store.unfinished_jobs():
        if body["id"] in (job["training_file"], job["validation_file"]):
            raise ApiError(f"Job {job['id']} still reads this file. Wait for it, or cancel it.")
    store.delete_file(body["id"])
    return JSONResponse({"id": body["id"], "object": "file", "deleted": True})


async def content(request: Request) -> Response:
    """GET /files/{file_id}/content: the bytes; a result file's come in base64, as at OpenAI."""
    body, store = find(request), request.app.state.store
    data = await asyncio.to_thread(store.file_path(body["id"]).read_bytes)
    if store.is_encoded(body["id"]):
        data = base64.b64encode(data)
    return Response(data, media_type="application/octet-stream")


ROUTES = [
    Route("/files", create, methods=["POST"]),
    Route("/files", list_all, methods=["GET"]),
    Route("/files/{file_id}", retrieve, methods=["GET"]),
    Route("/files/{file_id}", delete, methods=["DELETE"]),
    Route("/files/{file_id}/content", content, methods=["GET"]),
]
