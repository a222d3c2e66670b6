"""What is run while spans are recorded: each program uses a library in all of its common ways."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import set_span_in_context

from foreign_spans.standin import StandIn

_QUESTION: Final = "What is the capital of France?"


def openai(tracer: Any, standin: StandIn, handlers: list[Any]) -> None:
    """Chats, tools, streams, embeddings and errors, with the client of OpenAI."""
    from openai import AsyncOpenAI, NotFoundError, OpenAI

    client = OpenAI(base_url=standin.url, api_key="none", max_retries=0)
    chat: dict[str, Any] = {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": _QUESTION},
        ],
    }
    tool = {
        "type": "function",
        "function": {
            "name": "capital",
            "description": "Name the capital.",
            "parameters": {"type": "object", "properties": {"country": {"type": "string"}}},
        },
    }
    with tracer.start_as_current_span("openai"):
        client.chat.completions.create(**chat, temperature=0.2, max_tokens=64)
        asked = client.chat.completions.create(**chat, tools=[tool]).choices[0].message
        call = asked.tool_calls[0]
        told = {"role": "tool", "tool_call_id": call.id, "content": "Paris"}
        history = [*chat["messages"], asked.model_dump(exclude_none=True), told]
        client.chat.completions.create(model="gpt-4o", messages=history)
        for _ in client.chat.completions.create(**chat, stream=True):
            pass
        options = {"stream": True, "stream_options": {"include_usage": True}}
        for _ in client.chat.completions.create(**chat, **options):
            pass
        for _ in client.chat.completions.create(**chat, stream=True):
            break
        client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
        with contextlib.suppress(NotFoundError):
            client.chat.completions.create(**{**chat, "model": "unknown"})

        async def together() -> None:
            async with AsyncOpenAI(base_url=standin.url, api_key="none", max_retries=0) as several:
                await asyncio.gather(
                    *(several.chat.completions.create(**chat) for _ in range(2)),
                )

        asyncio.run(together())


def langchain(tracer: Any, standin: StandIn, handlers: list[Any]) -> None:
    """An agent with a tool, a retriever, a failing tool and a stream, with models that are fake."""
    from langchain.agents import create_agent
    from langchain_core.documents import Document
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.tools import tool

    class Model(GenericFakeChatModel):
        model_name: str = "fake-1"

        @property
        def _identifying_params(self) -> dict[str, Any]:
            return {"model_name": self.model_name, "temperature": 0.2}

        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

    class Library(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
            return [Document(page_content="Paris is a city.", metadata={"source": "a.txt"})]

    @tool
    def capital(country: str) -> str:
        """Name the capital."""
        return {"France": "Paris"}[country]

    def asks(country: str) -> AIMessage:
        call = {"name": "capital", "args": {"country": country}, "id": "c1", "type": "tool_call"}
        return AIMessage(content="", tool_calls=[call], usage_metadata=_usage(20, 3))

    answer = AIMessage(
        content="It is Paris.",
        usage_metadata=_usage(30, 5),
        response_metadata={"finish_reason": "stop", "model_name": "fake-1"},
    )
    standin.served = {"input": 20 + 30 + 20 + 30, "output": 3 + 5 + 3 + 5}
    config: Any = {
        "callbacks": handlers,
        "metadata": {"session_id": "s-1", "plan": "pro"},
        "tags": ["beta"],
    }
    messages = {"messages": [{"role": "user", "content": _QUESTION}]}
    with tracer.start_as_current_span("langchain"):
        agent = create_agent(
            Model(messages=iter([asks("France"), answer])), [capital], system_prompt="Be brief."
        )
        agent.invoke(messages, config)
        Library().invoke("cities", config)
        failing = create_agent(Model(messages=iter([asks("Spain"), answer])), [capital])
        with contextlib.suppress(KeyError):
            failing.invoke(messages, config)
        Model(messages=iter([answer])).invoke(_QUESTION, config)
        for _ in Model(messages=iter([AIMessage("It is Paris.")])).stream(_QUESTION, config):
            pass


def langfuse(tracer: Any, standin: StandIn, handlers: list[Any]) -> None:
    """Decorated functions of every type, a generation, who it was for, an error and a warning."""
    from langfuse import get_client, observe, propagate_attributes

    @observe(as_type="retriever")
    def find(query: str) -> list[str]:
        return ["Paris is a city."]

    @observe(as_type="tool")
    def capital(country: str) -> str:
        return {"France": "Paris"}[country]

    @observe(as_type="embedding")
    def embed(text: str) -> list[float]:
        return [0.5]

    @observe(as_type="guardrail")
    def check(text: str) -> bool:
        get_client().update_current_span(level="WARNING", status_message="close to the limit")
        return True

    @observe(as_type="evaluator")
    def judge(text: str) -> float:
        return 0.5

    @observe(as_type="chain")
    def steps(text: str) -> str:
        return text

    @observe(as_type="generation", name="write")
    def write(question: str) -> str:
        get_client().update_current_generation(
            model="gpt-4o",
            model_parameters={"temperature": 0.2, "max_tokens": 64},
            usage_details={"input": 12, "output": 5, "cache_read_input_tokens": 4, "total": 17},
            metadata={"plan": "pro"},
            version="2",
        )
        return "It is Paris."

    @observe(as_type="agent")
    def answer(question: str) -> str:
        find(question)
        capital("France")
        embed(question)
        check(question)
        steps(question)
        with contextlib.suppress(KeyError):
            capital("Spain")
        text = write(question)
        judge(text)
        return text

    standin.served = {"input": 12, "output": 5}
    with (
        tracer.start_as_current_span("langfuse"),
        propagate_attributes(
            session_id="s-1", user_id="jane", tags=["beta"], metadata={"account": "org_7"}
        ),
    ):
        answer(_QUESTION)


def pair(tracer: Any, standin: StandIn, handlers: list[Any]) -> None:
    """LangChain over the client of OpenAI, each model call seen by both instrumentors."""
    from langchain.agents import create_agent
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def capital(country: str) -> str:
        """Name the capital."""
        return "Paris"

    model = ChatOpenAI(
        model="gpt-4o", base_url=standin.url, api_key="none", max_retries=0, stream_usage=True
    )
    silent = model.model_copy(update={"stream_usage": False})
    config: Any = {"callbacks": handlers}
    messages = {"messages": [{"role": "user", "content": _QUESTION}]}
    agent = create_agent(model, [capital])
    for name, run in {
        "invoke": lambda: agent.invoke(messages, config),
        "stream": lambda: list(agent.stream(messages, config)),
        "ainvoke": lambda: asyncio.run(agent.ainvoke(messages, config)),
        "batch": lambda: model.batch([_QUESTION, _QUESTION, "Why?"], config),
        "gather": lambda: asyncio.run(_together(model, config)),
        "model stream": lambda: list(model.stream(_QUESTION, config)),
        "silent stream": lambda: list(silent.stream(_QUESTION, config)),
        "early break": lambda: _first(silent, config),
        "model alone": lambda: model.invoke(_QUESTION, config),
    }.items():
        # The last one has no span around it: its instrumentors begin the trace themselves.
        context = set_span_in_context(trace.INVALID_SPAN)
        around = tracer.start_as_current_span(name, context)
        with contextlib.nullcontext() if name == "model alone" else around:
            run()


async def _together(model: Any, config: Any) -> None:
    await asyncio.gather(*(model.ainvoke(_QUESTION, config) for _ in range(2)))


def _first(model: Any, config: Any) -> None:
    chunks = model.stream(_QUESTION, config)
    next(chunks)
    chunks.close()


def _usage(prompt: int, completion: int) -> Any:
    return {
        "input_tokens": prompt,
        "output_tokens": completion,
        "total_tokens": prompt + completion,
        "input_token_details": {"cache_read": 4},
        "output_token_details": {"reasoning": 2},
    }
