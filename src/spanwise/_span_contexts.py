"""Contexts of spans that start here: made quickly, or not until somebody asks for them."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

from spanwise import _ids

_SAMPLED: Final = int(TraceFlags.SAMPLED)
_RANDOM: Final = int(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))  # later releases of OpenTelemetry

# Flags have a type of their own: those of spans that are kept are made once.
KEPT: Final = {flags: TraceFlags(flags) for flags in (_SAMPLED, _SAMPLED | _RANDOM)}
KEPT_ROOT: Final = KEPT[_SAMPLED | _RANDOM]

_new_tuple = tuple.__new__


def put_together(trace_id: int, span_id: int, flags: TraceFlags, state: Any) -> SpanContext:
    """Return the context of a local span; both ids must be valid."""
    return _new_tuple(SpanContext, (trace_id, span_id, False, flags, state, True))


def _checked(trace_id: int, span_id: int, flags: TraceFlags, state: Any) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags, trace_state=state)


_EXAMPLE: Final = (1, 2, KEPT_ROOT, DEFAULT_TRACE_STATE)
if tuple(put_together(*_EXAMPLE)) != tuple(_checked(*_EXAMPLE)):
    put_together = _checked  # a release that keeps something else in it


def root_flags(*, is_kept: bool) -> TraceFlags:
    """Return the flags of a root: whether its trace is kept, and its id a random one."""
    random = _RANDOM if _ids.are_random() else 0
    return TraceFlags((_SAMPLED if is_kept else 0) | random)


class LeftOutSpan(NonRecordingSpan):
    """The root of a trace that is not kept: what starts below it sees that, and is not kept either.

    Its ids are made when somebody asks for them; as a rule nobody does.

    Attributes:
        trace_id: by which that was decided, if it was.
    """

    trace_id: int | None = None
    _context: Any = None
    __init__: Any = object.__init__  # what the base class is given is not known yet

    def get_span_context(self) -> SpanContext:
        """Return the context, whose flags say that the trace is not kept."""
        known: SpanContext | None = self._context
        if known is not None:
            return known
        trace_id = _ids.random_trace_id() if self.trace_id is None else self.trace_id
        span_id, flags = _ids.random_span_id(), root_flags(is_kept=False)
        made = _checked(trace_id, span_id, flags, DEFAULT_TRACE_STATE)
        # At once, for all threads: what was there first stays.
        first: SpanContext = vars(self).setdefault("_made", made)
        self._context = first
        return first
