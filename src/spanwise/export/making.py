"""Make the masked record of a span that has ended, whoever started it.

This is the stage before the first byte. Attributes, events, status and name of every span, ours
and third parties', are masked here; nothing downstream sees anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, cast

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, StatusCode

from spanwise import semconv
from spanwise._lean_spans import LeanSpan
from spanwise._masked_attributes import masked_attributes, valid, without_media
from spanwise._masking import Masker
from spanwise._media import Keeper
from spanwise._prepared import Prepared
from spanwise.export.own_words import in_our_words
from spanwise.export.record import SCOPE_NAME, Event, Record, plain_context
from spanwise.instrumentation import vocabulary

_INPUT, _OUTPUT = semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT
_UNSET = StatusCode.UNSET
_MOST_SCOPES: Final = 256


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
        added = in_our_words(name, attributes, events, masker, capture_content)
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
