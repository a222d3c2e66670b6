"""Which of the installed instrumentors is used for a library, where several are there for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING, Final

from spanwise import _guard
from spanwise.errors import InvalidSettingError, nearest_of_all

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GROUPS: Final = ("opentelemetry_instrumentor", "openinference_instrumentor")

# By the beginning of the distribution's name; what the user prefers comes before.
PREFERENCE: Final = ("opentelemetry-instrumentation-genai-", "openinference-", "opentelemetry-")

# Instrumentors of the same library under names of their own.
_SAME_LIBRARY: Final = {"googlegenerativeai": "googlegenai", "haystackai": "haystack"}
# An instrumentor that asks for the first does what it does with the second alone.
_ENOUGH: Final = {"langchain": "langchain-core"}


@dataclass(frozen=True)
class Conflict:
    """What an instrumentor wants and does not find.

    Attributes:
        wanted: the requirements, as the distribution states them.
        found: `name version` of what is there of it; none, where the library is not installed.
    """

    wanted: tuple[str, ...]
    found: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """One library, and the instrumentors that are installed for it.

    Attributes:
        name: what it is called in `instrument`.
        used: the instrumentor to load, or None where none fits.
        left: those that come later in the order of preference.
        skipped: those before it that do not fit what is installed, and why.
    """

    name: str
    used: EntryPoint | None
    left: tuple[EntryPoint, ...]
    skipped: tuple[tuple[EntryPoint, Conflict], ...]

    @property
    def all(self) -> tuple[EntryPoint, ...]:
        """All that are installed for the library."""
        used = () if self.used is None else (self.used,)
        return (*(point for point, _ in self.skipped), *used, *self.left)


def library(name: str) -> str:
    """Return what tells the library of an instrumentor from others, whoever named it."""
    plain = re.sub(r"v\d+$", "", re.sub(r"[^a-z0-9]", "", name.lower()))
    return _SAME_LIBRARY.get(plain, plain)


def installed(preference: Sequence[str] = ()) -> dict[str, list[EntryPoint]]:
    """Return the installed instrumentors by library, those of one library in order of preference.

    Args:
        preference: beginnings of names of distributions, before the default order.
    """
    order = (*(distribution_key(prefix) for prefix in preference), *PREFERENCE)
    found: dict[str, dict[str, EntryPoint]] = {}
    everything = entry_points()  # read from the disk at each call
    for group in GROUPS:
        for point in everything.select(group=group):
            # OpenInference's are in both groups: one class is one instrumentor.
            found.setdefault(library(point.name), {}).setdefault(point.value, point)
    return {
        name: sorted(points.values(), key=lambda point: _rank(point, order))
        for name, points in sorted(found.items())
    }


def choices(
    wanted: bool | Iterable[str], preference: Sequence[str] = (), disabled: Iterable[str] = ()
) -> list[Choice]:
    """Return what to load of what is installed.

    Args:
        wanted: True for every library, False for none, or their names.
        preference: beginnings of names of distributions, the first that matches is used.
        disabled: names of instrumentors that are not to be loaded; `*` stands for all.
    """
    names = None if isinstance(wanted, bool) else {library(name) for name in wanted}
    without = set(disabled)
    if wanted is False or "*" in without:
        return []
    return [
        _choice([point for point in points if point.name not in without])
        for name, points in installed(preference).items()
        if (names is None or name in names) and any(p.name not in without for p in points)
    ]


def check_names(wanted: bool | Iterable[str]) -> None:
    """Raise InvalidSettingError for the name of an instrumentor that is not installed."""
    if isinstance(wanted, bool):
        return
    found = installed()
    known = sorted({point.name for points in found.values() for point in points})
    for name in wanted:
        if library(name) not in found:
            hint = nearest_of_all(name, known) if known else "; none is installed"
            raise InvalidSettingError("instrument", f"names {name!r}, which is not installed{hint}")


def distribution_of(point: EntryPoint) -> str:
    """Return name and version of the distribution that an instrumentor comes from."""
    return point.value if point.dist is None else f"{point.dist.name} {point.dist.version}"


def distribution_key(name: str) -> str:
    """Return the name of a distribution as names are compared."""
    return re.sub(r"[-_.]+", "-", name.strip().lower())


def conflict_of(point: EntryPoint) -> Conflict | None:
    """Return what the instrumentor wants and does not find; None where it fits."""
    all_of, any_of = _requirements(point)
    misfits = [(r, found) for r in all_of if (found := _unmet(r)) is not None]
    if misfits:
        return _conflict(misfits)
    options = [(requirement, _unmet(requirement)) for requirement in any_of]
    if options and all(found is not None for _, found in options):
        return _conflict([(r, found) for r, found in options if found is not None])
    return None


def _choice(points: list[EntryPoint]) -> Choice:
    skipped: list[tuple[EntryPoint, Conflict]] = []
    for position, point in enumerate(points):
        conflict = conflict_of(point)
        if conflict is None:
            return Choice(point.name, point, tuple(points[position + 1 :]), tuple(skipped))
        skipped.append((point, conflict))
    return Choice(points[0].name, None, (), tuple(skipped))


def _rank(point: EntryPoint, order: Sequence[str]) -> tuple[int, str]:
    distribution = distribution_key(point.dist.name) if point.dist is not None else ""
    for position, prefix in enumerate(order):
        if distribution.startswith(prefix):
            return position, distribution
    return len(order), distribution


def _requirements(point: EntryPoint) -> tuple[list[Requirement], list[Requirement]]:
    """Return what the distribution states in its extras: what all, and what one, must be there."""
    # Imported here: it takes half as long as the SDK, and most programs load no instrumentors.
    from packaging.requirements import InvalidRequirement, Requirement

    stated = (point.dist.requires or ()) if point.dist is not None else ()
    found: dict[str, list[Requirement]] = {"instruments": [], "instruments-any": []}
    for text in stated:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            _guard.logger.debug("%s states what cannot be read: %s", distribution_of(point), text)
            continue
        marker = requirement.marker
        # A marker without an extra holds for any extra, and for none.
        if marker is None or marker.evaluate({"extra": ""}):
            continue
        for extra, requirements in found.items():
            if marker.evaluate({"extra": extra}):
                requirements.append(requirement)
    return found["instruments"], found["instruments-any"]


def _unmet(requirement: Requirement) -> str | None:
    """Return what is there instead, an empty text for nothing, or None where it is met."""
    name = distribution_key(requirement.name)
    try:
        there = version(name)
    except PackageNotFoundError:
        enough = _ENOUGH.get(name)
        return None if enough is not None and _is_installed(enough) else ""
    is_met = requirement.specifier.contains(there, prereleases=True)
    return None if is_met else f"{requirement.name} {there}"


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _conflict(misfits: Sequence[tuple[Requirement, str]]) -> Conflict:
    return Conflict(
        tuple(f"{requirement.name}{requirement.specifier}" for requirement, _ in misfits),
        tuple(found for _, found in misfits if found),
    )


def unmatched(preference: Sequence[str], found: Mapping[str, Sequence[EntryPoint]]) -> list[str]:
    """Return the preferences that no installed distribution begins with."""
    names = {
        distribution_key(point.dist.name)
        for points in found.values()
        for point in points
        if point.dist is not None
    }
    return [
        prefix
        for prefix in preference
        if not any(name.startswith(distribution_key(prefix)) for name in names)
    ]
