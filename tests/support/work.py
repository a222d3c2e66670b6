"""Work of a program in this process: it makes spans, and remembers them and what they took."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry import trace

import spanwise
from support.programs import Outcome


class Work:
    """Makes spans.

    Attributes:
        ids: of the spans that ended, as hex.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []

        @spanwise.tool(name="step")
        def step(text: str) -> str:
            return f"{trace.get_current_span().get_span_context().span_id:016x}"

        self._step = step

    def do(self, spans: int, *, pause_s: float = 0.0) -> list[float]:
        """Make so many spans one after another; return how many seconds each of them took."""
        took_s = []
        for _ in range(spans):
            since = time.perf_counter()
            span_id = self._step("what a tool was asked to do")
            took_s.append(time.perf_counter() - since)
            self.ids.append(span_id)
            if pause_s:
                time.sleep(pause_s)
        return took_s

    def block(self, name: str, **attributes: Any) -> None:
        """Make one span of this name, with attributes as OpenTelemetry takes them."""
        tracer = trace.get_tracer("program")
        with tracer.start_as_current_span(name, attributes=attributes) as span:
            self.ids.append(f"{span.get_span_context().span_id:016x}")

    def do_in_threads(self, threads: int, spans: int, *, pause_s: float = 0.0) -> list[float]:
        """Do that in several threads at once."""
        took_s: list[float] = []
        running = [
            threading.Thread(target=lambda: took_s.extend(self.do(spans, pause_s=pause_s)))
            for _ in range(threads)
        ]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        return took_s

    @contextmanager
    def going_on(self, *, pause_s: float = 0.002) -> Iterator[None]:
        """Make spans in another thread for as long as the block is not left."""
        is_over = threading.Event()

        def run() -> None:
            while not is_over.is_set():
                self.do(1, pause_s=pause_s)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def outcome(self, collector: Any) -> Outcome:
        """Compare the spans with those that a collector accepted."""
        return outcome_of(self.ids, collector)


def outcome_of(ids: Sequence[str], collector: Any) -> Outcome:
    """Compare the ids of spans with those that a collector accepted, whoever made them."""
    arrived = Counter(collector.spans)
    return Outcome(
        arrived=len(arrived),
        lost=len(set(ids) - set(arrived)),
        twice=sum(times > 1 for times in arrived.values()),
        corrupt=len(getattr(collector, "corrupt", ())),
    )
