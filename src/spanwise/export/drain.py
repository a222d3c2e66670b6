"""Bring what is spooled to its destination: a thread that owns the network.

It reads the segments of this process and, one after another, those that dead processes left.
While the destination is away it waits; nothing else ever does.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from time import monotonic, sleep

from opentelemetry import context as context_api
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context

from spanwise import _contexts, _guard, _state
from spanwise._processes import PerProcess
from spanwise.export import policy, segments
from spanwise.export.backlog import Backlog
from spanwise.export.delivery import AwayError, Courier, Delivery
from spanwise.export.orphans import MOST_READ_BYTES, Orphan, keep_in, orphans
from spanwise.export.pace import Pace
from spanwise.export.policy import Action, Backoff, Verdict
from spanwise.export.segments import Line, Segments
from spanwise.export.spool import Spool

_SCAN_EVERY_S = 5.0
_PROBE_EVERY_S = 1.0
_LOOK_EVERY_S = 0.005
_LOOK_LINGERING_S = 0.02


class Drainer:
    """Delivers what one process spools for one destination, and what dead ones did.

    Args:
        spool: where lines are.
        backlog: what could not be written to it yet.
        courier: brings lines to the destination.
        are_open: says whether spans of this process may still end.
    """

    def __init__(
        self,
        spool: Spool,
        backlog: Backlog,
        courier: Courier,
        are_open: Callable[[], bool] = lambda: False,
    ) -> None:
        self._spool = spool
        self._are_open = are_open
        self._backlog = backlog
        self._courier = courier
        self._own = PerProcess(_Own)
        self._pace = Pace(backlog.written, self._is_waited_for)
        self._delivery = Delivery(courier, self._pace.rest)

    def notify(self) -> None:
        """Say that there is a further line; never waits."""
        own = self._own.get()
        if not own.is_rung:
            own.is_rung = True
            own.bell.put(None)
        if own.thread is None and not _state.is_exiting:
            self._start(own)

    def look_for_orphans(self) -> None:
        """Begin to deliver what dead processes left, if they left something."""
        if any(segments.processes(folder) for folder in self._spool.places.existing()):
            self.notify()

    def wake(self) -> None:
        """Have what waits sent now, unless the destination is away; never waits."""
        own = self._own.peek()
        if own is not None and own.thread is not None:
            own.is_hurried = True
            own.bell.put(None)

    def flush(self, timeout_s: float) -> bool:
        """Return whether every line of this process was settled in that time, and none was lost.

        A destination that is away is tried again at once, and then every second; one that only a
        person can mend once, and one that asked for a pause after it. What dead processes left is
        waited for as well, but changes nothing in what is returned.
        """
        probe_at = monotonic()
        until = probe_at + timeout_s
        own = self._own.get()
        waited = self._backlog.waits()
        written = self._backlog.written()
        failures = own.failures

        def is_settled() -> bool:
            nonlocal waited, written
            if self._backlog.waits():
                return False
            if waited:  # what waited in memory has arrived, or is in the spool by now
                waited, written = False, self._backlog.written()
            return own.settled >= written

        if own.settled < written and own.thread is None:
            own.is_idle = False
            self._start(own)
        own.is_waited_for = True
        while monotonic() < until:
            if own.thread is None or (own.is_parked and own.failures > failures):
                break
            if own.is_away and own.asked_until > until:  # nothing will be sent in that time
                break
            if is_settled() and (own.is_away or (own.is_idle and not own.is_rung)):
                break
            if monotonic() >= probe_at:
                own.is_probing = True
                self.wake()
                probe_at += _PROBE_EVERY_S
            sleep(_LOOK_EVERY_S)
        own.is_waited_for = False
        return is_settled() and not own.has_lost and not self._backlog.has_lost()

    def close(self, timeout_s: float) -> None:
        """Deliver as far as the time allows; the rest is there for the next process."""
        own = self._own.get()
        until = monotonic() + timeout_s
        if own.thread is None and own.settled < self._backlog.written():
            own.is_idle = False
            self._start(own)
        own.closing_at = self._backlog.written()
        own.is_closing = True
        self.wake()
        while own.thread is not None and monotonic() < until:
            sleep(_LOOK_EVERY_S)
        if own.thread is None:
            self._let_go(own)

    def _is_waited_for(self) -> bool:
        own = self._own.get()
        return own.is_waited_for or own.is_hurried or own.is_closing

    def _start(self, own: _Own) -> None:
        try:
            own.permits.pop()
        except IndexError:  # another thread starts it just now
            return
        # The thread outlives the span that happens to be the first one.
        token = _contexts.attach(Context())
        try:
            own.thread = threading.Thread(
                target=self._run, args=(own,), name=f"spanwise-{self._courier.kind}", daemon=True
            )
            own.thread.start()
        except RuntimeError:  # at the exit no thread can be started; what is spooled stays there
            own.thread = None
            own.permits.append(None)
        finally:
            _contexts.detach(token)

    def _run(self, own: _Own) -> None:
        # Instrumentors of HTTP clients make spans of requests; ours are not the program's.
        _contexts.attach(context_api.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        try:
            while not own.is_done:
                if own.is_idle:
                    self._idle(own)
                own.is_idle = own.is_rung = own.is_probing = False
                self._deliver_all(own)
            self._let_go(own)
        except Exception as error:  # noqa: BLE001 - what is spooled stays there
            _guard.swallow("drain", error)
        own.thread = None
        own.permits.append(None)

    def _deliver_all(self, own: _Own) -> None:
        """Deliver until nothing is left; where the destination is away, wait for a while."""
        self._pace.begin()
        try:
            while True:
                is_more = self._deliver_own(own)
                is_done = self._is_done(own)
                if not self._deliver_orphans(own) and (not is_more or is_done):
                    break
            own.is_idle = True
            own.is_done = self._is_done(own)
        except AwayError as away:
            self._wait_for_destination(own, away.verdict)
        except Exception as error:  # noqa: BLE001 - tried again, as if the destination were away
            _guard.swallow("drain", error)
            self._wait_for_bell(own, own.retry.next())
            own.is_done = own.is_closing

    def _is_done(self, own: _Own) -> bool:
        """Return whether the close has nothing to wait for.

        What threads go on to spool is left to the next process; what is in memory cannot be.
        """
        is_settled = own.settled >= own.closing_at and not self._backlog.waits()
        return own.is_closing and is_settled

    def _deliver_own(self, own: _Own) -> bool:
        """Deliver what this process spooled; return whether there is more of it than a few lines.

        Those are sent with the ones that follow them: a request costs as much as many lines.
        """
        written = self._backlog.written()
        mine, number = self._spool.current()
        if mine is not None:
            lines = mine.read(
                self._delivery.most_read_lines,
                MOST_READ_BYTES,
                written_to=number,
                rest=self._pace.rest,
            )
            if lines:

                def settle(line: Line, count: int) -> None:
                    mine.settle(line, count)
                    own.settled += count
                    self._is_back(own)

                self._delivery.deliver(lines, keep_in(mine.folder, mine.process), settle)
                return own.settled < written or len(lines) >= self._delivery.most_read_lines
        if own.settled < written:
            # All that is there was read: the rest was deleted meanwhile, or is another's by now.
            own.settled = written
            own.has_lost = True
        return self._deliver_from_memory(own)

    def _deliver_from_memory(self, own: _Own) -> bool:
        """Deliver lines that cannot be written to the spool just now."""
        taken = self._backlog.take(self._delivery.most_read_lines)
        if not taken:
            return False
        settled = 0

        def settle(line: Line, count: int) -> None:
            nonlocal settled
            settled += count
            self._is_back(own)

        lines = [Line(line.rstrip(b"\n")) for line in taken]
        try:
            self._delivery.deliver(lines, self._keep_anywhere, settle)
        finally:
            self._backlog.give_back(taken[settled:])
        return True

    def _keep_anywhere(self, line: Line) -> None:
        try:
            keep_in(self._spool.places.made(), "unspooled")(line)
        except OSError as error:
            _state.count("lost.spool")
            _guard.warn("kept.spool", f"cannot keep a line: {_guard.describe(error)}")

    def _deliver_orphans(self, own: _Own) -> bool:
        if own.orphan is None:
            own.orphan = self._next_orphan(own)
        if own.orphan is None:
            return False
        if not own.orphan.deliver_some(lambda: self._is_back(own)):
            orphan, own.orphan = own.orphan, None
            orphan.end()
        return True

    def _next_orphan(self, own: _Own) -> Orphan | None:
        # Each is taken once in a round: one that cannot be removed must not be taken on and on.
        if own.found is None:
            if monotonic() < own.scan_at:
                return None
            own.found = orphans(self._spool.places.existing())
        found = next(own.found, None)
        if found is None:
            own.found = None
            own.scan_at = monotonic() + _SCAN_EVERY_S
            return None
        _state.count(f"adopted.{self._courier.kind}")
        return Orphan(found, Delivery(self._courier, self._pace.rest))

    def _is_back(self, own: _Own) -> None:
        own.retry.reset()
        own.park.reset()
        if own.is_away:
            own.is_away = own.is_parked = False
            if own.told:
                _guard.tell(f"{self._courier.target} is back")
            own.told = ""

    def _wait_for_destination(self, own: _Own, verdict: Verdict) -> None:
        own.is_away = True
        own.is_parked = verdict.action is Action.PARK
        self._tell_away(own, verdict)
        own.failures += 1  # at last: whoever waits for it finds that it was told
        if own.is_closing:  # what is left is there for the next process
            own.is_done = True
            return
        _state.count(f"retried.{self._courier.kind}")
        pause_s = (own.park if own.is_parked else own.retry).next()
        # Where it asked for a pause it gets it, whoever is in a hurry.
        now = monotonic()
        own.asked_until = now + (verdict.pause_s or 0.0)
        until = max(own.asked_until, now + pause_s)
        while not own.is_closing and (now := monotonic()) < until:
            is_asked = now < own.asked_until
            if own.is_probing and not is_asked:
                break
            self._wait_for_bell(own, (own.asked_until if is_asked else until) - now)
        own.is_done = own.is_closing and monotonic() < own.asked_until

    def _tell_away(self, own: _Own, verdict: Verdict) -> None:
        """Say once that the destination is away, and once more when that turns into a refusal."""
        target = self._courier.target
        if own.is_parked and own.told != verdict.reason:
            own.told = verdict.reason
            _guard.tell(f"{target}: {verdict.reason}; what is sent there waits in the spool")
        elif not own.told and _guard.warn(
            f"away {target}", f"{target} is away, what is sent there waits: {verdict.reason}"
        ):
            own.told = verdict.reason

    def _idle(self, own: _Own) -> None:
        """Wait for lines, or until it is time to look for orphans, then for more of the lines."""
        if own.is_closing:  # the disk may yet take, or refuse, what is in memory
            self._wait_for_bell(own, _LOOK_EVERY_S)
        until = monotonic() + _SCAN_EVERY_S
        while not (own.is_closing or own.is_rung or own.is_hurried) and monotonic() < until:
            self._wait_for_bell(own, until - monotonic())
        until = monotonic() + (self._courier.linger_s if own.is_rung else 0.0)
        while not (own.is_closing or own.is_hurried) and (left_s := until - monotonic()) > 0:
            if self._backlog.written() - own.settled >= self._courier.most_lines:
                break  # what waits fills a request
            self._wait_for_bell(own, min(left_s, _LOOK_LINGERING_S))
        own.is_hurried = False

    def _wait_for_bell(self, own: _Own, most_s: float) -> None:
        with contextlib.suppress(queue.Empty):
            own.bell.get(timeout=max(0.0, most_s))

    def _let_go(self, own: _Own) -> None:
        orphan, own.orphan = own.orphan, None
        if orphan is not None:
            with _guard.guard("drain.close"):
                orphan.end()
        # At the exit a span may still end: until then nobody may take it for one that never will.
        if not (_state.is_exiting and self._are_open()):
            self._backlog.exclusively(self._spool.close)
        self._courier.close()
        own.is_closing = own.is_done = False
        # What is left is whoever's who comes next, and may be this process once more.
        own.settled = self._backlog.written()
        own.found = None
        own.scan_at = 0.0


class _Own:
    """What the drainer of one process knows."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        # Whoever takes it out starts the thread.
        self.permits: list[None] = [None]
        # Not an event or a condition: the garbage collector may end a span inside of their locks.
        self.bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.is_rung = False
        self.is_hurried = False
        self.is_probing = False
        self.is_waited_for = False
        self.failures = 0
        self.is_closing = False
        self.closing_at = 0
        self.is_done = False
        self.is_idle = True
        self.is_away = False
        self.is_parked = False
        self.asked_until = 0.0
        self.told = ""
        self.settled = 0
        self.has_lost = False
        self.orphan: Orphan | None = None
        self.found: Iterator[Segments] | None = None
        self.scan_at = 0.0
        self.retry = Backoff(policy.RETRY_FIRST_S, policy.RETRY_LONGEST_S)
        self.park = Backoff(policy.PARK_FIRST_S, policy.PARK_LONGEST_S)
