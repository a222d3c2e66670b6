"""Traces and observations in their stored form, and experiments, as pydantic models."""

from fluxloop.enums import (
    InputGenerationMode,
    ObservationLevel,
    ObservationType,
    ScoreDataType,
    TraceStatus,
    VariationStrategy,
)
from fluxloop.schemas.config import (
    EvaluatorConfig,
    ExperimentConfig,
    InputGenerationConfig,
    LLMGeneratorConfig,
    MultiTurnConfig,
    MultiTurnSupervisorConfig,
    PersonaConfig,
    ReplayArgsConfig,
    RunnerConfig,
)
from fluxloop.schemas.trace import Observation, Score, Trace

__all__ = [
    "EvaluatorConfig",
    "ExperimentConfig",
    "InputGenerationConfig",
    "InputGenerationMode",
    "LLMGeneratorConfig",
    "MultiTurnConfig",
    "MultiTurnSupervisorConfig",
    "Observation",
    "ObservationLevel",
    "ObservationType",
    "PersonaConfig",
    "ReplayArgsConfig",
    "RunnerConfig",
    "Score",
    "ScoreDataType",
    "Trace",
    "TraceStatus",
    "VariationStrategy",
]
