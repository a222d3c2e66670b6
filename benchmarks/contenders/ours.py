"""Spanwise, in each of the ways in which it can be set up."""

from __future__ import annotations

import functools
from typing import Any

import spanwise
from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Configure Spanwise as the variant says, and return its decorators."""
    if variant != "unconfigured":
        spanwise.configure(**_settings(variant, place))
    flush = functools.partial(spanwise.flush, 60)
    return Kit(spanwise.tool, root=spanwise.agent, flush=flush)


def _settings(variant: str, place: Place) -> dict[str, Any]:
    nowhere: dict[str, Any] = {"traces_dir": None}
    files = {"traces_dir": f"{place.folder}/traces"}
    # Nobody listens there, unless the measure is one of sending.
    spool = {"otlp_endpoint": place.endpoint, "spool_dir": f"{place.folder}/spool"}
    if variant == "foreign provider":
        from opentelemetry.sdk.trace import TracerProvider

        return nowhere | {"tracer_provider": TracerProvider()}
    return {
        "no sink": nowhere,
        "files": files,
        "spool": nowhere | spool,
        "files and spool": files | spool,
        "SDK spans": nowhere | {"lean_spans": False},
        "off": {"enabled": False},
        "sampled out": files | {"sample_rate": 0.0},
    }[variant]
