"""What a collector answers decides what becomes of spans, and none is lost for it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import orjson
import pytest

import spanwise
from spanwise.export import policy, segments
from support.faulty_collector import (
    Behaviour,
    FaultyCollector,
    FaultyGrpcCollector,
    GrpcBehaviour,
)
from support.programs import Outcome, wait_until
from support.work import Work

# Of a flush that must not take them.
LONG_S = 60.0
WATCHDOG_S = 30.0


@pytest.fixture
def collector():
    with FaultyCollector() as made:
        yield made


@pytest.fixture
def grpc_collector(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with FaultyGrpcCollector() as made:
        yield made


@pytest.fixture
def said(caplog):
    """Return what was logged so far and holds a word."""

    def find(word):
        return [record.message for record in caplog.records if word in record.message]

    return find


def kept(folder):
    """Return the ids of the spans that were kept under a folder."""
    documents = [
        orjson.loads(line.data)
        for path in sorted(folder.rglob("*.kept.jsonl"))
        for line in segments.lines_of(path)
    ]
    return [one["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["spanId"] for one in documents]


def pause_s(collector, number=0):
    """Return how long the request after this one let the collector wait."""
    requests = collector.requests
    return requests[number + 1].at_s - requests[number].at_s


# A destination that is away, and says for how long


@pytest.mark.parametrize("status", [429, 503])
def test_a_destination_that_asks_for_a_pause_gets_it(collector, status):
    """Also from a flush, which is in a hurry; everything arrives after it."""
    collector.behaviour = Behaviour(status=status, retry_after="1", times=1)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(50)
    wait_until(lambda: collector.requests)
    work.do(50)
    assert spanwise.flush(0.2) is False
    assert spanwise.flush(WATCHDOG_S) is True
    assert pause_s(collector) >= 1.0
    assert Outcome(100) == work.outcome(collector)


def test_a_pause_may_be_asked_for_with_a_date(collector):
    """No request comes before it."""
    until = (datetime.now(timezone.utc) + timedelta(seconds=2.5)).replace(microsecond=0)
    collector.behaviour = Behaviour(
        status=503, retry_after=format_datetime(until, usegmt=True), times=1
    )
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(50)
    assert spanwise.flush(WATCHDOG_S) is True
    since_the_epoch_s = collector.requests[1].at_s + time.time() - time.monotonic()
    # The two clocks are read one after the other, and a date is compared with a third reading.
    assert since_the_epoch_s >= until.timestamp() - 0.05
    assert Outcome(50) == work.outcome(collector)


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        *((503, asked) for asked in ("86400000", "1e9", "-3", "soon", "nan", "")),
        (503, "Fri, 31 Dec 2199 23:59:59 GMT"),
        *((status, None) for status in (429, 502, 503, 504)),
    ],
)
def test_where_no_sensible_pause_is_asked_for_there_are_the_usual_ones(
    collector, monkeypatch, status, asked
):
    """Then everything arrives."""
    monkeypatch.setattr(policy, "RETRY_FIRST_S", 0.02)
    collector.behaviour = Behaviour(status=status, retry_after=asked, times=2)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(50)
    assert spanwise.flush(WATCHDOG_S) is True
    assert Outcome(50) == work.outcome(collector)
    statuses = [request.status for request in collector.requests]
    assert ([status, status], {200}) == (statuses[:2], set(statuses[2:]))


@pytest.mark.parametrize("asked", ["1", "0", "Sun, 06 Nov 1994 08:49:37 GMT"])
def test_a_flush_waits_for_the_pause_that_was_asked_for_and_for_no_other(
    collector, monkeypatch, asked
):
    """The pace of our own may be far slower by then."""
    monkeypatch.setattr(policy, "RETRY_FIRST_S", 2 * LONG_S)
    monkeypatch.setattr(policy, "RETRY_LONGEST_S", 2 * LONG_S)
    collector.behaviour = Behaviour(status=503, retry_after=asked, times=1)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(50)
    wait_until(lambda: collector.requests)
    assert spanwise.flush(WATCHDOG_S) is True
    assert Outcome(50) == work.outcome(collector)


@pytest.mark.parametrize("status", [401, 429])
def test_a_flush_does_not_wait_for_what_is_not_sent_in_its_time(collector, status):
    """The pause that was asked for is longer."""
    collector.behaviour = Behaviour(status=status, retry_after="290", times=1)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(50)
    wait_until(lambda: collector.requests)
    since = time.monotonic()
    assert spanwise.flush(LONG_S) is False
    assert time.monotonic() - since < LONG_S / 2
    assert 1 == len(collector.requests)


def test_a_shutdown_respects_a_pause_too(collector):
    """What is left then is sent by whoever comes next."""
    collector.behaviour = Behaviour(status=503, retry_after="60", times=1)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(50)
    wait_until(lambda: collector.requests)
    spanwise.shutdown()
    time.sleep(0.3)
    assert [503] == [request.status for request in collector.requests]
    spanwise.configure(otlp_endpoint=collector.url)
    assert collector.wait_for(50, WATCHDOG_S)
    assert spanwise.flush(WATCHDOG_S) is True
    assert Outcome(50) == work.outcome(collector)


def test_a_destination_that_is_away_is_told_of_once(collector, said):
    """Not for each batch, nor when it goes away again soon; and once that it is back."""
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    for _ in range(2):
        collector.down()
        work.do(600)
        assert spanwise.flush(0.4) is False
        work.do(600)
        assert spanwise.flush(0.4) is False
        collector.up()
        assert spanwise.flush(WATCHDOG_S) is True
    assert spanwise.stats()["retried.otlp"] >= 4
    assert 1 == len(said("is away, what is sent there waits: connection refused"))
    assert 1 == len(said("is back"))
    assert Outcome(2400) == work.outcome(collector)


# A destination that takes a person to mend


def assert_parked(collector, behaviour, said, reason):
    """Check that it is told once, probed slowly, not waited for, and given everything later."""
    spanwise.configure(
        otlp_endpoint=collector.url, otlp_headers={"authorization": "Bearer of-this-collector"}
    )
    work = Work()
    work.do(50)
    assert spanwise.flush(WATCHDOG_S) is True
    accepting, requests = collector.behaviour, len(collector.requests)
    collector.behaviour = behaviour
    work.do(50)
    wait_until(lambda: len(collector.requests) > requests)
    work.do(50)
    time.sleep(0.3)
    assert requests + 1 == len(collector.requests)
    for _ in range(2):
        since = time.monotonic()
        assert spanwise.flush(LONG_S) is False
        assert time.monotonic() - since < LONG_S / 2
    # One for each flush; each may have come in the midst of another one.
    assert len(collector.requests) <= requests + 5
    assert 1 == len(said(reason))
    assert 50 == len(collector.accepted)
    collector.behaviour = accepting
    assert spanwise.flush(WATCHDOG_S) is True
    assert 1 == len(said("is back"))
    assert 2 == len(said(collector.url))
    assert Outcome(150) == work.outcome(collector)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "the credentials were refused (401): check your "),
        (403, "the credentials were refused (403): check your "),
        (404, "it answered 404"),
        (408, "it answered 408"),
        (500, "it answered 500"),
    ],
)
def test_an_answer_that_takes_a_person_to_mend_is_probed_slowly(collector, said, status, reason):
    """One line says so, a flush does not wait in vain, and everything arrives once it is mended."""
    assert_parked(collector, Behaviour(status=status), said, reason)


def test_a_redirect_is_not_followed(collector, said):
    """Credentials go nowhere else, and neither do spans; the line says where it leads to."""
    with FaultyCollector() as elsewhere:
        to = f"{elsewhere.url}/v1/traces"
        behaviour = Behaviour(status=302, location=f"{to}?token=of-a-session")
        assert_parked(collector, behaviour, said, f"it redirects to {to} (302); ")
        assert [] == elsewhere.requests
        assert [] == said("of-a-session")
        assert {"Bearer of-this-collector"} == {
            request.headers["authorization"] for request in collector.requests
        }


def test_what_was_mended_is_found_without_a_flush(collector, monkeypatch):
    """By the slow probing."""
    monkeypatch.setattr(policy, "PARK_FIRST_S", 0.3)
    collector.behaviour = Behaviour(status=401, times=2)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(50)
    assert collector.wait_for(50, WATCHDOG_S)
    assert pause_s(collector) >= 0.15
    assert spanwise.flush(WATCHDOG_S) is True
    assert Outcome(50) == work.outcome(collector)


# A destination that does not take everything


@pytest.mark.parametrize("culprits", [[500], [0, 1, 255, 256, 600, 998, 999]], ids=["1", "7"])
def test_a_span_that_is_refused_is_found_and_its_neighbours_are_delivered(
    collector, said, tmp_path, culprits
):
    """It is kept on the disk and counted, and flush is content."""
    collector.behaviour = Behaviour(refuse_names={"poison"})
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    for number in range(1000):
        work.block("poison" if number in culprits else "good")
    assert spanwise.flush(WATCHDOG_S) is True
    poison = [work.ids[number] for number in culprits]
    assert Outcome(1000 - len(culprits), lost=len(culprits)) == work.outcome(collector)
    assert set(work.ids) - set(poison) == collector.accepted
    assert poison == kept(tmp_path)
    stats = spanwise.stats()
    counted = [stats[name] for name in ("exported.otlp", "refused.otlp", "kept.spool")]
    assert [1000 - len(culprits), len(culprits), len(culprits)] == counted
    assert 1 == len(said("refused a span, which is kept: it answered 400"))
    requests = len(collector.requests)
    work.block("good")
    assert spanwise.flush(WATCHDOG_S) is True
    assert requests + 1 == len(collector.requests)


def test_a_request_that_is_too_large_is_split(collector):
    """As often as it takes."""
    collector.behaviour = Behaviour(max_bytes=20_000)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(600)
    assert spanwise.flush(WATCHDOG_S) is True
    assert Outcome(600) == work.outcome(collector)
    sizes = [int(r.headers["content-length"]) for r in collector.requests if r.status == 200]
    assert max(sizes) <= 20_000
    assert {200, 413} == {request.status for request in collector.requests}
    assert "cut.otlp" not in spanwise.stats()


class Limited(FaultyCollector):
    """A collector that limits the rate of requests: after a few it is away for one."""

    def take_behaviour(self):
        behaviour = super().take_behaviour()
        return Behaviour(status=429) if len(self.requests) % 4 == 3 else behaviour


@pytest.mark.parametrize(
    ("behaviour", "lost"),
    [(Behaviour(refuse_names={"poison"}), 3), (Behaviour(max_bytes=2_000), 0)],
    ids=["refusing", "splitting"],
)
def test_a_search_that_is_interrupted_goes_on_where_it_was(monkeypatch, tmp_path, behaviour, lost):
    """A span that is refused does not hold up the others of a collector that limits the rate."""
    monkeypatch.setattr(policy, "RETRY_FIRST_S", 0.01)
    monkeypatch.setattr(policy, "RETRY_LONGEST_S", 0.01)
    with Limited() as collector:
        collector.behaviour = behaviour
        spanwise.configure(otlp_endpoint=collector.url)
        work = Work()
        for number in range(600):
            work.block("poison" if number in (0, 300, 599) else "good")
        assert spanwise.flush(WATCHDOG_S) is True
        assert Outcome(600 - lost, lost=lost) == work.outcome(collector)
        assert [work.ids[number] for number in (0, 300, 599)[:lost]] == kept(tmp_path)


def test_what_a_partial_success_rejects_is_counted_and_not_sent_again(collector, said, tmp_path):
    """One line says why."""
    collector.behaviour = Behaviour(rejected=3, message="names are too long")
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    for _ in range(3):
        work.do(20)
        assert spanwise.flush(WATCHDOG_S) is True
    assert 3 == len(collector.requests)
    assert Outcome(51, lost=9) == work.outcome(collector)
    stats = spanwise.stats()
    assert (51, 9) == (stats["exported.otlp"], stats["rejected.otlp"])
    assert 1 == len(said("names are too long"))
    time.sleep(0.3)
    assert 3 == len(collector.requests)


# The same over gRPC


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_a_pause_may_be_asked_for_over_grpc(grpc_collector, code):
    """With a RetryInfo; a flush waits for it too."""
    grpc_collector.behaviour = GrpcBehaviour(code=code, retry_after_s=0.7, times=1)
    spanwise.configure(otlp_endpoint=grpc_collector.url)
    work = Work()
    work.do(50)
    wait_until(lambda: grpc_collector.requests)
    work.do(50)
    assert spanwise.flush(0.2) is False
    assert spanwise.flush(WATCHDOG_S) is True
    assert pause_s(grpc_collector) >= 0.7
    assert Outcome(100) == work.outcome(grpc_collector)


@pytest.mark.parametrize(
    "behaviour",
    [
        GrpcBehaviour(code="UNAVAILABLE", times=2),
        GrpcBehaviour(code="RESOURCE_EXHAUSTED", times=2),
        GrpcBehaviour(hang=True, times=1),
    ],
    ids=["unavailable", "exhausted", "hanging"],
)
def test_a_collector_that_is_away_for_a_while_gets_everything_over_grpc(
    grpc_collector, monkeypatch, behaviour
):
    """Without having asked for a pause, or without an answer in time."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    grpc_collector.behaviour = behaviour
    spanwise.configure(otlp_endpoint=grpc_collector.url)
    work = Work()
    work.do(100)
    assert spanwise.flush(WATCHDOG_S) is True
    statuses = [request.status for request in grpc_collector.requests]
    assert [None if behaviour.hang else behaviour.code] * behaviour.times == statuses[:-1]
    assert Outcome(100) == work.outcome(grpc_collector)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("UNAUTHENTICATED", "the credentials were refused (UNAUTHENTICATED): check your "),
        ("UNIMPLEMENTED", "it answered UNIMPLEMENTED"),
    ],
)
def test_a_code_that_takes_a_person_to_mend_is_probed_slowly(grpc_collector, said, code, reason):
    """As the statuses of HTTP are."""
    assert_parked(grpc_collector, GrpcBehaviour(code=code), said, reason)


def test_a_span_that_is_refused_over_grpc_is_found(grpc_collector, tmp_path):
    """The first of ten is: a request of ten, of five, of two and of one are refused."""
    grpc_collector.behaviour = GrpcBehaviour(code="INVALID_ARGUMENT", times=4)
    spanwise.configure(otlp_endpoint=grpc_collector.url)
    work = Work()
    work.do(10)
    assert spanwise.flush(WATCHDOG_S) is True
    assert [10, 5, 2, 1] == [request.spans for request in grpc_collector.requests[:4]]
    assert Outcome(9, lost=1) == work.outcome(grpc_collector)
    assert work.ids[:1] == kept(tmp_path)
    assert 1 == spanwise.stats()["refused.otlp"]
