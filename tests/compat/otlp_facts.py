"""What a program sends over OTLP, as facts that can be compared.

Runs with published packages, in environments of their own, and with ours: it needs nothing but
OpenTelemetry's OTLP messages, which all of them bring. What differs from run to run (ids, times,
versions of OpenTelemetry) is left out.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_OURS = ("SPANWISE_", "OTEL_", "BRIXO_", "FLUXLOOP_", "TRACELOOP_", "LANGFUSE_")
_STATUSES = ("unset", "ok", "error")


def facts(
    program: Path, variables: Callable[[str], Mapping[str, str]], headers: tuple[str, ...]
) -> dict[str, Any]:
    """Run a program against a receiver in this process, and return what it was sent.

    Args:
        program: to be run by this Python.
        variables: of its environment, made of the address of the receiver.
        headers: the names of those to keep; the rest says how HTTP was spoken.
    """
    received: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent = {name.lower(): value for name, value in self.headers.items()}
            received.append((self.path, sent, body))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    environment = {n: v for n, v in os.environ.items() if not n.startswith(_OURS)}
    environment |= {"NO_PROXY": "127.0.0.1"}
    environment |= variables(f"http://127.0.0.1:{server.server_port}")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, program],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
    server.shutdown()
    server.server_close()
    if done.returncode:
        raise SystemExit(f"the program failed:\n{done.stderr}")
    return _facts(received, headers)


def check(found: dict[str, Any], arguments: list[str]) -> int:
    """Print the facts, or with `--check FILE` compare them with those of a file."""
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    if arguments[:1] != ["--check"]:
        print(text, end="")
        return 0
    if text == Path(arguments[1]).read_text(encoding="utf-8"):
        print("the published package still sends what is stored")
        return 0
    print(f"the published package sends something else than {arguments[1]} says:\n{text}")
    return 1


def _facts(
    received: list[tuple[str, dict[str, str], bytes]], kept: tuple[str, ...]
) -> dict[str, Any]:
    resources: list[dict[str, Any]] = []
    spans: list[tuple[str, Any]] = []
    for _, headers, body in received:
        content = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        for sent in ExportTraceServiceRequest.FromString(content).resource_spans:
            resources.append(_attributes(sent.resource))
            for scoped in sent.scope_spans:
                spans += [(scoped.scope.name, span) for span in scoped.spans]
    names = {span.span_id: span.name for _, span in spans}
    spans.sort(key=lambda sent: sent[1].start_time_unix_nano)
    return {
        "paths": sorted({path for path, _, _ in received}),
        "headers": {
            name: sorted({headers[name] for _, headers, _ in received if name in headers})
            for name in kept
        },
        "resource": {
            name: value
            for resource in resources
            for name, value in sorted(resource.items())
            if not name.startswith("telemetry.") and name != "service.instance.id"
        },
        "spans": [
            {
                "name": span.name,
                "scope": scope,
                "parent": names.get(span.parent_span_id),
                "status": _STATUSES[span.status.code],
                "events": [event.name for event in span.events],
                "attributes": dict(sorted(_attributes(span).items())),
            }
            for scope, span in spans
        ],
    }


def _attributes(holder: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in holder.attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _value(pair.value) for pair in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)
