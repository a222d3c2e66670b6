"""FluxLoop's models as a type checker sees them: only what is required has to be given."""

from typing import Any

from typing_extensions import assert_type

import fluxloop
from fluxloop.schemas import EvaluatorConfig, LLMGeneratorConfig, MultiTurnConfig, ReplayArgsConfig


def models() -> None:
    runner = fluxloop.RunnerConfig(module_path="m")
    persona = fluxloop.PersonaConfig(name="p", description="d")
    experiment = fluxloop.ExperimentConfig(name="e", runner=runner, personas=[persona])
    experiment.multi_turn = MultiTurnConfig()
    experiment.input_generation.llm = LLMGeneratorConfig(max_outputs=4)
    experiment.replay_args = ReplayArgsConfig()
    experiment.evaluators.append(EvaluatorConfig(name="x", type="rule"))
    assert_type(experiment.to_dict(), dict[str, Any])
    assert_type(experiment.estimate_total_runs(), int)
    assert_type(persona.to_prompt(), str)
    assert_type(fluxloop.VariationStrategy("typo"), fluxloop.VariationStrategy)


def configuration() -> None:
    config = fluxloop.configure(batch_size="7")
    assert_type(config.batch_size, int)
    assert_type(fluxloop.load_env(dotenv_path=".env"), bool)


def refused() -> None:
    fluxloop.RunnerConfig()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fluxloop.load_env(dotenv=".env")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
