"""Say in our words what a span of a third party says in its own.

What is read here has been masked; what is read out of a text, where it may have looked otherwise,
is to be masked again by whoever makes the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from spanwise import _guard, semconv
from spanwise._operation_names import OPERATION_NAMES
from spanwise.instrumentation.spread import gathered
from spanwise.instrumentation.vocabularies import SPAN_NAME, Source
from spanwise.instrumentation.vocabulary import (
    CONTENT,
    DETAILS,
    EVENTS,
    INPUT,
    METADATA,
    OUTPUT,
    TYPES,
    WORDS,
    Plan,
    are_silent,
    decoded,
    plan_of,
)

_MODEL: Final = semconv.GEN_AI_REQUEST_MODEL
_MOST_METADATA: Final = 128
# What an instrumentor writes that does not know the model's name.
_NAMELESS: Final = ("", "unknown")
# Beyond it a float is not exact, and no count of tokens is there.
_LARGEST_COUNT: Final = 2**53


@dataclass(slots=True)
class Translation:
    """What a span does not say in our words, in them.

    Attributes:
        copied: attributes whose values stood in others as they are.
        decoded: attributes whose values were read out of texts, where they looked otherwise.
        content: input and output, as values that are not yet JSON.
    """

    copied: dict[str, Any]
    decoded: dict[str, Any]
    content: dict[str, Any]


def translate(
    name: str,
    attributes: Mapping[str, Any],
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
) -> Translation | None:
    """Return what the span says in words of others, in ours; None where that is nothing.

    Args:
        name: of the span.
        attributes: of the span, masked.
        events: name and attributes of each, masked.
    """
    said: dict[str, Any] = {}
    if events:
        attributes, said = _with_events(attributes, events)
    if not said and are_silent(attributes):
        return None
    kind = _type(attributes)
    words = WORDS[kind or ""]
    read: list[str] = []
    facts: list[tuple[str, str | None]] = []
    spread: dict[str, None] = {}
    for attribute in attributes:
        if (word := words[attribute]) is None:
            continue
        if word.is_read:
            read.append(attribute)
        if word.is_fact:
            facts.append((attribute, word.fact))
        if word.spread is not None:
            spread[word.spread] = None
    if not (read or facts or spread or said or kind or _MODEL in attributes):
        return None
    content = {k: v for k, v in said.items() if k not in attributes} if said else said
    translation = Translation({}, {}, content)
    _Reading(name, attributes, translation).take(plan_of(kind or "", (*read, *spread)))
    if kind is None and (_MODEL in attributes or _MODEL in translation.copied):
        kind = "generation"
    if kind is not None:
        _add_type(kind, attributes, translation.copied)
    if facts:
        _add_metadata(facts, attributes, translation.decoded)
    for ours in _COUNTS:
        if type(told := attributes.get(ours)) is float and (count := _count(told)) is not None:
            translation.copied[ours] = count
    return translation


def _add_type(kind: str, attributes: Mapping[str, Any], added: dict[str, Any]) -> None:
    if semconv.OBSERVATION_TYPE not in attributes:
        added[semconv.OBSERVATION_TYPE] = kind
    if semconv.GEN_AI_OPERATION_NAME not in attributes and kind in OPERATION_NAMES:
        added[semconv.GEN_AI_OPERATION_NAME] = OPERATION_NAMES[kind]
    session = added.get(semconv.SESSION_ID, attributes.get(semconv.SESSION_ID))
    if session is not None and semconv.GEN_AI_CONVERSATION_ID not in attributes:
        added[semconv.GEN_AI_CONVERSATION_ID] = session


def _type(attributes: Mapping[str, Any]) -> str | None:
    given = attributes.get(semconv.OBSERVATION_TYPE)
    if given is not None and given in semconv.OBSERVATION_TYPE_VALUES:
        return str(given)
    for attribute, types in TYPES:
        value = attributes.get(attribute)
        if type(value) is str and (found := types.get(value.lower())) is not None:
            return found
    return None


def _with_events(
    attributes: Mapping[str, Any], events: Iterable[tuple[str, Mapping[str, Any]]]
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """Return the attributes with what events add to them, and what else events say."""
    messages: dict[str, list[Any]] = {}
    for name, held in events:
        if name in DETAILS:
            attributes = {**held, **attributes}
        elif (said := EVENTS.get(name)) is not None:
            if said.attribute is None:
                message = {"role": said.role, **held}
                messages.setdefault(said.of, []).append(message)
            elif held.get(said.attribute) is not None:
                messages.setdefault(said.of, []).append(decoded(held[said.attribute]))
    return attributes, {
        ours: several[0] if len(several) == 1 else several for ours, several in messages.items()
    }


class _Reading:
    """One span that is read; each of its texts is decoded once."""

    def __init__(self, name: str, attributes: Mapping[str, Any], translation: Translation) -> None:
        self._name = name
        self._attributes = attributes
        self._translation = translation
        self._decoded: dict[str, Any] = {}
        self._spread: dict[str, Any] | None = None

    def take(self, plan: Plan) -> None:
        """Put the first value that there is for each of our attributes where it belongs."""
        get = self._attributes.get
        for ours, sources in plan:
            given = get(ours)
            if given is not None and not (ours == _MODEL and given in _NAMELESS):
                continue
            try:
                convert: Callable[[Any], Any] = _CONVERSIONS.get(ours, _text)
                for attribute, source in sources:
                    value = self._value(source) if attribute is None else get(attribute)
                    if value is not None and (value := convert(value)) is not None:
                        self._put(ours, source, value)
                        break
            except Exception as error:  # noqa: BLE001 - the other attributes are said
                _guard.swallow("vocabulary", error)

    def _put(self, ours: str, source: Source, value: Any) -> None:
        translation = self._translation
        if ours in CONTENT:
            translation.content[ours] = value
        elif type(source) is str or type(value) in (int, float, bool):
            translation.copied[ours] = value
        else:
            translation.decoded[ours] = value

    def _value(self, source: Source) -> Any:
        if not isinstance(source, str):
            return self._within(*source)
        if source is SPAN_NAME:
            return self._name
        if self._spread is None:
            self._spread = gathered(self._attributes)
        return self._spread.get(source[:-1])

    def _within(self, attribute: str, key: str) -> Any:
        known = self._decoded
        if attribute not in known:
            known[attribute] = decoded(self._attributes.get(attribute))
        value = known[attribute]
        if not key:
            return value
        if type(value) is not dict and not isinstance(value, Mapping):
            return None
        if not key.endswith("_*"):
            return value.get(key)
        counts = [
            count
            for name, told in value.items()
            if (name == key[:-2] or name.startswith(key[:-1]))
            and (count := _count(told)) is not None
        ]
        return sum(counts) if counts else None


def _add_metadata(
    told: Iterable[tuple[str, str | None]], attributes: Mapping[str, Any], added: dict[str, Any]
) -> None:
    facts: dict[str, Any] = {}
    for name, key in told:
        value = decoded(attributes[name])
        if key is not None:
            facts.setdefault(key, value)
        elif name in METADATA and isinstance(value, Mapping):
            facts |= {k: value[k] for k in islice(value, _MOST_METADATA) if k not in facts}
    for key, value in islice(facts.items(), _MOST_METADATA):
        ours = f"{semconv.OBSERVATION_METADATA}.{key}"
        if not key or ours in attributes or value is None:
            continue
        if isinstance(value, (str, bool, int, float)):
            added[ours] = value
            continue
        try:
            added[ours] = orjson.dumps(value, default=str).decode()
        except TypeError as error:  # deeper than is written as JSON
            _guard.swallow("vocabulary", error)


def _itself(value: Any) -> Any:
    return value


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int, float)) and value != "" else None


def _count(value: Any) -> int | None:
    if type(value) is float and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value < _LARGEST_COUNT else None


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None


def _flag(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _texts(value: Any) -> tuple[str, ...] | None:
    several = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(text for item in several if (text := _text(item)) is not None) or None


def _level(value: Any) -> str | None:
    level = str(value).lower()
    return level if level in semconv.OBSERVATION_LEVEL_VALUES else None


_COUNTS: Final = (
    semconv.GEN_AI_REQUEST_MAX_TOKENS,
    semconv.GEN_AI_USAGE_INPUT_TOKENS,
    semconv.GEN_AI_USAGE_OUTPUT_TOKENS,
    semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    semconv.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
)
_CONVERSIONS: Final[Mapping[str, Callable[[Any], Any]]] = {
    INPUT: _itself,
    OUTPUT: _itself,
    semconv.OBSERVATION_LEVEL: _level,
    semconv.OBSERVATION_TAGS: _texts,
    semconv.GEN_AI_RESPONSE_FINISH_REASONS: _texts,
    semconv.GEN_AI_REQUEST_STREAM: _flag,
    semconv.GEN_AI_REQUEST_TEMPERATURE: _number,
    semconv.GEN_AI_REQUEST_TOP_P: _number,
    **dict.fromkeys(_COUNTS, _count),
}
