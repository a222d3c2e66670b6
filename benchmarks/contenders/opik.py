"""Comet's Opik."""

from __future__ import annotations

import os

from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Point it at an address of this machine, where a server of its own would be."""
    os.environ["OPIK_URL_OVERRIDE"] = f"{place.endpoint}/api"
    os.environ["OPIK_SENTRY_ENABLE"] = "false"
    os.environ["OPIK_TRACK_DISABLE"] = "true" if variant == "off" else "false"
    import opik

    return Kit(opik.track, flush=opik.flush_tracker)
