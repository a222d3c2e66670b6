"""Load the instrumentors that are installed, one for each library, and never fail for one."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from spanwise import _guard, _state
from spanwise.errors import InvalidSettingError, nearest

GROUPS: Final = ("opentelemetry_instrumentor", "openinference_instrumentor")

# Several distributions claim a name such as `langchain`; the first of these that has it is used.
_PREFERRED: Final = ("opentelemetry-instrumentation-genai-", "openinference-", "opentelemetry-")
_DISABLED = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"


def installed() -> dict[str, EntryPoint]:
    """Return the instrumentors that are installed, by the name of what they instrument."""
    found: dict[str, list[EntryPoint]] = {}
    for group in GROUPS:
        for point in entry_points(group=group):
            found.setdefault(point.name, []).append(point)
    return {name: min(points, key=_rank) for name, points in sorted(found.items())}


def check_names(wanted: bool | tuple[str, ...]) -> None:
    """Raise InvalidSettingError for the name of an instrumentor that is not installed."""
    if isinstance(wanted, bool):
        return
    known = installed()
    for name in wanted:
        if name not in known:
            hint = nearest(name, known) if known else "; none is installed"
            raise InvalidSettingError("instrument", f"names {name!r}, which is not installed{hint}")


def load(wanted: bool | tuple[str, ...], provider: Any) -> None:
    """Have the wanted instrumentors turned on, and no other of those that were turned on here.

    Args:
        wanted: True for all that are installed, False for none, or their names.
        provider: the TracerProvider that they make their spans with.
    """
    running = _state.instrumentors
    points = {} if wanted is False else installed()
    names = tuple(points) if isinstance(wanted, bool) else wanted
    disabled = {name.strip() for name in os.environ.get(_DISABLED, "").split(",")}
    chosen = {n: p for n, p in points.items() if n in names and n not in disabled}
    for name, (instrumentor, used) in list(running.items()):
        if name not in chosen or used is not provider:
            del running[name]
            with _guard.guard(f"instrument.{name}"):
                instrumentor.uninstrument()
    for name, point in chosen.items():
        if name in running:
            continue
        with _guard.guard(f"instrument.{name}"):
            instrumentor = point.load()()
            if instrumentor.is_instrumented_by_opentelemetry:
                continue  # by the application, with the provider of its choice
            instrumentor.instrument(tracer_provider=provider)
            if instrumentor.is_instrumented_by_opentelemetry:
                running[name] = (instrumentor, provider)
                _guard.logger.debug("instrumenting %s with %s", name, point.value)


def _rank(point: EntryPoint) -> tuple[int, str]:
    distribution = point.dist.name if point.dist is not None else ""
    for position, prefix in enumerate(_PREFERRED):
        if distribution.startswith(prefix):
            return position, distribution
    return len(_PREFERRED), distribution
