"""OTLP receivers that misbehave as they are told, in this process or as a process of their own.

In this process:

    with FaultyCollector() as collector:
        collector.behaviour = Behaviour(status=503, retry_after="1", times=3)

As a process, which can be killed and outlives whoever started it:

    with CollectorProcess(tmp_path / "record") as collector:
        collector.start()
        collector.kill()
        collector.start(Behaviour(fault="hang"))
        collector.behaviour = Behaviour()

Code that forks needs the second form: a socket that a forked child has too is neither closed nor
reset before the child is gone.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import http.client
import json
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

HOST = "127.0.0.1"
TRACES_PATH = "/v1/traces"
FAULTS = ("hang_before_reading", "hang", "reset_before_reading", "reset", "drip", "lose_ack")

_LONGEST_HANG_S = 300.0
_IDLE_S = 120.0  # a connection on which nothing comes for so long is closed
_LARGEST_HEAD = 1 << 16
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, for no time: closing resets the connection
_INVALID_ARGUMENT = 3  # of google.rpc.Code
_RECORDED = re.compile(r"([0-9a-f]{16}) (\d+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What becomes of requests; with no arguments they are accepted.

    Attributes:
        fault: `hang_before_reading` and `hang` never answer; `reset_before_reading` and `reset`
            break the connection instead of answering; `lose_ack` does so once the spans are
            accepted; `drip` answers byte by byte.
        status: of the answer; below 300 the spans are accepted.
        retry_after: text of the header of that name.
        location: text of the header of that name, for a redirect.
        rejected: how many spans of each request, its last ones, a partial success rejects.
        message: why, in the answer.
        refuse_names: a request that has a span of such a name is answered with 400.
        max_bytes: a request whose body, as it was sent, is longer is answered with 413.
        close_after_answer: close the connection after the answer, without having said so.
        drip_s: seconds before each byte of a dripping answer.
        times: how many requests this is for; those that follow are accepted. None: for ever.
    """

    fault: str | None = None
    status: int = 200
    retry_after: str | None = None
    location: str | None = None
    rejected: int = 0
    message: str = ""
    refuse_names: Iterable[str] = frozenset()
    max_bytes: int | None = None
    close_after_answer: bool = False
    drip_s: float = 0.2
    times: int | None = None

    def __post_init__(self) -> None:
        if self.fault is not None and self.fault not in FAULTS:
            raise ValueError(f"fault must be among {', '.join(FAULTS)}, not {self.fault!r}")
        _check_times(self.times)
        object.__setattr__(self, "refuse_names", frozenset(self.refuse_names))

    def to_json(self) -> str:
        """Return the behaviour as `Behaviour(**json.loads(...))` takes it."""
        return json.dumps({**dataclasses.asdict(self), "refuse_names": sorted(self.refuse_names)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrpcBehaviour:
    """What becomes of calls; with no arguments they are accepted.

    Attributes:
        code: name of a gRPC status code.
        retry_after_s: seconds of the RetryInfo that goes with it.
        hang: never answer.
        times: how many calls this is for; those that follow are accepted. None: for ever.
    """

    code: str = "OK"
    retry_after_s: float | None = None
    hang: bool = False
    times: int | None = None

    def __post_init__(self) -> None:
        _check_times(self.times)


class Request(NamedTuple):
    """One request, also one that was not answered.

    Attributes:
        path: what it asked for; empty if it was not read.
        headers: by their names in lower case.
        spans: how many it has.
        status: of the answer, an HTTP status or the name of a gRPC code; None if there is none.
        at_s: when it was dealt with, on the monotonic clock.
    """

    path: str
    headers: dict[str, str]
    spans: int
    status: int | str | None
    at_s: float


AnyBehaviour = TypeVar("AnyBehaviour", Behaviour, GrpcBehaviour)


class _Collecting(Generic[AnyBehaviour]):
    """What every collector here keeps: what it was sent, and how it is to behave.

    Attributes:
        spans: ids of the accepted spans as hex, in order of arrival, those that came twice twice.
        names: how often a span of each name was accepted.
        requests: every request, in the order of their answers.
        corrupt: requests, or bodies of requests, that cannot be decoded.
    """

    def __init__(self, behaviour: AnyBehaviour, record: Path | None = None) -> None:
        self.spans: list[str] = []
        self.names: Counter[str] = Counter()
        self.requests: list[Request] = []
        self.corrupt: list[bytes] = []
        self._behaviour = behaviour
        self._accepted: set[str] = set()
        self._changed = threading.Condition()
        self._record = None
        self._recorded = 0
        if record is not None:
            self._record = os.open(record, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            text = record.read_text()
            if text and not text.endswith("\n"):
                os.write(self._record, b"\n")  # whoever wrote the last line was killed in it
            self._recorded = max((number for _, number in _recorded(text)), default=0)

    @property
    def behaviour(self) -> AnyBehaviour:
        """What becomes of the next request."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: AnyBehaviour) -> None:
        with self._changed:
            self._behaviour = behaviour

    @property
    def accepted(self) -> set[str]:
        """Ids of the accepted spans."""
        with self._changed:
            return set(self._accepted)

    def wait_for(self, spans: int, timeout_s: float) -> bool:
        """Return whether so many different spans were accepted, at the latest after that time."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._accepted) >= spans, timeout_s)

    def take_behaviour(self) -> AnyBehaviour:
        """Return what is to become of one request, and count it."""
        with self._changed:
            behaviour = self._behaviour
            if behaviour.times is not None:
                left = behaviour.times - 1
                self._behaviour = (
                    dataclasses.replace(behaviour, times=left) if left else type(behaviour)()
                )
            return behaviour

    def accept(self, spans: list[Any]) -> None:
        """Count spans as accepted, and write their ids to the record."""
        ids = [span.span_id.hex() for span in spans]
        with self._changed:
            self.spans += ids
            self._accepted.update(ids)
            self.names.update([span.name for span in spans])
            if self._record is not None and ids:
                self._recorded += 1
                line_end = f" {self._recorded}\n"
                os.write(self._record, (line_end.join(ids) + line_end).encode())
            self._changed.notify_all()

    def note(
        self, status: int | str | None, path: str = "", headers: Any = None, spans: int = 0
    ) -> None:
        """Keep what a request was, and what it is answered."""
        with self._changed:
            self.requests.append(Request(path, headers or {}, spans, status, time.monotonic()))

    def close(self) -> None:
        """Let go of the record."""
        with self._changed:
            record, self._record = self._record, None
        if record is not None:
            os.close(record)


class FaultyCollector(_Collecting[Behaviour]):
    """An OTLP/HTTP collector in this process.

    Args:
        port: to listen at; 0 for one that is free.
        record: file to which a line `<span id> <number of the request>` is appended for each
            accepted span, those of a request by one write before its answer.
    """

    def __init__(self, port: int = 0, record: Path | None = None) -> None:
        super().__init__(Behaviour(), record)
        self._reserved, self.port = _reserved_port(port)
        self._listening: _Listening | None = None
        self.up()

    def __enter__(self) -> FaultyCollector:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://{HOST}:{self.port}"

    def down(self) -> None:
        """Be as if the process were gone: nothing listens, and every connection is closed."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()

    def up(self) -> None:
        """Listen at the same port again."""
        if self._listening is None:
            self._listening = _Listening(self, self.port)

    def close(self) -> None:
        """Stop, for good."""
        self.down()
        self._reserved.close()
        super().close()


class _Listening:
    """A listening socket with its connections, from coming up to going down."""

    def __init__(self, collector: FaultyCollector, port: int) -> None:
        self._collector = collector
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        self._socket = socket.create_server((HOST, port), backlog=128)
        self._socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Close everything, and wait until no request is dealt with any more."""
        self._stopping.set()
        _shut(self._socket)
        self._thread.join(5)
        self._socket.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            _shut(connection)
        for thread in connections:
            thread.join(5)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            with self._lock:
                self._connections[thread] = connection
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(_IDLE_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            serving = _Connection(self._collector, connection, self._stopping)
            try:
                while not self._stopping.is_set() and serving.deal_with_a_request():
                    pass
            except OSError:
                pass  # the client went away
            finally:
                with self._lock:
                    del self._connections[threading.current_thread()]


class _Connection:
    """One connection of a client, and what was read from it beyond the last request."""

    def __init__(
        self, collector: FaultyCollector, connection: socket.socket, stopping: threading.Event
    ) -> None:
        self._collector = collector
        self._socket = connection
        self._stopping = stopping
        self._buffer = bytearray()

    def deal_with_a_request(self) -> bool:
        """Read and answer a request, or do worse; return whether another one may follow."""
        if not self._buffer and not self._socket.recv(1, socket.MSG_PEEK):
            return False
        behaviour = self._collector.take_behaviour()
        if behaviour.fault in ("hang_before_reading", "reset_before_reading"):
            self._collector.note(None)
            return self._break(behaviour)
        try:
            method, path, headers, body = self._read()
        except EOFError:
            return False
        except ValueError as error:
            return self._refuse_corrupt(str(error).encode("utf-8", "replace"))
        spans = _decoded(headers, body)
        if spans is None:
            return self._refuse_corrupt(body, path, headers)
        if behaviour.fault in ("hang", "reset"):
            self._collector.note(None, path, headers, len(spans))
            return self._break(behaviour)
        status, message = _status(behaviour, method, path, body, spans)
        answer = Status(code=_INVALID_ARGUMENT, message=message).SerializeToString()
        if status < 300:
            kept = spans[: max(0, len(spans) - behaviour.rejected)]
            self._collector.accept(kept)
            answer = _response(len(spans) - len(kept), behaviour.message)
        is_told = behaviour.fault != "lose_ack"
        self._collector.note(status if is_told else None, path, headers, len(spans))
        if not is_told:
            return self._break(behaviour)
        self._answer(status, answer, behaviour)
        wants_more = headers.get("connection", "").lower() != "close"
        return wants_more and not behaviour.close_after_answer

    def _read(self) -> tuple[str, str, dict[str, str], bytes]:
        """Return method, path, headers and body.

        Raises:
            EOFError: the client went away in the middle of it.
            ValueError: it is not HTTP; the text is what was read.
        """
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _LARGEST_HEAD:
                raise ValueError(self._buffer.decode("latin-1"))
            self._fill()
        head = self._buffer[:end].decode("latin-1")
        first, *lines = head.split("\r\n")
        pairs = [line.partition(":") for line in lines]
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        length = headers.get("content-length", "0")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1.") or not length.isdecimal():
            raise ValueError(head)
        del self._buffer[: end + 4]
        while len(self._buffer) < int(length):
            self._fill()
        body = bytes(self._buffer[: int(length)])
        del self._buffer[: int(length)]
        return words[0], words[1], headers, body

    def _fill(self) -> None:
        data = self._socket.recv(1 << 18)
        if not data:
            raise EOFError
        self._buffer += data

    def _refuse_corrupt(self, what: bytes, path: str = "", headers: Any = None) -> bool:
        self._collector.corrupt.append(what)
        self._collector.note(400, path, headers)
        self._answer(400, b"", Behaviour())
        return False

    def _break(self, behaviour: Behaviour) -> bool:
        """Hang or reset, whichever it is to be; nothing follows on this connection."""
        if behaviour.fault in ("hang", "hang_before_reading"):
            self._stopping.wait(_LONGEST_HANG_S)
        else:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        return False

    def _answer(self, status: int, body: bytes, behaviour: Behaviour) -> None:
        lines = [
            f"HTTP/1.1 {status} {http.client.responses.get(status, '')}",
            "Content-Type: application/x-protobuf",
            f"Content-Length: {len(body)}",
        ]
        if behaviour.retry_after is not None:
            lines.append(f"Retry-After: {behaviour.retry_after}")
        if behaviour.location is not None:
            lines.append(f"Location: {behaviour.location}")
        data = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        if behaviour.fault != "drip":
            self._socket.sendall(data)
            return
        for byte in data:
            if self._stopping.wait(behaviour.drip_s):
                return
            self._socket.sendall(bytes([byte]))


class FaultyGrpcCollector(_Collecting[GrpcBehaviour]):
    """An OTLP/gRPC collector in this process."""

    def __init__(self, port: int = 0) -> None:
        # Imported here: gRPC is large, and the process form has no use for it.
        import grpc
        from google.protobuf.any_pb2 import Any as AnyMessage
        from google.protobuf.duration_pb2 import Duration
        from google.rpc.error_details_pb2 import RetryInfo
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
            TraceServiceServicer,
            add_TraceServiceServicer_to_server,
        )

        super().__init__(GrpcBehaviour())
        self._stopping = threading.Event()
        outer = self

        class Servicer(TraceServiceServicer):  # type: ignore[misc]
            def Export(self, request: Any, context: Any) -> ExportTraceServiceResponse:
                behaviour = outer.take_behaviour()
                spans = _spans(request)
                headers = {key: str(value) for key, value in context.invocation_metadata()}
                code = None if behaviour.hang else behaviour.code
                outer.note(code, "", headers, len(spans))
                if behaviour.hang:
                    until = time.monotonic() + _LONGEST_HANG_S
                    while context.is_active() and time.monotonic() < until:
                        if outer._stopping.wait(0.05):
                            break
                    context.abort(grpc.StatusCode.CANCELLED, "it hung")
                if behaviour.code == "OK":
                    outer.accept(spans)
                    return ExportTraceServiceResponse()
                status = grpc.StatusCode[behaviour.code]
                if behaviour.retry_after_s is not None:
                    delay = Duration()
                    delay.FromNanoseconds(int(behaviour.retry_after_s * 1e9))
                    details = AnyMessage()
                    details.Pack(RetryInfo(retry_delay=delay))
                    told = Status(code=status.value[0], details=[details]).SerializeToString()
                    context.set_trailing_metadata((("grpc-status-details-bin", told),))
                return context.abort(status, "as it was told to")

        self._server = grpc.server(
            ThreadPoolExecutor(8),
            options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)],
        )
        add_TraceServiceServicer_to_server(Servicer(), self._server)
        self.port = self._server.add_insecure_port(f"{HOST}:{port}")
        self._server.start()

    def __enter__(self) -> FaultyGrpcCollector:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address."""
        return f"http://{HOST}:{self.port}"

    def close(self) -> None:
        """Stop, for good."""
        self._stopping.set()
        self._server.stop(0.5).wait(5)
        super().close()


class CollectorProcess:
    """A `FaultyCollector` in a process of its own, at the same port through every restart.

    Its port is reserved from the beginning, so it can be known, and dead, before the first start.

    Args:
        record: file of what it accepted; of all its processes together.
        port: to listen at; 0 for one that is free.
        lifetime_s: seconds after which a process of it ends by itself.
    """

    def __init__(self, record: Path, port: int = 0, lifetime_s: float = 900) -> None:
        self.record = record
        self._lifetime_s = lifetime_s
        self._reserved, self.port = _reserved_port(port)
        self._process: subprocess.Popen[bytes] | None = None
        self._control_port = 0

    def __enter__(self) -> CollectorProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://{HOST}:{self.port}"

    @property
    def spans(self) -> list[str]:
        """Ids of the accepted spans as hex, in order of arrival, those that came twice twice."""
        if not self.record.exists():
            return []
        return [span_id for span_id, _ in _recorded(self.record.read_text())]

    @property
    def accepted(self) -> set[str]:
        """Ids of the accepted spans."""
        return set(self.spans)

    def wait_for(self, spans: int, timeout_s: float) -> bool:
        """Return whether so many different spans were accepted, at the latest after that time."""
        until = time.monotonic() + timeout_s
        while len(self.accepted) < spans:
            if time.monotonic() > until:
                return False
            time.sleep(0.05)
        return True

    def start(self, behaviour: Behaviour | None = None) -> None:
        """Start it, unless it runs; it listens when this returns."""
        if self._process is not None:
            return
        self._process = subprocess.Popen(
            [
                *(sys.executable, __file__, "--port", str(self.port)),
                *("--record", str(self.record), "--lifetime", str(self._lifetime_s)),
                *("--behaviour", (behaviour or Behaviour()).to_json()),
            ],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        is_told = select.select([self._process.stdout], [], [], 30)[0]
        line = self._process.stdout.readline() if is_told else b""
        if not line:
            self.kill()
            raise RuntimeError("the collector did not start")
        self._control_port = json.loads(line)["control"]

    def kill(self) -> None:
        """Kill it as `kill -9` does, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()

    def close(self) -> None:
        """End it, for good."""
        self.kill()
        self._reserved.close()

    @property
    def behaviour(self) -> Behaviour:
        """What becomes of the next request."""
        return Behaviour(**self.state()["behaviour"])

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._ask("POST", "/behaviour", behaviour.to_json())

    def down(self) -> None:
        """Have it close its sockets, while the process goes on."""
        self._ask("POST", "/down")

    def up(self) -> None:
        """Have it listen again."""
        self._ask("POST", "/up")

    def state(self) -> dict[str, Any]:
        """Return what this process of it saw so far.

        `behaviour`; `requests`, `spans`, `accepted` and `corrupt` as numbers; `statuses`, how
        many requests got which answer (`None`: none).
        """
        state: dict[str, Any] = json.loads(self._ask("GET", "/"))
        return state

    def _ask(self, method: str, path: str, body: str = "") -> bytes:
        connection = http.client.HTTPConnection(HOST, self._control_port, timeout=30)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, data
        return data


def main() -> None:
    """Be a collector until the lifetime is over; print the port of the control endpoint."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--lifetime", type=float, default=900, help="seconds")
    parser.add_argument("--behaviour", default="{}", help="keywords of Behaviour, as JSON")
    arguments = parser.parse_args()
    with FaultyCollector(arguments.port, arguments.record) as collector:
        collector.behaviour = Behaviour(**json.loads(arguments.behaviour))
        control = ThreadingHTTPServer((HOST, 0), _control(collector))
        control.daemon_threads = True
        threading.Thread(target=control.serve_forever, daemon=True).start()
        print(json.dumps({"port": collector.port, "control": control.server_port}), flush=True)
        time.sleep(arguments.lifetime)


def _control(collector: FaultyCollector) -> type[BaseHTTPRequestHandler]:
    class Control(BaseHTTPRequestHandler):
        posts: ClassVar = {
            "/behaviour": lambda body: setattr(
                collector, "behaviour", Behaviour(**json.loads(body))
            ),
            "/down": lambda body: collector.down(),
            "/up": lambda body: collector.up(),
        }

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            try:
                self.posts[self.path](body)
            except Exception as error:
                self._answer(400, repr(error))
            else:
                self._answer(200, "{}")

        def do_GET(self) -> None:
            statuses = Counter(str(request.status) for request in list(collector.requests))
            state = {
                "behaviour": json.loads(collector.behaviour.to_json()),
                "requests": statuses.total(),
                "statuses": statuses,
                "spans": len(collector.spans),
                "accepted": len(collector.accepted),
                "corrupt": len(collector.corrupt),
            }
            self._answer(200, json.dumps(state))

        def _answer(self, status: int, text: str) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Control


def _reserved_port(port: int) -> tuple[socket.socket, int]:
    """Bind a socket that does not listen, and return it with its port.

    While nobody listens at the port, connections to it are refused. The reservation keeps it from
    being handed out to another program, or to the very client that tries to connect to it.
    """
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind((HOST, port))
    port = reserved.getsockname()[1]
    if sys.platform != "linux":  # elsewhere nobody could listen at it then
        reserved.close()
    return reserved, port


def _shut(connection: socket.socket) -> None:
    """Wake whoever waits on the socket, and end it for forked copies of it too."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is not connected any more


def _check_times(times: int | None) -> None:
    if times is not None and times < 1:
        raise ValueError(f"times must be above 0, not {times}")


def _recorded(text: str) -> list[tuple[str, int]]:
    """Return ids and request numbers of the whole lines of a record."""
    found = (_RECORDED.fullmatch(line) for line in text.split("\n")[:-1])
    return [(match[1], int(match[2])) for match in found if match]


def _decoded(headers: dict[str, str], body: bytes) -> list[Any] | None:
    """Return the spans of a body, or None if it cannot be decoded."""
    encoding = headers.get("content-encoding")
    try:
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "deflate":
            body = zlib.decompress(body)
        return _spans(ExportTraceServiceRequest.FromString(body))
    except (DecodeError, EOFError, OSError, zlib.error):
        return None


def _spans(request: ExportTraceServiceRequest) -> list[Any]:
    return [
        span
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _status(
    behaviour: Behaviour, method: str, path: str, body: bytes, spans: list[Any]
) -> tuple[int, str]:
    """Return the status to answer with, and what to say about it."""
    if method != "POST":
        return 405, "spans are posted"
    if not path.endswith(TRACES_PATH):
        return 404, "there is nothing here"
    if behaviour.max_bytes is not None and len(body) > behaviour.max_bytes:
        return 413, f"{len(body)} bytes are more than {behaviour.max_bytes}"
    refused = behaviour.refuse_names and {span.name for span in spans} & set(behaviour.refuse_names)
    if refused:
        return 400, f"refused: {', '.join(sorted(refused))}"
    return behaviour.status, behaviour.message


def _response(rejected: int, message: str) -> bytes:
    response = ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
    if message:
        response.partial_success.error_message = message
    return response.SerializeToString()


if __name__ == "__main__":
    main()
