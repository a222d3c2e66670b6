"""What a run of LangChain says beside its place in the tree, with each of three instrumentors."""

from __future__ import annotations

import pytest

import spanwise
from support.files import Files

pytest.importorskip(
    "opentelemetry.instrumentation.genai.langchain",
    reason="the langchain extra follows the newest OpenTelemetry and is not beside an older one",
)
INSTRUMENTORS = (
    "opentelemetry-instrumentation-genai-",
    "openinference-",
    "opentelemetry-instrumentation-langchain",
)
DOCUMENT = {"page_content": "about tea", "metadata": {"source": "t.txt"}}


@pytest.fixture(params=INSTRUMENTORS)
def files(request, tmp_path):
    spanwise.configure(
        traces_dir=tmp_path / "t",
        instrument=["langchain"],
        instrumentor_preference=[request.param],
    )
    return Files(tmp_path / "t")


@pytest.fixture
def retriever():
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever

    class Shelf(BaseRetriever):
        def _get_relevant_documents(self, query, *, run_manager):
            return [Document(**DOCUMENT)]

    return Shelf()


def test_the_documents_that_were_found_are_the_output(files, retriever):
    """With their texts, which OpenTelemetry's instrumentor does not write."""
    retriever.invoke("tea")
    (line,) = files.observations()
    assert ("retrieval", "tea") == (line["type"], line["input"])
    (found,) = line["output"]
    assert "about tea" in (found.get("page_content"), found.get("content"))
    assert "t.txt" in str(found["metadata"])


def test_content_that_is_not_wanted_is_not_written(tmp_path, retriever):
    """Nor by us on top of the instrumentor."""
    spanwise.configure(traces_dir=tmp_path / "t", instrument=["langchain"], capture_content=False)
    retriever.invoke("tea")
    assert "about tea" not in Files(tmp_path / "t").text()


def test_tags_and_metadata_of_a_run_are_the_observations(files):
    """Those of the program, masked, where they were given; what frameworks put there is not."""
    from langchain_core.runnables import RunnableLambda

    step = RunnableLambda(lambda x: x).with_config(run_name="step", metadata={"k": "v"})
    chain = RunnableLambda(lambda x: x) | step
    metadata = {"plan": "pro", "password": "hidden-1", "thread_id": "t-1", 7: "no name"}
    chain.invoke("x", {"run_name": "My run", "metadata": metadata, "tags": ["beta"]})
    observations = {line["name"]: line for line in files.observations()}
    whole = observations["invoke_workflow My run"]
    said = {"plan": "pro", "password": "***"}
    assert said == {key: whole["metadata"][key] for key in said}
    assert "v" == observations["step"]["metadata"]["k"]
    (trace,) = files.traces()
    assert ["beta"] == trace["tags"]
    assert "t-1" == trace["session_id"]
    assert "hidden-1" not in files.text()
    assert "langgraph" not in str(whole["metadata"])


def test_an_error_has_its_traceback(files):
    """Of a step, and of all that it leaves on its way out."""
    from langchain_core.runnables import RunnableLambda

    def fail(x):
        raise ValueError("no ticket")

    with pytest.raises(ValueError, match="no ticket"):
        (RunnableLambda(lambda x: x) | RunnableLambda(fail)).invoke("x")
    failed = [line for line in files.observations() if line.get("error")]
    assert 2 == len(failed)
    for line in failed:
        assert "no ticket" == line["error"]
        assert line["metadata"]["traceback"].rstrip().endswith("ValueError: no ticket")
        assert "raise ValueError" in line["metadata"]["traceback"]


def test_a_resumed_agent_says_what_it_was_resumed_with(files):
    """Where it is given no messages, what it is given instead is its input."""
    pytest.importorskip(
        "langchain.agents", reason="langchain, whose agents are run here, is not here"
    )
    from langchain.agents import create_agent
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool
    from langgraph.checkpoint.memory import MemorySaver
    from langgraph.types import Command, interrupt

    class Model(GenericFakeChatModel):
        def bind_tools(self, tools, **kwargs):
            return self

    @tool
    def ask(what: str) -> str:
        """Ask a person."""
        return interrupt(what)

    call = {"name": "ask", "args": {"what": "ok?"}, "id": "c", "type": "tool_call"}
    messages = [AIMessage(content="", tool_calls=[call]), AIMessage(content="done")]
    agent = create_agent(Model(messages=iter(messages)), [ask], checkpointer=MemorySaver())
    thread = {"configurable": {"thread_id": "t-1"}}
    agent.invoke({"messages": [{"role": "user", "content": "go"}]}, thread)
    agent.invoke(Command(resume="yes, do"), thread)
    asked, resumed = [line for line in files.observations() if line["type"] == "agent"]
    assert "go" in str(asked["input"])
    assert "yes, do" in str(resumed["input"])
