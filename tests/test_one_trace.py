"""Spans of both faces, of OpenTelemetry and of an instrumentor, made in one call, are one trace."""

from __future__ import annotations

import asyncio
import itertools
import logging
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import fluxloop
import fluxloop.config
import spanwise
from brixo import Brixo, _once
from support.files import Files


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(fluxloop.config, "_config", None)
    logging.getLogger("brixo").setLevel(logging.CRITICAL)  # of what these programs leave out
    yield
    logging.getLogger("brixo").setLevel(logging.NOTSET)
    _once.reset()


@pytest.fixture
def folder(tmp_path):
    return Files(tmp_path / "traces")


def through_fluxloop(inner):
    return fluxloop.agent(name="fluxloop")(inner)()


def through_fluxloop_block(inner):
    with fluxloop.instrument("fluxloop block"):
        return fluxloop.trace(name="fluxloop")(inner)()


def through_fluxloop_by_hand(inner):
    from fluxloop.models import ObservationData, ObservationType

    with fluxloop.instrument("fluxloop block") as ctx:
        ctx.push_observation(ObservationData(type=ObservationType.TOOL, name="fluxloop"))
        try:
            return inner()
        finally:
            ctx.pop_observation()


def through_brixo(inner):
    return Brixo.interaction("brixo")(inner)()


def through_opentelemetry(inner):
    with trace_api.get_tracer("theirs").start_as_current_span("opentelemetry"):
        return inner()


def through_spanwise(inner):
    with spanwise.observe("spanwise", type="chain"):
        return inner()


def through_langchain(inner):
    """Call it from a tool of a real agent, which the instrumentor makes spans of."""
    from langchain.agents import create_agent
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.tools import tool

    class Model(GenericFakeChatModel):
        model_name: str = "fake-1"

        @property
        def _identifying_params(self):
            return {"model_name": self.model_name}

        def bind_tools(self, tools, **kwargs):
            return self

    @tool
    def go_on() -> str:
        """Go on."""
        inner()
        return "ok"

    call = {"name": "go_on", "args": {}, "id": "c1", "type": "tool_call"}
    messages = [AIMessage(content="", tool_calls=[call]), AIMessage(content="done")]
    agent = create_agent(Model(messages=iter(messages)), [go_on])
    return agent.invoke({"messages": [{"role": "user", "content": "?"}]})


def in_a_thread(inner):
    """Return what calls it in a pool's thread."""

    def call():
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(inner).result(30)

    return call


def in_a_task(inner):
    """Return what calls it in a task of an event loop, in a thread of that loop."""

    def call():
        async def main():
            return await asyncio.create_task(asyncio.to_thread(inner))

        return asyncio.run(main())

    return call


LAYERS = {
    "fluxloop": through_fluxloop,
    "brixo": through_brixo,
    "opentelemetry": through_opentelemetry,
    "spanwise": through_spanwise,
    "langchain": through_langchain,
}
FACES = ("fluxloop", "brixo", "opentelemetry", "spanwise")


def directly(inner):
    """Return it as it is."""
    return inner


def run(layers, hop=directly):
    """Call through the layers, from the outside in, with a hop between each two."""
    call = lambda: "done"  # noqa: E731 - what is innermost
    for layer in reversed(layers):
        call = lambda layer=layer, inner=call: layer(hop(inner))  # noqa: E731 - one step out
    call()


def chain(lines):
    """Return the names from the outermost to the innermost of lines that form one chain."""
    below = {line["parent_id"]: line for line in lines}
    assert len(below) == len(lines), "two are siblings"
    names, line = [], below.get(None)
    while line is not None:
        names.append(line["name"])
        line = below.get(line["id"])
    return names


@pytest.mark.parametrize("hop", [in_a_thread, in_a_task, directly])
@pytest.mark.parametrize("order", list(itertools.permutations(FACES)), ids="-".join)
def test_every_order_is_one_trace_and_nested_as_called(folder, order, hop):
    """Directly, through threads of a pool and through tasks."""
    spanwise.configure(traces_dir=folder.folder)
    run([LAYERS[name] for name in order], hop)
    lines = folder.observations()
    assert list(order) == chain(lines)
    (trace,) = folder.traces()
    assert {trace["trace_id"]} == {line["trace_id"] for line in lines}


@pytest.mark.parametrize("hop", [in_a_thread, directly])
@pytest.mark.parametrize("block", [through_fluxloop_block, through_fluxloop_by_hand])
@pytest.mark.parametrize(
    "order", list(itertools.permutations(["fluxloop", "brixo", "opentelemetry"])), ids="-".join
)
def test_an_instrument_block_anywhere_is_nested_as_called(folder, order, block, hop):
    """It is a span around its observation; in the files, which leave it out, all else is a chain."""
    spanwise.configure(traces_dir=folder.folder)
    exporter = InMemorySpanExporter()
    trace_api.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    run([block if name == "fluxloop" else LAYERS[name] for name in order], hop)
    spans = [
        {
            "name": span.name,
            "id": span.context.span_id,
            "parent_id": span.parent.span_id if span.parent is not None else None,
        }
        for span in exporter.get_finished_spans()
    ]
    at = order.index("fluxloop")
    assert [*order[:at], "fluxloop block", *order[at:]] == chain(spans)
    assert list(order) == chain(folder.observations())
    assert 1 == len({line["trace_id"] for line in folder.observations()})


@pytest.mark.parametrize("hop", [in_a_thread, directly])
@pytest.mark.parametrize(
    "order",
    list(itertools.permutations(["fluxloop", "brixo", "opentelemetry", "langchain"])),
    ids="-".join,
)
def test_an_instrumentors_spans_are_nested_as_called(folder, order, hop):
    """The agent's below what calls it; what its tool calls below the tool's."""
    pytest.importorskip(
        "opentelemetry.instrumentation.genai.langchain",
        reason="the langchain extra follows the newest OpenTelemetry and is not beside an older one",
    )
    warnings.simplefilter("ignore")  # LangChain's own, of its own deprecations
    spanwise.configure(traces_dir=folder.folder, instrument=["langchain"])
    run([LAYERS[name] for name in order], hop)
    lines = folder.observations()
    by_id = {line["id"]: line for line in lines}
    above = {
        line["name"]: by_id[line["parent_id"]]["name"] if line["parent_id"] else None
        for line in lines
        if line["type"] != "generation" and line["name"] != "model"
    }
    expected = []
    for name in order:
        langchains = ["invoke_agent", "tools", "execute_tool go_on"]
        expected += langchains if name == "langchain" else [name]
    assert dict(zip(expected, [None, *expected], strict=False)) == above
    models = [line for line in lines if line["type"] == "generation"]
    assert ["model", "model"] == [by_id[line["parent_id"]]["name"] for line in models]
    assert 1 == len({line["trace_id"] for line in lines})


@pytest.mark.parametrize("first", ["brixo", "fluxloop", "application"])
def test_whoever_configures_first_sets_up_the_same_trace(folder, first):
    """Brixo.init, fluxloop.configure, or an application with a provider of its own."""
    if first == "brixo":
        Brixo.init(app_name="a", environment="test")
    elif first == "fluxloop":
        fluxloop.configure(base_path=str(folder.folder))
    else:
        trace_api.set_tracer_provider(TracerProvider())
        spanwise.configure(traces_dir=folder.folder)
    orders = [
        ["opentelemetry", "fluxloop", "brixo", "spanwise"],
        ["brixo", "opentelemetry", "spanwise", "fluxloop"],
    ]
    for order in orders:
        run([LAYERS[name] for name in order])
    by_trace = {}
    for line in folder.observations():
        by_trace.setdefault(line["trace_id"], []).append(line)
    assert orders == [chain(lines) for lines in by_trace.values()]


def test_who_it_is_for_is_told_to_every_face(folder):
    """What one face says reaches the spans of the others, in threads too."""
    spanwise.configure(traces_dir=folder.folder)

    def tell():
        Brixo.begin_context(user={"id": "jane"}, account={"id": "org_7"}, session_id="s-1")
        run([through_fluxloop, through_opentelemetry, through_spanwise], in_a_thread)

    Brixo.interaction("brixo")(tell)()
    assert {("jane", "org_7", "s-1")} == {
        (line["user_id"], line["account_id"], line["session_id"]) for line in folder.observations()
    }
    assert 4 == len(folder.observations())
