"""What OpenTelemetry calls the kinds of work that it has a word for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OPERATION_NAMES: Final[Mapping[str, str]] = {
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "generation": "chat",
    "embedding": "embeddings",
    "retrieval": "retrieval",
    "interaction": "invoke_workflow",
}
