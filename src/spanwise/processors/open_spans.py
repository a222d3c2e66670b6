"""The spans that this process started and has not ended.

A span that is open at a fork belongs to the process that started it: the child's copy is
recognised by what is remembered here, and dropped. What a child span needs of its parent
(identity, whether it is kept, whether it stands for the trace) is remembered here too, since a
span processor sees only ids.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice

from opentelemetry.trace import SpanContext

from spanwise import _state
from spanwise._identity import Scope
from spanwise._token_sums import Counted

_REMEMBERED_TRACES = 4096
_MOST_OPEN = 100_000
_MOST_ABOVE = 1_000


class OpenSpan:
    """What is known of an open span.

    Attributes:
        scope: the identity that it is part of.
        is_trace: it stands for its trace.
        observation_above: id of the nearest span above that is an observation; a span that stands
            for its trace is none.
        kept: False for a span of a trace that our sampling leaves out.
        pid: of the process that started it; a copy of another is not its to write.
        above: the parent, where it was open when the span started; see `below`.
        told: sums of the tokens that work below has told, by its kind and by the thread that adds
            to the sum: no two threads write the same one, and none needs a lock.
        counted: what the span told itself, once it has ended and unless it repeated others.
    """

    # Most spans have no more than that, and set nothing of it.
    scope: Scope | None = None
    is_trace = False
    observation_above: int | None = None
    kept = True
    above: OpenSpan | None = None
    counted: Counted | None = None
    depth = 0

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.told: dict[tuple[str, int], list[int]] = {}

    def below(self, above: OpenSpan) -> None:
        """Remember the parent.

        Not without end: where each span outlives the one that it was started by, as in a chain of
        tasks, the first would be held for as long as the chain goes on.
        """
        if above.depth < _MOST_ABOVE:
            self.above, self.depth = above, above.depth + 1

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
        self._open: dict[int, OpenSpan] = {}
        self._traces: OrderedDict[int, int | None] = OrderedDict()
        self._decisions: OrderedDict[int, bool] = OrderedDict()

    def get(self, span_id: int) -> OpenSpan | None:
        """Return an open span, one inherited over a fork included."""
        return self._open.get(span_id)

    def decision(self, trace_id: int) -> bool | None:
        """Return whether the trace is kept, if that was decided lately."""
        return self._decisions.get(trace_id)

    def decide(self, trace_id: int, keep: bool) -> None:
        """Remember whether the trace is kept."""
        self._decisions[trace_id] = keep
        if len(self._decisions) > _REMEMBERED_TRACES:
            self._decisions.popitem(last=False)

    def begin(
        self,
        span: SpanContext,
        parent: SpanContext | None,
        scope: Scope | None,
        *,
        is_trace: bool,
        kept: bool = True,
    ) -> OpenSpan:
        """Remember a span that starts, and return what is known of it.

        Args:
            span: its own context.
            parent: that of its parent; None for a root.
            scope: the identity that is known where it starts; else that of its parent.
            is_trace: it stands for its trace.
            kept: it is written when it ends.
        """
        opened = OpenSpan()
        if parent is not None:
            parent_id = parent[1]
            above = self._open.get(parent_id)
            if not (is_trace and parent.is_remote):  # that may be there for its trace id alone
                opened.observation_above = self._traces.get(parent_id, parent_id)
            if above is not None:
                opened.below(above)
                if scope is None:
                    scope = above.scope
        if scope is not None:
            opened.scope = scope
        if not kept:
            opened.kept = False
        span_id = span[1]
        self._open[span_id] = opened
        if len(self._open) > _MOST_OPEN:
            self._forget_oldest()
        if is_trace:
            opened.is_trace = True
            self._traces[span_id] = opened.observation_above
            if len(self._traces) > _REMEMBERED_TRACES:
                self._traces.popitem(last=False)
        return opened

    def end(self, span_id: int) -> OpenSpan | None:
        """Forget a span that ends; return what was known of it."""
        return self._open.pop(span_id, None)

    def _forget_oldest(self) -> None:
        """Make room where somebody starts spans and never ends them."""
        # Many at once: Python looks for the first entry where all that are gone have been.
        for span_id in list(islice(self._open, _MOST_OPEN // 100)):
            if self._open.pop(span_id, None) is not None:
                _state.count("forgotten.open_spans")
