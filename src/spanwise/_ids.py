"""Make trace and span ids from the operating system's randomness.

Neither a fork nor `random.seed()` repeats them, and the program's own `random` stream is left
alone. The kernel is asked for many bytes at once; the pool is dropped in a forked child.
"""

from __future__ import annotations

import os
import struct
import threading

from spanwise import _state

_POOL_BYTES = 4096
_WORDS = struct.Struct(f"{_POOL_BYTES // 8}Q")

# Taken from the end: a step that no other thread can come into, so that none needs a lock.
_pool: list[int] = []
_pool_pid = 0


class _Asked(threading.local):
    """The trace id that the next root span of one thread takes."""

    trace_id: int | None = None


_asked = _Asked()
if hasattr(os, "register_at_fork"):
    # A child may have the process id of an ancestor that is gone.
    os.register_at_fork(after_in_child=_pool.clear)


def random_trace_id() -> int:
    """Return 128 random bits, never all zero, or what the generator in force makes of them."""
    if _state.id_generator is not None:
        return _state.id_generator.generate_trace_id()
    if _pool_pid == os.getpid():
        try:
            return _pool.pop() << 64 | _pool.pop()
        except IndexError:
            pass
    _fill()
    return random_trace_id()


def random_span_id() -> int:
    """Return 64 random bits, never all zero, or what the generator in force makes of them."""
    if _state.id_generator is not None:
        return _state.id_generator.generate_span_id()
    if _pool_pid == os.getpid():
        try:
            return _pool.pop()
        except IndexError:
            pass
    _fill()
    return random_span_id()


def _fill() -> None:
    global _pool_pid
    pid = os.getpid()
    if pid != _pool_pid:
        _pool.clear()
        _pool_pid = pid
    _pool.extend(filter(None, _WORDS.unpack(os.urandom(_POOL_BYTES))))


def are_random() -> bool:
    """Return whether trace ids are as random as OpenTelemetry says of them in the trace's flags."""
    says = getattr(_state.id_generator, "is_trace_id_random", None)
    return bool(says()) if says is not None else _state.id_generator is None


def next_trace_id(trace_id: int) -> None:
    """Make the next root span that our provider starts in this thread take this trace id."""
    _asked.trace_id = trace_id


def take_trace_id() -> int:
    """Return the trace id that was asked for, else a random one."""
    trace_id = _asked.trace_id
    if trace_id is None:
        return random_trace_id()
    _asked.trace_id = None
    return trace_id
