"""A LangChain agent, traced without a decorator; a scripted model stands in for a real one.

    pip install "spanwise[langchain]"
    python examples/langchain_agent.py [FOLDER]

Two customers ask a shop's agent about their orders. The agent's model asks for tools, one of which
calls a decorated function: it belongs below the tool. At the end the traces are printed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool

import spanwise

ORDERS = {"A-17": ("two teapots", 4), "B-4": ("a kettle", 0)}


class ScriptedModel(BaseChatModel):
    """Asks for the order that a question names, and answers with what the tool found."""

    model_name: str = "scripted-1"

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name}

    def bind_tools(self, tools: Any, **kwargs: Any) -> ScriptedModel:
        """Take any tools."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        last = messages[-1]
        if isinstance(last, ToolMessage):
            answer = AIMessage(content=f"Here is what I found: {last.content}.")
        else:
            number = str(last.content).split()[-1].rstrip("?")
            call = {"name": "order_status", "args": {"number": number}, "id": "c1"}
            answer = AIMessage(content="", tool_calls=[call])
        words = sum(len(str(message.content).split()) for message in messages)
        said = len(str(answer.content).split()) + len(answer.tool_calls)
        answer.usage_metadata = {
            "input_tokens": words,
            "output_tokens": said,
            "total_tokens": words + said,
        }
        return ChatResult(generations=[ChatGeneration(message=answer)])


@spanwise.retrieval
def find_order(number: str) -> tuple[str, int]:
    return ORDERS[number]


@tool
def order_status(number: str) -> str:
    """Say what an order is and when it arrives."""
    goods, days = find_order(number)
    return f"{goods}, {'delivered' if days == 0 else f'in {days} days'}"


def main(folder: Path) -> None:
    """Have two customers ask, and show what was traced."""
    spanwise.configure(service_name="shop", traces_dir=folder, instrument=["langchain"])
    agent = create_agent(ScriptedModel(), [order_status], name="Shop assistant")
    for user, number in (("jane@acme.com", "A-17"), ("lee@globex.com", "B-4")):
        asked = {"role": "user", "content": f"Where is order {number}?"}
        with spanwise.identify(user=user):
            # The thread is the session: the customer's next question joins it.
            config = {"configurable": {"thread_id": f"chat of {user}"}}
            answer = agent.invoke({"messages": [asked]}, config)
        print(f"{user}: {answer['messages'][-1].content}")
    spanwise.shutdown()

    from spanwise.cli import commands

    print(flush=True)
    commands(["show", str(folder)], standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "traces"))
