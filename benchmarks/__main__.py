"""Measure what Spanwise costs, beside what others do.

python -m benchmarks                      # all of it, below half an hour; writes the page
python -m benchmarks --quick              # ours and the yardsticks; fails where it is far off
python -m benchmarks --only calls imports # some of it, over what the results file has
python -m benchmarks --page               # the page anew, from the results file
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import environments, machine, report
from benchmarks.contenders import ENVIRONMENTS
from benchmarks.environments import ROOT
from benchmarks.measures import (
    calls,
    curves,
    exits,
    imports,
    instructions,
    instrumentors,
    latency,
    throughput,
)
from benchmarks.plan import QUICK, WHOLE, Plan, say
from benchmarks.targets import verdicts

RESULTS = ROOT / "docs" / "performance" / "results.json"
MEASURES: Mapping[str, Callable[[Plan], dict[str, Any]]] = {
    "calls": calls.measure,
    "payloads": calls.payloads,
    "instrumentors": instrumentors.measure,
    "throughput": throughput.measure,
    "latency": latency.measure,
    "exits": exits.measure,
    "imports": imports.measure,
    "sizes": lambda _: imports.sizes(),
    "instructions": instructions.measure,
    "curves": curves.measure,
}
# What a quick run leaves out: it takes long, or is no ratio.
_WHOLE_ONLY = ("sizes", "instructions", "curves", "latency")


def main(arguments: list[str]) -> int:
    """Measure, and write the page or say what is far off."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run; no page is written")
    parser.add_argument("--page", action="store_true", help="only write the page")
    parser.add_argument("--only", nargs="+", choices=MEASURES, metavar="MEASURE")
    parser.add_argument(
        "--results",
        type=Path,
        help="file of the results; the page of any but the usual one is written beside it",
    )
    given = parser.parse_args(arguments)
    # So that whoever ends this ends the workers too, which are stopped and would never notice.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if given.quick:
        return _quick(given.only, given.results)
    path = given.results or RESULTS
    if not given.page:
        say("environments")
        environments.prepare(ENVIRONMENTS)
    results: dict[str, Any] = {}
    if path.exists() and (given.page or given.only):
        results = json.loads(path.read_text(encoding="utf-8"))
    if not given.page:
        for name in given.only or MEASURES:
            results[name] = MEASURES[name](WHOLE)
            results["machine"] = machine.described()
            _store(path, results)
    say("page")
    report.write(results, report.PAGE if path == RESULTS else path.with_suffix(".md"))
    return 0


def _quick(only: list[str] | None, path: Path | None) -> int:
    wanted = only or [name for name in MEASURES if name not in _WHOLE_ONLY]
    environments.prepare(("stock", "spanwise"))
    results = {name: MEASURES[name](QUICK) for name in wanted}
    if path is not None:
        _store(path, results)
    judged = verdicts(results)
    print(report.quick_table(judged))
    far_off = [verdict.target.what for verdict in judged if verdict.is_far_off]
    for what in far_off:
        print(f"far off: {what}")
    return 1 if far_off else 0


def _store(path: Path, results: Mapping[str, Any]) -> None:
    # In the order of the measures, which is that of the page's tables.
    text = json.dumps(results, indent=1, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
