"""Langfuse's SDK."""

from __future__ import annotations

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Make its client, with an exporter of OpenTelemetry's in its own batch processor."""
    from langfuse import Langfuse, observe

    if variant == "unconfigured":
        return Kit(observe())
    exporter = None
    if not place.sends:
        from benchmarks.contenders.stock import Nowhere

        exporter = Nowhere()
    client = Langfuse(
        public_key="pk-lf-1",
        secret_key="sk-lf-1",  # noqa: S106 - of nobody
        base_url=place.endpoint,
        tracing_enabled=variant != "off",
        sample_rate=0.0 if variant == "sampled out" else 1.0,
        span_exporter=exporter,
    )
    return Kit(observe(), flush=client.flush)
