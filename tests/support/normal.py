"""Make what was written comparable: ids numbered by appearance, times and versions left out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_ID = re.compile(r"^(?:[0-9a-f]{16}|[0-9a-f]{32})$")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
_DATED = re.compile(r"_\d{8}(?=[._])")
# Since some release of OpenTelemetry only.
_LEFT_OUT = frozenset({"service.instance.id"})
_VARIES = frozenset(
    {
        "gen_ai.response.time_to_first_chunk",
        "telemetry.distro.version",
        "telemetry.sdk.version",
        "exception.stacktrace",
        "traceback",
    }
)


def normalised_files(*roots: Path) -> dict[str, list[Any]]:
    """Return the lines of every file below the folders, or of the files, normalised."""
    ids: dict[str, str] = {}
    found: dict[str, list[Any]] = {}
    for root in roots:
        paths = sorted(root.rglob("*.jsonl")) if root.is_dir() else [root]
        for path in paths:
            name = str(path.relative_to(root)) if root.is_dir() else path.name
            lines = path.read_text(encoding="utf-8").splitlines()
            key = _DATED.sub("_YYYYMMDD", name)
            found[key] = [_normalised(json.loads(line), ids) for line in lines]
    return found


def _normalised(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: f"<{key}>" if key in _VARIES else _normalised(item, ids)
            for key, item in value.items()
            if key not in _LEFT_OUT
        }
    if isinstance(value, list):
        return [_normalised(item, ids) for item in value]
    if isinstance(value, str):
        if _ID.match(value):
            kind = "trace" if len(value) == 32 else "span"
            return ids.setdefault(value, f"<{kind}-{len(ids) + 1}>")
        if _TIME.match(value):
            return "<time>"
        if value.startswith("unknown_service"):
            return "unknown_service"
    return value
