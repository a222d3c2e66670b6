"""Examine the packages: versions, those that do not fit each other, and those that get in the way."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from spanwise import _originals
from spanwise._version import __version__
from spanwise.doctor import findings
from spanwise.doctor.findings import Finding

# Those whose requirements are looked at.
_CHECKED: Final = ("spanwise", "opentelemetry-", "openinference-")
_TOLD: Final = (
    *("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-instrumentation"),
    *("opentelemetry-semantic-conventions", "opentelemetry-configuration", "grpcio", "protobuf"),
    *("requests", "orjson", "langchain", "langchain-core", "langgraph", "openai", "anthropic"),
)
# What each does to the TracerProvider of a program that uses it as well.
_BESIDE: Final = {
    "opentelemetry-distro": "offers a distro and a configurator of its own",
    "langfuse": "makes the global TracerProvider if there is none yet",
    "logfire": "makes the global TracerProvider, of a class of its own",
    "traceloop-sdk": "makes the global TracerProvider if there is none yet",
    "openlit": "makes the global TracerProvider if there is none yet",
    "arize-phoenix-otel": "makes the global TracerProvider unless told otherwise",
    "arize-otel": "makes the global TracerProvider unless told otherwise",
    "agentops": "makes the global TracerProvider",
    "mlflow": "makes a TracerProvider of its own, the global one on demand",
    "mlflow-skinny": "makes a TracerProvider of its own, the global one on demand",
    "ddtrace": "can put a TracerProvider in place that takes no processors",
    "azure-monitor-opentelemetry": "makes the global TracerProvider, and offers a distro",
    "splunk-opentelemetry": "offers a distro of its own",
    "aws-opentelemetry-distro": "offers a distro of its own",
    "elastic-opentelemetry": "offers a distro of its own",
    "honeycomb-opentelemetry": "offers a distro of its own",
}


def examine() -> Iterator[Finding]:
    """Yield what is installed, and what of it does not go together."""
    installed = _installed()
    yield from _originals_beside(installed)
    yield from _unfitting(installed)
    for name, does in _BESIDE.items():
        if name in installed:
            yield findings.note(
                f"{name} {installed[name].version} {does}; to a provider that is there Spanwise "
                "adds its processor",
                facts={"package": name, "version": installed[name].version},
            )
    yield _versions(installed)


def _installed() -> dict[str, metadata.Distribution]:
    """Return the distributions that are installed; the first of a name is the one in use."""
    found: dict[str, metadata.Distribution] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:  # what a broken installation left has none
            found.setdefault(canonicalize_name(name), distribution)
    return found


def _originals_beside(installed: dict[str, metadata.Distribution]) -> Iterator[Finding]:
    for name in _originals.NAMES:
        if name in installed:
            yield findings.problem(
                _originals.described(name, installed[name].version),
                mend="to have that of Spanwise whole, say",
                command=_originals.mend(name),
                facts={"package": name, "version": installed[name].version},
            )


def _unfitting(installed: dict[str, metadata.Distribution]) -> Iterator[Finding]:
    fit = True
    for name, distribution in sorted(installed.items()):
        if not name.startswith(_CHECKED):
            continue
        for text in distribution.requires or ():
            wanted = _requirement(text)
            if wanted is None:
                continue
            needed = canonicalize_name(wanted.name)
            there = installed.get(needed)
            if there is not None and wanted.specifier.contains(there.version, prereleases=True):
                continue
            fit = False
            found = f"{needed} is not installed" if there is None else f"{there.version} is here"
            yield findings.problem(
                f"{name} {distribution.version} needs {needed}{wanted.specifier}, and {found}",
                mend="let the installer choose releases that fit",
                command=f'pip install "{needed}{wanted.specifier}" {name}',
                facts={
                    "package": name,
                    "version": distribution.version,
                    "needs": f"{needed}{wanted.specifier}",
                    "installed": there and there.version,
                },
            )
    if fit:
        yield findings.ok("the OpenTelemetry packages fit each other")


def _requirement(text: str) -> Requirement | None:
    """Return a requirement that applies here, without extras; None for another."""
    try:
        wanted = Requirement(text)
        applies = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
    except (InvalidRequirement, ValueError):
        return None
    return wanted if applies else None


def _versions(installed: dict[str, metadata.Distribution]) -> Finding:
    versions: dict[str, str] = {
        "spanwise": __version__,
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        **{name: installed[name].version for name in _TOLD if name in installed},
    }
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return findings.fact(
        ", ".join(f"{name} {version}" for name, version in versions.items()) + f"; {system}",
        facts={"versions": versions, "platform": system, "executable": sys.executable},
    )
