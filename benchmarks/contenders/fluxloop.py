"""The FluxLoop SDK, as published."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import fluxloop
from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Configure it without a collector; its own store writes files, where it is asked to."""
    from fluxloop.buffer import EventBuffer

    fluxloop.configure(
        use_collector=place.sends,
        collector_url=place.endpoint,
        offline_store_enabled=variant == "files",
        offline_store_dir=place.folder,
        enabled=variant != "off",
        sample_rate=0.0 if variant == "sampled out" else 1.0,
    )
    buffer = EventBuffer.get_instance()
    return Kit(fluxloop.trace(), root=_in_a_trace, flush=buffer.flush)


def _in_a_trace(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate a function that begins a trace, which is a block of its own here."""
    import inspect

    decorated = fluxloop.agent()(function)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            with fluxloop.instrument("answer"):
                return await decorated(*args, **kwargs)

        return later

    @functools.wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        with fluxloop.instrument("answer"):
            return decorated(*args, **kwargs)

    return now
