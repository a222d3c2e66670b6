"""Real LangChain and LangGraph give one tree, whichever of three instrumentors is used."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

import spanwise
from graphs.drawing import drawn
from spanwise import _state
from support.files import Files

TREES = Path(__file__).parents[1] / "data" / "trees"

if importlib.util.find_spec("langgraph") is None:
    pytest.skip("LangGraph, whose graphs are run here, is not installed", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what they deprecate among themselves
    from graphs import programs

# By the distribution, as `instrumentor_preference` names it.
INSTRUMENTORS = (
    "opentelemetry-instrumentation-genai-langchain",
    "openinference-instrumentation-langchain",
    "opentelemetry-instrumentation-langchain",
)
MODES = (*programs.OF_LANGGRAPH, *programs.OF_LANGCHAIN)
# Before Python 3.11 a task cannot be given a context, so LangGraph starts the tasks of its nodes
# in that of the caller: what is decorated in a node is then beside the node.
IN_TASKS = {"ainvoke", "astream", "early_break_async"}

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
    if mode.__name__ in IN_TASKS and sys.version_info < (3, 11):
        pytest.skip("before Python 3.11, a task of a node cannot be given the node's context")
    mode()
    spanwise.flush()
    expected = (TREES / f"{mode.__name__}.txt").read_text(encoding="utf-8")
    assert expected == drawn(instrumented.observations())


def test_every_stored_tree_is_of_a_program():
    """A tree without its program would never be compared."""
    assert {mode.__name__ for mode in MODES} == {path.stem for path in TREES.glob("*.txt")}
