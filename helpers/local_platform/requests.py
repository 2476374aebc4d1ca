"""What a request may say: every parameter that the platform honours, with its range.

A parameter that is not here gets a 400 that names it. Nothing is silently ignored.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from helpers.local_platform.errors import ApiError

BODY_LIMIT = 32 * 2**20  # bytes of a JSON body


class Body(BaseModel):
    """A JSON body; strict types, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


Metadata = Annotated[dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]], Field(max_length=16)]  # fmt: skip  # noqa: E501
Auto = Literal["auto"]


class Hyperparameters(Body):
    """OpenAI's ranges; "auto" leaves the choice to the platform."""

    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] = "auto"
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] = "auto"
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0, strict=False)] = "auto"


class Supervised(Body):
    """Settings of supervised fine-tuning."""

    hyperparameters: Hyperparameters = Hyperparameters()


class Method(Body):
    """How to train. Only supervised training is offered here."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Supervised | None = None
    dpo: dict | None = None
    reinforcement: dict | None = None


class JobBody(Body):
    """POST /fine_tuning/jobs."""

    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters | None = None
    method: Method | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=2147483647)] | None = None
    metadata: Metadata | None = None
    integrations: list[Any] | None = None


class StreamOptions(Body):
    """What a stream carries beside the text."""

    include_usage: bool = False


Number = Annotated[float, Field(strict=False)]


class ChatBody(Body):
    """POST /chat/completions."""

    model: str
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    seed: int | None = None
    temperature: Annotated[Number, Field(ge=0, le=2)] | None = None
    top_p: Annotated[Number, Field(ge=0, le=1)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    frequency_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    presence_penalty: Annotated[Number, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[Number, Field(ge=-100, le=100)]] | None = None
    # These say something about the caller, not about the answer: there is nothing to honour.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: Metadata | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None


class EmbeddingBody(Body):
    """POST /embeddings."""

    model: str
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


async def read_json(request: Request) -> dict:
    """The request's JSON object. Raises: ApiError where the body is none, or too long."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_LIMIT:
            raise ApiError(f"The request body is longer than {BODY_LIMIT // 2**20} MB.", status=413)
        chunks.append(chunk)
    try:
        body = json.loads(b"".join(chunks))
    except (ValueError, RecursionError) as error:
        raise ApiError(
            f"We could not parse the JSON body of your request: {error}. Send a JSON object."
        ) from error
    if not isinstance(body, dict):
        raise ApiError("The JSON body of your request is not an object.")
    return body


async def read(request: Request, kind: type[Body]):
    """The request's body, checked. Raises: ApiError that names the parameter and its fault."""
    body = await read_json(request)
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False)) from error
    except RecursionError as error:
        raise ApiError("The JSON body of your request is nested too deeply.") from error


def _refusal(faults: list[dict]) -> ApiError:
    # Of several faults in one place (the arms of a union) the one that fits best comes last.
    fault = next((f for f in faults if f["type"] in ("missing", "extra_forbidden")), faults[-1])
    path = [str(part) for part in fault["loc"] if not str(part).startswith(("literal[", "list["))]
    arms = {"str", "int", "float", "bool", "constrained-int", "constrained-float"}
    param = ".".join(part for part in path if part not in arms) or None
    if fault["type"] == "missing":
        return ApiError(
            f"Missing required parameter: '{param}'.", param, "missing_required_parameter"
        )
    if fault["type"] == "extra_forbidden":
        return ApiError(
            f"Unknown or unsupported parameter: '{param}'. This platform cannot honour it: "
            "leave it out.",
            param,
            "unknown_parameter",
        )
    return ApiError(f"Invalid value for '{param}': {fault['msg']}.", param, "invalid_value")


def whole_number(request: Request, name: str, default: int, most: int) -> int:
    """A query parameter such as `limit`, from 1 to `most`. Raises: ApiError."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:12]) <= most):
        raise ApiError(f"'{name}' is a whole number from 1 to {most}.", name, "invalid_value")
    return int(text)
