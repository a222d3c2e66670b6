"""FluxLoop's storages, its buffer and its client: what is where, and when."""

from __future__ import annotations

import asyncio
import datetime
import json
import uuid

import pytest
import requests

import fluxloop
import spanwise
from fluxloop.buffer import EventBuffer
from fluxloop.client import FluxLoopClient
from fluxloop.models import ObservationData, ObservationType, TraceData
from fluxloop.places import storage_in_force
from fluxloop.storage import FileStorage, MemoryStorage, OfflineStore
from support.collector import Collector


@pytest.fixture(autouse=True)
def fresh_sdk(monkeypatch):
    """Nothing configured, no buffer made."""
    monkeypatch.setattr(EventBuffer, "_instance", None)
    fluxloop.reset_config()
    yield
    fluxloop.reset_config()


@pytest.fixture
def store(tmp_path):
    """The offline store in force, and what is in it."""
    fluxloop.configure(offline_store_dir=tmp_path / "artifacts")
    return Store(tmp_path / "artifacts")


class Store:
    def __init__(self, folder):
        self.folder = folder

    def lines(self, name):
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    @property
    def traces(self):
        return self.lines("traces")

    @property
    def observations(self):
        return self.lines("observations")


@fluxloop.tool(description="Looks things up")
def look_up(query):
    return {"found": query}


@fluxloop.agent()
def answer(question):
    return look_up(question)["found"]


def test_offline_store_dir_chooses_the_published_layout(store, tmp_path):
    """Undated files in that folder, lines in the order in which things end, and no dated ones."""
    with fluxloop.instrument("run", user_id="jane", metadata={"k": 1}, tags=["t"]) as ctx:
        answer("why")
    tool, agent = store.observations
    (trace,) = store.traces
    assert str(ctx.trace.id) == trace["id"] == tool["trace_id"] == agent["trace_id"]
    assert ("run", "jane", {"k": 1}, ["t"]) == tuple(
        trace[name] for name in ("name", "user_id", "metadata", "tags")
    )
    assert {"id", "name", "start_time", "end_time", "user_id", "metadata", "tags"} == set(trace)
    assert ("tool", "look_up", agent["id"], "info") == tuple(
        tool[name] for name in ("type", "name", "parent_observation_id", "level")
    )
    assert "Looks things up" == tool["metadata"]["description"]
    assert ("agent", {"question": "why"}, "why") == (agent["type"], agent["input"], agent["output"])
    assert "parent_observation_id" not in agent
    assert all("+00:00" in agent[name] for name in ("start_time", "end_time"))
    assert not (tmp_path / "traces").exists()


def test_the_variable_chooses_the_layout_too(monkeypatch, tmp_path):
    """As the FluxLoop CLI sets it, also where the program loads its configuration anew."""
    monkeypatch.setenv("FLUXLOOP_OFFLINE_DIR", str(tmp_path / "a"))
    fluxloop.reset_config()
    answer("one")
    fluxloop.reset_config()
    answer("two")
    assert 4 == len(Store(tmp_path / "a").observations)


def test_the_folder_follows_the_configuration(store, tmp_path):
    """What ends later goes to where the store is then."""
    answer("one")
    fluxloop.configure(offline_store_dir=str(tmp_path / "b"))
    answer("two")
    assert ["one"] == [line["output"] for line in store.observations if line["type"] == "agent"]
    assert 2 == len(Store(tmp_path / "b").observations)


def test_without_the_offline_store_dated_files_are_written(tmp_path):
    """They are the documents' default; a store that is switched off is none."""
    fluxloop.configure(offline_store_dir=str(tmp_path / "a"), offline_store_enabled=False)
    answer("one")
    assert not (tmp_path / "a").exists()
    assert list((tmp_path / "traces").glob("observations_*.jsonl"))


def test_an_observation_that_ended_is_stored_while_its_trace_is_open(store):
    """A reader that flushes between two turns finds it."""
    with fluxloop.instrument("run") as ctx:
        answer("one")
        EventBuffer.get_instance().flush()
        assert ["tool", "agent"] == [line["type"] for line in store.observations]
        assert {str(ctx.trace.id)} == {line["trace_id"] for line in store.observations}
        assert not (store.folder / "traces.jsonl").exists()
    assert 1 == len(store.traces)


def test_a_stream_of_mappings_is_no_answer(store):
    """Text is joined; what is not text is left out, since readers would take it for the answer."""

    @fluxloop.agent()
    async def text():
        yield "a"
        yield "b"

    @fluxloop.agent()
    async def mappings():
        yield {"delta": "a"}

    async def consume():
        return [c async for c in text()], [c async for c in mappings()]

    asyncio.run(consume())
    first, second = store.observations
    assert "ab" == first["output"]
    assert "output" not in second


def test_a_failure_and_tokens_are_stored_under_the_published_names(store):
    """At the top level, where readers look for them."""

    @fluxloop.prompt(model="gpt")
    def ask():
        return {"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9}}

    @fluxloop.agent()
    def failing():
        ask()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()
    asked, failed = store.observations
    assert (3, 4, 9) == tuple(
        asked[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    assert ("no", "ValueError") == (failed["error"], failed["metadata"]["error_type"])


def test_memory_storage_keeps_things_in_memory(tmp_path):
    """And writes no file."""
    fluxloop.configure(storage="memory")
    answer("why")
    memory = storage_in_force()
    assert isinstance(memory, MemoryStorage)
    assert ["tool", "agent"] == [line["type"] for line in memory.observations]
    assert ["answer"] == [line["name"] for line in memory.traces]
    assert [] == list(tmp_path.rglob("*.jsonl"))


def test_a_store_that_cannot_be_written_is_counted(tmp_path, caplog):
    """The call is not disturbed."""
    (tmp_path / "a").write_text("in the way")
    fluxloop.configure(offline_store_dir=str(tmp_path / "a"))
    assert "x" == answer("x")
    assert spanwise.flush() is False
    assert spanwise.stats()["delayed.offline_store"] >= 2
    spanwise.shutdown()
    assert spanwise.stats()["lost.offline_store"] >= 2
    assert "cannot write to" in caplog.text


def test_secrets_are_masked_in_every_storage(store, tmp_path):
    """Those of decorated calls, and those of models made by hand."""
    trace = TraceData(name="by hand", metadata={"api_key": "hidden-1"})
    observation = ObservationData(
        type=ObservationType.TOOL, name="t", input={"password": "hidden-2"}, output="hidden"
    )
    answer({"token": "hidden-3"})
    buffer = EventBuffer.get_instance()
    buffer.add_trace(trace)
    buffer.add_observation(trace.id, observation)
    buffer.flush()
    files = FileStorage(tmp_path / "f")
    files.record_traces([trace])
    files.record_observations([(trace.id, observation)])
    text = "".join(path.read_text() for path in tmp_path.rglob("*.jsonl"))
    assert "by hand" in text
    assert "hidden-" not in text


# --- the buffer ---------------------------------------------------------------------------------


def test_there_is_one_buffer():
    """Tests of programs reset it by its class attribute."""
    first = EventBuffer.get_instance()
    assert first is EventBuffer.get_instance()
    with pytest.raises(RuntimeError, match="get_instance"):
        EventBuffer()
    EventBuffer._instance = None
    assert first is not EventBuffer.get_instance()


def test_what_is_added_is_stored_at_the_flush(store):
    """Under the ids that it was given."""
    buffer = EventBuffer.get_instance()
    trace = TraceData(name="t")
    observation = ObservationData(type=ObservationType.SPAN, name="o", output=1)
    buffer.add_trace(trace)
    buffer.add_observation(trace.id, observation)
    assert not store.folder.exists()
    buffer.flush()
    assert str(trace.id) == store.traces[0]["id"] == store.observations[0]["trace_id"]
    assert str(observation.id) == store.observations[0]["id"]
    buffer.flush()
    assert 1 == len(store.traces)


def test_a_full_batch_is_flushed_when_asked(store):
    """Less is left waiting."""
    fluxloop.configure(batch_size=3)
    buffer = EventBuffer.get_instance()
    for expected in (0, 0, 3):
        buffer.add_trace(TraceData(name="t"))
        buffer.flush_if_needed()
        assert expected == (len(store.traces) if store.folder.exists() else 0)
    buffer.add_trace(TraceData(name="last"))
    buffer.shutdown()
    assert 4 == len(store.traces)


def test_a_disabled_buffer_takes_nothing(store):
    """As the rest of the SDK then does nothing."""
    fluxloop.configure(enabled=False)
    buffer = EventBuffer.get_instance()
    buffer.add_trace(TraceData(name="t"))
    buffer.add_observation(uuid.uuid4(), ObservationData(type=ObservationType.SPAN, name="o"))
    buffer.flush()
    assert not store.folder.exists()


# --- the context --------------------------------------------------------------------------------


def test_a_context_lists_the_observations_of_decorated_calls(store):
    """In start order, open and finished, with what went in and came out."""
    with fluxloop.instrument("run") as ctx:

        @fluxloop.agent()
        def outer(question):
            (open_one,) = ctx.observations
            assert ("outer", None) == (open_one.name, open_one.end_time)
            with pytest.raises(KeyError):
                failing()
            return look_up(question)

        @fluxloop.trace()
        def failing():
            raise KeyError("gone")

        outer("why")
        listed = ctx.observations
        assert ["outer", "failing", "look_up"] == [one.name for one in listed]
        agent, failed, tool = listed
        assert (ObservationType.AGENT, {"question": "why"}, {"found": "why"}) == (
            agent.type,
            agent.input,
            agent.output,
        )
        assert agent.id == tool.parent_observation_id == failed.parent_observation_id
        assert agent.parent_observation_id is None
        assert "'gone'" in failed.error
        assert all(one.end_time >= one.start_time for one in listed)
        assert {ctx.trace.id} == {one.trace_id for one in listed}
    assert {one.id for one in listed} == {line["id"] for line in store.observations}
    assert ctx.buffer is EventBuffer.get_instance()


def test_generators_and_coroutines_are_listed_too(store):
    """Finished when they are exhausted, or awaited."""

    @fluxloop.prompt()
    def stream():
        yield "a"
        yield "b"

    @fluxloop.agent()
    async def ask():
        return "".join(stream())

    with fluxloop.instrument("run") as ctx:
        asyncio.run(ask())
    assert [("ask", "ab"), ("stream", "ab")] == [(o.name, o.output) for o in ctx.observations]


def test_a_total_set_by_hand_stands(store):
    """It need not be the sum."""
    with fluxloop.instrument("run") as ctx:
        observation = ObservationData(type=ObservationType.GENERATION, name="g")
        ctx.push_observation(observation)
        observation.prompt_tokens, observation.completion_tokens = 1, 2
        observation.total_tokens = 7
        ctx.pop_observation()
        other = ObservationData(type=ObservationType.GENERATION, name="h", total_tokens=5)
        ctx.push_observation(other)
        ctx.pop_observation()
    assert [7, 5] == [line["total_tokens"] for line in store.observations]


# --- the client ---------------------------------------------------------------------------------


@pytest.fixture
def collector():
    """A collector that takes everything."""
    made = Collector()
    yield made
    made.close()


def test_the_client_posts_to_a_collector(collector):
    """Paths, headers and bodies are the published ones; None is left out, and secrets are."""
    fluxloop.configure(service_name="svc", environment="test")
    trace = TraceData(name="t", metadata={"password": "hidden"})
    observation = ObservationData(
        type=ObservationType.TOOL,
        name="o",
        start_time=datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    )
    with FluxLoopClient(collector_url=f"{collector.url}/", api_key="k-1") as client:
        assert {"ok": 1} == client.send_trace(trace)
        assert {"ok": 2} == client.send_observation(trace.id, observation)
    (first, headers, body), (second, _, sent) = collector.seen
    assert ("/api/traces", f"/api/traces/{trace.id}/observations") == (first, second)
    assert ("Bearer k-1", "svc", "test", "application/json") == tuple(
        headers[name]
        for name in ("Authorization", "X-Service-Name", "X-Environment", "Content-Type")
    )
    assert {"id", "name", "start_time", "metadata", "tags"} == set(body)
    assert {"password": "***"} == body["metadata"]
    assert ("info", {}, "2026-01-02T00:00:00+00:00") == (
        sent["level"],
        sent["metadata"],
        sent["start_time"],
    )


def test_the_client_raises_what_the_collector_refuses(collector):
    """And what cannot be reached; making a client connects nothing."""
    collector.status = 500
    client = FluxLoopClient(collector_url=collector.url)
    with pytest.raises(requests.HTTPError):
        client.send_trace(TraceData(name="t"))
    with pytest.raises(requests.ConnectionError):
        FluxLoopClient("http://127.0.0.1:1").send_trace(TraceData(name="t"))
    assert "http://localhost:8000" == FluxLoopClient().collector_url


def test_a_client_that_is_off_says_so(collector):
    """It sends nothing."""
    off = FluxLoopClient(collector_url=collector.url, enabled=False)
    assert {"status": "disabled"} == off.send_trace(TraceData(name="t"))
    fluxloop.configure(use_collector=False)
    client = FluxLoopClient(collector_url=collector.url)
    assert {"status": "collector_disabled"} == client.send_trace(TraceData(name="t"))
    assert [] == collector.seen


def test_the_client_stores_where_it_is_told(tmp_path):
    """At once, or with the buffer full, flushed or closed."""
    trace = TraceData(name="t")
    client = FluxLoopClient(storage="file", base_path=tmp_path / "c", project_name="p")
    assert {"status": "stored"} == client.send_trace(trace)
    client.send_observation(trace.id, ObservationData(type=ObservationType.TOOL, name="o"))
    (line,) = (tmp_path / "c").glob("traces_*.jsonl")
    assert str(trace.id) == json.loads(line.read_text())["trace_id"]
    (line,) = (tmp_path / "c").glob("observations_*.jsonl")
    assert ("o", None) == tuple(json.loads(line.read_text())[n] for n in ("name", "parent_id"))
    memory = FluxLoopClient(storage="memory", auto_flush=False, buffer_size=2)
    assert {"status": "buffered"} == memory.send_trace(trace)
    assert 0 == len(memory.storage.traces)
    memory.send_trace(trace)
    assert 2 == len(memory.storage.traces)
    memory.send_trace(trace)
    memory.close()
    assert 3 == len(memory.storage.traces)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"storage": "disk"}, "storage must be one of file, http, memory"),
        ({"collector_url": "nonsense"}, "Invalid collector URL"),
        ({"buffer_size": "many"}, "buffer_size"),
    ],
)
def test_a_client_is_not_made_of_wrong_values(options, message):
    """The error names what was wrong."""
    with pytest.raises(ValueError, match=message):
        FluxLoopClient(**options)


def test_an_offline_store_takes_what_it_is_handed(tmp_path):
    """In the configured folder, unless it is given one."""
    fluxloop.configure(offline_store_dir=str(tmp_path / "a"))
    store = OfflineStore()
    assert tmp_path / "a" / "traces.jsonl" == store.traces_file
    store.record_traces([TraceData(name="x"), TraceData(name="y")])
    store.record_observations([("f" * 32, ObservationData(type=ObservationType.SPAN, name="o"))])
    store.close()
    store.record_traces([TraceData(name="z")])
    assert ["x", "y", "z"] == [line["name"] for line in Store(tmp_path / "a").traces]
    assert ["f" * 32] == [line["trace_id"] for line in Store(tmp_path / "a").observations]


def test_a_tools_call_is_not_recorded(tmp_path):
    """Whoever replays a recording takes its last line, which must be the agent's."""
    calls = tmp_path / "calls.jsonl"
    fluxloop.configure(record_args=True, recording_file=str(calls))
    answer("why")
    assert [{"question": "why"}] == [
        json.loads(line)["kwargs"] for line in calls.read_text().splitlines()
    ]


def test_each_chunk_of_a_prompt_can_be_told(tmp_path):
    """When it came, and how long it is, but not what is in it; of many the first."""
    fluxloop.configure(base_path=str(tmp_path / "t"))

    @fluxloop.prompt(capture_chunks=True)
    def stream(count):
        for _ in range(count):
            yield "four"
        yield {"usage": {"input_tokens": 1}}

    for count in (2, 300):
        list(stream(count))
    short, long = [
        json.loads(line)["events"]
        for path in (tmp_path / "t").glob("observations_*")
        for line in path.read_text().splitlines()
    ]
    assert [(0, 4), (1, 4), (2, None)] == [
        (
            event["attributes"]["observation.stream.index"],
            event["attributes"].get("observation.stream.size"),
        )
        for event in short
    ]
    assert 100 == len(long)
