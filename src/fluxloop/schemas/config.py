"""What an experiment of the FluxLoop CLI is made of: who asks what, of which program, how often.

Unknown keys are ignored, since one mapping holds all of a project's sections. Values are checked
when a model is made; what is assigned later is taken as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import to_jsonable_python

from fluxloop.enums import InputGenerationMode, VariationStrategy
from spanwise import _guard

__all__ = [
    "EvaluatorConfig",
    "ExperimentConfig",
    "InputGenerationConfig",
    "InputGenerationMode",
    "LLMGeneratorConfig",
    "MultiTurnConfig",
    "MultiTurnSupervisorConfig",
    "PersonaConfig",
    "ReplayArgsConfig",
    "RunnerConfig",
    "VariationStrategy",
]


class PersonaConfig(BaseModel):
    """A user that an experiment plays."""

    name: str
    description: str
    characteristics: list[str] = Field(default_factory=list)
    language: str = "en"
    expertise_level: str = "intermediate"
    goals: list[str] = Field(default_factory=list)
    constraints: list[str] = Field(default_factory=list)
    custom_attributes: dict[str, Any] = Field(default_factory=dict)

    def to_prompt(self) -> str:
        """Return the persona as lines of `Label: text`, for a model to play it."""
        facts = [("User Persona", self.name), ("Description", self.description)]
        for label, entries in (
            ("Characteristics", self.characteristics),
            ("Goals", self.goals),
            ("Constraints", self.constraints),
        ):
            if entries:
                facts.append((label, ", ".join(entries)))
        facts += [("Language", self.language), ("Expertise Level", self.expertise_level)]
        return "\n".join(f"{label}: {text}" for label, text in facts)


class LLMGeneratorConfig(BaseModel):
    """The model that writes inputs."""

    enabled: bool = False
    provider: str = "openai"
    model: str = "gpt-5-mini"
    api_key: str | None = Field(default=None, repr=False)
    system_prompt: str | None = None
    user_prompt_template: str | None = None
    strategy_prompts: dict[str, str] = Field(default_factory=dict)
    max_outputs: int = Field(default=3, ge=1, le=20)
    temperature: float = Field(default=0.7, ge=0, le=2)
    top_p: float = Field(default=1.0, ge=0, le=1)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    max_tokens: int = Field(default=1024, ge=16, le=4096)
    request_timeout: int = Field(default=60, ge=1, le=600)
    batch_size: int = Field(default=1, ge=1, le=10)
    metadata: dict[str, Any] = Field(default_factory=dict)
    reasoning_effort: str | None = None
    text_verbosity: str | None = None


class InputGenerationConfig(BaseModel):
    """How inputs are made of the base inputs."""

    mode: InputGenerationMode = InputGenerationMode.LLM
    llm: LLMGeneratorConfig = Field(default_factory=LLMGeneratorConfig)


class ReplayArgsConfig(BaseModel):
    """Call the target with recorded arguments, one of which is replaced by the input.

    Attributes:
        callable_providers: for parameters that were callables, what stands in for them.
        override_param_path: dotted path to the value that the input replaces.
    """

    enabled: bool = False
    recording_file: str | None = None
    callable_providers: dict[str, str] = Field(
        default_factory=lambda: {
            "send_message_callback": "builtin:collector.send",
            "send_error_callback": "builtin:collector.error",
        }
    )
    override_param_path: str | None = "data.content"


class EvaluatorConfig(BaseModel):
    """One judgement of an experiment's results."""

    name: str
    type: str
    enabled: bool = True
    model: str | None = None
    prompt_template: str | None = None
    rules: list[dict[str, Any]] = Field(default_factory=list)
    metric_name: str | None = None
    threshold: float | None = None
    module_path: str | None = None
    class_name: str | None = None
    weight: float = 1.0
    metadata: dict[str, Any] = Field(default_factory=dict)


class MultiTurnSupervisorConfig(BaseModel):
    """Who decides whether a conversation goes on, and with what."""

    provider: str = "openai"
    model: str = "gpt-5-mini"
    temperature: float | None = Field(default=None, ge=0, le=2)
    system_prompt: str | None = None
    api_key: str | None = Field(default=None, repr=False)
    metadata: dict[str, Any] = Field(default_factory=dict)


class MultiTurnConfig(BaseModel):
    """Conversations of several turns."""

    enabled: bool = False
    max_turns: int = Field(default=8, ge=1, le=100)
    auto_approve_tools: bool = True
    persona_override: str | None = None
    supervisor: MultiTurnSupervisorConfig = Field(default_factory=MultiTurnSupervisorConfig)


class RunnerConfig(BaseModel):
    """The program under test, and what it is run in.

    Attributes:
        target: `module:function` or `module:Class.method`; names `module_path` and
            `function_name` as well where these are not given.
        iterations: where it is given here, it is the experiment's.
    """

    module_path: str
    function_name: str = "run"
    target: str | None = None
    factory: str | None = None
    factory_kwargs: dict[str, Any] = Field(default_factory=dict)
    stream_output_path: str | None = None
    working_directory: str | None = None
    python_path: list[str] = Field(default_factory=list)
    environment_vars: dict[str, str] = Field(default_factory=dict)
    requirements_file: str | None = None
    setup_commands: list[str] = Field(default_factory=list)
    timeout_seconds: int = 300
    max_retries: int = 3
    retry_delay: int = 5
    use_docker: bool = False
    docker_image: str | None = None
    docker_build_context: str | None = None
    docker_volumes: list[str] = Field(default_factory=list)
    # Left out of dumps: there the experiment's own count is the one to be read and changed.
    iterations: int | None = Field(default=None, ge=1, le=1000, exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _target_names_module_and_function(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        target = given.get("target")
        if not isinstance(target, str) or ":" not in target:
            return given
        module, _, attribute = target.partition(":")
        named = {"module_path": module, "function_name": attribute}
        missing = {name: text for name, text in named.items() if given.get(name) is None}
        return {**given, **missing}

    @field_validator("python_path", mode="before")
    @classmethod
    def _one_path_is_a_list(cls, given: Any) -> list[str]:
        if given is None:
            return []
        entries = given if isinstance(given, (list, tuple)) else [given]
        return [str(entry) for entry in entries]


class ExperimentConfig(BaseModel):
    """An experiment: every input, in every persona, so and so many times."""

    name: str
    description: str | None = None
    version: str = "1.0.0"
    iterations: int = Field(default=10, ge=1, le=1000)
    parallel_runs: int = Field(default=1, ge=1, le=10)
    seed: int | None = None
    run_delay_seconds: float = Field(default=0.0, ge=0)
    personas: list[PersonaConfig] = Field(default_factory=list)
    variation_strategies: list[VariationStrategy] = Field(default_factory=list)
    variation_count: int = Field(default=1, ge=1, le=10)
    variation_temperature: float = Field(default=0.7, ge=0, le=2)
    variation_model: str = "gpt-3.5-turbo"
    custom_variation_prompt: str | None = None
    base_inputs: list[dict[str, Any]] = Field(default_factory=list)
    inputs_file: str | None = None
    input_template: str | None = None
    input_generation: InputGenerationConfig = Field(default_factory=InputGenerationConfig)
    runner: RunnerConfig
    replay_args: ReplayArgsConfig | None = None
    evaluators: list[EvaluatorConfig] = Field(default_factory=list)
    output_directory: str = "./experiments"
    save_traces: bool = True
    save_aggregated_metrics: bool = True
    multi_turn: MultiTurnConfig | None = None
    collector_url: str | None = None
    collector_api_key: str | None = Field(default=None, repr=False)
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)

    _source_dir: Path | None = PrivateAttr(None)
    _resolved_input_count: int | None = PrivateAttr(None)
    _resolved_persona_count: int | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _inputs_come_from_somewhere(self) -> ExperimentConfig:
        if not self.base_inputs and not self.inputs_file:
            raise ValueError("Either base_inputs or inputs_file must be provided")
        return self

    @model_validator(mode="after")
    def _runner_may_hold_the_iterations(self) -> ExperimentConfig:
        # FluxLoop's documents write them there; its package knows them at the top only.
        wanted = self.runner.iterations
        if wanted is not None and wanted != self.iterations:
            if "iterations" in self.model_fields_set:
                _guard.warn(
                    "runner.iterations",
                    f"runner.iterations: {wanted} is used, not iterations: {self.iterations}",
                )
            self.iterations = wanted
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return what is set, as `json.dumps` and `ExperimentConfig(**...)` both accept it."""
        plain: dict[str, Any] = _plain(self.model_dump(exclude_none=True))
        return plain

    def set_source_dir(self, source_dir: Path) -> None:
        """Say which folder the experiment's relative paths start from."""
        self._source_dir = source_dir

    def get_source_dir(self) -> Path | None:
        """Return the folder that relative paths start from, or None."""
        return self._source_dir

    def has_external_inputs(self) -> bool:
        """Return whether the inputs are in a file of their own."""
        return bool(self.inputs_file)

    def set_resolved_input_count(self, count: int) -> None:
        """Say how many inputs were found.

        Raises:
            ValueError: the count is negative.
        """
        if count < 0:
            raise ValueError("resolved input count must be non-negative")
        self._resolved_input_count = count

    def get_resolved_input_count(self) -> int | None:
        """Return how many inputs were found, or None where nobody looked."""
        return self._resolved_input_count

    def set_resolved_persona_count(self, count: int) -> None:
        """Say how many personas take part.

        Raises:
            ValueError: the count is below 1.
        """
        if count < 1:
            raise ValueError("resolved persona count must be >= 1")
        self._resolved_persona_count = count

    def get_resolved_persona_count(self) -> int | None:
        """Return how many personas take part, or None where nobody said."""
        return self._resolved_persona_count

    def get_input_count(self) -> int:
        """Return how many inputs were found, or an estimate where nobody looked."""
        if self._resolved_input_count is not None:
            return self._resolved_input_count
        if self.has_external_inputs():
            return len(self.base_inputs) or 1
        return (len(self.base_inputs) or 1) * max(1, self.variation_count)

    def estimate_total_runs(self) -> int:
        """Return how often the target will be called: iterations x personas x inputs."""
        personas = self._resolved_persona_count or len(self.personas) or 1
        return self.iterations * personas * self.get_input_count()


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it, with members of enumerations as they are."""
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum) and isinstance(value, str):
        return value
    return to_jsonable_python(value, fallback=str)


def _key(key: Any) -> Any:
    try:
        json.dumps({key: None})
    except TypeError:
        return str(key)
    return key
