"""Every span becomes one masked record that every sink can hold, whatever is in it."""

from __future__ import annotations

import json

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanContext, TraceFlags, TraceState

import spanwise
from support.files import Files
from support.receiver import attributes

SECRET = "sk-" + "a1b2c3d4e5f6a7b8"


@pytest.fixture
def both(tmp_path, receiver):
    spanwise.configure(traces_dir=tmp_path / "t", otlp_endpoint=receiver.url)
    return Files(tmp_path / "t"), receiver


def sent_and_written(both):
    files, receiver = both
    assert spanwise.flush(10) is True
    body = b"".join(request.SerializeToString() for _, _, request in receiver.requests)
    return body.decode("utf-8", "replace") + files.text()


def test_a_secret_in_any_part_of_a_third_partys_span_is_masked(both):
    """Name, attributes, nested values, bytes, events, links, status, scope and trace state."""
    remote = SpanContext(
        7, 8, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("v", SECRET)])
    )
    parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    tracer = trace.get_tracer("third", attributes={"api_key": "hidden-1", "x": SECRET})
    link = trace.Link(SpanContext(9, 10, is_remote=False), {"y": SECRET})
    with tracer.start_as_current_span(f"call {SECRET}", parent, links=[link]) as span:
        span.set_attribute("text", f"key {SECRET}")
        span.set_attribute("list", [SECRET, "ok"])
        span.set_attribute("nested", {"password": "hidden-2", "deep": [{"n": SECRET}]})
        span.set_attribute("bytes", SECRET.encode())
        span.set_attribute(SECRET, 1)
        span.set_attribute("http.request.header.authorization", ["Bearer hidden-3"])
        span.add_event(f"event {SECRET}", {"z": SECRET})
        span.set_status(trace.StatusCode.ERROR, f"failed with {SECRET}")
    everything = sent_and_written(both)
    for secret in (SECRET, SECRET.encode().hex(), "hidden-1", "hidden-2", "hidden-3"):
        assert secret not in everything
    assert '"ok"' in everything


def test_a_secret_in_identity_metadata_and_options_is_masked(both):
    """Keys and values alike, of ours and as stamped on a third party's span."""
    with spanwise.identify(
        user={"id": "jane", SECRET: "v", "password": "hidden-1"},
        metadata={SECRET: 1, "url": f"postgres://u:{'hidden-2'}@h/db"},
        tags=[SECRET],
    ):
        with trace.get_tracer("third").start_as_current_span("theirs"):
            pass
        with spanwise.agent(f"name {SECRET}", version=SECRET, metadata={SECRET: SECRET}) as o:
            o.update(metadata={SECRET: 2}, finish_reasons=[SECRET], model=SECRET)
        spanwise.event("e", **{SECRET: 1})
    everything = sent_and_written(both)
    for secret in (SECRET, "hidden-1", "hidden-2"):
        assert secret not in everything
    assert "jane" in everything


def test_a_secret_across_the_cut_of_a_long_message_is_masked(both):
    """An exception's text is masked before it is cut."""
    for before in (4080, 4090, 4095, 10_000):
        text = "x" * before + f" {SECRET} " + "z" * 4090
        with pytest.raises(ValueError, match="x"), spanwise.observe("fails"):
            raise ValueError(text)
    everything = sent_and_written(both)
    assert SECRET not in everything
    assert SECRET[-8:] not in everything


def test_values_that_no_format_holds_lose_neither_span_nor_neighbours(both):
    """Huge integers, deep JSON, impossible times, lone surrogates."""
    files, receiver = both
    tracer = trace.get_tracer("third \udc80", "1")
    deep = "[" * 400 + "]" * 400
    with tracer.start_as_current_span("huge") as span:
        span.set_attribute("n", 2**70)
        span.set_attribute("input.value", deep)
        span.set_attribute("s", "\udc80")
        span.add_event("\udc80")
    tracer.start_span("early", start_time=-5).end(10**21)
    with spanwise.observe("deep", input=f'{{"password":"x","a":{deep}}}'):
        pass
    with spanwise.observe("neighbour"):
        pass
    assert spanwise.flush(10) is True
    expected = {"huge", "early", "deep", "neighbour"}
    assert expected == {span.name for span in receiver.spans()}
    assert expected == {line["name"] for line in files.observations()}
    (huge,) = [span for span in receiver.spans() if span.name == "huge"]
    assert str(2**70) == attributes(huge)["n"]


def test_the_largest_and_the_smallest_number_stay_numbers(both):
    """What is one beyond is no number of the protocol, and is sent as a text."""
    _, receiver = both
    numbers = {"most": 2**63 - 1, "least": -(2**63), "more": 2**63, "less": -(2**63) - 1}
    trace.get_tracer("other").start_span("x", attributes=numbers).end()
    assert spanwise.flush(10) is True
    (span,) = receiver.spans()
    texts = {"more": str(2**63), "less": str(-(2**63) - 1)}
    sent = attributes(span)
    assert numbers | texts == {name: sent[name] for name in numbers}


def test_without_content_nothing_of_it_is_written(tmp_path, receiver, monkeypatch):
    """Not in our spans, not in a third party's attributes or events, not in recordings."""
    monkeypatch.setenv("SPANWISE_CAPTURE_CONTENT", "false")
    spanwise.configure(
        traces_dir=tmp_path / "t", otlp_endpoint=receiver.url, record=tmp_path / "calls.jsonl"
    )

    @spanwise.agent
    def answer(question):
        spanwise.current().update(input="CONTENT", output_messages=["CONTENT"])
        return "CONTENT"

    @spanwise.generation
    def stream():
        yield "CONTENT"

    answer("CONTENT")
    list(stream())
    with trace.get_tracer("third").start_as_current_span("theirs") as span:
        span.set_attribute("gen_ai.input.messages", "CONTENT")
        span.set_attribute("llm.input_messages.0.message.content", "CONTENT")
        span.set_attribute("output.value", "CONTENT")
        span.set_attribute("gen_ai.request.model", "gpt-4o")
        span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": "CONTENT"})
        span.add_event("gen_ai.user.message", {"content": "CONTENT"})
    assert "CONTENT" not in sent_and_written((Files(tmp_path / "t"), receiver))
    assert not (tmp_path / "calls.jsonl").exists()
    assert "gpt-4o" == Files(tmp_path / "t").observation("theirs")["model"]


def test_no_log_line_and_no_repr_shows_a_credential(caplog, capsys):
    """Neither the address's password nor a header, in faults, settings and destinations."""
    settings = spanwise.configure(
        otlp_endpoint="http://usr:LOGPASS@127.0.0.1:9", otlp_headers={"x-api-key": "HEADER"}
    )
    with spanwise.observe("x"):
        pass
    spanwise.flush(0.1)
    spanwise.shutdown()
    told = caplog.text + repr(settings) + repr(spanwise.Destination(endpoint="http://u:LOGPASS@h"))
    assert "LOGPASS" not in told
    assert "HEADER" not in told
    assert " is away, what is sent there waits" in caplog.text


def test_a_json_line_is_one_line_whatever_the_texts_hold(tmp_path):
    """Line breaks of every kind stay inside the string that holds them."""
    spanwise.configure(traces_dir=tmp_path / "t")
    text = "a\nb\r\nc\u2028d\x85e\x0bf\x00g"
    with spanwise.observe("x", input=text):
        pass
    (path,) = (tmp_path / "t").glob("observations*.jsonl")
    (line,) = path.read_bytes().splitlines()
    assert text == json.loads(line)["input"]


def test_an_error_is_told_by_its_message_where_a_status_holds_a_whole_traceback(files):
    """The traceback stands beside it, of the same event."""
    with trace.get_tracer("third").start_as_current_span("call") as span:
        try:
            raise ValueError("no ticket")
        except ValueError as error:
            span.record_exception(error)
            text = f"{error!r}Traceback (most recent call last):\n  File ...\nValueError: no ticket"
            span.set_status(trace.StatusCode.ERROR, text)
    (line,) = files.observations()
    assert "no ticket" == line["error"]
    assert "Traceback" in line["metadata"]["traceback"]


def test_a_status_without_an_event_is_told_as_it_is(files):
    """There is nothing else to tell."""
    text = "Traceback (most recent call last): none"
    span = trace.get_tracer("third").start_span("call")
    span.set_status(trace.StatusCode.ERROR, text)
    span.end()
    (line,) = files.observations()
    assert text == line["error"]
