"""One program over the Langfuse SDK; `langfuse_program_spanwise.py` is the same over ours."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterator
from typing import Any

from langfuse import Langfuse, observe, propagate_attributes

langfuse = Langfuse(environment="production", release="r-7")


@observe(as_type="tool")
def search(query: str, limit: int = 3) -> list[str]:
    return [query] * limit


@observe(as_type="generation", name="answer")
def generate(messages: list[dict[str, str]]) -> str:
    langfuse.update_current_generation(
        model="m-1",
        usage_details={"input": 5, "output": 3, "total": 8},
        metadata={"number": 1, "text": "t", "flag": True, "map": {"k": [1]}},
    )
    return "It is Paris."


@observe(as_type="generation")
def stream(count: int) -> Iterator[str]:
    for number in range(count):
        yield f"c{number}"


@observe(as_type="retriever")
def retrieve(query: str) -> list[dict[str, str]]:
    return [{"id": "d1", "content": "Paris"}]


@observe(as_type="embedding")
def embed(text: str) -> list[float]:
    return [0.1]


@observe(as_type="chain")
def prepare(text: str) -> str:
    return text


@observe(as_type="evaluator")
def judge(text: str) -> float:
    return 0.5


@observe(as_type="guardrail")
def check(text: str) -> bool:
    return True


@observe()
def plain(number: int) -> int:
    return number + 1


@observe()
def nothing() -> None:
    return None


@observe()
def fail() -> None:
    raise ValueError("boom")


@observe()
async def later(text: str) -> str:
    langfuse.update_current_span(level="WARNING", status_message="slow", version="9")
    return text


@observe(as_type="agent", name="Support")
def answer(question: str) -> str:
    search("capital", limit=1)
    generate([{"role": "user", "content": question}])
    list(stream(2))
    for work in (retrieve, embed, prepare, judge, check):
        work("q")
    plain(1)
    nothing()
    asyncio.run(later("x"))
    langfuse.create_event(name="cache.miss", metadata={"size": 3})
    try:
        fail()
    except ValueError:
        pass
    return "done"


warnings.simplefilter("ignore")
about: dict[str, Any] = {"user_id": "jane", "session_id": "s-1", "tags": ["beta", "eu"]}
with propagate_attributes(**about, metadata={"plan": "pro", "seats": 2}):
    answer("What is the capital?")
langfuse.shutdown()
