"""How contenders take turns, and what is made of their numbers."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

Name = TypeVar("Name")


def turns(names: Sequence[Name], rounds: int, seed: int = 1) -> Iterator[list[Name]]:
    """Yield the order of each round: everyone once, and shuffled anew."""
    order = random.Random(seed)  # noqa: S311 - of no secret
    for _ in range(rounds):
        shuffled = list(names)
        order.shuffle(shuffled)
        yield shuffled


def median(values: Sequence[float]) -> float:
    """Return the value in the middle."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> float | None:
    """Return the distance between the quartiles, as a share of the median; None of too few."""
    if len(values) < 4 or not median(values):
        return None
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / median(values)


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which that share of the ordered values lies."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(values: Sequence[float]) -> dict[str, float | None]:
    """Return what is said of the numbers of one contender."""
    return {"median": median(values), "spread": spread(values), "rounds": len(values)}


def ratio(by_name: Mapping[str, Sequence[float]], name: str, yardstick: str) -> float:
    """Return the median over the rounds of one contender's number by the yardstick's.

    Within a round both were measured one soon after the other: what slows the machine down for
    a while slows both.
    """
    pairs = zip(by_name[name], by_name[yardstick], strict=True)
    return median([mine / theirs for mine, theirs in pairs])
