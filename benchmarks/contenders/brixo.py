"""The Brixo SDK, as published."""

from __future__ import annotations

import os

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Initialise it with a collector on this machine."""
    os.environ["TRACELOOP_TELEMETRY"] = "false"
    os.environ["BRIXO_OTLP_TRACES_ENDPOINT"] = f"{place.endpoint}/v1/traces"
    if variant == "off":
        os.environ["OTEL_SDK_DISABLED"] = "true"
    from opentelemetry import trace

    from brixo import Brixo

    Brixo.init("benchmark", "benchmark", api_key="key")
    provider = trace.get_tracer_provider()
    return Kit(Brixo.interaction(), flush=lambda: provider.force_flush(60_000))  # type: ignore[attr-defined]
