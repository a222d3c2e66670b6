"""An agent that knows nothing of tracing: run it under `opentelemetry-instrument`.

    opentelemetry-instrument python examples/zero_code.py
    spanwise show

or, shorter, `spanwise run examples/zero_code.py`. The model is a fake one, so that it runs offline.
"""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.tools import tool


class Model(GenericFakeChatModel):
    """Answers what it was given beforehand."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Model:
        """Take any tools."""
        return self


@tool
def opening_hours(day: str) -> str:
    """Tell when the library is open."""
    return {"Sunday": "closed"}.get(day, "9 to 17")


def main() -> None:
    call = {"name": "opening_hours", "args": {"day": "Sunday"}, "id": "1", "type": "tool_call"}
    answers = [AIMessage(content="", tool_calls=[call]), AIMessage(content="Closed on Sundays.")]
    agent = create_agent(Model(messages=iter(answers)), [opening_hours])
    asked = {"role": "user", "content": "Are you open on Sunday?"}
    print(agent.invoke({"messages": [asked]})["messages"][-1].content)


if __name__ == "__main__":
    main()
