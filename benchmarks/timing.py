"""What a worker times: calls of decorated functions, one shape after the other."""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders.kit import Kit
from benchmarks.subject import (
    FILTERS,
    QUESTION,
    answer,
    answer_later,
    payloads,
    stream,
    stream_later,
    take,
)

BATCHES = 5
# Steps of the short and of the long generator: their difference is the price of steps alone.
SHORT, LONG = 100, 1100
_ENOUGH_BARE = 20_000  # calls in a batch

Timed = tuple[int, int]  # nanoseconds of the wall clock, and of the CPU, of all threads


class Shapes:
    """The decorated functions of one contender.

    Each method makes that many calls and returns what they took.
    """

    def __init__(self, kit: Kit) -> None:
        self._root = kit.top(answer)
        self._child = kit.child(answer)
        self._root_later = kit.top(answer_later)
        self._child_later = kit.child(answer_later)
        self._stream = kit.top(stream)
        self._stream_later = kit.top(stream_later)
        self._take = kit.top(take)
        self._payloads: dict[str, Any] = {}
        self._inside = kit.top(_calls)
        self._inside_later = kit.top(_calls_later)

    def root(self, calls: int) -> Timed:
        """Call at the top of a trace each time."""
        return _calls(self._root, calls)

    def nested(self, calls: int) -> Timed:
        """Call below another decorated call."""
        timed: Timed = self._inside(self._child, calls)
        return timed

    def root_async(self, calls: int) -> Timed:
        """Await at the top of a trace each time."""
        return asyncio.run(_calls_later(self._root_later, calls))

    def nested_async(self, calls: int) -> Timed:
        """Await below another decorated coroutine."""
        timed: Timed = asyncio.run(self._inside_later(self._child_later, calls))
        return timed

    def steps(self, calls: int) -> Timed:
        """Go so many steps through a generator."""
        return _difference(lambda steps: _go_through(self._stream, steps), calls)

    def steps_async(self, calls: int) -> Timed:
        """Go so many steps through an async generator."""
        return _difference(
            lambda steps: asyncio.run(_go_through_later(self._stream_later, steps)), calls
        )

    def payload(self, calls: int, which: str = "text and leaves") -> Timed:
        """Call with a large argument."""
        self._payloads = self._payloads or payloads()
        value, function = self._payloads[which], self._take
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(calls):
            function(value)
        return time.perf_counter_ns() - wall, time.process_time_ns() - cpu

    def tracer(self, calls: int) -> Timed:
        """Make spans with OpenTelemetry's API, as an instrumentor does."""
        from opentelemetry import trace

        tracer = trace.get_tracer("opentelemetry.instrumentation.example", "1.0")
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(calls):
            with tracer.start_as_current_span("chat model-1", kind=trace.SpanKind.CLIENT) as span:
                span.set_attribute("gen_ai.operation.name", "chat")
                span.set_attribute("gen_ai.provider.name", "example")
                span.set_attribute("gen_ai.request.model", "model-1")
                span.set_attribute("gen_ai.request.temperature", 0.5)
                span.set_attribute("server.address", "localhost")
                span.set_attribute("gen_ai.response.finish_reasons", ["stop"])
                span.set_attribute("gen_ai.usage.input_tokens", 120)
                span.set_attribute("gen_ai.usage.output_tokens", 40)
        return time.perf_counter_ns() - wall, time.process_time_ns() - cpu


def per_call(
    time_calls: Callable[[int], Timed], budget_s: float, time_bare: Callable[[int], Timed]
) -> dict[str, float]:
    """Return the price of a call over the bare one, in microseconds.

    Both are called in turns, a few batches each; the price is the difference of the medians.

    Args:
        time_calls: makes that many calls, and returns what they took.
        budget_s: seconds that the batches of the calls fill.
        time_bare: the same for the undecorated function.
    """
    time_calls(1)  # which sets up what packages set up when they are first used
    calls = 1
    while True:
        wall, _ = time_calls(calls)
        if wall > budget_s * 1e9 / BATCHES / 4 or calls >= 1 << 20:
            break
        calls *= 2
    calls = max(1, int(calls * budget_s * 1e9 / BATCHES / max(wall, 1)))
    gc.collect()
    batches, bare = [], []
    for _ in range(BATCHES):
        batches.append(time_calls(calls))
        bare.append(time_bare(min(calls, _ENOUGH_BARE)))
    prices = [
        statistics.median(taken[clock] for taken in batches) / calls
        - statistics.median(taken[clock] for taken in bare) / min(calls, _ENOUGH_BARE)
        for clock in (0, 1)
    ]
    return {"us": prices[0] / 1000, "cpu_us": prices[1] / 1000, "calls": calls * BATCHES}


def nothing(calls: int) -> Timed:
    """Take no time: what a call is compared with that has no bare form."""
    return 0, 0


def each_call(kit: Kit, seconds: float) -> list[int]:
    """Return the nanoseconds of each of the calls that fit into the time."""
    function = kit.top(answer)
    now = time.perf_counter_ns
    taken = []
    until = now() + int(seconds * 1e9)
    for _ in range(200):
        function(QUESTION, 5, filters=FILTERS)
    before = now()
    while before < until:
        function(QUESTION, 5, filters=FILTERS)
        after = now()
        taken.append(after - before)
        before = now()
    return taken


def recursing(kit: Kit, depth: int) -> Callable[[int], Timed]:
    """Return what times calls that are that deep in each other."""
    sys.setrecursionlimit(20_000)

    @kit.child
    def descend(left: int) -> int:
        return descend(left - 1) if left else 0

    def time_calls(calls: int) -> Timed:
        rounds = -(-calls // depth)
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(rounds):
            descend(depth - 1)
        share = rounds * depth / calls
        return (
            int((time.perf_counter_ns() - wall) / share),
            int((time.process_time_ns() - cpu) / share),
        )

    return time_calls


def _calls(function: Callable[..., Any], calls: int) -> Timed:
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(calls):
        function(QUESTION, 5, filters=FILTERS)
    return time.perf_counter_ns() - wall, time.process_time_ns() - cpu


async def _calls_later(function: Callable[..., Any], calls: int) -> Timed:
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(calls):
        await function(QUESTION, 5, filters=FILTERS)
    return time.perf_counter_ns() - wall, time.process_time_ns() - cpu


def _go_through(function: Callable[..., Any], steps: int) -> Timed:
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in function(steps):
        pass
    return time.perf_counter_ns() - wall, time.process_time_ns() - cpu


async def _go_through_later(function: Callable[..., Any], steps: int) -> Timed:
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    async for _ in function(steps):
        pass
    return time.perf_counter_ns() - wall, time.process_time_ns() - cpu


def _difference(go: Callable[[int], Timed], calls: int) -> Timed:
    """Return what so many steps take, from how much longer a long generator takes."""
    repeated = max(1, calls // (LONG - SHORT))
    wall = cpu = 0
    for _ in range(repeated):
        (wall_short, cpu_short), (wall_long, cpu_long) = go(SHORT), go(LONG)
        wall += wall_long - wall_short
        cpu += cpu_long - cpu_short
    share = repeated * (LONG - SHORT) / calls
    return int(wall / share), int(cpu / share)
