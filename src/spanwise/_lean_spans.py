"""The spans that our provider makes: SDK spans of which only what most spans have is made at once.

What is rare stays the SDK's own code on the SDK's own containers, which are made when they are
first asked for: events, links, exceptions, attributes whose values have to be cleaned. Made anew
here is what every span does: being started, given attributes of plain values, and ended.
"""

from __future__ import annotations

import logging
from _thread import allocate_lock
from collections.abc import Mapping, Sequence
from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, SynchronousMultiSpanProcessor, Tracer, _Span
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

if TYPE_CHECKING:
    from spanwise._masking import Masker
    from spanwise.processors.open_spans import OpenSpan

_logger = logging.getLogger("opentelemetry.sdk.trace")
_new = object.__new__
_new_tuple = tuple.__new__

_SAMPLED: Final = int(TraceFlags.SAMPLED)
_RANDOM: Final = int(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))
# Flags have a type of their own: each of the two that spans here have is made once.
FLAGS: Final = {flags: TraceFlags(flags) for flags in (_SAMPLED, _SAMPLED | _RANDOM)}
ROOT_FLAGS: Final = FLAGS[_SAMPLED | _RANDOM]


def is_possible() -> bool:
    """Return whether the SDK that is installed keeps what it knows where it is looked for here."""
    try:
        context = SpanContext(1, 2, is_remote=False, trace_flags=ROOT_FLAGS)
        held = BoundedAttributes(1, {"a": "b"}, immutable=False)
        return (
            tuple(context) == (1, 2, False, ROOT_FLAGS, DEFAULT_TRACE_STATE, True)
            and held._dict == {"a": "b"}
            and held._immutable is False
            and SynchronousMultiSpanProcessor()._span_processors == ()
        )
    except Exception:  # noqa: BLE001 - whatever it is that has changed
        return False


def context_of(trace_id: int, span_id: int, flags: TraceFlags, state: Any) -> SpanContext:
    """Return the context of a span that starts here, made without a look at what is known."""
    return _new_tuple(SpanContext, (trace_id, span_id, False, flags, state, True))


class LeanSpan(_Span):
    """An SDK span; see the module.

    Attributes:
        masked_by: the masker that has masked all attributes and `masked_name`; None where somebody
            else may have set one.
        masked_name: the name as a record has it.
        opened: what our processor knows of it while it is open.
    """

    # Most spans have no more of these than that.
    _end_time: int | None = None
    _status: Status = Status(StatusCode.UNSET)
    _trace_config = None
    _record_end_metrics: Any = None
    _bounded: Any = None
    _event_list: Any = None
    _link_list: Any = None
    _values: dict[str, Any]
    _context: SpanContext
    masked_by: Masker | None = None
    masked_name: str = ""
    opened: OpenSpan | None = None

    # What the SDK's code, and that of others, finds under these names is the SDK's.

    @property
    def _attributes(self) -> Any:
        held = self._bounded
        if held is None:
            limits = self._limits
            held = BoundedAttributes(
                limits.max_span_attributes,
                None,
                immutable=self._end_time is not None,
                max_value_len=limits.max_span_attribute_length,
            )
            held._dict = self._values
            held = vars(self).setdefault("_bounded", held)  # another thread may have been first
        return held

    @_attributes.setter
    def _attributes(self, held: Any) -> None:
        self._bounded = held
        self.masked_by = None

    @property
    def _events(self) -> Any:
        held = self._event_list
        if held is None:
            held = vars(self).setdefault("_event_list", self._new_events())
        return held

    @_events.setter
    def _events(self, held: Any) -> None:
        self._event_list = held

    @property
    def _links(self) -> Any:
        held = self._link_list
        if held is None:
            held = vars(self).setdefault("_link_list", self._new_links(()))
        return held

    @_links.setter
    def _links(self, held: Any) -> None:
        self._link_list = held

    @property
    def attributes(self) -> Any:
        """The attributes, read-only."""
        if self._end_time is not None and self._bounded is None:
            return MappingProxyType(self._values)
        return MappingProxyType(self._attributes or {})

    @property
    def events(self) -> Sequence[Event]:
        """The events so far."""
        return () if self._event_list is None else tuple(self._event_list)

    @property
    def links(self) -> Sequence[Link]:
        """The links."""
        return () if self._link_list is None else tuple(self._link_list)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes had no room."""
        return 0 if self._bounded is None else super().dropped_attributes

    @property
    def dropped_events(self) -> int:
        """How many events had no room."""
        held = self._event_list
        return held.dropped if isinstance(held, BoundedList) else 0

    @property
    def dropped_links(self) -> int:
        """How many links had no room."""
        held = self._link_list
        return held.dropped if isinstance(held, BoundedList) else 0

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute."""
        self.masked_by = None
        if self._bounded is None and is_plain(value, self._limits.max_span_attribute_length):
            with self._lock:
                if self._end_time is None and _put(
                    self._values, key, value, self._limits.max_span_attributes
                ):
                    return
        super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes."""
        self.masked_by = None
        longest = self._limits.max_span_attribute_length
        if self._bounded is None and type(attributes) is dict:
            for value in attributes.values():
                if not is_plain(value, longest):
                    break
            else:
                if self._put_all(attributes):
                    return
        super().set_attributes(attributes)

    def add_masked(self, attributes: dict[str, Any]) -> None:
        """Set attributes of plain values that `masked_by` has masked."""
        if self._bounded is not None or not self._put_all(attributes):
            masked_by = self.masked_by
            super().set_attributes(attributes)
            self.masked_by = masked_by

    def end(self, end_time: int | None = None) -> None:
        """End the span, and hand it to the processors."""
        with self._lock:
            if self._end_time is not None:
                _logger.warning("Calling end() on an ended span.")
                return
            self._end_time = time_ns() if end_time is None else end_time
            if self._bounded is not None:
                self._bounded._immutable = True
        if self._record_end_metrics is not None:
            self._record_end_metrics()
        processor = self._span_processor
        if type(processor) is not SynchronousMultiSpanProcessor:
            processor._on_ending(self)
            processor.on_end(self._readable_span())
            return
        processors = processor._span_processors
        if len(processors) == 1 and getattr(processors[0], "takes_lean_spans", False):
            processors[0].on_end(self)
            return
        for each in processors:
            each._on_ending(self)
        # Others may keep what they are given, and so they are given what the SDK gives.
        readable = self._readable_span()
        for each in processors:
            each.on_end(self if getattr(each, "takes_lean_spans", False) else readable)

    def _put_all(self, attributes: dict[str, Any]) -> bool:
        """Set attributes of plain values; return False, and set none, where they need a closer look."""
        values, most = self._values, self._limits.max_span_attributes
        with self._lock:
            if self._end_time is not None or (
                most is not None and len(values) + len(attributes) > most
            ):
                return False
            for key in attributes:
                if type(key) is not str or not key:
                    return False
            for key in attributes:
                if key in values:
                    del values[key]  # what is set anew comes last
            values.update(attributes)
        return True


def is_plain(value: Any, longest: int | None) -> bool:
    """Return whether every release of the SDK keeps the value of an attribute as it is."""
    kind = type(value)
    if kind is str:
        return longest is None or len(value) <= longest
    return kind is int or kind is bool or kind is float


def _put(values: dict[str, Any], key: str, value: Any, most: int | None) -> bool:
    if type(key) is not str or not key:
        return False
    if key in values:
        del values[key]  # what is set anew comes last
    elif most is not None and len(values) >= most:
        return False
    values[key] = value
    return True


def make_span(
    tracer: Tracer,
    name: str,
    context: SpanContext,
    parent: SpanContext | None,
    kind: SpanKind,
    values: dict[str, Any],
    start_time: int | None,
) -> LeanSpan:
    """Return a span that has started, and of which no processor has been told.

    Args:
        tracer: whose limits, resource and scope it has.
        name: of the span.
        context: of the span itself.
        parent: the context of its parent.
        kind: of the span.
        values: its attributes, which are its own from now on: each plain, and no more than it holds.
        start_time: nanoseconds since the epoch; now by default.
    """
    span = _new(LeanSpan)
    span._name = name
    span._context = context
    span._parent = parent
    span._kind = kind
    span._start_time = time_ns() if start_time is None else start_time
    span._values = values
    span._lock = allocate_lock()
    span._limits = tracer._span_limits
    span._resource = tracer.resource
    span._sampler = tracer.sampler
    span._span_processor = tracer.span_processor
    span._instrumentation_info = tracer.instrumentation_info
    span._instrumentation_scope = tracer._instrumentation_scope
    span._record_exception = True
    span._set_status_on_exception = True
    return span


def tell_of_start(span: LeanSpan, context: Context | None) -> None:
    """Tell the processors that the span has started."""
    span._span_processor.on_start(span, parent_context=context)
