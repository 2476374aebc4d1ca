"""Generating answers: prompt, one token at a time, text as it comes.

A request becomes a prompt of token ids and `n` choices. `batching` runs the model: the prompt goes
through it once, then every step gives each choice the logits of its next token. The choice samples
one and says what text has become certain.
"""

import codecs
import copy
import json
import os
import re
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import PeftModel

from helpers.local_platform import constraints
from helpers.local_platform.batching import Batch
from helpers.local_platform.modeling import (
    BASE_MODEL_ID,
    BadMessages,
    EngineError,
    UnsupportedByModel,
    context_length,
    encode_prompt,
    load_base,
    stop_token_ids,
)

__all__ = [
    "BadMessages",
    "EngineError",
    "GenerationRequest",
    "Generator",
    "Piece",
    "PromptTooLong",
    "TokenLogprob",
    "ToolCallDelta",
    "UnsupportedByModel",
    "Usage",
]

LIKELY = 64  # so many tokens mostly hold the share that `top_p` asks for


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
    """Tokens of the whole request, over all its choices; the end tokens are not counted."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Piece:
    """One fragment of one choice.

    A choice's last piece carries its `finish_reason` (stop, length, tool_calls); the stream's very
    last piece (index -1, nothing else in it) carries `usage`.
    """

    index: int
    text: str = ""
    tool_call: ToolCallDelta | None = None
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None


class Generator:
    """Answers requests with the base model or with a fine-tuned adapter on it. Thread-safe.

    Args:
        base_model: as for `modeling.load_base`; loaded at the first request.
        max_models: how many models with a merged adapter are kept in memory.
    """

    def __init__(self, base_model: str = BASE_MODEL_ID, max_models: int = 3):
        self.base_model = base_model
        self.max_models = max_models
        self._lock = threading.RLock()
        self._base = None
        self._merged: OrderedDict[tuple, Batch] = OrderedDict()

    def load(self) -> None:
        """Load the base model now rather than at the first request."""
        with self._lock:
            if self._base is None:
                self._base, self._tokenizer = load_base(self.base_model)
                self._base.requires_grad_(False)
                untie(self._base)
                lay_out(self._base)
                self._untuned = Batch(self._base)
                self._end_ids = stop_token_ids(self._base, self._tokenizer)
                width = self._base.get_output_embeddings().weight.shape[0]
                self._grammar_tokenizer = constraints.grammar_tokenizer(
                    self._tokenizer, width, self._end_ids
                )

    @property
    def context(self) -> int:
        """Tokens, prompt and answer together, that the model can attend to."""
        self.load()
        return context_length(self._base)

    def forget(self, adapter: Path) -> None:
        """Drop a merged adapter from memory, because its files are gone."""
        with self._lock:
            for key in [k for k in self._merged if k[0] == str(adapter)]:
                del self._merged[key]

    def stream(self, request: GenerationRequest) -> Iterator[Piece]:
        """Generate; the pieces come as soon as their text is certain.

        What is wrong with a request is raised here, before the first piece is asked for.

        Raises:
            PromptTooLong: no room for an answer in the context.
            UnsupportedByModel: a schema, tool or message the model or llguidance cannot handle.
            EngineError: a field out of range.
            FileNotFoundError: the base model or the adapter is missing.
        """
        self.load()
        plan = constraints.plan_tools(request.tools, request.tool_choice)
        schema = constraints.response_schema(request.response_format)
        grammar = constraints.build_grammar(
            plan, schema, request.parallel_tool_calls, self._grammar_tokenizer
        )
        param = "tools" if schema is None else "response_format"
        matcher = constraints.compile_matcher(self._grammar_tokenizer, grammar, param)
        tools = request.tools if plan else None
        with self._lock:  # the tokenizers library forbids changing its settings while in use
            prompt = encode_prompt(self._tokenizer, request.messages, tools)
        context = context_length(self._base)
        if len(prompt) >= context:
            raise PromptTooLong(len(prompt), context)
        room = context - len(prompt)
        limit = room if request.max_tokens is None else min(room, request.max_tokens)
        bias = self._bias(request.logit_bias)
        batch = self._batch(request.adapter)
        seed = int.from_bytes(os.urandom(6), "little") if request.seed is None else request.seed
        choices = [
            _Choice(
                index=i,
                request=request,
                tokenizer=self._tokenizer,
                grammar_tokenizer=self._grammar_tokenizer,
                end_ids=self._end_ids,
                seed=seed + i,
                matcher=matcher.deep_copy(),
                plan=plan,
                bias=bias,
            )
            for i in range(request.n)
        ]
        return _answer(batch, prompt, choices, limit)

    def _bias(self, logit_bias: dict[str, float] | None) -> torch.Tensor | None:
        if not logit_bias:
            return None
        bias = torch.zeros(self._base.get_output_embeddings().weight.shape[0])
        for token, value in logit_bias.items():
            if not str(token).isdigit() or int(token) >= len(bias):
                raise EngineError(f"{token!r} is not a token id of this model.", "logit_bias")
            bias[int(token)] = value
        return bias

    def _batch(self, adapter: Path | None) -> Batch:
        if adapter is None:
            return self._untuned
        weights = Path(adapter) / "adapter_model.safetensors"
        if not weights.is_file():
            raise FileNotFoundError(f"There is no adapter in {adapter}.")
        key = (str(adapter), weights.stat().st_mtime_ns)
        with self._lock:
            if key not in self._merged:
                # Merging adds to the weights in place, so they stay laid out as the base's are.
                self._merged[key] = Batch(merge_adapter(copy.deepcopy(self._base), adapter))
            self._merged.move_to_end(key)
            while len(self._merged) > self.max_models:
                self._merged.popitem(last=False)
            return self._merged[key]


def merge_adapter(model, adapter: Path):
    """Add an adapter's weight changes to the model's own weights; changes and returns `model`.

    An output layer that shares its weights with the embedding is parted from it first: an adapter
    changes what the model says, not how it reads.
    """
    untie(model)
    return PeftModel.from_pretrained(model, str(adapter)).merge_and_unload().eval()


def untie(model) -> None:
    """Give the output layer a copy of its own of the weights it shares with the embedding."""
    head = model.get_output_embeddings()
    if head.weight is model.get_input_embeddings().weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def lay_out(model) -> None:
    """Put each linear layer's weights column by column in memory.

    Their product with a single token's vector, all that a decode step does, is then up to four
    times as fast: the large output layer is read in order and by all cores.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.data = module.weight.data.t().contiguous().t()


def _answer(batch: Batch, prompt: list[int], choices: list["_Choice"], limit: int):
    """What the choices say, and in the end how many tokens it took."""
    yield from batch.answer(prompt, choices, limit)
    yield Piece(index=-1, usage=Usage(len(prompt), sum(choice.count for choice in choices)))


class _Choice:
    """One of the `n` answers while it is being written: how it samples, and what it has to say."""

    def __init__(
        self,
        index: int,
        request: GenerationRequest,
        tokenizer,
        grammar_tokenizer,
        end_ids: frozenset[int],
        seed: int,
        matcher,
        plan: constraints.ToolPlan | None,
        bias: torch.Tensor | None,
    ):
        self.index = index
        self.request = request
        self.tokenizer = tokenizer
        self.grammar_tokenizer = grammar_tokenizer
        self.end_ids = end_ids
        self.random = torch.Generator().manual_seed(seed % 2**63)
        self.matcher = matcher
        self.bias = bias
        self.counts: dict[int, int] = {}  # how often each token was sampled, for the penalties
        self.count = 0
        self.finished = False
        self.utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        stops = [request.stop] if isinstance(request.stop, str) else list(request.stop or [])
        self.stops = StopFilter([stop for stop in stops if stop])
        self.calls = ToolCallReader(plan.must_call) if plan else None
        self.logprob: TokenLogprob | None = None
        self.pending: list[tuple[int, TokenLogprob]] = []  # (where its text begins, logprob)
        self.written = self.shown = 0  # characters decoded, characters handed out

    def sample(self, logits: torch.Tensor) -> int:
        """Choose the next token from logits (vocabulary,)."""
        request = self.request
        raw = logits
        if self.bias is not None:
            logits = logits + self.bias
        if self.counts and (request.frequency_penalty or request.presence_penalty):
            # logit - count * frequency_penalty - [count > 0] * presence_penalty, as OpenAI states.
            logits = logits.clone()
            for token, count in self.counts.items():
                logits[token] -= count * request.frequency_penalty + request.presence_penalty
        allowed = constraints.allowed_tokens(self.matcher)[: len(logits)]
        if not allowed.any():
            raise UnsupportedByModel(f"No token fits the schema: {self.matcher.get_error()}")
        logits = logits.masked_fill(~allowed, float("-inf"))
        if request.temperature == 0:
            token = int(logits.argmax())
        else:
            token = _sample(logits / request.temperature, request.top_p, self.random)
        if request.logprobs:
            self.logprob = self._describe(raw, token)
        return token

    def read(self, token: int, limit: int) -> Iterator[Piece]:
        """Take in the token just sampled; yield what can be shown now."""
        self.matcher.consume_token(token)
        if token in self.end_ids:
            yield from self._finish("stop")
            return
        self.count += 1
        self.counts[token] = self.counts.get(token, 0) + 1
        begins = self.written
        text = self.utf8.decode(self._bytes(token))
        self.written += len(text)
        if self.logprob is not None:
            self.pending.append((begins, self.logprob))
        if self.calls is None:
            shown, stopped = self.stops.feed(text)
            yield from self._show(shown)
            if stopped:
                self.finished = True
                yield Piece(self.index, finish_reason="stop")
                return
        else:
            for part in self.calls.feed(text):
                if isinstance(part, ToolCallDelta):
                    yield Piece(self.index, tool_call=part)
                    continue
                shown, stopped = self.stops.feed(part)
                yield from self._show(shown)
                if stopped:
                    self.finished = True
                    yield Piece(self.index, finish_reason="stop")
                    return
        if self.count >= limit:
            yield from self._finish("length")

    def _finish(self, reason: str) -> Iterator[Piece]:
        # Bytes of a character that never became whole are dropped, not shown as half an emoji.
        self.finished = True
        if self.calls is not None:
            shown, _ = self.stops.feed(self.calls.rest())
            yield from self._show(shown)
            if self.calls.count and reason == "stop":
                reason = "tool_calls"
        yield from self._show(self.stops.rest())
        unshown = tuple(logprob for _, logprob in self.pending)
        yield Piece(self.index, logprobs=unshown, finish_reason=reason)

    def _show(self, text: str) -> Iterator[Piece]:
        if not text:
            return
        self.shown += len(text)
        ready = tuple(logprob for begins, logprob in self.pending if begins < self.shown)
        self.pending = [(begins, p) for begins, p in self.pending if begins >= self.shown]
        yield Piece(self.index, text=text, logprobs=ready)

    def _bytes(self, token: int) -> bytes:
        """What a token stands for; special tokens other than the tags of a call say nothing."""
        spelled = self.grammar_tokenizer.decode_bytes([token])
        tags = (constraints.CALL_OPENS.encode(), constraints.CALL_CLOSES.encode())
        if self.grammar_tokenizer.is_special_token(token) and spelled not in tags:
            return b""
        if self.count == 1 and spelled.startswith(b" "):
            # Some tokenizers mark word beginnings with a space that is no part of the text.
            first = self.tokenizer.decode([token])
            return spelled if first.startswith(" ") else spelled[1:]
        return spelled

    def _describe(self, logits: torch.Tensor, token: int) -> TokenLogprob:
        """The token's log probability under the model itself: before bias, mask, temperature."""
        logprobs = logits.log_softmax(dim=-1)
        best = logprobs.topk(self.request.top_logprobs) if self.request.top_logprobs else None
        beside = () if best is None else zip(best.values, best.indices, strict=True)
        return self._entry(token, logprobs[token], tuple(self._entry(int(t), p) for p, t in beside))

    def _entry(self, token: int, logprob: torch.Tensor, beside: tuple = ()) -> TokenLogprob:
        spelled = self.grammar_tokenizer.decode_bytes([token])
        text = spelled.decode("utf-8", errors="replace")
        return TokenLogprob(text, list(spelled), max(float(logprob), -9999.0), beside)


def _sample(logits: torch.Tensor, top_p: float, random: torch.Generator) -> int:
    """Sample from softmax(logits), kept to the smallest set of tokens that holds `top_p` of it."""
    probabilities = logits.softmax(dim=-1)
    for count in (min(LIKELY, len(logits)), len(logits)):  # few are mostly enough, and fast to sort
        best, tokens = probabilities.topk(count)
        if best.sum() >= top_p:
            break
    outside = best.cumsum(dim=-1) - best >= top_p
    outside[0] = False
    best[outside] = 0.0
    return int(tokens[torch.multinomial(best, 1, generator=random)])


def _begun(text: str, marks: list[str]) -> int:
    """Length of the longest end of `text` that could be the beginning of one of `marks`."""
    longest = max((len(mark) for mark in marks), default=1) - 1
    for length in range(min(longest, len(text)), 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0


class StopFilter:
    """Cuts a text, coming in pieces, at the first stop sequence; holds back what may be one."""

    def __init__(self, stops: list[str]):
        self.stops = stops
        self.held = ""

    def feed(self, text: str) -> tuple[str, bool]:
        """Take in a piece; returns (text that is certain to stay, whether a stop was reached)."""
        self.held += text
        found = [at for at in (self.held.find(stop) for stop in self.stops) if at >= 0]
        if found:
            certain, self.held = self.held[: min(found)], ""
            return certain, True
        keep = len(self.held) - _begun(self.held, self.stops)
        certain, self.held = self.held[:keep], self.held[keep:]
        return certain, False

    def rest(self) -> str:
        """What was held back, now that nothing follows."""
        held, self.held = self.held, ""
        return held


class ToolCallReader:
    """Tells text from tool calls in what the model writes, piece by piece.

    The grammar fixes how a call is written, `<tool_call>{"name": "f", "arguments": {...}}` and the
    closing tag, so the arguments can be passed on while they come: they end where their outermost
    brace closes.
    """

    _HEAD = re.compile(r'\{"name": ("(?:[^"\\]|\\.)*"), "arguments": ')

    def __init__(self, must_call: bool = False):
        self.must_call = must_call
        self.count = 0
        self.state = "text"
        self.held = ""

    def feed(self, text: str) -> list[str | ToolCallDelta]:
        """Take in a piece; returns texts and fragments of calls, in order."""
        self.held += text
        parts = []
        while (part := self._next()) is not None:
            if part:
                parts.append(part)
        return parts

    def rest(self) -> str:
        """Text held back in case a tag began, now that nothing follows.

        After a call, and where one is required, it can only have been a tag that was cut off.
        """
        text = self.state == "text" and not (self.count or self.must_call)
        held, self.held = self.held if text else "", ""
        return held

    def _next(self) -> str | ToolCallDelta | None:
        """One step of the state machine; None where more text is needed, "" for nothing to show."""
        if self.state == "text":
            text, tag, after = self.held.partition(constraints.CALL_OPENS)
            if tag:
                self.state, self.held = "head", after
                return text
            keep = len(text) - _begun(text, [constraints.CALL_OPENS])
            text, self.held = self.held[:keep], self.held[keep:]
            return text or None
        if self.state == "head":
            head = self._HEAD.match(self.held)
            if head is None:
                return None
            self.state, self.held = "arguments", self.held[head.end() :]
            self.depth, self.quoted, self.escaped = 0, False, False
            self.count += 1
            call_id = "call_" + uuid.uuid4().hex[:24]
            return ToolCallDelta(self.count - 1, "", call_id, json.loads(head[1]))
        if self.state == "arguments":
            if not self.held:
                return None
            end = self._end_of_arguments(self.held)
            fragment, self.held = self.held[:end], self.held[end:]
            if self.depth == 0:
                self.state = "tail"
            return ToolCallDelta(self.count - 1, fragment)
        _, tag, after = self.held.partition(constraints.CALL_CLOSES)
        if not tag:
            return None
        self.state, self.held = "text", after
        return ""

    def _end_of_arguments(self, text: str) -> int:
        for at, character in enumerate(text):
            if self.escaped:
                self.escaped = False
            elif self.quoted:
                self.escaped = character == "\\"
                self.quoted = character != '"'
            elif character == '"':
                self.quoted = True
            elif character in "{[":
                self.depth += 1
            elif character in "}]":
                self.depth -= 1
                if self.depth == 0:
                    return at + 1
        return len(text)
