"""Read a folder of JSONL files back: observations to trees, a tree a trace.

Both layouts are understood: `traces_YYYYMMDD.jsonl` and `observations_YYYYMMDD.jsonl` (with a
number behind the day where one file was full), and the older `traces.jsonl` and
`observations.jsonl`. Whoever wrote them may have been killed half-way or share the folder with
others, so nothing in them is taken for granted: what is no line of ours is counted, a missing
parent makes a root, a cycle of parents is cut, and depth costs no recursion.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from spanwise._token_sums import Counted, repeats
from spanwise.view.lines import Observation, as_mapping, as_text, as_texts, as_time, dump, parse

_FILE: Final = re.compile(r"(traces|observations)(?:_([0-9]{8})(?:_([0-9]{1,9}))?)?\.jsonl")
_NEVER: Final = datetime.max.replace(tzinfo=timezone.utc)


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
        prompt_tokens, completion_tokens, total_tokens: sums without what an observation repeats of
            those below it.
        line: the trace's first line as one JSON object, an empty one where it has none.
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
        known: dict[str, Any] = {
            "trace_id": self.id,
            "name": self.name,
            "session_id": self.session_ids[0] if self.session_ids else None,
            "start_time": self.start.isoformat() if self.start else None,
            "end_time": self.end.isoformat() if self.end else None,
            "metadata": self.metadata,
            "tags": self.tags,
            "status": self.status,
        }
        if self.user_ids:
            known["user_id"] = self.user_ids[0]
        if self.account_ids:
            known["account_id"] = self.account_ids[0]
        parts = [dump({**orjson.loads(self.line), **known})[:-1], b',"children":[']
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
        observations: defaultdict[str, dict[str, Observation]] = defaultdict(dict)
        lines: defaultdict[str, dict[tuple[str, str], bytes]] = defaultdict(dict)
        for path in self._paths():
            is_trace = path.name.startswith("traces")
            try:
                with path.open("rb") as file:
                    # A writer ends its neighbour's torn line, which can leave an empty one.
                    for raw in filter(None, map(bytes.strip, file)):
                        if (parsed := parse(raw, is_trace)) is None:
                            found.torn_lines += 1
                            continue
                        line, text = parsed
                        if is_trace:
                            # Two lines of one root are one line written twice: the last one wins.
                            key = (str(line.get("root_id")), str(line.get("start_time")))
                            lines[line["trace_id"]][key] = text
                        else:
                            made = Observation.from_line(line, text)
                            observations[made.trace_id][made.id] = made
            except FileNotFoundError:
                pass  # A writer's size cap took it after we had listed it.
            except OSError as error:
                found.unreadable[path.name] = error.strerror or str(error)
            else:
                found.files.append(path)
        for trace_id in {**observations, **lines}:
            found.traces.append(_trace(trace_id, lines[trace_id].values(), observations[trace_id]))
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


def _trace(trace_id: str, texts: Iterable[bytes], found: Mapping[str, Observation]) -> Trace:
    def is_called(line: Mapping[str, Any]) -> bool:
        root = found.get(as_text(line.get("root_id")) or "")
        return root is not None and root.parent_id is not None

    # A process that was called by another one writes a line too; the caller's speaks for all.
    lines: list[dict[str, Any]] = sorted(
        map(orjson.loads, texts),
        key=lambda line: (is_called(line), as_time(line.get("start_time")) or _NEVER),
    )
    speakers = [line for line in lines if not is_called(line)] or lines
    first = lines[0] if lines else {}
    roots = _linked(found)
    ordered = [observation for _, observation in _walk(roots)]
    statuses = [status.lower() for status in _each("status", speakers)]
    failed = "error" in statuses if statuses else any(root.failed for root in roots)
    starts = [*(as_time(line.get("start_time")) for line in lines), *(o.start for o in ordered)]
    # What is said of a trace later, as feedback, does not make it longer.
    lasting = [o for o in ordered if o.type != "event"] or ordered
    ends = [*(as_time(line.get("end_time")) for line in lines), *(o.end for o in lasting)]
    tags = [as_texts(line.get("tags")) for line in lines] or [root.tags for root in roots]
    resources = [as_mapping(line.get("resource")) for line in lines]
    prompt, completion, total = _tokens(ordered)
    return Trace(
        id=trace_id,
        name=as_text(first.get("name")) or (roots[0].name if roots else ""),
        roots=roots,
        start=min(filter(None, starts), default=None),
        end=max(filter(None, ends), default=None),
        status="error" if failed else "success",
        error=next(_each("error", speakers), None),
        user_ids=_distinct([*_each("user_id", lines), *(o.user_id for o in ordered)]),
        account_ids=_distinct([*_each("account_id", lines), *(o.account_id for o in ordered)]),
        session_ids=_distinct([*_each("session_id", lines), *(o.session_id for o in ordered)]),
        tags=_distinct(tag for several in tags for tag in several),
        metadata=as_mapping(first.get("metadata")) if lines else roots[0].metadata,
        service=next(_each("service.name", resources), None),
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        line=dump(first),
    )


def _linked(found: Mapping[str, Observation]) -> list[Observation]:
    """Link the observations of one trace to their children and return the roots."""
    ordered = sorted(found.values(), key=lambda observation: observation.start or _NEVER)
    cut: set[str] = set()
    settled: set[str] = set()
    for observation in ordered:
        path: set[str] = set()
        above: Observation | None = observation
        while above is not None and above.id not in settled:
            if above.id in path:
                cut.add(above.id)  # The way up enters a cycle here, which begins and ends with it.
                break
            path.add(above.id)
            above = found.get(above.parent_id or "")
        settled |= path
    roots: list[Observation] = []
    for observation in ordered:
        parent = None if observation.id in cut else found.get(observation.parent_id or "")
        (roots if parent is None else parent.children).append(observation)
    return roots


def _walk(roots: Sequence[Observation]) -> Iterator[tuple[int, Observation]]:
    waiting = [(0, root) for root in reversed(roots)]
    while waiting:
        depth, observation = waiting.pop()
        yield depth, observation
        waiting += [(depth + 1, child) for child in reversed(observation.children)]


def _tokens(ordered: Sequence[Observation]) -> tuple[int, int, int]:
    prompt = completion = total = 0
    # Sums of what was told at or below an observation, by type.
    told: dict[str, dict[str, list[int]]] = {}
    # Children come behind their parents, so from the end they come first.
    for observation in reversed(ordered):
        below: dict[str, list[int]] = {}
        for child in observation.children:
            for kind, tokens in told.pop(child.id).items():
                _add(below, kind, tokens)
        if observation.total_tokens:
            parts = (observation.prompt_tokens or 0, observation.completion_tokens or 0)
            alone = 0 if any(parts) else observation.total_tokens
            counted = Counted(observation.type, (*parts, alone), observation.is_ours)
            if not repeats(counted, list(below.items())):
                prompt += parts[0]
                completion += parts[1]
                total += observation.total_tokens
                _add(below, counted.kind, counted.tokens)
        told[observation.id] = below
    return prompt, completion, total


def _add(sums: dict[str, list[int]], kind: str, tokens: Sequence[int]) -> None:
    sums[kind] = [one + more for one, more in zip(sums.get(kind, (0, 0, 0)), tokens, strict=True)]


def _each(key: str, lines: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (text for line in lines if (text := as_text(line.get(key))))


def _distinct(values: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
