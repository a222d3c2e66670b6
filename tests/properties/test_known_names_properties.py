"""What is known of names and texts, to make records sooner, does not change what is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from spanwise import _lean_spans
from spanwise._masked_attributes import masked_attributes, masked_value, valid, without_media
from spanwise._masking import MASK, Masker, Part
from spanwise._media import SMALLEST
from spanwise._provider import RandomIds, SpanwiseTracerProvider
from spanwise._samplers import LiveSampler
from spanwise.export import making
from spanwise.export.making import make_record, masked_scope
from spanwise.export.record import Record
from spanwise.instrumentation import spread, translation, vocabulary

# The fixtures of conftest.py set up nothing that one example could leave to the next.
quick = settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

SECRET = "sk-" + "a1b2c3d4e5f6a7b8"
TYPED = ["openinference.span.kind", "traceloop.span.kind", "gen_ai.operation.name"]
plain = ["http.request.method", "server.port", "app.user", "author", "gen_ai.request.max_tokens"]
telling = ["key", "value", "name", "content", "role", "data", "kind", "pass", "user", "max_tokens"]
secret = ["password", "api_key", SECRET, SECRET + "1", "\ud800", "ключ", "x" * 90, "tokens"]
spoken = sorted({*vocabulary.TELLING, *(n for index in vocabulary.INDEX.values() for n in index)})
below = [f"{name}{rest}" for name in vocabulary.SPREAD for rest in ("0.role", "1.message.content")]
facts = [f"{name}{rest}" for name in vocabulary.METADATA for rest in ("", ".", ".plan", "x")]
names = st.sampled_from([*plain, *telling, *secret, *TYPED]) | st.sampled_from(
    [*spoken, *below, *facts]
)
kinds = st.sampled_from(["LLM", "TOOL", "agent", "chat", "execute_tool", "workflow", "unknown"])
texts = st.sampled_from(
    ["GET", "", "hello world", "token", "Authorization", "Secret", "hunter2", "-p", "é", "\ud800"]
) | st.sampled_from([SECRET, f"password={SECRET}", f"Bearer {SECRET}", "word " * 300, "ab1A" * 400])
scalars = texts | st.sampled_from([None, True, 7, 0, 2.0, 2.5, 2**63, -(2**63) - 1])
trees = st.recursive(
    texts.filter(str.isascii) | st.sampled_from([None, True, 7, 2.0]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*plain, *telling, "api_key", SECRET]), inner, max_size=4)
    ),
    max_leaves=10,
)
values = (
    scalars
    | kinds
    | trees.map(json.dumps)
    | st.lists(scalars, max_size=3).map(tuple)
    | st.dictionaries(names, scalars, max_size=3)
)
held = st.dictionaries(names, values, max_size=8)
maskers = st.sampled_from(
    [{}, {"strict": True}, {"mask": ["content", "role"]}, {"unmask": ["api_key", "value"]}]
)


def judged(attributes: Mapping[str, Any], masker: Masker) -> dict[str, Any]:
    """Return what is written of attributes where each of them is looked at beside all others."""
    masked: dict[str, Any] = {}
    entries = list(attributes.items())
    hidden = masker.hidden_entries(entries)
    for position, (key, value) in enumerate(entries):
        name = masker.text(valid(key))
        if name in masked:
            name = f"{name} #{len(masked)}"
        part = hidden.get(position)
        if part is Part.WHOLE:
            masked[name] = MASK
            continue
        if type(value) is dict:
            masked[name] = judged(value, masker)
        else:
            masked[name] = masked_value(value, masker)
        if part is Part.ENTRIES:
            masked[name] = part.hidden(masked[name])
    return masked


class Judging(Masker):
    """Masks what a JSON text says in the same way."""

    def tree(self, value: Any) -> Any:
        """Look at every entry beside all others."""
        if type(value) is dict:
            return self._judged(value)
        if type(value) is list:
            hidden = self.hidden_items(value)
            return [hidden.get(i) or self.tree(item) for i, item in enumerate(value)]
        return self.text(value) if type(value) is str else value


def shown(value: Any) -> str:
    """Return a text that tells apart what is equal but not the same, and in which order."""
    return repr(value)


@quick
@example({"http.request.method": "GET", "value": "hunter2", "key": "api_key"}, {})
@example({SECRET: 1, "***": 2, SECRET + "1": 3}, {})
@given(held, maskers)
def test_attributes_are_masked_as_if_each_were_looked_at_beside_all_others(attributes, options):
    """The first time that their names are seen, and when they are known."""
    expected = judged(attributes, Judging(**options))
    masker = Masker(**options)
    for _ in range(3):
        assert shown(expected) == shown(masked_attributes(attributes, masker))


@quick
@example({"role": "user", "content": SECRET, "max_tokens": 4}, {})
@example([{"name": "api_key", "value": "hunter2"}], {})
@given(trees, maskers)
def test_what_a_json_text_says_is_masked_as_if_each_entry_were_looked_at(value, options):
    """And what is handed back as it came holds no secret."""
    expected = Judging(**options).tree(value)
    masker = Masker(**options)
    for _ in range(3):
        found = masker.tree(value)
        assert shown(expected) == shown(found)
        assert found is not value or found == expected


def forget() -> None:
    """Have the vocabularies know no attribute, as in a process that has just begun."""
    vocabulary._silent.clear()
    for words in vocabulary.WORDS.values():
        dict.clear(words)  # type: ignore[arg-type]
    vocabulary.plan_of.cache_clear()
    spread._places.clear()


def said(attributes: Mapping[str, Any]) -> str:
    """Return all that is said of attributes in our words."""
    translated = translation.translate("work", attributes)
    if translated is None:
        return ""
    return shown((translated.copied, translated.decoded, translated.content))


@quick
@given(st.lists(held, min_size=1, max_size=4))
def test_attributes_say_the_same_whatever_was_read_before(swallowed, several):
    """What is remembered of a name is of no other span's values."""
    expected = []
    for attributes in several:
        forget()
        expected.append(said(attributes))
    forget()
    for _ in range(2):
        assert expected == [said(attributes) for attributes in several]
    swallowed()


@quick
@given(held)
def test_attributes_are_silent_only_if_no_vocabulary_has_a_word_for_any(attributes):
    """Not by their values, and not by what stands beside them."""
    words = {*vocabulary.TELLING, *vocabulary.INDEX[""]}
    speaks = [
        name
        for name in attributes
        if name in words or name.startswith((*vocabulary.METADATA, *vocabulary.SPREAD))
    ]
    for _ in range(2):
        assert (not speaks) == vocabulary.are_silent(attributes)


def everything(made: Record) -> str:
    """Return all of a record but the span itself."""
    scope = made.scope
    described = None if scope is None else (scope.name, scope.version, dict(scope.attributes or {}))
    links = [(link.context, dict(link.attributes or {})) for link in made.links]
    return shown((made.name, made.attributes, made.events, links, made.status_message, described))


class Kept(SpanProcessor):
    """Keeps the lean spans that end."""

    takes_lean_spans = True

    def __init__(self) -> None:
        self.spans: list[Any] = []

    def on_end(self, span: Any) -> None:
        self.spans.append(span)


@quick
@given(held, st.booleans(), st.sampled_from([None, {"user.id": "jane", "role": "admin"}]))
def test_a_lean_span_has_the_record_of_the_sdks(attributes, has_more, identity):
    """Whatever attributes, events and status it has."""
    provider = SpanwiseTracerProvider(sampler=LiveSampler(), id_generator=RandomIds())
    kept = Kept()
    provider.add_span_processor(kept)
    span = provider.get_tracer("theirs").start_span(
        "work", attributes={name: v for name, v in attributes.items() if v is not None}
    )
    if has_more:
        span.add_event("gen_ai.choice", {"content": "It is.", "api_key": SECRET})
        span.record_exception(ValueError(SECRET))
        span.set_attribute("late", ("a", "b"))
    span.end()
    (lean,) = kept.spans
    assert type(lean) is _lean_spans.LeanSpan
    readable = lean._readable_span()
    assert type(readable) is ReadableSpan
    # Read by the names that OpenTelemetry gives them, as those of any other class.
    theirs = type("Theirs", (ReadableSpan,), {})("work")
    vars(theirs).update(vars(readable))
    expected = everything(make_record(theirs, Masker(), resource={}, identity=identity))
    for of in (lean, readable):
        made = make_record(of, Masker(), resource={}, identity=identity)
        assert expected == everything(made)


def test_a_record_has_attributes_of_its_own():
    """What is added to it is not added to the span."""
    given = BoundedAttributes(attributes={"openinference.span.kind": "TOOL"}, immutable=False)
    span = ReadableSpan("work", resource=Resource({}), attributes=given)
    made = make_record(span, Masker(), resource={})
    assert "tool" == made.attributes["observation.type"]
    assert {"openinference.span.kind": "TOOL"} == dict(given)


def test_a_scope_is_masked_once(monkeypatch):
    """By each masker; another scope is not taken for it, and only so many are remembered."""
    monkeypatch.setattr(making, "_MOST_SCOPES", 2)
    masker = Masker()
    scopes = [InstrumentationScope(f"{SECRET} {n}", "1", attributes={"k": n}) for n in range(5)]
    for scope in scopes:
        masked = masked_scope(scope, masker)
        assert f"{MASK} {scope.name[-1]}" == masked.name
        assert masked is masked_scope(scope, masker)
        assert masked is not masked_scope(scope, Masker())
        assert len(masker.scopes) <= 2


@pytest.mark.parametrize("size", [SMALLEST - 1, SMALLEST])
def test_attributes_without_media_are_themselves(size):
    """A long text is looked at, and is kept if there is no content in it."""
    attributes = {"a": "word " * (size // 5), "b": ("x", "y" * 9), "c": 1, "d": 0.5}
    assert attributes is without_media(attributes, None)
