"""What the price of a span depends on: it should be on nothing that grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import rounds
from benchmarks.contenders import HAND, OURS, Contender
from benchmarks.plan import Plan, say
from benchmarks.processes import FailedError, Process

_NO_SINK, _, _SPOOL = OURS[:3]
_BLOCK = 10_000

DEPTHS = (1, 4, 16, 64, 256)
OPEN = (0, 100, 1000, 10_000, 50_000)
ATTRIBUTES = (0, 4, 16, 64)
WAITING_MB = (0, 10, 50, 200, 500)
TOTALS = tuple(range(_BLOCK, 10 * _BLOCK + 1, _BLOCK))

Point = Callable[[Process, int, int, Plan], float]


def measure(plan: Plan) -> dict[str, Any]:
    """Return each curve: what varies, and for each contender the microseconds of CPU of a span."""
    if not plan.peers:
        return {}
    curves: Mapping[str, tuple[str, Sequence[int], Point, Sequence[Contender]]] = {
        "depth": ("depth of a trace", DEPTHS, _at_depth, (HAND, _NO_SINK, _SPOOL)),
        "open": ("open spans", OPEN, _with_open, (HAND, _NO_SINK, _SPOOL)),
        "identity": ("identity attributes", ATTRIBUTES, _identified, (_NO_SINK, _SPOOL)),
        "spool": ("MB waiting in the spool", WAITING_MB, _with_waiting, (_SPOOL,)),
        "total": ("spans so far", TOTALS, _so_far, (HAND, _NO_SINK, _SPOOL)),
    }
    return {name: _curve(name, *curve, plan) for name, curve in curves.items()}


def _curve(
    name: str,
    label: str,
    xs: Sequence[int],
    point: Point,
    everyone: Sequence[Contender],
    plan: Plan,
) -> dict[str, Any]:
    say(f"curve, {name}")
    found: dict[str, list[list[float]]] = {}
    failed: dict[str, str] = {}
    for order in rounds.turns(everyone, plan.long_rounds):
        for contender in order:
            try:
                with Process(contender) as process:
                    process.ask("block", calls=1000)
                    line = [point(process, x, xs[max(0, at - 1)], plan) for at, x in enumerate(xs)]
                found.setdefault(contender.name, []).append(line)
            except FailedError as error:
                failed[contender.name] = str(error)
    lines = {
        who: [rounds.median(values) for values in zip(*runs, strict=True)]
        for who, runs in found.items()
    }
    return {"x": label, "xs": list(xs), "lines": lines, "failed": failed}


def _at_depth(process: Process, x: int, _: int, plan: Plan) -> float:
    return float(process.ask("depth", depth=x, budget_s=plan.budget_s)["cpu_us"])


def _with_open(process: Process, x: int, _: int, plan: Plan) -> float:
    process.ask("hold", spans=x)
    return float(process.ask("call", shape="root", budget_s=plan.budget_s)["cpu_us"])


def _identified(process: Process, x: int, _: int, plan: Plan) -> float:
    return float(process.ask("identified", attributes=x, budget_s=plan.budget_s)["cpu_us"])


def _with_waiting(process: Process, x: int, before: int, plan: Plan) -> float:
    process.ask("fill", megabytes=x - before)
    return float(process.ask("call", shape="root", budget_s=plan.budget_s)["cpu_us"])


def _so_far(process: Process, _: int, __: int, plan: Plan) -> float:
    return float(process.ask("block", calls=_BLOCK))
