"""Have lines written by the thread that makes them, and by another one while the disk is slow.

As a rule a line is in the kernel's hands when `append` returns. A disk that stalls holds up one
call; later lines wait in memory, up to a bound, and a thread writes them once the disk answers.
The same goes for lines that could not be written: they are tried again until they are.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic, sleep
from typing import Any, Final

from opentelemetry.context import Context

from spanwise import _contexts, _guard, _state
from spanwise._processes import PerProcess

MOST_WAITING_BYTES: Final = 64 << 20

_SLOW_S = 0.2
_PATIENCE_S = 0.1
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LOOK_EVERY_S = 0.005
_MOST_HELPED = 16
_AT_ONCE = (False,)


class Backlog:
    """Lines on their way to a file.

    Args:
        kind: what the counters call it: `written.<kind>`, `delayed.<kind>`, `lost.<kind>`.
        target: what log lines call it.
        write: puts one line into the file; called by one thread at a time, with what was given
            with the line if something was, and it did not have to wait.
        holds: says whether a line is in the file; asked where a signal handler of the program
            raised something while it was written.
        most_bytes: of the lines that wait; further ones are lost, and counted.
    """

    def __init__(
        self,
        kind: str,
        target: str,
        write: Callable[..., None],
        holds: Callable[[bytes], bool] = lambda line: False,
        most_bytes: int = MOST_WAITING_BYTES,
    ) -> None:
        self.kind = kind
        self._steps = _state.steps_of(f"written.{kind}")
        self._target = target
        self._write = write
        self._holds = holds
        self._most_bytes = most_bytes
        self._own = PerProcess(_Own)

    def append(self, line: bytes, *given: Any) -> None:
        """Write one line, or let it wait; raises nothing of ours and never waits for long."""
        own = self._own.get()
        if own.is_slow:
            self._wait(own, line)
            return
        is_written = is_known = False
        held: list[bool] = []
        try:
            held.extend(map(own.acquire, _AT_ONCE))
            if not held[0]:  # by another thread: to wait is not what most lines have to do
                _acquire(own.lock, _PATIENCE_S, held)
            # Only a write that hangs can keep another thread waiting for so long.
            if not held[-1]:
                own.is_slow = is_known = True
            elif own.waiting and not self._have_helped(own):
                is_known = True
            else:
                since = monotonic()
                self._write(line, *given)
                is_written = is_known = True
                own.written += 1
                next(self._steps)
                if monotonic() - since > _SLOW_S:
                    own.is_slow = True
        except OSError as error:
            if _guard.is_the_programs(error):
                raise
            is_known = True
            own.is_slow = True
            self._tell(error)
        finally:
            try:
                if True in held:
                    own.release()
            finally:
                if not is_known and self._holds(line):
                    own.written += 1
                elif not is_written:
                    self._wait(own, line)

    def written(self) -> int:
        """Return how many lines of this process are in the file."""
        own = self._own.peek()
        return own.written if own is not None else 0

    def has_lost(self) -> bool:
        """Return whether a line of this process was lost."""
        own = self._own.peek()
        return own is not None and own.has_lost

    def waits(self) -> bool:
        """Return whether lines are in memory only: waiting, or taken to be brought elsewhere."""
        own = self._own.peek()
        return own is not None and bool(own.waiting or own.taken)

    def take(self, most_lines: int) -> list[bytes]:
        """Take lines out that cannot be written just now, to bring them somewhere else.

        Whoever does must say with `give_back` what became of them.
        """
        own = self._own.peek()
        taken: list[bytes] = []
        if own is None or not own.is_failing or not own.lock.acquire(timeout=_PATIENCE_S):
            return taken
        try:
            while len(taken) < most_lines and own.waiting:
                own.taken += 1
                taken.append(own.waiting.popleft())
        finally:
            own.lock.release()
        own.waiting_bytes -= sum(map(len, taken))
        return taken

    def give_back(self, lines: list[bytes]) -> None:
        """Put those lines back that were taken and could not be brought anywhere else."""
        own = self._own.get()
        own.waiting.extendleft(reversed(lines))
        own.waiting_bytes += sum(map(len, lines))
        own.taken = 0
        self._start(own)

    def exclusively(self, function: Callable[[], None]) -> None:
        """Call the function while nothing is written, unless a write hangs."""
        own = self._own.get()
        held: list[bool] = []
        try:
            _acquire(own.lock, _PATIENCE_S, held)
            if held[0]:
                function()
        finally:
            if True in held:
                own.lock.release()

    def flush(self, timeout_s: float) -> bool:
        """Return whether every line so far was written in that time, and none was lost."""
        own = self._own.peek()
        if own is None:
            return True
        until = monotonic() + timeout_s
        failures = own.failures
        if own.waiting:
            self._start(own)  # where no thread could be started before
            own.hurry.put(None)
        # A disk that is slow is waited for; one that takes nothing is asked once more. That is
        # done by the thread: it may hang there.
        while self.waits() and monotonic() < until and own.failures == failures:
            if own.permits:
                self._write_waiting(own, _PATIENCE_S)
            sleep(_LOOK_EVERY_S)
        return not self.waits() and not own.has_lost

    def close(self, timeout_s: float) -> None:
        """Write what waits as far as the time allows; what is left then is lost, and counted."""
        own = self._own.peek()
        if own is None:
            return
        self.flush(timeout_s)
        left = len(own.waiting) + own.taken  # nobody will know what became of the latter
        if left:
            own.waiting.clear()
            own.has_lost = True
            _state.count(f"lost.{self.kind}", left)
            _guard.warn(f"lost.{self.kind}", f"{left} lines could not be written to {self._target}")

    def _wait(self, own: _Own, line: bytes) -> None:
        if own.waiting_bytes + len(line) > self._most_bytes:
            own.has_lost = True
            _state.count(f"lost.{self.kind}")
            _guard.warn(
                f"lost.{self.kind}", f"too much waits for {self._target} already: lines are lost"
            )
            return
        own.waiting_bytes += len(line)
        own.waiting.append(line)
        _state.count(f"delayed.{self.kind}")
        self._start(own)

    def _start(self, own: _Own) -> None:
        own.bell.put(None)
        permit: list[None] = []
        thread = None
        try:
            permit.extend(map(own.permits.pop, (-1,)))
            # The thread outlives the span that happens to be the first one that waits.
            token = _contexts.attach(Context())
            try:
                thread = threading.Thread(
                    target=self._run, args=(own,), name=f"spanwise-{self.kind}-disk", daemon=True
                )
                thread.start()
            finally:
                _contexts.detach(token)
        except IndexError:  # it runs, or another thread starts it just now
            pass
        except RuntimeError:  # at the exit no thread can be started any more
            self._write_waiting(own, _PATIENCE_S)
        finally:
            if permit and (thread is None or not thread.is_alive()):
                own.permits.append(None)

    def _run(self, own: _Own) -> None:
        while True:
            own.bell.get()
            pause_s = _FIRST_PAUSE_S
            while not self._write_waiting(own):
                with contextlib.suppress(queue.Empty):
                    own.hurry.get(timeout=pause_s)
                while not own.hurry.empty():  # several that are in a hurry are one
                    own.hurry.get()
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _write_waiting(self, own: _Own, patience_s: float = -1) -> bool:
        """Write what waits; return False where the disk does not take it."""
        while own.waiting:
            held: list[bool] = []
            try:
                _acquire(own.lock, patience_s, held)
                if not held[0] or own.is_writing_first:
                    return False
                self._write_first(own)
            except Exception as error:  # whatever it was, the line is kept
                if _guard.is_the_programs(error):
                    raise
                own.is_failing = True
                own.failures += 1
                self._tell(error)
                return False
            finally:
                if True in held:
                    own.lock.release()
        return True

    def _have_helped(self, own: _Own) -> bool:
        """Write some of what waits; return whether that is all.

        Else those who make lines could be quicker than the thread that writes them.
        """
        for _ in range(_MOST_HELPED):
            if own.is_slow or own.is_writing_first or not own.waiting:
                break
            self._write_first(own)
        return not own.waiting

    def _write_first(self, own: _Own) -> None:
        """Write the line that has waited longest; the lock is held."""
        if not own.waiting:  # taken elsewhere
            return
        since = monotonic()
        line = own.waiting[0]
        own.is_writing_first = True
        try:
            self._write(line)
            own.written += 1
            if own.waiting and own.waiting[0] is line:  # a close may have given it up
                own.waiting.popleft()
        finally:
            own.is_writing_first = False
        # Threads that add at once may have miscounted.
        own.waiting_bytes = own.waiting_bytes - len(line) if own.waiting else 0
        own.is_failing = False
        own.is_slow = monotonic() - since > _SLOW_S
        next(self._steps)

    def _tell(self, error: Exception) -> None:
        _guard.warn(
            f"delayed.{self.kind}",
            f"cannot write to {self._target}, trying again: {_guard.describe(error)}",
        )


class _Own:
    """What one process has handed over."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.acquire, self.release = self.lock.acquire, self.lock.release
        self.written = 0
        self.waiting: deque[bytes] = deque()
        self.waiting_bytes = 0
        self.taken = 0
        # Seen only by what interrupts it in the same thread, as a signal handler does.
        self.is_writing_first = False
        # Lines go to the thread at once while it is slow; they may go elsewhere while it fails.
        self.is_slow = False
        self.is_failing = False
        self.failures = 0
        self.has_lost = False
        # Whoever takes it out starts the thread.
        self.permits: list[None] = [None]
        # No event or condition: the garbage collector may end a span inside of their locks.
        self.bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self.hurry: queue.SimpleQueue[None] = queue.SimpleQueue()


def _acquire(lock: threading.RLock, timeout_s: float, held: list[bool]) -> None:
    """Acquire the lock, and note whether it is held.

    Here and elsewhere in one call, so that what a signal handler raises comes before both or after both.
    """
    held.extend(map(lock.acquire, (True,), (timeout_s,)))
