"""Whatever is done with a generator, a decorated one answers as the plain one does."""

from __future__ import annotations

import contextlib
import gc
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import context as context_api

import spanwise
from spanwise import _shells

MOST_CLOSINGS = 10  # no body here ignores more


# --- the bodies -------------------------------------------------------------------------------
# Each writes its side effects to a log, so that their order can be compared.


def echoing(log):
    heard = None
    for number in range(4):
        log.append(("heard", heard))
        heard = yield (number, heard)
    return heard


def catching(log):
    for number in range(5):
        try:
            log.append(("got", (yield number)))
        except (ValueError, KeyError) as error:
            log.append(("caught", type(error), error.args, _names(error)))
            yield "caught"
    return "returned"


def stubborn(log):
    for number in range(4):
        try:
            yield number
        except BaseException as error:
            log.append(("ignored", type(error), _chain(error)))


def yielding_in_finally(log):
    try:
        log.append(("got", (yield 1)))
        yield 2
    finally:
        log.append(("finally", type(sys.exc_info()[1])))
        log.append(("got in finally", (yield "from finally")))
        log.append("finally is over")


def returning_in_finally(log):
    try:
        yield 1
        yield 2
    finally:
        log.append("finally")
        return "returned"  # noqa: B012 - it swallows what was thrown, and shells must not mind


def raising(log):
    heard = yield 1
    log.append(("heard", heard))
    if heard is not None:
        raise KeyError(heard)
    try:
        yield 2
    except ValueError as error:
        raise RuntimeError("from") from error
    except KeyError:
        raise RuntimeError("while handling")  # noqa: B904 - the context is what is compared
    raise ValueError("at the end")


def raising_stop_iteration(log):
    log.append((yield 1))
    raise StopIteration("not the end")


def raising_generator_exit(log):
    log.append((yield 1))
    raise GeneratorExit("by itself")


def delegating(log):
    try:
        result = yield from echoing(log)
        log.append(("result", result))
        yield from [10, 11]
        return (yield from catching(log))
    finally:
        log.append("delegating is over")


def suspended_while_handling(log):
    try:
        raise LookupError("handled")
    except LookupError:
        log.append(("got", (yield 1)))
        yield 2
        raise ValueError("with a context")  # noqa: B904 - the context is what is compared


def empty(log):
    log.append("ran")
    return
    yield


BODIES = [
    echoing,
    catching,
    stubborn,
    yielding_in_finally,
    returning_in_finally,
    raising,
    raising_stop_iteration,
    raising_generator_exit,
    delegating,
    suspended_while_handling,
    empty,
]


@types.coroutine
def checkpoint():
    """Suspend the coroutine once, as waiting for the event loop does."""
    return (yield "checkpoint")


async def async_echoing(log):
    heard = None
    for number in range(4):
        log.append(("heard", heard))
        await checkpoint()
        heard = yield (number, heard)
    log.append("over")


async def async_catching(log):
    for number in range(5):
        try:
            await checkpoint()
            log.append(("got", (yield number)))
        except (ValueError, KeyError) as error:
            log.append(("caught", type(error), error.args, _names(error)))
            yield "caught"


async def async_yielding_in_finally(log):
    try:
        log.append(("got", (yield 1)))
        await checkpoint()
        yield 2
    finally:
        log.append(("finally", type(sys.exc_info()[1])))
        await checkpoint()
        log.append(("got in finally", (yield "from finally")))
        log.append("finally is over")


async def async_awaiting_in_finally(log):
    try:
        yield 1
        yield 2
    finally:
        log.append(("finally", type(sys.exc_info()[1])))
        await checkpoint()
        log.append("finally is over")


async def async_raising(log):
    heard = yield 1
    await checkpoint()
    log.append(("heard", heard))
    if heard is not None:
        raise KeyError(heard)
    try:
        yield 2
    except ValueError as error:
        raise RuntimeError("from") from error
    except KeyError:
        raise RuntimeError("while handling")  # noqa: B904 - the context is what is compared
    raise ValueError("at the end")


async def async_raising_stops(log):
    if (yield 1) is None:
        raise StopIteration("not the end")
    raise StopAsyncIteration("not the end")


async def async_delegating(log):
    try:
        async for item in async_catching(log):
            log.append(("item", item))
            log.append(("got", (yield item)))
    finally:
        log.append("delegating is over")


async def async_empty(log):
    log.append("ran")
    await checkpoint()
    return
    yield


async def waiting(log):
    for number in range(3):
        log.append(("resumed", number, await reply(number)))
    return "returned"


async def waiting_stubbornly(log):
    for number in range(4):
        try:
            log.append(("resumed", await reply(number)))
        except (Exception, KeyboardInterrupt) as error:
            log.append(("ignored", type(error), _chain(error)))
    return len(log)


async def waiting_in_finally(log):
    try:
        log.append(("resumed", await reply(1)))
        await reply(2)
    finally:
        log.append(("finally", type(sys.exc_info()[1])))
        if not isinstance(sys.exc_info()[1], GeneratorExit):
            log.append(("resumed in finally", await reply("from finally")))


async def returning_from_finally(log):
    try:
        await reply(1)
    finally:
        log.append("finally")
        return "returned"  # noqa: B012 - it swallows what was thrown, and shells must not mind


async def waiting_and_raising(log):
    heard = await reply(1)
    log.append(("heard", heard))
    if heard is not None:
        raise KeyError(heard)
    try:
        await reply(2)
    except ValueError as error:
        raise RuntimeError("from") from error
    except KeyError:
        raise RuntimeError("while handling")  # noqa: B904 - the context is what is compared
    raise StopIteration("not the end")


async def waiting_for_another(log):
    try:
        log.append(("other", await waiting(log)))
        return await waiting_stubbornly(log)
    finally:
        log.append("waiting is over")


async def waiting_while_handling(log):
    try:
        raise LookupError("handled")
    except LookupError:
        log.append(("resumed", await reply(1)))
        raise ValueError("with a context")  # noqa: B904 - the context is what is compared


AS_A_VALUE = StopIteration("as a value")


async def never_waiting(log):
    log.append("ran")
    return AS_A_VALUE


@types.coroutine
def reply(value):
    """Suspend the coroutine once, and return what it is resumed with."""
    return (yield value)


# None that waits in answer to GeneratorExit: see docs/differences.md.
COROUTINES = [
    waiting,
    waiting_stubbornly,
    waiting_in_finally,
    returning_from_finally,
    waiting_and_raising,
    waiting_for_another,
    waiting_while_handling,
    never_waiting,
]

# None that ignores GeneratorExit for ever: when the collector asks it again is up to the collector.
ASYNC_BODIES = [
    async_echoing,
    async_catching,
    async_yielding_in_finally,
    async_awaiting_in_finally,
    async_raising,
    async_raising_stops,
    async_delegating,
    async_empty,
]


# --- what is done with them -------------------------------------------------------------------

values = st.one_of(st.none(), st.integers(0, 3), st.text(max_size=2))
KINDS = [ValueError, KeyError, RuntimeError, StopIteration, StopAsyncIteration, KeyboardInterrupt]
thrown = st.sampled_from([*KINDS, GeneratorExit])


@dataclass(frozen=True)
class Step:
    """One thing that is done.

    Attributes:
        kind: `next`, `send`, `throw` or `close`.
        value: what is sent.
        error: the class of what is thrown.
        as_class: throw the class, not an instance.
        handling: the caller is handling an exception meanwhile.
        interrupt: thrown in where the step waits for the event loop.
    """

    kind: str
    value: Any
    error: type[BaseException]
    as_class: bool
    handling: bool
    interrupt: type[BaseException] | None


steps = st.builds(
    Step,
    st.sampled_from(["next", "next", "next", "send", "send", "throw", "throw", "close"]),
    values,
    thrown,
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.none(), st.sampled_from(KINDS)),
)
scripts = st.lists(steps, max_size=8)
# A thrown GeneratorExit arrives in a coroutine as another one: see docs/differences.md.
scripts_without_exit = st.lists(steps.filter(lambda s: s.error is not GeneratorExit), max_size=8)


def _names(error: BaseException | None) -> list[tuple[str, int]]:
    """Return the functions and lines of the traceback, those of the shells left out."""
    traceback = error.__traceback__ if error is not None else None
    names = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if code.co_filename != _shells.__file__:
            names.append((code.co_name, traceback.tb_lineno))
        traceback = traceback.tb_next
    return names


def _ends_in_a_shell(error: BaseException) -> bool:
    """Return whether the traceback ends in a shell although it reaches into the body."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    is_shell = traceback is not None and traceback.tb_frame.f_code.co_filename == _shells.__file__
    return is_shell and _names(error)[-1][0] not in ("answer", "async_answer", "run")


def _chain(error: BaseException | None) -> list[Any]:
    """Return what hangs on an exception: causes and contexts, with their tracebacks' lines."""
    links: list[Any] = []
    while error is not None and len(links) < 6:
        links.append((type(error), error.args, error.__suppress_context__, _names(error)))
        links.append(type(error.__cause__))
        error = error.__context__
    return links


def _raised(error: BaseException, *, was_started: bool) -> Any:
    value = error.value if isinstance(error, StopIteration) else None
    # Thrown into a generator that has not started, an exception has no line of the body at all.
    links = _chain(error) if was_started else (type(error), error.args)
    return ("raised", value, links, was_started and _ends_in_a_shell(error))


def _exception(step: Step) -> Any:
    return step.error if step.as_class else step.error("thrown")


@contextlib.contextmanager
def _handling(step: Step) -> Iterator[None]:
    if not step.handling:
        yield
        return
    try:
        raise OSError("the caller's")
    except OSError:
        yield


def answer(made: Any, step: Step, was_started: bool) -> Any:
    """Do the step with a generator, and return all that can be seen of it."""
    is_throw = step.kind == "throw"
    try:
        with _handling(step):
            if step.kind == "next":
                return ("yielded", next(made))
            if step.kind == "send":
                return ("yielded", made.send(step.value))
            if is_throw:
                return ("yielded", made.throw(_exception(step)))
            return ("closed", made.close())
    except BaseException as error:
        return _raised(error, was_started=was_started or not is_throw)


def run(awaitable: Any, interrupt: type[BaseException] | None) -> Any:
    """Drive an awaitable to its end, throwing the interrupt in where it first waits."""
    waiting = awaitable.__await__()
    try:
        waiting.send(None)
        if interrupt is not None:
            waiting.throw(interrupt("interrupt"))
        for _ in range(100):
            waiting.send(None)
        pytest.fail("the step has no end")
    except StopIteration as stop:
        return stop.value


def async_answer(made: Any, step: Step, was_started: bool) -> Any:
    """Do the step with an async generator, and return all that can be seen of it."""
    is_throw = step.kind == "throw"
    try:
        with _handling(step):
            if step.kind == "next":
                return ("yielded", run(made.__anext__(), step.interrupt))
            if step.kind == "send":
                return ("yielded", run(made.asend(step.value), step.interrupt))
            if is_throw:
                return ("yielded", run(made.athrow(_exception(step)), step.interrupt))
            return ("closed", run(made.aclose(), step.interrupt))
    except BaseException as error:
        return _raised(error, was_started=was_started or not is_throw)


def _runs(script: list[Step]) -> bool:
    """Return whether the body begins to run: it is neither ended nor only wrongly begun before."""
    for step in script:
        if step.kind in ("throw", "close"):
            return False
        if step.kind == "next" or step.value is None:
            return True
    return False


def _state_of(made: Any, prefix: str) -> tuple[Any, ...]:
    """Return what a generator or coroutine says of its state, as `gi_running` and `gi_frame`."""
    return (
        getattr(made, f"{prefix}_running"),
        getattr(made, f"{prefix}_suspended", None),  # since Python 3.11, of the async one 3.12
        getattr(made, f"{prefix}_frame") is None,
        made.__name__,
        made.__qualname__,
    )


def history(body: Callable[[Any], Any], script: list[Step]) -> Any:
    """Return everything that can be seen of a generator while the script is played."""
    log: list[Any] = []
    made = body(log)
    seen: list[Any] = []
    for position, step in enumerate(script):
        was_started = _runs(script[:position])
        seen.append((answer(made, step, was_started), _state_of(made, "gi"), list(log)))
    for _ in range(MOST_CLOSINGS):
        try:
            made.close()
            break
        except BaseException as error:
            seen.append((type(error), error.args))
    return seen, log, inspect.getgeneratorstate(made)


def async_history(body: Callable[[Any], Any], script: list[Step]) -> Any:
    """Return everything that can be seen of an async generator while the script is played."""
    log: list[Any] = []
    made = body(log)
    seen: list[Any] = []
    for position, step in enumerate(script):
        was_started = _runs(script[:position])
        seen.append((async_answer(made, step, was_started), _state_of(made, "ag"), list(log)))
    for _ in range(MOST_CLOSINGS):
        try:
            run(made.aclose(), None)
            break
        except BaseException as error:
            seen.append((type(error), error.args))
    return seen, log, made.ag_frame is None


def coroutine_history(body: Callable[[Any], Any], script: list[Step]) -> Any:
    """Return everything that can be seen of a coroutine while the script is played."""
    log: list[Any] = []
    made = body(log)
    seen: list[Any] = []
    for position, step in enumerate(script):
        # A coroutine has no next(): its __await__ does.
        stepped = made.__await__() if step.kind == "next" else made
        was_started = _runs(script[:position])
        answered = answer(stepped, step, was_started)
        if answered[0] == "closed":  # what close() returns is in docs/differences.md
            answered = ("closed",)
        seen.append((answered, _state_of(made, "cr"), list(log)))
        seen.append(made.cr_await is None)
    for _ in range(MOST_CLOSINGS):
        try:
            made.close()
            break
        except BaseException as error:
            seen.append((type(error), error.args))
    return seen, log, inspect.getcoroutinestate(made)


MODES = ["unconfigured", "configured", "left out", "below one that is left out"]


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest, tmp_path) -> Iterator[str]:
    """Spanwise as it may be when a generator runs."""
    if request.param == "unconfigured":
        yield request.param
        return
    is_kept = request.param == "configured"
    spanwise.configure(traces_dir=tmp_path / "traces", sample_rate=1.0 if is_kept else 0.0)
    with spanwise.observe("above") if "below" in request.param else contextlib.nullcontext():
        yield request.param


as_often_as_needed = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _ended_since(before: int, expected: int) -> bool:
    """Return whether so many spans ended; one that no close ends does when it is collected."""
    if spanwise.stats().get("spans.ended", 0) - before != expected:
        gc.collect()
    return spanwise.stats().get("spans.ended", 0) - before == expected


@given(body=st.sampled_from(BODIES), script=scripts)
@as_often_as_needed
def test_a_decorated_generator_cannot_be_told_from_the_plain_one(mode, body, script):
    """Values, exceptions and what hangs on them, states and side effects are the same."""
    before = context_api.get_current()
    ended = spanwise.stats().get("spans.ended", 0)
    expected = history(body, script)
    assert history(spanwise.tool(body), script) == expected
    assert context_api.get_current() is before
    assert _ended_since(ended, mode == "configured" and _runs(script))


@given(body=st.sampled_from(ASYNC_BODIES), script=scripts)
@as_often_as_needed
def test_a_decorated_async_generator_cannot_be_told_from_the_plain_one(mode, body, script):
    """Values, exceptions and what hangs on them, and side effects are the same."""
    before = context_api.get_current()
    ended = spanwise.stats().get("spans.ended", 0)
    expected = async_history(body, script)
    assert async_history(spanwise.tool(body), script) == expected
    assert context_api.get_current() is before
    assert _ended_since(ended, mode == "configured" and _runs(script))


@given(body=st.sampled_from(COROUTINES), script=scripts_without_exit)
@as_often_as_needed
def test_a_decorated_coroutine_cannot_be_told_from_the_plain_one(mode, body, script):
    """Stepped by hand it answers, raises and ends as the plain one, with the same side effects."""
    before = context_api.get_current()
    ended = spanwise.stats().get("spans.ended", 0)
    expected = coroutine_history(body, script)
    assert coroutine_history(spanwise.tool(body), script) == expected
    assert context_api.get_current() is before
    assert _ended_since(ended, mode == "configured" and _runs(script))
