"""A trace as lines of text: each observation's name, type, tokens, session and error, indented."""

from __future__ import annotations

from typing import Any


def drawn(observations: list[dict[str, Any]]) -> str:
    """Return the trees of all traces; siblings in the order of their texts, for some run at once."""
    ids = {line["id"] for line in observations}
    below: dict[str | None, list[dict[str, Any]]] = {}
    for line in observations:
        parent = line["parent_id"] if line["parent_id"] in ids else None
        below.setdefault(parent, []).append(line)

    def of(line: dict[str, Any], depth: int) -> str:
        children = sorted(of(child, depth + 1) for child in below.get(line["id"], []))
        return "  " * depth + _line(line) + "\n" + "".join(children)

    return "".join(sorted(of(line, 0) for line in below.get(None, [])))


def _line(line: dict[str, Any]) -> str:
    parts = [line["name"], line["type"]]
    if line.get("prompt_tokens") is not None:
        parts.append(f"{line['prompt_tokens']}→{line['completion_tokens']} tok")
    if line.get("session_id") is not None:
        parts.append(f"session {line['session_id']}")
    if "error" in line:
        parts.append("error")
    return "  ".join(parts)
