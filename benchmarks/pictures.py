"""The charts of the page, drawn from the results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks import charts


def drawn(results: Mapping[str, Any]) -> dict[str, str]:
    """Return the charts, by name, of what was measured."""
    found: dict[str, str] = {}
    if "calls" in results:
        title = "A decorated call; the decorator written by hand = 1"
        ratios = _ordered(results["calls"]["decorated"]["root"], "hand")
        found["calls"] = charts.bars(title, ratios, mark=1.0)
    if "payloads" in results:
        title = "A call with a 1 MB string and 10,000 leaves (logarithmic)"
        ms = _ordered(results["payloads"]["text and leaves"], "median", 1000)
        found["payloads"] = charts.bars(title, ms, unit="ms", is_log=True)
    if "throughput" in results:
        title = "Spans delivered per second, from a tight loop"
        rates = _ordered(results["throughput"], "delivered_per_s")
        found["throughput"] = charts.bars(title, dict(reversed(rates.items())))
    if "imports" in results:
        ms = _ordered(results["imports"], "median")
        found["imports"] = charts.bars("Import in a fresh process", ms, unit="ms")
    for name, curve in results.get("curves", {}).items():
        title = f"A span's price against the {curve['x']}"
        found[f"curve-{name}"] = charts.lines(
            title, curve["x"], curve["xs"], curve["lines"], "microseconds of CPU a span"
        )
    return found


def _ordered(found: Mapping[str, Any], key: str, divisor: float = 1.0) -> dict[str, float]:
    """Return one number of each contender that has it, the least first."""
    numbers = {name: one[key] / divisor for name, one in found.items() if key in one}
    return dict(sorted(numbers.items(), key=lambda item: item[1]))
