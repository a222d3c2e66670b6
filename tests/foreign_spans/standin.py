"""A local server that answers as OpenAI does, and counts the tokens that it says were used."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_CREATED = 1_767_225_600


class StandIn:
    """The server; `url` is its base address, `served` the tokens that clients were told of."""

    def __init__(self) -> None:
        self.served = {"input": 0, "output": 0}
        self._answers = 0
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any] | list[dict[str, Any]]:
        """Return one document, or those of a stream."""
        with self._lock:
            self._answers += 1
            number = self._answers
        if path.endswith("/embeddings"):
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            vectors = [
                {"object": "embedding", "index": index, "embedding": [0.5, 0.25]}
                for index, _ in enumerate(texts)
            ]
            self._count(7, 0)
            usage = {"prompt_tokens": 7, "total_tokens": 7}
            return {"object": "list", "data": vectors, "model": asked["model"], "usage": usage}
        return self._chat(asked, number)

    def _chat(self, asked: dict[str, Any], number: int) -> dict[str, Any] | list[dict[str, Any]]:
        last = asked["messages"][-1]
        prompt, completion = 10 + len(str(last["content"])), 5
        described = {
            "id": f"chatcmpl-{number}",
            "created": _CREATED,
            "model": f"{asked['model']}-2026-01-01",
        }
        message: dict[str, Any] = {"role": "assistant", "content": "It is Paris."}
        reason = "stop"
        if asked.get("tools") and last["role"] == "user":
            called = {"name": "capital", "arguments": '{"country": "France"}'}
            call = {"id": f"call_{number}", "type": "function", "function": called}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            reason = "tool_calls"
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 2},
        }
        if not asked.get("stream"):
            self._count(prompt, completion)
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return {**described, "object": "chat.completion", "choices": [choice], "usage": usage}
        if "tool_calls" in message:
            message["tool_calls"] = [{"index": 0, **call} for call in message["tool_calls"]]
            deltas = [message]
        else:
            deltas = [{"role": "assistant", "content": "It is "}, {"content": "Paris."}]
        chunks: list[dict[str, Any]] = [
            {"index": 0, "delta": delta, "finish_reason": None} for delta in deltas
        ]
        chunks.append({"index": 0, "delta": {}, "finish_reason": reason})
        described["object"] = "chat.completion.chunk"
        documents = [{**described, "choices": [chunk]} for chunk in chunks]
        if (asked.get("stream_options") or {}).get("include_usage"):
            self._count(prompt, completion)
            documents.append({**described, "choices": [], "usage": usage})
        return documents

    def _count(self, prompt: int, completion: int) -> None:
        with self._lock:
            self.served["input"] += prompt
            self.served["output"] += completion


def _handler(standin: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if asked["model"] == "unknown":
                error = {"message": "no such model", "type": "invalid_request_error"}
                self._send(404, "application/json", iter([json.dumps({"error": error}).encode()]))
                return
            answer = standin.answer(self.path, asked)
            if isinstance(answer, dict):
                self._send(200, "application/json", iter([json.dumps(answer).encode()]))
            else:
                self._send(200, "text/event-stream", _events(answer))

        def _send(self, status: int, kind: str, parts: Iterator[bytes]) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            for part in parts:
                self.wfile.write(part)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _events(documents: list[dict[str, Any]]) -> Iterator[bytes]:
    for document in documents:
        yield f"data: {json.dumps(document)}\n\n".encode()
    yield b"data: [DONE]\n\n"
