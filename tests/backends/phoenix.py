"""Arize Phoenix: what it shows of the program's spans."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.environments import environment
from backends.servers import asked, free_port, serving
from backends.work import METADATA, QUESTION, TAGS, USER, WORK, differences, numbered

REQUIREMENT = "arize-phoenix==20.26.1"
# With the dialect everything is there; without it kinds, tokens, sessions and users are.
CASES = ("openinference", "")

_KINDS = {
    "agent": "AGENT",
    "chain": "CHAIN",
    "embedding": "EMBEDDING",
    "generation": "LLM",
    "retrieval": "RETRIEVER",
    "span": "CHAIN",
    "tool": "TOOL",
}
_COUNTS = {
    "input": "llm.token_count.prompt",
    "output": "llm.token_count.completion",
    "cached": "llm.token_count.prompt_details.cache_read",
}


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run Phoenix with an empty database in the folder; yield its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    variables = {
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(free_port()),
        "PHOENIX_WORKING_DIR": str(folder),
    }
    command = [environment(REQUIREMENT) / "phoenix", "serve"]
    with serving(command, variables, folder, f"{url}/healthz"):
        yield url


def variables(url: str, case: str) -> dict[str, str]:
    """Return what the program is told: each case is a project of its own."""
    asked(f"{url}/v1/projects", {"name": _project(case)})
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": url,
        "OTEL_RESOURCE_ATTRIBUTES": f"openinference.project.name={_project(case)}",
    }


def wrong(url: str, case: str, session: str) -> list[str] | None:
    """Return how what is shown differs from what should be, or None: it is not all there yet."""
    project = f"{url}/v1/projects/{_project(case)}"
    spans = asked(f"{project}/spans?limit=1000")["data"]
    if len(spans) < len(WORK):
        return None
    sessions = [
        (found["session_id"], len(found["traces"]), found["token_count_total"])
        for found in asked(f"{project}/sessions")["data"]
    ]
    complaints = differences("Phoenix", _expected(case, session), _shown(spans))
    if sessions != [(session, 2, 26)]:
        complaints.append(f"Phoenix: sessions are {sessions}, not {session} with 2 traces")
    return complaints


def _project(case: str) -> str:
    return case or "plain"


def _shown(spans: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    spans = sorted(spans, key=lambda span: str(span["start_time"]))
    names = dict(
        zip(
            (span["context"]["span_id"] for span in spans),
            numbered([span["name"] for span in spans]),
            strict=True,
        )
    )
    return {
        names[span["context"]["span_id"]]: {
            **{key: _value(span["attributes"], key) for key in span["attributes"]},
            "kind": span["span_kind"],
            "parent": names.get(span["parent_id"]),
            "error": span["status_message"] if span["status_code"] == "ERROR" else None,
        }
        for span in spans
    }


def _value(attributes: dict[str, Any], key: str) -> Any:
    value = attributes[key]
    if key in ("input.value", "output.value"):
        mime_type = attributes.get(key.replace("value", "mime_type"))
        return json.loads(value) if mime_type == "application/json" else value
    return value


def _expected(case: str, session: str) -> dict[str, dict[str, Any]]:
    expected: dict[str, dict[str, Any]] = {}
    for name, work in WORK.items():
        expected[name] = {
            "kind": _KINDS[work.type],
            "parent": work.parent,
            "error": work.error,
            "session.id": session,
            "user.id": USER,
            **{_COUNTS[part]: count for part, count in work.tokens.items()},
        }
        if work.type == "generation":
            expected[name]["llm.model_name"] = work.model
        if case:
            expected[name] |= {
                "input.value": work.input,
                "output.value": work.output,
                "tag.tags": TAGS,
                **{f"metadata.{key}": value for key, value in METADATA.items()},
            }
    if case:
        for name, attributes in _PARTICULARS.items():
            expected[name] |= attributes
    else:
        for name, work in WORK.items():
            if work.type in ("span", "chain"):
                expected[name]["kind"] = "UNKNOWN"
    return expected


_PARTICULARS: dict[str, dict[str, Any]] = {
    "Support": {"agent.name": "Support"},
    "look_up": {
        "tool.name": "look_up",
        "tool.description": "Look a word up",
        "tool.parameters.word": "Paris",
        "tool.parameters.api_key": "***",
    },
    "find": {
        "retrieval.documents.0.document.id": "d1",
        "retrieval.documents.0.document.content": "Paris is the capital.",
        "retrieval.documents.0.document.score": 0.9,
        "retrieval.documents.0.document.metadata.page": 3,
        "retrieval.documents.1.document.content": "Lyon is not.",
    },
    "embed": {
        "embedding.model_name": "embed-1",
        "embedding.embeddings.0.embedding.text": QUESTION,
    },
    "write": {
        "llm.provider": "openai",
        "llm.response.model_name": "gpt-4o-2024-08-06",
        "llm.input_messages.0.message.role": "system",
        "llm.input_messages.1.message.role": "user",
        "llm.input_messages.1.message.content": QUESTION,
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "Paris.",
    },
    "chat fake-1": {
        "llm.input_messages.0.message.role": "system",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "capital",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"country":"France"}',
    },
    "chat fake-1 2": {
        "llm.input_messages.3.message.role": "tool",
        "llm.input_messages.3.message.content": "Paris",
        "llm.output_messages.0.message.content": "It is Paris.",
    },
    "execute_tool capital": {"tool.name": "capital", "tool.description": "Name the capital."},
}
