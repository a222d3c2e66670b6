"""Whatever call inside Spanwise fails, and however, the program sees its own results and errors.

A profile function makes one call of the hot path fail: the first time that code of ours makes
any call, then the second time, and so on until a whole run passes without a failure. Calls of
Python functions and of C functions alike are made to fail, each before it does anything.
"""

from __future__ import annotations

import asyncio
import base64
import concurrent.futures
import gc
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace

import spanwise

SOURCES = str(Path(spanwise.__file__).parent)
KINDS = (
    RuntimeError,
    pytest.param(MemoryError, marks=pytest.mark.slow),
    pytest.param(RecursionError, marks=pytest.mark.slow),
)


class Injected:
    """Makes the call number `at` that Spanwise makes fail; counts them all."""

    def __init__(self, at: int, kind: type[Exception]) -> None:
        self.at = at
        self.kind = kind
        self.calls = 0
        self.where = ""

    def __call__(self, frame: Any, event: str, arg: Any) -> None:
        if event == "call":
            caller, called = frame.f_back, frame.f_code.co_name
            if frame.f_code.co_flags & GENERATOR and frame.f_lasti > RESUMED:
                return  # a generator that goes on: nothing is called
            if any(getattr(told, "__code__", None) is frame.f_code for told in gc.callbacks):
                return  # the collector's own, whose failure is nobody's
        elif event == "c_call":
            caller, called = frame, getattr(arg, "__name__", str(arg))
        else:
            return
        if caller is None or not caller.f_code.co_filename.startswith(SOURCES):
            return
        if self.where:
            return  # one failure a run: what handles it works
        if "__del__" in (caller.f_code.co_name, called):
            return  # what fails there reaches nobody
        if event == "call" and not frame.f_code.co_filename.startswith(SOURCES):
            if calls_the_program(frame):
                return
        elif event == "c_call" and caller.f_code.co_name == "call":
            return  # a shell that hands a value on, or steps the program's own generator
        elif event == "c_call" and called == "__exit__":
            return  # a lock that could not be given back would stop every other thread
        self.calls += 1
        if self.calls == self.at:
            line = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}"
            self.where = f"{caller.f_code.co_name} ({line}) -> {called}"
            del frame, caller  # a function that is given the frame below it is a signal handler's
            raise self.kind(f"injected into {called}")


GENERATOR = 0x20 | 0x80 | 0x200
RESUMED = 12  # beyond the first instructions of a generator's code: it has been started before


def calls_the_program(frame: Any) -> bool:
    return bool(frame.f_code.co_filename == __file__)


class Mine(Exception):
    """The program's own."""


class Argument:
    """Something that no table of types knows."""


GIVEN = {"text": "a" * 300, "n": [1, 2.5, None, {"deep": Argument()}], "password": "x"}


@spanwise.agent(tags=["t"], metadata={"m": 1})
def plain(value: Any) -> Any:
    with trace.get_tracer("third").start_as_current_span("theirs"):
        spanwise.current().update(metadata={"k": 1}, usage={"input_tokens": 1}, score=1.0)
    return value


@spanwise.tool
def failing(error: Exception) -> None:
    raise error


@spanwise.generation(model="m")
def chunks(value: Any) -> Iterator[Any]:
    yield "text"
    yield {"usage": {"input_tokens": 1}}
    return value


@spanwise.generation
async def async_chunks(value: Any) -> Any:
    yield value
    await asyncio.sleep(0)
    yield value


@spanwise.interaction
async def coroutine(value: Any) -> Any:
    await asyncio.sleep(0)
    return value


def run_function() -> object:
    assert plain(GIVEN) is GIVEN
    return "function"


def run_failure() -> object:
    error = Mine("theirs")
    with pytest.raises(Mine) as caught:
        failing(error)
    assert caught.value is error
    assert caught.value.__context__ is None
    return "failure"


def run_generator() -> object:
    steps = chunks(GIVEN)
    taken = [next(steps)]
    outside = context_api.get_current()
    taken.append(next(steps))
    assert context_api.get_current() == outside
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value is GIVEN
    other = chunks(GIVEN)
    next(other)
    error = Mine("thrown")
    with pytest.raises(Mine) as caught:
        other.throw(error)  # type: ignore[attr-defined]
    assert caught.value is error
    return taken


def run_coroutine() -> object:
    async def program() -> object:
        assert await coroutine(GIVEN) is GIVEN
        taken = [chunk async for chunk in async_chunks(GIVEN)]
        assert all(chunk is GIVEN for chunk in taken)
        return len(taken)

    with asyncio.Runner() if sys.version_info >= (3, 11) else OldRunner() as runner:
        return runner.run(program())


class OldRunner:
    """asyncio.Runner, as far as it is needed, for Python 3.10."""

    def __enter__(self) -> OldRunner:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def run(self, program: Any) -> object:
        return asyncio.run(program)


def run_block() -> object:
    error = Mine("in the block")
    with spanwise.identify(user="jane", metadata={"k": [1]}), spanwise.observe("block", input=1):
        spanwise.event("happened", n=1)
        with pytest.raises(Mine) as caught, spanwise.observe("inner"):
            raise error
    assert caught.value is error
    return "block"


def outcome_of(run: Callable[[], object], injected: Injected | None) -> object:
    if injected is None:
        return run()
    sys.setprofile(injected)
    try:
        return run()
    finally:
        sys.setprofile(None)


# The interpreter itself ends with a segmentation fault, now and then and anywhere after it.
raising_in_coroutines = pytest.mark.skipif(
    sys.version_info[:2] == (3, 12), reason="3.12 does not survive profilers that raise there"
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "run",
    [
        *(run_function, run_failure, run_generator, run_block),
        pytest.param(run_coroutine, marks=raising_in_coroutines),
    ],
)
def test_a_failing_call_inside_changes_nothing_for_the_program(
    tmp_path: Path, swallowed: Callable[[], dict[str, int]], run: Any, kind: type[Exception]
) -> None:
    """The outcome is the same, the context is as before, and the loss is counted or there is none."""
    spanwise.configure(traces_dir=tmp_path / "t", record=tmp_path / "calls.jsonl")
    expected = outcome_of(run, None)
    before = context_api.get_current()
    at, silent = 0, []
    while True:
        at += 1
        assert at < 20_000, "it never came to an end"
        already = spanwise.stats()
        injected = Injected(at, kind)
        assert expected == outcome_of(run, injected), f"call {at}: {injected.where}"
        assert context_api.get_current() == before, f"call {at}: {injected.where}"
        if not injected.where:
            break
        told = spanwise.stats()
        failures = swallowed()
        ended = told["spans.ended"] - already["spans.ended"]
        if not failures and not losses(already, told):
            silent.append((injected.where, ended))
    assert at > 100, "almost nothing was made to fail"
    normal = normal_run(run)
    assert [] == [(where, ended) for where, ended in silent if ended < normal]


def losses(before: dict[str, int], after: dict[str, int]) -> int:
    kinds = ("lost.", "dropped.", "contexts_not_detached")
    return sum(after[k] - before.get(k, 0) for k in after if k.startswith(kinds))


def normal_run(run: Callable[[], object]) -> int:
    before = spanwise.stats()["spans.ended"]
    run()
    return spanwise.stats()["spans.ended"] - before


# --- a function that fails whenever it is called -----------------------------------------------

MODULES = """
_arguments _calls _decisions _encoding _exceptions _guard _hooks _identity _ids _lean_opener
_lean_spans _lean_tracer _masked_attributes _masking _media _observation _operation _plain_values
_prepared _provider _raw_fields _sampling _secret_assignments _secret_forms _secret_names
_small_values _span_contexts _state _straddling _stream _threads _usage _value_kinds _walk
export.call_recordings export.jsonl_files export.lines export.making export.media_files
export.own_words export.record instrumentation.translation instrumentation.vocabulary
processors.delegating processors.open_spans processors.token_counts
""".split()
# Called by the program or by OpenTelemetry: what is replaced here is the guard itself.
ENTRIES = frozenset(
    """
    Observation.id Observation.trace_id Observation.is_recording Observation.update
    Observation.identity current current_interaction identify.__init__ identify.__enter__
    identify.__exit__ DelegatingSpanProcessor.on_start DelegatingSpanProcessor.on_end
    LiveSampler.should_sample RandomIds.generate_span_id RandomIds.generate_trace_id
    RandomIds.is_trace_id_random SpanwiseTracerProvider.get_tracer LeanTracer.start_span
    LeanSpan._attributes LeanSpan._events LeanSpan._links LeanSpan.attributes LeanSpan.events
    LeanSpan.links LeanSpan.dropped_attributes LeanSpan.dropped_events LeanSpan.dropped_links
    LeanSpan.set_attribute LeanSpan.set_attributes LeanSpan.end LeanSpan.update_name
    DelegatingSpanProcessor.operation_started _start _submit _start_process _hand_over _run _Handle.__del__
    """.split()
)


def functions() -> list[tuple[str, Any]]:
    found: dict[int, tuple[str, Any]] = {}
    for name in MODULES:
        module = importlib.import_module(f"spanwise.{name}")
        holders: list[Any] = [module, *(o for o in vars(module).values() if inspect.isclass(o))]
        for holder in holders:
            if getattr(holder, "__module__", module.__name__) != module.__name__:
                continue
            for member in vars(holder).values():
                function = getattr(member, "__func__", getattr(member, "fget", member))
                if not inspect.isfunction(function) or function.__module__ != module.__name__:
                    continue
                is_threads_own = name == "_threads" or function.__qualname__ not in THREADS_ONLY
                is_entry = function.__qualname__ in ENTRIES and is_threads_own
                is_plain = not inspect.isgeneratorfunction(function)
                if is_plain and not function.__code__.co_freevars and not is_entry:
                    found[id(function)] = (f"{name}.{function.__qualname__}", function)
    return sorted(found.values(), key=lambda pair: pair[0])


THREADS_ONLY = frozenset({"_start", "_submit", "_start_process", "_hand_over", "_run"})


def fails_with_runtime_error(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("injected")


def fails_with_memory_error(*args: Any, **kwargs: Any) -> Any:
    raise MemoryError("injected")


def fails_with_recursion_error(*args: Any, **kwargs: Any) -> Any:
    raise RecursionError("injected")


def run_threads() -> object:
    def job(n: int) -> int:
        with trace.get_tracer("third").start_as_current_span("theirs"):
            return n + 1

    seen: list[int] = []
    with spanwise.observe("parent"), concurrent.futures.ThreadPoolExecutor(2) as pool:
        thread = threading.Thread(target=lambda: seen.append(job(5)))
        thread.start()
        thread.join(10)
        return [pool.submit(job, 1).result(10), *pool.map(job, [1, 2]), *seen]


@spanwise.generation(process_input=str, process_chunk=dict, reduce=list)
def hooked(value: Any) -> Iterator[Any]:
    with trace.get_tracer("third").start_as_current_span("held"):
        yield {"delta": "password="}
        yield {"delta": "x" * 20}


CONTEXTS_KEPT_APART: list[bool] = []
# Without these no context can be made for a generator: its body runs in its caller's, as it
# would undecorated.
MAKE_CONTEXTS = frozenset(
    {
        "_operation.begin",
        "_operation.start",
        "_observation.Observation.__init__",
        "_observation.Observation.attach",
    }
)


def run_hooks_and_streams() -> object:
    image = base64.b64encode(bytes(range(256)) * 8).decode()
    steps = hooked({"image": image, "list": ["--password", "x", 1]})
    outside = context_api.get_current()
    taken = [next(steps)]
    kept_apart = [context_api.get_current() == outside]
    taken.extend(steps)
    kept_apart.append(context_api.get_current() == outside)
    context_api.attach(outside)
    CONTEXTS_KEPT_APART[:] = kept_apart
    carrier = spanwise.inject({}, identity=True)
    with spanwise.extract(carrier, identity=True), trace.use_span(trace.INVALID_SPAN):
        pass
    return taken


RUNS = [
    *(run_function, run_failure, run_generator, run_coroutine, run_block),
    *(run_threads, run_hooks_and_streams),
]


@pytest.mark.parametrize(
    "failing",
    [
        fails_with_runtime_error,
        pytest.param(fails_with_memory_error, marks=pytest.mark.slow),
        pytest.param(fails_with_recursion_error, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("run", RUNS)
def test_a_function_that_always_fails_changes_nothing_for_the_program(
    tmp_path: Path,
    swallowed: Callable[[], dict[str, int]],
    run: Callable[[], object],
    failing: Callable[..., Any],
) -> None:
    """Whichever function of the hot path it is, and what is called after it, or to tell of it."""
    spanwise.configure(
        traces_dir=tmp_path / "t", record=tmp_path / "calls.jsonl", media_dir=tmp_path / "m"
    )
    expected = run()
    before = context_api.get_current()
    told: list[str] = []
    tried = functions()
    assert len(tried) > 200, "almost nothing was made to fail"
    for name, function in tried:
        code = function.__code__
        function.__code__ = failing.__code__
        try:
            outcome = run()
        except BaseException as error:  # the guard did not hold
            outcome = error
        finally:
            function.__code__ = code
        if outcome != expected:
            told.append(f"{name}: {outcome!r}")
        if run is run_hooks_and_streams and name not in MAKE_CONTEXTS:
            told += [f"{name}: a step's context leaks"] * (not all(CONTEXTS_KEPT_APART))
        if context_api.get_current() != before:
            told.append(f"{name}: the context is another")
            context_api.attach(before)
    swallowed()
    assert [] == [line[:160] for line in told]
