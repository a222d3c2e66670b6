"""Real LangChain and LangGraph give one tree, whichever of three instrumentors is used."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from opentelemetry.trace import get_current_span

import spanwise
from graphs.drawing import drawn
from spanwise import _state
from support.files import Files

TREES = Path(__file__).parents[1] / "data" / "trees"

if importlib.util.find_spec("langgraph") is None:
    pytest.skip("LangGraph, whose graphs are run here, is not installed", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what they deprecate among themselves
    import langchain_core.callbacks

    from graphs import programs

# By the distribution, as `instrumentor_preference` names it.
INSTRUMENTORS = (
    "opentelemetry-instrumentation-genai-langchain",
    "openinference-instrumentation-langchain",
    "opentelemetry-instrumentation-langchain",
)
MODES = (*programs.OF_LANGGRAPH, *programs.OF_LANGCHAIN)

pytestmark = pytest.mark.filterwarnings("ignore")


def is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.fixture(params=INSTRUMENTORS)
def instrumented(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if not is_installed(request.param):
        pytest.skip(f"{request.param} is not installed")
    spanwise.configure(
        traces_dir=tmp_path / "t",
        instrument=["langchain"],
        instrumentor_preference=[request.param],
    )
    used = _state.instrumentors["langchain"].point.dist.name
    assert request.param == used
    return Files(tmp_path / "t")


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.__name__)
def test_a_graph_is_one_whole_tree(mode: Callable[[], None], instrumented: Files):
    """Nodes, sub-graphs, branches, tools and models are where and what the stored tree says."""
    if mode in programs.OF_LANGCHAIN and not is_installed("langchain"):
        pytest.skip("langchain, whose agents are run here, is not installed")
    mode()
    spanwise.flush()
    expected = (TREES / f"{mode.__name__}.txt").read_text(encoding="utf-8")
    assert expected == drawn(instrumented.observations())


@pytest.mark.parametrize("mode", ["batch", "stream", "astream", "agent_astream"])
def test_identity_reaches_every_span(mode: str, instrumented: Files):
    """In the threads of a batch, in tasks, and in streams that the caller consumes."""
    if mode == "agent_astream" and not is_installed("langchain"):
        pytest.skip("langchain, whose agents are run here, is not installed")
    with spanwise.identify(user="jane", account="org_7"):
        getattr(programs, mode)()
        carrier = spanwise.inject({})
    spanwise.flush()
    lines = instrumented.observations()
    assert {("jane", "org_7")} == {(line["user_id"], line["account_id"]) for line in lines}
    assert "jane" not in str(carrier)


def test_a_stream_leaves_the_callers_context_alone(instrumented: Files):
    """Between two chunks the current span is the caller's."""
    with spanwise.observe("consumer", type="span"):
        own = get_current_span()
        chunks = programs.travel().stream({"question": "Where?"}, programs.THREAD)
        found = [get_current_span() for _ in chunks]
    assert 4 <= len(found)
    assert {own} == set(found)


def test_what_runs_at_once_is_kept_apart(instrumented: Files):
    """Graphs that run side by side in tasks each have their own tree and session."""

    async def run() -> None:
        graph = programs.travel(programs.aplan, programs.avisit)
        threads = [{"configurable": {"thread_id": f"thread-{n}"}} for n in range(4)]
        await asyncio.gather(*(graph.ainvoke({"question": "Where?"}, each) for each in threads))

    asyncio.run(run())
    spanwise.flush()
    lines = instrumented.observations()
    assert 4 == len({line["trace_id"] for line in lines if line["parent_id"] is None})
    sessions = {line["trace_id"]: line["session_id"] for line in lines}
    assert {f"thread-{n}" for n in range(4)} == set(sessions.values())
    assert all(sessions[line["trace_id"]] == line["session_id"] for line in lines)


@pytest.mark.parametrize("key", ["thread_id", "session_id", "conversation_id"])
def test_no_object_is_asked_for_a_session(key: str, instrumented: Files, caplog):
    """Neither by us nor by the instrumentor: its code is the program's, and may raise."""
    asked = []

    class Touchy:
        def _no(self):
            asked.append(self)
            raise RuntimeError("this is the program's code")

        __bool__ = __str__ = __repr__ = _no

    programs.model().invoke("Where?", {"metadata": {key: Touchy()}})
    spanwise.flush()
    assert [] == asked
    assert ["chat fake-1"] == [line["name"] for line in instrumented.observations()]
    assert [] == caplog.records


def test_turned_off_nothing_of_it_is_left(instrumented: Files, tmp_path: Path):
    """Handlers, wrapped functions and instance attributes are gone; the graph runs without us."""
    handlers = langchain_core.callbacks.CallbackManager([]).handlers
    assert 1 == len(handlers)
    spanwise.configure(instrument=False)
    assert [] == langchain_core.callbacks.CallbackManager([]).handlers
    assert [] == [name for name in vars(handlers[0]) if name.startswith("on_")]
    programs.invoke()
    spanwise.flush()
    names = {line["name"] for line in instrumented.observations()}
    assert {"look_up", "draft", "capital in the atlas"} == names


def test_content_that_is_not_recorded_is_in_no_file(instrumented: Files):
    """Neither states, nor messages, nor what tools are given and return."""
    spanwise.configure(capture_content=False)
    programs.travel().invoke({"question": "a private matter"}, programs.THREAD)
    spanwise.flush()
    text = instrumented.text()
    assert '"conclude"' in text
    assert [] == [word for word in ("private", "Paris", "Lyon") if word in text]


def test_a_secret_in_a_state_is_masked(instrumented: Files):
    """By the name of its key and by its own shape, whoever wrote it into a span."""
    key = "sk-proj-" + "Zq7" * 12
    state = {"question": f"Use {key}", "found": [f"Authorization: Bearer {key}"]}
    programs.travel().invoke(state, programs.THREAD)
    spanwise.flush()
    text = instrumented.text()
    assert "Use ***" in text
    assert key not in text


def test_every_stored_tree_is_of_a_program():
    """A tree without its program would never be compared."""
    assert {mode.__name__ for mode in MODES} == {path.stem for path in TREES.glob("*.txt")}
