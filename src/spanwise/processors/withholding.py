"""Keep spans of some instrumentation scopes from a processor that somebody else added."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor


class WithholdingSpanProcessor(SpanProcessor):
    """Hand on what does not come from certain scopes.

    Args:
        inner: gets the rest.
        scopes: names of instrumentation scopes; each stands for those below it, too.
    """

    def __init__(self, inner: SpanProcessor, scopes: Iterable[str]) -> None:
        self._inner = inner
        self._names = frozenset(scopes)
        self._beginnings = tuple(f"{name}." for name in self._names)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Hand on a span that starts."""
        if not self._is_withheld(span):
            self._inner.on_start(span, parent_context)

    def _on_ending(self, span: Span) -> None:
        if not self._is_withheld(span):
            self._inner._on_ending(span)

    def on_end(self, span: ReadableSpan) -> None:
        """Hand on a span that ended."""
        if not self._is_withheld(span):
            self._inner.on_end(span)

    def shutdown(self) -> None:
        """Shut the other processor down."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the other processor."""
        return self._inner.force_flush(timeout_millis)

    def _is_withheld(self, span: ReadableSpan) -> bool:
        scope = span.instrumentation_scope
        name = scope.name if scope is not None else ""
        return name in self._names or name.startswith(self._beginnings)
