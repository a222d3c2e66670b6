"""Decorated calls reach a FluxLoop collector; what it does not take is kept."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import fluxloop
import spanwise
from fluxloop.buffer import EventBuffer
from fluxloop.storage import HTTPStorage, OfflineStore
from support.collector import Collector


@pytest.fixture(autouse=True)
def fresh_sdk(monkeypatch):
    """Nothing configured, no buffer made."""
    monkeypatch.setattr(EventBuffer, "_instance", None)
    fluxloop.reset_config()
    yield
    spanwise.shutdown()
    fluxloop.reset_config()


@pytest.fixture
def collector():
    """A collector that takes everything."""
    made = Collector()
    yield made
    made.close()


@fluxloop.tool()
def look_up(query):
    return query


@fluxloop.agent()
def answer(question, api_key="hidden-1"):
    return look_up(question)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_collector_gets_traces_and_observations(collector):
    """One request each, with the published paths, headers and fields; secrets are masked."""
    fluxloop.configure(
        collector_url=collector.url + "/", api_key="k-1", service_name="svc", environment="test"
    )
    with fluxloop.instrument("run", user_id="jane") as ctx:
        answer("why")
    EventBuffer.get_instance().flush()
    below = f"/api/traces/{ctx.trace.id}/observations"
    assert [below, below, "/api/traces"] == [path for path, _, _ in collector.seen]
    headers = collector.seen[0][1]
    assert ("Bearer k-1", "svc", "test") == tuple(
        headers[name] for name in ("Authorization", "X-Service-Name", "X-Environment")
    )
    tool, agent, trace = (body for _, _, body in collector.seen)
    assert (agent["id"], "tool", "why") == tuple(
        tool[name] for name in ("parent_observation_id", "type", "output")
    )
    assert {"question": "why", "api_key": "***"} == agent["input"]
    assert (str(ctx.trace.id), "run", "jane", {}, []) == tuple(
        trace[name] for name in ("id", "name", "user_id", "metadata", "tags")
    )
    assert spanwise.stats()["exported.collector"] == 3


def test_http_storage_writes_no_files(collector, tmp_path):
    """The collector is where traces are."""
    fluxloop.configure(storage="http", collector_url=collector.url)
    answer("why")
    assert spanwise.flush(10) is True
    assert 3 == len(collector.seen)
    assert [] == list((tmp_path / "traces").rglob("*"))
    assert [] == list((tmp_path / "experiments").rglob("*"))


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_the_paths_is_sent_otlp(collector, status):
    """Every observation arrives, those that it was asked about first among them."""
    collector.status = status
    fluxloop.configure(storage="http", collector_url=collector.url, api_key="k-1")
    for n in range(3):
        answer(n)
        assert spanwise.flush(10) is True
    assert sorted(["answer", "look_up"] * 3) == sorted(collector.spans)
    assert len(collector.seen) <= 3


def test_an_address_of_otlp_is_sent_otlp(collector):
    """Nothing is asked of another path."""
    fluxloop.configure(storage="http", collector_url=f"{collector.url}/v1/traces")
    answer("why")
    assert spanwise.flush(10) is True
    assert ["look_up", "answer"] == collector.spans
    assert [] == collector.seen


def test_while_the_collector_is_away_the_offline_store_is_written(tmp_path, caplog):
    """At once, in its published layout, and with one line that says so."""
    fluxloop.configure(storage="http", collector_url="http://127.0.0.1:9")
    for n in range(5):
        answer(n)
        EventBuffer.get_instance().flush()
    folder = tmp_path / "experiments" / "artifacts"
    assert 10 == len(lines(folder / "observations.jsonl"))
    assert 5 == len(lines(folder / "traces.jsonl"))
    assert 1 == caplog.text.count("is away")
    assert "lost.collector" not in spanwise.stats()


@pytest.mark.parametrize("status", [400, 401, 500])
def test_what_the_collector_refuses_is_kept(collector, tmp_path, caplog, status):
    """It is told once, not for each line."""
    collector.status = status
    fluxloop.configure(storage="http", collector_url=collector.url)
    for n in range(3):
        answer(n)
    assert spanwise.flush(10) is True
    assert 6 == len(lines(tmp_path / "experiments" / "artifacts" / "observations.jsonl"))
    assert 1 == caplog.text.count(f" {status}") + caplog.text.count(f"({status})")


def test_without_an_offline_store_what_waits_is_delivered_by_the_next_process(tmp_path, caplog):
    """Nothing is lost; flush says that it did not arrive yet."""
    address = Collector()
    address.close()
    fluxloop.configure(
        storage="http", collector_url=address.url, offline_store_enabled=False, api_key="k-1"
    )
    answer("why")
    assert spanwise.flush(0.1) is False
    spanwise.shutdown()
    assert [] == [name for name in spanwise.stats() if name.startswith("lost")]
    collector = Collector(address.port)
    try:
        fluxloop.configure(storage="http")
        answer("next")
        assert spanwise.flush(10) is True
        outputs = [body.get("output") for path, _, body in collector.seen if "observ" in path]
        assert ["next", "next", "why", "why"] == sorted(outputs)
        assert {"Bearer k-1"} == {headers["Authorization"] for _, headers, _ in collector.seen}
    finally:
        collector.close()


def test_no_credential_is_spooled(tmp_path):
    """A line says what is to be sent, and not with which key."""
    fluxloop.configure(storage="http", collector_url="http://127.0.0.1:9", api_key="k-secret-1")
    answer("why")
    spanwise.shutdown()
    spooled = [path.read_text() for path in (tmp_path / "state").rglob("*.jsonl")]
    assert "why" in "".join(spooled)
    assert not any("k-secret-1" in text for text in spooled)


def test_what_waits_at_the_exit_is_kept(tmp_path):
    """A program that ends at once loses nothing, whether the collector hangs or is gone."""
    program = """
import fluxloop
fluxloop.configure(storage="http", collector_url="http://127.0.0.1:9")
@fluxloop.agent()
def answer(question):
    return question
answer("why")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60)
    assert 0 == done.returncode
    folder = tmp_path / "experiments" / "artifacts"
    assert ["why"] == [line["output"] for line in lines(folder / "observations.jsonl")]


def test_a_store_that_is_written_in_any_case_is_not_written_twice(tmp_path, caplog):
    """Nothing is lost, and nothing says so."""
    fluxloop.configure(
        collector_url="http://127.0.0.1:9", offline_store_dir=str(tmp_path / "artifacts")
    )
    for n in range(3):
        answer(n)
        EventBuffer.get_instance().flush()
    spanwise.shutdown()
    assert 6 == len(lines(tmp_path / "artifacts" / "observations.jsonl"))
    assert "lost.collector" not in spanwise.stats()
    assert 1 == caplog.text.count("traces are kept in")
    assert "did not reach" not in caplog.text


def test_use_collector_false_sends_nothing(collector):
    """Whatever address is set."""
    fluxloop.configure(collector_url=collector.url, use_collector=False)
    answer("why")
    assert spanwise.flush(10) is True
    assert [] == collector.seen


def test_a_later_configuration_replaces_the_collector(collector):
    """What ends later goes to the other one; the same one is kept."""
    other = Collector()
    fluxloop.configure(storage="http", collector_url=collector.url)
    answer(1)
    fluxloop.configure(sample_rate=1.0)
    fluxloop.configure(collector_url=other.url)
    answer(2)
    assert spanwise.flush(10) is True
    assert ([1, 1], [2, 2]) == tuple(
        [body["output"] for path, _, body in made.seen if path.endswith("observations")]
        for made in (collector, other)
    )
    other.close()


def test_a_storage_of_ones_own_sends_what_it_is_handed(collector, tmp_path):
    """Models made by hand take the same way."""
    from fluxloop.models import ObservationData, ObservationType, TraceData

    storage = HTTPStorage(collector.url, "k-2", offline=OfflineStore(tmp_path / "o"))
    trace = TraceData(name="t")
    storage.record_traces([trace])
    storage.record_observations([(trace.id, ObservationData(type=ObservationType.TOOL, name="o"))])
    assert storage.flush(10) is True
    storage.close(1)
    assert ["t", "o"] == [body["name"] for _, _, body in collector.seen]
    assert "Bearer k-2" == collector.seen[0][1]["Authorization"]
