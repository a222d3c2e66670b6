"""The face of the Brixo SDK."""

from __future__ import annotations

import asyncio
import inspect
import logging
import threading

import pytest

import spanwise
from brixo import Brixo, _once
from support.files import Files
from support.receiver import attributes


@pytest.fixture(autouse=True)
def fresh():
    _once.reset()
    yield
    _once.reset()


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
    (record,) = [r for r in caplog.records if "ended without" in r.message]
    assert "account.id, account.name, session_id, output" in record.message


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
