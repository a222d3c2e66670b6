"""How much is measured: the whole, the quick form, and a tiny one for tests."""

from __future__ import annotations

import dataclasses
import sys
import time

_began = time.monotonic()


@dataclasses.dataclass(frozen=True)
class Plan:
    """How often, how long and how much.

    Attributes:
        rounds: of what is quick to measure.
        long_rounds: of what takes long: bursts, exits.
        budget_s: seconds that one contender calls one function in one round.
        burst: spans of a tight loop.
        clock: what counts of an answer: the wall's time, or the CPU's, which the neighbours on a busy
            machine do not make longer.
        peers: others than the yardsticks and ours take part.
    """

    rounds: int = 7
    long_rounds: int = 3
    budget_s: float = 0.1
    burst: int = 100_000
    clock: str = "us"
    peers: bool = True


WHOLE = Plan()
QUICK = Plan(rounds=5, long_rounds=1, budget_s=0.05, burst=20_000, clock="cpu_us", peers=False)


def say(what: str) -> None:
    """Tell what is going on: a whole run takes many minutes."""
    print(f"{time.monotonic() - _began:6.0f} s  {what}", file=sys.stderr, flush=True)
