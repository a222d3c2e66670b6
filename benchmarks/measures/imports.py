"""How long an import takes in a fresh process, and what an installation weighs."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from benchmarks import environments, rounds
from benchmarks.contenders import ENVIRONMENTS
from benchmarks.plan import Plan, say

API = "OpenTelemetry API"
# What is imported, by what it is called: the environment, and the statement.
IMPORTS = {
    API: ("spanwise", "import opentelemetry.trace"),
    "Spanwise": ("spanwise", "import spanwise"),
    "OpenTelemetry SDK": ("spanwise", "import opentelemetry.sdk.trace.export"),
    "Spanwise, configured": ("spanwise", "import spanwise; spanwise.configure(traces_dir=None)"),
    "fluxloop": ("fluxloop", "import fluxloop"),
    "brixo": ("brixo", "import brixo"),
    "traceloop-sdk": ("traceloop", "import traceloop.sdk"),
    "langfuse": ("langfuse", "import langfuse"),
    "logfire": ("logfire", "import logfire"),
    "openinference": ("openinference", "import openinference.instrumentation"),
    "opik": ("opik", "import opik"),
    "mlflow-tracing": ("mlflow", "import mlflow"),
}
_OURS = tuple(IMPORTS)[:4]
_TIMED = "from time import {0} as now; t = now(); {1}; print((now() - t) * 1000)"
_CLOCKS = {"us": "perf_counter", "cpu_us": "process_time"}


def measure(plan: Plan) -> dict[str, Any]:
    """Return the milliseconds of each import, and of ours over that of the API alone."""
    say("imports")
    found: dict[str, list[float]] = {}
    failed: dict[str, str] = {}
    for order in rounds.turns(list(IMPORTS if plan.peers else _OURS), plan.rounds + 1):
        for name in order:
            try:
                found.setdefault(name, []).append(
                    _milliseconds(_CLOCKS[plan.clock], *IMPORTS[name])
                )
            except (
                environments.NotInstalledError,
                subprocess.SubprocessError,
                ValueError,
            ) as error:
                failed[name] = str(error)
    results: dict[str, Any] = {}
    for name, all_ms in found.items():
        ms = all_ms[1:]  # the first reads from the disk, and writes bytecode
        if ms:
            results[name] = rounds.summary(ms)
            over = [mine - theirs for mine, theirs in zip(ms, found[API][1:], strict=False)]
            results[name]["over_api_ms"] = rounds.median(over)
    return results | {name: {"failed": reason} for name, reason in failed.items()}


def sizes() -> dict[str, Any]:
    """Return the megabytes of each installation, without bytecode."""
    say("sizes")
    environments.forget("alone")  # it holds a copy of our files
    results: dict[str, Any] = {}
    for name in ENVIRONMENTS:
        if name not in ("spanwise", "instrumentor"):
            try:
                environments.python_of(name)
                results[name] = {"mb": environments.size_mb(name)}
            except environments.NotInstalledError as error:
                results[name] = {"failed": str(error)}
    return results


def _milliseconds(clock: str, environment: str, statement: str) -> float:
    python = environments.python_of(environment)
    quiet = {"TRACELOOP_TELEMETRY": "false", "OPIK_SENTRY_ENABLE": "false"}
    done = subprocess.run(
        [str(python), "-c", _TIMED.format(clock, statement)],
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **quiet},
        text=True,
        timeout=120,
    )
    return float(done.stdout.split()[-1])
