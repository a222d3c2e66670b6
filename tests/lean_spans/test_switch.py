"""One setting has our provider make OpenTelemetry's spans instead of lean ones."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.sdk import trace as sdk

import spanwise
from spanwise._lean_spans import LeanSpan
from support.files import Files


@spanwise.tool
def measure() -> type:
    spanwise.current().update(metadata={"k": 5})
    return type(trace_api.get_current_span())


def test_by_default_spans_of_decorators_and_of_instrumentors_are_lean(files):
    """One class for all of them."""
    with trace_api.get_tracer("an.instrumentor").start_as_current_span("one") as span:
        assert [LeanSpan, LeanSpan] == [type(span), measure()]


def test_the_setting_has_the_sdks_spans_made(tmp_path):
    """For decorators, and for instrumentors."""
    spanwise.configure(traces_dir=tmp_path, lean_spans=False)
    with trace_api.get_tracer("an.instrumentor").start_as_current_span("one") as span:
        assert [sdk._Span, sdk._Span] == [type(span), measure()]


@pytest.mark.parametrize("word", ["false", "0", "no", "off"])
def test_the_variable_does_what_the_setting_does(monkeypatch, tmp_path, word):
    """In the words that environments use."""
    monkeypatch.setenv("SPANWISE_LEAN_SPANS", word)
    spanwise.configure(traces_dir=tmp_path)
    assert sdk._Span is measure()


def test_the_switch_can_be_thrown_while_tracers_are_in_use(tmp_path):
    """Spans that are open then end as what they are, and all are written alike."""
    spanwise.configure(traces_dir=tmp_path)
    tracer = trace_api.get_tracer("an.instrumentor")
    kinds: list[Any] = []
    with tracer.start_as_current_span("outermost") as outermost:
        for lean in (True, False, True):
            spanwise.configure(lean_spans=lean)
            with tracer.start_as_current_span("around", attributes={"a": [1]}) as span:
                kinds += [type(span), measure()]
    assert type(outermost) is LeanSpan
    assert [LeanSpan, LeanSpan, sdk._Span, sdk._Span, LeanSpan, LeanSpan] == kinds
    assert spanwise.flush()
    written = Files(tmp_path).observations()
    assert 7 == len(written)
    assert 1 == len({one["trace_id"] for one in written})
    told = [without_changes(one) for one in written if one["name"] == "measure"]
    assert [told[0], told[0]] == [{**one, "output": told[0]["output"]} for one in told[1:]]


CHANGING = {"id", "trace_id", "parent_id", "start_time", "end_time", "duration_ms", "time"}


def test_what_is_written_is_the_same_either_way(tmp_path):
    """But for ids and times."""
    written = []
    for lean in (True, False):
        folder = tmp_path / str(lean)
        spanwise.configure(traces_dir=folder, lean_spans=lean)
        with (
            spanwise.identify(user="jane", session_id="s-1"),
            spanwise.interaction("Ask"),
            pytest.raises(ValueError, match="wrong"),
        ):
            fail("sk-" + "a" * 40, api_key="b")
        with trace_api.get_tracer("an.instrumentor").start_as_current_span("password=hunter2"):
            trace_api.get_current_span().set_attribute("api_key", "c")
        assert spanwise.flush()
        written.append(Files(folder).observations())
    lean, sdks = (
        sorted((without_changes(one) for one in each), key=lambda one: one["name"])
        for each in written
    )
    for one, other in zip(lean, sdks, strict=True):
        assert one == other


@spanwise.agent
def fail(text: str, api_key: str) -> None:
    spanwise.event("said", text=text)
    raise ValueError("wrong")


def without_changes(one: Any) -> Any:
    if isinstance(one, dict):
        return {k: without_changes(v) for k, v in one.items() if k not in CHANGING}
    return [without_changes(v) for v in one] if isinstance(one, list) else one
