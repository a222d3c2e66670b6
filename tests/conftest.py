"""Every test starts from nothing configured, and fails if a fault of ours was swallowed in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.util._once import Once

import spanwise
from spanwise import _guard, _state, semconv
from spanwise._lean_spans import LeanSpan
from support.files import Files
from support.receiver import Receiver

_OURS = ("SPANWISE_", "OTEL_", "BRIXO_", "FLUXLOOP_")
# What all tests pass with, either way: `SPANWISE_LEAN_SPANS=false make unit`.
_EITHER_WAY = "SPANWISE_LEAN_SPANS"


@pytest.fixture(autouse=True)
def clean_slate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing configured, no variable of ours set, an empty folder as the current one."""
    for name in list(os.environ):
        if name.startswith(_OURS) and name != _EITHER_WAY:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # Of subprocesses, too: the folder in which spools lie by default.
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    _forget()
    before = context_api.get_current()
    yield
    spanwise.shutdown()
    after = context_api.get_current()
    context_api.attach(before)
    swallowed = {k: v for k, v in spanwise.stats().items() if k.startswith("failures.")}
    _forget()
    assert swallowed == {}, "a fault of ours was swallowed; see the log"
    assert dict(after) == dict(before), "a context was left attached"


@pytest.fixture
def swallowed() -> Callable[[], dict[str, int]]:
    """Return the faults that the guard swallowed so far, and accept them."""

    def take() -> dict[str, int]:
        failures = {k: v for k, v in spanwise.stats().items() if k.startswith("failures.")}
        for name in failures:
            del _state._counters[name]
        return failures

    return take


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Configure Spanwise to write files, and read them back."""
    folder = tmp_path / "traces"
    spanwise.configure(traces_dir=folder)
    return Files(folder)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An OTLP/HTTP receiver."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def registered_attributes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every attribute of every span that Spanwise itself makes is in the registry."""
    unknown: set[str] = set()
    ended, lean_ended = SdkSpan._readable_span, LeanSpan.end_with

    def look(span: ReadableSpan) -> None:
        if span.instrumentation_scope is not None and span.instrumentation_scope.name == "spanwise":
            for holder in (span, *span.events):
                unknown.update(k for k in holder.attributes or {} if not semconv.is_registered(k))

    def observed(self: SdkSpan) -> ReadableSpan:
        span = ended(self)
        look(span)
        return span

    def lean_observed(self: LeanSpan, *arguments: Any) -> None:
        lean_ended(self, *arguments)
        look(self)

    monkeypatch.setattr(SdkSpan, "_readable_span", observed)
    monkeypatch.setattr(LeanSpan, "end_with", lean_observed)
    yield
    assert unknown == set(), "attributes that semconv/ does not define"


def _forget() -> None:
    _state.reset()
    _guard.forget_what_was_logged()
    trace_api._TRACER_PROVIDER = None
    trace_api._TRACER_PROVIDER_SET_ONCE = Once()
