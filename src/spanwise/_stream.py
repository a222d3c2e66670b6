"""Keep of a stream what its observation shows: the joined text or the chunks, within bounds.

Text chunks are joined; head and tail are kept. Other chunks are encoded as they pass, since
they may be changed or reused later.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import orjson

from spanwise import _guard, semconv
from spanwise._encoding import Encoder, Limits
from spanwise._usage import usage_of
from spanwise._value_kinds import TRUNCATED, Excerpt

_MARGIN = 4096  # as in the encoder: what is needed to see a secret across the cut
_CHUNK_LIMITS = Limits(bytes=8192, string=4096, items=50, nodes=200)


class Stream:
    """The chunks of one streamed result.

    Args:
        encoder: makes the text of chunks that are no strings.
        keeps: False counts the chunks and keeps nothing of them.
        sums_usage: look for token counts in the chunks.

    Attributes:
        usage: `gen_ai.usage.*` counts of the last chunk that had any.
    """

    __slots__ = (
        "_chunk_encoder",
        "_count",
        "_first_ns",
        "_head",
        "_head_room",
        "_items",
        "_items_size",
        "_keeps",
        "_length",
        "_only_text",
        "_sums_usage",
        "_tail",
        "_tail_size",
        "usage",
    )

    def __init__(self, encoder: Encoder, *, keeps: bool, sums_usage: bool) -> None:
        self._chunk_encoder = Encoder(encoder.masker, _CHUNK_LIMITS)
        self._keeps = keeps
        self._sums_usage = sums_usage
        self._count = 0
        self._first_ns: int | None = None
        self._only_text = True
        self._length = 0
        self._head: list[str] = []
        self._head_room = encoder.limits.string + _MARGIN
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._items: deque[str] = deque()
        self._items_size = 0
        self.usage: dict[str, int] = {}

    def add(self, chunk: Any) -> None:
        """Take note of one chunk; a fault is swallowed and counted."""
        if self._first_ns is None:
            self._first_ns = time.perf_counter_ns()
        self._count += 1
        try:
            if type(chunk) is str:
                self._add_text(chunk)
                return
            self._only_text = False
            if self._sums_usage:
                self._add_usage(usage_of(chunk))
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

    def text(self, encoder: Encoder) -> str:
        """Return the stream as one JSON text: a string of joined text, or a list of chunks."""
        head, tail = "".join(self._head), "".join(self._tail)
        if self._only_text and self._count:
            if len(head) + len(tail) == self._length:
                return encoder.dumps(head + tail)
            return encoder.dumps(Excerpt(head, tail, self._length))
        items: list[Any] = [orjson.loads(item) for item in self._items]
        if head:
            # Text among other chunks: what came as text is shown joined, in front.
            items.insert(0, Excerpt(head, tail, self._length) if tail else head)
        omitted = self._count - len(self._items)
        if omitted > 0 and not head:
            items.insert(len(items) // 2, {TRUNCATED: omitted, "length": self._count})
        return encoder.dumps(items)

    def _add_text(self, chunk: str) -> None:
        self._length += len(chunk)
        if not self._keeps:
            return
        if self._head_room >= len(chunk) and not self._tail:
            self._head.append(chunk)
            self._head_room -= len(chunk)
            return
        # A chunk larger than all that is kept is cut before it is held.
        most = self._chunk_encoder.limits.string + 2 * _MARGIN
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

    def _add_usage(self, usage: dict[str, int]) -> None:
        # Providers repeat the running total; an earlier part (Anthropic's input) is kept.
        if usage:
            self.usage = {**self.usage, **usage}
