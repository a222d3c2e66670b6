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
from spanwise.doctor.surroundings import Surroundings, surroundings

Part = Callable[[], Iterable[Finding]]


def examine(*, is_offline: bool = False) -> Report:
    """Return what there is to say of a program that is started here.

    Args:
        is_offline: ask no destination whether it answers.
    """
    found = parts(surroundings(), is_offline=is_offline)
    return Report({name: examined(name, part) for name, part in found.items()})


def parts(found: Surroundings, *, is_offline: bool = False) -> dict[str, Part]:
    """Return the examinations by what they examine.

    Args:
        found: what a program that is started here would be set up with.
        is_offline: ask no destination whether it answers.
    """
    return {
        "settings": partial(settings.examine, found),
        "variables": partial(variables.examine, found),
        "destinations": partial(reach.examine, found, is_offline=is_offline),
        "spool": partial(spools.examine, found),
        "files": partial(files.examine, found),
        "distro": partial(distros.examine, found),
        "instrumentors": partial(instrumentors.examine, found),
        "packages": packages.examine,
    }


def examined(name: str, part: Part) -> list[Finding]:
    """Return what an examination finds, as it may be shown."""
    return findings.masked(_all(name, part))


def _all(name: str, part: Part) -> Iterator[Finding]:
    """Yield what is found, and where the examination itself fails, that."""
    try:
        yield from part()
    except Exception as error:  # noqa: BLE001 - the other examinations go on
        yield findings.warning(f"{name} could not be examined: {_guard.describe(error)}")
