"""Decorated callables keep their exact types; checked by mypy --strict and pyright, never run."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator
from typing import Any

from typing_extensions import assert_type

import fluxloop
import spanwise
from brixo import Brixo
from spanwise import Observation


@spanwise.agent
def bare(question: str, *, limit: int = 3) -> list[str]:
    return [question] * limit


@spanwise.agent(name="Support", version="2", metadata={"k": 1}, tags=["a"])
def called(question: str) -> int:
    return len(question)


@spanwise.tool(description="d", capture_input=["query"], capture_output=False)
async def coroutine(query: str, api_key: str) -> dict[str, int]:
    return {query: 1}


@spanwise.generation(model="gpt-4o")
def generator(n: int) -> Generator[str, int, bool]:
    sent = yield str(n)
    return sent > 1


@spanwise.generation
def iterator(n: int) -> Iterator[int]:
    yield n


@spanwise.generation
async def async_generator(n: int) -> AsyncGenerator[int, str]:
    yield n


@spanwise.interaction("Main Agent Execution")
async def async_iterator(n: int) -> AsyncIterator[int]:
    yield n


class Service:
    @spanwise.tool
    def method(self, x: int) -> str:
        return str(x)

    @classmethod
    @spanwise.tool
    def of_class(cls, x: int) -> "Service":
        return cls()

    @staticmethod
    @spanwise.tool(name="s")
    def static(x: int) -> bytes:
        return bytes(x)


@Brixo.interaction("Main Agent Execution")
def brixo_interaction(text: str) -> int:
    return len(text)


@fluxloop.agent(name="A")
async def fluxloop_agent(text: str) -> float:
    return 1.0


@fluxloop.prompt(model="gpt-4o")
async def fluxloop_prompt(text: str) -> AsyncIterator[str]:
    yield text


@fluxloop.instrument("workflow")
def fluxloop_instrumented(text: str) -> tuple[str]:
    return (text,)


def check() -> None:
    assert_type(bare("q", limit=1), list[str])
    assert_type(called("q"), int)
    pending: Coroutine[Any, Any, dict[str, int]] = coroutine("q", "k")
    pending.close()
    assert_type(generator(1), Generator[str, int, bool])
    assert_type(iterator(1), Iterator[int])
    assert_type(async_generator(1), AsyncGenerator[int, str])
    assert_type(async_iterator(1), AsyncIterator[int])
    assert_type(Service().method(1), str)
    assert_type(Service.of_class(1), Service)
    assert_type(Service.static(1), bytes)
    assert_type(brixo_interaction("x"), int)
    other: Coroutine[Any, Any, float] = fluxloop_agent("x")
    other.close()
    assert_type(fluxloop_prompt("x"), AsyncIterator[str])
    assert_type(fluxloop_instrumented("x"), tuple[str])
    wrapped: Callable[[str], int] = called
    assert_type(wrapped("x"), int)


def blocks() -> None:
    with spanwise.observe("rerank", type="chain") as observation:
        assert_type(observation, Observation)
        observation.update(
            output=[1], metadata={"k": 5}, level="warning", usage={"input_tokens": 3}
        )
    with spanwise.agent("x") as agent:
        assert_type(agent, Observation)
    with spanwise.identify(user={"id": "jane"}, account="org_7", session_id="s", tags=["beta"]):
        spanwise.event("cache.miss", n=1)
    assert_type(spanwise.current(), Observation)
    assert_type(spanwise.flush(timeout=2.0), bool)


def refused() -> None:
    bare(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    called()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    spanwise.configure(sample_rat=1)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    spanwise.agent(nam="x")  # type: ignore[call-overload]  # pyright: ignore
