"""The program of `langfuse_program_langfuse.py` over our SDK, sent as Langfuse reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import spanwise

spanwise.configure(environment="production", service_version="r-7", dialects=["langfuse"])


@spanwise.tool
def search(query: str, limit: int = 3) -> list[str]:
    return [query] * limit


@spanwise.generation(name="answer")
def generate(messages: list[dict[str, str]]) -> str:
    spanwise.current().update(
        model="m-1",
        usage={"input_tokens": 5, "output_tokens": 3},
        metadata={"number": 1, "text": "t", "flag": True, "map": {"k": [1]}},
    )
    return "It is Paris."


@spanwise.generation
def stream(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"c{number}"


@spanwise.retrieval
def retrieve(query: str) -> list[dict[str, str]]:
    return [{"id": "d1", "content": "Paris"}]


@spanwise.embedding
def embed(text: str) -> list[float]:
    return [0.1]


@spanwise.chain
def prepare(text: str) -> str:
    return text


@spanwise.evaluation
def judge(text: str) -> float:
    return 0.5


@spanwise.guardrail
def check(text: str) -> bool:
    return True


@spanwise.span
def plain(number: int) -> int:
    return number + 1


@spanwise.span
def nothing() -> None:
    return None


@spanwise.span
def fail() -> None:
    raise ValueError("boom")


@spanwise.span
async def later(text: str) -> str:
    spanwise.current().update(level="warning", status_message="slow", version="9")
    return text


@spanwise.agent(name="Support")
def answer(question: str) -> str:
    search("capital", limit=1)
    generate([{"role": "user", "content": question}])
    list(stream(2))
    for work in (retrieve, embed, prepare, judge, check):
        work("q")
    plain(1)
    nothing()
    asyncio.run(later("x"))
    spanwise.event("cache.miss", size=3)
    try:
        fail()
    except ValueError:
        pass
    return "done"


with spanwise.identify(
    user="jane", session_id="s-1", tags=["beta", "eu"], metadata={"plan": "pro", "seats": 2}
):
    answer("What is the capital?")
spanwise.flush(20)
