"""A fault of ours is swallowed, counted and told; what belongs to the program goes on to it."""

from __future__ import annotations

import functools
import signal
import threading
import time

import pytest

import spanwise
from spanwise import _guard
from spanwise._encoding import Encoder


class TimeLimitError(Exception):
    """As a task queue raises it, from a signal handler."""


def plain(number, frame):
    raise TimeLimitError


def resetting(number, frame):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    plain(number, frame)


class Handlers:
    def method(self, number, frame):
        raise TimeLimitError

    def __call__(self, *given):
        raise TimeLimitError


HANDLERS = {
    "function": plain,
    "one that resets itself": resetting,
    "method": Handlers().method,
    "callable object": Handlers(),
    "partial": functools.partial(lambda extra, *given: plain(*given), 1),
    "lambda": lambda *given: plain(*given),
}


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("place", ["start", "finish", "block", "update"])
def test_what_a_signal_handler_raises_in_our_code_is_the_programs(
    files, monkeypatch, handler, place
):
    """A time limit that strikes while a value is captured is kept all the same."""
    real = Encoder.dumps
    value = object()

    def slow(self, given):
        until = time.monotonic() + 10
        wanted = given == {"argument": value} if place == "start" else given is value
        while wanted and time.monotonic() < until:
            pass
        return real(self, given)

    @spanwise.agent(capture_input=place == "start", capture_output=place == "finish")
    def answer(argument):
        return argument

    def work():
        if place in ("start", "finish"):
            answer(value)
        elif place == "block":
            with spanwise.observe("block", input=value):
                pass
        else:
            with spanwise.observe("block"):
                spanwise.current().update(output=value)

    monkeypatch.setattr(Encoder, "dumps", slow)
    before = signal.signal(signal.SIGALRM, HANDLERS[handler])
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(TimeLimitError):
            work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert spanwise.current().name == ""


def test_a_fault_is_counted_and_told_once_a_minute(caplog, swallowed):
    """Every one is counted, one line is logged for each place."""
    for n in range(3):
        with _guard.guard("here"):
            raise ValueError(f"number {n}")
    assert {"failures.here": 3} == swallowed()
    assert ["here failed and was skipped: ValueError: number 0"] == caplog.messages


def test_an_interrupt_goes_on(files):
    """Only errors are faults."""
    with pytest.raises(KeyboardInterrupt), _guard.guard("here"):
        raise KeyboardInterrupt


def test_a_broken_log_handler_disturbs_nobody(monkeypatch, swallowed):
    """The fault is counted all the same."""

    def broken(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(_guard.logger, "warning", broken)
    with _guard.guard("here"):
        raise ValueError
    assert {"failures.here": 1} == swallowed()


def test_a_thread_has_no_signal_handlers(swallowed):
    """A frame that happens to know the one below it is no handler there."""

    def knowing(frame):
        raise ValueError

    def work():
        import sys

        with _guard.guard("here"):
            knowing(sys._getframe())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert {"failures.here": 1} == swallowed()
