"""Make the files of two runs comparable: what differs from run to run gets the same name in both."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

# A UUID, a trace id or a span id in hex, but no part of a number or of a longer word. It can
# follow an underscore: `00_<trace id>.md`.
_ID = re.compile(
    r"(?<![^\W_])(?<![.-])"
    r"(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|[0-9a-f]{16})"
    r"(?![\w-])"
)
# The report shows twelve characters, the console eight.
_SHORTENED = re.compile(r"(?<![\w.-])([0-9a-f]{8})(?:-?[0-9a-f]{3,4}\.\.\.|(?![\w-]))")
# The sides of a printed table are as long as what is in it: the run's folder, for one.
_DRAWN = re.compile(r"([ ─━═])\1+")
_SHORT = 8
_PATTERNS = (
    (re.compile(r"exp_\d{8}_\d{6}"), "exp_<time>"),
    (re.compile(r"_\d{8}(?=\.jsonl)"), "_<date>"),
    # The offset stays: a reader takes a time without one for another moment.
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d\b"), "<date>"),
    (re.compile(r" at 0x[0-9a-f]+"), " at <address>"),
    (re.compile(r"127\.0\.0\.1:\d+"), "<loopback>"),
    (re.compile(r"\b\d+(?:\.\d+)? ?ms\b"), "<duration>"),
    (re.compile(r"(duration_ms: )[\d.]+"), r"\1<duration>"),
    (re.compile(r"(Version )\d[\w.+]*"), r"\1<version>"),
)
# In the report: a card and a row of numbers, down to which runs were the slowest.
_LATENCY = re.compile(
    r'(class="(?:metric-card-title|comparison-label)">Latency</\w+>)'
    r'.*?(?=class="(?:metric-card-title|comparison-label)")',
    re.DOTALL,
)
_EMBEDDED = re.compile(r"^(\s*const \w+ = )(\{.*\});$", re.MULTILINE)
_DURATIONS = ("duration_ms", "duration_seconds")
# Which files are read first decides what an id is called: those in the order of the runs.
_FIRST = ("trace_summary.jsonl", "errors.json", "traces.jsonl", "observations.jsonl")


class Normal:
    """What one run's ids, folders and moments are called.

    Args:
        folder: The folder of the whole run; its name is part of nothing that is compared.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._names: dict[str, str] = {}
        self._shortened: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def learn(self, scope: str, kind: str, identifier: Any) -> None:
        """Name an id by its kind and its place among those of that kind."""
        key = str(identifier).replace("-", "")
        if key not in self._names:
            counted = f"{scope} {kind}"
            self._counts[counted] = self._counts.get(counted, 0) + 1
            self._names[key] = f"<{counted} {self._counts[counted]}>"
            self._shortened[key[:_SHORT]] = self._names[key]

    def text(self, text: str, scope: str) -> str:
        """Return a text with everything in it renamed."""
        text = text.replace(self._folder, "<folder>")
        text = _ID.sub(lambda found: self._name(found[0], scope), text)
        text = _SHORTENED.sub(lambda found: self._shortened.get(found[1], found[0]), text)
        for pattern, name in _PATTERNS:
            text = pattern.sub(name, text)
        return text

    def value(self, value: Any, scope: str) -> Any:
        """Return a JSON value with everything in it renamed."""
        if isinstance(value, dict):
            return {
                self.text(key, scope): self._member(key, item, scope) for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.value(item, scope) for item in value]
        return self.text(value, scope) if isinstance(value, str) else value

    def lines(self, text: str, suffix: str, scope: str) -> list[str]:
        """Return the lines of a printed text, a report or any other file."""
        if suffix == ".txt":
            text = _DRAWN.sub(r"\1", text)
        elif suffix == ".html":
            text = _LATENCY.sub(r"\1<latency>", text)
            text = _EMBEDDED.sub(lambda found: found[1] + self._sorted(found[2], scope), text)
        return self.text(text, scope).splitlines()

    def _sorted(self, embedded: str, scope: str) -> str:
        # The report sorts its data by the ids, whose order says nothing.
        return json.dumps(self.value(json.loads(embedded), scope), sort_keys=True, indent=1)

    def _member(self, key: str, item: Any, scope: str) -> Any:
        if key.endswith(_DURATIONS) and isinstance(item, (int, float)):
            return "<duration>"
        if key == "traceback" and isinstance(item, str):
            # The frames are those of the SDK that ran the function; the last line is the error.
            return "<traceback> " + self.text(item.strip().splitlines()[-1], scope)
        return self.value(item, scope)

    def _name(self, identifier: str, scope: str) -> str:
        self.learn(scope, "id", identifier)
        return self._names[identifier.replace("-", "")]


def normalised(folder: Path) -> dict[str, Any]:
    """Return what every file below the folder says: values, or the lines of a text.

    A file below `a/b` belongs to the project `b`: its ids are named after that. A `.jsonl` file
    becomes a list of values and a `.json` file one value.
    """
    normal = Normal(folder)
    paths = sorted(
        (path for path in folder.rglob("*") if path.is_file()),
        key=lambda path: (_rank(path), str(path)),
    )
    read = {path: _read(path) for path in paths}
    for path, content in read.items():
        if path.suffix == ".jsonl":
            for line in content:
                _learn(normal, _scope(path, folder), path.name, line)
    found = {}
    for path, content in read.items():
        scope = _scope(path, folder)
        name = normal.text(PurePosixPath(path.relative_to(folder)).as_posix(), scope)
        if isinstance(content, str):
            found[name] = normal.lines(content, path.suffix, scope)
        else:
            found[name] = normal.value(content, scope)
    return found


def _rank(path: Path) -> int:
    return _FIRST.index(path.name) if path.name in _FIRST else len(_FIRST)


def _scope(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).parts
    return PurePosixPath(parts[min(1, len(parts) - 1)]).stem


def _read(path: Path) -> Any:
    text = path.read_text(encoding="utf-8", errors="replace")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text) if path.suffix == ".json" else text


def _learn(normal: Normal, scope: str, file: str, line: Any) -> None:
    if not isinstance(line, dict):
        return
    if "body" in line:
        # A request to a collector: what is sent to it may be in no file.
        file = PurePosixPath(line["path"]).name + ".jsonl"
        line = line["body"]
    if file == "observations.jsonl" and "id" in line:
        # A trace that no summary names was opened by the target itself.
        normal.learn(scope, "trace", line.get("trace_id", "none"))
        normal.learn(scope, str(line.get("name")), line["id"])
    elif file in ("traces.jsonl", "trace_summary.jsonl"):
        normal.learn(scope, "trace", line.get("trace_id", line.get("id", "none")))
