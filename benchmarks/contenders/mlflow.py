"""MLflow's tracing package."""

from __future__ import annotations

import os

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Have it send over OTLP to an address of this machine."""
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{place.endpoint}/v1/traces"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    # Without a server's address it looks for files, with modules that the package does not have.
    os.environ["MLFLOW_TRACKING_URI"] = place.endpoint
    if variant == "sampled out":
        os.environ["MLFLOW_TRACE_SAMPLING_RATIO"] = "0"
    import mlflow

    if variant == "off":
        mlflow.tracing.disable()
    from mlflow.tracing.provider import provider

    # The package has no call that waits for what goes out over OTLP.
    return Kit(mlflow.trace, flush=lambda: provider.get().force_flush(60_000))
