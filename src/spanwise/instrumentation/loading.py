"""Load the instrumentors that are installed, one for each library, and never fail for one."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from spanwise import _guard
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


def load(wanted: bool | tuple[str, ...], provider: Any) -> tuple[str, ...]:
    """Turn on the wanted instrumentors and return the names of those that work.

    Args:
        wanted: True for all that are installed, or their names.
        provider: the TracerProvider that they make their spans with.
    """
    if wanted is False:
        return ()
    disabled = {name.strip() for name in os.environ.get(_DISABLED, "").split(",")}
    started: list[str] = []
    for name, point in installed().items():
        if (wanted is not True and name not in wanted) or name in disabled:
            continue
        with _guard.guard(f"instrument.{name}"):
            instrumentor = point.load()()
            if not instrumentor.is_instrumented_by_opentelemetry:
                instrumentor.instrument(tracer_provider=provider)
            if instrumentor.is_instrumented_by_opentelemetry:
                started.append(name)
                _guard.logger.debug("instrumenting %s with %s", name, point.value)
    return tuple(started)


def _rank(point: EntryPoint) -> tuple[int, str]:
    distribution = point.dist.name if point.dist is not None else ""
    for position, prefix in enumerate(_PREFERRED):
        if distribution.startswith(prefix):
            return position, distribution
    return len(_PREFERRED), distribution
