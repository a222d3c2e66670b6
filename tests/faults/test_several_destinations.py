"""Several destinations, other people's providers, proxies and TLS: each gets what is its own."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time

import orjson
import pytest
import requests
import urllib3
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

import spanwise
from spanwise import semconv
from spanwise.export import drain
from spanwise.processors.otlp import OtlpSpanProcessor
from support.certificates import make_certificates
from support.faulty_collector import (
    Behaviour,
    FaultyCollector,
    FaultyGrpcCollector,
    GrpcBehaviour,
)
from support.programs import Outcome, Programs, outcome, wait_until
from support.receiver import attributes
from support.work import Work, outcome_of

WATCHDOG_S = 30.0
# Of requests: whoever waits for one that hangs is late.
LONG_S = 120.0
SOON_S = 10.0


class Collector(FaultyCollector):
    """A collector that keeps the attributes of what it accepts."""

    def __init__(self):
        self.attributes = []
        super().__init__()

    def accept(self, spans):
        self.attributes += [attributes(span) for span in spans]
        super().accept(spans)


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


@pytest.fixture
def another():
    with Collector() as made:
        yield made


@pytest.fixture
def a_third():
    with Collector() as made:
        yield made


def headers_of(collector, name):
    """Return the different values that a header had in all requests."""
    return {request.headers.get(name) for request in collector.requests}


# One dead, one hanging, one fine


def test_one_destination_holds_up_no_other(collector, another, a_third, tmp_path):
    """The fine one gets everything at once, the others later, each with what is its own."""
    dead, hanging, fine = collector, another, a_third
    dead.down()
    hanging.behaviour = Behaviour(fault="hang")
    everybody = {"dead": dead, "hanging": hanging, "fine": fine}
    dialects = {"dead": (), "hanging": ("openinference",), "fine": ("brixo",)}
    spanwise.configure(
        spool_dir=tmp_path / "spool",
        destinations=[
            {
                "endpoint": one.url,
                "headers": {"authorization": f"Bearer of-{name}", f"x-{name}": "1"},
                "dialects": dialects[name],
                "timeout_s": LONG_S,
            }
            for name, one in everybody.items()
        ],
    )
    work = Work()
    for _ in range(3):
        work.do(199)
        work.block("talk", **{semconv.OBSERVATION_TYPE: "interaction"})
        since = time.monotonic()
        assert fine.wait_for(len(work.ids), WATCHDOG_S)
        assert time.monotonic() - since < SOON_S
    assert spanwise.flush(1) is False
    assert Outcome(600) == work.outcome(fine)
    assert (set(), set()) == (dead.accepted, hanging.accepted)

    folders = sorted((tmp_path / "spool").glob("*/destination.json"))
    assert sorted(f"{one.url}/v1/traces" for one in everybody.values()) == sorted(
        orjson.loads(path.read_bytes())["endpoint"] for path in folders
    )
    # Not the lock files: to close one gives its lease up.
    for path in (tmp_path / "spool").rglob("*.json*"):
        assert b"Bearer" not in path.read_bytes()

    dead.up()
    hanging.behaviour = Behaviour()
    hanging.down()
    hanging.up()
    assert spanwise.flush(WATCHDOG_S) is True
    for name, one in everybody.items():
        assert Outcome(600) == work.outcome(one)
        assert {f"Bearer of-{name}"} == headers_of(one, "authorization")
        for other in everybody:
            assert {"1" if other == name else None} == headers_of(one, f"x-{other}")
        spoken = {key.partition(".")[0] for held in one.attributes for key in held}
        assert ("openinference" in spoken) is (name == "hanging")
        assert ("brixo" in spoken) is (name == "fine")


@pytest.mark.parametrize("is_first", [True, False], ids=["hanging first", "hanging last"])
def test_at_the_exit_one_destination_holds_up_no_other(collector, tmp_path, is_first):
    """The fine one has everything when the process is gone; what waits is the next one's."""
    with FaultyGrpcCollector() as hanging:
        hanging.behaviour = GrpcBehaviour(hang=True)
        destinations = [
            {"endpoint": hanging.url, "protocol": "grpc"},
            {"endpoint": collector.url},
        ]
        if not is_first:
            destinations.reverse()
        settings = {
            "SPANWISE_OTLP_ENDPOINT": "none",
            "SPANWISE_DESTINATIONS": orjson.dumps(destinations).decode(),
        }
        program = """
        import spanwise
        from support.producer import works
        spanwise.configure()
        works(500)
        """
        with Programs(tmp_path, collector.url, **settings) as programs:
            assert 0 == programs.run(program)
            assert Outcome(500) == outcome(collector, programs)
            assert set() == hanging.accepted
            hanging.behaviour = GrpcBehaviour()
            assert 0 == programs.run_next_process()
            assert Outcome(500) == outcome_of(programs.reported(), hanging)
            assert Outcome(500) == outcome(collector, programs)


# Other people's providers


def spans_of(provider, number):
    """Make spans of somebody else's, and return their ids."""
    tracer = provider.get_tracer("program")
    ids = []
    for _ in range(number):
        with tracer.start_as_current_span("step") as span:
            ids.append(f"{span.get_span_context().span_id:016x}")
    return ids


def test_the_processor_works_alone_on_a_stock_provider(collector):
    """Flushing and shutting down go through the provider; what comes later is counted, not sent."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(OtlpSpanProcessor(collector.url))
    ids = spans_of(provider, 300)
    assert provider.force_flush(30_000) is True
    assert Outcome(300) == outcome_of(ids, collector)
    collector.behaviour = Behaviour(status=503, times=1)
    ids += spans_of(provider, 300)
    assert provider.force_flush(30_000) is True
    assert Outcome(600) == outcome_of(ids, collector)
    ids += spans_of(provider, 50)
    provider.shutdown()
    assert collector.wait_for(650, WATCHDOG_S)
    spans_of(provider, 3)
    assert 3 == spanwise.stats()["dropped.after_shutdown"]
    assert Outcome(650) == outcome_of(ids, collector)


def test_a_provider_is_shut_down_in_bounded_time(collector):
    """Its collector hangs; the next processor for it sends what was left."""
    collector.behaviour = Behaviour(fault="hang")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(OtlpSpanProcessor({"endpoint": collector.url, "timeout_s": LONG_S}))
    ids = spans_of(provider, 100)
    wait_until(lambda: collector.requests)
    since = time.monotonic()
    provider.shutdown()
    assert time.monotonic() - since < SOON_S
    collector.behaviour = Behaviour()
    collector.down()
    collector.up()
    another = TracerProvider(shutdown_on_exit=False)
    another.add_span_processor(OtlpSpanProcessor(collector.url))
    assert collector.wait_for(100, WATCHDOG_S)
    assert another.force_flush(30_000) is True
    another.shutdown()
    assert Outcome(100) == outcome_of(ids, collector)


@pytest.mark.parametrize("through", ["processor", "configure"])
def test_it_stands_beside_somebody_elses_exporter(collector, another, through):
    """Both get everything once, and neither waits for the other."""
    theirs = collector
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{theirs.url}/v1/traces", headers={"x-theirs": "1"})
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=100))
    destination = {"endpoint": another.url, "headers": {"x-ours": "1"}}
    if through == "processor":
        provider.add_span_processor(OtlpSpanProcessor(destination))
    else:
        spanwise.configure(tracer_provider=provider, destinations=[destination])
    another.down()
    ids = spans_of(provider, 300)
    assert theirs.wait_for(300, WATCHDOG_S)
    another.up()
    assert provider.force_flush(30_000) is True
    provider.shutdown()
    for one in (theirs, another):
        assert Outcome(300) == outcome_of(ids, one)
    assert ({"1"}, {None}) == (headers_of(theirs, "x-theirs"), headers_of(theirs, "x-ours"))
    assert ({None}, {"1"}) == (headers_of(another, "x-theirs"), headers_of(another, "x-ours"))


# Proxies and TLS


class Front:
    """Accepts connections, and hands each to a function in a thread of its own."""

    def __init__(self, serve):
        self._serve = serve
        self._open = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for one in (self._socket, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                self._open.append(connection)
                threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        with contextlib.suppress(OSError):
            self._serve(connection)


def join(connection, port, beginning=b""):
    """Hand on what comes from the one to the other, in both directions."""
    with connection, socket.create_connection(("127.0.0.1", port)) as behind:
        behind.sendall(beginning)
        threading.Thread(target=_pump, args=(behind, connection), daemon=True).start()
        _pump(connection, behind)


def _pump(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy():
    """A proxy that forwards and tunnels, and notes what it was asked for."""
    asked = []

    def serve(connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += connection.recv(1)
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        asked.append(f"{method} {target}")
        if method == "CONNECT":
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            join(connection, int(target.rpartition(":")[2]))
        else:
            join(connection, int(target.split("/")[2].rpartition(":")[2]), head)

    with Front(serve) as front:
        front.asked = asked
        yield front


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    """None of the machine that the tests run on."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "GRPC_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def test_a_proxy_is_used_and_one_that_is_away_is_waited_for(collector, proxy, monkeypatch):
    """It is the environment's, which may make an exception."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.do(100)
    assert spanwise.flush(1.0) is False
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    assert spanwise.flush(WATCHDOG_S) is True
    assert {f"POST {collector.url}/v1/traces"} == set(proxy.asked)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    work.do(100)
    assert spanwise.flush(WATCHDOG_S) is True
    assert Outcome(200) == work.outcome(collector)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and certificates of a server and a client that it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def behind_tls(certificates):
    """Return the address of what stands before a collector, and asks for a certificate."""
    with contextlib.ExitStack() as open_ones:

        def put(collector):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certificates / "ca.pem")
            context.set_alpn_protocols(["h2", "http/1.1"])

            def serve(connection):
                join(context.wrap_socket(connection, server_side=True), collector.port)

            front = open_ones.enter_context(Front(serve))
            return f"https://127.0.0.1:{front.port}"

        yield put


def set_certificates(monkeypatch, folder):
    """Name the files in OpenTelemetry's variables."""
    for name, file in (
        ("CERTIFICATE", "ca.pem"),
        ("CLIENT_CERTIFICATE", "client.pem"),
        ("CLIENT_KEY", "client.key"),
    ):
        monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", str(folder / file))


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_the_variables_of_opentelemetry_say_how_it_is_sent(
    monkeypatch, certificates, behind_tls, protocol, compression
):
    """Where to, in what protocol, with what headers, certificates and compression."""
    with FaultyGrpcCollector() if protocol == "grpc" else FaultyCollector() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", behind_tls(made))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of%20mine,x-other=2")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
        set_certificates(monkeypatch, certificates)
        spanwise.configure()
        work = Work()
        work.do(200)
        assert spanwise.flush(WATCHDOG_S) is True
        assert Outcome(200) == work.outcome(made)
        assert ({"of mine"}, {"2"}) == (headers_of(made, "x-key"), headers_of(made, "x-other"))
        if protocol != "grpc":
            expected = None if compression == "none" else compression
            assert {expected} == headers_of(made, "content-encoding")


def test_through_a_tunnel_it_is_tls_as_well(
    monkeypatch, certificates, behind_tls, collector, proxy
):
    """The proxy sees nothing but where it leads to."""
    address = behind_tls(collector)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    set_certificates(monkeypatch, certificates)
    spanwise.configure(otlp_endpoint=address)
    work = Work()
    work.do(100)
    assert spanwise.flush(WATCHDOG_S) is True
    assert Outcome(100) == work.outcome(collector)
    assert {f"CONNECT {address.removeprefix('https://')}"} == set(proxy.asked)


def test_certificates_that_come_late_cost_nothing(
    monkeypatch, certificates, behind_tls, collector, caplog
):
    """Without them nothing is sent, which is told; a later `configure()` names them."""
    monkeypatch.setattr(drain, "_SCAN_EVERY_S", 0.2)
    address = behind_tls(collector)
    spanwise.configure(otlp_endpoint=address)
    work = Work()
    work.do(100)
    assert spanwise.flush(1.0) is False
    assert [] == collector.requests
    (told,) = [record.message for record in caplog.records if "is away" in record.message]
    assert "its certificate is not accepted" in told
    set_certificates(monkeypatch, certificates)
    spanwise.configure()
    work.do(100)
    assert spanwise.flush(WATCHDOG_S) is True
    assert collector.wait_for(200, WATCHDOG_S)
    assert Outcome(200) == work.outcome(collector)


# The sender's own requests


@pytest.mark.parametrize(
    ("owner", "name"),
    [(requests.Session, "send"), (urllib3.HTTPConnectionPool, "urlopen")],
    ids=["requests", "urllib3"],
)
def test_no_span_is_made_of_a_request_of_our_own(collector, another, monkeypatch, owner, name):
    """Where the HTTP client is instrumented, spans are of the program's requests only."""
    send = getattr(owner, name)

    def instrumented(self, *args, **kwargs):
        if context_api.get_value(_SUPPRESS_INSTRUMENTATION_KEY):
            return send(self, *args, **kwargs)
        with trace.get_tracer("http").start_as_current_span("request"):
            return send(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, instrumented)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    collector.behaviour = Behaviour(status=503, times=1)
    for _ in range(3):
        work.do(50)
        requests.post(f"{another.url}/v1/traces", data=b"", timeout=10)
        assert spanwise.flush(WATCHDOG_S) is True
    spanwise.shutdown()
    assert {"step": 150, "request": 3} == collector.names
