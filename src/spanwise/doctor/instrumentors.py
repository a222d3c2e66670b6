"""Examine the instrumentors: which are installed, and which of them are used."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from typing import Any

from spanwise.doctor import findings
from spanwise.doctor.findings import Finding
from spanwise.doctor.surroundings import Surroundings
from spanwise.instrumentation import choosing, loading
from spanwise.instrumentation.choosing import Choice, Conflict, distribution_of


def examine(found: Surroundings) -> Iterator[Finding]:
    """Yield each library with an instrumentor that is installed, and which one is used."""
    preference = found.settings.instrumentor_preference
    installed = choosing.installed(preference)
    for prefix in choosing.unmatched(preference, installed):
        yield findings.warning(
            f"instrumentor_preference names {prefix!r}, and no installed instrumentor's "
            "distribution begins with it",
            mend=f"correct {found.settings.sources['instrumentor_preference']}",
        )
    if not installed:
        yield findings.fact(
            "no instrumentor is installed: only what is decorated is seen",
            mend="to see LangChain and LangGraph, say",
            command='pip install "spanwise[langchain]"',
        )
        return
    yield findings.fact(_when(found.settings.instrument))
    disabled = loading.disabled()
    used = set()
    for choice in choosing.choices(True, preference, disabled):
        used.add(choosing.library(choice.name))
        yield _chosen(choice)
    for name, points in installed.items():
        if name not in used:
            yield findings.note(
                f"{points[0].name}: {_all(points)}; disabled by {loading.DISABLED}",
                facts={"name": points[0].name, "disabled": True},
            )


def _when(wanted: Any) -> str:
    if wanted is True:
        return "configure() turns all of these on"
    if wanted:
        return f"configure() turns on: {', '.join(wanted)}"
    return (
        "configure() turns none of these on, opentelemetry-instrument and `spanwise run` all; "
        "SPANWISE_INSTRUMENT says otherwise"
    )


def _chosen(choice: Choice) -> Finding:
    conflicts = {distribution_of(point): conflict for point, conflict in choice.skipped}
    facts = {
        "name": choice.name,
        "chosen": distribution_of(choice.used) if choice.used is not None else None,
        "left": [distribution_of(point) for point in choice.left],
        "skipped": {
            source: {"wants": conflict.wanted, "installed": conflict.found}
            for source, conflict in conflicts.items()
        },
    }
    text = f"{choice.name}: {facts['chosen'] or 'nothing is used'}"
    if choice.left:
        text += f", and not {_all(choice.left)}, for the same library"
    text += "".join(f"; {source} {_why(conflict)}" for source, conflict in conflicts.items())
    if any(conflict.found for conflict in conflicts.values()):
        return findings.warning(
            text, mend="install releases of library and instrumentor that fit", facts=facts
        )
    return (findings.ok if choice.used is not None else findings.note)(text, facts=facts)


def _why(conflict: Conflict) -> str:
    there = f"{', '.join(conflict.found)} is" if conflict.found else "that is not"
    return f"wants {', '.join(conflict.wanted)}, and {there} installed"


def _all(points: list[EntryPoint] | tuple[EntryPoint, ...]) -> str:
    return ", ".join(distribution_of(point) for point in points)
