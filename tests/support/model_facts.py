"""What a pydantic model is, as far as the programs that use it can tell: names, types, defaults."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from pydantic import BaseModel

_LIMITS = ("minimum", "maximum")
_NAMED = {"uuid": "uuid", "date-time": "datetime"}


def facts_of(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return the facts of every field: its type, and its default, or that it is required.

    What a factory makes anew for each instance, an id or a time, has no default here.
    """
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    facts = {}
    for name, described in schema["properties"].items():
        fact: dict[str, Any] = {"type": _type(described)}
        fact |= {limit: described[limit] for limit in _LIMITS if limit in described}
        for choice in described.get("anyOf", ()):
            fact |= {limit: choice[limit] for limit in _LIMITS if limit in choice}
        default = model.model_fields[name].get_default(call_default_factory=True)
        if name in required:
            fact["required"] = True
        elif not isinstance(default, (UUID, datetime)):
            fact["default"] = _plain(default)
        facts[name] = fact
    return facts


def _type(described: dict[str, Any]) -> str:
    for key in ("anyOf", "allOf"):
        if key in described:
            names = [_type(choice) for choice in described[key]]
            return "any" if "any" in names else "|".join(names)
    if "$ref" in described:
        return str(described["$ref"]).rsplit("/", 1)[-1]
    if "type" not in described:
        return "any"
    name = str(described["type"])
    inner = described.get("items" if name == "array" else "additionalProperties")
    if isinstance(inner, dict):
        return f"{name}<{_type(inner)}>"
    return _NAMED.get(described.get("format", ""), name)


def _plain(default: Any) -> Any:
    if isinstance(default, BaseModel):
        return default.model_dump(mode="json")
    return default.value if isinstance(default, Enum) else default
