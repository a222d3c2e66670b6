"""Charts as SVG: bars and lines, readable on a light page and on a dark one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

_WIDTH = 760
_COLOURS = ("#2f81f7", "#d29922", "#3fb950", "#a371f7", "#f778ba", "#8b949e")
_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #24292f }
.quiet { fill: #57606a } .title { font-weight: 600; font-size: 15px }
.grid { stroke: #8b949e; stroke-opacity: 0.35 } .mark { stroke: #cf222e; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .quiet { fill: #9da7b1 } }
</style>"""


def bars(
    title: str,
    values: Mapping[str, float],
    *,
    unit: str = "",
    mark: float | None = None,
    is_ours: str = "Spanwise",
    is_log: bool = False,
) -> str:
    """Return horizontal bars, one for each value, in the order given.

    Args:
        title: above them.
        values: by what they are called.
        unit: behind each number.
        mark: a value at which a line is drawn.
        is_ours: beginning of the names of bars that stand out.
        is_log: the length is the logarithm; for what differs by orders of magnitude.
    """
    left, right, row, top = 230, 110, 26, 40
    room = _WIDTH - left - right
    shown = [value for value in (*values.values(), mark) if value is not None and value > 0]
    low = min(shown, default=1.0) / 2
    high = max(shown, default=1.0)

    def length(value: float) -> float:
        if value <= 0:
            return 0.0
        share = math.log(value / low) / math.log(high / low) if is_log else value / high
        return max(1.0, room * share)

    height = top + row * len(values) + 14
    parts = [f'<text class="title" x="8" y="22">{escape(title)}</text>']
    for index, (name, value) in enumerate(values.items()):
        y = top + index * row
        colour = _COLOURS[0] if name.startswith(is_ours) else _COLOURS[5]
        parts += [
            f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{left}" y="{y + 3}" width="{length(value):.1f}" height="{row - 8}" '
            f'rx="2" fill="{colour}"/>',
            f'<text class="quiet" x="{left + length(value) + 6:.1f}" y="{y + 16}">'
            f"{escape(number(value) + (f' {unit}' if unit else ''))}</text>",
        ]
    if mark is not None:
        x = left + length(mark)
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{height - 10}"/>'
        )
    return _svg(height, parts)


def lines(
    title: str, label: str, xs: Sequence[float], values: Mapping[str, Sequence[float]], unit: str
) -> str:
    """Return lines over the same points, which are set apart evenly, from zero upwards."""
    left, right, top, room = 60, 20, 40, 220
    high = max((value for line in values.values() for value in line), default=1.0) * 1.1 or 1.0
    step = (_WIDTH - left - right) / max(1, len(xs) - 1)
    parts = [f'<text class="title" x="8" y="22">{escape(title)}</text>']
    for quarter in range(5):
        y = top + room * (1 - quarter / 4)
        parts += [
            f'<line class="grid" x1="{left}" x2="{_WIDTH - right}" y1="{y:.1f}" y2="{y:.1f}"/>',
            f'<text class="quiet" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f"{number(high * quarter / 4)}</text>",
        ]
    for index, x in enumerate(xs):
        at = "start" if index == 0 else "end" if index == len(xs) - 1 else "middle"
        parts.append(
            f'<text class="quiet" x="{left + index * step:.1f}" y="{top + room + 18}" '
            f'text-anchor="{at}">{x:,.0f}</text>'
        )
    middle = left + (_WIDTH - left - right) / 2
    parts.append(
        f'<text class="quiet" x="{middle:.0f}" y="{top + room + 38}" text-anchor="middle">'
        f"{escape(label)}; {escape(unit)}</text>"
    )
    for index, (name, line) in enumerate(values.items()):
        colour = _COLOURS[index % len(_COLOURS)]
        points = " ".join(
            f"{left + at * step:.1f},{top + room * (1 - value / high):.1f}"
            for at, value in enumerate(line)
        )
        y = top + room + 60 + index * 20
        parts += [
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
            f'<rect x="{left}" y="{y - 10}" width="14" height="10" fill="{colour}"/>',
            f'<text x="{left + 20}" y="{y}">{escape(name)}</text>',
        ]
    return _svg(top + room + 60 + len(values) * 20, parts)


def number(value: float) -> str:
    """Return a number with about three digits that say something."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 3)}f}"


def _svg(height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}" '
        f'width="{_WIDTH}" height="{height:.0f}" role="img">\n{_STYLE}\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
