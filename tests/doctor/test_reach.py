"""What the doctor says of destinations: real receivers, real dead ends."""

from __future__ import annotations

import json
import socket
import ssl
import threading

import pytest

from spanwise.doctor import reach
from support.certificates import make_certificates
from support.faulty_collector import Behaviour, FaultyCollector, FaultyGrpcCollector, GrpcBehaviour

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def asked(examined, monkeypatch):
    """Ask the destination of this address whether it answers."""

    def ask(endpoint, **variables):
        monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", endpoint)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        (finding,) = examined("destinations", offline=False)
        return finding

    return ask


def test_a_receiver_that_answers_is_ok_and_gets_no_span(asked, receiver):
    """It is asked by one request with the headers of the destination."""
    finding = asked(receiver.url, SPANWISE_OTLP_HEADERS="x-tenant=t1", SPANWISE_DIALECTS="brixo")
    assert "ok" == finding.level.value
    assert f"{receiver.url}/v1/traces (http/protobuf; dialects brixo; headers x-tenant)" in (
        finding.text
    )
    ((path, headers, _),) = receiver.requests
    assert ("/v1/traces", "t1") == (path, headers["x-tenant"])
    assert [] == receiver.spans()
    assert (True, 200) == (finding.facts["reached"], finding.facts["answer"])


@pytest.mark.parametrize(
    ("behaviour", "says", "mend"),
    [
        (Behaviour(status=401), "the credentials were refused (401)", "SPANWISE_OTLP_HEADERS"),
        (Behaviour(status=403), "the credentials were refused (403)", "SPANWISE_OTLP_HEADERS"),
        (Behaviour(status=404), "it answered 404", "correct the path of SPANWISE_OTLP_ENDPOINT"),
        (Behaviour(status=302, location="/login"), "it redirects to /login", "name the address"),
        (Behaviour(status=503), "it answered 503", "logs of the collector"),
        (Behaviour(fault="reset"), "connection reset", "names an OTLP receiver"),
    ],
    ids=["401", "403", "404", "302", "503", "reset"],
)
def test_what_a_receiver_answers_is_told_with_what_mends_it(asked, behaviour, says, mend):
    """In the words of the pipeline's own log."""
    with FaultyCollector() as collector:
        collector.behaviour = behaviour
        finding = asked(collector.url)
    assert "problem" == finding.level.value
    assert says in finding.text
    assert mend in finding.mend


def test_a_receiver_that_wants_spans_is_there(asked):
    """Some answer an empty request with 400: it was read, and nobody minded the credentials."""
    with FaultyCollector() as collector:
        collector.behaviour = Behaviour(status=400)
        finding = asked(collector.url)
    assert "ok" == finding.level.value
    assert "takes no request without a span" in finding.text


def test_a_receiver_that_hangs_is_given_up_in_seconds(asked, monkeypatch):
    """Whatever time the destination gives its requests."""
    monkeypatch.setattr(reach, "LONGEST_S", 0.2)
    with FaultyCollector() as collector:
        collector.behaviour = Behaviour(fault="hang")
        finding = asked(collector.url, OTEL_EXPORTER_OTLP_TIMEOUT="60")
    assert "timed out after 0.2 s" in finding.text
    assert finding.mend.startswith("see whether SPANWISE_OTLP_ENDPOINT names the right host")


@pytest.mark.parametrize(
    ("endpoint", "says", "mend"),
    [
        (AWAY, "connection refused", "start the collector"),
        ("http://nosuch.invalid", "http://nosuch.invalid", "host name of SPANWISE_OTLP_ENDPOINT"),
    ],
)
def test_an_address_where_nobody_is_is_told(asked, endpoint, says, mend):
    """Nobody listens, or there is no such host."""
    finding = asked(endpoint)
    assert "problem" == finding.level.value
    assert says in finding.text
    assert mend in finding.mend


def test_the_variable_that_was_used_is_the_one_to_mend(examined, monkeypatch):
    """OpenTelemetry's own, where the address came from there."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", AWAY)
    (finding,) = examined("destinations", offline=False)
    assert finding.mend == (
        "start the collector, or correct host and port of OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_a_certificate_that_is_not_accepted_is_told(asked, receiver, tmp_path):
    """With the variable that names the authorities to trust; with it, all is well."""
    folder = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    receiver._server.socket = context.wrap_socket(receiver._server.socket, server_side=True)
    url = receiver.url.replace("http://", "https://")
    finding = asked(url)
    assert "its certificate is not accepted" in finding.text
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in finding.mend
    trusted = asked(url, OTEL_EXPORTER_OTLP_CERTIFICATE=str(folder / "ca.pem"))
    assert "ok" == trusted.level.value


def test_tls_with_a_receiver_that_speaks_none_is_told(asked):
    """The address says https, and plain HTTP comes back."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        finding = asked(f"https://127.0.0.1:{server.getsockname()[1]}")
        thread.join(10)
    assert "TLS failed" in finding.text
    assert finding.mend.startswith("say http:// in SPANWISE_OTLP_ENDPOINT")


def test_grpc_is_asked_over_grpc(asked):
    """Answers, refuses credentials, or is no such receiver at all."""
    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with FaultyGrpcCollector() as collector:
        assert "ok" == asked(collector.url, **grpc).level.value
        collector.behaviour = GrpcBehaviour(code="UNAUTHENTICATED")
        refused = asked(collector.url, **grpc)
    assert "the credentials were refused (UNAUTHENTICATED)" in refused.text
    assert "SPANWISE_OTLP_HEADERS" in refused.mend
    assert "it answered UNAVAILABLE" in asked(AWAY, **grpc).text


def test_http_at_the_port_of_grpc_is_told(examined, monkeypatch):
    """The commonest mistake has its own advice."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(reach, "_GRPC_PORT", port)
        monkeypatch.setattr(reach, "LONGEST_S", 0.2)
        monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
        (finding,) = examined("destinations", offline=False)
    assert "set OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in finding.mend


def test_each_of_several_destinations_is_asked(examined, monkeypatch, receiver):
    """One that is away does not keep the others from being told."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", AWAY)
    monkeypatch.setenv("SPANWISE_DESTINATIONS", json.dumps([{"endpoint": receiver.url}, AWAY]))
    levels = [finding.level.value for finding in examined("destinations", offline=False)]
    assert ["problem", "ok", "problem"] == levels
    mends = [finding.mend for finding in examined("destinations", offline=False)]
    assert "SPANWISE_OTLP_ENDPOINT" in mends[0]
    assert "SPANWISE_DESTINATIONS" in mends[2]


def test_offline_nobody_is_asked(examined, monkeypatch, receiver):
    """Where it is sent is told all the same."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", receiver.url)
    (finding,) = examined("destinations")
    assert f"{receiver.url}/v1/traces (http/protobuf): not asked" == finding.text
    assert [] == receiver.requests


def test_a_proxy_that_the_environment_names_is_told(examined, monkeypatch):
    """Without its password; it is why a request may end elsewhere."""
    monkeypatch.setenv("http_proxy", "http://bob:hunter2@127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "localhost")
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", "http://collector.invalid")
    (finding,) = examined("destinations")
    assert "through the proxy http://***@127.0.0.1:9" in finding.text


def test_without_a_destination_nothing_is_wrong(examined):
    """The variable that would name one is."""
    (finding,) = examined("destinations", offline=False)
    assert ("fact", True) == (finding.level.value, "SPANWISE_OTLP_ENDPOINT" in finding.mend)


def test_where_spans_are_left_in_the_spool_nobody_is_asked(examined, monkeypatch, receiver):
    """A destination that is configured all the same is told as set aside."""
    monkeypatch.setenv("SPANWISE_SPOOL_ONLY", "true")
    (fact,) = examined("destinations", offline=False)
    assert "another program" in fact.text
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", receiver.url)
    (warning, _) = examined("destinations", offline=False)
    assert f"nothing is sent to {receiver.url}/v1/traces" in warning.text
    assert "SPANWISE_SPOOL_ONLY" in warning.mend
    assert [] == receiver.requests


def test_an_exporter_that_is_named_is_told_as_masked(examined, monkeypatch):
    """Beside the destinations."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console,otlp")
    texts = [finding.text for finding in examined("destinations")]
    assert "the exporter 'console', which OTEL_TRACES_EXPORTER names, is handed what is masked" in (
        texts
    )
