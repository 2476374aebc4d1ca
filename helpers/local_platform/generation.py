"""(being written)"""
from dataclasses import dataclass, field
from pathlib import Path

from helpers.local_platform.modeling import BadMessages, EngineError, UnsupportedByModel

__all__ = ["BadMessages", "EngineError", "UnsupportedByModel"]


class PromptTooLong(EngineError):
    """The prompt leaves no room for an answer: `prompt_tokens` against `context` tokens."""

    def __init__(self, prompt_tokens: int, context: int):
        super().__init__(
            f"This model's maximum context length is {context} tokens. However, your messages "
            f"resulted in {prompt_tokens} tokens. Please reduce the length of the messages.",
            "messages",
            "context_length_exceeded",
        )
        self.prompt_tokens = prompt_tokens
        self.context = context


@dataclass(frozen=True)
class GenerationRequest:
    """What to generate; the fields are those of the chat completions API."""

    messages: list[dict]
    adapter: Path | None = None
    tools: list[dict] | None = None
    tool_choice: str | dict | None = None
    response_format: dict | None = None
    n: int = 1
    seed: int | None = None
    temperature: float = 1.0
    top_p: float = 1.0
    stop: str | list[str] | None = None
    max_tokens: int | None = None
    logprobs: bool = False
    top_logprobs: int = 0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    logit_bias: dict[str, float] = field(default_factory=dict)
    parallel_tool_calls: bool = True


@dataclass(frozen=True)
class TokenLogprob:
    """A token, its UTF-8 bytes, its natural-log probability, and the likeliest ones beside it."""

    token: str
    bytes: list[int]
    logprob: float
    top_logprobs: tuple["TokenLogprob", ...] = ()


@dataclass(frozen=True)
class ToolCallDelta:
    """A fragment of one tool call: `id` and `name` come with the first, `arguments` in pieces."""

    index: int
    arguments: str
    id: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Usage:
    """Tokens of the whole request, over all its choices."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Piece:
    """One fragment of one choice. The choice's last piece carries its `finish_reason` (stop, length,
    tool_calls); the stream's very last piece (index -1, nothing else in it) carries `usage`."""

    index: int
    text: str = ""
    tool_call: ToolCallDelta | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None


class Generator:
    """`Generator(base_model="workbook-mini", max_models=3)`"""
