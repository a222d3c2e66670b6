"""OpenAI's client, traced without a decorator; a server of this program's own answers it.

    pip install "spanwise[openai]"
    python examples/openai_client.py [FOLDER]

Asks once, asks for a stream, and asks for a model that is not there. With an address and a key of
OpenAI's in the place of the stand-in, nothing else has to change.
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from openai import NotFoundError, OpenAI

import spanwise

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}


class StandIn(BaseHTTPRequestHandler):
    """Answers chat completions as OpenAI does, always the same."""

    def do_POST(self) -> None:
        """Answer whole, or in parts, or that there is no such model."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] != "gpt-4o-mini":
            self._send(404, "application/json", {"error": {"message": "There is no such model."}})
        elif asked.get("stream"):
            parts: list[dict[str, Any]] = [{"role": "assistant"}, {"content": "It is "}]
            chunks = [self._answer("delta", part, None) for part in (*parts, {"content": "Paris."})]
            chunks += [self._answer("delta", {}, "stop"), {**self._answer(), "usage": USAGE}]
            lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
            self._send(200, "text/event-stream", "".join((*lines, "data: [DONE]\n\n")))
        else:
            message = {"role": "assistant", "content": "It is Paris."}
            answer = {**self._answer("message", message, "stop"), "usage": USAGE}
            self._send(200, "application/json", answer)

    def _answer(
        self, key: str = "", content: dict[str, Any] | None = None, reason: str | None = None
    ) -> dict[str, Any]:
        choices = [{"index": 0, key: content, "finish_reason": reason}] if key else []
        kind = "chat.completion.chunk" if key != "message" else "chat.completion"
        return {
            "id": "chatcmpl-1",
            "object": kind,
            "created": 1,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": choices,
        }

    def _send(self, status: int, kind: str, body: Any) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


@spanwise.agent
def answer(client: OpenAI, question: str, model: str = "gpt-4o-mini") -> str:
    asked: Any = [{"role": "user", "content": question}]
    done = client.chat.completions.create(model=model, messages=asked)
    return done.choices[0].message.content or ""


@spanwise.agent
def answer_in_parts(client: OpenAI, question: str) -> str:
    chunks = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    )
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def main(folder: Path) -> None:
    """Ask three times, and show what was traced."""
    spanwise.configure(service_name="atlas", traces_dir=folder, instrument=["openai"])
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/v1"
    with OpenAI(base_url=address, api_key="sk-not-a-real-key", max_retries=0) as client:
        question = "What is the capital of France?"
        with spanwise.identify(user="jane@acme.com", session_id="s-1"):
            print(answer(client, question))
            print(answer_in_parts(client, question))
            try:
                answer(client, question, model="gpt-none")
            except NotFoundError as error:
                print(f"refused: {error.status_code}")
    server.shutdown()
    server.server_close()
    spanwise.shutdown()

    from spanwise.cli import commands

    print(flush=True)
    commands(["show", str(folder)], standalone_mode=False)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "traces"))
