"""The only mutable global state: what `configure()` built, and the counters.

Everything else reads `_state.runtime` once per operation and works on that snapshot, so that a
`configure()` in another thread never shows half of itself.
"""

from __future__ import annotations

import collections
import itertools
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import SpanContext, Tracer

    from spanwise._encoding import Encoder
    from spanwise._sampling import Sampling
    from spanwise._settings import Settings
    from spanwise.export.leases import Lease
    from spanwise.processors.delegating import DelegatingSpanProcessor, Sink


@dataclass(frozen=True)
class Runtime:
    """What one `configure()` built.

    Attributes:
        settings: the settings in force.
        tracer: makes the spans.
        encoder: makes the texts of inputs and outputs.
        sampling: decides at the root of a trace.
        sampler: an SDK sampler that `OTEL_TRACES_SAMPLER` names, which decides instead.
        processor: the one span processor that Spanwise added to the provider.
        provider: the TracerProvider in use.
        owns_provider: False for a provider that the application made.
        open: starts the span of an operation at once, where the tracer needs not be asked.
        lean: the class of the spans that it makes.
    """

    settings: Settings
    tracer: Tracer
    encoder: Encoder
    sampling: Sampling
    sampler: Any
    processor: DelegatingSpanProcessor
    provider: Any
    owns_provider: bool
    open: Callable[..., Any] | None = None
    lean: Any = None


runtime: Runtime | None = None

# What was given to configure() so far: a later call adds to it.
keywords: dict[str, Any] = {}

# What the distro under which the program was started does by default; variables stand above it.
distro_defaults: dict[str, Any] = {}

# An id generator that a variable names, instead of our own.
id_generator: IdGenerator | None = None

# Said no to by somebody (switched off, shut down, or a first use that failed): a facade's first
# use does not configure by itself until configure() is called again.
is_off = False

# Set at the exit, before everything is closed: what is spooled after that is the next process's,
# since of what this one would send nobody might be left to hear that it has arrived.
is_exiting = False

# When all that is done for the exit has to be, by the monotonic clock; it is set when it begins.
exit_until_s = math.inf

# The instrumentors that configure() turned on, by library.
instrumentors: dict[str, Any] = {}

# Further places to write to, by name, which a facade adds: they go wherever records go.
sinks: dict[str, Sink] = {}

# The spans in which messages were answered lately, by message id, each with how sure that is.
messages: dict[Any, tuple[SpanContext, int]] = {}

# The packages that facades stand in for and that were looked for in the environment.
originals_looked_for: set[str] = set()

# The leases of spooled segments that this process has open, by the path of the lock file.
leases: dict[str, Lease] = {}

# How many processors want to see the arguments of calls; the operation binds them only then.
call_listeners = 0

# Guards configure() and shutdown(). Reentrant: a collected generator may end a span anywhere.
lock = threading.RLock()

_counters: collections.Counter[str] = collections.Counter()
_counters_lock = threading.RLock()
# Those that every span adds to: Python steps such a count in one go, so that it needs no lock.
_tallies: dict[str, itertools.count[int]] = {}
_tallied_before: dict[str, int] = {}  # when they were reset


def count(name: str, amount: int = 1) -> int:
    """Add to a counter and return its new value."""
    with _counters_lock:
        _counters[name] += amount
        return _counters[name]


def steps_of(name: str) -> itertools.count[int]:
    """Return a counter that is added to all the time, with `next`; it is the same one for good."""
    return _tallies.setdefault(name, itertools.count())


spans_started = steps_of("spans.started")
spans_ended = steps_of("spans.ended")


def counters() -> dict[str, int]:
    """Return a copy of all counters, by name."""
    told = {name: n - _tallied_before.get(name, 0) for name, n in _tallied().items()}
    with _counters_lock:
        return {**{name: n for name, n in told.items() if n}, **_counters}


def _tallied() -> dict[str, int]:
    # What a count would give next is said by nothing but its text.
    return {name: int(repr(steps)[6:-1]) for name, steps in list(_tallies.items())}


def reset() -> None:
    """Forget everything; for tests. Sinks that are still open are not closed."""
    global runtime, call_listeners, id_generator, is_off, is_exiting, exit_until_s
    runtime = id_generator = None
    is_off = is_exiting = False
    exit_until_s = math.inf
    call_listeners = 0
    keywords.clear()
    distro_defaults.clear()
    sinks.clear()
    messages.clear()
    originals_looked_for.clear()
    _tallied_before.update(_tallied())
    with _counters_lock:
        _counters.clear()


def _renew_locks() -> None:
    # In a forked child the hold of another thread of the parent would never end.
    global lock, _counters_lock
    lock = threading.RLock()
    _counters_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
