"""Answers written together: at every step, one more token of each answer under way.

A step reads all of the model's weights, for one answer as for eight, and reading them is most of
its time. So a request that comes while others are being answered joins them and leaves when it is
done (continuous batching: Yu et al. 2022, "Orca",
https://www.usenix.org/conference/osdi22/presentation/yu). Answers that have read unequally many
tokens are padded on the left, where a mask hides the padding.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Protocol

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROWS = 16  # answers at once; who comes later waits
SMALL = 50e6  # parameters: below, threads wait longer for each other than they compute


class Choice(Protocol):
    """An answer that is being written: it samples its tokens and says what can be shown."""

    finished: bool

    def sample(self, logits: torch.Tensor) -> int:
        """The next token, from logits (vocabulary,)."""

    def read(self, token: int, limit: int) -> Iterator:
        """Take in the token; what can be shown now."""


class Batch:
    """One model, and the answers that it is writing. Thread-safe."""

    def __init__(self, model):
        self.model = model
        self._small = model.num_parameters() < SMALL
        self._lock = threading.Lock()
        self._waiting: deque[_Request] = deque()
        self._at_work = False

    def answer(self, prompt: list[int], choices: list[Choice], limit: int) -> Iterator:
        """What the choices have to show, as it comes; at most `limit` tokens each.

        Raises: what a choice raised while it sampled or read.
        """
        request = _Request(prompt, choices, limit)
        with self._lock:
            self._waiting.append(request)
            if not self._at_work:
                self._at_work = True
                threading.Thread(target=self._work, name="decoding", daemon=True).start()
        yield from request.pieces()

    def _work(self) -> None:
        """Write until nobody waits for anything."""
        if self._small:
            torch.set_num_threads(1)
        rows = _Rows(self.model)
        while True:
            with self._lock:
                welcome = self._welcome(rows)
                if not (welcome or rows.answers):
                    self._at_work = False
                    return
            for request in welcome:
                rows.add(request)
            rows.step()

    def _welcome(self, rows: _Rows) -> list[_Request]:
        """Those of the waiting for whom there is room; alone, anybody fits."""
        found, room = [], ROWS - len(rows.answers) if rows.can_grow else 0
        while self._waiting and (
            len(self._waiting[0].choices) <= room or not (found or rows.answers)
        ):
            found.append(self._waiting.popleft())
            room -= len(found[-1].choices)
        return found


class _Request:
    """A prompt with its choices, on the way from the thread that asked to the one that writes."""

    def __init__(self, prompt: list[int], choices: list[Choice], limit: int):
        self.prompt, self.choices, self.limit = prompt, choices, limit
        self.ended = False
        self._said: SimpleQueue = SimpleQueue()

    def pieces(self) -> Iterator:
        """For the thread that asked: what is said, until the end. Who leaves, ends it."""
        try:
            while (said := self._said.get()) is not None:
                if isinstance(said, Exception):
                    raise said
                yield said
        finally:
            self.ended = True

    def take(self, choice: Choice, logits: torch.Tensor) -> int:
        """For the thread that writes: let a choice sample and speak; returns its token."""
        token = choice.sample(logits)
        for piece in choice.read(token, self.limit):
            self._said.put(piece)
        if all(choice.finished for choice in self.choices):
            self.end()
        return token

    def end(self, error: Exception | None = None) -> None:
        """Nothing more will be said: all is, or something went wrong."""
        self.ended = True
        self._said.put(error)


class _Rows:
    """The answers under way, a row each, and what the model remembers of them."""

    def __init__(self, model):
        self.model = model
        self.answers: list[tuple[_Request, Choice]] = []
        self._cache = DynamicCache(config=model.config)
        self._padding: list[int] = []  # tokens on the left of each row that are none
        self._logits: list[torch.Tensor] = []
        # Rows of unequal lengths need a cache that is nothing but keys and values of each token.
        self.can_grow = all(type(layer) is DynamicLayer for layer in self._cache.layers)

    def add(self, request: _Request) -> None:
        """Read a prompt; its answers begin at the next step."""
        cache = DynamicCache(config=self.model.config)
        try:
            logits = _next_logits(self.model, [request.prompt], cache)
        except Exception as error:  # whoever asked must hear of it, and the others go on
            request.end(error)
            return
        count = len(request.choices)
        if count > 1:
            _keep(cache, [0] * count)
        self._padding += [0] * count
        self._logits += list(logits) * count
        self._join(cache)
        self.answers += [(request, choice) for choice in request.choices]

    def step(self) -> None:
        """One token more of each answer; what is finished, or no longer wanted, leaves."""
        tokens = []
        for (request, choice), logits in zip(self.answers, self._logits, strict=True):
            try:
                tokens.append(0 if request.ended else request.take(choice, logits))
            except Exception as error:
                tokens.append(0)
                request.end(error)
        alive = [
            row
            for row, (request, choice) in enumerate(self.answers)
            if not (request.ended or choice.finished)
        ]
        self._leave(alive)
        if not alive:
            return
        try:
            chosen = [[tokens[row]] for row in alive]
            self._logits = list(_next_logits(self.model, chosen, self._cache, self._padding))
        except Exception as error:
            for request in {id(request): request for request, _ in self.answers}.values():
                request.end(error)
            self._leave([])

    def _leave(self, alive: list[int]) -> None:
        """Keep these rows only, and no more padding than they need."""
        if len(alive) == len(self.answers):
            return
        self.answers = [self.answers[row] for row in alive]
        self._padding = [self._padding[row] for row in alive]
        if not alive:
            self._cache, self._logits = DynamicCache(config=self.model.config), []
            return
        _keep(self._cache, alive)
        spare = min(self._padding)
        if spare:
            self._padding = [padding - spare for padding in self._padding]
            for layer in self._cache.layers:
                layer.keys, layer.values = layer.keys[..., spare:, :], layer.values[..., spare:, :]

    def _join(self, cache: DynamicCache) -> None:
        """Put another cache's rows below ours, all as long as the longest."""
        if not self.answers:
            self._cache = cache
            return
        own, new = self._cache.get_seq_length(), cache.get_seq_length()
        longest = max(own, new)
        ours = len(self.answers)
        self._padding = [
            padding + longest - (own if row < ours else new)
            for row, padding in enumerate(self._padding)
        ]
        for mine, other in zip(self._cache.layers, cache.layers, strict=True):
            mine.keys = torch.cat([_padded(mine.keys, longest), _padded(other.keys, longest)])
            mine.values = torch.cat([_padded(mine.values, longest), _padded(other.values, longest)])


def _padded(states: torch.Tensor, length: int) -> torch.Tensor:
    """Keys or values (rows, heads, tokens, width) with nothing on the left, up to that length."""
    return torch.nn.functional.pad(states, (0, 0, length - states.shape[2], 0))


@torch.inference_mode()
def _keep(cache, rows: list[int]) -> None:
    """Make these rows the cache's batch; a row may come several times.

    The one way that caches of attention and of convolutions share.
    """
    cache.reorder_cache(torch.tensor(rows))


@torch.inference_mode()
def _next_logits(model, ids: list[list[int]], cache, padding: list[int] = ()) -> torch.Tensor:
    """Logits (batch, vocabulary) of the token after `ids`; `cache` takes them in."""
    where = {}
    if any(padding):
        read, pads = cache.get_seq_length(), torch.tensor(padding)[:, None]
        where["attention_mask"] = (torch.arange(read + 1) >= pads).long()
        where["position_ids"] = read - pads
    output = model(
        input_ids=torch.tensor(ids),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **where,
    )
    return output.logits[:, -1].float()
