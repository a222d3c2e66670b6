"""Pydantic's Logfire."""

from __future__ import annotations

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Configure it with the stock batch processor, sending nothing to its maker."""
    import logfire

    decorate = logfire.instrument("answer", extract_args=True, record_return=True)
    if variant == "unconfigured":
        return Kit(decorate)
    from benchmarks.contenders.stock import batched

    logfire.configure(
        send_to_logfire=False,
        console=False,
        metrics=False,
        additional_span_processors=[batched(place)],
        sampling=logfire.SamplingOptions(head=0.0 if variant == "sampled out" else 1.0),
        inspect_arguments=False,
    )
    return Kit(decorate, flush=lambda: logfire.force_flush(60_000))
