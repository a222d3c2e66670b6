"""A decorated program becomes observations in files."""

from __future__ import annotations

import spanwise


def test_a_decorated_call_becomes_an_observation_and_a_trace(files):
    """One call is one line in each file, with its input and output."""

    @spanwise.agent(name="Support")
    def answer(question: str) -> str:
        return question.upper()

    assert answer("why?") == "WHY?"
    (observation,) = files.observations()
    (trace,) = files.traces()
    assert (observation["type"], observation["name"]) == ("agent", "Support")
    assert (observation["input"], observation["output"]) == ({"question": "why?"}, "WHY?")
    assert (trace["trace_id"], trace["status"]) == (observation["trace_id"], "success")
