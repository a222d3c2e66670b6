"""Make trace and span ids from the operating system's randomness.

Neither a fork nor `random.seed()` repeats them, and the program's own `random` stream is left
alone. The kernel is asked for many bytes at once; the pool is dropped in a forked child.
"""

from __future__ import annotations

import os
import threading

from spanwise import _state

_POOL_BYTES = 4096


class _Pool(threading.local):
    """Random bytes of one thread, and the trace id that its next root span takes."""

    data: bytes = b""
    position: int = 0
    pid: int = 0
    trace_id: int | None = None

    def take(self, size: int) -> int:
        pid = os.getpid()
        if self.position + size > len(self.data) or self.pid != pid:
            self.data, self.position, self.pid = os.urandom(_POOL_BYTES), 0, pid
        start = self.position
        self.position = start + size
        return int.from_bytes(self.data[start : self.position], "big")


_pool = _Pool()
if hasattr(os, "register_at_fork"):
    # A child may have the process id of an ancestor that is gone.
    os.register_at_fork(after_in_child=lambda: setattr(_pool, "pid", 0))


def random_trace_id() -> int:
    """Return 128 random bits, never all zero, or what the generator in force makes of them."""
    if _state.id_generator is not None:
        return _state.id_generator.generate_trace_id()
    return _pool.take(16) or random_trace_id()


def random_span_id() -> int:
    """Return 64 random bits, never all zero, or what the generator in force makes of them."""
    if _state.id_generator is not None:
        return _state.id_generator.generate_span_id()
    return _pool.take(8) or random_span_id()


def next_trace_id(trace_id: int) -> None:
    """Make the next root span that our provider starts in this thread take this trace id."""
    _pool.trace_id = trace_id


def take_trace_id() -> int:
    """Return the trace id that was asked for, else a random one."""
    trace_id, _pool.trace_id = _pool.trace_id, None
    return trace_id if trace_id is not None else random_trace_id()
