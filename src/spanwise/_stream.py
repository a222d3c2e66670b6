"""Keep of a stream what its observation shows: the joined text or the chunks, within bounds.

Text chunks are joined; head and tail are kept. Other chunks are encoded as they pass, since
they may be changed or reused later.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson

from spanwise import _guard, semconv
from spanwise._encoding import Encoder
from spanwise._hooks import FAILED, NO_HOOKS, Hooks, run
from spanwise._limits import Limits
from spanwise._usage import usage_of
from spanwise._value_kinds import MARGIN, TRUNCATED, Excerpt

_MOST_TOLD = 100  # a span holds 128 events, and an exception is one of them
_MOST_HELD = 10_000  # of the program's objects, for its own hook
_CHUNK_LIMITS = Limits(bytes=8192, string=4096, items=50, nodes=200)


class Stream:
    """The chunks of one streamed result.

    Args:
        encoder: makes the text of chunks that are no strings.
        hooks: functions of the program's that choose what is kept.
        keeps: False counts the chunks and keeps nothing of them.
        sums_usage: look for token counts in the chunks.

    Attributes:
        usage: `gen_ai.usage.*` counts of the last chunk that had any.
        errors: which hooks failed, one line for each.
        tell: told of each of the first chunks, as a span is of an event: when it came and how
            long it is. What is in it could be a part of a secret.
    """

    __slots__ = (
        "_chunk_encoder",
        "_count",
        "_first_ns",
        "_gap",
        "_head",
        "_head_room",
        "_held",
        "_hooks",
        "_is_simple",
        "_items",
        "_items_size",
        "_keeps",
        "_length",
        "_only_text",
        "_sums_usage",
        "_tail",
        "_tail_size",
        "errors",
        "tell",
        "usage",
    )

    def __init__(
        self, encoder: Encoder, hooks: Hooks = NO_HOOKS, *, keeps: bool, sums_usage: bool
    ) -> None:
        self._chunk_encoder = Encoder(encoder.masker, _CHUNK_LIMITS, keeper=encoder.keeper)
        self._hooks = hooks
        # The program's own objects, and only where a hook of its own wants them together.
        self._held: list[Any] | None = [] if hooks.holds_chunks and keeps else None
        self._keeps = keeps
        self._sums_usage = sums_usage
        self._count = 0
        self._first_ns: int | None = None
        self._only_text = True
        self._length = 0
        self._head: list[str] = []
        self._head_room = encoder.limits.string + MARGIN
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._items: deque[str] = deque()
        self._items_size = 0
        self._gap: int | None = None  # how many items come before those that were dropped
        self.usage: dict[str, int] = {}
        self.errors: list[str] = []
        self.tell: Callable[[str, dict[str, Any]], None] | None = None
        # Of a text there is no more to do than to keep it.
        self._is_simple = keeps and self._held is None and hooks.process_chunk is None

    def add(self, chunk: Any) -> None:
        """Take note of one chunk; a fault is swallowed and counted."""
        if self._first_ns is None:
            self._first_ns = time.perf_counter_ns()
        self._count += 1
        if self._is_simple and type(chunk) is str and self.tell is None and not self._tail:
            room = self._head_room - len(chunk)
            if room >= 0:
                self._head.append(chunk)
                self._head_room = room
                self._length += len(chunk)
                return
        try:
            if self.tell is not None and self._count <= _MOST_TOLD:
                said: dict[str, Any] = {semconv.OBSERVATION_STREAM_INDEX: self._count - 1}
                if type(chunk) is str:
                    said[semconv.OBSERVATION_STREAM_SIZE] = len(chunk)
                self.tell("chunk", said)
            if self._sums_usage and type(chunk) is not str:
                self._add_usage(usage_of(chunk))
            if self._hooks.process_chunk is not None and self._keeps:
                errors = [] if self.errors else self.errors  # the first is enough
                chunk = run("process_chunk", self._hooks.process_chunk, chunk, errors)
                if chunk is FAILED:
                    return
            if self._held is not None:
                if len(self._held) < _MOST_HELD:
                    self._held.append(chunk)
            elif type(chunk) is str:
                self._add_text(chunk)
            else:
                self._only_text = False
                if self._keeps:
                    self._add_item(self._chunk_encoder.dumps(chunk))
        except Exception as error:  # noqa: BLE001 - the guard, inline: this runs at every step
            _guard.swallow("stream.add", error)

    def attributes(self, started_ns: int) -> dict[str, Any]:
        """Return the number of chunks and the seconds to the first."""
        attributes: dict[str, Any] = {semconv.OBSERVATION_STREAM_CHUNKS: self._count}
        if self._first_ns is not None:
            seconds = (self._first_ns - started_ns) / 1e9
            attributes[semconv.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK] = seconds
        return attributes

    def output(self) -> Any:
        """Return the stream as one value: what `reduce` made, joined text, or a list of chunks.

        FAILED where a hook did.
        """
        if self._held is not None:
            return self._reduced(self._held)
        head, tail = "".join(self._head), "".join(self._tail)
        if self._only_text and self._count:
            if len(head) + len(tail) == self._length:
                return head + tail
            return Excerpt(head, tail, self._length)
        items: list[Any] = [orjson.loads(item) for item in self._items]
        if head:
            # Text among other chunks: what came as text is shown joined, in front.
            items.insert(0, Excerpt(head, tail, self._length) if tail else head)
        omitted = self._count - len(self._items)
        if omitted > 0 and not head:
            place = self._gap if self._gap is not None else len(items)
            items.insert(place, {TRUNCATED: omitted, "length": self._count})
        return items

    def _reduced(self, chunks: list[Any]) -> Any:
        omitted = self._count - len(chunks)
        if omitted > 0 and not self.errors:
            self.errors.append(f"reduce: only the first {len(chunks)} of {self._count} chunks")
        if self._hooks.reduce is not None:
            return run("reduce", self._hooks.reduce, chunks, self.errors)
        if chunks and all(type(chunk) is str for chunk in chunks):
            return "".join(chunks)
        return chunks

    def _add_text(self, chunk: str) -> None:
        self._length += len(chunk)
        if not self._keeps:
            return
        if self._head_room >= len(chunk) and not self._tail:
            self._head.append(chunk)
            self._head_room -= len(chunk)
            return
        # A chunk larger than all that is kept is cut before it is held.
        most = self._chunk_encoder.limits.string + 2 * MARGIN
        if self._head_room > 0 and not self._tail:
            self._head.append(chunk[: self._head_room])
            chunk = chunk[self._head_room :]
            self._head_room = 0
        self._tail.append(chunk[-2 * most :])
        self._tail_size += len(self._tail[-1])
        while self._tail_size - len(self._tail[0]) > 2 * most:
            self._tail_size -= len(self._tail.popleft())

    def _add_item(self, text: str) -> None:
        self._items.append(text)
        self._items_size += len(text)
        # The first chunks and the last are kept: they carry ids, and the reason to stop.
        while self._items_size > 65_536 and len(self._items) > 2:
            middle = len(self._items) // 2
            self._items_size -= len(self._items[middle])
            del self._items[middle]
            self._gap = middle

    def _add_usage(self, usage: dict[str, int]) -> None:
        # Providers repeat the running total; an earlier part (Anthropic's input) is kept.
        if usage:
            self.usage = {**self.usage, **usage}
