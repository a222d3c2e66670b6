"""Programs of LangChain and LangGraph with fake models, one for each way to run a graph."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import threading
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, TypedDict

from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

import spanwise

USAGE: Final = {"input_tokens": 5, "output_tokens": 3, "total_tokens": 8}
LATE_USAGE: Final = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
THREAD: Final[dict[str, Any]] = {"configurable": {"thread_id": "thread-1"}}


class Model(BaseChatModel):
    """Answers in turn; like a real one it counts tokens, in a stream with the last chunk."""

    answers: list[AIMessage]
    model_name: str | None = "fake-1"
    asked: int = 0

    @property
    def _llm_type(self) -> str:
        return "fake"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {} if self.model_name is None else {"model_name": self.model_name}

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _next(self) -> AIMessage:
        self.asked += 1
        return self.answers[(self.asked - 1) % len(self.answers)]

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=self._next())])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[Any]:
        answer = self._next()
        for word in answer.content.split():
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
        last = AIMessageChunk(
            content="",
            usage_metadata=answer.usage_metadata,
            tool_call_chunks=[
                {"name": c["name"], "args": '{"country": "France"}', "id": c["id"], "index": 0}
                for c in answer.tool_calls
            ],
        )
        yield ChatGenerationChunk(message=last)


class Slow(Model):
    """Answers no sooner than it is let."""

    is_asked: Any
    may_answer: Any

    def _generate(self, *args, **kwargs):
        self.is_asked.set()
        assert self.may_answer.wait(timeout=30)
        return super()._generate(*args, **kwargs)

    async def _agenerate(self, *args, **kwargs):
        self.is_asked.set()
        await asyncio.wait_for(self.may_answer.wait(), timeout=30)
        return super()._generate(*args, **kwargs)


def slow_model(event: Any) -> Slow:
    answer = AIMessage(content="Paris, late.", usage_metadata=LATE_USAGE)
    return Slow(answers=[answer], is_asked=event(), may_answer=event())


def model(name: str | None = "fake-1") -> Model:
    return Model(answers=[AIMessage(content="It is Paris.", usage_metadata=USAGE)], model_name=name)


def asking_model(called: str = "capital") -> Model:
    """A model that calls a tool, and then answers."""
    call = {"name": called, "args": {"country": "France"}, "id": "c1", "type": "tool_call"}
    asks = AIMessage(content="", tool_calls=[call], usage_metadata=USAGE)
    return Model(answers=[asks, AIMessage(content="Paris.", usage_metadata=USAGE)])


@spanwise.retrieval
def look_up(country: str) -> str:
    return {"France": "Paris"}[country]


@tool
@spanwise.tool(name="capital in the atlas")
def capital(country: str) -> str:
    """Name the capital."""
    return look_up(country)


class State(TypedDict, total=False):
    question: str
    found: Annotated[list[str], operator.add]
    answer: str


@spanwise.chain
def draft(question: str) -> str:
    """Decorated, around a model's call: the call belongs below it."""
    return model().invoke(question).content


def plan(state: State) -> State:
    return {"question": draft(state["question"])}


def to_places(state: State) -> list[Send]:
    return [Send("visit", {"question": place}) for place in ("Lyon", "Lille")]


def visit(state: State) -> State:
    return {"found": [look_up("France") + state["question"]]}


def count(state: State) -> State:
    return {"found": [capital.invoke({"country": "France"})]}


def deep(state: State) -> State:
    return {"found": [model(None).invoke("deeper").content]}


def conclude(state: State) -> State:
    return {"answer": str(len(state["found"]))}


async def aplan(state: State) -> State:
    await asyncio.sleep(0)
    return plan(state)


async def avisit(state: State) -> State:
    await asyncio.sleep(0)
    return visit(state)


def sub_graph() -> Any:
    graph = StateGraph(State)
    graph.add_node("deep", deep)
    graph.add_edge(START, "deep")
    return graph.compile(name="Details")


def travel(plan: Any = plan, visit: Any = visit) -> Any:
    """A graph with Send branches, branches side by side, a sub-graph and decorated functions."""
    graph = StateGraph(State)
    for name, node in {
        "plan": plan,
        "visit": visit,
        "count": count,
        "details": sub_graph(),
        "conclude": conclude,
    }.items():
        graph.add_node(name, node)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "count")
    graph.add_conditional_edges("plan", to_places, ["visit"])
    graph.add_edge(["visit", "count"], "details")
    graph.add_edge("details", "conclude")
    graph.add_edge("conclude", END)
    return graph.compile(name="Travel")


def asking_graph() -> Any:
    """A graph that asks a person, in a node and in a tool."""

    @tool
    def approve(country: str) -> str:
        """Ask whether to go on."""
        return interrupt(f"{country}?")

    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("ask", lambda state: {"answer": interrupt("sure?")})
    graph.add_node("approve", lambda state: {"found": [approve.invoke({"country": "France"})]})
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "ask")
    graph.add_edge("ask", "approve")
    return graph.compile(checkpointer=InMemorySaver(), name="Careful")


def agent(name: str | None = "Geo", tools: Any = (capital,), called: str = "capital") -> Any:
    from langchain.agents import create_agent

    return create_agent(asking_model(called), list(tools), name=name)


def question() -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "The capital?"}]}


def invoke() -> None:
    travel().invoke({"question": "Where?"}, THREAD)


def stream() -> None:
    for _ in travel().stream({"question": "Where?"}, THREAD, stream_mode="messages"):
        pass


def batch() -> None:
    with spanwise.observe("several", type="chain"):
        threads = [{"configurable": {"thread_id": f"thread-{n}"}} for n in (1, 2)]
        travel().batch([{"question": "Where?"}, {"question": "When?"}], threads)


def ainvoke() -> None:
    asyncio.run(travel(aplan, avisit).ainvoke({"question": "Where?"}, THREAD))


def astream() -> None:
    async def run() -> None:
        async for _ in travel(aplan, avisit).astream({"question": "Where?"}, THREAD):
            await asyncio.sleep(0)

    asyncio.run(run())


def interrupt_and_resume() -> None:
    graph = asking_graph()
    graph.invoke({"question": "Where?"}, THREAD)
    graph.invoke(Command(resume="yes"), THREAD)
    graph.invoke(Command(resume="yes"), THREAD)


def early_break() -> None:
    for _ in travel().stream({"question": "Where?"}, THREAD):
        break


def early_break_async() -> None:
    async def run() -> None:
        chunks = travel(aplan, avisit).astream({"question": "Where?"}, THREAD)
        async for _ in chunks:
            break
        await chunks.aclose()

    asyncio.run(run())


def failing() -> None:
    def fail(state: State) -> State:
        return {"answer": look_up("Atlantis")}

    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("fail", fail)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "fail")
    try:
        graph.compile(name="Lost").invoke({"question": "Where?"}, THREAD)
    except KeyError:
        return
    raise AssertionError("the program's own error must reach it")


def session_given() -> None:
    with spanwise.identify(user="jane", session_id="given"):
        travel().invoke({"question": "Where?"}, THREAD)


def agent_invoke() -> None:
    with spanwise.observe("ask", type="interaction"):
        agent().invoke(question(), THREAD)


def agent_astream() -> None:
    async def run() -> None:
        async for _ in agent(None).astream(question(), THREAD, stream_mode="messages"):
            pass

    asyncio.run(run())


def agents_in_agents() -> None:
    @tool
    def delegate(country: str) -> str:
        """Ask another agent."""
        return agent("Helper").invoke(question())["messages"][-1].content

    agent("Boss", [delegate], "delegate").invoke(question(), THREAD)


def chain_of_steps() -> None:
    steps = ChatPromptTemplate.from_template("Where is {place}?") | model() | StrOutputParser()
    steps.batch([{"place": "Lyon"}, {"place": "Lille"}])
    "".join(steps.stream({"place": "Lyon"}))


def text_model() -> None:
    FakeListLLM(responses=["Paris"]).invoke("The capital?")


class Atlas(BaseRetriever):
    """What it calls belongs below it."""

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(look_up(query))]


def retrieving() -> None:
    with spanwise.observe("twice", type="chain"):
        Atlas().invoke("France")
        asyncio.run(Atlas().ainvoke("France"))


def steps_left_early() -> None:
    steps = ChatPromptTemplate.from_template("Where is {place}?") | model() | StrOutputParser()
    for _ in steps.stream({"place": "Lyon"}):
        break


class Lost(BaseRetriever):
    """Never answers; LangChain tells no handler when it is cancelled."""

    is_asked: Any

    def _get_relevant_documents(self, query, *, run_manager):
        raise NotImplementedError

    async def _aget_relevant_documents(self, query, *, run_manager):
        self.is_asked.set()
        await asyncio.sleep(60)


def retrieving_cancelled() -> None:
    async def run() -> None:
        for is_inside in (False, True):
            lost = Lost(is_asked=asyncio.Event())
            asked = RunnableLambda(str) | lost if is_inside else lost
            running = asyncio.create_task(asked.ainvoke("France"))
            await lost.is_asked.wait()
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    asyncio.run(run())


def cancelled() -> None:
    async def run() -> None:
        is_waiting = asyncio.Event()

        async def wait(state: State) -> State:
            is_waiting.set()
            await asyncio.sleep(60)
            return {}

        graph = StateGraph(State)
        graph.add_node("wait", wait)
        graph.add_edge(START, "wait")
        running = asyncio.create_task(graph.compile(name="Slow").ainvoke({}, THREAD))
        await is_waiting.wait()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

    asyncio.run(run())


def outliving_task() -> None:
    """A node leaves two calls behind: one that has begun, and one that begins after its end."""

    async def run() -> None:
        is_over = asyncio.Event()
        begun, later = slow_model(asyncio.Event), slow_model(asyncio.Event)
        later.may_answer.set()
        left = []

        async def ask_later() -> None:
            await is_over.wait()
            await later.ainvoke("later")

        async def leave(state: State) -> State:
            left.append(asyncio.create_task(begun.ainvoke("now")))
            left.append(asyncio.create_task(ask_later()))
            await begun.is_asked.wait()
            return {"answer": "soon"}

        graph = StateGraph(State)
        graph.add_node("leave", leave)
        graph.add_edge(START, "leave")
        await graph.compile(name="Hasty").ainvoke({}, THREAD)
        is_over.set()
        begun.may_answer.set()
        await asyncio.gather(*left)

    asyncio.run(run())


def outliving_thread() -> None:
    """A step gives its config to a thread, and does not wait for it."""
    slow = slow_model(threading.Event)
    left = []

    def leave(value: str, config: RunnableConfig) -> str:
        left.append(threading.Thread(target=slow.invoke, args=("now", config)))
        left[0].start()
        assert slow.is_asked.wait(timeout=30)
        return "soon"

    RunnableLambda(leave).invoke("go")
    slow.may_answer.set()
    left[0].join(timeout=30)


def outliving_branch() -> None:
    """A branch goes on when the one beside it has failed."""

    async def run() -> None:
        slow = slow_model(asyncio.Event)

        async def fail(value: str) -> str:
            await slow.is_asked.wait()
            raise KeyError(value)

        before = asyncio.all_tasks()
        try:
            await RunnableParallel(slow=slow, failing=RunnableLambda(fail)).ainvoke("go")
        except KeyError:
            slow.may_answer.set()
            await asyncio.wait(asyncio.all_tasks() - before, timeout=30)
            return
        raise AssertionError("the program's own error must reach it")

    asyncio.run(run())


# Those that need no more than langgraph, and so are run without langchain, too.
OF_LANGGRAPH: Final[tuple[Callable[[], None], ...]] = (
    invoke,
    stream,
    batch,
    ainvoke,
    astream,
    interrupt_and_resume,
    early_break,
    early_break_async,
    failing,
    session_given,
    chain_of_steps,
    text_model,
    retrieving,
    steps_left_early,
    cancelled,
    outliving_task,
    outliving_thread,
    outliving_branch,
    retrieving_cancelled,
)
OF_LANGCHAIN: Final[tuple[Callable[[], None], ...]] = (
    agent_invoke,
    agent_astream,
    agents_in_agents,
)
