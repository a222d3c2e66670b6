"""A tight loop of spans towards a collector that counts: how many arrive, how fast, at what price."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from benchmarks import rounds
from benchmarks.contenders import HAND, OURS, PEERS, Contender
from benchmarks.plan import Plan, say
from benchmarks.processes import FailedError, Process, Sink

_SPOOL = OURS[2]
_PEERS_SPANS = 20_000  # some need half a minute for these
_SPANS_OF = {"fluxloop": 2000, "opik": 5000, "mlflow-tracing": 5000}  # the slowest of them


@dataclasses.dataclass(frozen=True)
class Burst:
    """One row: who makes the spans, and how."""

    name: str
    contender: Contender
    shape: str
    spans: int | None = None


BURSTS = (
    Burst("stock, API spans", HAND, "tracer"),
    Burst("Spanwise, API spans", _SPOOL, "tracer"),
    Burst("stock, decorated by hand", HAND, "root"),
    Burst("Spanwise, decorated", _SPOOL, "root"),
)


def measure(plan: Plan) -> dict[str, Any]:
    """Return what became of the spans of each, medians over the rounds."""
    peers = [one for one in PEERS if plan.peers and not one.name.endswith("files")]
    results = _measured(BURSTS, plan.burst, plan.long_rounds)
    others = [Burst(one.name, one, "root", _SPANS_OF.get(one.name, _PEERS_SPANS)) for one in peers]
    return results | _measured(others, _PEERS_SPANS, 1)


def _measured(bursts: Sequence[Burst], spans: int, times: int) -> dict[str, Any]:
    found: dict[str, list[dict[str, float]]] = {}
    results: dict[str, Any] = {}
    for order in rounds.turns(bursts, times):
        for burst in order:
            say(f"throughput, {burst.name}")
            try:
                one = _run(burst, burst.spans or spans)
                found.setdefault(burst.name, []).append(one)
            except FailedError as error:
                results[burst.name] = {"failed": str(error)}
    for name, runs in found.items():
        results[name] = {key: rounds.median([run[key] for run in runs]) for key in runs[0]}
    return results


def _run(burst: Burst, spans: int) -> dict[str, float]:
    with Sink() as sink, Process(burst.contender, sink.url, sends=True) as process:
        before = process.ask("burst", spans=1, shape=burst.shape)
        first = sink.counts()
        made = process.ask("burst", spans=spans, shape=burst.shape)
        process.end(60)
        counts = sink.counts()
    # One more is made, alone, before each burst.
    delivered = counts["spans"] - first["spans"] - 1
    taken = max(counts["last"], made["made"]) - made["began"]
    return {
        "produced": spans,
        "delivered": max(0, min(delivered, spans)),
        "doubled": counts["came"] - counts["spans"],
        "delivered_per_s": max(0, min(delivered, spans)) / taken,
        "loop_us": (made["made"] - made["began"]) / spans * 1e6,
        "cpu_us": made["cpu_s"] / spans * 1e6,
        "peak_mb": made["peak_mb"],
        "more_mb": made["peak_mb"] - before["peak_mb"],
    }
