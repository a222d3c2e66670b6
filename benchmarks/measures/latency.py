"""How long the slowest calls take while what they make is being sent."""

from __future__ import annotations

from typing import Any

from benchmarks import rounds
from benchmarks.contenders import HAND, OURS
from benchmarks.plan import Plan, say
from benchmarks.processes import FailedError, Process, Sink

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
_SECONDS = 3.0


def measure(plan: Plan) -> dict[str, Any]:
    """Return percentiles of the calls of a tight loop, in microseconds."""
    say("latency")
    found: dict[str, list[dict[str, float]]] = {}
    results: dict[str, Any] = {}
    everyone = (HAND, *OURS[:3])
    for order in rounds.turns(everyone, plan.long_rounds):
        for contender in order:
            try:
                with Sink() as sink, Process(contender, sink.url, sends=True) as process:
                    taken = sorted(process.ask("each", seconds=_SECONDS))
            except FailedError as error:
                results[contender.name] = {"failed": str(error)}
                continue
            percentiles = {
                name: rounds.percentile(taken, share) / 1000 for name, share in SHARES.items()
            }
            found.setdefault(contender.name, []).append(percentiles)
    for name, runs in found.items():
        results[name] = {share: rounds.median([run[share] for run in runs]) for share in SHARES}
    return results
