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

_MOST_READ_LINES = 512
_BYTES_OF_A_BITE = 2048  # packed in a part of the time in which nobody need rest


@dataclass(slots=True)  # frozen ones take three times as long to make
class Parcel:
    """A line, ready to be sent.

    Attributes:
        line: as it was read.
        content: what the courier makes of it; None where it is nothing that can be sent.
        size: in bytes, as part of a request.
        whole: the line of which this one is what was left when it was cut; None where it is whole.
    """

    line: Line
    content: Any
    size: int
    whole: Line | None = None


class Courier(Protocol):
    """Knows what lines mean, and how to bring them to one destination.

    Attributes:
        kind: what the counters call it: `exported.<kind>`, `refused.<kind>` and so on.
        target: what log lines call it.
        most_lines: in one request.
        most_bytes: in one request.
        linger_s: seconds that a line may wait for others to be sent with it.
    """

    kind: str
    target: str
    most_lines: int
    most_bytes: int
    linger_s: float

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
        rest: called after each small piece of work.

    Attributes:
        most_read_lines: as many as are worth reading at once.
        rest: as given.
    """

    def __init__(self, courier: Courier, rest: Callable[[], None] = lambda: None) -> None:
        self._courier = courier
        self.rest = rest
        self._unrested_bytes = 0
        # Lines of the first request: as many as that one had which found the destination away.
        self._most_first = courier.most_lines
        self.most_read_lines = max(_MOST_READ_LINES, courier.most_lines)

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
        most_first, self._most_first = self._most_first, self._courier.most_lines
        todo = list(self._requests([self._packed(line) for line in lines], most_first))
        todo.reverse()
        while todo:
            parcels = todo.pop()
            sendable = [parcel for parcel in parcels if parcel.content is not None]
            is_refused = False
            if sendable:
                answer = self._courier.send(sendable)
                verdict = self._courier.judge(answer)
                if verdict.action in (Action.RETRY, Action.PARK):
                    # A search for what is refused goes on here, even if it never has more than a
                    # few requests before the destination is away again.
                    self._most_first = len(parcels)
                    raise AwayError(verdict)
                if verdict.action is Action.DELIVERED:
                    self._delivered(len(sendable), answer)
                elif len(parcels) > 1:
                    half = len(parcels) // 2
                    todo += [parcels[half:], parcels[:half]]
                    continue
                elif verdict.action is Action.SPLIT and (cut := self._cut(parcels[0])):
                    todo.append([cut])
                    continue
                else:
                    is_refused = True
                    with _guard.guard("courier.refused"):
                        self._courier.refused(parcels[0].line, answer, verdict)
            # Only now: what has to be sent again is read, packed and cut again, too.
            for parcel in parcels:
                if is_refused or parcel.content is None or parcel.whole is not None:
                    self._put_aside(parcel, keep, is_refused=is_refused)
            settle(parcels[-1].line, len(parcels))

    def _packed(self, line: Line) -> Parcel:
        parcel = self._courier.pack(line)
        self._unrested_bytes += parcel.size or len(line.data)
        if self._unrested_bytes > _BYTES_OF_A_BITE:
            self._unrested_bytes = 0
            self.rest()
        if parcel.content is None or parcel.size <= self._courier.most_bytes:
            return parcel
        return self._cut(parcel) or Parcel(line, None, 0, whole=line)

    def _cut(self, parcel: Parcel) -> Parcel | None:
        """Return a smaller one in its stead; None below a minimum."""
        most_bytes = min(self._courier.most_bytes, parcel.size // 2)
        shorter = self._courier.shorten(parcel.line, most_bytes)
        if shorter is None:
            return None
        return replace(self._courier.pack(shorter), whole=parcel.whole or parcel.line)

    def _put_aside(self, parcel: Parcel, keep: Callable[[Line], None], *, is_refused: bool) -> None:
        """Keep, and count, what was settled without having arrived, or not as a whole."""
        kind = self._courier.kind
        if is_refused or (parcel.content is None and parcel.whole is not None):
            keep(parcel.whole or parcel.line)
            _state.count(f"refused.{kind}")
        elif parcel.content is None:
            _state.count(f"unreadable.{kind}")
        elif parcel.whole is not None:
            keep(parcel.whole)
            _state.count(f"cut.{kind}")
            _guard.warn(
                f"cut.{kind}",
                f"what is too large for {self._courier.target} is cut; the whole of it is kept",
            )

    def _requests(self, parcels: list[Parcel], most_first: int) -> Iterator[list[Parcel]]:
        group: list[Parcel] = []
        size, most_lines = 0, most_first
        for parcel in parcels:
            is_full = len(group) >= most_lines
            if group and (is_full or size + parcel.size > self._courier.most_bytes):
                yield group
                group, size, most_lines = [], 0, self._courier.most_lines
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
