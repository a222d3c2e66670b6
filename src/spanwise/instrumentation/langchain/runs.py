"""What a run of LangChain is, read from what its callback is given.

Metadata, tags and names come from the program and may be any object. Only exact types are read:
asking anything else would run the program's code.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

# LangGraph's marks: of a run that is part of its own machinery, and of one that is a node.
_HIDDEN_TAG: Final = "langsmith:hidden"
NODE_TAG: Final = "graph:step:"
_AGENT_INTEGRATION: Final = "langchain_create_agent"
_UNNAMED_GRAPH: Final = "LangGraph"
_WIDEST_NUMBER: Final = 128

_PLAIN: Final = (str, bool, int, float, UUID, type(None))

# In the order in which they are asked for.
SESSION_KEYS: Final = ("thread_id", "session_id", "conversation_id")
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
        provider: whose model it is, where that is known.
        session: the thread, where one was given.
        is_hidden: part of LangGraph's machinery, and no observation.
    """

    type: str
    name: str
    span_name: str
    model: str | None = None
    provider: str | None = None
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
    metadata = mapping(given.get("metadata"))
    tags = given.get("tags")
    name = _name(mapping(serialized), given)
    type_, operation = _STARTS[event]
    model = None
    if type_ == "generation":
        model = _model(mapping(given.get("invocation_params")), metadata)
        span_name = f"{operation} {model}" if model else operation
    elif type_ == "chain" and _is_agent(name, metadata, tags, is_root=is_root):
        type_ = "agent"
        span_name = "invoke_agent" if name == _UNNAMED_GRAPH else f"invoke_agent {name}"
    elif type_ == "chain" and not is_root:
        span_name = name  # nodes, sub-graphs and steps are known by their own names
    else:
        span_name = f"{operation} {name}"
    sessions = (_session(metadata.get(key)) for key in SESSION_KEYS)
    return Run(
        type=type_,
        name=name,
        span_name=span_name,
        model=model,
        provider=_text(metadata.get("ls_provider")),
        session=next((session for session in sessions if session is not None), None),
        is_hidden=has_tag(tags, _HIDDEN_TAG),
    )


def handed_on(metadata: Any) -> Any:
    """Return the metadata without objects for a session, which handlers would ask for a name."""
    plain = mapping(metadata)
    objects = [key for key in SESSION_KEYS if type(plain.get(key)) not in _PLAIN]
    if not objects:
        return metadata
    kept = dict(plain)
    for key in objects:
        del kept[key]
    return kept


def has_tag(tags: Any, beginning: str) -> bool:
    """Return whether one of a run's tags begins so."""
    if type(tags) not in (list, tuple):
        return False
    return any(type(tag) is str and tag.startswith(beginning) for tag in tags)


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value as a plain dict; anything but a dict is an empty one."""
    if type(value) is dict:
        return value
    return dict(dict.items(value)) if issubclass(type(value), dict) else {}


def has_messages(given: Any) -> bool:
    """Return whether what an agent is given holds messages, which its handler writes."""
    return mapping(given).get("messages") is not None


def is_control_flow(error: BaseException) -> bool:
    """Return whether an exception is how a run is left on purpose, and no error.

    A graph interrupts itself, or hands over to its parent, by an exception; a stream that its
    consumer leaves early is closed by one.
    """
    if issubclass(type(error), GeneratorExit):
        return True
    errors = sys.modules.get("langgraph.errors")
    bubbling = getattr(errors, "GraphBubbleUp", None)
    return isinstance(bubbling, type) and issubclass(type(error), bubbling)


def interrupts(error: BaseException) -> dict[str, Any]:
    """Return what a run that was interrupted asks for, as its output."""
    given = vars(BaseException)["args"].__get__(error)
    asked = given[0] if given else ()
    if type(asked) not in (list, tuple):
        return {}
    interrupt = getattr(sys.modules.get("langgraph.types"), "Interrupt", None)
    values = [item.value for item in asked if type(item) is interrupt]
    return {"__interrupt__": values} if values else {}


def _is_agent(name: str, metadata: Mapping[str, Any], tags: Any, *, is_root: bool) -> bool:
    if _text(metadata.get("ls_integration")) != _AGENT_INTEGRATION:
        return False
    if has_tag(tags, NODE_TAG):
        return False  # a node of the agent, which inherits its metadata
    return is_root or name == (_text(metadata.get("lc_agent_name")) or _UNNAMED_GRAPH)


def _name(serialized: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    path = serialized.get("id")
    last = path[-1] if type(path) is list and path else None
    return _text(given.get("name")) or _text(serialized.get("name")) or _text(last) or "run"


def _model(parameters: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    parameters = mapping(parameters.get("params")) or parameters
    told = [source.get(key) for key in _MODEL_KEYS for source in (parameters, metadata)]
    for model in (*told, metadata.get("ls_model_name")):
        if _text(model) is not None:
            return str(model).removeprefix("models/")
    return None


def _text(value: Any) -> str | None:
    return value if type(value) is str and value else None


def _session(value: Any) -> str | None:
    if type(value) is UUID or (type(value) is int and value.bit_length() <= _WIDEST_NUMBER):
        return str(value)
    return _text(value)
