"""How long a process takes to end with a collector that is dead or hangs, and what it loses."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import rounds
from benchmarks.contenders import HAND, OURS, PEERS, Contender
from benchmarks.plan import Plan, say
from benchmarks.processes import FailedError, Process, Sink, nobody

SPANS = 1000
_KEPT_BY = (HAND, OURS[2])  # of these, what the next process sends is counted, too
_LIMIT_S = 30


def measure(plan: Plan) -> dict[str, Any]:
    """Return the seconds that an exit takes, and how many spans have arrived after the next one."""
    peers = [one for one in PEERS if not one.name.startswith("fluxloop")]
    results: dict[str, Any] = {}
    for state in ("dead", "hanging"):
        say(f"exits, {state} collector")
        results[state] = {}
        for contender in (*_KEPT_BY, *(peers if plan.peers else ())):
            times = (
                plan.long_rounds if contender in OURS else 1
            )  # the others wait for their timeouts
            try:
                runs = [_run(contender, state) for _ in range(times)]
            except FailedError as error:
                results[state][contender.name] = {"failed": str(error)}
                continue
            results[state][contender.name] = {
                "exit_s": rounds.median([run["exit_s"] for run in runs]),
                "arrived": min(run["arrived"] for run in runs),
                "produced": SPANS,
            }
    return results


def _run(contender: Contender, state: str) -> dict[str, float]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if state == "dead":
            endpoint = nobody()
            taken = _make_and_end(contender, endpoint, Path(folder))
            with Sink(int(endpoint.rpartition(":")[2])) as sink:
                return {"exit_s": taken, "arrived": _arrived(contender, sink, Path(folder))}
        with Sink(hangs=True) as sink:
            taken = _make_and_end(contender, sink.url, Path(folder))
            sink.mend()
            return {"exit_s": taken, "arrived": _arrived(contender, sink, Path(folder))}


def _make_and_end(contender: Contender, endpoint: str, folder: Path) -> float:
    with Process(contender, endpoint, sends=True, folder=folder) as process:
        process.ask("count", shape="root", calls=SPANS)
        return process.end(_LIMIT_S)


def _arrived(contender: Contender, sink: Sink, folder: Path) -> float:
    """Return how many of the spans have come, once the next process has come and gone."""
    before = sink.counts()["spans"]
    if contender not in _KEPT_BY:
        return before
    with Process(contender, sink.url, sends=True, folder=folder) as process:
        process.ask("burst", spans=1, shape="root")
        process.end(_LIMIT_S)
    return max(0, min(SPANS, sink.counts()["spans"] - _OF_THE_NEXT))


_OF_THE_NEXT = 2  # one before its burst, and the burst
