"""The data models that FluxLoop programs make and read by hand."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field

from fluxloop.enums import ObservationLevel, ObservationType

__all__ = ["ObservationData", "ObservationLevel", "ObservationType", "TraceData", "TraceId"]


class TraceId(UUID):
    """A UUID whose text is its 32 hexadecimal digits, as files and collectors spell trace ids."""

    def __str__(self) -> str:
        """Return 32 hexadecimal digits."""
        return self.hex


def _now() -> datetime:
    return datetime.now(timezone.utc)


class ObservationData(BaseModel):
    """One observation, made and filled in by hand; see `FluxLoopContext.push_observation`.

    Attributes:
        id: the span id once pushed, 16 hexadecimal digits.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, validate_assignment=False)

    id: str | UUID = Field(default_factory=uuid4)
    type: ObservationType
    name: str
    start_time: datetime = Field(default_factory=_now)
    end_time: datetime | None = None
    input: Any = None
    output: Any = None
    error: str | None = None
    level: ObservationLevel = ObservationLevel.INFO
    status_message: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    model: str | None = None
    llm_parameters: dict[str, Any] | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    parent_observation_id: str | UUID | None = None
    trace_id: UUID | str | None = None


class TraceData(BaseModel):
    """One trace; what is set on it inside `instrument()` is what is recorded."""

    model_config = ConfigDict(arbitrary_types_allowed=True, validate_assignment=False)

    id: UUID = Field(default_factory=lambda: TraceId(int=uuid4().int))
    name: str
    start_time: datetime = Field(default_factory=_now)
    end_time: datetime | None = None
    session_id: UUID | str | None = None
    user_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    experiment_id: str | None = None
    iteration: int | None = None
    persona: str | None = None
    variation_seed: str | None = None
    input: Any = None
    output: Any = None
