"""The models of `fluxloop.schemas`, and the stored form of traces and observations."""

from __future__ import annotations

import datetime
import json
import sys
import uuid
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

import fluxloop
import spanwise
from fluxloop import schemas
from fluxloop.models import ObservationData, TraceData
from fluxloop.schemas import (
    ExperimentConfig,
    InputGenerationMode,
    MultiTurnConfig,
    PersonaConfig,
    ReplayArgsConfig,
    RunnerConfig,
    Score,
    VariationStrategy,
)
from fluxloop.serialization import serialize_observation, serialize_trace
from support.model_facts import facts_of

# Field names, types, defaults, limits and members of fluxloop 0.1.8, as its own models tell them.
PUBLISHED = json.loads(
    (Path(__file__).parents[1] / "data" / "fluxloop_models.json").read_text(encoding="utf-8")
)
# Where ours are others, and why. Each takes all that the published one takes.
MORE_FIELDS = {
    # The documents write the iterations below `runner`.
    ("RunnerConfig", "iterations"),
}
WIDER_TYPES = {
    # An observation's id is its span's, 16 hexadecimal digits.
    ("Observation", "id"): "uuid|string",
    ("Observation", "parent_observation_id"): "uuid|string|null",
    ("Score", "observation_id"): "uuid|string|null",
    # Sessions of other programs have names that are no UUID.
    ("Trace", "session_id"): "uuid|string|null",
}
MORE_MEMBERS = {
    # The documents know two types more.
    ("ObservationType", "RETRIEVAL"),
    ("ObservationType", "EMBEDDING"),
}


def an_experiment(**more) -> ExperimentConfig:
    given = {"name": "e", "runner": {"target": "m:f"}, "base_inputs": [{"input": "a"}], **more}
    return ExperimentConfig(**given)


@pytest.mark.parametrize("name", sorted(PUBLISHED["models"]))
def test_a_model_has_the_published_fields(name):
    """The same names, types, limits and defaults; what differs is listed with its reason."""
    wanted = PUBLISHED["models"][name]
    found = facts_of(getattr(schemas, name))
    added = {(name, field) for field in found.keys() - wanted.keys()}
    assert {pair for pair in MORE_FIELDS if pair[0] == name} == added
    wanted = {
        field: fact | ({"type": WIDER_TYPES[name, field]} if (name, field) in WIDER_TYPES else {})
        for field, fact in wanted.items()
    }
    assert wanted == {field: fact for field, fact in found.items() if (name, field) not in added}


@pytest.mark.parametrize("name", sorted(PUBLISHED["enums"]))
def test_an_enumeration_has_the_published_members(name):
    """Upper-case members, lower-case values, all of them strings."""
    found = {member.name: member.value for member in getattr(schemas, name)}
    added = {(name, member) for member in found.keys() - PUBLISHED["enums"][name].keys()}
    assert {pair for pair in MORE_MEMBERS if pair[0] == name} == added
    assert PUBLISHED["enums"][name].items() <= found.items()
    assert all(isinstance(member, str) for member in getattr(schemas, name))


def test_everything_published_can_be_imported():
    """From the package, from its modules, and four names at the top level."""
    published = PUBLISHED["models"].keys() | PUBLISHED["enums"].keys()
    assert published == set(schemas.__all__)
    for name in published:
        module = sys.modules[
            "fluxloop.schemas.config"
            if name.endswith("Config") or name in ("VariationStrategy", "InputGenerationMode")
            else "fluxloop.schemas.trace"
        ]
        assert getattr(module, name) is getattr(schemas, name)
    for name in ("ExperimentConfig", "PersonaConfig", "RunnerConfig", "VariationStrategy"):
        assert getattr(fluxloop, name) is getattr(schemas, name)
        assert name in fluxloop.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        fluxloop.Nonsense  # noqa: B018


def test_the_documents_simulation_file_is_understood():
    """Only a target and iterations below `runner`: both take effect."""
    simulation = yaml.safe_load('runner:\n  target: "my_module:my_agent"\n  iterations: 3\n')
    config = ExperimentConfig(name="e", inputs_file="inputs/in.yaml", **simulation)
    assert ("my_module", "my_agent") == (config.runner.module_path, config.runner.function_name)
    assert 3 == config.iterations
    assert 3 == config.estimate_total_runs()


def test_iterations_below_the_runner_win(caplog):
    """Over those at the top, which is said; a later assignment changes them as ever."""
    config = an_experiment(iterations=2, runner={"target": "m:f", "iterations": 7})
    assert 7 == config.iterations
    assert ["runner.iterations: 7 is used, not iterations: 2"] == caplog.messages
    config.iterations = 4
    assert "iterations" not in config.to_dict()["runner"]
    assert 4 == ExperimentConfig(**config.to_dict()).iterations
    with pytest.raises(ValidationError, match=r"runner\.iterations\n"):
        an_experiment(runner={"target": "m:f", "iterations": 0})


def test_a_target_names_module_and_function_where_they_are_missing():
    """What is given stays; a target of another form names nothing."""
    runner = RunnerConfig(target="pkg.mod:Class.method")
    assert ("pkg.mod", "Class.method") == (runner.module_path, runner.function_name)
    runner = RunnerConfig(target="a:b", module_path="c", function_name="d")
    assert ("c", "d", "a:b") == (runner.module_path, runner.function_name, runner.target)
    assert "run" == RunnerConfig(module_path="m").function_name
    for wrong in ({}, {"target": "module"}, {"target": 5}):
        with pytest.raises(ValidationError, match="module_path\n  Field required"):
            RunnerConfig(**wrong)
    with pytest.raises(ValidationError, match="valid dictionary"):
        RunnerConfig.model_validate("m:f")


def test_a_python_path_is_always_a_list_of_texts():
    """From nothing, one path, or several."""
    for given, wanted in (
        (None, []),
        ("src", ["src"]),
        (Path("src"), ["src"]),
        (["a", Path("b")], ["a", "b"]),
        (("a", 1), ["a", "1"]),
    ):
        assert wanted == RunnerConfig(module_path="m", python_path=given).python_path


def test_an_experiment_needs_inputs():
    """Its own or a file of them; the error belongs to no one field."""
    for nothing in ({}, {"base_inputs": [], "inputs_file": ""}):
        with pytest.raises(ValidationError) as caught:
            ExperimentConfig(name="e", runner={"module_path": "m"}, **nothing)
        (error,) = caught.value.errors()
        assert () == error["loc"]
        assert "Value error, Either base_inputs or inputs_file must be provided" == error["msg"]


def test_values_are_checked_when_a_model_is_made():
    """Every bad field is named with its place, and numbers are taken from text."""
    with pytest.raises(ValidationError) as caught:
        an_experiment(
            iterations=1001,
            variation_strategies=["rephrase", "REPHRASE"],
            multi_turn={"max_turns": 0},
            input_generation={"mode": "LLM", "llm": {"max_tokens": 15}},
            personas=[{"name": "p"}],
            run_delay_seconds=-1,
        )
    assert {
        ("iterations",),
        ("variation_strategies", 1),
        ("multi_turn", "max_turns"),
        ("input_generation", "mode"),
        ("input_generation", "llm", "max_tokens"),
        ("personas", 0, "description"),
        ("run_delay_seconds",),
    } == {error["loc"] for error in caught.value.errors()}
    assert 3 == an_experiment(iterations="3").iterations


def test_unknown_keys_are_ignored():
    """One mapping holds all sections of a project, those of other commands too."""
    config = an_experiment(metrics={"a": 1}, evaluation_goal={}, source_root=".")
    assert not hasattr(config, "metrics")
    assert "evaluation_goal" not in config.to_dict()


def test_fields_can_be_assigned_afterwards():
    """What is assigned is taken as it is."""
    config = an_experiment()
    config.iterations = 5000
    config.multi_turn = MultiTurnConfig()
    config.multi_turn.enabled = True
    config.input_generation.mode = InputGenerationMode.DETERMINISTIC
    config.input_generation.llm = config.input_generation.llm.model_copy(update={"api_key": "k"})
    config.personas = [PersonaConfig(name="p", description="d")]
    assert 5000 == config.estimate_total_runs()
    again = config.to_dict()
    assert ("deterministic", "k") == (
        again["input_generation"]["mode"],
        again["input_generation"]["llm"]["api_key"],
    )


def test_an_experiment_as_a_mapping_is_json_and_makes_the_experiment_again():
    """Without what is None; members of enumerations stay members, which JSON takes as text."""

    class Odd:
        def __str__(self):
            return "odd"

    config = an_experiment(
        variation_strategies=["typo"],
        personas=[{"name": "p", "description": "d"}],
        replay_args={"enabled": True},
        metadata={
            "since": datetime.date(2025, 1, 17),
            "nothing": None,
            "words": {"a"},
            "path": Path("x"),
            "pair": (1, "b"),
            "odd": Odd(),
            "keys": {("k", 1): 2, 3: 4},
        },
    )
    made = config.to_dict()
    assert VariationStrategy.TYPO is made["variation_strategies"][0]
    assert {"description", "seed", "multi_turn"}.isdisjoint(made)
    read = json.loads(json.dumps(made))
    assert {
        "since": "2025-01-17",
        "nothing": None,
        "words": ["a"],
        "path": "x",
        "pair": [1, "b"],
        "odd": "odd",
        "keys": {"('k', 1)": 2, "3": 4},
    } == read["metadata"]
    assert made == ExperimentConfig(**made).to_dict()
    assert read == json.loads(json.dumps(ExperimentConfig(**read).to_dict()))
    assert "typo" == config.model_dump(mode="json", exclude={"metadata"})["variation_strategies"][0]


def test_keys_of_services_are_not_shown():
    """A configuration that is printed tells no credential."""
    shown = repr(
        an_experiment(
            collector_api_key="hidden-1",
            input_generation={"llm": {"api_key": "hidden-2"}},
            multi_turn={"supervisor": {"api_key": "hidden-3"}},
        )
    )
    assert "hidden" not in shown
    assert "gpt-5-mini" in shown


def test_a_persona_is_told_in_lines():
    """What is empty is left out."""
    persona = PersonaConfig(
        name="Novice",
        description="New here",
        characteristics=["curious", "shy"],
        goals=["learn"],
        constraints=["little time", "no account"],
    )
    assert (
        "User Persona: Novice\n"
        "Description: New here\n"
        "Characteristics: curious, shy\n"
        "Goals: learn\n"
        "Constraints: little time, no account\n"
        "Language: en\n"
        "Expertise Level: intermediate"
    ) == persona.to_prompt()
    assert 4 == len(PersonaConfig(name="n", description="d").to_prompt().splitlines())


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ({"base_inputs": [{}, {}]}, 2),
        ({"base_inputs": [{}, {}], "variation_count": 3}, 6),
        ({"inputs_file": "f", "base_inputs": []}, 1),
        ({"inputs_file": "f", "base_inputs": [{}, {}, {}], "variation_count": 4}, 3),
    ],
)
def test_the_number_of_inputs_is_estimated(given, inputs):
    """Variations multiply the experiment's own inputs; those of a file are what they are."""
    config = an_experiment(iterations=2, **given)
    assert inputs == config.get_input_count()
    assert 2 * inputs == config.estimate_total_runs()
    assert ("inputs_file" in given) is config.has_external_inputs()


def test_counts_that_were_found_replace_the_estimates():
    """Also a count of none; impossible ones are refused."""
    config = an_experiment(iterations=2, personas=[{"name": "p", "description": "d"}] * 2)
    assert 4 == config.estimate_total_runs()
    assert (None, None) == (
        config.get_resolved_input_count(),
        config.get_resolved_persona_count(),
    )
    config.set_resolved_input_count(5)
    config.set_resolved_persona_count(3)
    assert 30 == config.estimate_total_runs()
    copied = config.model_copy(deep=True)
    config.set_resolved_input_count(0)
    assert (0, 30) == (config.estimate_total_runs(), copied.estimate_total_runs())
    with pytest.raises(ValueError, match="resolved input count must be non-negative"):
        config.set_resolved_input_count(-1)
    with pytest.raises(ValueError, match="resolved persona count must be >= 1"):
        config.set_resolved_persona_count(0)


def test_relative_paths_start_from_a_folder_that_can_be_said():
    """It is no field, and is not dumped."""
    config = an_experiment()
    assert config.get_source_dir() is None
    config.set_source_dir(Path("/project"))
    assert Path("/project") == config.get_source_dir()
    assert "/project" not in json.dumps(config.to_dict())


def test_defaults_are_not_shared():
    """A list or mapping that one instance changes is its own."""
    one, other = ReplayArgsConfig(), ReplayArgsConfig()
    one.callable_providers["x"] = "y"
    assert {"send_message_callback", "send_error_callback"} == set(other.callable_providers)
    an_experiment().tags.append("x")
    assert [] == an_experiment().tags


@pytest.mark.parametrize(
    ("value", "kind", "kept"),
    [
        (1, "boolean", 1.0),
        ("yes", "boolean", "yes"),
        (True, "boolean", True),
        ("x", "numeric", "x"),
        (True, "numeric", True),
        (1, "categorical", 1.0),
    ],
)
def test_a_score_takes_any_value_with_any_type(value, kind, kept):
    """As in the published package, whose check never takes effect."""
    score = Score(trace_id=uuid.uuid4(), name="s", value=value, data_type=kind)
    assert (type(kept), kept) == (type(score.value), score.value)


def test_durations_take_times_with_and_without_a_zone():
    """A time that says nothing of a zone is UTC."""
    trace = fluxloop.Trace(name="t", start_time=datetime.datetime(2025, 1, 17, 12, 0, 0))
    assert trace.duration_ms() is None
    trace.end_time = datetime.datetime(2025, 1, 17, 12, 0, 1, tzinfo=datetime.timezone.utc)
    assert 1000.0 == trace.duration_ms()
    trace.start_time = trace.end_time
    trace.end_time = datetime.datetime(2025, 1, 17, 12, 0, 2)
    assert 1000.0 == trace.duration_ms()


def test_an_observation_is_stored_as_json_can_hold_it():
    """In the published order, without what is None, secrets masked."""
    observation = ObservationData(
        type="tool",
        name="n",
        input={"when": datetime.date(2025, 1, 17), "words": {"a"}, "raw": b"xy", "api_key": "s"},
        output=[uuid.UUID(int=3), None],
        error="no",
        metadata={"nothing": None},
        llm_parameters={"stop": ("a",)},
        prompt_tokens=0,
        start_time=datetime.datetime(2025, 1, 17, 12, tzinfo=datetime.timezone.utc),
        end_time=datetime.datetime(2025, 1, 17, 13),
    )
    stored = serialize_observation(observation)
    assert {
        "id": str(observation.id),
        "type": "tool",
        "name": "n",
        "start_time": "2025-01-17T12:00:00+00:00",
        "end_time": "2025-01-17T13:00:00Z",
        "input": {"when": "2025-01-17", "words": ["a"], "raw": "xy", "api_key": "***"},
        "output": ["00000000-0000-0000-0000-000000000003", None],
        "error": "no",
        "level": "info",
        "metadata": {"nothing": None},
        "llm_parameters": {"stop": ["a"]},
        "prompt_tokens": 0,
    } == json.loads(json.dumps(stored))
    assert ["id", "type", "name", "start_time", "end_time", "input"] == list(stored)[:6]


def test_a_trace_is_stored_as_json_can_hold_it(tmp_path):
    """Its id is spelled as everywhere, and what is secret is what was configured."""
    spanwise.configure(traces_dir=tmp_path / "t", mask=["diagnosis"])
    trace = TraceData(name="t", iteration=0, metadata={"diagnosis": "flu"}, session_id="s")
    stored = serialize_trace(trace)
    assert {
        "id": str(trace.id),
        "name": "t",
        "start_time": trace.start_time.isoformat(),
        "session_id": "s",
        "metadata": {"diagnosis": "***"},
        "tags": [],
        "iteration": 0,
    } == json.loads(json.dumps(stored))
    assert 32 == len(stored["id"])
