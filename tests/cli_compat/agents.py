"""The targets that the CLI runs: one of each form that it knows. Copied into each project."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import fluxloop

RECORDING = "recordings/args_recording.jsonl"


@fluxloop.tool(description="Split a text at its blanks")
def words_of(text: str) -> list[str]:
    return text.split()


@fluxloop.tool(description="Count the words")
def count_words(text: str) -> int:
    return len(words_of(text))


@fluxloop.prompt(model="stand-in-1")
def phrase(count: int) -> dict[str, Any]:
    usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
    return {"text": f"{count} words", "usage": usage}


@fluxloop.agent(name="Function")
def function(query: str) -> str:
    return f"heard: {query}"


@fluxloop.agent(name="Trace")
def trace_id(query: str) -> str:
    return str(fluxloop.get_current_context().trace.id)


@fluxloop.agent(name="Reset")
def resetting(query: str) -> str:
    fluxloop.reset_config()
    return f"after a reset: {count_words(query)}"


class Desk:
    """A class that the CLI makes without arguments."""

    @fluxloop.agent(name="Desk")
    def answer(self, input_text: str, iteration: int = -1, persona: Any = None) -> str:
        said = phrase(count_words(input_text))["text"]
        return f"{said}, run {iteration}, for {persona.name}"


class Greeter:
    """A class that the CLI makes by a factory."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    @fluxloop.agent()
    async def greet(self, message: str) -> str:
        await asyncio.sleep(0)
        return f"{self.greeting}: {message}"


def greeter(greeting: str = "good day") -> Greeter:
    return Greeter(greeting)


@fluxloop.agent(name="Strings")
async def stream_strings(query: str) -> AsyncIterator[str]:
    for piece in ("one ", "two ", query):
        await asyncio.sleep(0)
        yield piece


@fluxloop.agent(name="Mappings")
async def stream_mappings(query: str) -> AsyncIterator[dict[str, Any]]:
    for piece in ("one ", "two ", query):
        await asyncio.sleep(0)
        yield {"update": {"delta": piece}}


async def stream_undecorated(query: str) -> AsyncIterator[dict[str, Any]]:
    for piece in ("one ", "two ", query):
        count_words(piece)
        yield {"message": {"delta": piece}}


@fluxloop.agent(name="Failing")
def failing(query: str) -> str:
    count_words(query)
    raise RuntimeError(f"no answer to {query}")


def blocks(query: str) -> str:
    """Open two blocks of the program's own inside the CLI's."""
    before = count_words(query)
    with fluxloop.instrument("outer", tags=["one"]) as outer:
        inside = count_words(query)
        with fluxloop.instrument("inner", user_id="u-1", metadata={"depth": 2}):
            words_of(query)
        outer.add_tag("two")
        outer.add_metadata("counted", inside)
    return f"{before} and {count_words(query)}"


@fluxloop.agent(name="Turns")
async def turns(
    input_text: str, messages: Any = None, conversation_state: Any = None, auto_approve: Any = None
) -> str:
    phrase(count_words(input_text))
    return f"turn {len(messages or ())}, approved {auto_approve}: {input_text}"


class Handler:
    """A message handler as the documents show it, which records its own arguments."""

    @fluxloop.agent(name="Handler")
    async def handle(
        self,
        connection_id: str,
        data: dict[str, Any],
        send_message_callback: Callable[..., Awaitable[None]],
        send_error_callback: Callable[..., Awaitable[None]],
    ) -> None:
        fluxloop.record_call_args(
            target="agents:Handler.handle",
            connection_id=connection_id,
            data=data,
            send_message_callback=send_message_callback,
            send_error_callback=send_error_callback,
        )
        counted = count_words(data["content"])
        await send_message_callback(connection_id, {"text": f"{counted}: {data['content']}"})


class Clerk:
    """A class that records nothing itself."""

    @fluxloop.agent(name="Clerk")
    async def handle(
        self,
        connection_id: str,
        data: dict[str, Any],
        send_message_callback: Callable[..., Awaitable[None]],
        send_error_callback: Callable[..., Awaitable[None]],
    ) -> None:
        counted = count_words(data["content"])
        await send_message_callback(connection_id, {"text": f"{counted}: {data['content']}"})


async def _send(connection_id: str, message: Any) -> None:
    """Stand for the program's own way of sending."""


_send.messages = []  # type: ignore[attr-defined]


async def _fail(connection_id: str, error: Any) -> None:
    """Stand for the program's own way of reporting an error."""


_fail.errors = []  # type: ignore[attr-defined]

_DATA = {"content": "recorded text", "auth_token": "t-1", "parts": [{"n": 1}]}


def record_by_hand() -> None:
    """Make a recording with a program that records its own arguments."""
    fluxloop.configure(record_args=True, recording_file=RECORDING, use_collector=False)
    asyncio.run(Handler().handle("ws-1", _DATA, _send, _fail))


def record_by_itself() -> None:
    """Make a recording with a program that only switches recording on."""
    fluxloop.configure(record_args=True, recording_file=RECORDING, use_collector=False)
    asyncio.run(Clerk().handle("ws-1", _DATA, _send, _fail))
