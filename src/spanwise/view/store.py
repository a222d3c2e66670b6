"""Read a folder of JSONL files back: lines to observations, observations to trees, a tree a trace.

Both layouts are understood: `traces_YYYYMMDD.jsonl` and `observations_YYYYMMDD.jsonl` (with a
number behind the day where one file was full), and the older `traces.jsonl` and
`observations.jsonl`. Whoever wrote them may have been killed half-way or share the folder with
others, so nothing in them is taken for granted: what is no line of ours is counted, a missing
parent makes a root, a cycle of parents is cut, and depth costs no recursion.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

import orjson

_FILE: Final = re.compile(r"(traces|observations)(?:_([0-9]{8})(?:_([0-9]{1,9}))?)?\.jsonl")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME: Final = re.compile(r"(.{19})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})?")
_IDS: Final = ("id", "trace_id", "parent_id", "root_id")
_NEVER: Final = datetime.max.replace(tzinfo=timezone.utc)


@dataclass(slots=True, eq=False)
class Observation:
    """One observation, and what happened below it.

    Attributes:
        id: 16 hexadecimal digits, or whatever an older file holds; UUIDs without their dashes.
        parent_id: as written; the parent itself may be missing.
        type: in lower case.
        start, end: in UTC, None where the file does not say.
        error: its text, None where nothing failed.
        line: the observation as one JSON object in today's spelling. Input, output, metadata and
            attributes are read from it when asked for, so that a large folder fits in memory.
        children: ordered by their start.
    """

    id: str
    trace_id: str
    parent_id: str | None
    type: str
    name: str
    start: datetime | None
    end: datetime | None
    error: str | None
    level: str | None
    model: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    tags: tuple[str, ...]
    user_id: str | None
    account_id: str | None
    session_id: str | None
    line: bytes = field(repr=False)
    children: list[Observation] = field(default_factory=list, repr=False)

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
        return _mapping(orjson.loads(self.line).get("metadata"))

    @property
    def attributes(self) -> dict[str, Any]:
        """Everything else that the span said of itself."""
        return _mapping(orjson.loads(self.line).get("attributes"))


@dataclass(slots=True, eq=False)
class Trace:
    """Everything that is known of one trace, over all of its lines and observations.

    Attributes:
        id: 32 hexadecimal digits, or whatever an older file holds; UUIDs without their dashes.
        roots: the observations that have no parent here, ordered by their start.
        start, end: the first start and the last end, in UTC.
        status: as the lines of its roots say; without one, "error" if a root failed.
        error: the text that a trace's line gives.
        user_ids, account_ids, session_ids: all that occur, those of the root first.
        service: `service.name` of the resource.
        prompt_tokens, completion_tokens, total_tokens: sums that count an observation only if
            nothing below it has tokens, for a parent repeats what its descendants used.
        line: the trace as one JSON object with the keys of a trace's line.
    """

    id: str
    name: str
    roots: list[Observation] = field(repr=False)
    start: datetime | None
    end: datetime | None
    status: Literal["success", "error"]
    error: str | None
    user_ids: tuple[str, ...]
    account_ids: tuple[str, ...]
    session_ids: tuple[str, ...]
    tags: tuple[str, ...]
    metadata: dict[str, Any]
    service: str | None
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    line: bytes = field(repr=False)

    def walk(self) -> Iterator[tuple[int, Observation]]:
        """Yield every observation with its depth (0 for a root), parents before children."""
        return _walk(self.roots)

    def to_json(self) -> bytes:
        """Return the trace as one JSON object, observations nested under `children`."""
        parts = [self.line[:-1], b',"children":[']
        open_depth = -1
        for depth, observation in self.walk():
            if depth <= open_depth:
                parts += [b"]}" * (open_depth - depth + 1), b","]
            parts += [observation.line[:-1], b',"children":[']
            open_depth = depth
        parts.append(b"]}" * (open_depth + 2))
        return b"".join(parts)


@dataclass(slots=True)
class Traces:
    """What a folder holds.

    Attributes:
        traces: ordered by their start; those that do not say when come first.
        torn_lines: how many lines were skipped because they are no line of ours.
        files: what was read, the oldest day first.
        unreadable: why a file could not be read, by its name.
    """

    traces: list[Trace] = field(default_factory=list)
    torn_lines: int = 0
    files: list[Path] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


class Store:
    """The files of one folder.

    Args:
        folder: read anew at every `read()`; one that does not exist holds no traces.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> Traces:
        """Return everything that the folder holds now.

        Raises:
            OSError: the folder itself cannot be listed.
        """
        found = Traces()
        observations: dict[str, dict[str, Observation]] = {}
        lines: dict[str, dict[tuple[str, str], bytes]] = {}
        for path in self._paths():
            is_trace = path.name.startswith("traces")
            try:
                with path.open("rb") as file:
                    for raw in file:
                        # A writer ends its neighbour's torn line, which can leave an empty one.
                        if not (raw := raw.strip()):
                            continue
                        line, text = _line(raw, is_trace)
                        trace_id, own_id = line.get("trace_id"), line.get("id")
                        if not trace_id or not isinstance(trace_id, str):
                            found.torn_lines += 1
                        elif is_trace:
                            # Two lines of one root are one line written twice: the last one wins.
                            key = (str(line.get("root_id")), str(line.get("start_time")))
                            lines.setdefault(trace_id, {})[key] = text
                        elif not own_id or not isinstance(own_id, str):
                            found.torn_lines += 1
                        else:
                            siblings = observations.setdefault(trace_id, {})
                            siblings[own_id] = _observation(own_id, trace_id, line, text)
            except FileNotFoundError:
                continue  # A writer's size cap took it after we had listed it.
            except OSError as error:
                found.unreadable[path.name] = error.strerror or str(error)
                continue
            found.files.append(path)
        for trace_id in {**observations, **lines}:
            own_lines = list(lines.get(trace_id, {}).values())
            found.traces.append(_trace(trace_id, own_lines, observations.get(trace_id, {})))
        found.traces.sort(key=lambda trace: (trace.start is not None, trace.start or _NEVER))
        return found

    def _paths(self) -> list[Path]:
        paths = []
        for path in self.folder.iterdir() if self.folder.exists() else ():
            match = _FILE.fullmatch(path.name)
            # A pipe or a socket of that name would make us wait for ever.
            if match and path.is_file():
                paths.append((match[2] or "", int(match[3] or 1), path))
        return [path for _, _, path in sorted(paths)]


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


def _line(raw: bytes, is_trace: bool) -> tuple[dict[str, Any], bytes]:
    """Return a line in today's spelling, as an object and as JSON; a torn one is empty."""
    try:
        line = orjson.loads(raw)
    except ValueError:
        try:
            # The standard library writes NaN and halves of surrogate pairs; neither is JSON.
            text = json.dumps(json.loads(raw, parse_constant=str), ensure_ascii=False)
            raw = text.encode("utf-8", "replace")
            line = orjson.loads(raw)
        except (ValueError, RecursionError):
            return {}, b""
    if not isinstance(line, dict):
        return {}, b""
    is_changed = False
    for old, new in (
        (("id", "trace_id"),) if is_trace else (("parent_observation_id", "parent_id"),)
    ):
        if old in line and line.get(new) is None:
            line[new] = line.pop(old)
            is_changed = True
    for key in _IDS:
        value = line.get(key)
        if isinstance(value, str) and len(value) == 36 and _UUID.fullmatch(value):
            line[key] = value.replace("-", "").lower()
            is_changed = True
    kind = line.get("type")
    if isinstance(kind, str) and kind != kind.lower():
        line["type"] = kind.lower()
        is_changed = True
    return line, dump(line) if is_changed else raw


def _observation(own_id: str, trace_id: str, line: Mapping[str, Any], text: bytes) -> Observation:
    prompt, completion = _count(line.get("prompt_tokens")), _count(line.get("completion_tokens"))
    total = _count(line.get("total_tokens"))
    if total is None and (prompt is not None or completion is not None):
        total = (prompt or 0) + (completion or 0)
    level = _text(line.get("level"))
    return Observation(
        id=own_id,
        trace_id=trace_id,
        parent_id=_text(line.get("parent_id")),
        type=_text(line.get("type")) or "span",
        name=_text(line.get("name")) or "",
        start=_time(line.get("start_time")),
        end=_time(line.get("end_time")),
        error=_text(line.get("error")),
        level=level.lower() if level else None,
        model=_text(line.get("model")),
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        tags=_texts(line.get("tags")),
        user_id=_text(line.get("user_id")),
        account_id=_text(line.get("account_id")),
        session_id=_text(line.get("session_id")),
        line=text,
    )


def _trace(trace_id: str, texts: Sequence[bytes], found: Mapping[str, Observation]) -> Trace:
    roots = _tree(found)
    ordered = [observation for _, observation in _walk(roots)]
    # A process that was called by another one writes a line too; the caller's speaks for all.
    ranked = sorted(
        (
            (_is_called(line, found), _time(line.get("start_time")) or _NEVER, line)
            for line in map(orjson.loads, texts)
        ),
        key=lambda ranked: ranked[:2],
    )
    lines = [line for _, _, line in ranked]
    speakers = [line for is_called, _, line in ranked if not is_called] or lines
    first: dict[str, Any] = lines[0] if lines else {}
    statuses = [status.lower() for line in speakers if (status := _text(line.get("status")))]
    failed = "error" in statuses if statuses else any(root.failed for root in roots)
    starts = [*(_time(line.get("start_time")) for line in lines), *(o.start for o in ordered)]
    ends = [*(_time(line.get("end_time")) for line in lines), *(o.end for o in ordered)]
    tags = [_texts(line.get("tags")) for line in lines] or [root.tags for root in roots]
    prompt, completion, total = _tokens(ordered)
    trace = Trace(
        id=trace_id,
        name=_text(first.get("name")) or (roots[0].name if roots else ""),
        roots=roots,
        start=min(filter(None, starts), default=None),
        end=max(filter(None, ends), default=None),
        status="error" if failed else "success",
        error=next(_each("error", speakers), None),
        user_ids=_distinct([*_each("user_id", lines), *(o.user_id for o in ordered)]),
        account_ids=_distinct([*_each("account_id", lines), *(o.account_id for o in ordered)]),
        session_ids=_distinct([*_each("session_id", lines), *(o.session_id for o in ordered)]),
        tags=_distinct(tag for several in tags for tag in several),
        metadata=_mapping(first.get("metadata")) if first or not roots else roots[0].metadata,
        service=next(
            _each("service.name", [_mapping(line.get("resource")) for line in lines]), None
        ),
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        line=b"",
    )
    trace.line = dump({**first, **_trace_keys(trace)})
    return trace


def _trace_keys(trace: Trace) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "trace_id": trace.id,
        "name": trace.name,
        "session_id": trace.session_ids[0] if trace.session_ids else None,
        "start_time": trace.start.isoformat() if trace.start else None,
        "end_time": trace.end.isoformat() if trace.end else None,
        "metadata": trace.metadata,
        "tags": trace.tags,
        "status": trace.status,
    }
    if trace.user_ids:
        keys["user_id"] = trace.user_ids[0]
    if trace.account_ids:
        keys["account_id"] = trace.account_ids[0]
    return keys


def _is_called(line: Mapping[str, Any], found: Mapping[str, Observation]) -> bool:
    root = found.get(_text(line.get("root_id")) or "")
    return root is not None and root.parent_id is not None


def _tree(found: Mapping[str, Observation]) -> list[Observation]:
    """Link the observations of one trace to their children and return the roots."""
    ordered = sorted(found.values(), key=_start)
    roots: list[Observation] = []
    for observation in ordered:
        parent = found.get(observation.parent_id or "")
        (roots if parent is None else parent.children).append(observation)
    reached = {observation.id for _, observation in _walk(roots)}
    if len(reached) < len(ordered):
        for observation in ordered:
            # No root leads here, so the way up must end in a cycle: cut it where we enter it.
            if observation.id in reached:
                continue
            path: set[str] = set()
            while observation.id not in path:
                path.add(observation.id)
                observation = found[observation.parent_id or ""]
            found[observation.parent_id or ""].children.remove(observation)
            roots.append(observation)
            reached.update(below.id for _, below in _walk([observation]))
        roots.sort(key=_start)
    return roots


def _walk(roots: Sequence[Observation]) -> Iterator[tuple[int, Observation]]:
    waiting = [(0, root) for root in reversed(roots)]
    while waiting:
        depth, observation = waiting.pop()
        yield depth, observation
        waiting += [(depth + 1, child) for child in reversed(observation.children)]


def _tokens(ordered: Sequence[Observation]) -> tuple[int, int, int]:
    prompt = completion = total = 0
    carriers: set[str] = set()
    # Children come behind their parents, so from the end they come first.
    for observation in reversed(ordered):
        is_repeated = any(child.id in carriers for child in observation.children)
        if observation.total_tokens and not is_repeated:
            prompt += observation.prompt_tokens or 0
            completion += observation.completion_tokens or 0
            total += observation.total_tokens
        if observation.total_tokens or is_repeated:
            carriers.add(observation.id)
    return prompt, completion, total


def _start(observation: Observation) -> datetime:
    return observation.start or _NEVER


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        # Python 3.10 knows neither Z nor any fraction but three or six digits.
        match = _TIME.fullmatch(value)
        if match is None:
            return None
        fraction = (match[2] or "")[:6].ljust(6, "0")
        offset = "+00:00" if match[3] in (None, "Z") else match[3]
        try:
            time = datetime.fromisoformat(f"{match[1]}.{fraction}{offset}")
        except ValueError:
            return None
    try:
        return (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except OverflowError:
        return None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return dump(value).decode()


def _texts(value: Any) -> tuple[str, ...]:
    return _distinct(_text(item) for item in value) if isinstance(value, list) else ()


def _each(key: str, lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (text for line in lines if (text := _text(line.get(key))))


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**63:
        return None
    return int(value)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
