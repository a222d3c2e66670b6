"""OpenTelemetry's instrumentor of the OpenAI client, on our provider."""

from __future__ import annotations

from benchmarks.contenders import openai_stock, ours
from benchmarks.contenders.kit import Kit, Place


def set_up(variant: str, place: Place) -> Kit:
    """Configure Spanwise as the variant says."""
    ours.set_up(variant, place)
    return openai_stock.asking(is_instrumented=True)
