"""Examine the instrumentors: which are installed, and which of them are used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from opentelemetry.instrumentation.dependencies import get_dist_dependency_conflicts

from spanwise.doctor import findings
from spanwise.doctor.findings import Finding
from spanwise.doctor.surroundings import Surroundings
from spanwise.instrumentation import loading


def examine(found: Surroundings) -> Iterator[Finding]:
    """Yield each instrumentor that is installed, and what becomes of it."""
    installed = loading.installed()
    if not installed:
        yield findings.fact(
            "no instrumentor is installed: only what is decorated is seen",
            mend="to see LangChain and LangGraph, say",
            command='pip install "spanwise[langchain]"',
        )
        return
    yield findings.fact(_when(found.settings.instrument))
    claims = [point for group in loading.GROUPS for point in entry_points(group=group)]
    for name, chosen in installed.items():
        sources = dict.fromkeys(_source(point) for point in claims if point.name == name)
        yield _found(name, chosen, [each for each in sources if each != _source(chosen)])


def _when(wanted: Any) -> str:
    if wanted is True:
        return "all of these are turned on by configure()"
    if wanted:
        return f"turned on by configure(): {', '.join(wanted)}"
    return (
        "none of these is turned on by configure(), all of them under opentelemetry-instrument; "
        "SPANWISE_INSTRUMENT says otherwise"
    )


def _found(name: str, chosen: EntryPoint, others: list[str]) -> Finding:
    facts = {"name": name, "chosen": _source(chosen), "left": others}
    text = f"{name}: {_source(chosen)}"
    if others:
        text += f", and not {', '.join(others)}, which claim the same"
    disabled = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    if name in [part.strip() for part in disabled.split(",")]:
        return findings.note(
            f"{text}; disabled by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            facts={**facts, "disabled": True},
        )
    conflict = chosen.dist and get_dist_dependency_conflicts(chosen.dist)
    if conflict:
        return findings.warning(
            f"{text}; not used: {conflict}",
            mend="install a release of the library that it wants, or of it that fits the library",
            facts={**facts, "conflict": str(conflict)},
        )
    return findings.ok(text, facts=facts)


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
