"""The face of the Brixo SDK."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spanwise
from brixo import Brixo
from support.files import Files
from support.receiver import attributes


@pytest.fixture
def initialised(tmp_path):
    Brixo.init(app_name="my-agent", environment="test")
    return Files(tmp_path / "traces")


def test_signatures_are_those_of_the_published_package():
    """Names, order and defaults of every parameter."""
    context = "account user session_id metadata input output message_id".split()
    for call in (Brixo.begin_context, Brixo.update_context, Brixo.end_context):
        assert context == list(inspect.signature(call).parameters)
        assert {None} == {p.default for p in inspect.signature(call).parameters.values()}
    parameters = inspect.signature(Brixo.init).parameters
    assert [
        ("app_name", inspect.Parameter.empty),
        ("environment", inspect.Parameter.empty),
        ("api_key", None),
        ("agent_version", None),
        ("filter_openinference_spans", True),
        ("filter_traceloop_spans", True),
    ] == [(name, p.default) for name, p in parameters.items()]


def test_context_calls_reach_the_interaction_from_any_depth(initialised):
    """Helpers, nested spans, tasks and threads all speak of the one interaction."""

    @spanwise.tool
    def deep():
        Brixo.update_context(user={"id": "jane", "name": "Jane", "email": "j@x", "tier": "gold"})

    async def task():
        Brixo.update_context(session_id="s-1", metadata={"in_task": True})

    @Brixo.interaction("Main")
    def handle(text):
        Brixo.begin_context(account={"id": "o", "name": "O", "logo_url": "http://l"}, input=text)
        deep()
        asyncio.run(task())
        thread = threading.Thread(target=lambda: Brixo.update_context(message_id="m-1"))
        thread.start()
        thread.join()
        Brixo.end_context(output="done")

    handle("hello")
    main = initialised.observation("Main")
    assert ("interaction", "hello", "done") == (main["type"], main["input"], main["output"])
    expected = {
        "user.id": "jane",
        "user.name": "Jane",
        "user.email": "j@x",
        "user.tier": "gold",
        "account.id": "o",
        "account.name": "O",
        "account.logo_url": "http://l",
        "session.id": "s-1",
        "message.id": "m-1",
    }
    assert expected == {key: main["attributes"][key] for key in expected}
    assert {"in_task": True} == main["metadata"]
    assert "jane" == initialised.observation("deep")["user_id"]


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "async generator"])
def test_an_interaction_can_be_of_any_kind(initialised, kind):
    """Sync and async, returning and streaming."""
    if kind == "function":
        Brixo.interaction("I")(lambda: Brixo.begin_context(user={"id": "j"}))()
    elif kind == "coroutine":

        @Brixo.interaction("I")
        async def coroutine():
            Brixo.begin_context(user={"id": "j"})

        asyncio.run(coroutine())
    elif kind == "generator":

        @Brixo.interaction("I")
        def generator():
            Brixo.begin_context(user={"id": "j"})
            yield 1

        assert [1] == list(generator())
    else:

        @Brixo.interaction("I")
        async def async_generator():
            Brixo.begin_context(user={"id": "j"})
            yield 1

        async def main():
            return [x async for x in async_generator()]

        assert [1] == asyncio.run(main())
    assert "j" == initialised.observation("I")["user_id"]


def test_outside_an_interaction_context_calls_log_one_error_and_raise_nothing(initialised, caplog):
    """The message says what to do."""
    Brixo.begin_context(user={"id": "j"})
    (record,) = [r for r in caplog.records if r.name == "brixo" and "begin_context" in r.message]
    assert logging.ERROR == record.levelno
    assert "@Brixo.interaction" in record.message


def test_what_was_never_set_is_named_in_one_warning(initialised, caplog):
    """The required attributes that are missing at the interaction's end."""

    @Brixo.interaction("Main")
    def handle():
        Brixo.begin_context(user={"id": "j", "name": "J"}, input="x")

    handle()
    (record,) = [r for r in caplog.records if "required attributes" in r.message]
    assert "SDK traces: account.id, account.name, session_id, output (of" in record.message


def test_everything_that_is_missing_is_named_in_the_published_order(initialised, caplog):
    """As the published package names them, in one warning for each interaction."""

    @Brixo.interaction("Outer")
    def outer():
        Brixo.interaction("Inner")(lambda: None)()

    outer()
    names = "account.id, account.name, user.id, user.name, session_id, input, output"
    told = [r for r in caplog.records if "required attributes" in r.message]
    expected = f"The following required attributes are missing from your Brixo SDK traces: {names}"
    assert [True, True] == [r.message.startswith(expected) for r in told]
    assert {logging.WARNING} == {r.levelno for r in told}


def test_nothing_is_told_of_an_interaction_that_has_everything(initialised, caplog):
    """Whichever call said it, and in a generator at its end."""

    @Brixo.interaction("Main")
    def handle():
        Brixo.begin_context(user={"id": "j", "name": "J"}, input="x")
        yield 1
        Brixo.update_context(account={"id": "o", "name": "O"})
        Brixo.end_context(session_id="s", output="y")

    list(handle())
    assert "required attributes" not in caplog.text


def test_init_happens_once(initialised, caplog):
    """The same arguments again are silent, others warn and are ignored."""
    Brixo.init(app_name="my-agent", environment="test")
    assert "again" not in caplog.text
    Brixo.init(app_name="other", environment="test")
    assert 1 == caplog.text.count("called again with other arguments")
    assert "my-agent" == spanwise._state.runtime.settings.service_name


def test_init_from_many_threads_happens_once(tmp_path, monkeypatch):
    """Concurrent first calls wait for the one that sets up."""
    calls = []
    from brixo import _brixo

    real = _brixo._set_up
    monkeypatch.setattr(_brixo, "_set_up", lambda *a: (calls.append(a), real(*a)))
    threads = [threading.Thread(target=Brixo.init, args=("my-agent", "test")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 1 == len(calls)


def test_a_failed_init_may_be_tried_again(monkeypatch, tmp_path):
    """A bad address is an error; the next call sets up."""
    monkeypatch.setenv("BRIXO_API_KEY", "k")
    monkeypatch.setenv("BRIXO_OTLP_TRACES_ENDPOINT", "nonsense")
    with pytest.raises(ValueError, match="http"):
        Brixo.init(app_name="my-agent", environment="test")
    monkeypatch.delenv("BRIXO_API_KEY")
    Brixo.init(app_name="my-agent", environment="test")
    assert spanwise._state.runtime is not None


def test_every_other_thread_waits_until_the_first_init_is_done(monkeypatch):
    """No thread goes on with nothing set up, and a difference is said to whoever comes later."""
    from brixo import _brixo

    is_inside, go_on = threading.Event(), threading.Event()
    real = _brixo._set_up

    def slow(*arguments):
        is_inside.set()
        assert go_on.wait(30)
        real(*arguments)

    monkeypatch.setattr(_brixo, "_set_up", slow)
    seen = []

    def init():
        Brixo.init("my-agent", "test")
        seen.append(spanwise._state.runtime is not None)

    threads = [threading.Thread(target=init) for _ in range(4)]
    threads[0].start()
    assert is_inside.wait(30)
    for thread in threads[1:]:
        thread.start()
    assert [] == seen
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert [True] * 4 == seen


def test_a_thread_that_waits_for_an_init_that_fails_tries_by_itself(monkeypatch):
    """The fault goes to whoever called first; the next one sets up."""
    from brixo import _brixo

    real = _brixo._set_up
    outcomes = []

    def fails_once(*arguments):
        if not outcomes:
            outcomes.append("failed")
            raise ValueError("bad")
        real(*arguments)

    monkeypatch.setattr(_brixo, "_set_up", fails_once)

    def init():
        try:
            Brixo.init("my-agent", "test")
            outcomes.append("set up")
        except ValueError:
            pass

    threads = [threading.Thread(target=init) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ["failed", "set up", "set up", "set up"] == outcomes
    assert spanwise._state.runtime is not None


def test_context_calls_reach_the_interaction_from_spans_of_others(initialised):
    """Below a plain OpenTelemetry span, in a task group of its own, in a pool's thread."""
    tracer = trace.get_tracer("my.app")

    async def task(number):
        Brixo.update_context(metadata={f"task{number}": number})

    @Brixo.interaction("Main")
    async def handle():
        with tracer.start_as_current_span("plain"):
            await asyncio.gather(*(task(n) for n in range(3)))
            await asyncio.to_thread(Brixo.update_context, session_id="s")
            with ThreadPoolExecutor(1) as pool:
                pool.submit(Brixo.update_context, message_id="m").result()

    asyncio.run(handle())
    main = initialised.observation("Main")
    assert {"task0": 0, "task1": 1, "task2": 2} == main["metadata"]
    assert ("s", "m") == (main["session_id"], main["attributes"]["message.id"])


def test_context_calls_reach_the_innermost_interaction_and_then_the_outer_again(initialised):
    """Interactions at once in several tasks are kept apart, too."""

    @Brixo.interaction("Inner")
    async def inner(n):
        Brixo.begin_context(session_id=f"inner-{n}")
        await asyncio.sleep(0)
        Brixo.end_context(output=f"out-{n}")

    @Brixo.interaction("Outer")
    async def outer():
        Brixo.begin_context(session_id="outer")
        await asyncio.gather(*(inner(n) for n in range(3)))
        Brixo.end_context(output="outer")

    asyncio.run(outer())
    inners = [line for line in initialised.observations() if line["name"] == "Inner"]
    found = sorted((line["session_id"], line["output"]) for line in inners)
    assert [(f"inner-{n}", f"out-{n}") for n in range(3)] == found
    main = initialised.observation("Outer")
    assert ("outer", "outer") == (main["session_id"], main["output"])


@pytest.mark.parametrize("end", ["exhausted", "closed"])
def test_a_generator_interaction_is_sent_when_it_is_exhausted_or_closed(receiver, monkeypatch, end):
    """Nobody calls flush, and no timer has to go off."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "3600000")
    monkeypatch.setenv("BRIXO_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
    Brixo.init("my-agent", "test", api_key="k")

    @Brixo.interaction("Main")
    def handle():
        Brixo.begin_context(input="x")
        yield 1
        yield 2

    stream = handle()
    next(stream)
    list(stream) if end == "exhausted" else stream.close()
    until = time.monotonic() + 30
    while not receiver.requests and time.monotonic() < until:
        time.sleep(0.01)
    assert ["Main"] == [span.name for span in receiver.spans()]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_once_and_not_at_every_batch(receiver, monkeypatch, caplog, status):
    """One error says what to check; OpenTelemetry's own lines are not there."""
    monkeypatch.setenv("BRIXO_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
    Brixo.init("my-agent", "test", api_key="k")
    receiver.status = status
    handle = Brixo.interaction("Main")(lambda: None)
    for _ in range(3):
        handle()
        assert spanwise.flush(10) is False
    told = [r for r in caplog.records if r.levelno >= logging.ERROR]
    (record,) = told
    assert "check your BRIXO_API_KEY" in record.message
    assert str(status) in record.message
    assert not [r for r in caplog.records if r.name.startswith("opentelemetry")]
    receiver.status = 200
    handle()
    assert spanwise.flush(10) is True
    assert 4 == spanwise.stats()["exported.otlp"] == len({s.span_id for s in receiver.spans()})
    receiver.status = status
    handle()
    spanwise.flush(10)
    assert 2 == caplog.text.count("check your BRIXO_API_KEY")


OTHERS = ["my.app", "openinference.instrumentation.x", "opentelemetry.instrumentation.x"]


@pytest.mark.parametrize(
    ("switches", "seen"),
    [
        ({}, ["my.app"]),
        ({"filter_openinference_spans": False}, OTHERS[:2]),
        ({"filter_traceloop_spans": False}, ["my.app", OTHERS[2], "spanwise"]),
        (
            {"filter_openinference_spans": False, "filter_traceloop_spans": False},
            [*OTHERS, "spanwise"],
        ),
    ],
)
def test_the_filter_switches_withhold_spans_from_other_processors(
    receiver, monkeypatch, tmp_path, switches, seen
):
    """Never from Brixo, never from files; what is seen bears nobody's identity."""
    monkeypatch.setenv("BRIXO_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
    monkeypatch.setenv("SPANWISE_TRACES_DIR", str(tmp_path / "traces"))
    Brixo.init("my-agent", "test", api_key="k", **switches)
    other = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(other))

    @Brixo.interaction("Main")
    def handle():
        Brixo.begin_context(user={"id": "jane"})
        for scope in OTHERS:
            with trace.get_tracer(scope).start_as_current_span(scope):
                pass

    handle()
    assert spanwise.flush(10) is True
    spans = other.get_finished_spans()
    assert seen == [span.instrumentation_scope.name for span in spans]
    if not switches:
        assert {} == dict(spans[0].attributes)
    assert {*OTHERS, "Main"} == {span.name for span in receiver.spans()}
    assert {"jane"} == {line["user_id"] for line in Files(tmp_path / "traces").observations()}


def test_on_a_provider_of_the_applications_the_filter_switches_change_nothing(tmp_path):
    """It is fed as its maker wanted it."""
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    Brixo.init("my-agent", "test")
    other = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(other))
    Brixo.interaction("Main")(lambda: None)()
    assert ["Main"] == [span.name for span in other.get_finished_spans()]


def test_end_context_marks_the_interaction_as_told(initialised):
    """The mark is on the observation; without the call there is none."""

    @Brixo.interaction("Main")
    def handle(is_ended):
        Brixo.begin_context(input="x")
        if is_ended:
            Brixo.end_context(output="y")

    handle(True)
    handle(False)
    with_end, without = (line["attributes"] for line in initialised.observations())
    assert with_end["interaction.context_closed"] is True
    assert "interaction.context_reopened" not in with_end
    assert "interaction.context_closed" not in without


@pytest.mark.parametrize("call", [Brixo.begin_context, Brixo.update_context, Brixo.end_context])
def test_a_call_after_end_context_still_works_and_is_noted(initialised, call):
    """What it says is kept."""

    @Brixo.interaction("Main")
    def handle():
        Brixo.end_context(output="first")
        call(output="second", session_id="s")

    handle()
    main = initialised.observation("Main")
    assert ("second", "s") == (main["output"], main["session_id"])
    assert main["attributes"]["interaction.context_closed"] is True
    assert main["attributes"]["interaction.context_reopened"] is True


def test_without_a_key_it_says_so_once_and_works(initialised, caplog):
    """One clear error, and files."""
    told = [r for r in caplog.get_records("setup") if "BRIXO_API_KEY is not set" in r.message]
    assert 1 == len(told)
    Brixo.interaction("Main")(lambda: None)()
    assert 1 == len(initialised.traces())


def test_with_a_key_spans_are_sent_in_the_backends_vocabulary(receiver, monkeypatch, tmp_path):
    """Address, header, span and resource attributes are those that the backend reads."""
    monkeypatch.setenv("BRIXO_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
    Brixo.init("my-agent", "test", api_key="key-1", agent_version="7")

    @Brixo.interaction("Main")
    def handle(text):
        Brixo.begin_context(
            account={"id": "o", "name": "O"},
            user={"id": "j", "name": "J"},
            session_id="s",
            message_id="m",
            metadata={"plan": "pro", "tools": ["a"]},
            input=text,
        )
        Brixo.end_context(output='say "hi"')

    handle("hello")
    assert spanwise.flush(10) is True
    (span,) = receiver.spans()
    sent = attributes(span)
    assert {
        "brixo.span.kind": "ROOT",
        "brixo.account.id": "o",
        "brixo.account.name": "O",
        "brixo.user.id": "j",
        "brixo.user.name": "J",
        "brixo.session_id": "s",
        "brixo.message_id": "m",
        "brixo.metadata.plan": "pro",
        "brixo.metadata.tools": '["a"]',
        "brixo.input": "hello",
        "brixo.output": 'say "hi"',
    } == {key: value for key, value in sent.items() if key.startswith("brixo.")}
    assert '"hello"' == sent["observation.input"]
    (resource,) = receiver.resources()
    assert ("my-agent", "test", "7") == (
        resource["brixo.app_name"],
        resource["brixo.environment"],
        resource["brixo.agent_version"],
    )
    assert "brixo.sdk.version" in resource
    assert "Bearer key-1" == receiver.requests[0][1]["brixo-auth"]
    assert not (tmp_path / "traces").exists()
