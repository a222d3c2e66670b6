"""Decorators below those of a framework: LangChain's tools, LangGraph, FastAPI, pytest."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import TypedDict

import pytest

import fluxloop
import fluxloop.config
import spanwise
from support.files import Files

TOOLS = pytest.mark.parametrize(
    "observed",
    [fluxloop.tool(), fluxloop.tool(description="Look up"), spanwise.tool],
    ids=["fluxloop", "fluxloop_described", "spanwise"],
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(fluxloop.config, "_config", None)


@pytest.fixture
def traces(tmp_path):
    return Files(tmp_path / "traces")


def names_above(line, lines):
    """Return the names of the observations around this one, from the outside in."""
    by_id = {other["id"]: other for other in lines}
    above = []
    while line["parent_id"] is not None:
        line = by_id[line["parent_id"]]
        above.append(line["name"])
    return above[::-1]


@pytest.fixture
def langchain():
    pytest.importorskip("langgraph", reason="the langchain extra is not installed")
    warnings.simplefilter("ignore")  # LangChain's own, of its own deprecations
    from langchain.agents import create_agent
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    class Model(GenericFakeChatModel):
        def bind_tools(self, tools, **kwargs):
            return self

    class LangChain:
        @staticmethod
        def agent(tools, *calls):
            """Return an agent whose model asks for these calls at once, then answers."""
            wanted = [
                {"name": name, "args": args, "id": f"c{i}", "type": "tool_call"}
                for i, (name, args) in enumerate(calls)
            ]
            messages = [AIMessage(content="", tool_calls=wanted), AIMessage(content="done")]
            return create_agent(Model(messages=iter(messages)), list(tools))

        question = MappingProxyType({"messages": [{"role": "user", "content": "?"}]})

    return LangChain


def plain_lookup(country: str, limit: int = 3) -> str:
    """Name the capital.

    Args:
        country: where.
        limit: how many.
    """
    return f"{country}: Paris"[: limit + 100]


async def plain_lookup_later(country: str, limit: int = 3) -> str:
    """Name the capital."""
    await asyncio.sleep(0)
    return f"{country}: Paris"


@TOOLS
@pytest.mark.parametrize("function", [plain_lookup, plain_lookup_later])
def test_a_langchain_tool_of_a_decorated_function_is_the_plain_one(langchain, observed, function):
    """Name, description, arguments and their schema are read through the decorator."""
    from langchain_core.tools import tool

    plain, ours = tool(function), tool(observed(function))
    assert plain.name == ours.name
    assert plain.description == ours.description
    assert plain.args == ours.args
    assert plain.tool_call_schema.model_json_schema() == ours.tool_call_schema.model_json_schema()
    assert (plain.coroutine is None, plain.func is None) == (
        ours.coroutine is None,
        ours.func is None,
    )


@TOOLS
def test_a_docstring_that_describes_arguments_is_parsed_through_the_decorator(langchain, observed):
    """`parse_docstring=True` finds what each argument is."""
    from langchain_core.tools import tool

    made = tool(parse_docstring=True)(observed(plain_lookup))
    assert "where." == made.args["country"]["description"]


@TOOLS
def test_a_decorated_tool_is_recorded_when_langchain_invokes_it(langchain, traces, observed):
    """Its arguments are those that the function got, with defaults."""
    from langchain_core.tools import tool

    spanwise.configure(traces_dir=traces.folder)
    assert "France: Paris" == tool(observed(plain_lookup)).invoke({"country": "France"})
    later = tool(observed(plain_lookup_later))
    assert "Chad: Paris" == asyncio.run(later.ainvoke({"country": "Chad"}))
    first, second = traces.observations()
    assert ("tool", {"country": "France", "limit": 3}, "France: Paris") == (
        first["type"],
        first["input"],
        first["output"],
    )
    assert {"country": "Chad", "limit": 3} == second["input"]


@TOOLS
def test_a_decorator_above_langchains_tells_at_once_that_it_is_in_the_wrong_place(
    langchain, observed
):
    """A LangChain tool is an object that cannot be called."""
    from langchain_core.tools import tool

    with pytest.raises(spanwise.DecorationError, match=r"cannot decorate .* not callable"):
        observed(tool(plain_lookup))


def test_a_tool_that_fails_is_an_error_in_both(langchain, traces):
    """LangChain sees the exception that the function raised."""
    from langchain_core.tools import tool

    @tool
    @fluxloop.tool()
    def fail(country: str) -> str:
        """Fail."""
        raise LookupError(country)

    with pytest.raises(LookupError, match="Atlantis"):
        fail.invoke({"country": "Atlantis"})
    assert "Atlantis" == traces.observation("fail")["error"]


@pytest.mark.parametrize(
    ("kind", "is_async"),
    [("sync", False), ("sync", True), ("async", True)],
    ids=["invoke", "ainvoke", "ainvoke_async_tool"],
)
def test_tools_of_a_langgraph_agent_are_children_of_the_agent(langchain, traces, kind, is_async):
    """Also where the graph runs several at once, in threads of its own."""
    from langchain_core.tools import tool

    @fluxloop.tool()
    def helper(word):
        return word.upper()

    if kind == "sync":

        @tool
        @fluxloop.tool(name="capital")
        def capital(country: str) -> str:
            """Name the capital."""
            return helper(country)
    else:

        @tool
        @fluxloop.tool(name="capital")
        async def capital(country: str) -> str:
            """Name the capital."""
            await asyncio.sleep(0)
            return helper(country)

    asked = [("capital", {"country": name}) for name in ("France", "Chad", "Peru")]
    agent = langchain.agent([capital], *asked)

    @fluxloop.agent(name="Agent")
    def ask():
        return agent.invoke(dict(langchain.question))

    @fluxloop.agent(name="Agent")
    async def ask_later():
        return await agent.ainvoke(dict(langchain.question))

    with fluxloop.instrument("flow", user_id="jane") as ctx:
        answer = asyncio.run(ask_later()) if is_async else ask()
    assert "done" == answer["messages"][-1].content
    lines = traces.observations()
    tools = [line for line in lines if line["name"] == "capital"]
    assert {"France", "Chad", "Peru"} == {line["input"]["country"] for line in tools}
    assert [["Agent"]] * 3 == [names_above(line, lines) for line in tools]
    assert [["Agent", "capital"]] * 3 == [
        names_above(line, lines) for line in lines if line["name"] == "helper"
    ]
    assert {(str(ctx.trace.id), "jane")} == {(o["trace_id"], o["user_id"]) for o in lines}


def test_what_langchain_injects_reaches_a_decorated_tool(langchain, traces):
    """It is found by the annotations, and is no argument of the tool for the model."""
    from langchain.tools import ToolRuntime
    from langchain_core.runnables import RunnableConfig
    from langchain_core.tools import tool

    seen = []

    # Annotations that LangChain evaluates: of names in this function, so none are postponed.
    def whoami(word, config, runtime):
        """Say who asks."""
        seen.append((config["configurable"]["thread_id"], len(runtime.state["messages"])))
        return word

    whoami.__annotations__ = {
        "word": str,
        "config": RunnableConfig,
        "runtime": ToolRuntime,
        "return": str,
    }
    made = tool(fluxloop.tool()(whoami))
    agent = langchain.agent([made], ("whoami", {"word": "me"}))
    agent.invoke(dict(langchain.question), {"configurable": {"thread_id": "t-1"}})
    assert [("t-1", 2)] == seen
    assert {"word"} == set(made.tool_call_schema.model_json_schema()["properties"])
    assert "me" == traces.observation("whoami")["input"]["word"]


@pytest.mark.parametrize("is_async", [False, True], ids=["stream", "astream"])
def test_decorated_nodes_of_a_graph_are_children_of_what_runs_it(langchain, traces, is_async):
    """Nodes that run side by side are siblings; what a node is handed is found by annotations."""
    from langchain_core.runnables import RunnableConfig
    from langgraph.graph import END, START, StateGraph

    @fluxloop.trace(observation_type="chain")
    def plan(state: dict) -> dict:
        return {"plan": state["question"].upper()}

    def left(state, config):
        return {"left": config["configurable"]["side"]}

    left.__annotations__ = {"state": dict, "config": RunnableConfig, "return": dict}

    @fluxloop.trace(observation_type="chain")
    async def right_later(state: dict) -> dict:
        await asyncio.sleep(0)
        return {"right": "R"}

    @fluxloop.trace(observation_type="chain")
    def right(state: dict) -> dict:
        return {"right": "R"}

    class State(TypedDict):
        question: str
        plan: str
        left: str
        right: str

    graph = StateGraph(State)
    graph.add_node("plan", plan)
    graph.add_node("left", fluxloop.trace(observation_type="chain")(left))
    graph.add_node("right", right_later if is_async else right)
    graph.add_edge(START, "plan")
    graph.add_edge("plan", "left")
    graph.add_edge("plan", "right")
    graph.add_edge("left", END)
    graph.add_edge("right", END)
    app = graph.compile()
    config = {"configurable": {"side": "L"}}

    @fluxloop.agent(name="Graph")
    def run():
        yield from app.stream({"question": "why"}, config)

    @fluxloop.agent(name="Graph")
    async def run_later():
        async for step in app.astream({"question": "why"}, config):
            yield step

    async def collect():
        return [step async for step in run_later()]

    steps = asyncio.run(collect()) if is_async else list(run())
    assert {"plan": {"plan": "WHY"}} == steps[0]
    assert {"left", "right"} == {name for step in steps[1:] for name in step}
    lines = traces.observations()
    nodes = [line for line in lines if line["type"] == "chain"]
    assert 3 == len(nodes)
    assert [["Graph"]] * 3 == [names_above(line, lines) for line in nodes]


@pytest.fixture
def web():
    """Return FastAPI, and a client for an application of it."""
    pytest.importorskip("fastapi")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Starlette, about which HTTP client it would rather
        from starlette.testclient import TestClient
    import fastapi

    return fastapi, TestClient


class Tenant:
    """An ASGI middleware: one trace a request, for the tenant that the request names."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        tenant = dict(scope["headers"])[b"x-tenant"].decode()
        with fluxloop.instrument(scope["path"], user_id=tenant):
            return await self.app(scope, receive, send)


def application(fastapi):
    app = fastapi.FastAPI()
    app.add_middleware(Tenant)

    @fluxloop.trace(name="settings")
    def settings(unit: str = "C") -> dict:
        return {"unit": unit}

    @fluxloop.trace(name="session")
    def session():
        yield "open"

    @fluxloop.trace(name="session later")
    async def session_later():
        yield "open"

    @fluxloop.tool(name="look up")
    def look_up(word):
        return word.upper()

    @app.get("/sync/{city}")
    @fluxloop.agent(name="sync route")
    def sync_route(city: str, days: int = 1, using: dict = fastapi.Depends(settings)) -> dict:
        return {"city": look_up(city), "days": days, "unit": using["unit"]}

    @app.get("/async/{city}")
    @fluxloop.agent(name="async route")
    async def async_route(city: str, held: str = fastapi.Depends(session_later)) -> dict:
        await asyncio.sleep(0)
        return {"city": look_up(city), "session": held}

    @app.get("/held")
    @fluxloop.agent(name="held route")
    def held_route(held: str = fastapi.Depends(session)) -> str:
        return held

    @fluxloop.prompt(name="stream", model="m")
    async def chunks(city):
        for part in ("a", "b", city):
            await asyncio.sleep(0)
            yield part

    @app.get("/stream/{city}")
    @fluxloop.agent(name="stream route")
    async def stream_route(city: str):
        return fastapi.responses.StreamingResponse(chunks(city), media_type="text/plain")

    @app.get("/fail")
    @fluxloop.agent(name="failing route")
    def failing_route():
        raise fastapi.HTTPException(418, "short and stout")

    return app


def test_a_decorated_route_answers_as_the_plain_one(web, traces):
    """Path, query, defaults, validation and the documented interface are read through it."""
    fastapi, client_of = web
    client = client_of(application(fastapi), headers={"x-tenant": "acme"})
    answer = client.get("/sync/Rome?days=2&unit=F")
    assert {"city": "ROME", "days": 2, "unit": "F"} == answer.json()
    assert 422 == client.get("/sync/Rome?days=two").status_code
    assert {"city": "OSLO", "session": "open"} == client.get("/async/Oslo").json()
    assert "open" == client.get("/held").json()
    assert 418 == client.get("/fail").status_code
    operation = client.get("/openapi.json").json()["paths"]["/sync/{city}"]["get"]
    assert ["city", "days", "unit"] == [p["name"] for p in operation["parameters"]]


def test_routes_and_dependencies_are_one_trace_a_request(web, traces):
    """FastAPI runs sync ones in threads; they are children of the request all the same."""
    fastapi, client_of = web
    client = client_of(application(fastapi), headers={"x-tenant": "acme"})
    for path in ("/sync/Rome", "/async/Oslo", "/held"):
        client.get(path)
    lines = traces.observations()
    of_trace = {line["trace_id"]: line["name"] for line in traces.traces()}
    found = {}
    for line in lines:
        found.setdefault(of_trace[line["trace_id"]], set()).add(
            (*names_above(line, lines), line["name"])
        )
    assert {
        "/sync/Rome": {("settings",), ("sync route",), ("sync route", "look up")},
        "/async/Oslo": {("session later",), ("async route",), ("async route", "look up")},
        "/held": {("session",), ("held route",)},
    } == found
    route = traces.observation("sync route")
    assert {"city": "Rome", "days": 1, "using": {"unit": "C"}} == route["input"]
    assert {"city": "ROME", "days": 1, "unit": "C"} == route["output"]


def test_a_streamed_answer_is_recorded_when_it_was_sent(web, traces):
    """The generator runs after the route returned, and is in its request's trace."""
    fastapi, client_of = web
    client = client_of(application(fastapi), headers={"x-tenant": "acme"})
    assert "abRome" == client.get("/stream/Rome").text
    line = traces.observation("stream")
    assert ("generation", "m", "abRome", "acme") == (
        line["type"],
        line["model"],
        line["output"],
        line["user_id"],
    )
    (trace,) = traces.traces()
    assert ("/stream/Rome", trace["trace_id"]) == (trace["name"], line["trace_id"])


def test_an_http_error_is_the_routes_error_and_the_clients_answer(web, traces):
    """It goes on to FastAPI unchanged."""
    fastapi, client_of = web
    client = client_of(application(fastapi), headers={"x-tenant": "acme"})
    answer = client.get("/fail")
    assert (418, {"detail": "short and stout"}) == (answer.status_code, answer.json())
    assert "HTTPException" == traces.observation("failing route")["metadata"]["error_type"]


def test_two_tenants_at_once_are_never_mixed(web, traces):
    """Each observation is for the tenant whose request it belongs to."""
    fastapi, client_of = web
    app = application(fastapi)
    both_are_here = threading.Barrier(2)

    def visit(tenant):
        with client_of(app, headers={"x-tenant": tenant}) as client:
            both_are_here.wait(30)
            for turn in range(10):
                kind = ("sync", "async", "stream")[turn % 3]
                assert 200 == client.get(f"/{kind}/{tenant}-{turn}").status_code

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(visit, ["acme", "umbrella"]))
    lines = [line for line in traces.observations() if "city" in (line["input"] or {})]
    assert {"acme", "umbrella"} == {line["user_id"] for line in lines}
    assert [] == [line for line in lines if not line["input"]["city"].startswith(line["user_id"])]
    tenant_of = {line["trace_id"]: line["user_id"] for line in traces.traces()}
    assert 20 == len(tenant_of)
    assert [] == [o for o in traces.observations() if tenant_of[o["trace_id"]] != o["user_id"]]


TESTS = '''
import fluxloop
import pytest
import spanwise


@pytest.fixture(params=["a", "b"])
@fluxloop.trace(name="word")
def word(request):
    """A word."""
    return request.param


@pytest.fixture
@fluxloop.trace(name="resource")
def resource(word):
    yield f"<{word}>"
    assert word in "ab"


@fluxloop.tool()
def double(text):
    return text * 2


@fluxloop.agent(name="a test")
def test_with_fixtures(resource, tmp_path):
    """Fixtures are found by the names of the arguments."""
    assert resource[1] in double(resource)
    assert tmp_path.is_dir()


@pytest.mark.parametrize("number", [1, 2])
@fluxloop.agent(name="with numbers")
def test_with_numbers(number):
    assert number < 3


class TestInAClass:
    @fluxloop.agent(name="in a class")
    def test_method(self, word):
        assert word


@pytest.fixture
@fluxloop.trace(name="later resource")
async def later_resource():
    yield "later"


@fluxloop.agent(name="later")
async def test_later(later_resource):
    assert later_resource == "later"


@fluxloop.agent(name="fails")
def test_that_fails():
    assert double("a") == "a"


@pytest.mark.skipif(True, reason="not now")
@fluxloop.agent(name="skipped")
def test_that_is_skipped():
    raise AssertionError
'''


def test_decorated_fixtures_and_tests_run_as_plain_ones(tmp_path, traces):
    """pytest finds parameters, generators, marks and methods through the decorator."""
    (tmp_path / "test_theirs.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    options = f"-p no:cacheprovider -p no:randomly -W error --rootdir {tmp_path}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options.split(), "test_theirs.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "1 failed, 7 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "AssertionError: assert 'aa' == 'a'" in done.stdout  # rewritten assertions too
    by_name = {}
    for line in traces.observations():
        by_name.setdefault(line["name"], []).append(line)
    assert {
        "word": 4,
        "resource": 2,
        "double": 3,
        "a test": 2,
        "with numbers": 2,
        "in a class": 2,
        "later resource": 1,
        "later": 1,
        "fails": 1,
    } == {name: len(lines) for name, lines in by_name.items()}
    assert {"a", "b"} == {line["output"] for line in by_name["word"]}
    assert [1, 2] == [line["input"]["number"] for line in by_name["with numbers"]]
    (failed,) = by_name["fails"]
    assert "AssertionError" == failed["metadata"]["error_type"]
