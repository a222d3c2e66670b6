"""What the numbers should be, and how far off they may be before a quick run fails."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# What the yardstick cost where the targets in microseconds were set.
HAND_US = 26.0
# By how much a curve may rise from its first point to its last one and be called level.
LEVEL = 1.25

Results = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Target:
    """One number that is wanted.

    Attributes:
        what: is measured.
        bound: it is not to be above it, or below it for a rate.
        quick: the same for a quick run, which is to fail only where something is far off; None
            for what is no ratio.
        find: the number, among the results.
        unit: behind the number; nothing for a ratio.
        is_scaled: it is a time, which a slower machine makes longer.
        is_rate: more is better.
    """

    what: str
    bound: float
    quick: float | None
    find: Callable[[Results], float]
    unit: str = ""
    is_scaled: bool = False
    is_rate: bool = False


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a target.

    Attributes:
        target: that was judged.
        measured: what was measured; None where nothing was.
        scaled: the same on a machine on which the yardstick costs what it did where the
            targets were set; None for what does not depend on it.
    """

    target: Target
    measured: float | None
    scaled: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether the number as measured is good enough; None where there is none."""
        return None if self.measured is None else self._within(self.measured, self.target.bound)

    @property
    def is_met_scaled(self) -> bool | None:
        """The same for the scaled number, where there is one."""
        return None if self.scaled is None else self._within(self.scaled, self.target.bound)

    @property
    def is_far_off(self) -> bool:
        """Whether a quick run has to fail for it."""
        judged = self.measured if self.scaled is None else self.scaled
        if judged is None or self.target.quick is None:
            return False
        return not self._within(judged, self.target.quick)

    def _within(self, number: float, bound: float) -> bool:
        return number >= bound if self.target.is_rate else number <= bound


def _call(group: str, shape: str, name: str, key: str) -> Callable[[Results], float]:
    return lambda results: float(results["calls"][group][shape][name][key])


_CALLS = {
    "root": "call at the root",
    "nested": "nested call",
    "root_async": "coroutine at the root",
    "nested_async": "nested coroutine",
}
# The variant, the bound, and the bound of a quick run: where a target is not met yet, what was
# reached and room for the noise of so short a run, so that it is not lost again.
_VARIANTS = (
    ("Spanwise, no sink", 0.30, 0.65),
    ("Spanwise, files", 0.45, 2.00),
    ("Spanwise, spool", 0.45, 2.20),
    ("Spanwise on a foreign provider", 0.75, 1.00),
)
_OVER_BARE = (
    ("off", "root", "Spanwise", "switched off: a call", 0.3, 0.6),
    ("off", "root_async", "Spanwise", "switched off: a coroutine", 0.3, 0.6),
    ("unconfigured", "root", "Spanwise", "unconfigured: a call", 0.3, 0.6),
    ("unconfigured", "root_async", "Spanwise", "unconfigured: a coroutine", 0.3, 0.6),
    ("sampled out", "root", "Spanwise", "sampled out: a call", 1.5, 2.5),
    ("sampled out", "nested", "Spanwise", "sampled out: a nested call", 1.5, 2.5),
    ("decorated", "steps", "Spanwise, no sink", "a step of a generator", 1.5, 3.0),
    ("decorated", "steps_async", "Spanwise, no sink", "a step of an async generator", 1.5, 3.0),
)


def _targets() -> Iterator[Target]:
    for shape, called in _CALLS.items():
        for name, bound, quick in _VARIANTS:
            what = f"{called}, {name}, by hand = 1"
            yield Target(what, bound, quick, _call("decorated", shape, name, "hand"))
    for group, shape, name, what, bound, quick in _OVER_BARE:
        find = _call(group, shape, name, "median")
        yield Target(what, bound, quick, find, "µs", is_scaled=True)
    yield Target(
        "a 1 MB string and 10,000 leaves, no sink",
        0.3,
        1.5,
        lambda results: (
            results["payloads"]["text and leaves"]["Spanwise, no sink"]["median"] / 1000
        ),
        "ms",
        is_scaled=True,
    )
    for name, quick in (("Spanwise, no sink", 1.6), ("Spanwise, spool", 4.5)):
        yield Target(
            f"a span by OpenTelemetry's API, {name}, the stock provider = 1",
            1.0,
            quick,
            lambda results, name=name: results["instrumentors"]["tracer"][name]["hand"],  # type: ignore[misc]
        )
    for ours, stock in (
        ("Spanwise, API spans", "stock, API spans"),
        ("Spanwise, decorated", "stock, decorated by hand"),
    ):
        yield from _of_bursts(ours, stock)
    for state in ("dead", "hanging"):
        find_exit = _exit(state, "exit_s")
        yield Target(f"exit with a {state} collector", 2.0, None, find_exit, "s")
        yield Target(f"spans lost at an exit with a {state} collector", 0, 0, _lost(state), "spans")
    yield Target(
        "import, over that of the OpenTelemetry API",
        15,
        40,
        lambda results: results["imports"]["Spanwise"]["over_api_ms"],
        "ms",
        is_scaled=True,
    )
    yield Target("installed size", 50, None, lambda results: results["sizes"]["alone"]["mb"], "MB")
    for curve in ("depth", "open", "identity", "spool", "total"):
        yield Target(
            f"how much a span's price grows: {curve}", LEVEL, None, _growth(curve), "times"
        )


def _of_bursts(ours: str, stock: str) -> Iterator[Target]:
    def share(results: Results) -> float:
        return float(
            results["throughput"][ours]["delivered"] / results["throughput"][ours]["produced"]
        )

    def rate(results: Results) -> float:
        return float(results["throughput"][ours]["delivered_per_s"])

    def cpu(results: Results) -> float:
        return float(results["throughput"][ours]["cpu_us"] / results["throughput"][stock]["cpu_us"])

    yield Target(f"share delivered of a burst, {ours}", 1.0, 1.0, share, is_rate=True)
    yield Target(f"delivered, {ours}", 30_000, None, rate, "spans/s", is_scaled=True, is_rate=True)
    yield Target(f"CPU per span, {ours}, {stock} = 1", 0.7, 2.5, cpu)


def _exit(state: str, key: str) -> Callable[[Results], float]:
    return lambda results: float(results["exits"][state]["Spanwise, spool"][key])


def _lost(state: str) -> Callable[[Results], float]:
    return lambda results: _exit(state, "produced")(results) - _exit(state, "arrived")(results)


def _growth(curve: str) -> Callable[[Results], float]:
    def find(results: Results) -> float:
        lines = results["curves"][curve]["lines"]
        ours = [line for name, line in lines.items() if name.startswith("Spanwise")]
        return float(max(line[-1] / line[0] for line in ours))

    return find


TARGETS = tuple(_targets())


def verdicts(results: Results) -> list[Verdict]:
    """Judge every target by the results."""
    try:
        slowness = results["calls"]["decorated"]["root"]["hand"]["median"] / HAND_US
    except KeyError:
        slowness = 1.0
    found = []
    for target in TARGETS:
        try:
            measured = target.find(results)
        except (KeyError, ValueError):
            found.append(Verdict(target, None))
            continue
        scaled = None
        if target.is_scaled:
            scaled = measured * slowness if target.is_rate else measured / slowness
        found.append(Verdict(target, measured, scaled))
    return found
