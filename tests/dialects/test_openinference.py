"""What OpenInference's vocabulary says of each kind of work."""

from __future__ import annotations

import json

import pytest

from spanwise import dialects
from support.records import record_of

translate = dialects.load("openinference")


def added(attributes, **options):
    return dict(translate(record_of(attributes, **options))[0])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("agent", "AGENT"),
        ("tool", "TOOL"),
        ("generation", "LLM"),
        ("retrieval", "RETRIEVER"),
        ("embedding", "EMBEDDING"),
        ("evaluation", "EVALUATOR"),
        ("guardrail", "GUARDRAIL"),
        ("reranker", "RERANKER"),
        ("chain", "CHAIN"),
        ("span", "CHAIN"),
        ("event", "CHAIN"),
        ("interaction", "CHAIN"),
    ],
)
def test_each_type_has_its_kind(kind, expected):
    """A plain function is a step of a chain."""
    assert expected == added({"observation.type": kind})["openinference.span.kind"]


def test_a_plain_function_shows_what_went_in_and_came_out():
    """With the form of each text."""
    found = added(
        {
            "observation.type": "span",
            "observation.input": '{"text":"a"}',
            "observation.output": '"b"',
        }
    )
    assert {
        "openinference.span.kind": "CHAIN",
        "input.value": '{"text":"a"}',
        "input.mime_type": "application/json",
        "output.value": "b",
        "output.mime_type": "text/plain",
    } == found


def test_what_takes_and_returns_nothing_shows_neither():
    """An empty mapping and a null are what is captured of it."""
    found = added(
        {"observation.type": "span", "observation.input": "{}", "observation.output": "null"}
    )
    assert {"openinference.span.kind": "CHAIN"} == found


def test_a_generation_is_told_in_full():
    """Models, provider, parameters, tools, tokens, messages and why it stopped."""
    found = added(
        {
            "observation.type": "generation",
            "observation.input": '{"messages":[{"role":"user","content":"hi"}]}',
            "observation.output": '"hello"',
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-1",
            "gen_ai.provider.name": "azure.ai.openai",
            "gen_ai.request.temperature": 0.5,
            "gen_ai.request.stream": True,
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.tool.definitions": '[{"name":"search"}]',
            "gen_ai.usage.input_tokens": 11,
            "gen_ai.usage.output_tokens": 7,
            "gen_ai.usage.cache_read.input_tokens": 4,
            "gen_ai.usage.cache_creation.input_tokens": 3,
            "gen_ai.usage.reasoning.output_tokens": 2,
        }
    )
    assert {
        "llm.model_name": "gpt-4o",
        "llm.request.model_name": "gpt-4o",
        "llm.response.model_name": "gpt-4o-1",
        "llm.provider": "azure",
        "llm.system": "openai",
        "llm.invocation_parameters": '{"temperature":0.5}',
        "llm.finish_reason": "stop",
        "llm.tools.0.tool.json_schema": '{"name":"search"}',
        "llm.token_count.prompt": 11,
        "llm.token_count.completion": 7,
        "llm.token_count.total": 18,
        "llm.token_count.prompt_details.cache_read": 4,
        "llm.token_count.prompt_details.cache_write": 3,
        "llm.token_count.completion_details.reasoning": 2,
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "hi",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "hello",
    } == {key: found[key] for key in found if key.startswith("llm.")}


def test_a_reranker_is_told_in_full():
    """Query, limit, and the documents before and after."""
    found = added(
        {
            "observation.type": "reranker",
            "observation.input": '{"query":"q","documents":["a","b"],"top_k":1}',
            "observation.output": '[{"content":"b","score":0.5}]',
            "gen_ai.request.model": "r-1",
        }
    )
    assert {
        "reranker.query": "q",
        "reranker.top_k": 1,
        "reranker.model_name": "r-1",
        "reranker.input_documents.0.document.content": "a",
        "reranker.input_documents.1.document.content": "b",
        "reranker.output_documents.0.document.content": "b",
        "reranker.output_documents.0.document.score": 0.5,
    } == {key: found[key] for key in found if key.startswith("reranker.")}


@pytest.mark.parametrize(
    ("captured", "texts"),
    [('{"texts":["a","b"]}', ["a", "b"]), ('{"text":"a"}', ["a"]), ('"a"', ["a"]), ("7", [])],
)
def test_an_embedding_is_told_in_full(captured, texts):
    """Its model, and the texts."""
    found = added(
        {
            "observation.type": "embedding",
            "observation.input": captured,
            "gen_ai.request.model": "e-1",
        }
    )
    assert "e-1" == found["embedding.model_name"]
    assert texts == [found[key] for key in sorted(found) if key.endswith("embedding.text")]


def test_who_it_is_for_and_what_is_said_of_it_are_told():
    """Session, user, tags and metadata, of a span of another kind too."""
    found = added(
        {
            "session.id": "s-1",
            "user.id": "jane",
            "observation.tags": ("beta",),
            "observation.metadata.plan": "pro",
            "observation.metadata.limits": '{"calls":3}',
        },
        scope="http",
    )
    # Session and user have the same names in both vocabularies.
    assert {"tag.tags", "metadata"} == found.keys()
    assert ("beta",) == found["tag.tags"]
    assert {"plan": "pro", "limits": {"calls": 3}} == json.loads(found["metadata"])


def test_a_prompts_template_is_told():
    """Where Traceloop's or Langfuse's names say which."""
    found = added(
        {
            "observation.type": "generation",
            "traceloop.prompt.template": "Say {x}",
            "traceloop.prompt.template_variables": '{"x":"hi"}',
            "langfuse.observation.prompt.version": 3,
        }
    )
    assert {
        "llm.prompt_template.template": "Say {x}",
        "llm.prompt_template.variables": '{"x":"hi"}',
        "llm.prompt_template.version": 3,
    } == {key: found[key] for key in found if key.startswith("llm.prompt_template")}
