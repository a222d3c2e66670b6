"""Run one program of the documents as it is printed, then use what it defines.

    python run_program.py seeds/fluxloop_docs/00_quick_example.py

The documents' programs leave names undefined (`llm`, `process_prompt`, ...). The stand-ins for
those, and the calls that a reader would make of what a program defines, are here, by program.
"""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

Names = dict[str, Any]


class Llm:
    """The documents' `llm`."""

    def generate(self, prompt: str) -> str:
        return f"generated for {prompt}"

    async def async_generate(self, prompt: str) -> str:
        return f"generated for {prompt}"

    async def stream(self, messages: list[Any]) -> Any:
        for chunk in ("Hel", "lo ", "world"):
            yield chunk


class SearchEngine:
    """The documents' `search_engine`."""

    def search(self, query: str) -> list[str]:
        return [f"result for {query}"]


class Agent:
    """The documents' `agent` and `my_agent`."""

    def invoke(self, state: dict[str, Any]) -> dict[str, Any]:
        question = state["messages"][-1]["content"]
        answer = {"role": "assistant", "content": f"answer to {question}"}
        return {"messages": [*state["messages"], answer]}

    def process(self, data: Any) -> str:
        return f"processed {data}"


class ComplexRequest:
    """An object that has no JSON form."""

    def __repr__(self) -> str:
        return "ComplexRequest(id=7)"


async def _process_async(prompt: str) -> str:
    return f"processed {prompt}"


def _in_interaction(statement: Callable[[], None]) -> None:
    from brixo import Brixo

    Brixo.interaction("Fragment")(lambda: statement())()


async def _all(stream: Any) -> list[Any]:
    return [chunk async for chunk in stream]


# What a reader does with what the program defined.
USES: dict[str, Callable[[Names], Any]] = {
    "brixo_quickstart/04_interaction": lambda n: n["handle_user_input"]("Reset my password"),
    "fluxloop_docs/01_recording_mode": lambda n: n["my_handler"](ComplexRequest()),
    "fluxloop_docs/02_async_and_streaming": lambda n: (
        asyncio.run(n["async_agent"]("hi")),
        asyncio.run(_all(n["stream_response"]([{"role": "user", "content": "hi"}]))),
    ),
    "fluxloop_docs/03_framework_integration_pattern_a": lambda n: _pattern_a(n),
    "fluxloop_readme/00_quick_start": lambda n: (
        n["process_request"]("hi"),
        n["web_search"]("weather"),
    ),
    "fluxloop_readme/01_argument_recording": lambda n: asyncio.run(_handle_message(n)),
    "fluxloop_readme/04_agent": lambda n: asyncio.run(n["chat_bot"]("hi")),
    "fluxloop_readme/05_prompt": lambda n: asyncio.run(n["generate"]("hi")),
    "fluxloop_readme/06_tool": lambda n: n["search"]("weather"),
    "fluxloop_readme/09_async_support": lambda n: (
        asyncio.run(n["async_agent"]("hi")),
        asyncio.run(n["async_llm_call"]("hi")),
    ),
    "fluxloop_readme/17_unit_test": lambda n: n["test_recording"](Path()),
}


def _pattern_a(names: Names) -> None:
    import fluxloop

    with fluxloop.instrument("pattern_a"):
        asyncio.run(names["my_tool"]("value"))


async def _handle_message(names: Names) -> None:
    async def send(message: Any) -> None: ...

    async def error(message: Any) -> None: ...

    await names["MessageHandler"]().handle_message(
        "ws-123", {"content": "test"}, {"auth_token": "abc"}, send, error
    )


def run(program: Path) -> None:
    """Run the program with its stand-ins, then its uses."""
    import fluxloop
    from brixo import Brixo

    key = f"{program.parent.name}/{program.stem}"
    sys.modules["my_agent"] = types.ModuleType("my_agent")
    sys.modules["my_agent"].agent = Agent()  # type: ignore[attr-defined]
    names: Names = {
        "__name__": "__main__",
        "Brixo": Brixo,
        "fluxloop": fluxloop,
        "ComplexRequest": ComplexRequest,
        "async_operation": _process_async,
        "final_text": "I've sent you a password reset link.",
        "input_data": "some data",
        "items": [1, 2],
        "llm": Llm(),
        "long_query": "select 1",
        "my_agent": Agent(),
        "process": lambda value: f"processed {value!r}",
        "process_async": _process_async,
        "process_item": lambda item: item,
        "process_prompt": lambda prompt: f"processed {prompt}",
        "os": __import__("os"),
        "response": "a response",
        "results": ["a result"],
        "search_engine": SearchEngine(),
        "user": types.SimpleNamespace(is_premium=True),
        "user_input": "Reset my password",
    }
    source = compile(program.read_text(encoding="utf-8"), str(program), "exec")
    # So that what the program defines is found by name, as in a program of its own.
    sys.modules["__main__"].__dict__.update(names)
    names = sys.modules["__main__"].__dict__
    if program.parent.name == "brixo_quickstart" and "context" in program.stem:
        _in_interaction(lambda: exec(source, names))
    elif "metadata_guidelines" in program.stem:
        with fluxloop.instrument("guidelines") as names["ctx"]:
            exec(source, names)
    else:
        exec(source, names)
    if key in USES:
        USES[key](names)


if __name__ == "__main__":
    run(Path(sys.argv[1]))
