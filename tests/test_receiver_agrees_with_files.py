"""What a collector receives is what the files say."""

from __future__ import annotations

import datetime

import orjson
import pytest
from opentelemetry import trace

import spanwise
from spanwise import semconv
from support.files import Files
from support.receiver import attributes


@spanwise.tool(description="Look a word up")
def look_up(word: str, api_key: str) -> dict[str, str]:
    with trace.get_tracer("third.party").start_as_current_span("http") as span:
        span.set_attribute("http.route", "/words")
    return {"word": word}


@spanwise.generation(model="gpt-4o", provider="openai")
def stream(messages):
    yield "Hel"
    look_up("x", "sk-0123456789abcdef0123")
    yield "lo"


@spanwise.agent(name="Support", version="2")
async def answer(question: str) -> str:
    return "".join(stream([{"role": "user", "content": question}]))


@spanwise.retrieval
def fail() -> None:
    raise LookupError("nothing found")


@pytest.fixture
def both(tmp_path, receiver):
    import asyncio

    spanwise.configure(
        service_name="support-bot",
        service_version="1.2",
        environment="test",
        traces_dir=tmp_path / "traces",
        otlp_endpoint=receiver.url,
        otlp_headers={"x-tenant": "t1"},
    )
    with spanwise.identify(
        user={"id": "jane", "name": "Jane"}, account="org_7", session_id="s-1", tags=["beta"]
    ):
        asyncio.run(answer("why?"))
        with pytest.raises(LookupError):
            fail()
    assert spanwise.flush(10) is True
    return Files(tmp_path / "traces"), receiver


def test_the_same_spans_arrive_as_are_in_the_files(both):
    """Ids, parents and names are the same in both, and nothing is missing from either."""
    files, receiver = both
    in_files = {
        (o["id"], o["trace_id"], o["parent_id"] or "", o["name"]) for o in files.observations()
    }
    received = {
        (s.span_id.hex(), s.trace_id.hex(), s.parent_span_id.hex(), s.name)
        for s in receiver.spans()
    }
    assert in_files == received
    assert 5 == len(received)


def test_the_attributes_of_the_registry_arrive(both):
    """What a file says of an observation, the collector is told under the convention's names."""
    files, receiver = both
    spans = {span.span_id.hex(): attributes(span) for span in receiver.spans()}
    for observation in files.observations():
        received = spans[observation["id"]]
        for key, value in observation["attributes"].items():
            assert received[key] == value
        assert received.get(semconv.OBSERVATION_TYPE, "span") == observation["type"]
        if semconv.OBSERVATION_INPUT in received:
            assert orjson.loads(received[semconv.OBSERVATION_INPUT]) == observation["input"]
        if semconv.OBSERVATION_OUTPUT in received:
            assert orjson.loads(received[semconv.OBSERVATION_OUTPUT]) == observation["output"]
        assert received["user.id"] == "jane"
        assert received["session.id"] == received["gen_ai.conversation.id"] == "s-1"
        assert received["observation.tags"] == ["beta"]


def test_times_are_in_order_and_agree(both):
    """A child lies within its parent, and the file's times are the collector's to the microsecond."""
    files, receiver = both
    spans = {span.span_id.hex(): span for span in receiver.spans()}
    for observation in files.observations():
        span = spans[observation["id"]]
        started = datetime.datetime.fromisoformat(observation["start_time"])
        assert span.start_time_unix_nano // 1000 == round(started.timestamp() * 1e6)
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        parent = spans.get(observation["parent_id"])
        if parent is not None:
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
            assert span.end_time_unix_nano <= parent.end_time_unix_nano


def test_an_error_arrives_with_status_and_exception(both):
    """Status, error.type and the exception event are there."""
    _, receiver = both
    (span,) = [span for span in receiver.spans() if span.name == "fail"]
    assert (2, "nothing found") == (span.status.code, span.status.message)
    assert "LookupError" == attributes(span)["error.type"]
    (event,) = span.events
    assert "exception" == event.name
    assert "LookupError: nothing found" in attributes(event)["exception.stacktrace"]


def test_the_resource_says_what_configure_was_told(both):
    """Service, version and environment arrive as resource attributes, with the distribution."""
    files, receiver = both
    expected = {
        "service.name": "support-bot",
        "service.version": "1.2",
        "deployment.environment.name": "test",
        "telemetry.distro.name": "spanwise",
        "telemetry.distro.version": spanwise.__version__,
    }
    for resource in [*receiver.resources(), *(line["resource"] for line in files.traces())]:
        assert expected == {key: resource[key] for key in expected}


def test_headers_and_path_are_as_configured(both):
    """The base address gets OpenTelemetry's path, and the headers are sent."""
    _, receiver = both
    path, headers, _ = receiver.requests[0]
    assert ("/v1/traces", "t1") == (path, headers["x-tenant"])


def test_no_secret_arrives(both):
    """A key among the arguments is neither in a file nor on the wire."""
    files, receiver = both
    secret = "sk-0123456789abcdef0123"
    assert secret not in files.text()
    assert not any(secret.encode() in r.SerializeToString() for _, _, r in receiver.requests)


def test_with_an_endpoint_and_no_folder_no_files_are_written(tmp_path, receiver):
    """Sending replaces the default files."""
    spanwise.configure(otlp_endpoint=receiver.url)
    look_up("a", "b")
    assert spanwise.flush(10) is True
    assert 2 == len(receiver.spans())
    assert not (tmp_path / "traces").exists()


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_otel_variables_choose_address_headers_and_compression(monkeypatch, receiver, compression):
    """OpenTelemetry's own variables are honoured."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.url + "/custom/path")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1,x-b=two%20words")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-otel")
    spanwise.configure()
    look_up("a", "b")
    assert spanwise.flush(10) is True
    path, headers, _ = receiver.requests[0]
    assert ("/custom/path", "1", "two words") == (path, headers["x-a"], headers["x-b"])
    assert (None if compression == "none" else compression) == headers.get("content-encoding")
    assert "from-otel" == receiver.resources()[0]["service.name"]


def test_a_collector_that_is_away_makes_flush_false(receiver, caplog):
    """flush() tells the truth, and the fault is one log line."""
    receiver.status = 503
    spanwise.configure(otlp_endpoint=receiver.url)
    look_up("a", "b")
    assert spanwise.flush(0.5) is False
    assert spanwise.flush(0.5) is False
    ours = [record for record in caplog.records if record.name == "spanwise"]
    assert 1 == len(ours)
    receiver.status = 200
    assert spanwise.flush(10) is True
    assert {"look_up", "http"} == {span.name for span in receiver.spans()}


def test_what_a_collector_refuses_for_good_is_kept_and_counted(receiver, tmp_path, caplog):
    """There is nothing left to wait for, so flush() is True; one line says it."""
    receiver.status = 400
    spanwise.configure(otlp_endpoint=receiver.url)
    look_up("a", "b")
    assert spanwise.flush(10) is True
    assert 2 == spanwise.stats()["refused.otlp"] == spanwise.stats()["kept.spool"]
    (kept,) = (tmp_path / "state").rglob("*.kept.jsonl")
    assert {"look_up", "http"} == {
        orjson.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"]
        for line in kept.read_bytes().splitlines()
    }
    ours = [record for record in caplog.records if record.name == "spanwise"]
    assert 1 == len(ours)


def test_several_destinations_each_get_their_vocabulary(receiver):
    """A destination's dialects and headers are its own."""
    from support.receiver import Receiver

    other = Receiver()
    try:
        spanwise.configure(
            otlp_endpoint=receiver.url,
            destinations=[
                {"endpoint": other.url, "dialects": ["openinference"], "headers": {"x-b": "2"}}
            ],
        )
        look_up("a", "b")
        assert spanwise.flush(10) is True
        ours = {s.name: attributes(s) for s in receiver.spans()}["look_up"]
        theirs = {s.name: attributes(s) for s in other.spans()}["look_up"]
        assert "openinference.span.kind" not in ours
        assert "TOOL" == theirs["openinference.span.kind"]
        assert "2" == other.requests[0][1]["x-b"]
        assert "x-b" not in receiver.requests[0][1]
    finally:
        other.close()


def test_grpc_is_used_when_asked_for(monkeypatch):
    """OTEL_EXPORTER_OTLP_PROTOCOL=grpc sends to a gRPC collector."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc
    from opentelemetry.proto.collector.trace.v1 import (
        trace_service_pb2,
        trace_service_pb2_grpc,
    )

    received = []

    class Service(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request, context):
            received.append((dict(context.invocation_metadata()), request))
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=t1")
        spanwise.configure()
        look_up("a", "b")
        assert spanwise.flush(20) is True
        metadata, _ = received[0]
        assert "t1" == metadata["x-tenant"]
        names = {
            s.name
            for _, r in received
            for rs in r.resource_spans
            for ss in rs.scope_spans
            for s in ss.spans
        }
        assert {"look_up", "http"} == names
        spanwise.shutdown()
    finally:
        server.stop(0).wait()
