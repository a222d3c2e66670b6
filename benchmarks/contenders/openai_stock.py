"""OpenTelemetry's instrumentor of the OpenAI client, on the SDK's provider."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import stock
from benchmarks.contenders.kit import Kit, Place

_ANSWER = {
    "id": "chat-1",
    "object": "chat.completion",
    "created": 1,
    "model": "model-1",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "Before March, the second one."},
        }
    ],
    "usage": {"prompt_tokens": 12, "completion_tokens": 7, "total_tokens": 19},
}


def set_up(variant: str, place: Place) -> Kit:
    """Set the SDK up, unless the bare call is wanted."""
    if variant != "bare":
        stock.set_up("hand", place)
    return asking(is_instrumented=variant != "bare")


def asking(*, is_instrumented: bool) -> Kit:
    """Return what replaces a function by a question to a model, which no network answers."""
    import os

    import httpx2 as httpx  # which the client is made with
    import openai

    if is_instrumented:
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
        from importlib import metadata

        found = metadata.entry_points(group="opentelemetry_instrumentor", name="openai")
        next(iter(found)).load()().instrument()
    body = json.dumps(_ANSWER).encode()
    headers = {"Content-Type": "application/json"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body, headers=headers))
    client = openai.OpenAI(api_key="key", http_client=httpx.Client(transport=transport))

    def replace(_: Callable[..., Any]) -> Callable[..., Any]:
        def ask(question: str, *_: Any, **__: Any) -> Any:
            messages: list[Any] = [{"role": "user", "content": question}]
            return client.chat.completions.create(model="model-1", messages=messages)

        return ask

    return Kit(replace)
