"""What `spanwise send` does: read, deliver, wait where nothing is taken, and say what became of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from spanwise import _state
from spanwise._destinations import Destination
from spanwise.cli import UserError
from spanwise.export import letters, segments
from spanwise.export.delivery import AwayError, Delivery
from spanwise.export.orphans import Orphan, orphans
from spanwise.export.otlp import OtlpCourier
from spanwise.export.places import UNSENT, Places, default_root
from spanwise.export.policy import RETRY_FIRST_S, RETRY_LONGEST_S, Action, Backoff
from spanwise.export.refilled import lines_in
from spanwise.export.segments import Line, Segments

_BATCH_LINES = 512

Advance = Callable[[int], None]


def send_files(paths: list[Path], destination: Destination, patience_s: float) -> bool:
    """Send the spans in files once more; return whether all of them were taken."""
    sender = _Sender(destination, patience_s)
    lines = lines_in(paths)
    total = sum(path.stat().st_size for path in paths)
    try:
        with _progress(total) as advance:
            while batch := list(itertools.islice(lines, _BATCH_LINES)):
                sender.deliver(batch, advance)
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}") from None
    except AwayError as away:
        click.echo(f"{sender.target} takes nothing: {away.verdict.reason}", err=True)
        sender.tell()
        return False
    return sender.tell()


def send_spools(
    root: Path | None, destination: Destination, patience_s: float, *, is_for_all: bool
) -> bool:
    """Deliver what dead processes left in spools; return whether nothing is left of it.

    Args:
        root: folder of spools, or of one destination's; None for the user's own.
        destination: where to.
        patience_s: how long to try where nothing is taken.
        is_for_all: deliver what was meant for other destinations, too.
    """
    folders = _folders(root) if is_for_all else Places(destination, root).existing()
    sender = _Sender(destination, patience_s)
    total = sum(path.stat().st_size for folder in folders for path in folder.glob("*.jsonl"))
    is_away = False
    left = 0
    with _progress(total) as advance:
        for source in orphans(folders):
            try:
                if letters.are_in(source):
                    left += 1
                    continue
                sender.deliver_orphan(source, advance)
            except AwayError as away:
                click.echo(f"{sender.target} takes nothing: {away.verdict.reason}", err=True)
                is_away = True
                break
            finally:
                source.end()
    is_all = sender.tell()
    if left:
        what = f"what {left} processes left is no spans, and waits for their program to send it"
        click.echo(what, err=True)
    running = 0 if is_away else sum(len(segments.processes(folder)) for folder in folders)
    if running:
        click.echo(f"{running} running processes deliver what they spooled themselves", err=True)
    return is_all and not is_away


def _folders(root: Path | None) -> list[Path]:
    """Return the folders of destinations in a root, or the one folder that was named.

    What is left to another program is sent only where its folder is the one that was named.
    """
    found = root or default_root()
    if not found.is_dir():
        raise UserError(f"there is no folder {found}")
    if segments.processes(found):
        return [found]
    return sorted(path for path in found.iterdir() if path.is_dir() and path.name != UNSENT)


class _Sender:
    """Delivers lines, with patience, and counts what became of them."""

    def __init__(self, destination: Destination, patience_s: float) -> None:
        courier = OtlpCourier(destination)
        self.target = courier.target
        self._delivery = Delivery(courier)
        self._patience_s = patience_s
        self._until = 0.0
        self._pauses = Backoff(RETRY_FIRST_S, RETRY_LONGEST_S)
        self._before = _state.counters()

    def deliver(self, lines: list[Line], advance: Advance) -> None:
        """Deliver lines.

        Raises:
            AwayError: the destination refuses whatever it is sent, or took nothing for too long.
        """
        left = lines

        def settle(line: Line, count: int) -> None:
            nonlocal left
            left = left[count:]
            self._took_something()

        def rest() -> int:
            # What is refused is in the files already.
            self._delivery.deliver(left, lambda line: None, settle)
            return 0

        self._patiently(rest)
        advance(sum(len(line.data) for line in lines))

    def deliver_orphan(self, source: Segments, advance: Advance) -> None:
        """Deliver what a dead process spooled.

        Raises:
            AwayError: the destination refuses whatever it is sent, or took nothing for too long.
        """
        orphan = Orphan(source, self._delivery)
        while size := self._patiently(lambda: orphan.deliver_some(self._took_something)):
            advance(size)

    def _took_something(self) -> None:
        self._until = time.monotonic() + self._patience_s
        self._pauses.reset()

    def _patiently(self, deliver: Callable[[], int]) -> int:
        self._took_something()
        while True:
            try:
                return deliver()
            except AwayError as away:
                asked_s, own_s = away.verdict.pause_s or 0.0, self._pauses.next()
                pause_s = max(asked_s, own_s)
                if away.verdict.action is Action.PARK or time.monotonic() + pause_s > self._until:
                    raise
                time.sleep(pause_s)

    def tell(self) -> bool:
        """Say what became of all lines; return whether all of them were taken."""
        now = _state.counters()
        counts = {name: now[name] - self._before.get(name, 0) for name in now}
        sent = counts.get("exported.otlp", 0)
        refused = counts.get("refused.otlp", 0) + counts.get("rejected.otlp", 0)
        click.echo(f"{sent} spans sent to {self.target}")
        if refused:
            kept = " and kept" if counts.get("kept.spool") else ""
            click.echo(f"{refused} spans refused{kept}", err=True)
        for name, what in (
            ("cut.otlp", "spans were too large and were cut"),
            ("torn.spool", "damaged lines were skipped"),
            ("unreadable.otlp", "lines hold no span"),
            ("unreadable.file", "lines hold no span"),
        ):
            if counts.get(name):
                click.echo(f"{counts[name]} {what}", err=True)
        return not refused


@contextmanager
def _progress(total: int) -> Iterator[Advance]:
    """Show a bar on stderr, where that is a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("sending"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("sending", total=total or None)
        yield lambda size: progress.advance(task, size)
