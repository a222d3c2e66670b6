"""Whatever the vocabulary: nothing is overwritten, leaked, or said without being asked for."""

from __future__ import annotations

import json
import re

import pytest

import spanwise
from spanwise import dialects
from support.receiver import attributes
from support.records import record_of

SECRET = "sk-" + "a1b2c3d4e5f6a7b8c9d0"
GENERATION = {
    "observation.type": "generation",
    "observation.input": '{"messages":[{"role":"user","content":"hi"}]}',
    "observation.output": '"hello"',
    "observation.tags": ("beta",),
    "observation.metadata.plan": "pro",
    "gen_ai.request.model": "m-1",
    "gen_ai.usage.input_tokens": 5,
    "user.id": "jane",
    "session.id": "s-1",
}


@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_a_dialect_adds_nothing_to_what_it_wrote_itself(name):
    """A span that says all of it is left as it is."""
    translate = dialects.load(name)
    record = record_of(GENERATION, resource={"service.name": "bot", "service.version": "1"})
    added, resource = translate(record)
    again = translate(record.translated(added, resource))
    assert ({}, {}) == (dict(again[0]), dict(again[1]))


@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_a_dialect_never_overwrites_what_the_span_says(name):
    """Each attribute of its vocabulary that is there stays, whatever it holds."""
    translate = dialects.load(name)
    added, _ = translate(record_of(GENERATION))
    for key in added:
        again, _ = translate(record_of({**GENERATION, key: "said already"}))
        assert key not in again


def test_parts_of_one_thing_are_not_mixed():
    """Where one message is numbered by the span itself, none of ours is put between them."""
    families = re.compile("a[.]")
    assert {"b": 1} == dialects.new_to({"a.0.x": 1, "a.1.x": 2, "b": 1}, {"a.1.y": 0}, families)
    assert {"a.1.x": 2} == dialects.new_to({"a.0.x": 1, "a.1.x": 2}, {"a.0.x": 0})


@pytest.mark.parametrize("name", dialects.DIALECTS)
@pytest.mark.parametrize("capture_content", [True, False])
def test_what_is_sent_is_masked_and_holds_content_only_if_asked_to(
    name, capture_content, tmp_path, receiver
):
    """In every vocabulary, for spans of every kind."""

    @spanwise.tool
    def look_up(word: str, api_key: str) -> str:
        return f"contents {SECRET}"

    @spanwise.generation(model="m-1")
    def write(messages: list[dict[str, str]]) -> str:
        return "contents"

    @spanwise.retrieval
    def find(query: str) -> list[str]:
        return ["contents"]

    @spanwise.interaction
    def handle(text: str) -> str:
        look_up("contents", "hidden-1")
        find("contents")
        return write([{"role": "user", "content": f"contents {text} {SECRET}"}])

    spanwise.configure(otlp_endpoint=receiver.url, dialects=[name], capture_content=capture_content)
    handle("contents")
    assert spanwise.flush(10) is True
    texts = [str(value) for span in receiver.spans() for value in attributes(span).values()]
    assert 4 == len(receiver.spans())
    assert [] == [text for text in texts if SECRET in text or "hidden-1" in text]
    assert capture_content is any("contents" in text for text in texts)


@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_a_secret_that_is_escaped_in_a_third_partys_text_is_not_brought_out(name):
    """Texts that a dialect takes apart were masked as what they say."""
    text = json.dumps([{"role": "user", "parts": [{"type": "text", "content": SECRET}]}])
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": text.replace("a1", "\\u0061\\u0031"),
        "gen_ai.system_instructions": text.replace("sk-", "\\u0073k-"),
        "gen_ai.tool.definitions": json.dumps([{"name": "x", "api_key": "hidden-1"}]),
    }
    added, _ = dialects.load(name)(record_of(attributes, scope="other"))
    assert SECRET not in str(added)
    assert "hidden-1" not in str(added)


@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_a_span_of_another_kind_is_no_observation(name):
    """An HTTP client's span is told who it is for, and is given no kind of work."""
    added, _ = dialects.load(name)(record_of({"http.route": "/"}, scope="http", parent=7))
    kinds = {
        "openinference.span.kind",
        "langfuse.observation.type",
        "traceloop.span.kind",
        "brixo.span.kind",
    }
    assert set() == kinds & added.keys()


@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_odd_values_raise_nothing(name):
    """Texts where numbers belong, lists where texts do, and JSON that is none."""
    odd = {
        "gen_ai.usage.input_tokens": "many",
        "gen_ai.usage.output_tokens": True,
        "gen_ai.usage.cache_read.input_tokens": 2.5,
        "gen_ai.response.finish_reasons": "stop",
        "gen_ai.provider.name": ("a", "b"),
        "gen_ai.tool.definitions": "{",
        "gen_ai.input.messages": "[[1, {}]]",
        "llm.input_messages.x.message": 1,
        "llm.invocation_parameters": "[]",
        "observation.level": 7,
        "observation.input": "[",
        "observation.metadata.deep": "{",
        "traceloop.prompt.template": 7,
    }
    for kind in ("agent", "embedding", "generation", "reranker", "retrieval", "tool", "span"):
        for scope in ("spanwise", "other"):
            dialects.load(name)(record_of({"observation.type": kind, **odd}, scope=scope))


def test_a_fault_of_a_dialect_costs_its_words_and_not_the_span(monkeypatch, swallowed):
    """It is counted."""
    monkeypatch.setattr("spanwise.dialects.langfuse.translate", lambda record: 1 / 0)
    assert ({}, {}) == dialects.load("langfuse")(record_of(GENERATION))
    assert {"failures.dialect.langfuse": 1} == swallowed()


@pytest.mark.parametrize("name", dialects.DIALECTS)
def test_every_dialect_that_can_be_asked_for_is_there(name):
    """Each name loads a module that translates."""
    assert callable(dialects.load(name))
