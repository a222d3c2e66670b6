"""Examine the settings: which are in force, where each came from, and which cannot be used."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from spanwise._settings import Settings, misspelt
from spanwise.doctor import findings
from spanwise.doctor.findings import Finding
from spanwise.doctor.surroundings import Surroundings
from spanwise.doctor.variables import fate_of
from spanwise.export.places import default_root

# A command has none.
_KEYWORDS_ONLY = frozenset({"sources", "tracer_provider"})


def examine(found: Surroundings) -> Iterator[Finding]:
    """Yield what is at fault with the settings, then those in force."""
    for fault, origin in found.faults:
        mend = f"correct or unset {origin}; " if origin else ""
        yield findings.problem(
            str(fault),
            mend=f"{mend}until then configure() refuses all settings",
            facts={"setting": fault.name, "source": origin},
        )
    yield from _misspelt(found)
    for line in found.said:
        fate = fate_of(line.partition(" ")[0])
        if fate is None or fate.is_used:  # else it is told where the variables are
            yield findings.warning(line)
    switched_off = _switched_off_by(found)
    if switched_off:
        yield findings.warning(
            f"everything is switched off by {switched_off}", mend=f"unset {switched_off}"
        )
    yield from _in_force(found)


def _misspelt(found: Surroundings) -> Iterator[Finding]:
    for name, fault in misspelt(found.environment).items():
        yield findings.problem(fault, mend=f"rename or unset {name}", facts={"variable": name})


def _switched_off_by(found: Surroundings) -> str | None:
    if not found.settings.enabled:
        return found.settings.sources.get("enabled")
    disabled = found.environment.first("OTEL_SDK_DISABLED")
    if disabled is not None and disabled[0].strip().lower() == "true":
        return disabled[1]
    return None


def _in_force(found: Surroundings) -> Iterator[Finding]:
    settings = found.settings
    effective = {
        "traces_dir": found.traces_dir,
        "spool_dir": settings.spool_dir or default_root(),
    }
    given = {name: settings.sources[name] for name in _names() if name in settings.sources}
    defaults = []
    for name in _names():
        value = _shown(name, effective.get(name, getattr(settings, name)))
        if name in given:
            yield findings.fact(
                f"{name} = {value}  ({given[name]})",
                facts={"setting": name, "value": value, "source": given[name]},
            )
        else:
            defaults.append((name, value))
    yield findings.fact(
        "by default: " + ", ".join(f"{name} = {value}" for name, value in defaults),
        facts={"defaults": dict(defaults)},
    )


def _names() -> list[str]:
    names = [field.name for field in dataclasses.fields(Settings)]
    return [name for name in names if name not in _KEYWORDS_ONLY]


def _shown(name: str, value: Any) -> str:
    """Return a value as it may be shown: of headers the names, of destinations the addresses."""
    if value is None or value == ():
        return "none"
    if name == "otlp_headers":
        return ", ".join(f"{header}: ***" for header, _ in value)
    if name == "otlp_endpoint":
        return address(value)
    if name == "destinations":
        return ", ".join(address(_endpoint(each)) for each in value)
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _endpoint(value: Any) -> str:
    found = value.get("endpoint", "") if isinstance(value, dict) else value
    return found if isinstance(found, str) else ""


def address(endpoint: str) -> str:
    """Return an address without the user, the password and the query that may be in it."""
    try:
        parts = urlsplit(endpoint)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "***"
    user = "***@" if "@" in parts.netloc else ""
    query = "?***" if parts.query or parts.fragment else ""
    return f"{parts.scheme}://{user}{host}{parts.path}{query}"
