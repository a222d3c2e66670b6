"""MLflow: what it shows of the program's spans."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.environments import environment
from backends.servers import asked, free_port, serving
from backends.work import USER, WORK, differences, numbered

REQUIREMENT = "mlflow==3.17.2"
# MLflow reads all of these; without any, it shows no input and output of decorated functions.
CASES = ("openinference", "langfuse", "traceloop", "")

# The rest is its type in upper case.
_TYPES = {"retrieval": "RETRIEVER", "generation": "CHAT_MODEL"}
# The type of what is no kind of work that MLflow knows by the vocabulary.
_OTHER_TYPES = {
    "openinference": {"span": "CHAIN", "generation": "LLM"},
    "langfuse": {"span": "UNKNOWN"},
    "traceloop": {"chain": "TASK", "span": "TASK", "retrieval": "TASK"},
    "": {"chain": None, "span": None, "retrieval": None},
}
# Traceloop says of a model's call which messages went to it, not which arguments.
_NO_INPUTS = {"traceloop": ("embed", "write")}
_NO_OUTPUTS = {"traceloop": ("embed",)}
_COUNTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cached": "cache_read_input_tokens",
}


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run MLflow with an empty database in the folder; yield its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command: list[str | Path] = [
        environment(REQUIREMENT) / "mlflow",
        *("server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    # It starts its workers by their names.
    path = f"{environment(REQUIREMENT)}:/usr/bin:/bin"
    with serving(command, {"PATH": path}, folder, f"{url}/health"):
        yield url


def variables(url: str, case: str) -> dict[str, str]:
    """Return what the program is told: each case is an experiment of its own."""
    made = asked(f"{url}/api/2.0/mlflow/experiments/create", {"name": _experiment(case)})
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-mlflow-experiment-id={made['experiment_id']}",
    }


def wrong(url: str, case: str, session: str) -> list[str] | None:
    """Return how what is shown differs from what should be, or None: it is not all there yet."""
    name = _experiment(case)
    experiment = asked(f"{url}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
    place = {
        "type": "MLFLOW_EXPERIMENT",
        "mlflow_experiment": {"experiment_id": experiment["experiment"]["experiment_id"]},
    }
    traces = asked(f"{url}/api/3.0/mlflow/traces/search", {"locations": [place]}).get("traces", [])
    spans = [
        span
        for trace in traces
        for span in asked(f"{url}/api/3.0/mlflow/traces/get?trace_id={trace['trace_id']}")["trace"][
            "spans"
        ]
    ]
    if len(spans) < len(WORK):
        return None
    complaints = differences(f"MLflow with {name}", _expected(case), _shown(spans))
    for trace in traces:
        found = trace["trace_metadata"]
        who = found.get("mlflow.trace.user"), found.get("mlflow.trace.session")
        if who != (USER, session):
            complaints.append(f"MLflow with {name}: a trace is {who}'s, not {(USER, session)}'s")
    return complaints


def _experiment(case: str) -> str:
    return case or "plain"


def _shown(spans: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    spans = sorted(spans, key=lambda span: int(span["start_time_unix_nano"]))
    names = dict(
        zip(
            (span["span_id"] for span in spans),
            numbered([span["name"] for span in spans]),
            strict=True,
        )
    )
    return {
        names[span["span_id"]]: {
            **{pair["key"]: _plain(pair.get("value")) for pair in span["attributes"]},
            "parent": names.get(span.get("parent_span_id")),
            "error": span["status"].get("message"),
        }
        for span in spans
    }


def _plain(value: dict[str, Any] | None) -> Any:
    """Return the Python value of an attribute, which comes as the protocol's messages."""
    if not value:
        return None
    ((kind, held),) = value.items()
    if kind == "array_value":
        return [_plain(item) for item in held.get("values", [])]
    if kind == "kvlist_value":
        return {pair["key"]: _plain(pair.get("value")) for pair in held.get("values", [])}
    return int(held) if kind == "int_value" else held


def _expected(case: str) -> dict[str, dict[str, Any]]:
    expected: dict[str, dict[str, Any]] = {}
    for name, work in WORK.items():
        type_: str | None = _TYPES.get(work.type, work.type.upper())
        if work.is_ours or work.type in ("chain", "generation"):
            type_ = _OTHER_TYPES[case].get(work.type, type_)
        expected[name] = {
            "parent": work.parent,
            "error": work.error,
            "mlflow.spanType": type_,
            "mlflow.llm.model": work.answered_by or work.model,
        }
        if work.tokens:
            counts = {_COUNTS[part]: count for part, count in work.tokens.items()}
            counts["total_tokens"] = work.tokens["input"] + work.tokens["output"]
            expected[name]["mlflow.chat.tokenUsage"] = counts
        if (case or not work.is_ours) and name not in _NO_INPUTS.get(case, ()):
            expected[name]["mlflow.spanInputs"] = work.input
        if (case or not work.is_ours) and name not in _NO_OUTPUTS.get(case, ()):
            expected[name]["mlflow.spanOutputs"] = work.output
    return expected
