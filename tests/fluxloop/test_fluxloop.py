"""The face of the FluxLoop SDK."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from pathlib import Path

import pytest
from opentelemetry import trace as trace_api

import fluxloop
import fluxloop.config
import fluxloop.recording
import spanwise
from brixo import Brixo
from fluxloop import FluxLoopContext, get_current_context, get_current_trace, instrument
from fluxloop.models import ObservationData, ObservationType
from support.files import Files


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(fluxloop.config, "_config", None)
    monkeypatch.setattr(fluxloop.recording, "_auto_increment", True)


@pytest.fixture
def traces(tmp_path):
    return Files(tmp_path / "traces")


@fluxloop.agent(name="Agent", metadata={"layer": "entry"})
def an_agent(question: str) -> str:
    return a_tool(question)


@fluxloop.tool(description="Look up")
def a_tool(word: str) -> str:
    return word.upper()


@fluxloop.prompt(model="gpt-4o")
def a_prompt(text: str):
    return {"text": text, "usage": {"prompt_tokens": 3, "completion_tokens": 4}}


def test_a_decorated_call_with_no_configuration_writes_to_traces(traces):
    """The first use sets up files; the provider stays private, so the application can set its own."""
    assert "HI" == an_agent("hi")
    agent, tool = traces.observation("Agent"), traces.observation("a_tool")
    assert ("agent", {"question": "hi"}, "HI") == (agent["type"], agent["input"], agent["output"])
    assert {"layer": "entry"} == agent["metadata"]
    assert (agent["id"], "tool") == (tool["parent_id"], tool["type"])
    assert isinstance(trace_api.get_tracer_provider(), trace_api.ProxyTracerProvider)


def test_importing_configures_nothing():
    """Only a use does."""
    assert spanwise._state.runtime is None


def test_token_counts_of_a_result_are_kept(traces):
    """Prompt, completion and total."""
    a_prompt("x")
    line = traces.observation("a_prompt")
    assert ("gpt-4o", 3, 4, 7) == (
        line["model"],
        line["prompt_tokens"],
        line["completion_tokens"],
        line["total_tokens"],
    )


def test_an_error_is_recorded_and_goes_on_unchanged(traces):
    """Its text, type and traceback are in the file."""

    @fluxloop.trace(observation_type="chain")
    def fail():
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"):
        fail()
    line = traces.observation("fail")
    assert ("chain", "boom", "ValueError") == (
        line["type"],
        line["error"],
        line["metadata"]["error_type"],
    )
    assert "ValueError: boom" in line["metadata"]["traceback"]


def test_an_unknown_observation_type_is_told_at_decoration():
    """The error lists the known ones."""
    with pytest.raises(ValueError, match=r"Invalid observation_type 'x'\. Expected one of: span,"):
        fluxloop.trace(observation_type="x")


def test_instrument_is_the_trace_and_no_observation(traces):
    """Its direct children have no parent in the file; what is set on the context is the trace's."""
    with fluxloop.instrument("flow", session_id="s", metadata={"a": 1}, tags=["x"]) as ctx:
        assert ctx is get_current_context()
        assert ctx.trace is get_current_trace()
        assert ctx.is_enabled()
        assert ctx.is_sampled
        ctx.add_metadata("b", {"n": 2})
        ctx.add_tag("y")
        ctx.add_tag("y")
        ctx.set_user("jane")
        an_agent("hi")
    assert get_current_context() is None
    (line,) = traces.traces()
    assert str(ctx.trace.id) == line["trace_id"]
    assert ("flow", "s", "jane", {"a": 1, "b": {"n": 2}}, ["x", "y"], "success") == (
        line["name"],
        line["session_id"],
        line["user_id"],
        line["metadata"],
        line["tags"],
        line["status"],
    )
    agent, tool = traces.observation("Agent"), traces.observation("a_tool")
    assert (None, agent["id"]) == (agent["parent_id"], tool["parent_id"])
    assert {"Agent", "a_tool"} == {o["name"] for o in traces.observations()}
    assert {"jane"} == {o["user_id"] for o in traces.observations()}


def test_a_nested_instrument_restores_the_outer_context(traces):
    """Inside an open span of the same program it is a child."""
    with instrument("outer") as outer:
        with instrument("inner") as inner:
            assert get_current_context() is inner
        assert get_current_context() is outer
    assert inner.trace.id == outer.trace.id


def test_a_trace_id_can_be_given(traces):
    """As a UUID or as text; it is spelled with 32 digits everywhere."""
    wanted = uuid.uuid4()
    with instrument("a", trace_id=wanted) as ctx:
        an_agent("x")
    with instrument("b", trace_id=str(wanted)):
        pass
    assert wanted == ctx.trace.id
    assert wanted.hex == str(ctx.trace.id)
    assert {wanted.hex} == {o["trace_id"] for o in traces.observations()}
    assert 2 == sum(line["trace_id"] == wanted.hex for line in traces.traces())


def test_a_trace_id_can_be_given_on_a_foreign_provider(tmp_path):
    """By a synthetic remote parent, since the provider makes its own ids."""
    from opentelemetry.sdk.trace import TracerProvider

    spanwise.configure(tracer_provider=TracerProvider(), traces_dir=tmp_path / "t")
    wanted = uuid.uuid4()
    with instrument("a", trace_id=wanted):
        an_agent("x")
    assert {wanted.hex} == {o["trace_id"] for o in Files(tmp_path / "t").observations()}
    assert 1 == len(Files(tmp_path / "t").traces())


def test_an_error_inside_instrument_is_the_traces_status(traces):
    """And goes on."""
    with pytest.raises(ZeroDivisionError), instrument("flow"):
        1 / 0  # noqa: B018
    assert "error" == traces.traces()[0]["status"]


def test_observations_can_be_pushed_and_popped_by_hand(traces):
    """What is set between push and pop is recorded; decorated calls nest below."""
    with instrument("flow") as ctx:
        observation = ObservationData(type=ObservationType.GENERATION, name="by hand")
        ctx.push_observation(observation)
        a_tool("x")
        observation.input = {"q": 1}
        observation.output = "done"
        observation.model = "gpt"
        observation.prompt_tokens = 5
        observation.metadata["k"] = "v"
        observation.error = "went wrong"
        assert ctx.pop_observation() is observation
        assert ctx.pop_observation() is None
        assert [observation.name, "a_tool"] == [listed.name for listed in ctx.observations]
    line = traces.observation("by hand")
    assert ("generation", {"q": 1}, "done", "gpt", 5, {"k": "v"}, "went wrong") == (
        line["type"],
        line["input"],
        line["output"],
        line["model"],
        line["prompt_tokens"],
        line["metadata"],
        line["error"],
    )
    assert observation.id == line["id"] == traces.observation("a_tool")["parent_id"]


def test_a_context_made_directly_is_a_trace(traces):
    """finalize() ends it, with what is still open on it."""
    ctx = FluxLoopContext(trace_name="direct", user_id="jane")
    ctx.push_observation(ObservationData(type=ObservationType.TOOL, name="open"))
    ctx.finalize()
    ctx.finalize()
    assert ["direct"] == [line["name"] for line in traces.traces()]
    assert ["open"] == [line["name"] for line in traces.observations()]


def test_instrument_decorates_every_kind_of_function(traces):
    """The call is a trace, or with a type an observation as well."""

    @instrument("sync")
    def sync():
        get_current_context().add_metadata("k", 1)

    @instrument("typed", observation_type="chain")
    async def typed():
        assert get_current_context() is not None

    @instrument("stream")
    def stream():
        yield get_current_context().trace.name

    sync()
    asyncio.run(typed())
    assert ["stream"] == list(stream())
    assert {"sync": {"k": 1}, "typed": {}, "stream": {}} == {
        line["name"]: line["metadata"] for line in traces.traces()
    }
    assert [("typed", "chain")] == [(o["name"], o["type"]) for o in traces.observations()]


def test_disabled_yields_a_context_whose_calls_do_nothing(tmp_path):
    """enabled=False records nothing and breaks nothing."""
    fluxloop.configure(enabled=False)
    with instrument("flow") as ctx:
        assert not ctx.is_enabled()
        ctx.add_metadata("a", 1)
        ctx.push_observation(ObservationData(type=ObservationType.TOOL, name="x"))
        ctx.pop_observation()
        assert "HI" == an_agent("hi")
    assert [] == list(tmp_path.iterdir())


def test_configure_validates_and_names_what_is_wrong():
    """The messages are those of the published package."""
    for keyword, value, message in (
        ("nonsense", 1, "Unknown configuration parameter: nonsense"),
        ("collector_url", "nonsense", "Invalid collector URL"),
        ("sample_rate", 2, "sample_rate must be between 0 and 1"),
        ("batch_size", 0, "batch_size must be at least 1"),
        ("batch_size", 101, "batch_size must not exceed 100"),
        ("storage", "tape", "storage must be one of file, http, memory"),
    ):
        with pytest.raises(ValueError, match=message):
            fluxloop.configure(**{keyword: value})
    assert fluxloop.get_config() is fluxloop.get_config()
    assert "http://x/y" == fluxloop.configure(collector_url="http://x/y/").collector_url


def test_the_environment_is_read_when_the_configuration_is_made(monkeypatch, tmp_path):
    """Each variable, also from .env; a bad one names itself."""
    monkeypatch.setenv("FLUXLOOP_SAMPLE_RATE", "0.25")
    monkeypatch.setenv("FLUXLOOP_USE_COLLECTOR", "false")
    (tmp_path / ".env").write_text("FLUXLOOP_SERVICE_NAME=from-file\n")
    config = fluxloop.reset_config()
    assert (0.25, False, "from-file") == (
        config.sample_rate,
        config.use_collector,
        config.service_name,
    )
    monkeypatch.setenv("FLUXLOOP_BATCH_SIZE", "many")
    with pytest.raises(ValueError, match="FLUXLOOP_BATCH_SIZE"):
        fluxloop.reset_config()


def test_load_env_loads_a_file_or_a_folder(tmp_path, monkeypatch):
    """Into os.environ, which is its job, and the configuration is read anew."""
    (tmp_path / ".env").write_text("FLUXLOOP_SERVICE_NAME=loaded\n")
    monkeypatch.setenv("FLUXLOOP_SERVICE_NAME", "before")
    assert fluxloop.load_env(tmp_path, override=False) is True
    assert "before" == os.environ["FLUXLOOP_SERVICE_NAME"]
    assert fluxloop.load_env(str(tmp_path / ".env")) is True
    assert "loaded" == fluxloop.get_config().service_name
    assert fluxloop.load_env(tmp_path / "nothing") is False


def test_base_path_chooses_the_folder(tmp_path):
    """As in the documents; memory and http storage write no files."""
    fluxloop.configure(storage="file", base_path=str(tmp_path / "elsewhere"))
    an_agent("x")
    assert 2 == len(Files(tmp_path / "elsewhere").observations())
    fluxloop.configure(storage="memory")
    an_agent("x")
    assert 2 == len(Files(tmp_path / "elsewhere").observations())


def test_recording_can_be_switched(tmp_path):
    """enable, options, explicit iteration, disable."""
    path = tmp_path / "calls.jsonl"
    fluxloop.record_call_args("m:f", a=1)
    fluxloop.enable_recording(str(path))
    fluxloop.record_call_args("m:f", a=1)
    fluxloop.record_call_args("m:f", a=2)
    fluxloop.record_call_args("m:f", iteration=7, a=3)
    fluxloop.record_call_args("m:f", a=4)
    fluxloop.record_call_args("m:g", a=5)
    fluxloop.set_recording_options(iteration_auto_increment=False)
    fluxloop.record_call_args("m:f", a=6)
    fluxloop.disable_recording()
    fluxloop.record_call_args("m:f", a=7)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(1, 0), (2, 1), (3, 7), (4, 8), (5, 0), (6, 0)] == [
        (line["kwargs"]["a"], line["iteration"]) for line in lines
    ]
    assert {"_version", "iteration", "target", "kwargs", "timestamp"} == set(lines[0])


def test_record_args_records_decorated_calls_by_itself(tmp_path):
    """Markers for callables, masks for secrets, repr for the rest; the file has a default."""

    class Collector:
        def __init__(self):
            self.messages = []

        def __call__(self, message): ...

    class Odd:
        def __repr__(self):
            return "Odd(" + "x" * 200 + ")"

    def marked(): ...

    marked.__fluxloop_builtin__ = "collector.custom"

    @fluxloop.agent()
    def handler(text, send, custom, plain, odd, connection): ...

    config = fluxloop.configure(record_args=True)
    handler("hi", Collector(), marked, len, Odd(), {"auth_token": "t", "n": 1})
    path = Path(config.recording_file)
    assert path.name.startswith("fluxloop_args_")
    (line,) = [json.loads(x) for x in path.read_text().splitlines() if "handler" in x]
    path.unlink()
    odd = line["kwargs"].pop("odd")
    assert {
        "text": "hi",
        "send": "<builtin:collector.send>",
        "custom": "<builtin:collector.custom>",
        "plain": "<callable:len>",
        "connection": {"auth_token": "***", "n": 1},
    } == line["kwargs"]
    assert odd.startswith("<repr:Odd(x")
    assert len(odd) <= 107


def test_both_faces_and_plain_spans_make_one_trace(tmp_path):
    """Whichever is outside, everything of one call is one trace, correctly nested."""
    spanwise.configure(traces_dir=tmp_path / "t")

    @Brixo.interaction("Interaction")
    def handle():
        with trace_api.get_tracer("plain").start_as_current_span("plain"), instrument("flow"):
            an_agent("x")

    handle()
    files = Files(tmp_path / "t")
    assert 1 == len({o["trace_id"] for o in files.observations()})
    plain = files.observation("plain")
    assert plain["parent_id"] == files.observation("Interaction")["id"]
    assert files.observation("a_tool")["parent_id"] == files.observation("Agent")["id"]


def test_schemas_compute_what_they_promise():
    """Trace metrics and trees."""
    trace = fluxloop.Trace(name="t")
    child = fluxloop.Observation(trace_id=trace.id, type="tool", name="c", error="x")
    trace.observations.append(child)
    trace.scores.append(
        fluxloop.Score(trace_id=trace.id, name="success", value=True, data_type="boolean")
    )
    assert {None: [child]} == trace.get_observation_tree()
    metrics = trace.calculate_metrics()
    assert (1, 1, 1.0) == (
        metrics["observation_count"],
        metrics["error_count"],
        metrics["success_rate"],
    )


def test_what_was_switched_off_stays_off(tmp_path, monkeypatch):
    """Neither a first use nor the exit brings it back."""
    for off in (
        lambda: spanwise.configure(enabled=False),
        lambda: (spanwise.configure(traces_dir=None), spanwise.shutdown()),
        lambda: monkeypatch.setenv("SPANWISE_ENABLED", "false"),
        lambda: monkeypatch.setenv("OTEL_SDK_DISABLED", "true"),
    ):
        spanwise._state.reset()
        off()
        assert "HI" == an_agent("hi")
        assert spanwise._state.runtime is None
    assert not (tmp_path / "traces").exists()


def test_variables_stand_above_fluxloops_defaults(tmp_path, monkeypatch):
    """What FluxLoop was told stands above them, what it does by default below."""
    monkeypatch.setenv("SPANWISE_TRACES_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("SPANWISE_ENVIRONMENT", "production")
    monkeypatch.setenv("FLUXLOOP_SERVICE_NAME", "named")
    an_agent("x")
    settings = spanwise._state.runtime.settings
    assert ("production", "named", tmp_path / "elsewhere") == (
        settings.environment,
        settings.service_name,
        settings.traces_dir,
    )
    assert not (tmp_path / "traces").exists()


def test_a_first_use_that_fails_is_told_once_and_the_call_goes_on(monkeypatch, caplog, swallowed):
    """A variable that cannot be used disturbs neither calls nor instrument()."""
    monkeypatch.setenv("FLUXLOOP_SAMPLE_RATE", "7")
    assert "HI" == an_agent("hi")
    with instrument("flow") as ctx:
        assert not ctx.is_enabled()
        assert "HI" == an_agent("hi")
    assert 1 == len([r for r in caplog.records if "sample_rate must be" in r.message])
    monkeypatch.delenv("FLUXLOOP_SAMPLE_RATE")
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many")
    spanwise._state.reset()
    assert "HI" == an_agent("hi")
    assert {"failures.first_use": 1} == swallowed()
