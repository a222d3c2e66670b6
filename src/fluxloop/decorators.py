"""FluxLoop's decorators; a call is recorded inside an `instrument()` block and outside one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fluxloop.config import first_use
from fluxloop.context import end_observation, join_context
from fluxloop.enums import ObservationType, checked_type
from spanwise._observe import Block


def trace(
    name: str | None = None,
    observation_type: ObservationType | str = ObservationType.SPAN,
    metadata: Mapping[str, Any] | None = None,
    capture_input: bool = True,
    capture_output: bool = True,
) -> Block:
    """Record calls of a function as observations.

    Args:
        name: of the observation; the function's own name by default.
        observation_type: a member of ObservationType or its value.
        metadata: facts kept with every call.
        capture_input: keep the arguments.
        capture_output: keep the result.

    Raises:
        ValueError: the observation type is unknown.
    """
    return _decorator(
        checked_type(observation_type),
        name,
        metadata=metadata,
        capture_input=capture_input,
        capture_output=capture_output,
    )


def agent(
    name: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    capture_input: bool = True,
    capture_output: bool = True,
) -> Block:
    """Record calls of an agent's entry point; the arguments are those of `trace`."""
    return _decorator(
        "agent",
        name,
        metadata=metadata,
        capture_input=capture_input,
        capture_output=capture_output,
    )


def prompt(
    name: str | None = None,
    model: str | None = None,
    capture_tokens: bool = True,
    capture_chunks: bool = False,
) -> Block:
    """Record calls of a model, streamed ones too.

    Args:
        name: of the observation; the function's own name by default.
        model: the model that is called.
        capture_tokens: keep the token counts of a result or chunk that has a `usage`.
        capture_chunks: an event for each of the first 100 chunks, when it came and how long it is.
    """
    return _decorator(
        "generation",
        name,
        model=model,
        capture_usage=capture_tokens,
        capture_chunks=capture_chunks,
    )


def tool(name: str | None = None, description: str | None = None) -> Block:
    """Record calls of a tool.

    Args:
        name: of the tool; the function's own name by default.
        description: what the tool does.
    """
    # Whoever replays a recording takes its last line for the agent's call.
    return _decorator("tool", name, description=description, is_recorded=False)


def _decorator(type: str, name: str | None, **options: Any) -> Block:
    hooks = {"first_use": first_use, "enter": join_context, "on_end": end_observation}
    return Block(type, name, {**options, **hooks})
