"""What is sent to each backend: one of every kind of work, ours and a LangChain agent's."""

from __future__ import annotations

import sys

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

import spanwise

DIALECTS, SESSION = sys.argv[1].split(","), sys.argv[2]
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


class Model(GenericFakeChatModel):
    model_name: str = "fake-1"

    @property
    def _identifying_params(self) -> dict[str, str]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: object, **kwargs: object) -> Model:
        return self


@tool
def capital(country: str) -> str:
    """Name the capital."""
    return {"France": "Paris"}[country]


def framework_agent() -> object:
    call = {"name": "capital", "args": {"country": "France"}, "id": "c1", "type": "tool_call"}
    usage = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
    answers = [
        AIMessage(content="", tool_calls=[call]),
        AIMessage(content="It is Paris.", usage_metadata=usage),
    ]
    return create_agent(Model(messages=iter(answers)), [capital], system_prompt="Be brief.")


@spanwise.tool(description="Look a word up")
def look_up(word: str, api_key: str) -> dict[str, str]:
    return {"word": word, "meaning": "a city"}


@spanwise.generation(name="write", model="gpt-4o", provider="openai")
def write(messages: list[dict[str, str]]) -> str:
    spanwise.current().update(
        usage={"input_tokens": 11, "output_tokens": 7, "cached_tokens": 4},
        response_model="gpt-4o-2024-08-06",
        finish_reasons=["stop"],
    )
    return "Paris."


@spanwise.retrieval
def find(query: str) -> list[dict[str, object]]:
    return [
        {"id": "d1", "content": "Paris is the capital.", "score": 0.9, "metadata": {"page": 3}},
        {"id": "d2", "content": "Lyon is not.", "score": 0.2, "metadata": {}},
    ]


@spanwise.embedding(model="embed-1")
def embed(texts: list[str]) -> list[list[float]]:
    return [[0.5, 0.25] for _ in texts]


@spanwise.span
def shorten(text: str) -> str:
    return text[:5]


@spanwise.tool
def fail() -> None:
    raise ValueError("boom")


@spanwise.agent(name="Support", version="2")
def answer(question: str) -> str:
    look_up("Paris", "sk-0123456789abcdef0123456789abcdef")
    found = find(question)
    embed([question])
    try:
        fail()
    except ValueError:
        pass
    return shorten(write([{"role": "system", "content": str(len(found))}, *QUESTION]))


spanwise.configure(
    service_name="backends",
    service_version="r-7",
    environment="production",
    dialects=[name for name in DIALECTS if name],
    instrument=["langchain"],
)
with spanwise.identify(
    user={"id": "jane@acme.test", "name": "Jane"},
    account="org_7",
    session_id=SESSION,
    tags=["beta", "eu"],
    metadata={"plan": "pro", "limits": {"calls": 3}},
):
    answer("What is the capital of France?")
    framework_agent().invoke({"messages": QUESTION})  # type: ignore[attr-defined]
sys.exit(0 if spanwise.flush(90) else "not every span arrived")
