"""What stands before a handler says where spans belong, and never stops the handler."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context

import spanwise
from spanwise.instrumentation.langchain import runs
from spanwise.instrumentation.langchain.frames import Frames
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


@pytest.mark.parametrize("error", [GeneratorExit(), asyncio.CancelledError(), KeyboardInterrupt()])
def test_what_a_run_that_is_left_has_open_ends_with_it(handler, gate, files, error):
    """A run whose thread is gone is seen all the same, once."""
    root = start(handler, "root")
    lost = start(handler, "lost", start(handler, "node", root))
    handler.on_chain_error(error, run_id=root)
    handler.on_chain_end({}, run_id=lost)  # and comes late
    assert ["invoke_workflow root", "lost", "node"] == sorted(
        line["name"] for line in files.observations()
    )
    assert 1 == len([event for event in handler.heard if not event.endswith("_start")])


@pytest.mark.parametrize(
    ("event", "outcome"), [("on_chain_end", {}), ("on_chain_error", ValueError("no"))]
)
def test_what_outlives_its_run_is_ended_by_its_own_end(handler, gate, files, event, outcome):
    """Tasks and threads that a run left behind tell of their outcome, and of their own time."""
    root = start(handler, "root")
    left = start(handler, "left", root)
    getattr(handler, event)(outcome, run_id=root)
    assert ["invoke_workflow root"] == [line["name"] for line in files.observations()]
    handler.on_chain_end({}, run_id=left)
    lines = {line["name"]: line for line in files.observations()}
    assert ["on_chain_start", "on_chain_start", event, "on_chain_end"] == handler.heard
    assert lines["invoke_workflow root"]["id"] == lines["left"]["parent_id"]
    assert {} == gate._open


def test_what_starts_below_a_run_that_has_ended_names_no_parent(handler, gate, monkeypatch):
    """Handlers may miss the parent, and drop the run for it."""
    root = start(handler, "root")
    handler.on_chain_end({}, run_id=root)
    given: list[Any] = []
    monkeypatch.setitem(gate._originals, "on_tool_start", lambda *args, **kw: given.append(kw))
    start(handler, "late", root, event="on_tool_start")
    assert [None] == [each["parent_run_id"] for each in given]


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


def test_a_fault_in_reading_a_run_leaves_the_handler_its_run(
    handler, gate, files, monkeypatch, swallowed
):
    """The handler hears of a run that we cannot make out."""
    monkeypatch.setattr(runs, "read", lambda *args, **given: 1 / 0)
    handler.on_chain_end({}, run_id=start(handler, "run"))
    assert {"failures.langchain.start": 1} == swallowed()
    assert ["theirs"] == [line["name"] for line in files.observations()]


class Touchy:
    """Whatever is asked of it, it raises."""

    def _no(self, *args):
        raise RuntimeError("this is the program's code")

    __bool__ = __str__ = __repr__ = __eq__ = __ne__ = __hash__ = __len__ = __iter__ = _no
    __getattr__ = __instancecheck__ = __int__ = __index__ = _no


class TouchyText(str):
    """A text whose methods are the program's."""

    def _no(self, *args):
        raise RuntimeError("this is the program's code")

    __bool__ = __str__ = __eq__ = __ne__ = __len__ = startswith = removeprefix = _no
    __hash__ = str.__hash__


class TouchyDict(dict):
    """A mapping whose methods are the program's."""

    def get(self, *args):
        raise RuntimeError("this is the program's code")

    __getitem__ = __iter__ = keys = items = __bool__ = __len__ = get


@pytest.mark.parametrize("touchy", [Touchy(), TouchyText("x")], ids=["object", "text"])
@pytest.mark.parametrize("event", ["on_chain_start", "on_chat_model_start"])
def test_the_programs_code_is_not_run(handler, gate, files, event, touchy, swallowed):
    """Names, tags, metadata and parameters may be any object."""
    keys = ("thread_id", "session_id", "ls_provider", "ls_model_name", "ls_integration", "model")
    handed = {
        "name": touchy,
        "tags": [touchy, 1],
        "metadata": TouchyDict(dict.fromkeys(keys, touchy), lc_agent_name=touchy),
        "invocation_params": {"model": touchy, "params": touchy},
    }
    run_id = uuid4()
    getattr(handler, event)({"name": touchy, "id": [touchy]}, [], run_id=run_id, **handed)
    handler.on_chain_end({}, run_id=run_id)
    name = {"on_chain_start": "invoke_workflow run", "on_chat_model_start": "chat"}[event]
    assert {} == swallowed()
    assert [(name, None)] == [
        (line["name"], line.get("session_id")) for line in files.observations()
    ]


@pytest.mark.parametrize(
    ("thread", "session"),
    [
        ("t-1", "t-1"),
        (0, "0"),
        (-7, "-7"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ("", None),
        (True, None),
        (1.5, None),
        (10**5000, None),
    ],
    ids=["text", "zero", "number", "uuid", "empty", "truth", "float", "huge"],
)
def test_a_thread_is_a_session_if_it_is_a_text_a_number_or_a_uuid(
    handler, gate, files, thread, session
):
    """Of anything else nobody could say what it is called."""
    handler.on_chain_end({}, run_id=start(handler, "run", thread_id=thread))
    assert [session] == [line.get("session_id") for line in files.observations()]


def test_an_interrupt_is_read_without_running_its_code():
    """Only what LangGraph itself makes is asked for its value."""

    class Stop(GeneratorExit):
        args = property(Touchy()._no)

    assert {} == runs.interrupts(Stop([Touchy()], 2))
    assert {} == runs.interrupts(GeneratorExit([Touchy()]))


def test_frames_keep_their_faults_from_the_program(gate, swallowed):
    """What LangChain hands over may be anything; the run goes on."""
    frames = Frames(gate)
    manager = SimpleNamespace(tags=[1])

    class Start:
        def __get__(self, manager, owner=None):
            async def start():
                return "started"

            return start

    assert "started" == asyncio.run(frames._started_in_a_task(Start())(manager))
    assert {} == swallowed()
    assert "started" == asyncio.run(frames._started_in_a_task(Start())(None))
    assert "prepared" == frames._prepared(lambda config: "prepared")(None)
    assert {"failures.langchain.context": 2} == swallowed()


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


def test_the_number_of_open_runs_is_bounded(handler, gate, files, monkeypatch):
    """Those of whose end nobody tells do not pile up for ever: the oldest ends."""
    monkeypatch.setattr("spanwise.instrumentation.langchain.gate._MOST_OPEN", 3)
    for number in range(5):
        start(handler, f"run {number}")
    assert 3 == len(gate._open)
    assert ["invoke_workflow run 0", "invoke_workflow run 1"] == [
        line["name"] for line in files.observations()
    ]
