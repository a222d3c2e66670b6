"""All examinations, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from spanwise import _guard
from spanwise.doctor import (
    distros,
    files,
    findings,
    instrumentors,
    packages,
    reach,
    settings,
    spools,
    variables,
)
from spanwise.doctor.findings import Finding, Report
from spanwise.doctor.surroundings import surroundings


def examine(*, is_offline: bool = False) -> Report:
    """Return what there is to say of a program that is started here.

    Args:
        is_offline: ask no destination whether it answers.
    """
    found = surroundings()
    sections: dict[str, Callable[[], Iterable[Finding]]] = {
        "settings": partial(settings.examine, found),
        "variables": partial(variables.examine, found),
        "destinations": partial(reach.examine, found, is_offline=is_offline),
        "spool": partial(spools.examine, found),
        "files": partial(files.examine, found),
        "distro": partial(distros.examine, found),
        "instrumentors": partial(instrumentors.examine, found),
        "packages": packages.examine,
    }
    return Report(
        {name: findings.masked(_all(name, section)) for name, section in sections.items()}
    )


def _all(name: str, section: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield what is found, and where the examination itself fails, that."""
    try:
        yield from section()
    except Exception as error:  # noqa: BLE001 - the other examinations go on
        yield findings.warning(f"{name} could not be examined: {_guard.describe(error)}")
