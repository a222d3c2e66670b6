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
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    Event,
    ReadableSpan,
    SpanLimits,
    SynchronousMultiSpanProcessor,
    Tracer,
    _Span,
)
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from spanwise import _guard

if TYPE_CHECKING:
    from spanwise._identity import Identity
    from spanwise._prepared import Prepared

_logger = logging.getLogger("opentelemetry.sdk.trace")
_new = object.__new__


def is_possible() -> bool:
    """Return whether the SDK that is installed keeps what it knows where it is looked for here."""
    try:
        held = BoundedAttributes(1, {"a": "b"}, immutable=False)
        return (
            held._dict == {"a": "b"}
            and held._immutable is False
            and SynchronousMultiSpanProcessor()._span_processors == ()  # type: ignore[no-untyped-call]
        )
    except Exception:  # noqa: BLE001 - whatever it is that has changed
        return False


def _seals() -> bool:
    """Return whether the SDK has the attributes of a span that has ended refuse changes."""
    span = _Span("", SpanContext(1, 2, is_remote=False), resource=Resource.get_empty())
    span.start()
    span.end()
    return getattr(span._attributes, "_immutable", False) is True


_SEALS: Final = _seals()  # since 1.43; there are processors that write then, too


class LeanSpan(_Span):
    """An SDK span; see the module.

    Attributes:
        prepared: of an operation's span, what it is made of, by whose masker all attributes are
            masked; None where others have set one.
        identity: the part of its attributes that says who it is for, where that is told apart.
        told_more: it says more than what it is made of, that part, what went in and what came out.
        processors: those that were there when it started.
        ours: our processor, where it was the only one.
    """

    # Most spans have no more of these than that.
    _end_time: int | None = None
    _status: Status = Status(StatusCode.UNSET)
    _trace_config = None
    _record_exception = True
    _set_status_on_exception = True
    _record_end_metrics: Any = None
    _bounded: Any = None
    _event_list: Any = None
    _link_list: Any = None
    _values: dict[str, Any]
    _context: SpanContext
    _span_processor: Any
    prepared: Prepared | None = None
    identity: Identity | None = None
    told_more = False
    processors: Any = None
    ours: Any = None

    # What the SDK's code, and that of others, finds under these names is the SDK's.

    @property
    def _attributes(self) -> Any:
        held = self._bounded
        if held is None:  # from now on others may change it, and it is the one that counts
            held = vars(self).setdefault("_bounded", self._in_bounds())
        return held

    @_attributes.setter
    def _attributes(self, held: Any) -> None:
        self._bounded = held

    @property
    def _events(self) -> Any:
        held = self._event_list
        if held is None:
            held = vars(self).setdefault("_event_list", self._new_events())  # type: ignore[no-untyped-call]
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
        held = self._in_bounds() if self._bounded is None else self._bounded
        return MappingProxyType(held or {})

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
        self.prepared = None
        try:
            if self._put_one(key, value):
                return
        except Exception as error:  # noqa: BLE001 - ours: the SDK does it
            _guard.swallow("span", error)
        super().set_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes."""
        self.prepared = None
        try:
            if are_plain(attributes, self._limits) and self._put_all(attributes):  # type: ignore[arg-type]  # a dict, then
                return
        except Exception as error:  # noqa: BLE001 - ours: the SDK does it
            _guard.swallow("span", error)
        super().set_attributes(attributes)

    def take(self, prepared: Prepared, identity: Identity | None) -> None:
        """Know what its attributes consist of.

        Args:
            prepared: what it is made of.
            identity: what it says besides; None or empty for nothing.
        """
        self.prepared = prepared
        self._record_exception = self._set_status_on_exception = False
        if identity:
            if identity.keys().isdisjoint(prepared.attributes):
                self.identity = identity
            else:  # of tags it has both
                self.told_more = True

    def values(self) -> Mapping[str, Any]:
        """Return the attributes as they are now; not to be changed."""
        return self._values if self._bounded is None else self.attributes

    def add_masked(self, attributes: dict[str, Any]) -> None:
        """Set attributes of plain values that its own masker has masked."""
        self.told_more = True
        if not self._put_all(attributes):
            super().set_attributes(attributes)

    def put_in_front(self, attributes: Mapping[str, Any]) -> bool:
        """Set attributes that it does not have, before its own; return whether that was done.

        Of a span that is full OpenTelemetry evicts the oldest attributes. Where these would not
        all have room, or have to be cleaned, none is set.
        """
        most = self._limits.max_span_attributes
        if self._limits.max_span_attribute_length is not None:
            return False
        with self._lock:
            values = {**attributes, **self._values}
            if self._bounded is None and (most is None or len(values) <= most):
                self._values = values
                self.prepared = None
                return True
        return False

    def end(self, end_time: int | None = None) -> None:
        """End the span, and hand it to the processors."""
        try:
            self.end_with({}, end_time)
        except Exception as error:
            if self.ours is None or self._span_processor._span_processors is not self.processors:
                raise  # what a processor of others raises goes where it does anyway
            _guard.swallow("span", error)

    def end_with(self, attributes: dict[str, Any], end_time: int | None) -> None:
        """End the span with attributes of plain values that its own masker has masked."""
        with self._lock:
            if self._end_time is not None:
                _logger.warning("Calling end() on an ended span.")
                return
            if attributes:
                most = self._limits.max_span_attributes
                if self._bounded is None and (
                    most is None or len(self._values) + len(attributes) <= most
                ):
                    self._values.update(attributes)
                else:
                    self._attributes.update(attributes)
            self._end_time = time_ns() if end_time is None else end_time
            if _SEALS and self._bounded is not None:
                self._bounded._immutable = True
        if self._record_end_metrics is not None:
            self._record_end_metrics()
        ours = self.ours
        if ours is not None and self._span_processor._span_processors is self.processors:
            ours.on_end(self)
        else:
            self._hand_over()

    def _hand_over(self) -> None:
        processor = self._span_processor
        processor._on_ending(self)
        readable = self._readable_span()
        if type(processor) is not SynchronousMultiSpanProcessor:
            processor.on_end(readable)
            return
        for each in processor._span_processors:
            # Others may keep what they are given, and so they are given what the SDK gives.
            each.on_end(self if getattr(each, "takes_lean_spans", False) else readable)

    def _readable_span(self) -> ReadableSpan:
        return ReadableSpan(
            name=self._name,
            context=self._context,
            parent=self._parent,
            resource=self._resource,
            attributes=self._in_bounds() if self._bounded is None else self._bounded,
            events=self._events,
            links=self._links,
            kind=self._kind,
            status=self._status,
            start_time=self._start_time,
            end_time=self._end_time,
            instrumentation_info=self._instrumentation_info,
            instrumentation_scope=self._instrumentation_scope,
        )

    def _in_bounds(self) -> BoundedAttributes:
        """Return the attributes in the SDK's container, which holds what is set later, too."""
        limits = self._limits
        held = BoundedAttributes(
            limits.max_span_attributes,
            None,
            immutable=_SEALS and self._end_time is not None,
            max_value_len=limits.max_span_attribute_length,
        )
        held._dict = self._values
        return held

    def _put_one(self, key: str, value: Any) -> bool:
        """Set a plain value; return False, and do not, where it needs a closer look."""
        limits = self._limits
        kind = type(value)
        if kind is str:
            longest = limits.max_span_attribute_length
            if longest is not None and len(value) > longest:
                return False
        elif kind is not int and kind is not bool and kind is not float:
            if kind is list:
                value = tuple(value)  # as the SDK keeps it
            if not is_plain(value, limits):
                return False
        if type(key) is not str or not key:
            return False
        most = limits.max_span_attributes
        with self._lock:
            values = self._values
            if self._bounded is not None or self._end_time is not None:
                return False
            if key in values:
                del values[key]  # what is set anew comes last
            elif most is not None and len(values) >= most:
                return False
            values[key] = value
        return True

    def _put_all(self, attributes: dict[str, Any]) -> bool:
        """Set attributes of plain values; return False, and set none, where they need a closer look."""
        most = self._limits.max_span_attributes
        with self._lock:
            values = self._values
            if (
                self._bounded is not None
                or self._end_time is not None
                or (most is not None and len(values) + len(attributes) > most)
            ):
                return False
            for key in attributes:
                if key in values:
                    del values[key]  # what is set anew comes last
            values.update(attributes)
        return True


def is_plain(value: Any, limits: SpanLimits) -> bool:
    """Return whether every release of the SDK keeps the value of an attribute as it is."""
    kind = type(value)
    if kind is str:
        longest = limits.max_span_attribute_length
        return longest is None or len(value) <= longest
    if kind is tuple:  # of texts, as lists of reasons and the like are
        if limits.max_span_attribute_length is not None:
            return False
        for item in value:  # noqa: SIM110 - a plain loop is faster
            if type(item) is not str:
                return False
        return True
    return kind is int or kind is bool or kind is float


def are_plain(attributes: Any, limits: SpanLimits) -> bool:
    """Return whether every release of the SDK keeps these attributes as they are."""
    if type(attributes) is not dict:
        return False
    for key, value in attributes.items():
        if type(key) is not str or not key or not is_plain(value, limits):
            return False
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
    span._span_processor = processor = tracer.span_processor
    if type(processor) is SynchronousMultiSpanProcessor:
        processors = processor._span_processors
        if len(processors) == 1 and getattr(processors[0], "takes_lean_spans", False):
            span.processors = processors
            span.ours = processors[0]
    span._instrumentation_info = tracer.instrumentation_info
    span._instrumentation_scope = tracer._instrumentation_scope
    return span
