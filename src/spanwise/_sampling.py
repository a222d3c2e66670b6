"""Decide at the root of a trace, before any span is made, whether the trace is kept.

The decision depends on the trace id alone, as OpenTelemetry's ratio sampler does it, so that
services that share a trace and a rate agree. A caller can force one trace in or out.
"""

from __future__ import annotations

from types import TracebackType

from opentelemetry import context as context_api
from opentelemetry.context import Context

_FORCED = context_api.create_key("spanwise-sampled")
_RATIO_BITS = 56  # the bits of a trace id that W3C asks to be random
_RATIO_MASK = (1 << _RATIO_BITS) - 1


class Sampling:
    """Keep a share of the traces.

    Args:
        rate: share from 0 to 1.
    """

    __slots__ = ("rate", "threshold")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.threshold = round((1 - rate) * (1 << _RATIO_BITS))

    def keeps(self, trace_id: int, context: Context) -> bool:
        """Return whether a trace that starts in this context with this id is kept."""
        forced = context.get(_FORCED)
        if forced is not None:
            return bool(forced)
        return (trace_id & _RATIO_MASK) >= self.threshold

    def keeps_all(self, context: Context) -> bool:
        """Return whether the trace is kept whatever its id; the common case."""
        return self.threshold == 0 and context.get(_FORCED) is None


class sampled:  # noqa: N801 - reads as `with spanwise.sampled(True):`
    """Keep (True) or leave out (False) the traces that start inside the `with` block.

    Inside a trace that is already open it changes nothing: a trace is kept whole or not at all.
    """

    __slots__ = ("_keep", "_tokens")

    def __init__(self, keep: bool) -> None:
        self._keep = bool(keep)
        self._tokens: list[object] = []

    def __enter__(self) -> sampled:
        self._tokens.append(context_api.attach(context_api.set_value(_FORCED, self._keep)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        context_api.detach(self._tokens.pop())  # type: ignore[arg-type]
