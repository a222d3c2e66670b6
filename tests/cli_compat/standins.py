"""What the CLI talks to, on the loopback: a language model, and FluxLoop collectors."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_VERDICTS = {
    "task_completion": "PASS",
    "hallucination": "PASS",
    "relevance": "PASS",
    "tool_usage": "APPROPRIATE",
    "user_satisfaction": "GOOD",
    "clarity": "PASS",
    "persona_consistency": "PASS",
}
_OF_ONE_TRACE = {
    "metrics": {name: {"eval": verdict, "reasoning": "so"} for name, verdict in _VERDICTS.items()}
}
_ADVICE = {"interpretation": "as it is", "recommendation": "go on"}
_OF_ALL = {
    "executive_summary": {"status_title": "Ready", "status_subtitle": "all of it"},
    "trace_matrix": {"description": "as expected"},
    "response_quality": {"observations": [], "improvement_patterns": [], "quick_wins": []},
    "insights": {"failed_cases_analysis": [], "review_cases_analysis": []},
    "recommendations": {"priority_groups": []},
    "performance": {
        "output_tokens": _ADVICE,
        "conversation_depth": _ADVICE,
        "latency": _ADVICE,
        "persona_gap": {"interpretation": "none", "recommendations": []},
    },
}
_HEADERS = ("authorization", "content-type", "x-service-name", "x-environment")


@dataclass
class StandIns:
    """The addresses of the stand-ins of one run, and what they were sent."""

    model_url: str = ""
    collector_url: str = ""
    otlp_url: str = ""
    dead_url: str = ""
    judged: list[dict[str, Any]] = field(default_factory=list)
    collected: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    otlp_spans: list[str] = field(default_factory=list)


@contextmanager
def standins() -> Iterator[StandIns]:
    """Run the stand-ins of one run."""
    run = StandIns()

    def judge(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        asked = json.loads(body)
        run.judged.append({"path": path, "authorization": headers["authorization"]})
        system = [m["content"] for m in asked["messages"] if m["role"] == "system"]
        verdict = _OF_ONE_TRACE if any(system) else _OF_ALL
        message = {"role": "assistant", "content": json.dumps(verdict)}
        answer = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        return 200, "application/json", json.dumps(answer).encode()

    def collect(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        run.collected.append(_request(path, headers, body))
        return 200, "application/json", b'{"status": "ok"}'

    def refuse(path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        if not path.endswith("/v1/traces"):
            run.refused.append(_request(path, headers, body))
            return 404, "application/json", b'{"detail": "Not Found"}'
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                run.otlp_spans += [span.name for span in scope.spans]
        return 200, "application/x-protobuf", b""

    with ExitStack() as stack:
        run.model_url = stack.enter_context(_serving(judge)) + "/v1"
        run.collector_url = stack.enter_context(_serving(collect))
        run.otlp_url = stack.enter_context(_serving(refuse))
        # Bound and never listening: nobody else can take the port, and connecting is refused.
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.1", 0))
        run.dead_url = f"http://127.0.0.1:{dead.getsockname()[1]}"
        yield run


def _request(path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    kept = {name: headers[name] for name in _HEADERS if name in headers}
    return {"path": path, "headers": kept, "body": json.loads(body)}


Answer = Callable[[str, dict[str, str], bytes], tuple[int, str, bytes]]


@contextmanager
def _serving(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            if headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            status, kind, content = answer(self.path, headers, body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing: the program's own output is what is read."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
