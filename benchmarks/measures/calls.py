"""What a decorated call costs, beside the undecorated one: on, off, sampled out, unconfigured."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from benchmarks import contenders, rounds
from benchmarks.contenders import HAND, Contender
from benchmarks.plan import Plan, say
from benchmarks.processes import FailedError, Process

# In the results of a measure that has it, what all others are told over.
BARE = "bare"
SHAPES = ("root", "nested", "root_async", "nested_async", "steps", "steps_async")
QUICK_SHAPES = ("root", "nested", "root_async", "nested_async", "steps")
GROUPS: Mapping[str, tuple[Sequence[Contender], Sequence[str]]] = {
    "decorated": ((*contenders.YARDSTICKS, *contenders.OURS, *contenders.PEERS), SHAPES),
    "off": ((HAND, *contenders.OFF), ("root", "root_async")),
    "unconfigured": ((HAND, *contenders.UNCONFIGURED), ("root", "root_async")),
    "sampled out": ((HAND, *contenders.SAMPLED_OUT), ("root", "nested", "root_async")),
}
Answers = dict[str, list[dict[str, float]]]  # of each round, by contender
_FORMS = ("text and leaves", "text", "leaves", "words", "messages", "objects", "bytes", "base64")


def measure(plan: Plan) -> dict[str, Any]:
    """Return, by group and shape, what a call costs over the bare one in each contender."""
    results = {}
    for group, (everyone, shapes) in GROUPS.items():
        taking_part = [one for one in everyone if plan.peers or one.is_quick]
        asks = {shape: {"do": "call", "shape": shape} for shape in shapes}
        if not plan.peers:
            asks = {shape: ask for shape, ask in asks.items() if shape in QUICK_SHAPES}
        say(f"calls, {group}")
        results[group] = by_shape(taking_part, asks, plan)
    return results


def payloads(plan: Plan) -> dict[str, Any]:
    """Return what a call with a large argument costs, by the form of the argument."""
    say("payloads")
    everyone = [HAND, *contenders.OURS[:3], *(contenders.PEERS if plan.peers else ())]
    first = {_FORMS[0]: {"do": "call", "shape": "payload", "which": _FORMS[0]}}
    results = by_shape(everyone, first, dataclasses.replace(plan, rounds=3))
    if plan.peers:
        others = {form: {"do": "call", "shape": "payload", "which": form} for form in _FORMS[1:]}
        few = [HAND, *contenders.OURS[:3]]
        results |= by_shape(few, others, dataclasses.replace(plan, rounds=3))
    return results


def by_shape(
    everyone: Sequence[Contender],
    asks: Mapping[str, Mapping[str, Any]],
    plan: Plan,
) -> dict[str, Any]:
    """Return what `interleaved` measures, summed up, with the ratios to the yardsticks."""
    found, failed = interleaved(everyone, asks, plan)
    return {shape: _judged(found[shape], failed, plan.clock) for shape in asks}


def interleaved(
    everyone: Sequence[Contender],
    asks: Mapping[str, Mapping[str, Any]],
    plan: Plan,
) -> tuple[dict[str, Answers], dict[str, str]]:
    """Ask everyone everything, in rounds.

    Args:
        everyone: the contenders.
        asks: requests that take a budget, by their names in the results.
        plan: how many rounds, and how long each request may take.

    Returns:
        The answers of each round, by request and contender; and the reasons of those who failed.
    """
    failed: dict[str, str] = {}
    found: dict[str, Answers] = {ask: {} for ask in asks}
    with ExitStack() as stack:
        processes = {}
        for contender in everyone:
            try:
                processes[contender.name] = stack.enter_context(Process(contender))
            except FailedError as error:
                failed[contender.name] = str(error)
        for label, request in asks.items():
            for order in rounds.turns(list(processes), plan.rounds):
                for name in order:
                    try:
                        answer = processes[name].ask(**request, budget_s=plan.budget_s)
                    except FailedError as error:
                        failed[name] = str(error)
                        continue
                    found[label].setdefault(name, []).append(answer)
    return found, failed


def _judged(of_shape: Answers, failed: Mapping[str, str], clock: str) -> dict[str, Any]:
    over, over_cpu = _over_bare(of_shape, clock), _over_bare(of_shape, "cpu_us")
    results: dict[str, Any] = {}
    for name, us in over.items():
        results[name] = rounds.summary(us)
        for yardstick in contenders.YARDSTICKS:
            if yardstick.name in over:
                results[name][yardstick.name] = rounds.ratio(over, name, yardstick.name)
        if HAND.name in over:
            results[name]["hand_cpu"] = rounds.ratio(over_cpu, name, HAND.name)
    return results | {name: {"failed": reason} for name, reason in failed.items()}


def _over_bare(of_shape: Answers, clock: str) -> dict[str, list[float]]:
    """Return the numbers of those who did every round, over those of a bare contender, if any."""
    times = max(map(len, of_shape.values()), default=0)
    bare = [answer[clock] for answer in of_shape.get(BARE, ())] or [0.0] * times
    return {
        name: [mine[clock] - plain for mine, plain in zip(answers, bare, strict=True)]
        for name, answers in of_shape.items()
        if name != BARE and len(answers) == len(bare)
    }
