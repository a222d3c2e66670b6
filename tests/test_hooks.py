"""The program's own functions choose what is captured, and cannot harm the call they look at."""

from __future__ import annotations

import asyncio
import json

import pytest

import spanwise
from support.files import Files

HOOKS = ("process_input", "process_output", "process_chunk", "reduce")


class Later:
    """Awaited by nobody."""

    async def __call__(self, value):
        return value


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_process_input_chooses_what_is_kept_of_the_arguments(files):
    """It takes them by name; the body gets them as they were given."""
    seen = []

    @spanwise.agent(process_input=lambda given: {"question": given["question"].upper()})
    def answer(question, context):
        seen.append((question, context))
        return "42"

    assert "42" == answer("why", context="x" * 10)
    assert [("why", "x" * 10)] == seen
    assert {"question": "WHY"} == files.observation("answer")["input"]


def test_process_output_chooses_what_is_kept_of_the_result(files):
    """The caller gets the result itself."""
    result = {"rows": list(range(5))}

    @spanwise.tool(process_output=lambda found: len(found["rows"]))
    def search():
        return result

    assert result is search()
    assert 5 == files.observation("search")["output"]


def test_process_chunk_and_reduce_make_the_output_of_a_stream(files):
    """Each chunk passes the one, all of them together the other; the consumer sees neither."""

    @spanwise.generation(process_chunk=lambda c: c["n"], reduce=sum)
    def numbers():
        for n in (1, 2, 3):
            yield {"n": n}

    assert [{"n": 1}, {"n": 2}, {"n": 3}] == list(numbers())
    assert 6 == files.observation("numbers")["output"]


def test_process_chunk_alone_leaves_text_joined(files):
    """What it makes of the chunks is treated as the chunks would be."""

    @spanwise.generation(process_chunk=lambda c: c["text"])
    async def words():
        for word in ("a ", "b ", "c"):
            yield {"text": word}

    async def consume():
        return [chunk async for chunk in words()]

    assert 3 == len(asyncio.run(consume()))
    assert "a b c" == files.observation("words")["output"]


@pytest.mark.parametrize(
    ("chunks", "expected"), [(["a", "b"], "AB"), ([1, 2], "[1, 2]")], ids=["text", "numbers"]
)
def test_process_output_of_a_stream_gets_the_whole_of_it(files, chunks, expected):
    """Joined where it is text, else the list; also after the stream was closed or failed."""

    @spanwise.generation(process_output=lambda whole: str(whole).upper())
    def stream():
        yield from chunks
        yield "never"

    steps = stream()
    assert chunks == [next(steps), next(steps)]
    steps.close()
    assert expected == files.observation("stream")["output"]


def test_a_failing_stream_passes_the_hooks_too(files):
    """What came before the failure is not shown past the hook that hides it."""

    @spanwise.generation(process_output=lambda whole: len(whole))
    def stream():
        yield "hidden"
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(stream())
    assert 6 == files.observation("stream")["output"]
    assert "hidden" not in files.text()


@pytest.mark.parametrize("hook", HOOKS)
def test_a_raising_hook_is_noted_on_the_span_and_hides_what_it_was_given(files, swallowed, hook):
    """Nothing is captured in its place, since it may be there to take a secret out."""

    def failing(value):
        raise ValueError("no use")

    @spanwise.generation(**{hook: failing})
    def stream(argument):
        yield "visible"

    assert ["visible"] == list(stream("visible"))
    assert {f"failures.hook.{hook}": 1} == swallowed()
    line = files.observation("stream")
    noted = line["attributes"]["observation.hook_errors"]
    assert [f"{hook}: ValueError: no use"] == noted
    kept = {"process_input": "output"}.get(hook, "input")
    hidden = "input" if kept == "output" else "output"
    assert "visible" in json.dumps(line[kept])
    assert "visible" not in json.dumps(line.get(hidden))


def test_every_hook_that_failed_is_noted(files, swallowed):
    """That of the input and that of the output."""

    def failing(value):
        raise KeyError("x")

    @spanwise.agent(process_input=failing, process_output=failing)
    def answer(question):
        return question

    assert "q" == answer("q")
    assert 2 == sum(swallowed().values())
    noted = files.observation("answer")["attributes"]["observation.hook_errors"]
    assert ["process_input: KeyError: 'x'", "process_output: KeyError: 'x'"] == noted


def test_what_a_hook_returns_is_masked_and_bounded(files):
    """It is a value like any other."""

    @spanwise.agent(process_output=lambda r: {"api_key": "hidden-1", "long": "x" * 10**6})
    def answer():
        return 1

    answer()
    assert "hidden-1" not in files.text()
    assert len(files.text()) < 10**5


def test_a_hook_that_exits_does_not_end_the_program(files, swallowed):
    """It is no part of the call; an interrupt of the program's goes on to it."""

    def leaving(value):
        raise SystemExit(3)

    def interrupted(value):
        raise KeyboardInterrupt

    @spanwise.agent(process_output=leaving)
    def answer():
        return 1

    @spanwise.agent(process_output=interrupted)
    def other():
        return 1

    assert 1 == answer()
    assert {"failures.hook.process_output": 1} == swallowed()
    with pytest.raises(KeyboardInterrupt):
        other()
    assert {"answer", "other"} == {line["name"] for line in files.observations()}


def test_ignored_parameters_are_left_out(files):
    """Alone, or out of those that are named to be kept."""

    @spanwise.tool(ignore=["session", "args"])
    def one(query, session, *args, **rest):
        return None

    @spanwise.tool(capture_input=["query", "session"], ignore="session")
    def two(query, session, other=1):
        return None

    one("q", "s", 1, 2, k=3)
    two("q", "s")
    assert {"query": "q", "rest": {"k": 3}} == files.observation("one")["input"]
    assert {"query": "q"} == files.observation("two")["input"]


def test_a_recording_masks_what_capture_leaves_out(tmp_path):
    """What is kept out of the span is not in the recording; a replay has to ask for it."""
    calls = tmp_path / "calls.jsonl"
    spanwise.configure(traces_dir=None, record=calls)

    @spanwise.tool(ignore=["session"])
    def one(query, session):
        return None

    @spanwise.tool(capture_input=["query"])
    def two(query, session):
        return None

    @spanwise.tool(process_input=lambda given: {"query": "shown"})
    def three(query, session):
        return None

    @spanwise.tool(process_input=lambda given: "only a text")
    def four(query, session):
        return None

    for function in (one, two, three, four):
        function("asked", "hidden")
    assert [
        {"query": "asked", "session": "***"},
        {"query": "asked", "session": "***"},
        {"query": "shown", "session": "***"},
        {"query": "***", "session": "***"},
    ] == [line["kwargs"] for line in read(calls)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ignore": ["querry"]}, "no parameter 'querry'.*query"),
        ({"ignore": 3}, "ignore must be names of parameters"),
        ({"capture_input": ["querry"]}, "no parameter 'querry'"),
        ({"process_input": "x"}, "process_input must be a plain function"),
        ({"process_input": lambda: 1}, "process_input must take one argument"),
        ({"process_output": Later()}, "process_output must be a plain function"),
        ({"capture_input": False, "ignore": ["typo"]}, "ignore has no effect"),
        ({"capture_input": ["query"], "ignore": ["query"]}, "ignore leaves nothing"),
        ({"process_chunk": len}, "process_chunk is for generators"),
        ({"reduce": sum}, "reduce is for generators"),
        ({"process_input": len, "capture_input": False}, "capture_input=False"),
        ({"process_output": len, "capture_output": False}, "capture_output=False"),
        ({"proces_output": len}, "unknown option 'proces_output'.*process_output"),
    ],
)
def test_an_option_that_does_not_fit_is_an_error_at_decoration(options, message):
    """It names the option, and the parameter that was probably meant."""
    with pytest.raises(spanwise.DecorationError, match=message):

        @spanwise.tool(**options)
        def search(query):
            return query


def test_an_async_hook_is_an_error_at_decoration():
    """Nobody would await it."""

    async def hook(value):
        return value

    with pytest.raises(spanwise.DecorationError, match="process_input must be a plain function"):
        spanwise.tool(process_input=hook)(print)


@pytest.mark.parametrize("option", [*HOOKS, "ignore"])
def test_a_block_has_no_call_for_a_hook_to_look_at(option):
    """It says so, configured or not."""
    block = spanwise.observe("x", **{option: ["a"] if option == "ignore" else len})
    with pytest.raises(spanwise.DecorationError, match=f"{option} is for decorated functions"):
        block.__enter__()


def test_hooks_are_not_run_where_nothing_is_captured(tmp_path):
    """Unconfigured, without content, sampled out: the program's code runs only for a capture."""
    calls = []

    @spanwise.agent(process_input=calls.append, process_output=calls.append)
    def answer(question):
        return question

    answer(1)
    spanwise.configure(traces_dir=tmp_path / "t", capture_content=False)
    answer(2)
    spanwise.configure(capture_content=True, sample_rate=0.0)
    answer(3)
    assert [] == calls


def test_held_chunks_are_bounded(tmp_path):
    """A hook that wants all chunks gets the first ten thousand, and the span says so."""
    spanwise.configure(traces_dir=tmp_path / "t")

    @spanwise.generation(reduce=len)
    def stream():
        yield from range(10_005)

    assert 10_005 == sum(1 for _ in stream())
    line = Files(tmp_path / "t").observation("stream")
    assert 10_000 == line["output"]
    assert ["reduce: only the first 10000 of 10005 chunks"] == line["attributes"][
        "observation.hook_errors"
    ]
