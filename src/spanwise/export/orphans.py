"""What dead processes left in a spool, on its way to their destination."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from spanwise import _guard, _state
from spanwise.export import segments, started
from spanwise.export.delivery import Delivery
from spanwise.export.leases import Lease, is_held_here
from spanwise.export.lines import LineFile
from spanwise.export.segments import Line, Segments

MOST_READ_BYTES = 2 << 20


def orphans(folders: list[Path]) -> Iterator[Segments]:
    """Yield what dead processes left in these folders, the oldest first, each under a lease.

    Whoever takes one must end it.
    """
    for folder in folders:
        for process in segments.processes(folder):
            path = segments.lease_path(folder, process)
            lease = None if is_held_here(path) else Lease.of_dead(path)
            if lease is None:
                continue
            found = Segments(folder, process, lease)
            # Another one may have delivered it all since the folder was looked into.
            if not found.is_empty or started.are_noted(folder, process):
                yield found
            else:
                found.end()


def keep_in(folder: Path, process: str) -> Callable[[Line], None]:
    """Return what puts lines aside that a destination refused, or that had to be cut for it."""

    def keep(line: Line) -> None:
        path = segments.kept_path(folder, process)
        try:
            LineFile(path).append(line.data + b"\n")
            _state.count("kept.spool")
        except OSError as error:
            _state.count("lost.spool")
            _guard.warn("kept.spool", f"cannot keep a line in {path}: {_guard.describe(error)}")

    return keep


class Orphan:
    """What a dead process left, on its way to a destination.

    Args:
        source: its segments.
        delivery: brings lines there.
    """

    def __init__(self, source: Segments, delivery: Delivery) -> None:
        self._source = source
        self._delivery = delivery
        self._keep = keep_in(source.folder, source.process)
        self._is_noted = started.are_noted(source.folder, source.process)
        # The last ones may have been delivered before their process could note that they ended.
        self._seen = started.ids_in(source.settled_before()) if self._is_noted else set()

    def deliver_some(self, on_settled: Callable[[], None]) -> int:
        """Deliver the next lines; return how many bytes that were, 0 where all is delivered.

        Args:
            on_settled: told that the destination took something, or refused it for good.

        Raises:
            AwayError: the destination takes nothing.
        """

        def settle(line: Line, count: int) -> None:
            self._source.settle(line, count)
            on_settled()

        lines = self._source.read(
            self._delivery.most_read_lines, MOST_READ_BYTES, rest=self._delivery.rest
        )
        if lines:
            self._delivery.deliver(lines, self._keep, settle)
            if self._is_noted:
                self._seen |= started.ids_in(lines)
        elif self._is_noted:
            lines = started.interrupted(self._source.folder, self._source.process, self._seen)
            self._delivery.deliver(lines, self._keep, lambda line, count: on_settled())
            _state.count("interrupted.spans", len(lines))
            started.forget(self._source.folder, self._source.process)
            self._is_noted = False
        return sum(len(line.data) for line in lines)

    def end(self) -> None:
        """Let others have what is left of it."""
        self._source.end()
