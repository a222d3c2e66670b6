"""The tracer of our provider: decides, makes a lean span, and tells the processors of it.

It is the SDK's tracer, and goes the SDK's way wherever something is out of the ordinary: a sampler
of the program's, a provider that is to make SDK spans, a fault of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import trace as trace_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.trace.span import DEFAULT_TRACE_STATE
from opentelemetry.util.types import Attributes

from spanwise import _contexts, _guard, _ids, _state
from spanwise._lean_spans import (
    LeanSpan,
    are_plain,
    make_span,
)
from spanwise._sampling import forced_decision
from spanwise._span_contexts import KEPT, KEPT_ROOT, put_together, root_flags

if TYPE_CHECKING:
    from spanwise._identity import Identity, Scope
    from spanwise._prepared import Prepared
    from spanwise._provider import SpanwiseTracerProvider

_INTERNAL = SpanKind.INTERNAL


class LeanTracer(Tracer):
    """An SDK tracer whose spans are lean ones; made of the tracer that the SDK makes."""

    provider: SpanwiseTracerProvider
    counts_spans: bool

    @classmethod
    def of(cls, tracer: Tracer, provider: SpanwiseTracerProvider) -> LeanTracer:
        """Return the tracer, which makes lean spans from now on."""
        lean: Any = tracer
        lean.provider = provider
        metrics = getattr(tracer, "_tracer_metrics", None)
        lean.counts_spans = metrics is not None and type(metrics).__name__ != "NoOpTracerMetrics"
        # The SDK's constructor changes with its releases; what it has made does not. At last, so
        # that whatever fails before leaves the SDK's tracer.
        lean.__class__ = cls
        return cast("LeanTracer", lean)

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Start a span, as the SDK's tracer does."""
        span: Span | None = None
        fault: Exception | None = None
        if self.provider.makes_lean_spans:
            try:
                span = self._made(name, context, kind, attributes, links, start_time)
            except Exception as error:
                if _guard.is_the_programs(error):
                    raise
                fault = error
        if span is None:
            span = super().start_span(
                name,
                context,
                kind,
                attributes,
                links,
                start_time,
                record_exception,
                set_status_on_exception,
            )
            if fault is not None:  # over what is not one the SDK does not fail
                _guard.swallow("tracer", fault)
            return span
        if type(span) is LeanSpan:
            if not record_exception:
                span._record_exception = False
            if not set_status_on_exception:
                span._set_status_on_exception = False
            if span.ours is None:
                # What a processor of others raises goes where it goes with the SDK's span.
                span._span_processor.on_start(span, parent_context=context)
            else:
                try:
                    span.ours.on_start(span, context)
                except Exception as error:  # noqa: BLE001 - ours
                    _guard.swallow("span", error)
        return span

    def open(
        self,
        prepared: Prepared,
        context: Context,
        parent: SpanContext | None,
        scope: Scope | None,
        identity: Identity | None,
        attributes: dict[str, Any],
        trace_id: int | None,
        start_time: int | None,
    ) -> LeanSpan | None:
        """Start the span of an operation in a trace that is kept; None where that is not done so.

        Args:
            prepared: what the operation is made of.
            context: in which it starts.
            parent: the parent's context; None for a root.
            scope: the identity that it is part of.
            identity: what that says, masked; among the attributes already.
            attributes: masked, and its own from now on; each of a value that needs no cleaning.
            trace_id: of a root; a random one by default.
            start_time: nanoseconds since the epoch; now by default.
        """
        most = self._span_limits.max_span_attributes
        if (most is not None and len(attributes) > most) or not self._is_enabled():
            return None
        made = _context_below(parent, trace_id)
        span = make_span(self, prepared.name, made, parent, _INTERNAL, attributes, start_time)
        span.take(prepared, identity)
        if self.counts_spans:
            self._count(span, parent)
        if span.ours is not None:
            span.ours.operation_started(span, context, scope, prepared.is_trace)
        else:
            span._span_processor.on_start(span, parent_context=context)
        return span

    def _made(
        self,
        name: str,
        context: Context | None,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link] | None,
        start_time: int | None,
    ) -> Span | None:
        """Return a span of which no processor has been told yet, or None to go the SDK's way."""
        runtime = _state.runtime
        if runtime is not None and runtime.sampler is not None:
            return None
        around = _contexts.get_current() if context is None else context
        above = around.get(_SPAN_KEY)
        if type(above) is LeanSpan:
            parent: SpanContext | None = above._context
        elif above is None:
            parent = None
        else:
            parent = trace_api.get_current_span(around).get_span_context()
            if not isinstance(parent, SpanContext):
                return None
        if not self._is_enabled():
            return NonRecordingSpan(trace_api.INVALID_SPAN_CONTEXT if parent is None else parent)
        if parent is not None and not parent.is_valid:
            parent = None
        trace_id = None
        if parent is None:
            trace_id = _ids.take_trace_id()
            forced = forced_decision(around)
            if forced is not None:
                keeps = forced
            else:
                keeps = runtime is None or runtime.sampling.keeps(trace_id, around)
        else:
            keeps = parent.trace_flags.sampled
        if not keeps:
            return self._left_out(parent, trace_id)
        made = _context_below(parent, trace_id)
        values, held = _values_of(attributes, self._span_limits)
        span = make_span(self, name, made, parent, kind, values, start_time)
        if held is not None:
            span._bounded = held
        if links:
            span._link_list = span._new_links(links)
        if self.counts_spans:
            self._count(span, parent)
        return span

    def _left_out(self, parent: SpanContext | None, trace_id: int | None) -> Span:
        flags = root_flags(is_kept=False) if parent is None else int(parent.trace_flags)
        if self.counts_spans:
            self._tracer_metrics.start_span(parent, Decision.DROP)
        return NonRecordingSpan(
            SpanContext(
                cast("int", trace_id) if parent is None else parent.trace_id,
                _ids.random_span_id(),
                is_remote=False,
                # What says that the trace id is random holds for the whole trace.
                trace_flags=TraceFlags(flags & int(KEPT_ROOT) & ~int(TraceFlags.SAMPLED)),
                trace_state=None if parent is None else parent.trace_state,
            )
        )

    def _count(self, span: LeanSpan, parent: SpanContext | None) -> None:
        span._record_end_metrics = self._tracer_metrics.start_span(
            parent, Decision.RECORD_AND_SAMPLE
        )


def opens_lean_spans(tracer: Any) -> bool:
    """Return whether `open` may be used: the provider makes lean spans, and cuts no text."""
    return (
        type(tracer) is LeanTracer
        and tracer.provider.makes_lean_spans
        and tracer._span_limits.max_span_attribute_length is None
    )


def _context_below(parent: SpanContext | None, trace_id: int | None) -> SpanContext:
    """Return the context of a new span that is kept, as the SDK's tracer makes it."""
    if _state.id_generator is not None:  # of others: its ids may be anything
        return _context_by_others(parent, trace_id)
    if parent is None:
        if trace_id is None:
            trace_id = _ids.random_trace_id()
        return put_together(trace_id, _ids.random_span_id(), KEPT_ROOT, DEFAULT_TRACE_STATE)
    above, _, _, flags, state, _ = parent
    if flags not in KEPT:  # of the others none is handed on
        flags = KEPT.get(flags & KEPT_ROOT | TraceFlags.SAMPLED, KEPT_ROOT)
    return put_together(above, _ids.random_span_id(), flags, state)


def _context_by_others(parent: SpanContext | None, trace_id: int | None) -> SpanContext:
    if parent is None:
        above = _ids.random_trace_id() if trace_id is None else trace_id
        flags, state = root_flags(is_kept=True), DEFAULT_TRACE_STATE
    else:
        above, state = parent.trace_id, parent.trace_state
        flags = TraceFlags(parent.trace_flags & KEPT_ROOT | TraceFlags.SAMPLED)
    return SpanContext(
        above, _ids.random_span_id(), is_remote=False, trace_flags=flags, trace_state=state
    )


def _values_of(
    attributes: Attributes, limits: Any
) -> tuple[dict[str, Any], BoundedAttributes | None]:
    """Return attributes as a span holds them, and the SDK's container where they have to be cleaned."""
    if attributes is None:
        return {}, None
    most = limits.max_span_attributes
    if are_plain(attributes, limits) and (most is None or len(attributes) <= most):
        return attributes.copy(), None  # type: ignore[attr-defined]  # a dict, then
    # The SDK's samplers hand on a view, which there is of mappings only.
    view = MappingProxyType(attributes)
    longest = limits.max_span_attribute_length
    held = BoundedAttributes(most, view, immutable=False, max_value_len=longest)
    return held._dict, held
