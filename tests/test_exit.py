"""The exit: what is done for it together has the time of one."""

from __future__ import annotations

import subprocess
import sys
import time

from opentelemetry.sdk.trace import TracerProvider

import spanwise
from spanwise import _configure, _state


class Slow:
    """A sink that takes some of the time that it is given to close, and notes how much that was."""

    def __init__(self) -> None:
        self.given_s: list[float] = []

    def write(self, record: object) -> None: ...

    def wake(self) -> None: ...

    def flush(self, timeout_s: float) -> bool:
        return True

    def close(self, timeout_s: float) -> None:
        self.given_s.append(timeout_s)
        time.sleep(min(timeout_s, 0.1))


def test_an_exit_has_its_time_once_on_an_applications_provider():
    """The provider shuts its processors down at the exit as well, after we have finished."""
    provider = TracerProvider(shutdown_on_exit=False)
    sink = Slow()
    spanwise.configure(tracer_provider=provider, traces_dir=None)
    _configure.place_sink("slow", sink)
    _configure._finish()
    provider.shutdown()
    finished_s, shut_down_s = sink.given_s
    assert shut_down_s <= finished_s - 0.1


def test_a_shutdown_before_the_exit_has_its_own_time():
    """It is no part of the exit; a later one has as much."""
    sink = Slow()
    for _ in range(2):
        spanwise.configure(traces_dir=None)
        _configure.place_sink("slow", sink)
        spanwise.shutdown()
        _configure.place_sink("slow", None)
    assert _state.is_exiting is False
    first_s, _, later_s, _ = sink.given_s
    assert later_s > first_s - 0.1


def test_a_buffer_of_fluxloop_stores_what_it_has_and_leaves_the_flush_to_the_exit(tmp_path):
    """A flush of its own would wait for a collector that hangs, beside the exit's time."""
    program = """
import spanwise
from fluxloop.buffer import EventBuffer
from fluxloop.models import TraceData
EventBuffer.get_instance().add_trace(TraceData(name="handed over"))
spanwise.flush = print
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        text=True,
        timeout=60,
    )
    (stored,) = tmp_path.rglob("traces_*.jsonl")
    assert "" == done.stdout
    assert "handed over" in stored.read_text(encoding="utf-8")
