"""What a run of LangChain is, read from what its callback is given."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

# LangGraph's marks: of a run that is part of its own machinery, and of one that is a node.
_HIDDEN_TAG: Final = "langsmith:hidden"
NODE_TAG: Final = "graph:step:"
_AGENT_INTEGRATION: Final = "langchain_create_agent"
_UNNAMED_GRAPH: Final = "LangGraph"

# In the order in which they are asked for.
_SESSION_KEYS: Final = ("thread_id", "session_id", "conversation_id")
_MODEL_KEYS: Final = ("model_name", "model_id", "model")

# The callback that starts a run: the observation type, and what its span is called.
_STARTS: Final = {
    "on_chain_start": ("chain", "invoke_workflow"),
    "on_chat_model_start": ("generation", "chat"),
    "on_llm_start": ("generation", "text_completion"),
    "on_tool_start": ("tool", "execute_tool"),
    "on_retriever_start": ("retrieval", "retrieval"),
}


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        type: the observation type.
        name: what LangChain calls it: of a node, the node's name.
        span_name: what its span is called.
        model: the model that is asked, where its name is known.
        session: the thread, where one was given.
        is_hidden: part of LangGraph's machinery, and no observation.
    """

    type: str
    name: str
    span_name: str
    model: str | None = None
    session: str | None = None
    is_hidden: bool = False


def read(event: str, serialized: Any, given: Mapping[str, Any], *, is_root: bool) -> Run:
    """Return what the run is that starts.

    Args:
        event: the name of the callback.
        serialized: its first argument.
        given: its keyword arguments.
        is_root: whether no run is known above it.
    """
    metadata = _mapping(given.get("metadata"))
    tags = given.get("tags") or ()
    name = _name(_mapping(serialized), given)
    type_, operation = _STARTS[event]
    model = None
    if type_ == "generation":
        model = _model(_mapping(given.get("invocation_params")), metadata)
        span_name = f"{operation} {model}" if model else operation
    elif type_ == "chain" and _is_agent(name, metadata, tags, is_root=is_root):
        type_ = "agent"
        span_name = "invoke_agent" if name == _UNNAMED_GRAPH else f"invoke_agent {name}"
    elif type_ == "chain" and not is_root:
        span_name = name  # nodes, sub-graphs and steps are known by their own names
    else:
        span_name = f"{operation} {name}"
    session = next((metadata[key] for key in _SESSION_KEYS if metadata.get(key)), None)
    return Run(
        type=type_,
        name=name,
        span_name=span_name,
        model=model,
        session=None if session is None else str(session),
        is_hidden=_HIDDEN_TAG in tags,
    )


def is_control_flow(error: BaseException) -> bool:
    """Return whether an exception is how a run is left on purpose, and no error.

    A graph interrupts itself, or hands over to its parent, by an exception; a stream that its
    consumer leaves early is closed by one.
    """
    if isinstance(error, GeneratorExit):
        return True
    errors = sys.modules.get("langgraph.errors")
    bubbling = getattr(errors, "GraphBubbleUp", None)
    return isinstance(bubbling, type) and isinstance(error, bubbling)


def interrupts(error: BaseException) -> dict[str, Any]:
    """Return what a run that was interrupted asks for, as its output."""
    asked = error.args[0] if error.args else ()
    if not isinstance(asked, Sequence) or isinstance(asked, str):
        return {}
    values = [item.value for item in asked if hasattr(item, "value")]
    return {"__interrupt__": values} if values else {}


def _is_agent(
    name: str, metadata: Mapping[str, Any], tags: Sequence[str], *, is_root: bool
) -> bool:
    if metadata.get("ls_integration") != _AGENT_INTEGRATION:
        return False
    if any(tag.startswith(NODE_TAG) for tag in tags):
        return False  # a node of the agent, which inherits its metadata
    return is_root or name == metadata.get("lc_agent_name", _UNNAMED_GRAPH)


def _name(serialized: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    name = given.get("name") or serialized.get("name")
    if not name:
        path = serialized.get("id")
        name = path[-1] if isinstance(path, list) and path else "run"
    return str(name)


def _model(parameters: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    parameters = _mapping(parameters.get("params")) or parameters
    for key in _MODEL_KEYS:
        for source in (parameters, metadata):
            if source.get(key) is not None:
                return str(source[key]).removeprefix("models/")
    model = metadata.get("ls_model_name")
    return None if model is None else str(model).removeprefix("models/")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
