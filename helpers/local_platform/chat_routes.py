"""/v1/chat/completions: one answer, several, or a stream of server-sent events."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

from starlette.concurrency import iterate_in_threadpool, run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from helpers.local_platform.errors import ApiError, no_such_model
from helpers.local_platform.requests import ChatBody, read
from helpers.local_platform.store import new_id

FINGERPRINT = "fp_local"
CHAT_LIMIT = 16  # choices a request: more would not fit a small machine


class Generators:
    """One generator for each base model, made when it is first asked."""

    def __init__(self):
        self._lock = threading.Lock()
        self._made = {}

    def get(self, base: str):
        """The generator of a base model; loads the libraries at the first call."""
        from helpers.local_platform.generation import Generator

        with self._lock:
            if base not in self._made:
                self._made[base] = Generator(base)
            return self._made[base]

    def forget(self, base: str, adapter) -> None:
        """Drop a deleted adapter from memory."""
        if base in self._made:
            self._made[base].forget(adapter)


async def create(request: Request) -> Response:
    """POST /chat/completions."""
    body = await read(request, ChatBody)
    found = request.app.state.store.model(body.model)
    if found is None:
        raise no_such_model(body.model)
    if found[0].get("owned_by") == "embedding":
        raise ApiError(f"'{body.model}' embeds texts; it cannot chat.", "model", "model_not_chat")
    _check(body)
    head = {
        "id": new_id("chatcmpl-", 29),
        "created": int(time.time()),
        "model": body.model,
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }
    generators = request.app.state.generators
    pieces = await run_in_threadpool(_start, generators, body, found[1], found[2])
    if body.stream:
        lines = _stream(pieces, head, body)
        return StreamingResponse(iterate_in_threadpool(lines), media_type="text/event-stream")
    return JSONResponse(await run_in_threadpool(_whole, pieces, head, body))


def _check(body: ChatBody) -> None:
    """What a field alone cannot say."""
    if (body.n or 1) > CHAT_LIMIT:
        raise ApiError(f"This platform gives at most {CHAT_LIMIT} choices.", "n", "invalid_value")
    if body.max_tokens and body.max_completion_tokens:
        raise ApiError("Give 'max_tokens' or 'max_completion_tokens', not both.", "max_tokens")
    if body.top_logprobs is not None and not body.logprobs:
        raise ApiError("'top_logprobs' needs 'logprobs': true.", "top_logprobs", "invalid_value")
    if body.stream_options and not body.stream:
        raise ApiError("'stream_options' needs 'stream': true.", "stream_options")
    if body.tool_choice not in (None, "none") and not body.tools:
        raise ApiError("'tool_choice' needs 'tools'.", "tool_choice", "invalid_value")
    if body.parallel_tool_calls is not None and not body.tools:
        raise ApiError("'parallel_tool_calls' needs 'tools'.", "parallel_tool_calls")


def _start(generators: Generators, body: ChatBody, base: str, adapter):
    """Prepare the generation; what is wrong with the request comes out here, as a 400."""
    from helpers.local_platform.generation import EngineError, GenerationRequest

    def given(**fields):
        return {name: value for name, value in fields.items() if value is not None}

    asked = GenerationRequest(
        messages=body.messages,
        adapter=adapter,
        **given(
            tools=body.tools,
            tool_choice=body.tool_choice,
            response_format=body.response_format,
            n=body.n,
            seed=body.seed,
            temperature=body.temperature,
            top_p=body.top_p,
            stop=body.stop,
            max_tokens=body.max_tokens or body.max_completion_tokens,
            logprobs=body.logprobs,
            top_logprobs=body.top_logprobs,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            logit_bias=body.logit_bias,
            parallel_tool_calls=body.parallel_tool_calls,
        ),
    )
    try:
        return generators.get(base).stream(asked)
    except EngineError as error:
        raise ApiError(error.message, error.param, error.code) from error


def _whole(pieces, head: dict, body: ChatBody) -> dict:
    """Gather the pieces of all choices into one completion."""
    choices = [
        {"text": "", "calls": {}, "logprobs": [], "finish": None} for _ in range(body.n or 1)
    ]
    usage = None
    for piece in pieces:
        if piece.usage:
            usage = _usage(piece.usage)
            continue
        choice = choices[piece.index]
        choice["text"] += piece.text
        choice["logprobs"] += [_logprob(token) for token in piece.logprobs]
        choice["finish"] = piece.finish_reason or choice["finish"]
        if piece.tool_call:
            part = piece.tool_call
            call = choice["calls"].setdefault(part.index, {"id": None, "name": "", "arguments": ""})
            call.update({k: v for k, v in (("id", part.id), ("name", part.name)) if v})
            call["arguments"] += part.arguments
    rows = [_choice(index, choice, body) for index, choice in enumerate(choices)]
    return {**head, "object": "chat.completion", "choices": rows, "usage": usage}


def _choice(index: int, choice: dict, body: ChatBody) -> dict:
    calls = [
        {
            "id": call["id"],
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for _, call in sorted(choice["calls"].items())
    ]
    message = {
        "role": "assistant",
        "content": choice["text"] or (None if calls else ""),
        "refusal": None,
        "annotations": [],
    }
    if calls:
        message["tool_calls"] = calls
    logprobs = {"content": choice["logprobs"], "refusal": None} if body.logprobs else None
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": choice["finish"],
    }


def _stream(pieces, head: dict, body: ChatBody) -> Iterator[str]:
    """The pieces as server-sent events; the same id and time in each."""
    head = {**head, "object": "chat.completion.chunk"}
    with_usage = bool(body.stream_options and body.stream_options.include_usage)
    if with_usage:
        head["usage"] = None

    def event(index: int, delta: dict, finish=None, logprobs=None) -> str:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return _line({**head, "choices": [choice]})

    for index in range(body.n or 1):
        yield event(index, {"role": "assistant", "content": "", "refusal": None})
    try:
        for piece in pieces:
            if piece.usage:
                if with_usage:
                    yield _line({**head, "choices": [], "usage": _usage(piece.usage)})
                continue
            delta = _delta(piece)
            logprobs = [_logprob(token) for token in piece.logprobs]
            if delta or logprobs:
                shown = {"content": logprobs, "refusal": None} if body.logprobs else None
                yield event(piece.index, delta, logprobs=shown)
            if piece.finish_reason:
                yield event(piece.index, {}, piece.finish_reason)
    except Exception as error:  # the headers are out: the stream itself must carry the error
        message = f"{type(error).__name__}: {error}"
        yield _line({"error": {"message": message, "type": "server_error", "param": None, "code": None}})  # fmt: skip  # noqa: E501
        return
    yield "data: [DONE]\n\n"


def _delta(piece) -> dict:
    delta = {"content": piece.text} if piece.text else {}
    if piece.tool_call:
        part = piece.tool_call
        call = {"index": part.index, "function": {"arguments": part.arguments}}
        if part.id:
            call |= {"id": part.id, "type": "function"}
            call["function"]["name"] = part.name
        delta["tool_calls"] = [call]
    return delta


def _line(body: dict) -> str:
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n"


def _usage(usage) -> dict:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _logprob(token) -> dict:
    return {
        "token": token.token,
        "logprob": token.logprob,
        "bytes": token.bytes,
        "top_logprobs": [
            {"token": t.token, "logprob": t.logprob, "bytes": t.bytes} for t in token.top_logprobs
        ],
    }


ROUTES = [Route("/chat/completions", create, methods=["POST"])]
