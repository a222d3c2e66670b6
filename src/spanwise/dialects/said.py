"""What a record says, in the forms that more than one vocabulary asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from spanwise import semconv

if TYPE_CHECKING:
    from spanwise.export.record import Record

# What is captured of a function that takes or returns nothing: a backend is told nothing.
_NOTHING: Final[tuple[Any, ...]] = (None, {})
_REQUEST: Final = "gen_ai.request."
_NOT_PARAMETERS: Final = frozenset({semconv.GEN_AI_REQUEST_MODEL, semconv.GEN_AI_REQUEST_STREAM})
_USAGE: Final = {
    "cache_read": semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
    "cache_write": semconv.GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
    "reasoning": semconv.GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
    "total": semconv.OBSERVATION_USAGE_TOTAL_TOKENS,
}


def is_observation(record: Record) -> bool:
    """Return whether the span is known to be one of the kinds of work that observations are."""
    meaning = record.meaning
    return (
        semconv.OBSERVATION_TYPE in record.attributes
        or meaning.type != "span"
        or meaning.input is not None
        or meaning.output is not None
    )


def text_of(value: Any) -> str | None:
    """Return a value as a person would read it: a text as it is, anything else as JSON."""
    if value in _NOTHING:
        return None
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def input_of(record: Record) -> tuple[str, str] | None:
    """Return what went in as a text, and the MIME type of that text."""
    return _text_and_form(record, semconv.OBSERVATION_INPUT, record.meaning.input)


def output_of(record: Record) -> tuple[str, str] | None:
    """Return what came out as a text, and the MIME type of that text."""
    return _text_and_form(record, semconv.OBSERVATION_OUTPUT, record.meaning.output)


def _text_and_form(record: Record, name: str, value: Any) -> tuple[str, str] | None:
    if isinstance(value, str):
        return value, "text/plain"
    text = record.attributes.get(name)  # JSON already, where it is there
    if not isinstance(text, str) or value in _NOTHING:
        text = text_of(value)
    return None if text is None else (text, "application/json")


def usage(record: Record) -> dict[str, int]:
    """Return token counts: `input`, `output`, `total`, `cache_read`, `cache_write`, `reasoning`.

    Cached tokens are part of the input, and reasoning is part of the output.
    """
    found: dict[str, int] = known(
        {"input": record.meaning.input_tokens, "output": record.meaning.output_tokens}
    )
    for part, name in _USAGE.items():
        count = record.attributes.get(name)
        if type(count) is int and count:
            found[part] = count
    if "total" not in found and ("input" in found or "output" in found):
        found["total"] = found.get("input", 0) + found.get("output", 0)
    return found


def parameters(record: Record) -> dict[str, Any]:
    """Return with which parameters a model was asked, as `temperature`."""
    return {
        key[len(_REQUEST) :]: list(value) if isinstance(value, tuple) else value
        for key, value in record.attributes.items()
        if key.startswith(_REQUEST) and key not in _NOT_PARAMETERS
    }


def known(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts that are not None."""
    return {key: value for key, value in parts.items() if value is not None}


def first(attributes: Mapping[str, Any], *names: str) -> Any:
    """Return the value of the first of these attributes that is there, or None."""
    return next((attributes[name] for name in names if name in attributes), None)
