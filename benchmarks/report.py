"""The page of the numbers, its tables and its charts, from the results and from nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import contenders, pictures
from benchmarks.charts import number
from benchmarks.environments import ROOT
from benchmarks.measures.latency import SHARES
from benchmarks.targets import HAND_US, Verdict, verdicts

TEMPLATE = Path(__file__).with_name("page.md")
PAGE = ROOT / "docs" / "performance.md"
NOT_MEASURED = "Not measured in this run."

Results = Mapping[str, Any]
_SHAPES = {
    "root": "root",
    "nested": "nested",
    "root_async": "root, async",
    "nested_async": "nested, async",
    "steps": "generator step",
    "steps_async": "async generator step",
}


def write(results: Results, page: Path = PAGE) -> None:
    """Write the page, and the charts into a folder of its name."""
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for name, svg in pictures.drawn(results).items():
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
    page.write_text(filled(TEMPLATE.read_text(encoding="utf-8"), results), encoding="utf-8")


def filled(template: str, results: Results) -> str:
    """Return the template with each `{{section}}` in its place."""
    text = template
    for name, section in SECTIONS.items():
        try:
            content = section(results)
        except KeyError:
            content = NOT_MEASURED
        text = text.replace("{{" + name + "}}", content)
    return text


def quick_table(judged: Sequence[Verdict]) -> str:
    """Return what a quick run prints."""
    rows = [
        [verdict.target.what, _said(verdict.measured), _said(verdict.scaled), _bound(verdict)]
        for verdict in judged
        if verdict.measured is not None
    ]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, (72, 10, 10, 12), strict=True))
        for row in rows
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _targets(results: Results) -> str:
    rows = []
    for verdict in verdicts(results):
        met = {True: "yes", False: "**no**", None: ""}
        as_measured = "not measured" if verdict.measured is None else met[verdict.is_met]
        rows.append(
            [
                verdict.target.what,
                _bound(verdict),
                _said(verdict.measured),
                as_measured,
                _said(verdict.scaled),
                met[verdict.is_met_scaled],
            ]
        )
    return table(["target", "bound", "measured", "met", "scaled", "met, scaled"], rows)


def _scale(results: Results) -> str:
    cost = results["calls"]["decorated"]["root"]["hand"]["median"]
    return (
        f"On this machine the decorator written by hand costs {number(cost)} µs a call; the bounds "
        f"in microseconds were set where it costs {HAND_US:.0f}. Scaled is what a time would be "
        f"there: divided by {number(cost / HAND_US)}, and a rate multiplied by it."
    )


def _calls(results: Results) -> str:
    shapes = results["calls"]["decorated"]
    header = ["contender", "root, µs", "spread", *list(_SHAPES.values())[:4]]
    header += ["generator step, µs", "async generator step, µs"]
    header += ["root, CPU of all threads", "root, bare SDK span = 1"]
    rows = []
    for name, label in _named(shapes["root"]):
        of_root = shapes["root"][name]
        cells = [_cell(of_root, "median"), _percent(of_root.get("spread"))]
        cells += [_cell(shapes[shape].get(name, {}), "hand") for shape in list(_SHAPES)[:4]]
        cells += [_cell(shapes[shape].get(name, {}), "median") for shape in list(_SHAPES)[4:]]
        cells += [_cell(of_root, "hand_cpu"), _cell(of_root, "sdk-span")]
        rows.append(_row(label, of_root, cells))
    return table(header, rows)


def _quiet(group: str) -> Callable[[Results], str]:
    def section(results: Results) -> str:
        shapes = results["calls"][group]
        rows = [
            _row(label, one, [_cell(shapes[shape].get(name, {}), "median") for shape in shapes])
            for name, label in _named(shapes["root"])
            if name != "hand" and (one := shapes["root"][name])
        ]
        return table(["contender", *[f"{_SHAPES[shape]}, µs" for shape in shapes]], rows)

    return section


def _payloads(results: Results) -> str:
    forms = list(results["payloads"])
    first = results["payloads"][forms[0]]
    rows = []
    for name, label in _named(first):
        cells = [_cell(results["payloads"][form].get(name, {}), "median", 1000) for form in forms]
        rows.append(_row(label, first[name], cells))
    return table(["contender, ms", *forms], rows)


def _instrumentors(results: Results) -> str:
    found = results["instrumentors"]
    rows = []
    for name, label in _named(found["tracer"]):
        label = "the SDK's provider, batch processor" if name == "hand" else label
        cells = []
        for measure in ("tracer", "openai"):
            one = found.get(measure, {}).get(name, {})
            cells += [_cell(one, "median"), _cell(one, "hand")]
        rows.append([label, *cells])
    header = ["provider", "8 attributes, µs", "ratio", "OpenAI call, µs over the bare one", "ratio"]
    return table(header, rows)


def _throughput(results: Results) -> str:
    rows = []
    found = results["throughput"]
    for name in sorted(found, key=lambda name: -found[name].get("delivered_per_s", 0)):
        one = found[name]
        if "failed" in one:
            rows.append(_row(name, one, [""] * 7))
            continue
        share = 100 * one["delivered"] / one["produced"]
        rows.append(
            [
                name,
                f"{one['produced']:,.0f}",
                f"{one['delivered']:,.0f} ({share:.0f} %)",
                f"{one['delivered_per_s']:,.0f}",
                number(one["loop_us"]),
                number(one["cpu_us"]),
                number(one["peak_mb"]),
                number(one["more_mb"]),
            ]
        )
    header = ["contender", "produced", "delivered", "delivered/s", "loop, µs a span"]
    header += ["CPU, µs a span", "peak memory, MB", "of which the burst, MB"]
    return table(header, rows)


def _latency(results: Results) -> str:
    rows = [
        [name, *[number(one[share]) if share in one else "failed" for share in SHARES]]
        for name, one in results["latency"].items()
    ]
    return table(["contender, µs", *SHARES], rows)


def _exits(results: Results) -> str:
    found = results["exits"]
    kept = ("hand", "Spanwise, spool")
    rows = []
    for name in found["dead"]:
        cells = []
        for state in ("dead", "hanging"):
            one = found[state].get(name, {"failed": "not run"})
            if "failed" in one:
                cells += [f"failed: {one['failed']}", ""]
                continue
            arrived = f"{one['arrived']:,.0f} of {one['produced']:,}" if name in kept else ""
            cells += [f"{one['exit_s']:.2f}", arrived]
        rows.append(["stock" if name == "hand" else name, *cells])
    header = ["contender", "dead, s", "arrived in the end", "hanging, s", "arrived in the end"]
    return table(header, rows)


def _imports(results: Results) -> str:
    rows = [
        _row(label, one, [_cell(one, "median"), _cell(one, "over_api_ms")])
        for name, label in _named(results["imports"])
        if (one := results["imports"][name])
    ]
    return table(["import", "ms", "over the API, in each round, ms"], rows)


def _sizes(results: Results) -> str:
    names = {**contenders.PACKAGES, "alone": "spanwise"}
    found = sorted(results["sizes"].items(), key=lambda item: item[1].get("mb", 0))
    return table(
        ["installation", "MB"], [_row(names[name], one, [_cell(one, "mb")]) for name, one in found]
    )


def _instructions(results: Results) -> str:
    found = results["instructions"]
    if "skipped" in found:
        return f"Not counted: {found['skipped']}."
    rows = [
        _row(name, one, [_cell(one, "thousands"), _cell(one, "hand")])
        for name, one in found.items()
    ]
    return table(["contender", "thousands of instructions", "by hand = 1"], rows)


def _curves(results: Results) -> str:
    pictures = []
    for name, curve in results["curves"].items():
        pictures.append(f"![{curve['x']}](performance/curve-{name}.svg)")
        pictures += [f"{who} failed: {why}" for who, why in curve["failed"].items()]
    return "\n\n".join(pictures) or NOT_MEASURED


def _machine(results: Results) -> str:
    machine = results["machine"]
    versions = "; ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}. Packages: {versions}."
    )


def _how(everyone: Sequence[contenders.Contender]) -> Callable[[Results], str]:
    return lambda _: "\n".join(f"- **{one.name}**: {one.how}" for one in everyone if one.how)


SECTIONS: Mapping[str, Callable[[Results], str]] = {
    "targets": _targets,
    "scale": _scale,
    "calls": _calls,
    "off": _quiet("off"),
    "unconfigured": _quiet("unconfigured"),
    "sampled out": _quiet("sampled out"),
    "payloads": _payloads,
    "instrumentors": _instrumentors,
    "throughput": _throughput,
    "latency": _latency,
    "exits": _exits,
    "imports": _imports,
    "sizes": _sizes,
    "instructions": _instructions,
    "curves": _curves,
    "machine": _machine,
    "how": _how((*contenders.YARDSTICKS, *contenders.OURS, *contenders.PEERS)),
    "how off": _how(contenders.OFF),
    "how sampled out": _how(contenders.SAMPLED_OUT),
}


def _named(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the contenders in the order of their prices, those that failed last."""
    ordered = sorted(found, key=lambda name: found[name].get("median", float("inf")))
    return [(name, f"**{name}**" if name.startswith("Spanwise") else name) for name in ordered]


def _row(label: str, one: Mapping[str, Any], cells: Sequence[str]) -> list[str]:
    """Return a row; of who failed it says why, once."""
    if "failed" in one:
        return [label, f"failed: {one['failed']}", *[""] * (len(cells) - 1)]
    return [label, *cells]


def _cell(one: Mapping[str, Any], key: str, divisor: float = 1.0) -> str:
    if "failed" in one:
        return "failed"
    return number(one[key] / divisor) if key in one else ""


def _said(value: float | None) -> str:
    return "" if value is None else number(value)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _bound(verdict: Verdict) -> str:
    target = verdict.target
    sign = "≥" if target.is_rate else "≤"
    return f"{sign} {target.bound:,g}{f' {target.unit}' if target.unit else ''}"
