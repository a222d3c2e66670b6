"""A process of one contender: it sets it up, and does what it is asked to, one thing at a time.

    python -m benchmarks.worker MODULE VARIANT FOLDER ENDPOINT SENDS

Requests and answers are lines of JSON. What the package prints goes to the error stream.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import time
from importlib import metadata
from typing import Any

from benchmarks import timing
from benchmarks.contenders.kit import Kit, Place
from benchmarks.subject import FILTERS, QUESTION, answer


class Worker:
    """What can be asked of a contender; each method is a request."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._shapes: timing.Shapes | None = None
        self._bare = timing.Shapes(Kit(lambda function: function))
        self._held: list[Any] = []

    @property
    def shapes(self) -> timing.Shapes:
        """The decorated functions, made when they are first called."""
        if self._shapes is None:
            self._shapes = timing.Shapes(self._kit)
        return self._shapes

    def call(self, shape: str, budget_s: float, which: str | None = None) -> dict[str, float]:
        """Return the price of one call, over that of the undecorated function."""
        function = getattr(self.shapes, shape)
        if which is not None:
            return timing.per_call(lambda calls: function(calls, which), budget_s, timing.nothing)
        bare = timing.nothing if shape == "tracer" else getattr(self._bare, shape)
        return timing.per_call(function, budget_s, bare)

    def count(self, shape: str, calls: int) -> None:
        """Make so many calls, and no more."""
        getattr(self.shapes, shape)(calls)

    def depth(self, depth: int, budget_s: float) -> dict[str, float]:
        """Return the price of a call among calls that are that deep in each other."""
        return timing.per_call(timing.recursing(self._kit, depth), budget_s, timing.nothing)

    def hold(self, spans: int) -> None:
        """Have that many spans open."""
        from opentelemetry import trace

        tracer = trace.get_tracer("benchmark")
        self._held += [tracer.start_span("open") for _ in range(spans - len(self._held))]

    def identified(self, attributes: int, budget_s: float) -> dict[str, float]:
        """Return the price of a call below an identity of so many attributes."""
        import spanwise

        said = {f"key_{number}": f"value {number}" for number in range(attributes)}
        with spanwise.identify(user="jane" if attributes else None, metadata=said):
            return self.call("root", budget_s)

    def fill(self, megabytes: float) -> None:
        """Have so much more waiting in the spool."""
        function = self._kit.top(answer)
        text = "The quick brown fox asks 17 lazy dogs about the weather in Oslo. " * 200
        for _ in range(int(megabytes * 1_000_000 / (2.2 * len(text)))):
            function(text, 5, filters=FILTERS)

    def block(self, calls: int) -> float:
        """Return the price of a call over exactly so many, in microseconds of CPU."""
        return self.shapes.root(calls)[1] / calls / 1000

    def each(self, seconds: float) -> list[int]:
        """Return the nanoseconds of each of the calls that fit into the time."""
        return timing.each_call(self._kit, seconds)

    def burst(self, spans: int, shape: str) -> dict[str, float]:
        """Make so many spans in a tight loop, and wait until they are gone."""
        self.shapes.root(1)
        self._kit.flush()
        began, cpu = time.monotonic(), time.process_time()
        if shape == "tracer":
            self.shapes.tracer(spans)
        else:
            function = self._kit.top(answer)
            for _ in range(spans):
                function(QUESTION, 5, filters=FILTERS)
        made = time.monotonic()
        self._kit.flush()
        return {
            "began": began,
            "made": made,
            "flushed": time.monotonic(),
            "cpu_s": time.process_time() - cpu,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }

    def versions(self) -> dict[str, str]:
        """Return the releases of what is installed here."""
        return {found.metadata["Name"].lower(): found.version for found in metadata.distributions()}


def main(arguments: list[str]) -> None:
    """Serve until the requests end; an error is an answer too."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module, variant, folder, endpoint, sends = arguments
    try:
        contender = importlib.import_module(f"benchmarks.contenders.{module}")
        kit = contender.set_up(variant, Place(folder, endpoint, sends == "True"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the table says
        _answer(answers, error=f"{type(error).__name__}: {error}")
        return
    worker = Worker(kit)
    _answer(answers, value="ready")
    for line in sys.stdin:
        request = json.loads(line)
        try:
            _answer(answers, value=getattr(worker, request.pop("do"))(**request))
        except Exception as error:  # noqa: BLE001 - likewise
            _answer(answers, error=f"{type(error).__name__}: {error}")


def _answer(answers: Any, **what: Any) -> None:
    answers.write(json.dumps(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
