"""The tokens of one model call are counted once, however many spans tell of it."""

from __future__ import annotations

import gc
import json
import weakref
from collections import Counter
from threading import Thread

import pytest
from opentelemetry import trace

import spanwise
from foreign_spans import meanings
from spanwise.view.store import Store
from support.files import Files
from support.receiver import attributes

USAGE = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")


def framework():
    return trace.get_tracer("framework")


def provider():
    return trace.get_tracer("provider")


def summed(lines):
    """Return the input and output tokens of all observations."""
    return (
        sum(line.get("prompt_tokens", 0) for line in lines),
        sum(line.get("completion_tokens", 0) for line in lines),
    )


def model_call(tracer, name, tokens=(3, 4), **more):
    """Start a span of a model call in the current context."""
    given = {"gen_ai.operation.name": "chat", **dict(zip(USAGE, tokens, strict=True)), **more}
    return tracer.start_as_current_span(name, attributes=given)


@pytest.mark.parametrize("name", meanings.recordings(pairs=True))
def test_two_instrumentors_of_one_call_count_it_once(name, tmp_path, receiver):
    """The sum over the trace is what the model said, in files, views, and at the collector."""
    served = meanings.recorded(name)[0]["served"]
    expected = (served["input"], served["output"])
    lines = meanings.observations(name, tmp_path / "t", otlp_endpoint=receiver.url)
    assert expected == summed(lines)
    traces = Store(tmp_path / "t").read().traces
    shown = [(trace.prompt_tokens, trace.completion_tokens) for trace in traces]
    assert expected == tuple(map(sum, zip(*shown, strict=True)))
    sent = [attributes(span) for span in receiver.spans()]
    assert expected == tuple(sum(told.get(key, 0) for told in sent) for key in USAGE)


@pytest.mark.parametrize("name", meanings.recordings(pairs=True))
def test_in_each_trace_a_call_is_counted_once(name, tmp_path):
    """For every way of calling by itself: batch, gather and streams are each right."""
    counted: Counter[str] = Counter()
    lines = meanings.observations(name, tmp_path / "t")
    names = {line["trace_id"]: line["name"] for line in Files(tmp_path / "t").traces()}
    for line in lines:
        counted[names[line["trace_id"]]] += line.get("total_tokens", 0)
    agent = 45 + 20
    assert {
        **dict.fromkeys(("invoke", "stream", "ainvoke"), agent),
        "batch": 45 + 45 + 19,
        "gather": 45 + 45,
        "model stream": 45,
        "silent stream": 0,
        "early break": 0,
    }.items() <= counted.items()
    alone = sum(count for mode, count in counted.items() if "chat" in mode or "Chat" in mode)
    assert 45 == alone


@pytest.mark.parametrize("name", meanings.recordings(pairs=True))
def test_counts_that_are_repeated_are_kept_under_their_names(name, tmp_path):
    """Nothing that an instrumentor said of tokens is lost."""
    lines = meanings.observations(name, tmp_path / "t")
    repeated = [
        {key: value for key, value in line["attributes"].items() if ".repeated." in key}
        for line in lines
    ]
    texts = json.dumps([step.get("attributes", {}) for step in meanings.recorded(name)[1]])
    for held in filter(None, repeated):
        assert any("input" in key or "prompt" in key or "usage" in key for key in held)
        for key in held:
            own = key.removeprefix("observation.repeated.")
            assert f'"{own}"' in texts or own in USAGE or own.startswith("gen_ai.usage.")


def test_an_agent_that_repeats_what_its_calls_used_adds_nothing(files):
    """Nor does a chain above it, of whatever type; the raw numbers stay with a name of their own."""
    with (
        spanwise.observe("all", type="chain") as chain,
        model_call(framework(), "agent", (6, 8), **{"gen_ai.operation.name": "invoke_agent"}),
    ):
        for _ in range(2):
            with model_call(provider(), "call"):
                pass
        chain.update(usage={"input_tokens": 6, "output_tokens": 8})
    assert (6, 8) == summed(files.observations())
    told = files.observation("agent")["attributes"]
    assert 6 == told["observation.repeated.gen_ai.usage.input_tokens"]
    assert "prompt_tokens" not in files.observation("all")


def test_an_agent_whose_calls_tell_nothing_keeps_its_counts(files):
    """As where its model is not instrumented, or streams without usage."""
    with model_call(framework(), "agent", **{"gen_ai.operation.name": "invoke_agent"}):
        with model_call(provider(), "call", (0, 0)):
            pass
        with provider().start_as_current_span(
            "stream", attributes={"gen_ai.operation.name": "chat"}
        ):
            pass
    assert (3, 4) == summed(files.observations())
    assert 3 == files.observation("agent")["prompt_tokens"]


def test_a_decorated_generation_around_an_instrumented_client_adds_nothing(files):
    """The usage that is found in its result is that of the client's span."""

    @spanwise.generation(model="gpt-4o")
    def write(prompt):
        with model_call(provider(), "call"):
            return {"usage": {"input_tokens": 3, "output_tokens": 4}}

    write("Hi")
    assert (3, 4) == summed(files.observations())
    assert 3 == files.observation("call")["prompt_tokens"]


def test_another_kind_of_model_call_below_leaves_a_generation_its_counts(files):
    """An embedding that a generation makes on its way is another call."""
    with model_call(framework(), "chat", (100, 20)):
        embedding = {"gen_ai.operation.name": "embeddings", USAGE[0]: 7}
        with provider().start_as_current_span("embed", attributes=embedding):
            pass
    assert (107, 20) == summed(files.observations())
    (found,) = Store(files.folder).read().traces
    assert (107, 20) == (found.prompt_tokens, found.completion_tokens)


def shown(files):
    """Return the sums that are shown of the one trace that was written."""
    (found,) = Store(files.folder).read().traces
    return (found.prompt_tokens, found.completion_tokens)


def embed(tokens=5):
    embedding = {"gen_ai.operation.name": "embeddings", USAGE[0]: tokens}
    with provider().start_as_current_span("embed", attributes=embedding):
        pass


def usage(tokens):
    return dict(zip(("input_tokens", "output_tokens"), tokens, strict=True))


@pytest.mark.parametrize(
    ("told", "calls", "expected"),
    [
        pytest.param((6, 8), [(3, 4), (3, 4)], (6, 8), id="sum"),
        pytest.param((3, 4), [(3, 4), (3, 4)], (6, 8), id="within the sum"),
        pytest.param((1000, 200), [(3, 4)], (1003, 204), id="another call"),
        pytest.param((2, 200), [(3, 4)], (5, 204), id="another answer"),
        pytest.param((6, 9), [(3, 4), (3, 4)], (6, 8), id="thoughts counted in"),
        pytest.param((1000, 200), [], (1000, 200), id="alone"),
    ],
)
@pytest.mark.parametrize("kind", ["agent", "generation"])
def test_what_the_program_tells_repeats_calls_that_add_up_to_as_much(
    files, kind, told, calls, expected
):
    """A sum of the calls below is counted once, and what no call below can have used in full."""
    with spanwise.observe("outer", type=kind) as outer:
        for tokens in calls:
            with model_call(provider(), "call", tokens):
                pass
        outer.update(model="my-llm", usage=usage(told))
    assert expected == summed(files.observations())
    assert expected == shown(files)


@pytest.mark.parametrize("told", [(1000, 200), (5, 200)])
def test_an_agent_that_embeds_keeps_the_tokens_of_its_own_model(files, told):
    """An embedding below it answers nothing, and cannot be what the agent tells of."""
    with spanwise.observe("mine", type="agent") as agent:
        embed()
        agent.update(usage=usage(told))
    with model_call(framework(), "theirs", told, **{"gen_ai.operation.name": "invoke_agent"}):
        embed()
    assert (2 * (told[0] + 5), 2 * told[1]) == summed(files.observations())
    traces = Store(files.folder).read().traces
    assert [(told[0] + 5, told[1])] * 2 == [(t.prompt_tokens, t.completion_tokens) for t in traces]


def test_a_search_that_repeats_its_embedding_adds_nothing(files):
    """Nor does an agent around both, whose input is theirs."""
    with spanwise.observe("agent", type="agent") as agent:
        with spanwise.observe("search", type="retrieval") as search:
            embed()
            search.update(usage={"input_tokens": 5})
        with model_call(provider(), "call"):
            pass
        agent.update(usage=usage((8, 4)))
    assert (8, 4) == summed(files.observations())
    assert (8, 4) == shown(files)


def test_an_agent_around_agents_repeats_what_each_of_them_told(files):
    """One tells of a call that nobody else knows of, the other of an instrumented one."""
    with spanwise.observe("outer", type="agent") as outer:
        with spanwise.observe("own model", type="agent") as own:
            own.update(usage=usage((1000, 200)))
        with spanwise.observe("instrumented", type="agent") as instrumented:
            with model_call(provider(), "call"):
                pass
            instrumented.update(usage=usage((3, 4)))
        outer.update(usage=usage((1003, 204)))
    assert (1003, 204) == summed(files.observations())
    assert (1003, 204) == shown(files)


def test_calls_of_threads_add_up_in_the_spans_above(files):
    """Whatever thread a call ends in, an agent that tells the sum of all repeats them."""

    def call():
        with model_call(provider(), "call"):
            pass

    with spanwise.observe("outer", type="agent") as agent, spanwise.observe("inner", type="chain"):
        threads = [Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        agent.update(usage=usage((12, 16)))
    assert (12, 16) == summed(files.observations())


def test_a_call_that_outlives_its_agent_repeats_only_what_that_may_have_told(files):
    """What ends after the agent that told its usage is counted where it used more."""
    with spanwise.observe("agent", type="agent") as agent:
        late = [provider().start_span(str(n)) for n in range(2)]
        agent.update(usage=usage((3, 4)))
    for span, tokens in zip(late, ((3, 4), (1000, 200)), strict=True):
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attributes(dict(zip(USAGE, tokens, strict=True)))
        span.end()
    assert (1003, 204) == summed(files.observations())


def test_a_span_that_outlives_the_one_around_it_adds_nothing(files):
    """A stream may be read to its end after the framework's span has ended with its counts."""
    outer = framework().start_span("outer", attributes={"gen_ai.operation.name": "chat"})
    context = trace.set_span_in_context(outer)
    inner = provider().start_span("inner", context, attributes={"gen_ai.operation.name": "chat"})
    for span in (outer, inner):
        span.set_attributes(dict(zip(USAGE, (3, 4), strict=True)))
        span.end()
    assert (3, 4) == summed(files.observations())
    assert 3 == files.observation("outer")["prompt_tokens"]


def test_calls_one_after_the_other_are_counted_each(files):
    """The same numbers twice are two calls, whoever tells of them."""
    with spanwise.observe("all"):
        for tracer in (framework(), provider(), framework()):
            with model_call(tracer, "call"):
                pass
    assert (9, 12) == summed(files.observations())


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"gen_ai.request.model": "gpt-4o"}, {"gen_ai.request.model": "claude"}),
        ({"gen_ai.response.id": "1"}, {"gen_ai.response.id": "2"}),
        ({"gen_ai.operation.name": "embeddings"}, {}),
    ],
)
def test_different_calls_at_the_same_time_are_counted_each(files, one, two):
    """Of two models, with two answers, or of two kinds, though their numbers are the same."""
    counts = {"gen_ai.operation.name": "chat", **dict(zip(USAGE, (3, 4), strict=True))}
    with spanwise.observe("all"):
        first = framework().start_span("one", attributes={**counts, **one})
        second = provider().start_span("two", attributes={**counts, **two})
        first.end()
        second.end()
    assert (6, 8) == summed(files.observations())


def test_parallel_calls_that_two_instrumentors_tell_of_side_by_side_are_counted_each_once(files):
    """Spans that are not above each other are matched one to one, in whatever order they end."""
    with spanwise.observe("all"):
        outer = [framework().start_span("outer") for _ in range(3)]
        inner = [provider().start_span("inner") for _ in range(3)]
        for span in (inner[0], outer[1], inner[2], inner[1], outer[0], outer[2]):
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attributes(dict(zip(USAGE, (3, 4), strict=True)))
            span.end()
    assert (9, 12) == summed(files.observations())


def test_a_dated_name_of_a_model_is_the_same_model(files):
    """One instrumentor tells the model that was asked, the other the one that answered."""
    with spanwise.observe("all"):
        outer = framework().start_span("outer")
        inner = provider().start_span("inner")
        for span, model in ((inner, "gpt-4o-2026-01-01"), (outer, "openai/gpt-4o")):
            span.set_attribute("gen_ai.request.model", model)
            span.set_attributes(dict(zip(USAGE, (3, 4), strict=True)))
            span.end()
    assert (3, 4) == summed(files.observations())


def test_counts_of_every_vocabulary_are_set_aside(files):
    """A backend that reads another vocabulary does not count them either."""
    with framework().start_as_current_span("outer") as outer:
        outer.set_attribute("openinference.span.kind", "LLM")
        outer.set_attribute("llm.token_count.prompt", 3)
        outer.set_attribute("llm.token_count.prompt_details.cache_read", 1)
        outer.set_attribute("llm.usage.total_tokens", 7)
        outer.set_attribute("langfuse.observation.usage_details", '{"input": 3}')
        with model_call(provider(), "inner"):
            pass
    told = files.observation("outer")["attributes"]
    assert {
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.cache_read.input_tokens",
        "llm.token_count.prompt",
        "llm.token_count.prompt_details.cache_read",
        "llm.usage.total_tokens",
        "langfuse.observation.usage_details",
    } == {key.removeprefix("observation.repeated.") for key in told if ".repeated." in key}
    assert not {key for key in told if key.startswith(("llm.", "langfuse.", "gen_ai.usage"))}


def test_two_calls_of_which_only_sums_are_known_are_told_apart_by_them(files):
    """Beside each other, from two instrumentors, at the same time."""
    total = "observation.usage.total_tokens"
    kind = {"observation.type": "generation"}
    with framework().start_as_current_span("above"):
        spans = [
            tracer.start_span(f"call {count}", attributes={**kind, total: count})
            for tracer, count in ((framework(), 10), (provider(), 20), (provider(), 10))
        ]
        for span in spans:
            span.end()
    assert 10 + 20 == sum(line.get("total_tokens", 0) for line in files.observations())


def test_a_chain_of_spans_that_outlive_their_parents_is_not_held(files):
    """Each task starts the next one and ends: what is held of those above has a bound."""
    processor = trace.get_tracer_provider()._spanwise_processor
    span = provider().start_span("0")
    first = weakref.ref(processor._open.get(span.get_span_context().span_id))
    for number in range(1, 2100):
        below = provider().start_span(str(number), context=trace.set_span_in_context(span))
        span.end()
        span = below
    opened = processor._open.get(span.get_span_context().span_id)
    assert opened.depth <= 1000
    gc.collect()
    assert first() is None
    span.end()
