"""The face of the FluxLoop SDK over Spanwise: `import fluxloop`.

Decorated calls are recorded with no configuration: the first one sets up files in `./traces`.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fluxloop.config import configure, get_config, load_env, reset_config
from fluxloop.context import (
    FluxLoopContext,
    get_current_context,
    get_current_trace,
    instrument,
)
from fluxloop.decorators import agent, prompt, tool, trace
from fluxloop.enums import (
    ObservationLevel,
    ObservationType,
    ScoreDataType,
    TraceStatus,
    VariationStrategy,
)
from fluxloop.recording import (
    disable_recording,
    enable_recording,
    record_call_args,
    set_recording_options,
)

if TYPE_CHECKING:
    from fluxloop.client import FluxLoopClient
    from fluxloop.schemas import (
        ExperimentConfig,
        Observation,
        PersonaConfig,
        RunnerConfig,
        Score,
        Trace,
    )

__version__ = "0.1.8"

# Pydantic models: imported when first asked for, since pydantic is slow to import.
_MODELS = frozenset(
    {"ExperimentConfig", "Observation", "PersonaConfig", "RunnerConfig", "Score", "Trace"}
)
# Programs reach these through `fluxloop.` after `import fluxloop` alone.
_MODULES = frozenset({"buffer", "client", "models", "schemas", "serialization", "storage"})

__all__ = [
    "ExperimentConfig",
    "FluxLoopClient",
    "FluxLoopContext",
    "Observation",
    "ObservationLevel",
    "ObservationType",
    "PersonaConfig",
    "RunnerConfig",
    "Score",
    "ScoreDataType",
    "Trace",
    "TraceStatus",
    "VariationStrategy",
    "__version__",
    "agent",
    "configure",
    "disable_recording",
    "enable_recording",
    "get_config",
    "get_current_context",
    "get_current_trace",
    "instrument",
    "load_env",
    "prompt",
    "record_call_args",
    "reset_config",
    "set_recording_options",
    "tool",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name in _MODELS:
        from fluxloop import schemas

        return getattr(schemas, name)
    if name == "FluxLoopClient":
        from fluxloop import client

        return client.FluxLoopClient
    if name in _MODULES:
        return importlib.import_module(f"fluxloop.{name}")
    raise AttributeError(f"module 'fluxloop' has no attribute {name!r}")
