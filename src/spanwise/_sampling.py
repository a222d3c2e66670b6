"""Decide at the root of a trace, before any span is made, whether the trace is kept.

The decision depends on the trace id alone, as OpenTelemetry's ratio sampler does it, so that
services that share a trace and a rate agree. A caller can force one trace in or out.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any

from opentelemetry import context as context_api
from opentelemetry.context import Context

from spanwise._identity import leave

FORCED = context_api.create_key("spanwise-sampled")
_RATIO_BITS = 64  # the bits of a trace id that OpenTelemetry's TraceIdRatioBased looks at
_RATIO_MASK = (1 << _RATIO_BITS) - 1


class Sampling:
    """Keep a share of the traces.

    Args:
        rate: share from 0 to 1.
    """

    __slots__ = ("bound", "rate")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.bound = round(rate * (1 << _RATIO_BITS))

    def keeps(self, trace_id: int, context: Context) -> bool:
        """Return whether a trace that starts in this context with this id is kept."""
        if FORCED in context:
            forced = forced_decision(context)
            if forced is not None:
                return forced
        return (trace_id & _RATIO_MASK) < self.bound

    def keeps_all(self, context: Context) -> bool:
        """Return whether the trace is kept whatever its id; the common case."""
        return self.bound > _RATIO_MASK and context.get(FORCED) is None


class _Entered:
    """One time that a block was entered; tells it from every other."""

    __slots__ = ("keep",)

    def __init__(self, keep: bool) -> None:
        self.keep = keep


def forced_decision(context: Context) -> bool | None:
    """Return what the caller decided for traces that start in this context, or None."""
    forced = context.get(FORCED)
    return forced.keep if isinstance(forced, _Entered) else None


class sampled:  # noqa: N801 - reads as `with spanwise.sampled(True):`
    """Keep (True) or leave out (False) the traces that start inside the `with` block.

    Inside a trace that is already open it changes nothing: a trace is kept whole or not at all.
    """

    __slots__ = ("_entered", "_keep")

    def __init__(self, keep: bool) -> None:
        self._keep = bool(keep)
        # Tasks and threads may be inside the same block at once.
        self._entered: dict[object, Any] = {}

    def __enter__(self) -> sampled:
        entered = _Entered(self._keep)
        self._entered[entered] = context_api.attach(context_api.set_value(FORCED, entered))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entered = context_api.get_current().get(FORCED)
        token = self._entered.pop(entered, None)
        if token is None:  # something inside was entered and never left
            entered, token = self._entered.popitem()
        leave(token, FORCED, entered)
