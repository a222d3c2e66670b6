"""While the program writes, the thread that sends leaves it most of the time."""

from __future__ import annotations

import pytest

from spanwise.export import pace as pace_module
from spanwise.export.pace import Pace


class Clock:
    """A time that passes only where somebody sleeps or works."""

    def __init__(self):
        self.now = 100.0
        self.slept = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.slept += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(pace_module, "monotonic", made.monotonic)
    monkeypatch.setattr(pace_module, "sleep", made.sleep)
    return made


def worked(clock, pace, seconds, piece=0.00001):
    """Work for so long in small pieces; return how much of the time that took was rest."""
    before, slept = clock.now, clock.slept
    for _ in range(round(seconds / piece)):
        clock.now += piece
        pace.rest()
    return (clock.slept - slept) / (clock.now - before)


def lines():
    """Count up at each look, as the lines of a program that goes on."""
    lines.written += 1
    return lines.written


lines.written = 0


def test_a_program_that_writes_has_most_of_the_time(clock):
    """What is sent is not late yet."""
    pace = Pace(lines, lambda: False)
    pace.begin()
    assert 0.6 < worked(clock, pace, 0.1) < 0.7


def test_a_program_that_writes_nothing_is_not_waited_for(clock):
    """It may have ended, or wait for what is sent."""
    pace = Pace(lambda: 7, lambda: False)
    pace.begin()
    worked(clock, pace, 0.01)
    assert 0.0 == worked(clock, pace, 0.1)


def test_whoever_waits_for_what_is_sent_is_not_kept_waiting(clock):
    """A flush, or the close at the exit."""
    pace = Pace(lines, lambda: True)
    pace.begin()
    assert 0.0 == worked(clock, pace, 0.1)


def test_what_is_sent_is_a_second_late_at_most(clock):
    """From then on nothing but sending counts, until all is sent."""
    pace = Pace(lines, lambda: False)
    pace.begin()
    worked(clock, pace, 0.5)
    assert clock.now > 100.0 + 1.0
    assert 0.0 == worked(clock, pace, 0.1)
    pace.begin()
    assert worked(clock, pace, 0.1) > 0.6


def test_a_rest_is_short_whatever_held_up_the_work(clock):
    """A request that took a second does not make the next rest take two."""
    pace = Pace(lines, lambda: False)
    pace.begin()
    clock.now += 0.4
    pace.rest()
    assert 0.0 < clock.slept < 0.01
