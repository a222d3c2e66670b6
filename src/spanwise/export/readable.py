"""A record as OpenTelemetry's own exporters take it: an SDK span with nothing in it unmasked."""

from __future__ import annotations

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Status

from spanwise.export.record import Record, plain_context

_REMEMBERED = 64


class Readable:
    """Makes spans of records; remembers the resources, by which exporters group spans."""

    def __init__(self) -> None:
        self._resources: dict[int, Resource] = {}

    def __call__(self, record: Record) -> ReadableSpan:
        """Return the record as a span."""
        span = record.span
        return ReadableSpan(
            name=record.name,
            context=plain_context(span.context) if span.context is not None else None,
            parent=plain_context(span.parent) if span.parent is not None else None,
            resource=self._resource(record),
            attributes=record.attributes,
            events=[Event(e.name, e.attributes, e.time_ns) for e in record.events],
            links=record.links,
            kind=span.kind,
            status=Status(span.status.status_code, record.status_message)
            if record.status_message is not None
            else Status(span.status.status_code),
            start_time=_nanoseconds(span.start_time),
            end_time=_nanoseconds(span.end_time),
            instrumentation_scope=record.scope,
        )

    def _resource(self, record: Record) -> Resource:
        # One object for the spans of one resource: the encoder groups spans by it.
        key = hash(frozenset((name, str(value)) for name, value in record.resource.items()))
        known = self._resources.get(key)
        if known is None:
            if len(self._resources) > _REMEMBERED:
                self._resources.clear()
            known = Resource(dict(record.resource), record.span.resource.schema_url)
            self._resources[key] = known
        return known


def _nanoseconds(time_ns: int | None) -> int:
    """Return a time that the protocol can hold: one bad time would lose the whole batch."""
    return min(max(time_ns or 0, 0), 2**63 - 1)
