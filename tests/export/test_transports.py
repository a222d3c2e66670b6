"""A request over HTTP ends in one answer, in time, whatever the other side does."""

from __future__ import annotations

import contextlib
import contextvars
import gc
import os
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from opentelemetry import context as context_api
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from spanwise import _version
from spanwise._destinations import Destination
from spanwise.export import transports
from spanwise.export.grpc_transport import GrpcTransport
from spanwise.export.policy import Answer
from spanwise.export.transports import HttpTransport, transport_for
from support.certificates import make_certificates
from support.forks import Child

TIMEOUT_S = 0.5
BOUND_S = 10
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
DESCRIPTORS = Path("/proc/self/fd")
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing resets the connection


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch, tmp_path):
    """Nothing of the machine that the tests run on."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


class Server:
    """Deals with each connection as it is told, and keeps the requests that it read.

    Attributes:
        requests: (first line, headers with lower-case names, body).
        connections: how many there were.
        client_gone: set when a client has closed its connection.
        closing: set when the test is over.
    """

    def __init__(self, serve, context=None):
        self.requests = []
        self.connections = 0
        self.client_gone = threading.Event()
        self.closing = threading.Event()
        self._serve, self._context = serve, context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._threads = []
        self._open = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def url(self):
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _run(self, connection):
        with contextlib.suppress(OSError, EOFError):
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self._serve(self, connection)

    def read(self, connection):
        """Read one request."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                self.client_gone.set()
                raise EOFError
            head += byte
        first, *lines = head.decode("latin-1").strip().split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        body = b""
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65_536)
        self.requests.append((first, headers, body))

    def close(self):
        self.closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in (self._thread, *self._threads):
            thread.join(BOUND_S)


@pytest.fixture
def server():
    """Make a server; it is closed at the end."""
    made = []

    def make(serve=None, context=None):
        if isinstance(serve, bytes) or serve is None:
            serve = answering(serve or ANSWER)
        made.append(Server(serve, context))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def transport():
    """Make a transport; it is closed at the end."""
    made = []

    def make(url, **options):
        content_type = options.pop("content_type", None)
        destination = Destination(endpoint=url, **{"timeout_s": BOUND_S} | options)
        more = {} if content_type is None else {"content_type": content_type}
        made.append(HttpTransport(destination, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def answering(answer):
    def serve(server, connection):
        while True:
            server.read(connection)
            connection.sendall(answer)

    return serve


def head(status, *headers):
    return "\r\n".join((f"HTTP/1.1 {status} X", *headers, "", "")).encode()


def timed(function):
    began = time.monotonic()
    answer = function()
    assert time.monotonic() - began < BOUND_S
    return answer


def wait_until(condition):
    until = time.monotonic() + BOUND_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    assert condition()


def under_way():
    return [t for t in threading.enumerate() if t.name == "spanwise-request"]


# What comes back


@pytest.mark.parametrize("status", [200, 202, 400, 401, 404, 413, 429, 500, 503, 999])
def test_an_answer_is_what_the_server_said(server, transport, status):
    """Status, pause, body and its type."""
    said = head(status, "Content-Length: 4", "Content-Type: a/b", "Retry-After: 7") + b"body"
    answer = transport(server(said).url).post(b"x")
    assert Answer(status, retry_after="7", body=b"body", content_type="a/b") == answer


def test_an_answer_without_a_body_is_one(server, transport):
    """Nothing is waited for."""
    assert Answer(204) == transport(server(head(204)).url).post(b"x")


def test_a_redirect_is_not_followed(server, transport):
    """It would carry the credentials elsewhere."""
    elsewhere = server()
    said = head(307, f"Location: {elsewhere.url}/x", "Content-Length: 0")
    answer = transport(server(said).url, headers={"api-key": "hidden"}).post(b"x")
    assert (307, f"{elsewhere.url}/x") == (answer.status, answer.location)
    assert 0 == elsewhere.connections


@pytest.mark.parametrize("length", ["Content-Length: 3000000", "Connection: close"])
def test_of_a_large_answer_the_beginning_is_kept(server, transport, length):
    """The next request is not mixed up with the rest of it."""
    made = server(head(200, length) + b"a" * 3_000_000)
    sender = transport(made.url)
    for _ in range(2):
        assert Answer(200, body=b"a" * 65_536) == sender.post(b"x")


def test_an_answer_in_chunks_keeps_its_connection(server, transport):
    """It is read to its end."""
    made = server(head(200, "Transfer-Encoding: chunked") + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")
    sender = transport(made.url)
    assert [b"ab", b"ab"] == [sender.post(b"x").body for _ in range(2)]
    assert 1 == made.connections


def test_a_compressed_answer_is_unpacked(server, transport):
    """A server may not care that none was asked for."""
    packed = transports._compressed(b"hello", "gzip")
    said = head(200, "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed
    assert b"hello" == transport(server(said).url).post(b"x").body


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 9\r\n\r\nab",
        b"Transfer-Encoding: chunked\r\n\r\nzz",
        b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
    ],
)
def test_what_was_decided_counts_even_if_the_answer_breaks_off(server, transport, rest):
    """A batch that was accepted is not sent again."""

    def serve(made, connection):
        made.read(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nRetry-After: 1\r\n" + rest)

    sender = transport(server(serve).url)
    answers = [sender.post(b"x") for _ in range(2)]
    assert [(200, "1")] * 2 == [(answer.status, answer.retry_after) for answer in answers]
    # Old releases of urllib3 take a short body for a whole one.
    assert {a.fault for a in answers} <= {"", "its answer did not come to an end"}


# What is sent


def test_what_is_sent_is_described(server, transport):
    """Nothing is sent that nobody asked for."""
    made = server()
    assert 200 == transport(made.url + "/v1/traces").post(b"x").status
    ((first, headers, body),) = made.requests
    assert ("POST /v1/traces HTTP/1.1", b"x") == (first, body)
    assert {
        "host": f"127.0.0.1:{made.port}",
        "user-agent": f"spanwise/{_version.__version__}",
        "accept-encoding": "identity",
        "content-type": "application/x-protobuf",
        "content-length": "1",
    } == headers


def test_headers_of_the_destination_win(server, transport):
    """In any case of letters, and as they are but for blanks around them."""
    made = server()
    given = {"USER-AGENT": "mine", "x-Key": " a b ", "content-type": "c/d", "x-latin": "\xe9"}
    transport(made.url, headers=given).post(b"x")
    (_, headers, _) = made.requests[0]
    assert ("mine", "a b", "c/d", "\xe9") == tuple(
        headers[name] for name in ("user-agent", "x-key", "content-type", "x-latin")
    )


def test_a_request_can_go_elsewhere_with_headers_of_its_own(server, transport):
    """Which win over those of the destination."""
    made = server()
    sender = transport(made.url + "/a", headers={"k": "1", "l": "1"}, content_type="a/json")
    sender.post(b"x", url=made.url + "/b?c=d", headers={"K": "2"})
    sender.post(b"y")
    (first, headers, _), (second, after, _) = made.requests
    assert ("POST /b?c=d HTTP/1.1", "POST /a HTTP/1.1") == (first, second)
    assert ("2", "1", "a/json") == (headers["k"], headers["l"], headers["content-type"])
    assert "1" == after["k"]


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_a_body_is_compressed_as_the_destination_wants(receiver, transport, compression):
    """The same body gives the same bytes."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(name="a" * 1_000)
    body = request.SerializeToString()
    sender = transport(receiver.url + "/v1/traces", compression=compression)
    assert 200 == sender.post(body).status
    ((_, headers, received),) = receiver.requests
    assert request == received
    encoding = None if compression == "none" else compression
    assert encoding == headers.get("content-encoding")
    assert (encoding is None) == (len(body) == int(headers["content-length"]))
    if encoding == "gzip":
        assert bytes(4) == transports._compressed(body, "gzip")[4:8], "the time is in it"


def test_cookies_are_not_kept(server, transport):
    """A destination cannot follow us."""
    made = server(head(200, "Set-Cookie: a=b; Path=/", "Content-Length: 0"))
    sender = transport(made.url)
    sender.post(b"x")
    sender.post(b"x")
    assert "cookie" not in made.requests[1][1]


def test_credentials_of_a_netrc_file_do_not_replace_ours(server, transport, tmp_path):
    """Neither where there is a header, nor where there is none."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    made = server()
    transport(made.url, headers={"authorization": "Bearer x"}).post(b"x")
    transport(made.url).post(b"x")
    assert ["Bearer x", None] == [headers.get("authorization") for _, headers, _ in made.requests]


def test_credentials_in_the_address_are_sent_as_a_header(server, transport):
    """Unless there is one already."""
    made = server()
    url = f"http://jane:pass@127.0.0.1:{made.port}/"
    transport(url).post(b"x")
    transport(url, headers={"Authorization": "Bearer x"}).post(b"x")
    sent = [(first, headers["authorization"]) for first, headers, _ in made.requests]
    first = "POST / HTTP/1.1"
    assert [(first, "Basic amFuZTpwYXNz"), (first, "Bearer x")] == sent


# In time


def hang(server, connection):
    server.closing.wait(BOUND_S)


def hang_after_reading(server, connection):
    server.read(connection)
    server.closing.wait(BOUND_S)


def drip(at_once, slowly):
    def serve(server, connection):
        server.read(connection)
        connection.sendall(at_once)
        for byte in slowly:
            connection.sendall(bytes([byte]))
            server.closing.wait(0.05)

    return serve


DRIPS = {
    "status": drip(b"", b"HTTP/1.1 " + b"2" * 500),
    "headers": drip(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n" * 100),
    "continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
    "hang": hang,
    "hang after reading": hang_after_reading,
}


@pytest.mark.parametrize("serve", DRIPS.values(), ids=DRIPS)
def test_a_slow_server_holds_nobody_longer_than_the_timeout(server, transport, serve):
    """Not by hanging, and not byte by byte, which no timeout of a socket sees."""
    made = server(serve)
    sender = transport(made.url)
    answer = timed(lambda: sender.post(b"x", TIMEOUT_S))
    assert Answer(fault="timed out after 0.5 s") == answer
    wait_until(lambda: not under_way())


def test_what_a_slow_server_decided_counts(server, transport):
    """The status is there, the body is not."""
    made = server(drip(head(503, "Retry-After: 9", "Content-Length: 999"), b"a" * 999))
    sender = transport(made.url)
    answer = timed(lambda: sender.post(b"x", TIMEOUT_S))
    assert Answer(503, retry_after="9", fault="its answer did not come to an end") == answer
    wait_until(lambda: not under_way())


def test_a_server_that_does_not_read_is_not_waited_for(server, transport):
    """A large body fills the buffers."""
    made = server(hang)
    sender = transport(made.url)
    answer = timed(lambda: sender.post(bytes(50_000_000), TIMEOUT_S))
    assert Answer(fault="timed out after 0.5 s") == answer
    wait_until(lambda: not under_way())


def test_a_name_that_is_not_resolved_is_not_waited_for(server, transport, monkeypatch):
    """And what nobody waits for any more is not sent when it is resolved in the end."""
    resolved, original = threading.Event(), socket.getaddrinfo

    def slow(*args, **options):
        resolved.wait(BOUND_S)
        return original(*args, **options)

    made = server()
    sender = transport(made.url)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert Answer(fault="timed out after 0.5 s") == timed(lambda: sender.post(b"1", TIMEOUT_S))
    second = timed(lambda: sender.post(b"2", 0.1))
    assert Answer(fault="the request before it has not ended") == second
    assert 1 == len(under_way())
    resolved.set()
    assert 200 == sender.post(b"3").status
    assert [b"3"] == [body for _, _, body in made.requests]


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_without_time_nothing_is_sent(server, transport, timeout_s):
    """As at an exit."""
    made = server()
    assert timed(lambda: transport(made.url).post(b"x", timeout_s)).status is None
    assert [] == made.requests


def test_an_endless_timeout_is_no_fault(server, transport):
    """What no clock can hold is cut."""
    assert 200 == transport(server().url, timeout_s=1e300).post(b"x").status


def test_after_a_timeout_the_next_request_gets_through(server, transport):
    """On a connection of its own."""
    slow = threading.Event()

    def serve(made, connection):
        made.read(connection)
        if not slow.is_set():
            slow.set()
            made.closing.wait(BOUND_S)
        connection.sendall(ANSWER)

    made = server(serve)
    sender = transport(made.url)
    assert "timed out after 0.5 s" == sender.post(b"x", TIMEOUT_S).fault
    assert (200, 2) == (sender.post(b"x").status, made.connections)


def test_where_no_thread_can_be_started_the_request_is_sent_all_the_same(
    server, transport, monkeypatch
):
    """As at the exit of the interpreter; then only the timeouts of sockets hold."""

    start = threading.Thread.start

    def refuse(self):
        if self.name == "spanwise-request":
            raise RuntimeError("can't create new thread at interpreter shutdown")
        start(self)

    made, hanging = server(), server(hang)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    senders = transport(made.url), transport(hanging.url)
    assert 200 == senders[0].post(b"x").status
    assert "timed out after 0.5 s" == timed(lambda: senders[1].post(b"x", TIMEOUT_S)).fault


def test_the_context_of_the_caller_is_that_of_the_request(server, transport, monkeypatch):
    """So that instrumentors of HTTP clients see that they are to leave it alone."""
    seen = []
    original = socket.getaddrinfo

    def look(*args, **options):
        seen.append((context_api.get_value("k"), variable.get()))
        return original(*args, **options)

    variable = contextvars.ContextVar("variable", default=0)
    monkeypatch.setattr(socket, "getaddrinfo", look)
    made = server()
    token, other = context_api.attach(context_api.set_value("k", "v")), variable.set(7)
    try:
        transport(made.url).post(b"x")
    finally:
        context_api.detach(token)
        variable.reset(other)
    assert [("v", 7)] == seen


def test_a_program_that_is_interrupted_while_it_waits_can_send_again(
    server, transport, monkeypatch
):
    """An interrupt belongs to the program."""

    def interrupted(self):
        raise KeyboardInterrupt

    made = server()
    sender = transport(made.url)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sender.post(b"x")
    assert 200 == sender.post(b"x").status


# Faults


def test_a_fault_is_one_plain_line(transport, server):
    """Not the chain that three libraries make of it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert Answer(fault="connection refused") == transport(url).post(b"x")


def reset(server, connection):
    server.read(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


@pytest.mark.parametrize(
    ("serve", "fault"),
    [
        (Server.read, "the connection was closed without an answer"),
        (reset, "connection reset by peer"),
        (answering(b"SSH-2.0 hello\r\n"), "BadStatusLine: SSH-2.0 hello"),
    ],
)
def test_a_broken_connection_is_a_fault(server, transport, serve, fault):
    """Which is told in a few words."""
    assert Answer(fault=fault) == transport(server(serve).url).post(b"x")


def test_a_name_that_nobody_knows_is_a_fault(transport, monkeypatch):
    """In the words of the system."""

    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert "name or service not known" == transport("http://nowhere.invalid").post(b"x").fault


@pytest.mark.parametrize(
    "url", ["http://[::1:1/", "gopher://x/", "nothing", "http://\udcff/", "http://a..b/", ""]
)
def test_an_address_that_cannot_be_used_is_a_fault(server, transport, url):
    """Nothing is raised, and no address of an object is told."""
    answer = transport("http://127.0.0.1:9").post(b"x", url=url)
    assert answer.fault
    assert "0x" not in answer.fault


def test_secrets_are_not_in_a_fault(transport):
    """A password in the address, for instance."""
    answer = transport("http://127.0.0.1:9").post(b"x", url="http://a:hidden@[bad/")
    assert answer.fault
    assert "hidden" not in answer.fault


def test_headers_that_cannot_be_sent_are_a_fault(transport, server):
    """Nothing is raised."""
    assert transport(server().url).post(b"x", headers={"a": "b\r\nc: d"}).fault
    assert transport(server().url).post(b"x", headers={"a": "\u20ac"}).fault


# Connections


def test_a_connection_is_used_again(server, transport):
    """Until it is closed."""
    made = server()
    sender = transport(made.url)
    assert [200] * 3 == [sender.post(b"x").status for _ in range(3)]
    assert 1 == made.connections
    sender.close()
    wait_until(made.client_gone.is_set)
    assert (200, 2) == (sender.post(b"x").status, made.connections)


def test_a_connection_that_the_server_closed_is_not_used(server, transport):
    """No request is lost for it."""

    def serve(made, connection):
        made.read(connection)
        connection.sendall(ANSWER)

    made = server(serve)
    sender = transport(made.url)
    for number in range(1, 4):
        assert 200 == sender.post(b"x").status
        assert number == made.connections
        time.sleep(0.05)  # the end of the connection is on its way


def test_an_idle_connection_is_not_used(server, transport, monkeypatch):
    """The server may be about to close it."""
    monkeypatch.setattr(transports, "_LONGEST_IDLE_S", 0.05)
    made = server()
    sender = transport(made.url)
    assert 200 == sender.post(b"x").status
    time.sleep(0.1)
    assert (200, 2) == (sender.post(b"x").status, made.connections)


def test_a_request_is_sent_once(server, transport):
    """Also over a connection that breaks: whether it arrived is not known, and is not ours to say."""
    broken = threading.Event()

    def serve(made, connection):
        made.read(connection)
        connection.sendall(ANSWER)
        made.read(connection)
        broken.set()

    made = server(serve)
    sender = transport(made.url)
    assert 200 == sender.post(b"1").status
    assert "the connection was closed without an answer" == sender.post(b"2").fault
    assert broken.is_set()
    assert [b"1", b"2"] == [body for _, _, body in made.requests]


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors are not listed here")
def test_nothing_is_left_open(server, transport):
    """No thread, and no descriptor."""
    gc.collect()
    before = len(list(DESCRIPTORS.iterdir()))
    made, hanging = server(), server(hang)
    senders = transport(made.url), transport(hanging.url)
    for _ in range(5):
        senders[0].post(b"x")
        senders[1].post(b"x", 0.05)
    for one in (made, hanging, *senders):
        one.close()
    wait_until(lambda: not under_way())
    assert before == len(list(DESCRIPTORS.iterdir()))


def test_requests_of_several_threads_take_turns(server, transport):
    """Over one connection."""
    made = server()
    sender = transport(made.url)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(sender.post(b"x").status)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_S)
    assert ([200] * 8, 1) == (answers, made.connections)


# Proxies


def proxy(server, connection):
    """Forwards requests in absolute form, and tunnels."""
    head_of_it = b""
    while not head_of_it.endswith(b"\r\n\r\n"):
        head_of_it += connection.recv(1)
    method, target, _ = head_of_it.split(b"\r\n")[0].decode().split(" ")
    server.requests.append((f"{method} {target}", {}, b""))
    if method == "CONNECT":
        host, port = target.split(":")
        with socket.create_connection((host, int(port))) as behind:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(behind, connection), daemon=True)
            back.start()
            pump(connection, behind)
            back.join(BOUND_S)
    else:
        connection.sendall(ANSWER)


def pump(from_, to):
    with contextlib.suppress(OSError):
        while data := from_.recv(65_536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)


def test_the_proxy_of_the_environment_is_used(server, transport, monkeypatch):
    """Unless the environment makes an exception."""
    made, between = server(), server(proxy)
    monkeypatch.setenv("HTTP_PROXY", between.url)
    monkeypatch.setenv("http_proxy", between.url)
    sender = transport(made.url + "/x")
    assert 200 == sender.post(b"x").status
    assert ([f"POST {made.url}/x"], 0) == (
        [first for first, *_ in between.requests],
        made.connections,
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert 200 == sender.post(b"x").status
    assert (1, 1) == (len(between.requests), made.connections)


@pytest.mark.parametrize(
    "serve", [hang, *list(DRIPS.values())[:2]], ids=["hang", "status", "headers"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_slow_proxy_holds_nobody_longer_than_the_timeout(
    server, transport, monkeypatch, serve, scheme
):
    """Whether it forwards or tunnels."""
    between = server(serve)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, between.url)
    sender = transport(f"{scheme}://127.0.0.1:9/x")
    assert "timed out after 0.5 s" == timed(lambda: sender.post(b"x", TIMEOUT_S)).fault
    wait_until(lambda: not under_way())


# TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and certificates of a server and a client that it signed."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def tls(certificates):
    """Return the context of a server that asks its clients for a certificate, or does not."""

    def make(*, asks=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        if asks:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(certificates / "ca.pem")
        return context

    return make


@pytest.mark.parametrize(("certificate", "key"), [("client.pem", "client.key"), ("both.pem", None)])
def test_a_client_shows_its_certificate(server, transport, certificates, tls, certificate, key):
    """With its key beside it, or in the same file; the connection is used again."""
    made = server(context=tls())
    sender = transport(
        made.url,
        certificate=str(certificates / "ca.pem"),
        client_certificate=str(certificates / certificate),
        client_key=key and str(certificates / key),
    )
    assert [200, 200] == [sender.post(b"x").status for _ in range(2)]
    assert 1 == made.connections


def test_a_server_that_nobody_vouches_for_is_sent_nothing(server, transport, tls, monkeypatch):
    """The environment can vouch for it."""
    made = server(context=tls(asks=False))
    fault = transport(made.url).post(b"x").fault
    assert fault.startswith("its certificate is not accepted: ")
    assert [] == made.requests


def test_the_authorities_of_the_environment_hold_where_there_are_no_others(
    server, transport, certificates, tls, monkeypatch
):
    """As with everything that uses requests."""
    made = server(context=tls(asks=False))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "ca.pem"))
    assert 200 == transport(made.url).post(b"x").status
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "client.pem"))
    assert 200 == transport(made.url, certificate=str(certificates / "ca.pem")).post(b"x").status


@pytest.mark.parametrize("option", ["certificate", "client_certificate", "client_key"])
def test_a_file_that_is_not_there_is_a_fault(server, transport, certificates, tls, option):
    """Its name is told."""
    made = server(context=tls())
    options = {
        "certificate": str(certificates / "ca.pem"),
        "client_certificate": str(certificates / "client.pem"),
        "client_key": str(certificates / "client.key"),
    }
    fault = transport(made.url, **options | {option: "/nowhere.pem"}).post(b"x").fault
    assert "/nowhere.pem" in fault


def test_another_protocol_than_tls_is_a_fault(server, transport):
    """Told in a few words."""
    made = server(lambda _, connection: connection.sendall(b"HTTP/1.1 400 X\r\n\r\n"))
    fault = transport(made.url.replace("http:", "https:")).post(b"x").fault
    assert fault.startswith("TLS failed: ")


@pytest.mark.parametrize("serve", DRIPS.values(), ids=DRIPS)
@pytest.mark.parametrize("between", [False, True], ids=["direct", "tunnel"])
def test_a_slow_server_behind_tls_holds_nobody_longer(
    server, transport, certificates, tls, serve, between, monkeypatch
):
    """Also through a tunnel."""
    made = server(serve, tls(asks=False))
    if between:
        monkeypatch.setenv("https_proxy", server(proxy).url)
    sender = transport(made.url, certificate=str(certificates / "ca.pem"))
    assert "timed out after 0.5 s" == timed(lambda: sender.post(b"x", TIMEOUT_S)).fault
    wait_until(lambda: not under_way())


def test_a_handshake_that_hangs_is_not_waited_for(server, transport):
    """It is not TLS yet."""
    made = server(hang)
    sender = transport(made.url.replace("http:", "https:"))
    assert "timed out after 0.5 s" == timed(lambda: sender.post(b"x", TIMEOUT_S)).fault
    wait_until(lambda: not under_way())


def test_a_tunnel_is_used_again(server, transport, certificates, tls, monkeypatch):
    """One connection for all."""
    made, between = server(context=tls(asks=False)), server(proxy)
    monkeypatch.setenv("https_proxy", between.url)
    sender = transport(made.url, certificate=str(certificates / "ca.pem"))
    assert [200, 200] == [sender.post(b"x").status for _ in range(2)]
    assert [f"CONNECT 127.0.0.1:{made.port}"] == [first for first, *_ in between.requests]
    assert 1 == made.connections


# Forks

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_makes_a_connection_of_its_own(server, transport, monkeypatch):
    """And the one of its parent is as it was."""
    monkeypatch.setattr(transports, "_LONGEST_IDLE_S", 1e9)  # however slow the child is
    made = server()
    sender = transport(made.url)
    assert 200 == sender.post(b"1").status
    with Child(lambda _: (sender.post(b"2").status, sender.post(b"3").status)) as child:
        assert (200, 200) == child.result()
    assert 2 == made.connections
    assert 200 == sender.post(b"4").status
    assert 2 == made.connections
    assert [b"1", b"2", b"3", b"4"] == [body for _, _, body in made.requests]


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_a_request_leaves_it_to_the_parent(
    server, transport, certificates, tls
):
    """Over TLS, where two processes on one connection would spoil it."""
    is_read, may_answer = threading.Event(), threading.Event()

    def serve(made, connection):
        while True:
            made.read(connection)
            if made.requests[-1][2] == b"parent":
                is_read.set()
                may_answer.wait(BOUND_S)
            connection.sendall(ANSWER)

    made = server(serve, tls(asks=False))
    sender = transport(made.url, certificate=str(certificates / "ca.pem"))
    answers = []
    parent = threading.Thread(target=lambda: answers.append(sender.post(b"parent").status))
    parent.start()
    assert is_read.wait(BOUND_S)
    with Child(lambda _: sender.post(b"child").status) as child:
        assert 200 == child.result()
    may_answer.set()
    parent.join(BOUND_S)
    assert ([200], 2) == (answers, made.connections)
    assert (200, 2) == (sender.post(b"x").status, made.connections)


# The choice


def test_the_protocol_chooses_the_transport():
    """HTTP unless it is gRPC."""
    assert isinstance(transport_for(Destination(endpoint="http://127.0.0.1:9")), HttpTransport)
    destination = Destination(endpoint="http://127.0.0.1:9", protocol="grpc")
    assert isinstance(transport_for(destination), GrpcTransport)


IMPORTS = textwrap.dedent(
    """
    import sys, threading
    from spanwise._destinations import Destination
    from spanwise.export.transports import transport_for
    assert "requests" not in sys.modules and "grpc" not in sys.modules
    transport = transport_for(Destination(endpoint=sys.argv[1], protocol=sys.argv[2]))
    before = set(sys.modules)
    print(transport.post(b"x", 5).fault, *sorted(set(sys.modules) - before))
    transport.close()
    """
)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_request_imports_nothing(protocol):
    """It runs in a thread, and another one may fork; what it needs comes with the transport."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, url, protocol],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = "connection refused\n" if protocol != "grpc" else "\n"
    assert (expected, "", 0) == (done.stdout, done.stderr, done.returncode)
