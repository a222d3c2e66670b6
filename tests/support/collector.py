"""A FluxLoop collector in this process; it can also be away, refuse, or be an OTLP one."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector:
    """Collects requests.

    Attributes:
        status: what it answers on `/api/traces` and below.
        seen: (path, headers, body) of each request there, in order of arrival.
        spans: names of the spans that came as OTLP, in order of arrival.
    """

    def __init__(self, port: int = 0) -> None:
        self.status = 200
        self.seen: list[tuple[str, dict[str, str], Any]] = []
        self.spans: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                status = 200
                answer = b""
                if self.path == "/v1/traces":
                    request = ExportTraceServiceRequest.FromString(data)
                    outer.spans += [
                        span.name
                        for of_resource in request.resource_spans
                        for of_scope in of_resource.scope_spans
                        for span in of_scope.spans
                    ]
                else:
                    status = outer.status
                    outer.seen.append((self.path, dict(self.headers), json.loads(data)))
                    answer = json.dumps({"ok": len(outer.seen)}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """Where it listens, or did."""
        return self._server.server_port

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
