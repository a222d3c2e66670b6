"""The enumerations of the FluxLoop SDK: lower-case values, upper-case members."""

from __future__ import annotations

from enum import Enum


class ObservationType(str, Enum):
    """Type of observation."""

    SPAN = "span"
    EVENT = "event"
    GENERATION = "generation"
    TOOL = "tool"
    AGENT = "agent"
    CHAIN = "chain"
    EVALUATION = "evaluation"
    RETRIEVAL = "retrieval"
    EMBEDDING = "embedding"


class ObservationLevel(str, Enum):
    """How important an observation is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class TraceStatus(str, Enum):
    """How a trace stands or ended."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


class ScoreDataType(str, Enum):
    """What a score's value is."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"


class VariationStrategy(str, Enum):
    """How an input of an experiment is varied."""

    REPHRASE = "rephrase"
    ERROR_PRONE = "error_prone"
    TYPO = "typo"
    VERBOSE = "verbose"
    CONCISE = "concise"
    PERSONA_BASED = "persona_based"
    ADVERSARIAL = "adversarial"
    MULTILINGUAL = "multilingual"
    CUSTOM = "custom"


class InputGenerationMode(str, Enum):
    """What makes the inputs of an experiment."""

    DETERMINISTIC = "deterministic"
    LLM = "llm"


def checked_type(observation_type: ObservationType | str) -> str:
    """Return the type's value.

    Raises:
        ValueError: the observation type is unknown.
    """
    value = (
        observation_type.value
        if isinstance(observation_type, ObservationType)
        else str(observation_type)
    )
    known = [member.value for member in ObservationType]
    if value.lower() not in known:
        raise ValueError(
            f"Invalid observation_type '{observation_type}'. Expected one of: {', '.join(known)}"
        )
    return value.lower()
