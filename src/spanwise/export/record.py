"""One ended span as one masked record: what every sink writes or sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import orjson
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, StatusCode

from spanwise import semconv
from spanwise._identity import Identity
from spanwise._prepared import Prepared
from spanwise.instrumentation import vocabulary
from spanwise.instrumentation.vocabulary import Meaning

SCOPE_NAME = "spanwise"
_TRACEBACK: Final = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Event:
    """Something that happened during a span.

    Attributes:
        name: what happened.
        time_ns: nanoseconds since the epoch.
        attributes: masked.
    """

    name: str
    time_ns: int
    attributes: Mapping[str, Any]


@dataclass(eq=False)  # not frozen: its fields would be set one by one by a call each
class Record:
    """An ended span, masked; not to be changed.

    Attributes:
        span: the span as OpenTelemetry made it, for what a record does not repeat (context,
            links, scope); its attributes are not masked and must not be written.
        name: masked.
        attributes: masked, identity included; those of third parties' spans also in our words.
        events: masked.
        status_message: masked.
        scope: the instrumentation scope, masked.
        resource: of the process, with what `configure()` was told of it.
        observation_above: id of the nearest span above that is an observation.
        prepared: what an operation's span was made of, where it says nothing but that, the
            identity, what went in and what came out.
        identity: the attributes that say who such a span is for; None where nothing does.
    """

    span: ReadableSpan
    name: str
    attributes: Mapping[str, Any]
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    status_message: str | None
    scope: InstrumentationScope | None
    resource: Mapping[str, Any]
    observation_above: int | None = None
    prepared: Prepared | None = None
    identity: Identity | None = None

    @cached_property
    def meaning(self) -> Meaning:
        """What the span says, whichever vocabulary it was written in."""
        return vocabulary.read(self.attributes)

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return format(_context(self.span).trace_id, "032x")

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return format(_context(self.span).span_id, "016x")

    @property
    def parent_id(self) -> str | None:
        """16 hexadecimal digits, or None for the root of a trace."""
        return format(self.span.parent.span_id, "016x") if self.span.parent else None

    @property
    def observation_above_id(self) -> str | None:
        """Id of the nearest observation above, 16 hexadecimal digits, or None."""
        return format(self.observation_above, "016x") if self.observation_above else None

    @property
    def is_local_root(self) -> bool:
        """Whether the span is the first of its trace in this process."""
        return self.span.parent is None or self.span.parent.is_remote

    @property
    def is_trace(self) -> bool:
        """Whether the span stands for the trace, and is no observation."""
        return self.attributes.get(semconv.OBSERVATION_IS_TRACE) is True

    @property
    def is_error(self) -> bool:
        """Whether the span ended in an error."""
        return self.span.status.status_code is StatusCode.ERROR

    @property
    def error(self) -> str | None:
        """The error's text, or None."""
        if not self.is_error:
            return None
        text = self.status_message or str(self.attributes.get(semconv.ERROR_TYPE, "error"))
        if _TRACEBACK in text:  # some put it all there; the event of it has the message alone
            told = (event.attributes.get(semconv.EXCEPTION_MESSAGE) for event in self.events)
            text = next((str(message) for message in told if message), text)
        return text

    def metadata(self) -> dict[str, Any]:
        """Return what was attached as `observation.metadata.<key>`, by key."""
        prefix = f"{semconv.OBSERVATION_METADATA}."
        return {
            key[len(prefix) :]: from_json(value)
            for key, value in self.attributes.items()
            if key.startswith(prefix)
        }

    def input_text(self) -> str | None:
        """Return the input as a person would read it: a string without its JSON quotes."""
        return _plain(self.attributes.get(semconv.OBSERVATION_INPUT))

    def output_text(self) -> str | None:
        """Return the output as a person would read it."""
        return _plain(self.attributes.get(semconv.OBSERVATION_OUTPUT))

    def translated(self, attributes: Mapping[str, Any], resource: Mapping[str, Any]) -> Record:
        """Return the record with attributes of another vocabulary added."""
        return replace(
            self,
            prepared=None,
            identity=None,
            attributes={**self.attributes, **attributes},
            resource={**self.resource, **resource},
        )


def plain_context(context: SpanContext) -> SpanContext:
    """Return the context without its trace state, which others fill and nobody masks."""
    if not context.trace_state:
        return context
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)


def from_json(value: Any) -> Any:
    """Return what a JSON text says, or the value itself where it is none."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return list(value) if isinstance(value, tuple) else value


def _plain(text: Any) -> str | None:
    if not isinstance(text, str):
        return None
    if text[:1] == '"':
        try:
            value = orjson.loads(text)
        except ValueError:
            return text
        return value if isinstance(value, str) else text
    return text


def _context(span: ReadableSpan) -> Any:
    return span.context
