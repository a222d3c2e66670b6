"""The collector that the fault tests use misbehaves in the way that it is told to, and no other."""

from __future__ import annotations

import gzip
import http.client
import os
import time
import zlib

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from support.faulty_collector import (
    Behaviour,
    CollectorProcess,
    FaultyCollector,
    FaultyGrpcCollector,
    GrpcBehaviour,
)


@pytest.fixture
def collector():
    with FaultyCollector() as made:
        yield made


@pytest.fixture
def client(collector):
    made = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    yield made
    made.close()


def body_of(*names):
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for name in names:
        spans.add(name=name, span_id=os.urandom(8), trace_id=os.urandom(16))
    return request.SerializeToString()


def post(client, body=None, **headers):
    try:
        client.request("POST", "/v1/traces", body_of("a") if body is None else body, headers)
        answer = client.getresponse()
        return answer.status, answer.headers, answer.read()
    except OSError:
        client.close()  # so that the next one begins a connection of its own
        raise


def test_accepted_spans_are_counted_in_every_encoding(client, collector):
    """Plain, gzip and deflate; a span that comes twice is listed twice, and corrupt bodies too."""
    body = body_of("a", "b")
    assert 200 == post(client, body)[0]
    assert 200 == post(client, gzip.compress(body), **{"Content-Encoding": "gzip"})[0]
    assert 200 == post(client, zlib.compress(body), **{"Content-Encoding": "deflate"})[0]
    assert 400 == post(client, b"\xff\xff")[0]
    assert (6, 2) == (len(collector.spans), len(collector.accepted))
    assert {"a": 3, "b": 3} == collector.names
    assert [200, 200, 200, 400] == [request.status for request in collector.requests]
    assert [2, 2, 2, 0] == [request.spans for request in collector.requests]
    assert "gzip" == collector.requests[1].headers["content-encoding"]
    assert [b"\xff\xff"] == collector.corrupt


def test_what_is_not_http_is_corrupt(client, collector):
    """Two writers on one connection make requests that begin in the middle of another."""
    client.connect()
    client.sock.sendall(b"\x0a\x05 nonsense\r\n\r\n")
    assert client.sock.recv(100).startswith(b"HTTP/1.1 400")
    assert 1 == len(collector.corrupt)


def test_a_behaviour_ends_after_its_requests(client, collector):
    """Two are refused with a Retry-After, nothing of them is counted, the third is accepted."""
    collector.behaviour = Behaviour(status=503, retry_after="7", times=2)
    answers = [post(client) for _ in range(3)]
    assert [503, 503, 200] == [status for status, _, _ in answers]
    assert ["7", "7", None] == [headers["Retry-After"] for _, headers, _ in answers]
    assert 1 == len(collector.spans)
    assert Behaviour() == collector.behaviour


def test_a_poison_span_and_a_large_body_are_refused(client, collector):
    """400 for a name, 413 above a size, 302 with its Location; what else comes is accepted."""
    collector.behaviour = Behaviour(refuse_names={"poison"}, max_bytes=500)
    refused = post(client, body_of("a", "poison"))
    assert 400 == refused[0]
    assert b"poison" in refused[2]
    assert 413 == post(client, body_of("x" * 500))[0]
    assert 200 == post(client, body_of("a"))[0]
    collector.behaviour = Behaviour(status=302, location="http://elsewhere/")
    status, headers, _ = post(client)
    assert (302, "http://elsewhere/") == (status, headers["Location"])
    assert {"a": 1} == collector.names


def test_a_partial_success_says_how_many_it_rejected(client, collector):
    """The last spans are rejected, and not counted."""
    collector.behaviour = Behaviour(rejected=2, message="too many")
    status, _, body = post(client, body_of("a", "b", "c"))
    told = ExportTraceServiceResponse.FromString(body).partial_success
    assert (200, 2, "too many") == (status, told.rejected_spans, told.error_message)
    assert {"a": 1} == collector.names


@pytest.mark.parametrize("fault", ["hang_before_reading", "hang"])
def test_a_hanging_collector_never_answers(client, collector, fault):
    """The client waits in vain, and closing the collector does not wait for it."""
    collector.behaviour = Behaviour(fault=fault)
    client.timeout = 0.3
    with pytest.raises(TimeoutError):
        post(client)
    assert [] == collector.spans
    assert [(0 if "before" in fault else 1, None)] == [
        (request.spans, request.status) for request in collector.requests
    ]
    began = time.monotonic()
    collector.close()
    assert time.monotonic() - began < 2


def test_before_reading_is_before_a_byte_is_read(client, collector):
    """A body larger than the kernel's buffers is not taken."""
    collector.behaviour = Behaviour(fault="hang_before_reading")
    client.timeout = 0.5
    with pytest.raises(TimeoutError):
        client.request("POST", "/v1/traces", b"x" * 20_000_000)


@pytest.mark.parametrize("fault", ["reset_before_reading", "reset", "lose_ack"])
def test_a_reset_is_one(client, collector, fault):
    """The connection is reset, not closed; spans are counted only where the answer was lost."""
    collector.behaviour = Behaviour(fault=fault, times=1)
    with pytest.raises(ConnectionResetError) as error:
        post(client)
    assert not isinstance(error.value, http.client.RemoteDisconnected)
    assert (1 if fault == "lose_ack" else 0) == len(collector.spans)
    assert 200 == post(client)[0]


def test_a_drip_is_slow_from_its_first_byte(client, collector):
    """The answer takes as long as it has bytes."""
    collector.behaviour = Behaviour(fault="drip", drip_s=0.01)
    began = time.monotonic()
    assert 200 == post(client)[0]
    assert time.monotonic() - began > 0.5


def test_a_connection_can_be_closed_without_being_told(client, collector):
    """The answer does not announce it; the next request on that connection fails."""
    collector.behaviour = Behaviour(close_after_answer=True)
    status, headers, _ = post(client)
    assert (200, None) == (status, headers["Connection"])
    connection = client.sock
    assert b"" == connection.recv(1)


def test_a_collector_that_is_down_refuses_and_comes_back_at_its_port(client, collector):
    """Open connections end with it; what is sent later is counted with what was sent before."""
    assert 200 == post(client)[0]
    collector.down()
    with pytest.raises(ConnectionError):
        post(client)
    with pytest.raises(ConnectionRefusedError):
        post(client)
    collector.up()
    assert 200 == post(client)[0]
    assert 2 == len(collector.accepted)


def test_fifty_thousand_spans_are_no_burden(client, collector):
    """A hundred requests of 512 spans are dealt with in a few seconds."""
    bodies = [body_of(*["work"] * 512) for _ in range(100)]
    began = time.monotonic()
    assert {200} == {post(client, body)[0] for body in bodies}
    assert time.monotonic() - began < 10
    assert 51_200 == len(collector.accepted)


def test_a_killed_collector_is_back_with_its_record(tmp_path):
    """Dead before its start and after its kill; what was acknowledged is in the record."""
    with CollectorProcess(tmp_path / "record") as collector:
        client = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
        with pytest.raises(ConnectionRefusedError):
            post(client)
        collector.start(Behaviour(status=429, times=1))
        assert [429, 200] == [post(client)[0], post(client, body_of("a", "b"))[0]]
        collector.kill()
        with pytest.raises(ConnectionError):
            post(client)
        with open(tmp_path / "record", "a") as record:
            record.write("0123456789ab")  # as if it was killed while it wrote
        collector.start()
        collector.behaviour = Behaviour(refuse_names={"poison"})
        assert Behaviour(refuse_names={"poison"}) == collector.behaviour
        assert [400, 200] == [post(client, body_of(name))[0] for name in ("poison", "a")]
        assert collector.wait_for(3, 5)
        state = collector.state()
        assert {"400": 1, "200": 1} == state["statuses"]
        assert (2, 1, 0) == (state["requests"], state["accepted"], state["corrupt"])
        collector.down()
        with pytest.raises(ConnectionError):
            post(client)
        with pytest.raises(ConnectionRefusedError):
            post(client)
        collector.up()
        assert 200 == post(client)[0]
        client.close()
        assert 4 == len(collector.spans)
        numbers = [
            line.split(" ")[1] for line in (tmp_path / "record").read_text().split("\n")[3:-1]
        ]
        assert ["2", "3"] == numbers


def test_the_grpc_collector_refuses_hangs_and_accepts():
    """A code with its RetryInfo, a deadline that passes, then a call that is accepted."""
    import grpc
    from google.rpc.error_details_pb2 import RetryInfo
    from google.rpc.status_pb2 import Status
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

    request = ExportTraceServiceRequest.FromString(body_of("a", "b"))
    with (
        FaultyGrpcCollector() as collector,
        grpc.insecure_channel(f"127.0.0.1:{collector.port}") as channel,
    ):
        export = TraceServiceStub(channel).Export
        collector.behaviour = GrpcBehaviour(code="UNAVAILABLE", retry_after_s=1.5, times=1)
        with pytest.raises(grpc.RpcError) as refused:
            export(request, timeout=10)
        assert grpc.StatusCode.UNAVAILABLE == refused.value.code()
        details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
        told = RetryInfo()
        assert Status.FromString(details).details[0].Unpack(told)
        assert 1.5 == told.retry_delay.ToTimedelta().total_seconds()
        collector.behaviour = GrpcBehaviour(hang=True, times=1)
        with pytest.raises(grpc.RpcError) as hung:
            export(request, timeout=0.3)
        assert grpc.StatusCode.DEADLINE_EXCEEDED == hung.value.code()
        export(request, timeout=10)
        assert {"a": 1, "b": 1} == collector.names
        assert ["UNAVAILABLE", None, "OK"] == [request.status for request in collector.requests]
