"""The spans that this process started and has not ended.

A span that is open at a fork belongs to the process that started it: the child's copy is
recognised here and dropped. What a child span needs of its parent (identity, whether it is kept,
whether it stands for the trace) is remembered here too, since a span processor sees only ids.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from opentelemetry.trace import SpanContext

from spanwise import _state
from spanwise._identity import Scope
from spanwise._token_sums import Counted

_REMEMBERED_TRACES = 4096
_MOST_OPEN = 100_000
_MOST_ABOVE = 1_000


@dataclass
class OpenSpan:
    """What is known of an open span.

    Attributes:
        scope: the identity that it is part of.
        is_trace: it stands for its trace.
        observation_above: id of the nearest span above that is an observation; a span that stands
            for its trace is none.
        kept: False for a span of a trace that our sampling leaves out.
        above: the parent, where it was open when the span started; see `below`.
        told: sums of the tokens that work below has told, by its kind and by the thread that adds
            to the sum: no two threads write the same one, and none needs a lock.
        counted: what the span told itself, once it has ended and unless it repeated others.
    """

    scope: Scope | None
    is_trace: bool
    observation_above: int | None
    kept: bool
    above: OpenSpan | None = None
    told: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    counted: Counted | None = None
    depth: int = 0

    def below(self, above: OpenSpan | None) -> OpenSpan:
        """Remember the parent, and return this span.

        Not without end: where each span outlives the one that it was started by, as in a chain of
        tasks, the first would be held for as long as the chain goes on.
        """
        if above is not None and above.depth < _MOST_ABOVE:
            self.above, self.depth = above, above.depth + 1
        return self

    def all_above(self) -> Iterator[OpenSpan]:
        """Yield the parent, its parent, and so on."""
        above = self.above
        for _ in range(_MOST_ABOVE):
            if above is None:
                return
            yield above
            above = above.above


class OpenSpans:
    """Open spans by id; safe with threads, since every step on the dictionaries is atomic."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._open: dict[int, OpenSpan] = {}
        self._inherited: dict[int, OpenSpan] = {}
        self._traces: OrderedDict[int, int | None] = OrderedDict()
        self._decisions: OrderedDict[int, bool] = OrderedDict()

    def get(self, span_id: int) -> OpenSpan | None:
        """Return an open span, one inherited over a fork included."""
        return self._open.get(span_id) or self._inherited.get(span_id)

    def observation_above(self, parent: SpanContext) -> int | None:
        """Return the id of the nearest observation above a span with this parent, or None.

        A parent, open or ended lately, that stands for its trace is passed over.
        """
        if not parent.is_valid:
            return None
        return self._traces.get(parent.span_id, parent.span_id)

    def decision(self, trace_id: int) -> bool | None:
        """Return whether the trace is kept, if that was decided lately."""
        return self._decisions.get(trace_id)

    def decide(self, trace_id: int, keep: bool) -> None:
        """Remember whether the trace is kept."""
        self._decisions[trace_id] = keep
        if len(self._decisions) > _REMEMBERED_TRACES:
            self._decisions.popitem(last=False)

    def add(self, span_id: int, span: OpenSpan) -> None:
        """Remember a span that starts."""
        self._look_for_fork()
        self._open[span_id] = span
        if len(self._open) > _MOST_OPEN:
            # Somebody starts spans and never ends them: the oldest is forgotten.
            self._open.pop(next(iter(self._open)), None)
            _state.count("forgotten.open_spans")
        if span.is_trace:
            self._traces[span_id] = span.observation_above
            if len(self._traces) > _REMEMBERED_TRACES:
                self._traces.popitem(last=False)

    def end(self, span_id: int) -> tuple[OpenSpan | None, bool]:
        """Forget a span that ends; return it, and whether it is ours to write."""
        self._look_for_fork()
        span = self._open.pop(span_id, None)
        if span is not None:
            return span, True
        return self._inherited.get(span_id), span_id not in self._inherited

    def _look_for_fork(self) -> None:
        pid = os.getpid()
        if pid != self._pid:
            self._pid = pid
            self._inherited = {**self._inherited, **self._open}
            self._open = {}
