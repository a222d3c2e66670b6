"""Examine the spools: what waits for which destination, whose it is, and what was put aside."""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from spanwise import _settings
from spanwise.doctor import findings
from spanwise.doctor.files import counted, room_in, size_of, time_of
from spanwise.doctor.findings import Finding
from spanwise.doctor.settings import address
from spanwise.doctor.surroundings import Surroundings
from spanwise.doctor.waiting import Budget, Waiting, kept_lines, waiting_in
from spanwise.export import places
from spanwise.export.places import ABOUT, UNSENT, Places, default_root

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LONGEST_ABOUT: Final = 65_536


def examine(found: Surroundings) -> Iterator[Finding]:
    """Yield what waits in the spool folder, and in the one that stands in for it."""
    root = Path(found.settings.spool_dir or default_root()).expanduser().absolute()
    current = {
        folder: destination
        for destination in found.destinations
        for folder in Places(destination, root).existing()
    }
    is_only = len(found.destinations) == 1
    budget = Budget()
    empty = 0
    for each in dict.fromkeys((root.resolve(), places._spare_root())):
        for folder in _folders(each):
            if folder.name == UNSENT:
                yield _unsent(folder, budget)
                continue
            here = list(_of_folder(folder, budget, is_only=is_only, current=current))
            yield from here
            empty += not here
    if empty:
        yield findings.fact(
            f"nothing waits in {counted(empty, 'folder')} of earlier destinations below {root}"
        )
    elif not current:
        yield findings.fact(f"spools are made in {root}", facts={"folder": str(root)})
    if found.destinations or found.settings.spool_only:
        yield from _of_root(root)
    yield findings.fact(
        "what a process lost is counted in that process: spanwise.stats() has it as lost.*, "
        "dropped.*, deleted.*, torn.* and rejected.*"
    )


def _of_root(root: Path) -> Iterator[Finding]:
    fault = _settings.why_not_writable(root)
    if fault:
        yield findings.warning(
            f"no spool can be written in {root}: {fault}; spans are spooled in "
            f"{places._spare_root()} instead",
            mend="name another folder in SPANWISE_SPOOL_DIR",
            facts={"folder": str(root)},
        )
    else:
        yield from room_in(root)


def _folders(root: Path) -> list[Path]:
    """Return the folders of destinations in a root."""
    try:
        if root == places._spare_root():
            places._check_owner(root)
        return sorted(path for path in root.iterdir() if path.is_dir())
    except OSError:
        return []


def _unsent(folder: Path, budget: Budget) -> Finding:
    waiting = waiting_in(folder, budget)
    return findings.fact(
        f"{_counted_lines(waiting)} in {folder}, for another program to read",
        facts={"folder": str(folder), "waiting_lines": sum(one.lines for one in waiting)},
    )


def _of_folder(
    folder: Path, budget: Budget, *, is_only: bool, current: dict[Path, Any]
) -> Iterator[Finding]:
    about = _about(folder)
    target = address(about["endpoint"]) if about["endpoint"] else folder.name
    facts = {
        "folder": str(folder),
        "endpoint": target,
        "protocol": about["protocol"],
        "configured": folder in current,
    }
    try:
        mode = folder.stat().st_mode
        next(folder.iterdir(), None)
    except OSError as error:
        yield findings.warning(f"{folder} cannot be looked into: {error.strerror}", facts=facts)
        return
    if mode & _OPEN_TO_OTHERS:
        yield findings.warning(
            f"others than its owner may look into {folder}",
            command=f"chmod 700 {shlex.quote(str(folder))}",
            facts=facts,
        )
    waiting = waiting_in(folder, budget)
    yield from _dead(folder, target, about, waiting, facts, is_only=is_only and folder in current)
    for one in (one for one in waiting if one.is_running):
        yield findings.fact(
            f"for {target}: {_amount(one)}, which process {one.pid} on {one.host} delivers",
            facts={**facts, **one.facts()},
        )
    torn = sum(one.torn for one in waiting)
    if torn:
        yield findings.warning(
            f"for {target}: {counted(torn, 'line')} damaged on the disk, which cannot be sent",
            facts={**facts, "torn_lines": torn},
        )
    kept = kept_lines(folder, budget)
    if kept:
        files = f"{shlex.quote(str(folder))}/*.kept.jsonl"
        yield findings.warning(
            f"for {target}: {counted(kept, 'line')} kept that it refused, or that were cut for it",
            mend="once it would take them, send them again, and delete the files",
            command=f"spanwise send {files} {_to(about)}",
            facts={**facts, "kept_lines": kept},
        )
    if folder in current and not waiting and not kept:
        yield findings.ok(f"for {target}: nothing waits", facts=facts)


def _dead(
    folder: Path,
    target: str,
    about: dict[str, str],
    waiting: list[Waiting],
    facts: dict[str, Any],
    *,
    is_only: bool,
) -> Iterator[Finding]:
    left = [one for one in waiting if not one.is_running]
    if not left:
        return
    lines, size = sum(one.lines for one in left), sum(one.size for one in left)
    since = min((one.since for one in left if one.since), default=None)
    text = f"for {target}: {_counted_lines(left)}, {size_of(size)}, of {_processes(len(left))}"
    text += f", the oldest from {time_of(since)}" if since is not None else ""
    facts = {
        **facts,
        "waiting_lines": lines,
        "waiting_bytes": size,
        "oldest": since and time_of(since),
        "processes": [one.facts() for one in left],
    }
    is_configured = facts["configured"]
    if any(one.is_letters for one in left):
        yield findings.warning(
            text,
            mend="no spans, but what the Brixo or FluxLoop face tells a server: the next process "
            "of the same application delivers it",
            facts=facts,
        )
    elif is_configured:
        yield findings.warning(
            text,
            mend="the next process with this destination delivers it, or say",
            command="spanwise send" if is_only else _send(folder, about),
            facts=facts,
        )
    else:
        yield findings.warning(
            f"{text}; this address, or its headers, are not configured any more",
            mend="send them there, with --header NAME=VALUE where that is needed, or elsewhere",
            command=_send(folder, about),
            facts=facts,
        )


def _send(folder: Path, about: dict[str, str]) -> str:
    return f"spanwise send --spool {shlex.quote(str(folder))} {_to(about)}"


def _to(about: dict[str, str]) -> str:
    endpoint = shlex.quote(address(about["endpoint"])) if about["endpoint"] else "URL"
    return f"--to {endpoint}" + (" --protocol grpc" if about["protocol"] == "grpc" else "")


def _amount(one: Waiting) -> str:
    return f"{_counted_lines([one])}, {size_of(one.size)}"


def _counted_lines(waiting: list[Waiting]) -> str:
    at_least = "" if all(one.is_all_read for one in waiting) else "at least "
    return at_least + counted(sum(one.lines for one in waiting), "line")


def _processes(number: int) -> str:
    return "a process that is gone" if number == 1 else f"{number} processes that are gone"


def _about(folder: Path) -> dict[str, str]:
    """Return what a folder says of its destination; anything may stand there."""
    told: Any = None
    try:
        with open(folder / ABOUT, "rb") as stream:
            told = orjson.loads(stream.read(_LONGEST_ABOUT))
    except (OSError, ValueError):
        pass
    if not isinstance(told, dict):
        told = {}
    values = {name: told.get(name) for name in ("endpoint", "protocol")}
    return {name: value if isinstance(value, str) else "" for name, value in values.items()}
