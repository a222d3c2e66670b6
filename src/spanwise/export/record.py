"""One ended span as one masked record: what every sink writes or sends.

This is the stage before the first byte. Attributes, events, status and name of every span, ours
and third parties', are masked here; nothing downstream sees anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, cast

import orjson
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, StatusCode

from spanwise import _guard, _state, semconv
from spanwise._encoding import Encoder
from spanwise._identity import Identity
from spanwise._lean_spans import LeanSpan
from spanwise._masked_attributes import masked_attributes, valid, without_media
from spanwise._masking import Masker
from spanwise._media import Keeper
from spanwise._prepared import Prepared
from spanwise.instrumentation import translation, vocabulary
from spanwise.instrumentation.vocabulary import Meaning

SCOPE_NAME = "spanwise"
_INPUT, _OUTPUT = semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT
_UNSET = StatusCode.UNSET
_TRACEBACK: Final = "Traceback (most recent call last)"
_SHORT_TEXT: Final = 16_384
_LONGEST_SCALAR: Final = 24
_MOST_SCOPES: Final = 256


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


def make_record(
    span: ReadableSpan,
    masker: Masker,
    *,
    capture_content: bool = True,
    identity: Mapping[str, Any] | None = None,
    resource: Mapping[str, Any],
    observation_above: int | None = None,
    keeper: Keeper | None = None,
) -> Record:
    """Make the masked record of an ended span.

    Args:
        span: as `on_end` hands it over.
        masker: says what is secret.
        capture_content: False leaves inputs and outputs out, whoever wrote them.
        identity: attributes to add where the span does not have them.
        resource: masked attributes of the process.
        observation_above: id of the nearest span above that is an observation.
        keeper: where images and the like that a third party put into the span are kept.
    """
    scope = span.instrumentation_scope
    is_ours = scope is not None and scope.name == SCOPE_NAME
    given: Mapping[str, Any] = _attributes_of(span)
    if identity:
        given = {**identity, **given}
    if not is_ours:
        given = without_media(given, keeper)
    attributes = masked_attributes(given, masker)
    lean: Any = span if type(span) is LeanSpan else None
    is_plain = lean is not None and lean._event_list is None and lean._link_list is None
    events = () if is_plain else _events(span, masker, keeper)
    name = masker.text(valid(span.name))
    if not is_ours:
        added = _in_our_words(name, attributes, events, masker, capture_content)
        if added:
            attributes.update(added)
    if not capture_content:
        attributes = without_content(attributes)
        events = tuple([_without_content(event) for event in events])
    message = span.status.description
    return Record(
        span,
        name,
        attributes,
        events,
        () if is_plain else _links(span, masker),
        None if message is None else masker.text(valid(message)),
        None if scope is None else masked_scope(scope, masker),
        resource,
        observation_above,
    )


def _attributes_of(span: ReadableSpan) -> dict[str, Any]:
    """Return a copy of the span's attributes."""
    kind = type(span)
    held: Any
    if kind is LeanSpan:
        lean = cast("LeanSpan", span)
        held = lean._values if lean._bounded is None else lean._bounded
    else:
        held = span._attributes if kind is ReadableSpan else span.attributes
    return _copied(held)


def _copied(held: Any) -> dict[str, Any]:
    # Both copy what they hold in one go; read by its keys the second is ten times slower.
    if type(held) is dict or type(held) is BoundedAttributes:
        return cast("dict[str, Any]", held.copy())
    return dict(held or {})


def record_of_masked(
    span: LeanSpan,
    prepared: Prepared,
    identity: Mapping[str, Any] | None,
    scope: InstrumentationScope,
    resource: Mapping[str, Any],
    observation_above: int | None,
    keeper: Keeper | None,
) -> Record:
    """Make the record of an ended span whose name and attributes were masked as they were made.

    Args:
        span: of a decorator, or the like.
        prepared: what it was made of, by whose masker that was done.
        identity: masked attributes to add where the span does not have them.
        scope: the instrumentation scope, masked.
        resource: masked attributes of the process.
        observation_above: id of the nearest span above that is an observation.
        keeper: where images and the like in events are kept.
    """
    masker, attributes, said = prepared.masker, span._values, span.identity
    if identity and identity is not said and not identity.keys() <= attributes.keys():
        attributes = {**identity, **attributes}
    status = span._status
    known = len(prepared.attributes) + (0 if said is None else len(said))
    if (
        span._name is prepared.name
        and status.status_code is _UNSET
        and span._event_list is None
        and span._link_list is None
        and not span.told_more
        and len(attributes) == known + (_INPUT in attributes) + (_OUTPUT in attributes)
    ):
        name = prepared.masked_name
        return Record(
            *(span, name, attributes, (), (), None, scope, resource, observation_above),
            *(prepared, said),
        )
    message = status.description
    return Record(
        span,
        masker.text(valid(span._name)),
        attributes,
        _events(span, masker, keeper),
        _links(span, masker),
        None if message is None else masker.text(valid(message)),
        scope,
        resource,
        observation_above,
    )


def _events(span: ReadableSpan, masker: Masker, keeper: Keeper | None) -> tuple[Event, ...]:
    events = span.events
    if not events:
        return ()
    return tuple(
        [
            Event(
                masker.text(valid(event.name)),
                event.timestamp,
                masked_attributes(without_media(_copied(event.attributes), keeper), masker),
            )
            for event in events
        ]
    )


def _links(span: ReadableSpan, masker: Masker) -> tuple[Link, ...]:
    links = span.links
    if not links:
        return ()
    return tuple(
        [
            Link(plain_context(link.context), masked_attributes(_copied(link.attributes), masker))
            for link in links
        ]
    )


def masked_scope(scope: InstrumentationScope, masker: Masker) -> InstrumentationScope:
    """Return the instrumentation scope with secrets replaced; remembered, as most are of few."""
    known = masker.scopes.get(id(scope))
    if known is not None and known[0] is scope:
        return cast("InstrumentationScope", known[1])
    version, schema = scope.version, scope.schema_url
    masked = InstrumentationScope(
        masker.text(valid(scope.name)),
        masker.text(valid(version)) if version else version,
        masker.text(valid(schema)) if schema else schema,
        masked_attributes(scope.attributes or {}, masker),
    )
    if len(masker.scopes) >= _MOST_SCOPES:
        masker.scopes.clear()
    masker.scopes[id(scope)] = (scope, masked)
    return masked


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


def without_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes without those that hold inputs and outputs, in any vocabulary."""
    return {
        key: value
        for key, value in attributes.items()
        if key not in vocabulary.CONTENT_ATTRIBUTES
        and not key.startswith(vocabulary.CONTENT_PREFIXES)
    }


def _without_content(event: Event) -> Event:
    is_content = event.name.startswith(vocabulary.CONTENT_EVENTS)
    return replace(event, attributes={} if is_content else without_content(event.attributes))


def _in_our_words(
    name: str,
    attributes: Mapping[str, Any],
    events: tuple[Event, ...],
    masker: Masker,
    capture_content: bool,
) -> dict[str, Any]:
    """Return what a third party's span says in words of its own, as attributes of ours.

    What stood in a text, with its own escapes, could not be seen while the text was masked.
    """
    added: dict[str, Any] = {}
    try:
        said = translation.translate(
            name, attributes, [(e.name, e.attributes) for e in events] if events else ()
        )
        if said is None:
            return added
        added = said.copied
        if said.content and capture_content:
            _add_content(said.content, _encoder(masker), added)
        if said.decoded:
            added |= masked_attributes(said.decoded, masker)
    except Exception as error:  # noqa: BLE001 - the rest is said, or the span's own words at least
        _guard.swallow("vocabulary", error)
    return added


def _add_content(content: Mapping[str, Any], encoder: Encoder, added: dict[str, Any]) -> None:
    for key, value in content.items():
        try:
            added[key] = _json_text(value, encoder)
        except Exception as error:  # noqa: BLE001 - the rest is said
            _guard.swallow("vocabulary", error)


def _json_text(value: Any, encoder: Encoder) -> str:
    if type(value) is str:
        if len(value) <= _SHORT_TEXT and "\\" not in value and value[:1] in ("{", "["):
            try:
                orjson.loads(value)
            except ValueError:
                return encoder.dumps(value)
            return value  # without escapes it was masked as what it says
        if len(value) <= _LONGEST_SCALAR and _is_scalar(value):
            return value
        value = vocabulary.decoded(value)
    return encoder.dumps(value)


def _is_scalar(text: str) -> bool:
    """Return whether a text is how JSON writes a number, a truth or nothing, digit by digit."""
    try:
        value = orjson.loads(text)
    except ValueError:
        return False
    return not isinstance(value, (str, list, dict)) and orjson.dumps(value) == text.encode()


def _encoder(masker: Masker) -> Encoder:
    """Return the encoder with the limits that are in force."""
    runtime = _state.runtime
    if runtime is not None and runtime.encoder.masker is masker:
        return runtime.encoder
    return Encoder(masker)


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
