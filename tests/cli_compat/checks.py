"""What must hold of a run by itself, whatever the other one did."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli_compat.runs import Run
from cli_compat.scenarios import REFUSED, Scenario

_BAD_WORDS = re.compile(r"traceback|warning|exception|\berror\b|⚠|✗", re.IGNORECASE)
# What the CLI says of a project without a problem, and the one of the documents' parameters.
_HARMLESS = re.compile(r"LLM API Keys|send_error_callback")

_PASSED = (
    "summary.json",
    "trace_summary.jsonl",
    "traces.jsonl",
    "per_trace_analysis/per_trace.jsonl",
)
_FAILED = ("summary.json", "errors.json")


def complaints(run: Run) -> Iterator[str]:
    """Yield what is wrong with a run, whichever SDK made it."""
    for scenario in run.scenarios:
        for complaint in _of_scenario(run, scenario):
            yield f"{scenario.name}: {complaint}"
    for printed in sorted((run.folder / "output").glob("*/*.txt")):
        yield from _of_output(printed)
    judged = sum(
        len(scenario.outputs or ()) + 1 for scenario in run.scenarios if scenario.evaluated
    )
    if len(run.standins.judged) != judged:
        yield f"the model was asked {len(run.standins.judged)} times, not {judged}"


def complaints_of_ours(run: Run) -> Iterator[str]:
    """Yield what is wrong with a run of this project, besides."""
    # One for each run's block, and for what was called in it.
    wanted = {f"refused_iter0_persona_{name}": 1 for name in ("novice_user", "expert_user")}
    wanted |= dict.fromkeys(("Desk", "count_words", "words_of", "phrase"), 2)
    if Counter(run.standins.otlp_spans) != wanted:
        yield f"the collector of OTLP was sent {Counter(run.standins.otlp_spans)}, not {wanted}"


def _of_scenario(run: Run, scenario: Scenario) -> Iterator[str]:
    experiments = run.experiments(scenario.name)
    if len(experiments) != 1:
        yield f"there are {len(experiments)} experiments"
        return
    wanted = _FAILED if scenario.failed else _PASSED
    wanted += ("evaluation_report/report.html",) if scenario.evaluated else ()
    empty = [name for name in wanted if not _size(experiments[0] / name)]
    if empty:
        yield f"missing or empty: {', '.join(empty)}"
        return
    results = json.loads((experiments[0] / "summary.json").read_text(encoding="utf-8"))["results"]
    if results["failed"] != (results["total_runs"] if scenario.failed else 0):
        yield f"the results are {results}"
    runs = _lines(experiments[0] / "traces.jsonl")
    outputs = tuple(line["output"] for line in runs)
    if scenario.outputs is None:
        if outputs != tuple(line["trace_id"] for line in runs):
            yield f"the target saw the trace ids {outputs}, not those of its runs"
    elif outputs != scenario.outputs:
        yield f"the outputs are {outputs}"
    if scenario.observations is not None:
        yield from _of_store(run, scenario, [line["trace_id"] for line in runs])


def _of_store(run: Run, scenario: Scenario, traces: list[str]) -> Iterator[str]:
    store = run.project(scenario.name) / "experiments" / "artifacts"
    if not _size(store / "observations.jsonl"):
        yield "the store has no observations"
        return
    if scenario.failed:
        # The CLI names no trace of a run that failed.
        traces = [line["id"] for line in _lines(store / "traces.jsonl")]
    counted = Counter(line["trace_id"] for line in _lines(store / "observations.jsonl"))
    for trace in traces:
        if counted[trace] != scenario.observations:
            yield f"{counted[trace]} observations bear the trace id {trace} of a run"


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _of_output(printed: Path) -> Iterator[str]:
    project = printed.parent.name
    text = printed.read_text(encoding="utf-8")
    where = f"{project}/{printed.name}"
    if not text.endswith(f"[exit {1 if project in REFUSED else 0}]\n"):
        yield f"{where} ended with {text.splitlines()[-1]}"
    if project in REFUSED:
        return
    for line in text.splitlines():
        if _BAD_WORDS.search(line) and not _HARMLESS.search(line):
            yield f"{where} says: {line}"


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
