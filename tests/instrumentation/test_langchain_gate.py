"""What stands before a handler says where spans belong, and never stops the handler."""

from __future__ import annotations

from uuid import uuid4

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context

import spanwise
from spanwise.instrumentation.langchain.gate import Gate


class Recorder:
    """A handler with a span for each run, as the real ones have, in the same provider."""

    def __init__(self) -> None:
        self.open: dict[object, trace.Span] = {}
        self.heard: list[str] = []

    def _start(self, event, *args, run_id, parent_run_id=None, **given):
        self.heard.append(event)
        parent = self.open.get(parent_run_id)
        context = None if parent is None else set_span_in_context(parent, Context())
        self.open[run_id] = trace.get_tracer("recorder").start_span("theirs", context)

    def _end(self, event, *args, run_id, **given):
        self.heard.append(event)
        self.open.pop(run_id).end()

    def __getattr__(self, name):
        if name.startswith("on_") and "interrupt" not in name and "resume" not in name:
            act = self._start if name.endswith("_start") else self._end
            return lambda *args, **given: act(name, *args, **given)
        raise AttributeError(name)


class Known:
    """Where the recorder keeps its spans."""

    attaches = False

    def __init__(self, handler: Recorder) -> None:
        self.handler = handler

    def span(self, run_id):
        return self.handler.open.get(run_id)

    def start(self, run_id, run, arguments, given):
        return None

    def context(self, run_id, span, above):
        return set_span_in_context(span, above)

    def place(self, run_id, context, session):
        pass

    def outcome(self, run_id, outcome, session):
        return outcome

    def forget(self, run_id):
        self.handler.open.pop(run_id).end()


@pytest.fixture
def handler(files) -> Recorder:
    return Recorder()


@pytest.fixture
def gate(handler) -> Gate:
    made = Gate(handler, Known(handler))
    made.place()
    return made


def start(handler, name, parent=None, tags=(), event="on_chain_start", **metadata):
    run_id = uuid4()
    given = {"run_id": run_id, "parent_run_id": parent, "tags": list(tags), "metadata": metadata}
    getattr(handler, event)(None, {}, name=name, **given)
    return run_id


def test_a_hidden_run_is_no_observation(handler, gate, files):
    """What is below it belongs to what is above it, and its end is not told either."""
    root = start(handler, "root")
    hidden = start(handler, "writer", root, tags=["langsmith:hidden"])
    inner = start(handler, "inner", hidden)
    for run_id in (inner, hidden, root):
        handler.on_chain_end({}, run_id=run_id)
    lines = {line["name"]: line for line in files.observations()}
    assert {"inner", "invoke_workflow root"} == set(lines)
    assert lines["invoke_workflow root"]["id"] == lines["inner"]["parent_id"]


def test_what_nobody_ends_ends_with_what_it_belongs_to(handler, gate, files):
    """A run whose thread is gone is seen all the same, once."""
    root = start(handler, "root")
    lost = start(handler, "lost", start(handler, "node", root))
    handler.on_chain_end({}, run_id=root)
    handler.on_chain_end({}, run_id=lost)  # and comes late
    assert ["invoke_workflow root", "lost", "node"] == sorted(
        line["name"] for line in files.observations()
    )
    assert 1 == handler.heard.count("on_chain_end")


def test_a_run_from_before_is_ended_by_the_handler(handler, files):
    """One that started before the gate was there."""
    run_id = start(handler, "early")
    Gate(handler, Known(handler)).place()
    handler.on_chain_end({}, run_id=run_id)
    assert ["theirs"] == [line["name"] for line in files.observations()]


def test_a_fault_of_ours_leaves_the_span_as_it_was_made(
    handler, gate, files, monkeypatch, swallowed
):
    """The handler hears of the run as it would without us."""
    monkeypatch.setattr(gate._known, "context", lambda *args: 1 / 0)
    run_id = start(handler, "run")
    handler.on_chain_end({}, run_id=run_id)
    assert {"failures.langchain.start": 1} == swallowed()
    assert ["theirs"] == [line["name"] for line in files.observations()]


def test_a_fault_in_reading_a_run_leaves_the_handler_its_run(handler, gate, files, swallowed):
    """Metadata may be anything."""

    class Unreadable(dict):
        def get(self, *args):
            raise ValueError("not today")

    run_id = uuid4()
    handler.on_chain_start(None, {}, run_id=run_id, metadata=Unreadable())
    handler.on_chain_end({}, run_id=run_id)
    assert {"failures.langchain.start": 1} == swallowed()
    assert ["theirs"] == [line["name"] for line in files.observations()]


def test_sessions_of_nested_graphs_are_their_own_threads(handler, gate, files):
    """A graph with a thread of its own inside another is of its own session."""
    outer = start(handler, "outer", thread_id="a")
    inner = start(handler, "inner", outer, thread_id="b")
    same = start(handler, "same", inner, thread_id="b")
    for run_id in (same, inner, outer):
        handler.on_chain_end({}, run_id=run_id)
    assert {"invoke_workflow outer": "a", "inner": "b", "same": "b"} == {
        line["name"]: line["session_id"] for line in files.observations()
    }


def test_a_session_that_the_program_gave_stands(handler, gate, files):
    """Over every thread."""
    with spanwise.identify(session_id="given"):
        outer = start(handler, "outer", thread_id="a")
    inner = start(handler, "inner", outer, thread_id="b")
    for run_id in (inner, outer):
        handler.on_chain_end({}, run_id=run_id)
    assert {"given"} == {line["session_id"] for line in files.observations()}


def test_the_number_of_open_runs_is_bounded(handler, gate, monkeypatch):
    """Those of whose end nobody tells do not pile up for ever."""
    monkeypatch.setattr("spanwise.instrumentation.langchain.gate._MOST_OPEN", 3)
    for number in range(5):
        start(handler, f"run {number}")
    assert 3 == len(gate._open)
