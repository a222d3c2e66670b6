"""Spans of third parties come out in our words, as observations, in files and to collectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from opentelemetry import trace

import spanwise
from foreign_spans import meanings
from spanwise._limits import Limits
from spanwise.export import own_words
from spanwise.instrumentation import translation
from spanwise.instrumentation.translation import translate
from support.files import Files
from support.receiver import attributes

QUESTION = "What is the capital of France?"
GOLDEN = json.loads(meanings.GOLDEN.read_text())
LANGCHAIN = ("gen_ai", "openinference", "traceloop", "langfuse")
OPENAI = ("gen_ai", "openinference", "traceloop", "traceloop_0")


def of_type(lines, kind):
    return [line for line in lines if line["type"] == kind]


def said(name, attributes, events=()):
    """Return everything that is said of a span, as one mapping."""
    found = translate(name, attributes, events)
    return {} if found is None else {**found.copied, **found.decoded, **found.content}


@pytest.mark.parametrize("name", meanings.recordings(pairs=False))
def test_recorded_spans_come_out_as_stored(name, tmp_path):
    """Every span of every instrumentor: type, place, input, output, model, tokens, who it was for."""
    assert GOLDEN[name] == meanings.in_short(meanings.observations(name, tmp_path / "t"))


@pytest.mark.parametrize("spoken", LANGCHAIN)
def test_a_langchain_agent_means_the_same_whoever_tells_of_it(spoken, tmp_path):
    """Models with their tokens, tools with their names, the search, and the session."""
    lines = meanings.observations(f"langchain-{spoken}", tmp_path / "t")
    models = [
        (line.get("model"), line.get("prompt_tokens"), line.get("completion_tokens"))
        for line in of_type(lines, "generation")
    ]
    calls = [("fake-1", 20, 3), ("fake-1", 30, 5), ("fake-1", 20, 3), ("fake-1", 30, 5)]
    assert [*calls, ("fake-1", None, None)] == models
    for line in of_type(lines, "generation"):
        assert QUESTION in json.dumps(line["input"])
        assert "s-1" == line["session_id"]
    tools = of_type(lines, "tool")
    assert ["capital", "capital"] == [line["attributes"]["gen_ai.tool.name"] for line in tools]
    assert ["France" in str(tools[0]["input"]), "Spain" in str(tools[1]["input"])] == [True, True]
    assert "Paris" in str(tools[0]["output"])
    assert "'Spain'" in tools[1]["error"]
    assert ["cities"] == [line["input"] for line in of_type(lines, "retrieval")]


@pytest.mark.parametrize("spoken", OPENAI)
def test_a_call_of_openai_means_the_same_whoever_tells_of_it(spoken, tmp_path):
    """Chats, streams with and without usage, embeddings and errors."""
    lines = meanings.observations(f"openai-{spoken}", tmp_path / "t")
    used = [
        (line.get("model"), line.get("prompt_tokens"), line.get("completion_tokens"))
        for line in of_type(lines, "generation")
    ]
    silent = ("gpt-4o", None, None)
    chat = ("gpt-4o", 40, 5)
    failed = ("unknown", None, None)
    history = ("gpt-4o", 15, 5)
    assert [chat, chat, history, silent, chat, silent, failed, chat, chat] == used
    (embedding,) = of_type(lines, "embedding")
    assert ("text-embedding-3-small", 7) == (embedding["model"], embedding["prompt_tokens"])
    first = lines[0]["attributes"]
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.response.model": "gpt-4o-2026-01-01",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }.items() <= first.items()
    assert "It is Paris." in json.dumps(lines[0]["output"])
    assert "capital" in json.dumps(lines[1]["output"])  # the tool that the model asked for


def test_decorated_functions_of_langfuse_come_out_with_who_they_were_for(tmp_path):
    """Their types, names, levels and metadata."""
    lines = meanings.observations("langfuse-langfuse", tmp_path / "t")
    types = ["retrieval", "tool", "embedding", "guardrail", "chain", "tool", "generation"]
    assert [*types, "evaluation", "agent", "span"] == [line["type"] for line in lines]
    who = {(line["user_id"], line["session_id"], line["tags"][0]) for line in lines}
    assert {("jane", "s-1", "beta")} == who
    (guardrail,) = of_type(lines, "guardrail")
    assert ("warning", "close to the limit") == (guardrail["level"], guardrail["status_message"])
    (write,) = of_type(lines, "generation")
    assert {"account": "org_7", "plan": "pro"} == write["metadata"]
    assert "answer" == of_type(lines, "agent")[0]["attributes"]["gen_ai.agent.name"]


@pytest.mark.parametrize("name", meanings.recordings(pairs=False))
def test_a_collector_is_sent_what_the_files_say(name, tmp_path, receiver):
    """The translation is part of the record; what the span said in its own words is left as it is."""
    lines = meanings.observations(name, tmp_path / "t", otlp_endpoint=receiver.url)
    own = {step["end"]: step["attributes"] for step in meanings.recorded(name)[1] if "end" in step}
    sent = {span.span_id.hex(): attributes(span) for span in receiver.spans()}
    assert len(lines) == len(sent) == len(own)
    for line in lines:
        told = sent[line["id"]]
        for key, value in (("observation.input", "input"), ("observation.output", "output")):
            assert (json.loads(told[key]) if key in told else None) == line[value]
        assert line["type"] == told.get("observation.type", "span")
        for key in ("gen_ai.request.model", "gen_ai.usage.input_tokens", "session.id"):
            assert line["attributes"].get(key) == told.get(key)
    nameless = "unknown"  # replaced where the name is known after all
    kept = [
        attrs for attrs in own.values() if nameless not in str(attrs.get("gen_ai.request.model"))
    ]
    for attrs in kept:
        assert any(set(attrs) <= set(told) for told in sent.values())


def test_messages_spread_over_attributes_are_put_together():
    """In the order of their numbers, tool calls within them, in two vocabularies."""
    older = {
        "llm.request.type": "chat",
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": "42",
        "gen_ai.prompt.10.content": "last",
        "gen_ai.prompt.2.tool_calls.0.name": "f",
        "gen_ai.prompt.name": "no message",
        "gen_ai.completion.0.content": "Hi",
        "gen_ai.completion.0.finish_reason": "stop",
        "gen_ai.usage.prompt_tokens": 3,
        "gen_ai.usage.completion_tokens": 4,
        "gen_ai.system": "OpenAI",
    }
    assert {
        "observation.type": "generation",
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "OpenAI",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "observation.input": [
            {"role": "user", "content": "42"},
            {"tool_calls": [{"name": "f"}]},
            {"content": "last"},
        ],
        "observation.output": [{"content": "Hi", "finish_reason": "stop"}],
    } == said("openai.chat", older)
    theirs = {
        "openinference.span.kind": "LLM",
        "input.value": "ignored",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "Hi",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "f",
    }
    found = said("call", theirs)
    assert [{"contents": [{"type": "text", "text": "Hi"}]}] == found["observation.input"]
    assert [{"tool_calls": [{"function": {"name": "f"}}]}] == found["observation.output"]


def test_events_of_older_instrumentors_tell_input_and_output():
    """One event for each message, one for all of them, and one with everything."""
    messages = [
        ("gen_ai.system.message", {"content": "Be brief."}),
        ("gen_ai.user.message", {"content": "Hi", "role": "customer"}),
        ("gen_ai.choice", {"index": 0, "message": "Hello"}),
        ("something else", {"content": "no"}),
    ]
    found = said("chat", {"gen_ai.operation.name": "chat"}, messages)
    assert [
        {"role": "system", "content": "Be brief."},
        {"role": "customer", "content": "Hi"},
    ] == found["observation.input"]
    assert {"role": "assistant", "index": 0, "message": "Hello"} == found["observation.output"]
    content = [
        ("gen_ai.content.prompt", {"gen_ai.prompt": '[{"role": "user"}]'}),
        ("gen_ai.content.completion", {"gen_ai.completion": "Hello"}),
    ]
    found = said("chat", {"gen_ai.operation.name": "chat"}, content)
    assert ([{"role": "user"}], "Hello") == (
        found["observation.input"],
        found["observation.output"],
    )
    details = [("gen_ai.client.inference.operation.details", {"gen_ai.input.messages": "[1]"})]
    assert "[1]" == said("chat", {"gen_ai.operation.name": "chat"}, details)["observation.input"]


def test_what_a_span_says_in_our_words_is_left_alone():
    """A translation only adds, but for a model whose name was not known."""
    given = {
        "observation.type": "tool",
        "observation.input": '"mine"',
        "gen_ai.request.model": "mine",
        "session.id": "mine",
        "openinference.span.kind": "LLM",
        "input.value": "theirs",
        "llm.model_name": "theirs",
        "traceloop.association.properties.session_id": "theirs",
    }
    added = said("call", given, [("gen_ai.user.message", {"content": "theirs"})])
    assert set() == set(given) & set(added)
    unknown = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "unknown"}
    known = {**unknown, "traceloop.association.properties.ls_model_name": "gpt-4o"}
    assert "gpt-4o" == said("chat", known)["gen_ai.request.model"]
    assert "gen_ai.request.model" not in said("chat", unknown)


def test_a_span_of_no_vocabulary_is_left_as_it_is(files):
    """An HTTP request is no observation that a backend for agents has to know of."""
    with trace.get_tracer("http").start_as_current_span("GET") as span:
        span.set_attribute("http.request.method", "GET")
    assert {"http.request.method": "GET"} == files.observation("GET")["attributes"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("openinference.span.kind", 7),
        ("llm.token_count.prompt", "many"),
        ("llm.token_count.prompt", -1),
        ("llm.token_count.prompt", True),
        ("llm.invocation_parameters", "[]"),
        ("llm.invocation_parameters", "{"),
        ("langfuse.observation.usage_details", '{"input": "many"}'),
        ("langfuse.observation.level", "LOUD"),
        ("metadata", "[1]"),
        ("llm.input_messages.first.message.role", "user"),
        ("llm.input_messages.", "user"),
        ("tag.tags", ()),
    ],
)
def test_what_cannot_be_meant_is_not_read(name, value):
    """A value of another kind than the vocabulary says is left where it is."""
    found = said("call", {"openinference.span.kind": "LLM", name: value})
    unsaid = {"observation.type", "gen_ai.operation.name"} if name[:4] != "open" else set()
    assert unsaid == set(found)


@pytest.mark.parametrize("text", ["12345678901234567890123", "5e10", "1e5", "0042", "1.50", "-0"])
def test_a_text_that_happens_to_be_a_number_stays_that_text(files, text):
    """An id, a commit, or what somebody wrote is not counted with, wherever it stands."""
    with trace.get_tracer("theirs").start_as_current_span("call") as span:
        span.set_attribute("langfuse.observation.type", "generation")
        span.set_attribute("langfuse.trace.metadata.session_id", text)
        span.set_attribute("langfuse.observation.metadata.commit", text)
        span.set_attribute("metadata", json.dumps({"plan": text}))
        span.set_attribute("input.value", text)
        span.set_attribute("langfuse.observation.output", text)
    line = files.observation("call")
    assert text == line["session_id"]
    assert {"commit": text, "session_id": text, "plan": text} == line["metadata"]
    assert [text, text] == [line["input"], line["output"]]


@pytest.mark.parametrize("text", ["true", "null", "7"])
def test_words_of_json_stay_words_in_metadata_and_are_read_where_they_are_all(files, text):
    """A function that returned a truth or a number is told of in JSON, which loses nothing."""
    with trace.get_tracer("theirs").start_as_current_span("call") as span:
        span.set_attribute("langfuse.observation.metadata.note", text)
        span.set_attribute("langfuse.observation.output", text)
    line = files.observation("call")
    assert {"note": text} == line["metadata"]
    assert json.loads(text) == line["output"]


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": '{"ok": 1, "deep": ' + "[" * 900 + "]" * 900 + "}"},
        {f"llm.input_messages.{'1' * 5000}.message.role": "user"},
        {"llm.input_messages.0." + "a." * 5000 + "b": "user"},
        {"llm.input_messages.0.message.content": "[" * 900 + "]" * 900},
        {"llm.invocation_parameters": "[" * 5000},
    ],
    ids=["metadata", "digits", "dots", "content", "parameters"],
)
def test_what_cannot_be_read_costs_no_more_than_itself(files, broken, swallowed):
    """Type, model, tokens, output and other metadata of the span are said all the same."""
    good = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4o",
        "llm.token_count.prompt": 3,
        "llm.output_messages.0.message.content": "Hi",
        "tag.tags": ["beta"],
        "langfuse.observation.metadata.plan": "pro",
    }
    with trace.get_tracer("theirs").start_as_current_span("call", attributes={**good, **broken}):
        pass
    line = files.observation("call")
    assert ("generation", "gpt-4o", 3) == (line["type"], line["model"], line["prompt_tokens"])
    assert [{"content": "Hi"}] == line["output"]
    assert "pro" == line["metadata"]["plan"]
    assert ["beta"] == line["tags"]
    assert swallowed().keys() <= {"failures.vocabulary"}


def test_each_part_is_read_by_itself(files, swallowed, monkeypatch):
    """Where one attribute or one of input and output fails, the others are said."""

    def fails(value):
        raise ValueError(value)

    conversions = {**translation._CONVERSIONS, "gen_ai.request.temperature": fails}
    monkeypatch.setattr(translation, "_CONVERSIONS", conversions)
    whole = own_words._json_text

    def of_output(value, encoder):
        return whole(value, encoder) if value == "out" else fails(value)

    monkeypatch.setattr(own_words, "_json_text", of_output)
    with trace.get_tracer("theirs").start_as_current_span("call") as span:
        span.set_attribute("openinference.span.kind", "LLM")
        span.set_attribute("llm.invocation_parameters", '{"temperature": 1, "top_p": 0.5}')
        span.set_attribute("input.value", "in")
        span.set_attribute("output.value", "out")
    line = files.observation("call")
    assert ("generation", None, "out") == (line["type"], line["input"], line["output"])
    assert 0.5 == line["attributes"]["gen_ai.request.top_p"]
    assert {"failures.vocabulary": 2} == swallowed()


@pytest.mark.parametrize(
    "told",
    [
        {"llm.token_count.prompt": 12.0, "llm.token_count.completion": 3.0},
        {"gen_ai.usage.input_tokens": 12.0, "gen_ai.usage.output_tokens": 3.0},
        {"langfuse.observation.usage_details": '{"input": 10.0, "input_cached": 2, "output": 3.0}'},
    ],
)
def test_whole_counts_that_were_written_as_fractions_are_counts(receiver, told):
    """As JSON readers of other languages make them; in files and to collectors."""
    spanwise.configure(traces_dir="t", otlp_endpoint=receiver.url)
    given = {"openinference.span.kind": "LLM", **told}
    with trace.get_tracer("theirs").start_as_current_span("call", attributes=given):
        pass
    line = Files(Path("t")).observation("call")
    assert (12, 3) == (line["prompt_tokens"], line["completion_tokens"])
    assert spanwise.flush(10) is True
    (sent,) = map(attributes, receiver.spans())
    counts = [sent["gen_ai.usage.input_tokens"], sent["gen_ai.usage.output_tokens"]]
    assert [12, 3] == counts
    assert {int} == set(map(type, counts))


@pytest.mark.parametrize("count", [12.5, float("nan"), float("inf"), 1e300, 2**63, -1.0, True])
def test_what_is_no_count_is_none(count):
    """Neither a part of a token, nor more of them than there are."""
    given = {"openinference.span.kind": "LLM", "llm.token_count.prompt": count}
    assert "gen_ai.usage.input_tokens" not in said("call", given)


def test_large_content_is_cut_to_valid_json(files):
    """The budget of an input holds for third parties' spans, in text, JSON and messages alike."""
    large = "x" * 300_000
    values = {
        "input.value": large,
        "output.value": json.dumps({"rows": [large[:1000]] * 300}),
    }
    with trace.get_tracer("theirs").start_as_current_span("large") as span:
        span.set_attribute("openinference.span.kind", "CHAIN")
        span.set_attributes(values)
    with trace.get_tracer("theirs").start_as_current_span("messages") as span:
        span.set_attribute("openinference.span.kind", "LLM")
        for number in range(300):
            span.set_attribute(f"llm.input_messages.{number}.message.content", large[:2000])
    found = files.observation("large")["attributes"] | files.observation("large")
    for value in (found["input"], found["output"], files.observation("messages")["input"]):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        assert len(text) <= Limits().bytes
        assert "$truncated" in text
    assert large == found["input.value"]


def test_a_limit_of_opentelemetry_holds_for_what_is_added(tmp_path, monkeypatch):
    """An input that is put together is no longer than an attribute may be."""
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "120")
    spanwise.configure(traces_dir=tmp_path / "t")
    with trace.get_tracer("theirs").start_as_current_span("call") as span:
        span.set_attribute("openinference.span.kind", "LLM")
        for number in range(9):
            span.set_attribute(f"llm.input_messages.{number}.message.content", "x" * 200)
    line = Files(tmp_path / "t").observation("call")
    assert len(json.dumps(line["input"], separators=(",", ":"))) <= 120
