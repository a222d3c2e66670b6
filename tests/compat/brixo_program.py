"""One program over the Brixo SDK, run with the published package and with ours."""

from __future__ import annotations

import asyncio

from opentelemetry import trace

from brixo import Brixo

Brixo.init(app_name="my-agent", environment="production", agent_version="7")


def look_up() -> None:
    Brixo.update_context(metadata={"tools_used": ["search"]})


@Brixo.interaction("Main Agent Execution")
def handle(text: str, limit: int = 1) -> dict[str, int]:
    Brixo.begin_context(
        account={"id": "org_7", "name": "ACME", "logo_url": "https://acme.test/logo.png"},
        user={"id": "jane@acme.test", "name": "Jane", "plan": "pro"},
        session_id="s-1",
        metadata={"text": "bar", "number": 3, "share": 1.5, "flag": True, "map": {"k": 1}},
        input=text,
    )
    with trace.get_tracer("openinference.instrumentation.fake").start_as_current_span("model"):
        look_up()
    with trace.get_tracer("my.app").start_as_current_span("own"):
        Brixo.end_context(output="done")
    return {"answer": 42}


@Brixo.interaction()
async def answer_later(question: str) -> str:
    async def task() -> None:
        Brixo.update_context(user={"id": "from-task"})

    await asyncio.gather(task())
    return "later"


@Brixo.interaction("streaming")
async def stream(count: int):  # type: ignore[no-untyped-def]
    Brixo.begin_context(input="g")
    for number in range(count):
        yield number
    Brixo.end_context(output="streamed")


@Brixo.interaction("outer")
def outer() -> None:
    Brixo.begin_context(session_id="outer")
    inner()
    Brixo.update_context(output="outer")


@Brixo.interaction("inner")
def inner() -> None:
    Brixo.begin_context(session_id="inner")


@Brixo.interaction("failing")
def fail() -> None:
    raise ValueError("boom")


async def consume() -> None:
    async for _ in stream(2):
        pass


handle("hi", limit=2)
asyncio.run(answer_later("q"))
asyncio.run(consume())
outer()
try:
    fail()
except ValueError:
    pass
trace.get_tracer_provider().force_flush()  # type: ignore[attr-defined]
