"""The spans of a pipeline that tells only of those that have ended, and their place below others."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from spanwise.processors.open_spans import OpenSpan
from spanwise.processors.token_counts import hand_on

_REMEMBERED: Final = 16_384


class EndedSpans:
    """What work below told of tokens, kept for spans that are still to come.

    Spans end from the inside out, so what is known of a parent before it comes is what its
    children told; and who is above it is known only when it has come.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, OpenSpan] = OrderedDict()

    def place(self, span: ReadableSpan) -> OpenSpan | None:
        """Return what is known of a span that has come, linked to the one above it."""
        if span.context is None:
            return None
        known = self._of(span.context.span_id)
        parent = span.parent
        if parent is None or known.above is not None or parent.span_id == span.context.span_id:
            return known
        known.below(self._of(parent.span_id))
        hand_on(known)
        return known

    def _of(self, span_id: int) -> OpenSpan:
        known = self._known.setdefault(span_id, OpenSpan())
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known
