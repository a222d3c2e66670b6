"""The stored form of traces and observations, as pydantic models."""

from fluxloop.enums import ObservationLevel, ObservationType, ScoreDataType, TraceStatus
from fluxloop.schemas.trace import Observation, Score, Trace

__all__ = [
    "Observation",
    "ObservationLevel",
    "ObservationType",
    "Score",
    "ScoreDataType",
    "Trace",
    "TraceStatus",
]
