"""Examine who sets a program up under `opentelemetry-instrument`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from spanwise.doctor import findings
from spanwise.doctor.findings import Finding
from spanwise.doctor.surroundings import Surroundings

OURS: Final = "spanwise"

_ROLES: Final = (
    ("distro", "opentelemetry_distro", "OTEL_PYTHON_DISTRO"),
    ("configurator", "opentelemetry_configurator", "OTEL_PYTHON_CONFIGURATOR"),
)


def examine(found: Surroundings) -> Iterator[Finding]:
    """Yield which distro and configurator are in force, and how to have ours if they are not."""
    for role, group, variable in _ROLES:
        yield _in_force(role, list(entry_points(group=group)), variable, found.variables)
    yield findings.note(
        "an exporter that a program attaches to its TracerProvider by itself sees the spans of "
        "instrumentors unmasked; those that OTEL_TRACES_EXPORTER names are handed what is masked"
    )


def _in_force(role: str, points: list[EntryPoint], variable: str, variables: object) -> Finding:
    wanted = variables.get(variable) if isinstance(variables, dict) else None
    # The first one goes, as opentelemetry-instrument does it, if none is chosen by name.
    chosen = next((point for point in points if wanted in (None, point.name)), None)
    facts = {
        "role": role,
        "in_force": chosen and chosen.name,
        "found": {point.name: _source(point) for point in points},
        "variable": wanted,
    }
    others = ", ".join(_described(point) for point in points if point is not chosen)
    by = f"chosen by {variable}" if wanted is not None else "the first that is installed"
    has_ours = any(is_ours(point) for point in points)
    mend = f"to have that of Spanwise, set {variable}={OURS}" if has_ours else ""
    if not points:
        return findings.note(f"no {role} is installed for opentelemetry-instrument", facts=facts)
    if chosen is None:
        return findings.problem(
            f"{variable} names the {role} {wanted!r}, which is not installed: there are {others}",
            mend=mend or f"unset {variable}",
            facts=facts,
        )
    beside = f"; beside it: {others}" if others else ""
    text = f"{role} of opentelemetry-instrument: {_described(chosen)}, {by}{beside}"
    if is_ours(chosen):
        return findings.ok(text, facts=facts)
    return findings.warning(text, mend=mend, facts=facts)


def is_ours(point: EntryPoint) -> bool:
    """Return whether an entry point leads to Spanwise."""
    return point.value.partition(":")[0].partition(".")[0] == OURS


def _described(point: EntryPoint) -> str:
    return f"{point.name} ({_source(point)})"


def _source(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
