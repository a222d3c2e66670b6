"""What a published package sends for a program, beside what ours does: fact by fact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def flat(
    facts: dict[str, Any],
    name_of: Callable[[str], str] = str,
    said: Callable[[Any], Any] = lambda value: value,
) -> dict[str, Any]:
    """Return every fact by its path.

    Args:
        facts: of one program, as the stored files hold them.
        name_of: what the program called a span, from what the span is called.
        said: what an attribute's value says, however it is written.
    """
    found = {f"headers/{name}": value for name, value in facts["headers"].items()}
    found |= {f"resource/{name}": value for name, value in facts["resource"].items()}
    found["paths"] = facts["paths"]
    for span in facts["spans"]:
        path = f"spans/{name_of(span['name'])}"
        found |= {f"{path}/{part}": span[part] for part in span if part != "attributes"}
        found |= {f"{path}/attributes/{name}": said(v) for name, v in span["attributes"].items()}
    return found


def difference(published: dict[str, Any], ours: dict[str, Any]) -> set[str]:
    """Return the paths of the facts that are not the same in both."""
    missing = object()
    return {
        path
        for path in published.keys() | ours.keys()
        if published.get(path, missing) != ours.get(path, missing)
    }
