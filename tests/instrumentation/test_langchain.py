"""Real instrumentors of LangChain and OpenAI, in programs as people write them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from textwrap import dedent

import pytest

import spanwise
from spanwise.instrumentation import loading
from support.files import Files

pytest.importorskip(
    "opentelemetry.instrumentation.genai.langchain",
    reason="the langchain extra follows the newest OpenTelemetry and is not beside an older one",
)


@pytest.fixture
def agent():
    warnings.simplefilter("ignore")
    from langchain.agents import create_agent
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool

    class Model(GenericFakeChatModel):
        model_name: str = "fake-1"

        @property
        def _identifying_params(self):
            return {"model_name": self.model_name}

        def bind_tools(self, tools, **kwargs):
            return self

    @tool
    @spanwise.tool
    def capital(country: str) -> str:
        """Name the capital."""
        return {"France": "Paris"}[country]

    call = {"name": "capital", "args": {"country": "France"}, "id": "c1", "type": "tool_call"}
    messages = [
        AIMessage(content="", tool_calls=[call]),
        AIMessage(
            content="It is Paris.",
            usage_metadata={"input_tokens": 5, "output_tokens": 3, "total_tokens": 8},
        ),
    ]
    return create_agent(Model(messages=iter(messages)), [capital])


@pytest.fixture
def instrumented(tmp_path):
    spanwise.configure(traces_dir=tmp_path / "t", instrument=["langchain"])
    return Files(tmp_path / "t")


def test_an_instrumented_agent_is_one_trace_with_identity(instrumented, agent):
    """Third-party spans and our own make one tree, each stamped with who it was for."""

    @spanwise.interaction("Ask")
    def ask(question):
        return agent.invoke({"messages": [{"role": "user", "content": question}]})

    with spanwise.identify(user="jane", account="org_7", session_id="s-1"):
        answer = ask("What is the capital of France?")
    assert "It is Paris." == answer["messages"][-1].content
    observations = instrumented.observations()
    assert 1 == len({line["trace_id"] for line in observations})
    assert {("jane", "org_7", "s-1")} == {
        (line["user_id"], line["account_id"], line["session_id"]) for line in observations
    }
    ids = {line["id"] for line in observations}
    assert ["Ask"] == [line["name"] for line in observations if line["parent_id"] not in ids]
    theirs = [line for line in observations if line["scope"] != "spanwise"]
    assert "generation" in {line["type"] for line in theirs}
    (ours,) = [o for o in observations if (o["scope"], o["name"]) == ("spanwise", "capital")]
    assert ("tool", {"country": "France"}, "Paris") == (ours["type"], ours["input"], ours["output"])


def test_instrumentors_are_turned_off_with_us(tmp_path):
    """configure() can turn them off again, and shutdown() does."""
    for off in (lambda: spanwise.configure(instrument=False), spanwise.shutdown):
        spanwise.configure(traces_dir=tmp_path / "t", instrument=["langchain"])
        assert ["langchain"] == list(spanwise._state.instrumentors)
        instrumentor = loading.installed()["langchain"].load()()
        assert instrumentor.is_instrumented_by_opentelemetry
        off()
        assert not instrumentor.is_instrumented_by_opentelemetry


EARLY_IMPORTS = {
    "langchain": """
        from langchain.agents import create_agent
        from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
        from langchain_core.messages import AIMessage
        from langgraph.graph import StateGraph

        model = GenericFakeChatModel(messages=iter([AIMessage(content="Paris.")]))
        agent = create_agent(model, [])
        CONFIGURE
        agent.invoke({"messages": [{"role": "user", "content": "The capital?"}]})
        """,
    "openai": """
        from openai import OpenAI
        from openai.resources.chat.completions import Completions

        client = OpenAI(api_key="k", base_url="http://127.0.0.1:9", max_retries=0)
        create = client.chat.completions
        CONFIGURE
        try:
            create.create(model="m", messages=[{"role": "user", "content": "The capital?"}])
        except Exception:
            pass
        """,
}


@pytest.mark.parametrize("library", EARLY_IMPORTS)
def test_what_was_imported_before_is_instrumented_too(library, tmp_path):
    """With names taken out of modules, and objects made, before anything is configured."""
    pytest.importorskip(library)
    configure = f"import spanwise; spanwise.configure(instrument=[{library!r}])"
    program = dedent(EARLY_IMPORTS[library]).replace("CONFIGURE", configure)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    types = {line["type"] for line in Files(Path(tmp_path, "traces")).observations()}
    assert "generation" in types
