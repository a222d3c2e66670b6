"""Open an operation's span, a lean one, on a provider that the application made.

Whether it is sampled, which ids it has and who is told of it is that provider's to say; only the
span itself is made here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Tracer
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags

from spanwise._lean_spans import LeanSpan, is_possible, make_span

if TYPE_CHECKING:
    from spanwise._identity import Identity, Scope
    from spanwise._prepared import Prepared

_INTERNAL = SpanKind.INTERNAL
_RANDOM = int(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))  # later releases of OpenTelemetry


class LeanOpener:
    """Opens spans as a tracer of the SDK's would start them.

    Args:
        tracer: of the application's provider.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    @staticmethod
    def fits(tracer: Any) -> bool:
        """Return whether this is a tracer that does nothing but what the SDK's does."""
        return (
            type(tracer) is Tracer
            and is_possible()
            and tracer._span_limits.max_span_attribute_length is None
        )

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
    ) -> Span | None:
        """Start the span of an operation; None where the SDK must do it.

        Args: as for `LeanTracer.open`.
        """
        tracer = self._tracer
        most = tracer._span_limits.max_span_attributes
        if (most is not None and len(attributes) > most) or not tracer._is_enabled():
            return None
        ids = tracer.id_generator
        if parent is None:
            trace_id = ids.generate_trace_id()
            flags = _RANDOM if _RANDOM and ids.is_trace_id_random() else 0
        else:
            trace_id = parent.trace_id
            flags = parent.trace_flags & _RANDOM
        # A copy: what a sampler adds to it is not masked.
        result = tracer.sampler.should_sample(
            context, trace_id, prepared.name, _INTERNAL, attributes.copy(), ()
        )
        decision: Any = result.decision
        if decision.is_sampled():
            flags |= TraceFlags.SAMPLED
        made = SpanContext(
            trace_id,
            ids.generate_span_id(),
            is_remote=False,
            trace_flags=TraceFlags(flags),
            trace_state=result.trace_state,
        )
        metrics: Any = getattr(tracer, "_tracer_metrics", None)
        ended = metrics.start_span(parent, result.decision) if metrics is not None else None
        if not decision.is_recording():
            return NonRecordingSpan(made)
        span = make_span(tracer, prepared.name, made, parent, _INTERNAL, attributes, start_time)
        span._record_end_metrics = ended
        if result.attributes == attributes:
            span.take(prepared, identity)
        else:
            span._record_exception = span._set_status_on_exception = False
            self._take(span, result.attributes)
        span._span_processor.on_start(span, parent_context=context)
        return span

    def _take(self, span: LeanSpan, attributes: Any) -> None:
        """Give the span what the sampler made of its attributes."""
        span._bounded = BoundedAttributes(
            span._limits.max_span_attributes, attributes, immutable=False
        )
        span._values = span._bounded._dict
