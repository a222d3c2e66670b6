"""What programs of the fault tests make: spans, each reported by one write after its end.

Imported by those programs, not by the tests. The report is a file that is opened for each write,
so that neither a fork nor the closing of all descriptors takes it away.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from typing import Any

from opentelemetry import trace

import spanwise
from support.reports import REPORT, WATCHDOG_S

_numbers = itertools.count()


def work(size: int = 0) -> str:
    """Make a span with so long a text as its input, report it, and return its id."""
    label = f"{os.getpid()}-{next(_numbers)}"
    span_id = _work(label, "x" * size)
    report(span_id, label)
    return span_id


async def work_async() -> str:
    """Do the same as a coroutine, which gives others a turn while the span is open."""
    label = f"{os.getpid()}-{next(_numbers)}"
    span_id = await _work_async(label)
    report(span_id, label)
    return span_id


def works(spans: int) -> None:
    """Make so many spans."""
    for _ in range(spans):
        work()


def work_forever() -> None:
    """Make spans until something ends that."""
    while True:
        work()


def in_background(function: Any, *arguments: Any) -> threading.Thread:
    """Call the function in a daemon thread."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def report(span_id: str, label: str = "-") -> None:
    """Say that a span has ended."""
    append(os.environ[REPORT], f"{span_id} {label}\n")


def append(path: str, text: str) -> None:
    """Add to a file by one write."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def current_id() -> str:
    """Return the id of the span that is open here."""
    return f"{trace.get_current_span().get_span_context().span_id:016x}"


@spanwise.tool(name="work")
def _work(label: str, text: str) -> str:
    return current_id()


@spanwise.tool(name="work")
async def _work_async(label: str) -> str:
    import asyncio

    await asyncio.sleep(0)
    return current_id()


def watch() -> None:
    """End this process if it hangs; a child does not inherit that."""
    signal.alarm(WATCHDOG_S)


watch()
os.register_at_fork(after_in_child=watch)
