"""Deliver lines to one destination, in their order, until each of them is settled.

A line is settled once the destination has taken it, or has refused it for good; what it refuses,
and what has to be cut to be taken, is kept. Nothing here knows of files or threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from spanwise import _guard, _state
from spanwise.export.policy import Action, Answer, Verdict
from spanwise.export.segments import Line


@dataclass(frozen=True, slots=True)
class Parcel:
    """A line, ready to be sent.

    Attributes:
        line: as it was read.
        content: what the courier makes of it; None where it is nothing that can be sent.
        size: in bytes, as part of a request.
    """

    line: Line
    content: Any
    size: int


class Courier(Protocol):
    """Knows what lines mean, and how to bring them to one destination.

    Attributes:
        kind: what the counters call it: `exported.<kind>`, `refused.<kind>` and so on.
        target: what log lines call it.
        most_lines: in one request.
        most_bytes: in one request.
    """

    kind: str
    target: str
    most_lines: int
    most_bytes: int

    def pack(self, line: Line) -> Parcel:
        """Make a parcel; a line that means nothing has no content."""
        ...

    def shorten(self, line: Line, most_bytes: int) -> Line | None:
        """Return the line with its longest parts cut, None where that is not possible."""
        ...

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send one request; raises nothing."""
        ...

    def judge(self, answer: Answer) -> Verdict:
        """Say what an answer means."""
        ...

    def rejected(self, answer: Answer) -> tuple[int, str]:
        """Return how many lines of a request that was taken were not, and why."""
        ...

    def refused(self, line: Line, answer: Answer, verdict: Verdict) -> None:
        """Tell that a line was refused for good."""
        ...

    def close(self) -> None:
        """Let connections go; a later request makes new ones."""
        ...


class AwayError(Exception):
    """The destination takes nothing at the moment.

    Args:
        verdict: why, and for how long.
    """

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Delivery:
    """Delivers lines, in their order, until each is settled; knows nothing of threads.

    Args:
        courier: brings them there.
    """

    def __init__(self, courier: Courier) -> None:
        self._courier = courier

    def deliver(
        self,
        lines: Sequence[Line],
        keep: Callable[[Line], None],
        settle: Callable[[Line, int], None],
    ) -> None:
        """Send the lines.

        Args:
            lines: in their order.
            keep: puts a line aside that is refused, or has to be cut.
            settle: told of a line up to which all is settled, and how many lines that are since
                it was told before.

        Raises:
            AwayError: the destination takes nothing; what is settled was told.
        """
        todo = list(self._requests([self._packed(line, keep) for line in lines]))
        todo.reverse()
        while todo:
            parcels = todo.pop()
            sendable = [parcel for parcel in parcels if parcel.content is not None]
            if sendable:
                answer = self._courier.send(sendable)
                verdict = self._courier.judge(answer)
                if verdict.action in (Action.RETRY, Action.PARK):
                    raise AwayError(verdict)
                if verdict.action is Action.DELIVERED:
                    self._delivered(len(sendable), answer)
                elif len(parcels) > 1:
                    half = len(parcels) // 2
                    todo += [parcels[half:], parcels[:half]]
                    continue
                elif verdict.action is Action.SPLIT and (cut := self._cut(parcels[0], keep)):
                    todo.append([cut])
                    continue
                else:
                    self._refused(parcels[0].line, answer, verdict, keep)
            settle(parcels[-1].line, len(parcels))

    def _packed(self, line: Line, keep: Callable[[Line], None]) -> Parcel:
        parcel = self._courier.pack(line)
        if parcel.content is None:
            _state.count(f"unreadable.{self._courier.kind}")
        elif parcel.size > self._courier.most_bytes:
            return self._cut(parcel, keep) or self._given_up(parcel, keep)
        return parcel

    def _cut(self, parcel: Parcel, keep: Callable[[Line], None]) -> Parcel | None:
        """Return a smaller one in its stead, the whole of which is kept; None below a minimum."""
        most_bytes = min(self._courier.most_bytes, parcel.size // 2)
        shorter = self._courier.shorten(parcel.line, most_bytes)
        if shorter is None:
            return None
        if not parcel.line.is_cut:
            keep(parcel.line)
            _state.count(f"cut.{self._courier.kind}")
            _guard.warn(
                f"cut.{self._courier.kind}",
                f"what is too large for {self._courier.target} is cut; the whole of it is kept",
            )
        return self._courier.pack(replace(shorter, is_cut=True))

    def _given_up(self, parcel: Parcel, keep: Callable[[Line], None]) -> Parcel:
        keep(parcel.line)
        _state.count(f"refused.{self._courier.kind}")
        return Parcel(parcel.line, None, 0)

    def _requests(self, parcels: list[Parcel]) -> Iterator[list[Parcel]]:
        group: list[Parcel] = []
        size = 0
        for parcel in parcels:
            is_full = len(group) >= self._courier.most_lines
            if group and (is_full or size + parcel.size > self._courier.most_bytes):
                yield group
                group, size = [], 0
            group.append(parcel)
            size += parcel.size
        if group:
            yield group

    def _delivered(self, count: int, answer: Answer) -> None:
        rejected, why = self._courier.rejected(answer)
        rejected = min(max(rejected, 0), count)
        _state.count(f"exported.{self._courier.kind}", count - rejected)
        if rejected:
            _state.count(f"rejected.{self._courier.kind}", rejected)
        if rejected or why:
            _guard.warn(
                f"rejected.{self._courier.kind}",
                f"{self._courier.target} took a request, but {rejected} of it: {why[:300]}",
            )

    def _refused(
        self, line: Line, answer: Answer, verdict: Verdict, keep: Callable[[Line], None]
    ) -> None:
        if not line.is_cut:
            keep(line)
        _state.count(f"refused.{self._courier.kind}")
        with _guard.guard("courier.refused"):
            self._courier.refused(line, answer, verdict)
