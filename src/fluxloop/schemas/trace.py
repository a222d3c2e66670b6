"""A trace with its observations and scores."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid4

from pydantic import BaseModel, Field

from fluxloop.enums import ObservationLevel, ObservationType, ScoreDataType, TraceStatus

__all__ = [
    "Observation",
    "ObservationLevel",
    "ObservationType",
    "Score",
    "ScoreDataType",
    "Trace",
    "TraceStatus",
]


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _aware(moment: datetime) -> datetime:
    # Programs set times from datetime.utcnow(), which says nothing of a zone.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


class _Timed(BaseModel):
    start_time: datetime = Field(default_factory=_now)
    end_time: datetime | None = None

    def duration_ms(self) -> float | None:
        """Return the milliseconds from start to end, or None while it is open."""
        if self.end_time is None:
            return None
        return (_aware(self.end_time) - _aware(self.start_time)).total_seconds() * 1000


class Score(BaseModel):
    """A mark given to a trace or an observation.

    Attributes:
        data_type: says what the value means; that the value is of this type is not checked.
    """

    id: UUID = Field(default_factory=uuid4)
    trace_id: UUID
    observation_id: UUID | str | None = None
    name: str
    value: float | bool | str
    data_type: ScoreDataType
    comment: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime = Field(default_factory=_now)


class Observation(_Timed):
    """One observation of a trace."""

    id: UUID | str = Field(default_factory=uuid4)
    trace_id: UUID
    parent_observation_id: UUID | str | None = None
    type: ObservationType
    name: str
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
    scores: list[Score] = Field(default_factory=list)


class Trace(_Timed):
    """A whole execution, with its observations."""

    id: UUID = Field(default_factory=uuid4)
    session_id: UUID | str | None = None
    name: str
    status: TraceStatus = TraceStatus.PENDING
    error: str | None = None
    user_id: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)
    experiment_id: str | None = None
    iteration: int | None = None
    persona: str | None = None
    variation_seed: str | None = None
    input: Any = None
    output: Any = None
    observations: list[Observation] = Field(default_factory=list)
    scores: list[Score] = Field(default_factory=list)
    total_cost: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None

    def get_observation_tree(self) -> dict[UUID | str | None, list[Observation]]:
        """Return the observations by the id of their parent; None holds the roots."""
        tree: dict[UUID | str | None, list[Observation]] = {None: []}
        for observation in self.observations:
            tree.setdefault(observation.parent_observation_id, []).append(observation)
        return tree

    def calculate_metrics(self) -> dict[str, Any]:
        """Return counts of observations, scores and errors, duration, tokens and success rate."""
        metrics: dict[str, Any] = {
            "duration_ms": self.duration_ms(),
            "observation_count": len(self.observations),
            "score_count": len(self.scores),
            "error_count": sum(1 for observation in self.observations if observation.error),
            "total_tokens": self.total_tokens or 0,
        }
        outcomes = [
            bool(score.value)
            for score in self.scores
            if score.name == "success" and score.data_type is ScoreDataType.BOOLEAN
        ]
        if outcomes:
            metrics["success_rate"] = sum(outcomes) / len(outcomes)
        return metrics
