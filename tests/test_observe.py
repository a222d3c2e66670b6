"""The decorators and the context manager: what they are told, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api

import spanwise
from spanwise import semconv

DECORATORS = {
    name: getattr(spanwise, name)
    for name in (
        "agent",
        "chain",
        "embedding",
        "evaluation",
        "generation",
        "guardrail",
        "interaction",
        "reranker",
        "retrieval",
        "span",
        "tool",
    )
}
OPERATIONS = {
    "agent": "invoke_agent",
    "embedding": "embeddings",
    "generation": "chat",
    "interaction": "invoke_workflow",
    "retrieval": "retrieval",
    "tool": "execute_tool",
}
NAMES = {
    "agent": "gen_ai.agent.name",
    "interaction": "gen_ai.workflow.name",
    "tool": "gen_ai.tool.name",
}
every_type = pytest.mark.parametrize("type", DECORATORS)


def double(x):
    return 2 * x


def fail(text):
    raise LookupError(text)


# --- the decorators ---------------------------------------------------------------------------


def test_there_is_a_decorator_for_every_type_that_runs():
    """Only an event, which takes no time, has a function of its own instead."""
    assert {*DECORATORS, "event"} == set(semconv.OBSERVATION_TYPE_VALUES)


@every_type
def test_a_bare_decorator_names_the_span_after_the_function(files, type):
    """`@tool` without parentheses makes an observation of its type with the function's name."""
    assert DECORATORS[type](double)(2) == 4
    (line,) = files.observations()
    assert (line["type"], line["name"], line["input"], line["output"]) == (
        type,
        "double",
        {"x": 2},
        4,
    )


@every_type
@pytest.mark.parametrize(
    ("positional", "keywords", "name"),
    [
        ((), {}, "double"),
        (("Named",), {}, "Named"),
        ((), {"name": "Named"}, "Named"),
        (("Position",), {"name": "Keyword"}, "Keyword"),
    ],
    ids=["empty", "position", "keyword", "both"],
)
def test_a_called_decorator_takes_the_name_in_either_way(files, type, positional, keywords, name):
    """`@tool()`, `@tool("Named")` and `@tool(name="Named")`."""
    assert DECORATORS[type](*positional, **keywords)(double)(2) == 4
    (line,) = files.observations()
    assert (line["type"], line["name"], line["output"]) == (type, name, 4)


@every_type
def test_a_type_says_what_it_is_in_opentelemetrys_words(files, type):
    """The operation, and the name of agent, tool or workflow, where the convention has one."""
    DECORATORS[type]("Named")(double)(2)
    (line,) = files.observations()
    attributes = line["attributes"]
    assert attributes.get("gen_ai.operation.name") == OPERATIONS.get(type)
    named = {key: attributes[key] for key in NAMES.values() if key in attributes}
    assert named == ({NAMES[type]: "Named"} if type in NAMES else {})
    assert attributes.get("gen_ai.tool.type") == ("function" if type == "tool" else None)
    assert attributes["code.function.name"] == f"{__name__}.double"


def test_options_of_a_decorator_become_attributes(files):
    """Version, model, provider, metadata and tags stand in the observation."""
    decorator = spanwise.generation(
        version="2",
        model="m-1",
        provider="acme",
        metadata={"k": 5, "nested": {"a": [1]}},
        tags=["beta", "fast"],
    )
    decorator(double)(2)
    (line,) = files.observations()
    assert line["model"] == "m-1"
    assert line["metadata"] == {"k": 5, "nested": {"a": [1]}}
    assert line["tags"] == ["beta", "fast"]
    assert line["attributes"]["observation.version"] == "2"
    assert line["attributes"]["gen_ai.provider.name"] == "acme"


@pytest.mark.parametrize("type", ["agent", "tool"])
def test_an_agent_and_a_tool_can_be_described(files, type):
    """The description stands under OpenTelemetry's name for it."""
    DECORATORS[type](description="Doubles numbers")(double)(2)
    (line,) = files.observations()
    assert line["attributes"][f"gen_ai.{type}.description"] == "Doubles numbers"


def test_tags_may_be_any_iterable(files):
    """One that can be read only once, or a single string, is taken whole."""
    spanwise.tool(tags=(tag for tag in ("a", "b")))(double)(1)
    spanwise.tool(tags="single")(double)(1)
    assert [line["tags"] for line in files.observations()] == [["a", "b"], ["single"]]


def test_observe_decorates_bare_called_and_with_a_type(files):
    """`@observe`, `@observe()`, `@observe("name", type=...)`; the type is `span` by default."""
    for decorator in (
        spanwise.observe,
        spanwise.observe(),
        spanwise.observe("named", type="chain"),
        spanwise.observe(name="keyword", type="tool"),
    ):
        assert decorator(double)(2) == 4
    assert [(line["type"], line["name"]) for line in files.observations()] == [
        ("span", "double"),
        ("span", "double"),
        ("chain", "named"),
        ("tool", "keyword"),
    ]


def test_a_decorator_can_be_used_for_many_functions(files):
    """One made once names each function's span after the function."""
    decorator = spanwise.tool(tags=["shared"])
    decorator(double)(1)
    decorator(lambda x: x)(1)
    assert [line["name"] for line in files.observations()] == ["double", "<lambda>"]


def test_decorators_describe_themselves():
    """Their repr and name say what they are."""
    assert repr(spanwise.agent) == "<spanwise.agent>"
    assert spanwise.agent.__name__ == "agent"


# --- what cannot be decorated, and what no option is ------------------------------------------


@pytest.mark.parametrize(
    ("decorate", "message"),
    [
        (
            lambda: spanwise.observe("x", type="agnet"),
            "observation type 'agnet'; did you mean 'agent'",
        ),
        (lambda: spanwise.observe(type="zzz"), "known are agent, chain, embedding"),
        (lambda: spanwise.observe(type=None), "unknown observation type None"),
        (lambda: spanwise.tool(nmae="x"), "unknown option 'nmae'; did you mean 'name'"),
        (lambda: spanwise.tool(double, verson="x"), "'verson'; did you mean 'version'"),
        (lambda: spanwise.observe("x", tpye="chain"), "'tpye'; did you mean 'type'"),
        (lambda: spanwise.observe(double, inptu=1), "'inptu'; did you mean 'input'"),
        (lambda: spanwise.tool(type="agent"), "unknown option 'type'"),
        (lambda: spanwise.tool(is_trace=True), "unknown option 'is_trace'"),
        (lambda: spanwise.tool(capture_input=["y"])(double), "double has no parameter 'y'"),
        (
            lambda: spanwise.tool(capture_input=["qurey"])(lambda query, limit: None),
            "'qurey'; did you mean 'query'",
        ),
        (lambda: spanwise.tool(capture_input=5)(double), "capture_input must be"),
        (lambda: spanwise.chain(description="x"), "description belongs to an agent or a tool"),
        (lambda: spanwise.tool(metadata=["x"]), "metadata must be a mapping"),
        (lambda: spanwise.tool(tags=5), "tags must be"),
        (lambda: spanwise.tool(name=5), "name must be a string"),
        (lambda: spanwise.tool(5), "cannot decorate 5: it is not callable"),
        (lambda: spanwise.tool("x")("y"), "cannot decorate 'y': it is not callable"),
        (lambda: spanwise.tool(property(double)), "it is not callable"),
    ],
)
def test_a_mistake_is_told_at_decoration_and_names_the_nearest(decorate, message):
    """A wrong target, type or option raises before anything runs, as a DecorationError."""
    with pytest.raises(spanwise.DecorationError, match=message):
        decorate()


def test_a_decoration_error_is_a_type_error():
    """Programs that know nothing of Spanwise can catch it."""
    with pytest.raises(TypeError):
        spanwise.tool(nmae="x")


# --- blocks -----------------------------------------------------------------------------------


def test_observe_opens_a_block(files):
    """The span is open in the block, takes `input`, and ends with it."""
    with spanwise.observe("rerank", type="chain", input={"k": 5}) as observation:
        assert files.observations() == []
        assert spanwise.current() is observation
        observation.update(output="done", metadata={"k": 5}, level="warning")
    (line,) = files.observations()
    assert (line["type"], line["name"], line["level"]) == ("chain", "rerank", "warning")
    assert (line["input"], line["output"], line["metadata"]) == ({"k": 5}, "done", {"k": 5})


async def test_observe_opens_an_async_block(files):
    """`async with` does what `with` does."""
    async with spanwise.observe("rerank", type="reranker", input=[1]) as observation:
        await asyncio.sleep(0)
        observation.update(output=2)
    (line,) = files.observations()
    assert (line["type"], line["input"], line["output"]) == ("reranker", [1], 2)


@every_type
def test_every_decorator_opens_a_block_of_its_type(files, type):
    """`with spanwise.agent("x") as observation` is a block of that type."""
    with DECORATORS[type]("named") as observation:
        assert (observation.type, observation.name) == (type, "named")
    with DECORATORS[type]():
        pass
    assert [(line["type"], line["name"]) for line in files.observations()] == [
        (type, "named"),
        (type, type),
    ]


def test_a_block_without_output_has_none(files):
    """Nothing is captured that the program did not give."""
    with spanwise.observe("x") as observation:
        pass
    (line,) = files.observations()
    assert (line["input"], line["output"], line["metadata"]) == (None, None, {})
    assert semconv.OBSERVATION_OUTPUT not in observation.span.attributes


def test_a_block_gives_the_callers_context_back(files):
    """After the block, and after an exception in it, the context is the one from before."""
    before = context_api.get_current()
    with spanwise.observe("x"):
        assert context_api.get_current() is not before
    assert context_api.get_current() is before
    with pytest.raises(LookupError), spanwise.observe("x"):
        fail("no")
    assert context_api.get_current() is before


def test_a_block_object_can_be_entered_again_and_inside_itself(files):
    """Each time it is a new observation; nested, the inner is the child of the outer."""
    block = spanwise.observe("again")
    with block as outer, block as inner:
        assert inner.id != outer.id
    with block:
        pass
    lines = files.observations()
    assert [line["parent_id"] for line in lines] == [outer.id, None, None]


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_block_object_can_be_shared_by_tasks(files, is_async):
    """Tasks that are inside the same block at once each end their own observation."""
    block = spanwise.observe("shared")

    async def use(n):
        async with contextlib.AsyncExitStack() as stack:
            if is_async:
                observation = await stack.enter_async_context(block)
            else:
                observation = stack.enter_context(block)
            observation.update(input=n)
            for _ in range(n % 4):
                await asyncio.sleep(0)
            spanwise.current().update(output=n)

    await asyncio.gather(*(use(n) for n in range(12)))
    lines = files.observations()
    assert sorted(line["input"] for line in lines) == list(range(12))
    assert [line["output"] for line in lines] == [line["input"] for line in lines]
    assert {line["parent_id"] for line in lines} == {None}


async def test_a_block_object_can_be_shared_by_kept_and_left_out_traces(files):
    """What one task does not record does not end what another does."""
    block = spanwise.observe("shared")

    async def use(n):
        with spanwise.sampled(n % 2 == 0), spanwise.observe("root"), block as observation:
            observation.update(input=n)
            for _ in range(n % 3):
                await asyncio.sleep(0)

    await asyncio.gather(*(use(n) for n in range(12)))
    lines = [line for line in files.observations() if line["name"] == "shared"]
    assert sorted(line["input"] for line in lines) == [0, 2, 4, 6, 8, 10]
    assert all(line["parent_id"] is not None for line in lines)


async def test_leaving_a_shared_block_that_is_not_recorded_ends_nobody_elses(files):
    """The one who entered last is still inside, whoever leaves first."""
    block = spanwise.observe("shared")
    both_inside, first_left = asyncio.Event(), asyncio.Event()

    async def left_out():
        with spanwise.sampled(False), spanwise.observe("root"), block:
            await both_inside.wait()
        first_left.set()

    async def kept():
        with block as observation:
            both_inside.set()
            await first_left.wait()
            assert observation.is_recording()
            observation.update(output="to the end")

    await asyncio.gather(left_out(), kept())
    assert files.observation("shared")["output"] == "to the end"


def test_a_context_left_attached_in_a_block_does_not_keep_it_open(files):
    """What the program attached and forgot is undone with the block."""
    before = context_api.get_current()
    with spanwise.observe("x"):
        context_api.attach(context_api.set_value("forgotten", True))
        spanwise.identify(user="forgotten").__enter__()
        spanwise.observe("never left").__enter__()
    assert context_api.get_current() is before
    assert [line["name"] for line in files.observations()] == ["x"]


# --- update -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("update", "where", "value"),
    [
        ({"input": {"a": 1}}, "input", {"a": 1}),
        ({"input": None}, "input", None),
        ({"output": [1, "b"]}, "output", [1, "b"]),
        ({"output": None}, "output", None),
        ({"output": ""}, "output", ""),
        ({"metadata": {"k": 5}}, "metadata", {"k": 5}),
        ({"metadata": {"nested": {"a": [1, 2]}}}, "metadata", {"nested": {"a": [1, 2]}}),
        ({"level": "warning"}, "level", "warning"),
        ({"level": "DEBUG"}, "level", "debug"),
        ({"model": "m-1"}, "model", "m-1"),
        ({"tags": ["a", "b"]}, "tags", ["a", "b"]),
        ({"tags": "single"}, "tags", ["single"]),
        ({"status_message": "slow"}, "status_message", "slow"),
        ({"score": 0.5}, "observation.score", 0.5),
        ({"score": 1}, "observation.score", 1.0),
        ({"version": "3"}, "observation.version", "3"),
        ({"provider": "acme"}, "gen_ai.provider.name", "acme"),
        ({"response_model": "m-1b"}, "gen_ai.response.model", "m-1b"),
        ({"response_id": "r-1"}, "gen_ai.response.id", "r-1"),
        ({"finish_reasons": ["stop"]}, "gen_ai.response.finish_reasons", ["stop"]),
        ({"tool_call_id": "call-1"}, "gen_ai.tool.call.id", "call-1"),
        (
            {"input_messages": [{"role": "user"}]},
            "gen_ai.input.messages",
            '[{"role":"user"}]',
        ),
        (
            {"output_messages": [{"role": "assistant"}]},
            "gen_ai.output.messages",
            '[{"role":"assistant"}]',
        ),
        ({"system_instructions": "be kind"}, "gen_ai.system_instructions", '"be kind"'),
    ],
)
def test_what_update_is_told_stands_where_it_belongs(files, update, where, value):
    """A field of the line where there is one, else the attribute of the convention."""

    @spanwise.span
    def call(x):
        spanwise.current().update(**update)
        return "result"

    assert call(1) == "result"
    (line,) = files.observations()
    holder = line["attributes"] if "." in where else line
    assert holder[where] == value


def test_every_keyword_of_update_is_tested():
    """The table above, and the tests of usage, know every keyword."""
    marks = test_what_update_is_told_stands_where_it_belongs.pytestmark
    told = {name for case in marks[0].args[1] for name in case[0]}
    keywords = set(inspect.signature(spanwise.Observation.update).parameters) - {"self"}
    assert told | {"usage"} == keywords


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 3, "output_tokens": 4, "cached_tokens": 1},
        {"prompt_tokens": 3, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 1}},
        {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 1},
        {
            "prompt_token_count": 3,
            "candidates_token_count": 4,
            "cached_content_token_count": 1,
        },
        {"inputTokens": 3, "outputTokens": 4, "input_token_details": {"cache_read": 1}},
    ],
)
def test_token_counts_are_read_in_every_known_spelling(files, usage):
    """Ours, OpenAI's, Anthropic's, Google's, Amazon's and LangChain's."""
    with spanwise.generation("x") as observation:
        observation.update(usage=usage)
    (line,) = files.observations()
    counts = (line["prompt_tokens"], line["completion_tokens"], line["total_tokens"])
    assert counts == (3, 4, 7)
    assert line["attributes"]["gen_ai.usage.cache_read.input_tokens"] == 1


def test_a_count_of_zero_is_a_count(files):
    """Zero cached tokens are said, not left out."""
    with spanwise.generation("x") as observation:
        observation.update(usage={"input_tokens": 0, "output_tokens": 0, "cached_tokens": 0})
    (line,) = files.observations()
    assert (line["prompt_tokens"], line["total_tokens"]) == (0, 0)
    assert line["attributes"]["gen_ai.usage.cache_read.input_tokens"] == 0


def test_later_updates_replace_earlier_ones_and_keep_the_rest(files):
    """Each keyword stands alone; metadata is replaced by key."""
    with spanwise.observe("x") as observation:
        observation.update(input=1, level="info", metadata={"a": 1, "b": 1}, tags=["old"])
        observation.update(input=2, metadata={"b": 2}, tags=["new"])
        observation.update()
    (line,) = files.observations()
    assert (line["input"], line["level"], line["tags"]) == (2, "info", ["new"])
    assert line["metadata"] == {"a": 1, "b": 2}


def test_input_and_output_given_by_update_replace_the_captured_ones(files):
    """What the program says it was given and answered counts, whenever it is said."""

    @spanwise.tool
    def call(x):
        spanwise.current().update(input="mine", output={"my": "output"})
        return "captured"

    assert call(1) == "captured"
    (line,) = files.observations()
    assert (line["input"], line["output"]) == ("mine", {"my": "output"})


@pytest.mark.parametrize("fails", [False, True])
def test_output_given_in_a_generator_replaces_the_stream(files, fails):
    """Also where the generator ends in an error."""

    @spanwise.tool
    def body():
        yield "a"
        spanwise.current().update(output="mine")
        if fails:
            fail("no")

    with pytest.raises(LookupError) if fails else contextlib.nullcontext():
        list(body())
    assert files.observation("body")["output"] == "mine"


def test_usage_given_by_update_stands_against_that_of_the_result(files):
    """What the program counted wins; counts that it did not give are still found."""

    @spanwise.generation
    def call():
        spanwise.current().update(usage={"input_tokens": 30})
        return {"usage": {"input_tokens": 3, "output_tokens": 4}}

    call()
    (line,) = files.observations()
    assert (line["prompt_tokens"], line["completion_tokens"]) == (30, 4)


@pytest.mark.parametrize(
    ("type", "capture_usage", "is_found"),
    [
        ("generation", None, True),
        ("embedding", None, True),
        ("reranker", None, True),
        ("tool", None, False),
        ("tool", True, True),
        ("generation", False, False),
    ],
)
def test_usage_is_looked_for_where_a_model_is_asked(files, type, capture_usage, is_found):
    """By default in generations, embeddings and rerankers; an option says otherwise."""
    options = {} if capture_usage is None else {"capture_usage": capture_usage}

    @DECORATORS[type](**options)
    def call():
        return {"usage": {"prompt_tokens": 3}}

    call()
    assert (files.observations()[0].get("prompt_tokens") == 3) is is_found


def test_update_after_the_end_does_nothing(files):
    """An observation that was kept too long stays as it was written."""
    with spanwise.observe("x") as observation:
        pass
    observation.update(output="late", level="error")
    observation.identify(user="late")
    observation.record_error(ValueError("late"))
    assert not observation.is_recording()
    (line,) = files.observations()
    assert line["output"] is None
    assert "late" not in files.text()


def test_a_wrong_value_given_to_update_never_raises(files, swallowed):
    """It is left out, logged and counted; the program goes on."""
    with spanwise.observe("x") as observation:
        observation.update(score="high")
        observation.update(metadata=5)
        observation.update(finish_reasons=5)
        observation.update(level=object())
        observation.update(usage=5)
        observation.update(output="fine")
    assert files.observations()[0]["output"] == "fine"
    assert set(swallowed()) == {"failures.observation.update"}


def test_secrets_given_to_update_are_masked(files):
    """In inputs, outputs, metadata, models and messages."""
    key = "sk-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"
    with spanwise.observe("x") as observation:
        observation.update(
            input={"api_key": "hidden-1"},
            output=f"the key is {key}",
            metadata={"password": "hidden-2", "nested": {"token": "hidden-3"}},
            model=key,
            status_message=f"used {key}",
            tags=[key],
            input_messages=[{"content": key}],
        )
    text = files.text()
    assert files.observations()[0]["input"] == {"api_key": "***"}
    for secret in (key, "hidden-1", "hidden-2", "hidden-3"):
        assert secret not in text


# --- what is captured -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capture_input", "expected"),
    [
        (True, {"query": "q", "limit": 5, "more": {"extra": 1}}),
        (False, None),
        (["query"], {"query": "q"}),
        (("limit", "query"), {"query": "q", "limit": 5}),
        ("limit", {"limit": 5}),
        (["more"], {"more": {"extra": 1}}),
        ([], {}),
    ],
)
def test_capture_input_says_which_arguments_are_kept(files, capture_input, expected):
    """All with defaults, none, or those that are named."""

    @spanwise.tool(capture_input=capture_input)
    def search(query, limit=5, **more):
        return "found"

    search("q", extra=1)
    (line,) = files.observations()
    assert (line["input"], line["output"]) == (expected, "found")


def test_capture_output_false_keeps_no_result(files):
    """The input is there, the output is not; of a stream only the number of chunks is kept."""

    @spanwise.tool(capture_output=False)
    def call(x):
        return "kept out"

    @spanwise.tool(capture_output=False)
    def stream(x):
        yield "kept out"

    call(1)
    list(stream(2))
    assert [(line["input"], line["output"]) for line in files.observations()] == [
        ({"x": 1}, None),
        ({"x": 2}, None),
    ]
    assert files.observation("stream")["attributes"][semconv.OBSERVATION_STREAM_CHUNKS] == 1
    assert "kept out" not in files.text()


def test_arguments_are_captured_before_the_body_can_change_them(files):
    """What was passed is kept, not what was left of it."""

    @spanwise.tool
    def consume(items):
        items.clear()
        return items

    consume([1, 2])
    (line,) = files.observations()
    assert (line["input"], line["output"]) == ({"items": [1, 2]}, [])


@pytest.mark.parametrize("variable", ["SPANWISE_CAPTURE_CONTENT", None])
async def test_without_content_no_input_or_output_is_written(tmp_path, monkeypatch, variable):
    """By variable or keyword: arguments, results, streams, messages and updates stay out."""
    keywords: dict[str, Any] = {"traces_dir": tmp_path / "traces"}
    if variable is not None:
        monkeypatch.setenv(variable, "false")
    else:
        keywords["capture_content"] = False
    spanwise.configure(**keywords)
    private = "what nobody may read"

    @spanwise.agent
    def call(x):
        spanwise.current().update(input=x, output=x, input_messages=[x], metadata={"k": 1})
        spanwise.current().update(output_messages=[x], system_instructions=x)
        return x

    @spanwise.generation
    async def stream(x):
        yield x
        yield {"text": x}

    call(private)
    assert [item async for item in stream(private)] == [private, {"text": private}]
    with spanwise.observe("block", input=private) as observation:
        observation.update(output=private)
    with trace_api.get_tracer("other").start_as_current_span("third party's") as span:
        span.set_attribute("gen_ai.input.messages", private)
    text = "".join(path.read_text() for path in (tmp_path / "traces").glob("*.jsonl"))
    assert text.count('"name":"call"') == 2
    assert text.count("third party's") == 2
    assert private not in text
    assert '"metadata":{"k":1}' in text


# --- errors -----------------------------------------------------------------------------------


def test_an_error_says_what_and_where(files):
    """Message, type, traceback, level, status and an exception event."""
    with pytest.raises(LookupError):
        spanwise.tool(fail)("no such thing")
    (line,) = files.observations()
    assert line["error"] == "no such thing"
    assert line["level"] == "error"
    assert line["metadata"]["error_type"] == "LookupError"
    assert line["attributes"]["error.type"] == "LookupError"
    traceback = line["metadata"]["traceback"]
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert traceback.endswith("LookupError: no such thing\n")
    assert "in fail\n    raise LookupError(text)\n" in traceback
    assert "_shells.py" not in traceback
    (event,) = line["events"]
    assert (event["name"], event["attributes"]["exception.type"]) == ("exception", "LookupError")
    assert event["attributes"]["exception.message"] == "no such thing"
    assert event["attributes"]["exception.stacktrace"] == traceback
    (trace,) = files.traces()
    assert (trace["status"], trace["error"]) == ("error", "no such thing")


def test_an_error_in_a_block_is_recorded_and_raised(files):
    """The block ends with the exception, which goes on."""
    error = LookupError("no")
    with pytest.raises(LookupError) as raised, spanwise.observe("block"):
        raise error
    assert raised.value is error
    (line,) = files.observations()
    assert (line["error"], line["level"]) == ("no", "error")
    assert line["metadata"]["error_type"] == "LookupError"


async def test_an_error_in_an_async_block_is_recorded_and_raised(files):
    """The block ends with the exception, which goes on."""
    with pytest.raises(LookupError):
        async with spanwise.observe("block"):
            fail("no")
    assert files.observation("block")["error"] == "no"


def test_an_error_of_the_program_is_named_with_its_module(files):
    """`error.type` is qualified, `error_type` in the metadata is the bare name."""

    class OwnError(Exception):
        pass

    @spanwise.tool
    def call():
        raise OwnError("mine")

    with pytest.raises(OwnError):
        call()
    (line,) = files.observations()
    assert line["attributes"]["error.type"].startswith(f"{__name__}.")
    assert line["attributes"]["error.type"].endswith("OwnError")
    assert line["metadata"]["error_type"] == "OwnError"


def test_a_level_given_before_an_error_stands(files):
    """The program's own word on how bad it is."""
    with pytest.raises(LookupError), spanwise.observe("x") as observation:
        observation.update(level="warning")
        fail("no")
    (line,) = files.observations()
    assert (line["level"], line["error"]) == ("warning", "no")


def test_an_error_keeps_the_input_and_has_no_output(files):
    """What went in is there, nothing came out."""
    with pytest.raises(LookupError):
        spanwise.tool(fail)("no")
    (line,) = files.observations()
    assert (line["input"], line["output"]) == ({"text": "no"}, None)


def test_an_error_without_a_text_is_named_by_its_type(files):
    """An empty message says nothing; the type does."""

    @spanwise.tool
    def call():
        raise LookupError

    with pytest.raises(LookupError):
        call()
    assert files.observations()[0]["error"] == "LookupError"


def test_an_exception_whose_text_cannot_be_read_goes_on_all_the_same(files):
    """The exception that arrives is the program's, and the span says that it has no text."""

    class Hostile(Exception):
        def __str__(self):
            raise KeyError("from __str__")

        __repr__ = __str__

    error = Hostile()

    @spanwise.tool
    def call():
        raise error

    with pytest.raises(Hostile) as raised:
        call()
    assert raised.value is error
    assert files.observations()[0]["metadata"]["error_type"] == "Hostile"


def test_an_error_that_was_caught_can_be_recorded(files):
    """`record_error` marks the observation as failed; the program goes on."""
    with spanwise.observe("caught") as observation:
        try:
            fail("caught")
        except LookupError as error:
            observation.record_error(error)
    with spanwise.observe("said") as observation:
        observation.record_error("it did not work")
    caught, said = files.observations()
    assert (caught["error"], caught["metadata"]["error_type"]) == ("caught", "LookupError")
    assert said["error"] == "it did not work"


def test_secrets_in_errors_are_masked(files):
    """In message and traceback alike."""
    with pytest.raises(LookupError):
        spanwise.tool(fail)("failed with token=abcdef0123456789 in the url")
    assert "abcdef0123456789" not in files.text()


def test_only_the_observations_that_an_error_left_are_marked(files):
    """One that caught the error of its child is a success."""
    failing = spanwise.tool(fail)

    @spanwise.agent
    def careful():
        with contextlib.suppress(LookupError):
            failing("no")
        return "fine"

    careful()
    assert files.observation("fail")["level"] == "error"
    assert "error" not in files.observation("careful")
    assert files.traces()[0]["status"] == "success"


# --- events, and what is current --------------------------------------------------------------


def test_an_event_is_a_child_of_what_is_open(files):
    """It has its name and metadata, and takes no time of its own."""
    with spanwise.observe("open") as observation:
        spanwise.event("cache.miss", region="eu", size=3)
    event = files.observation("cache.miss")
    assert (event["type"], event["parent_id"]) == ("event", observation.id)
    assert event["metadata"] == {"region": "eu", "size": 3}


def test_an_event_at_the_root_is_a_trace_of_its_own(files):
    """Nothing needs to be open."""
    spanwise.event("started")
    assert [trace["name"] for trace in files.traces()] == ["started"]


def test_an_event_never_raises(swallowed):
    """Not configured nothing happens, and a wrong name is counted only."""
    spanwise.event("nobody listens", x=1)
    spanwise.event(5)
    assert set(swallowed()) == {"failures.event"}


def test_current_is_the_innermost_open_observation(files):
    """In a block, in a decorated function below it, and after each."""
    inner: list[spanwise.Observation] = []

    @spanwise.tool
    def call():
        inner.append(spanwise.current())

    with spanwise.observe("outer") as outer:
        assert spanwise.current() is outer
        call()
        assert spanwise.current() is outer
    assert spanwise.current() is not outer
    line = files.observation("call")
    assert (inner[0].id, inner[0].trace_id) == (line["id"], line["trace_id"])
    assert (inner[0].name, inner[0].type) == ("call", "tool")
    assert format(inner[0].span.get_span_context().span_id, "016x") == line["id"]


async def test_current_follows_the_task(files):
    """A task sees what was open where it was made, and its neighbours see nothing of its own."""

    async def work(name):
        with spanwise.observe(name) as observation:
            await asyncio.sleep(0)
            assert spanwise.current() is observation

    with spanwise.observe("outer") as outer:
        await asyncio.gather(*(work(f"task {n}") for n in range(5)))
        assert spanwise.current() is outer
    parents = {line["parent_id"] for line in files.observations() if line["name"] != "outer"}
    assert parents == {outer.id}


def test_current_interaction_is_found_from_any_depth(files):
    """Below agents, tools and blocks; outside an interaction there is none."""
    found: list[spanwise.Observation] = []

    @spanwise.tool
    def deep():
        found.append(spanwise.current_interaction())
        spanwise.current_interaction().update(output="set from below")

    @spanwise.interaction("Main")
    def handle(text):
        with spanwise.observe("between"), spanwise.identify(user="jane"):
            deep()
        return "result"

    handle("hi")
    line = files.observation("Main")
    assert found[0].id == line["id"]
    assert (line["type"], line["input"], line["output"]) == (
        "interaction",
        {"text": "hi"},
        "set from below",
    )
    with spanwise.agent("no interaction"):
        deep()
    assert not found[1].is_recording()


def test_a_nested_interaction_is_the_current_one_until_it_ends(files):
    """The innermost counts."""
    with spanwise.interaction("outer") as outer:
        with spanwise.interaction("inner") as inner:
            assert spanwise.current_interaction() is inner
        assert spanwise.current_interaction() is outer


def use_everything(observation: spanwise.Observation) -> None:
    """Call and read all that an observation has."""
    keywords = inspect.signature(spanwise.Observation.update).parameters
    for name in keywords.keys() - {"self"}:
        observation.update(**{name: {} if name in ("metadata", "usage") else "1"})
    observation.identify(user="u", account="a", session_id="s", message_id="m")
    observation.record_error("no")
    observation.record_error(ValueError("no"))
    observation.attach()
    observation.detach()
    assert observation.was_given("output") is False
    assert observation.is_recording() is False
    assert not observation.identity()
    assert isinstance(observation.name, str)
    assert isinstance(observation.type, str)
    assert (int(observation.id, 16), int(observation.trace_id, 16)) == (0, 0)
    assert (len(observation.id), len(observation.trace_id)) == (16, 32)
    assert not observation.span.get_span_context().is_valid


@pytest.mark.parametrize("is_configured", [True, False])
def test_outside_any_observation_the_current_one_does_nothing_and_works(tmp_path, is_configured):
    """Every method can be called; nothing is recorded, nothing raises."""
    if is_configured:
        spanwise.configure(traces_dir=tmp_path / "traces")
    use_everything(spanwise.current())
    use_everything(spanwise.current_interaction())
    assert not (tmp_path / "traces").exists()


def test_not_configured_everything_runs_as_if_it_were_not_there(tmp_path):
    """Decorated functions, blocks and events work, observe nothing and write nothing."""

    @spanwise.agent
    def call(x):
        use_everything(spanwise.current())
        return x

    assert call(1) == 1
    with spanwise.observe("x", input=1) as observation:
        use_everything(observation)
    with spanwise.identify(user="jane"):
        spanwise.event("x")
    assert list(tmp_path.iterdir()) == []
    assert spanwise.stats() == {}


def test_switched_off_nothing_is_recorded(tmp_path):
    """`enabled=False` is as good as not configured."""
    spanwise.configure(traces_dir=tmp_path / "traces", enabled=False)
    with spanwise.observe("x") as observation:
        use_everything(observation)
    assert not (tmp_path / "traces").exists()
