"""The vocabularies are sound data, and what is content in one of them is never written without leave."""

from __future__ import annotations

import pytest
from opentelemetry import trace

import spanwise
from foreign_spans import meanings
from spanwise import semconv
from spanwise.instrumentation import vocabulary
from support.files import Files

SECRET = "sk-" + "a1b2c3d4e5f6a7b8"
# What was asked, answered and found while the spans were recorded.
WORDS = ("capital of France", "Paris", "Be brief", "cities", "a.txt", '"one"', "It is", "'France'")
# It puts content into log records, and none into its spans.
WITHOUT_CONTENT = "openai-openai_v2"
WITH_CONTENT = [name for name in meanings.recordings(pairs=False) if name != WITHOUT_CONTENT]


@pytest.mark.parametrize("spoken", vocabulary.VOCABULARIES)
def test_a_vocabulary_translates_into_names_of_the_registry(spoken):
    """Attributes and types are ours, in every module of data."""
    ours = {*spoken.attributes, *(name for names in spoken.named.values() for name in names)}
    assert set() == {name for name in ours if not semconv.is_registered(name)}
    types = {kind for values in spoken.types.values() for kind in values.values()}
    assert set() == {*types, *spoken.named} - set(semconv.OBSERVATION_TYPE_VALUES)
    assert set() == {said.of for said in spoken.events.values()} - set(vocabulary.CONTENT)


@pytest.mark.parametrize("spoken", vocabulary.VOCABULARIES)
def test_what_an_input_or_output_is_read_from_is_content(spoken):
    """Nobody has to list it twice."""
    read = [
        source if isinstance(source, str) else source[0]
        for names in (spoken.attributes, *spoken.named.values())
        for ours in vocabulary.CONTENT
        for source in names.get(ours, ())
    ]
    assert read
    assert set() == {name.removesuffix(".*") for name in read} - vocabulary.CONTENT_ATTRIBUTES


@pytest.mark.parametrize("name", WITH_CONTENT)
def test_without_content_nothing_of_it_is_left_of_recorded_spans(name, tmp_path):
    """In no attribute, event or metadata of any real instrumentor, whatever it is called."""
    lines = meanings.observations(name, tmp_path / "with")
    assert any(word in str(line) for line in lines for word in WORDS)
    spanwise.configure(capture_content=False)
    without = meanings.observations(name, tmp_path / "without", capture_content=False)
    assert len(lines) == len(without)
    for line in without:
        line["metadata"].pop("traceback", None)
        events = [event for event in line.pop("events", []) if event["name"] != "exception"]
        line.pop("error", None)
        assert [] == [word for word in WORDS if word in f"{line}{events}"]
        assert (None, None) == (line["input"], line["output"])


def test_without_content_the_rest_is_still_read_from_it(tmp_path):
    """Model and temperature stand beside instructions in one attribute."""
    lines = meanings.observations("openai-openinference", tmp_path / "t", capture_content=False)
    first = lines[0]["attributes"]
    assert ("gpt-4o", 0.2, 64) == (
        first["gen_ai.request.model"],
        first["gen_ai.request.temperature"],
        first["gen_ai.request.max_tokens"],
    )
    assert "llm.invocation_parameters" not in first


@pytest.mark.parametrize(
    "attribute",
    [
        "llm.invocation_parameters",
        "embedding.invocation_parameters",
        "langfuse.observation.model.parameters",
    ],
)
def test_parameters_that_may_hold_instructions_are_content(tmp_path, attribute):
    """In every vocabulary that writes them as one text."""
    files = Files(tmp_path / "t")
    spanwise.configure(traces_dir=files.folder, capture_content=False)
    with trace.get_tracer("theirs").start_as_current_span("call") as span:
        span.set_attribute("langfuse.observation.type", "generation")
        span.set_attribute(attribute, '{"temperature": 0.5, "system": "Be brief"}')
    assert "call" == files.observation("call")["name"]
    assert "Be brief" not in files.text()


def test_a_secret_that_escapes_hid_is_masked_when_it_is_read(files):
    """In inputs, metadata and what else is read out of a text."""
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in SECRET)
    with trace.get_tracer("theirs").start_as_current_span("call") as span:
        span.set_attribute("openinference.span.kind", "LLM")
        span.set_attribute("input.value", f'{{"text": "{hidden}"}}')
        span.set_attribute("output.value", f'["{hidden}"]')
        span.set_attribute("metadata", f'{{"note": "{hidden}", "deep": {{"a": "{hidden}"}}}}')
        span.set_attribute("llm.invocation_parameters", f'{{"model": "{hidden}"}}')
        span.set_attribute("llm.input_messages.0.message.password", "hidden-1")
    line = files.observation("call")
    assert SECRET not in files.text()
    assert "hidden-1" not in files.text()
    assert [{"password": "***"}] == line["input"]
    assert "deep" in line["metadata"]
