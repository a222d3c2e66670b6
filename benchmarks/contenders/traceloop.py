"""Traceloop's SDK (OpenLLMetry)."""

from __future__ import annotations

import os

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Initialise it with the stock batch processor."""
    os.environ["TRACELOOP_TELEMETRY"] = "false"
    os.environ["TRACELOOP_METRICS_ENABLED"] = "false"
    if variant == "off":
        os.environ["TRACELOOP_TRACING_ENABLED"] = "false"
    from opentelemetry import trace
    from opentelemetry.sdk.trace import sampling
    from traceloop.sdk import Traceloop
    from traceloop.sdk.decorators import task, workflow

    from benchmarks.contenders.stock import batched

    Traceloop.init(
        "benchmark",
        processor=batched(place),
        sampler=sampling.ALWAYS_OFF if variant == "sampled out" else None,
        telemetry_enabled=False,
    )
    provider = trace.get_tracer_provider()
    flush = getattr(provider, "force_flush", bool)
    return Kit(task(), root=workflow(), flush=flush)
