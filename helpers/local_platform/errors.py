"""Errors in OpenAI's shape: {"error": {"message", "type", "param", "code"}}."""

from __future__ import annotations

import errno
import sqlite3

from starlette.responses import JSONResponse


class ApiError(Exception):
    """A refusal that the client is told about: HTTP status, message, the field at fault, a code."""

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        status: int = 400,
        kind: str = "invalid_request_error",
    ):
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "type": kind, "param": param, "code": code}

    def response(self) -> JSONResponse:
        """The HTTP response that carries this error."""
        return JSONResponse({"error": self.body}, status_code=self.status)


def not_found(what: str, identifier: str, param: str | None = None, code: str | None = None):
    """An ApiError for an object that is not there."""
    return ApiError(f"No such {what}: {identifier}", param, code, status=404)


def no_such_model(model: str) -> ApiError:
    """OpenAI's answer to an unknown model."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return ApiError(message, None, "model_not_found", status=404)


def storage_full(error: Exception) -> ApiError | None:
    """An ApiError where the disk is full, else None. Nothing half-written is kept."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    full = full or (isinstance(error, sqlite3.OperationalError) and "full" in str(error))
    if not full:
        return None
    return ApiError(
        "The disk that holds the platform's files is full. Nothing was stored; free some space and "
        "send it again.",
        code="insufficient_storage",
    )
