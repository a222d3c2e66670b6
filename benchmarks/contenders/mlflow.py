"""MLflow's tracing package."""

from __future__ import annotations

import os

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Have it send over OTLP to an address of this machine."""
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{place.endpoint}/v1/traces"
    os.environ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "true"
    if variant == "sampled out":
        os.environ["MLFLOW_TRACE_SAMPLING_RATIO"] = "0"
    import mlflow

    if variant == "off":
        mlflow.tracing.disable()
    return Kit(mlflow.trace)
