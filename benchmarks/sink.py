"""A collector in a process of its own, which counts; it needs nothing but Python.

    python -m benchmarks.sink PORT [--hang]

It prints its port. Bodies are kept as they came, and counted when it is asked at `/counts`: what
it does meanwhile is not to cost those that send. With `--hang` it takes requests and never
answers, until something is posted to `/mend`.
"""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Counts:
    """What arrived."""

    def __init__(self) -> None:
        self.bodies: list[tuple[float, str, str, bytes]] = []
        self.mended = threading.Event()
        self.mended.set()

    def report(self) -> dict[str, float]:
        """Return how many requests and different spans came, and when the last one did."""
        spans: set[bytes] = set()
        times = 0
        last = 0.0
        for at, path, encoding, body in self.bodies:
            found = list(ids(path, decoded(body, encoding)))
            times += len(found)
            spans.update(found)
            last = max(last, at) if found else last
        requests = len(self.bodies)
        return {"requests": requests, "spans": len(spans), "came": times, "last": last}


def decoded(body: bytes, encoding: str) -> bytes:
    """Return a body without what HTTP put around it."""
    if encoding == "gzip":
        return gzip.decompress(body)
    return zlib.decompress(body) if encoding == "deflate" else body


def ids(path: str, body: bytes) -> Iterator[bytes]:
    """Yield the id of each span of a request, in OTLP or in what peers speak instead."""
    if path.endswith("/v1/traces"):
        yield from span_ids(body)
    elif path.endswith("/observations"):
        yield json.loads(body)["id"].encode()
    elif path.endswith("/spans/batch"):
        yield from (span["id"].encode() for span in json.loads(body)["spans"])


def span_ids(request: bytes) -> Iterator[bytes]:
    """Yield the id of each span of an OTLP request in protobuf."""
    for of_resource in fields(request, 1):
        for of_scope in fields(of_resource, 2):
            for span in fields(of_scope, 2):
                yield from fields(span, 2)


def fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the values of a field that has bytes, text or messages."""
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        kind = key & 7
        if kind == 2:
            length, at = _number(message, at)
            if key >> 3 == wanted:
                yield message[at : at + length]
            at += length
        elif kind == 0:
            _, at = _number(message, at)
        else:
            at += 8 if kind == 1 else 4


def _number(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7


def serve(port: int, hangs: bool) -> None:
    """Listen until the process is ended."""
    counts = Counts()
    if hangs:
        counts.mended.clear()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            body = self._body()
            if self.path == "/mend":
                counts.mended.set()
            else:
                if not counts.mended.is_set():
                    time.sleep(3600)
                encoding = self.headers.get("Content-Encoding", "")
                counts.bodies.append((time.monotonic(), self.path, encoding, body))
            self._answer(b"", "application/x-protobuf")

        def do_GET(self) -> None:
            self._answer(json.dumps(counts.report()).encode(), "application/json")

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") == "chunked":
                pieces = []
                while length := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(length))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, body: bytes, kind: str) -> None:
            if kind.endswith("protobuf") and self.path.startswith("/api/"):
                body, kind = b"{}", "application/json"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever(0.05)


if __name__ == "__main__":
    serve(int(sys.argv[1]), "--hang" in sys.argv)
