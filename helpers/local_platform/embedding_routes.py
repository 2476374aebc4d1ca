"""/v1/embeddings: texts or token arrays to vectors, as floats or in base64."""

from __future__ import annotations

import base64
import threading

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from helpers.local_platform.errors import ApiError, no_such_model
from helpers.local_platform.requests import EmbeddingBody, read

INPUT_LIMIT = 2048  # texts a request, as at OpenAI


class Embedders:
    """The embedding model, loaded when it is first asked."""

    def __init__(self):
        self._lock = threading.Lock()
        self._made = None

    def get(self):
        """The one embedder."""
        from helpers.local_platform.embedding import Embedder

        with self._lock:
            self._made = self._made or Embedder()
            return self._made


async def create(request: Request) -> Response:
    """POST /embeddings."""
    body = await read(request, EmbeddingBody)
    found = request.app.state.store.model(body.model)
    if found is None:
        raise no_such_model(body.model)
    if found[0]["owned_by"] != "embedding":
        raise ApiError(f"'{body.model}' chats; it does not embed.", "model", "model_not_embedding")
    inputs = body.input
    single = isinstance(inputs, str) or (inputs and isinstance(inputs[0], int))
    inputs = [inputs] if single else inputs
    if len(inputs) > INPUT_LIMIT:
        raise ApiError(f"'input' holds at most {INPUT_LIMIT} texts.", "input", "invalid_value")
    vectors, tokens = await run_in_threadpool(
        _embed, request.app.state.embedders, inputs, body.dimensions
    )
    as_text = body.encoding_format == "base64"
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode("ascii")
            if as_text
            else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return JSONResponse({"object": "list", "data": rows, "model": body.model, "usage": usage})


def _embed(embedders: Embedders, inputs, dimensions):
    from helpers.local_platform.embedding import BadEmbeddingInput

    try:
        return embedders.get().embed(inputs, dimensions)
    except BadEmbeddingInput as error:
        raise ApiError(error.message, error.param, "invalid_value") from error


ROUTES = [Route("/embeddings", create, methods=["POST"])]
