"""One line of a file: from JSON, in today's layout or the older one, to fields of known kinds.

Whoever wrote it may not have been us, so no field is taken for granted: one of an unexpected
kind becomes text, or nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

import orjson

from spanwise._processes import is_gone

INTERRUPTED: Final = "interrupted: the process ended before the span did"

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FRACTION: Final = re.compile(r"\.([0-9]+)")


@dataclass(slots=True, eq=False)
class Observation:
    """One observation, and what happened below it.

    Attributes:
        id: 16 hexadecimal digits, or whatever an older file holds; UUIDs without their dashes.
        parent_id: as written; the parent itself may be missing.
        type: in lower case.
        start, end: in UTC, None where the file does not say.
        error: its text, None where nothing failed.
        state: `running` of one that has not ended, `interrupted` where its process is gone, else
            None.
        is_ours: the program told of it, and no instrumentor.
        line: the observation as one JSON object in today's spelling. Input, output, metadata and
            attributes are read from it when asked for, so that a large folder fits in memory.
        children: ordered by their start; empty until the observations of a trace are linked.
    """

    id: str
    trace_id: str
    parent_id: str | None
    type: str
    name: str
    start: datetime | None
    end: datetime | None
    error: str | None
    state: str | None
    level: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    tags: tuple[str, ...]
    user_id: str | None
    account_id: str | None
    session_id: str | None
    is_ours: bool
    line: bytes = field(repr=False)
    children: list[Observation] = field(default_factory=list, repr=False)

    @classmethod
    def from_line(cls, line: Mapping[str, Any], text: bytes) -> Observation:
        """Return the observation of what `parse` made of a line."""
        prompt = as_count(line.get("prompt_tokens"))
        completion = as_count(line.get("completion_tokens"))
        total = as_count(line.get("total_tokens"))
        if total is None and (prompt, completion) != (None, None):
            total = (prompt or 0) + (completion or 0)
        level = as_text(line.get("level"))
        return cls(
            id=line["id"],
            trace_id=line["trace_id"],
            parent_id=as_text(line.get("parent_id")),
            type=as_text(line.get("type")) or "span",
            name=as_text(line.get("name")) or "",
            start=as_time(line.get("start_time")),
            end=as_time(line.get("end_time")),
            error=as_text(line.get("error")),
            state=as_text(line.get("state")),
            level=level.lower() if level else None,
            model=as_text(line.get("model")),
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=total,
            tags=as_texts(line.get("tags")),
            user_id=as_text(line.get("user_id")),
            account_id=as_text(line.get("account_id")),
            session_id=as_text(line.get("session_id")),
            is_ours=line.get("scope") == "spanwise",
            line=text,
        )

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return self.error is not None or self.level == "error"

    @property
    def input(self) -> Any:
        """What went in."""
        return orjson.loads(self.line).get("input")

    @property
    def output(self) -> Any:
        """What came out."""
        return orjson.loads(self.line).get("output")

    @property
    def metadata(self) -> dict[str, Any]:
        """Facts that the caller attached."""
        return as_mapping(orjson.loads(self.line).get("metadata"))

    @property
    def attributes(self) -> dict[str, Any]:
        """Everything else that the span said of itself."""
        return as_mapping(orjson.loads(self.line).get("attributes"))


def parse(raw: bytes, is_trace: bool) -> tuple[dict[str, Any], bytes] | None:
    """Return a line in today's spelling, as an object and as JSON; None if it is none of ours."""
    try:
        line = orjson.loads(raw)
    except ValueError:
        try:
            # The standard library writes NaN and halves of surrogate pairs; neither is JSON.
            text = json.dumps(json.loads(raw, parse_constant=str), ensure_ascii=False)
            raw = text.encode("utf-8", "replace")
            line = orjson.loads(raw)
        except (ValueError, RecursionError):
            return None
    if not isinstance(line, dict):
        return None
    written = line.copy()
    older, today = ("id", "trace_id") if is_trace else ("parent_observation_id", "parent_id")
    if older in line and line.get(today) is None:
        line[today] = line.pop(older)
    for key in ("id", "trace_id", "parent_id", "root_id"):
        if isinstance(value := line.get(key), str) and _UUID.fullmatch(value):
            line[key] = value.replace("-", "").lower()
    if isinstance(kind := line.get("type"), str):
        line["type"] = kind.lower()
    for key in ("trace_id",) if is_trace else ("trace_id", "id"):
        if not isinstance(value := line.get(key), str) or not value:
            return None
    if line.get("state") is not None:
        _tell_state(line)
    return line, raw if line == written else dump(line)


def _tell_state(line: dict[str, Any]) -> None:
    """Say of an observation that has only started what has become of it."""
    if line["state"] != "started":
        return
    line["state"] = "running"
    if is_gone(as_mapping(line.get("process"))):
        line["state"] = "interrupted"
        line["error"] = INTERRUPTED


def dump(value: Any) -> bytes:
    """Return as JSON what was read from a line, whatever its depth."""
    try:
        return orjson.dumps(value)
    except TypeError:
        pass  # It reads four times as deep as it writes.
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        # Nothing of ours is that deep.
        if not isinstance(value, dict):
            return b'"..."'
        return orjson.dumps({k: v for k, v in value.items() if not isinstance(v, (dict, list))})


def as_time(value: Any) -> datetime | None:
    """Return the time that an ISO 8601 text names, in UTC, which it is taken for by default."""
    if not isinstance(value, str):
        return None
    # Python 3.10 knows neither Z nor any fraction but three or six digits.
    text = _FRACTION.sub(lambda match: f".{match[1][:6]:0<6}", value)
    if text.endswith("Z"):
        text = f"{text[:-1]}+00:00"
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def as_text(value: Any) -> str | None:
    """Return a text or None as it is, and anything else as JSON."""
    return value if value is None or isinstance(value, str) else dump(value).decode()


def as_texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a list, each once and none empty."""
    texts = map(as_text, value if isinstance(value, list) else ())
    return tuple(dict.fromkeys(text for text in texts if text))


def as_count(value: Any) -> int | None:
    """Return a number from 0 up as an integer."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**63:
        return None
    return int(value)


def as_mapping(value: Any) -> dict[str, Any]:
    """Return a mapping as it is, and an empty one for anything else."""
    return value if isinstance(value, dict) else {}
