"""What spans of third parties cost on our provider and on the SDK's."""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks.contenders import HAND, OURS, Contender
from benchmarks.measures import calls
from benchmarks.plan import Plan, say

# The stock provider with its batch processor, under the API that instrumentors use.
_BY_TRACER = (HAND, *OURS[:3], OURS[5])
_REAL = (
    Contender("hand", "openai_stock", "on", environment="instrumentor"),
    Contender("Spanwise, no sink", "openai_ours", "no sink", environment="instrumentor"),
    Contender("Spanwise, files", "openai_ours", "files", environment="instrumentor"),
    Contender("Spanwise, spool", "openai_ours", "spool", environment="instrumentor"),
)
_REAL_BARE = Contender(calls.BARE, "openai_stock", "bare", environment="instrumentor")


def measure(plan: Plan) -> dict[str, Any]:
    """Return the price of a span made with the API, and of one by a real instrumentor."""
    say("instrumentors")
    asks = {"tracer": {"do": "call", "shape": "tracer"}}
    everyone = [one for one in _BY_TRACER if plan.peers or one.is_quick]
    results = calls.by_shape(everyone, asks, plan)
    if plan.peers:
        longer = dataclasses.replace(plan, budget_s=3 * plan.budget_s)
        real = {"openai": {"do": "call", "shape": "root"}}
        results |= calls.by_shape([_REAL_BARE, *_REAL], real, longer)
    return results
