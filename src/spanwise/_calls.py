"""How a decorated call reaches the processor that records it: by the OpenTelemetry Context.

A span processor is handed the context in which a span starts. The operation puts the call in
it, so that recording works on any provider, before the body runs, and neither side imports the
other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry import context as context_api
from opentelemetry.context import Context

_CALL = context_api.create_key("spanwise-call")


@dataclass(frozen=True)
class Call:
    """One call of a decorated function.

    Attributes:
        target: `module:qualified.name`.
        arguments: by parameter name, as they were given.
    """

    target: str
    arguments: Mapping[str, Any]


def with_call(call: Call, context: Context) -> Context:
    """Return the context with the call that is about to start its span."""
    return context_api.set_value(_CALL, call, context)


def call_of(context: Context | None) -> Call | None:
    """Return the call whose span is starting in this context."""
    call = context.get(_CALL) if context is not None else None
    return call if isinstance(call, Call) else None
