"""OpenTelemetry-native instrumentation for AI agents.

Decorate a function, or open a block, and every call becomes a span that says who it was for,
what it was, and what went in and came out. Nothing happens until `configure()` is called.
"""

from typing import TYPE_CHECKING

from spanwise._configure import configure, flush, shutdown, stats
from spanwise._identity import identify
from spanwise._observation import Observation, current, current_interaction
from spanwise._observe import (
    agent,
    chain,
    embedding,
    evaluation,
    event,
    generation,
    guardrail,
    interaction,
    observe,
    reranker,
    retrieval,
    span,
    tool,
)
from spanwise._sampling import sampled
from spanwise._version import __version__
from spanwise.errors import (
    ConfigurationError,
    DecorationError,
    InvalidSettingError,
    SpanwiseError,
    UnknownSettingError,
)

if TYPE_CHECKING:
    from spanwise._destinations import Destination
    from spanwise._feedback import feedback
    from spanwise._flush_on_return import flush_on_return
    from spanwise._propagation import extract, inject
    from spanwise._settings import Settings

__all__ = [
    "ConfigurationError",
    "DecorationError",
    "Destination",
    "InvalidSettingError",
    "Observation",
    "Settings",
    "SpanwiseError",
    "UnknownSettingError",
    "__version__",
    "agent",
    "chain",
    "configure",
    "current",
    "current_interaction",
    "embedding",
    "evaluation",
    "event",
    "extract",
    "feedback",
    "flush",
    "flush_on_return",
    "generation",
    "guardrail",
    "identify",
    "inject",
    "interaction",
    "observe",
    "reranker",
    "retrieval",
    "sampled",
    "shutdown",
    "span",
    "stats",
    "tool",
]

# Imported when they are asked for: few programs need them, and they need the most.
_LATER = {
    "Destination": "_destinations",
    "Settings": "_settings",
    "extract": "_propagation",
    "feedback": "_feedback",
    "flush_on_return": "_flush_on_return",
    "inject": "_propagation",
}

if not TYPE_CHECKING:  # type checkers are to know an attribute that is none

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = globals()[name] = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
