"""Arize's OpenInference decorators."""

from __future__ import annotations

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Use the decorators of its tracer, on its own provider with the stock batch processor."""
    from openinference.instrumentation import OITracer, TraceConfig, TracerProvider
    from opentelemetry import trace
    from opentelemetry.sdk.trace import sampling

    from benchmarks.contenders.stock import batched

    if variant == "unconfigured":
        tracer = OITracer(trace.get_tracer("benchmark"), config=TraceConfig())
        return Kit(tracer.chain)
    sampler = sampling.ALWAYS_OFF if variant == "sampled out" else sampling.ALWAYS_ON
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(batched(place))
    tracer = provider.get_tracer("benchmark")
    return Kit(tracer.tool, root=tracer.chain, flush=lambda: provider.force_flush(60_000))
