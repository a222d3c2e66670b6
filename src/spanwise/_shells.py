"""The four shells around a decorated callable: function, coroutine, generator, async generator.

A shell only decides when the operation starts, is current, and ends. The wrapped callable keeps
its kind, so `inspect.isgeneratorfunction` and its relatives stay true.

A generator's operation starts at its first step. Before each step the generator's own context
is made current, after it the then current context is kept as the generator's own and the
caller's comes back: a `with` held across a `yield` works, and the caller never sees it.

While it is suspended a shell holds no more than the undecorated generator would: what goes in
and what comes out pass through a list that is empty then.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
import time
import types
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Any

from spanwise import _guard, _operation, _state
from spanwise._observation import Observation, Plan

if TYPE_CHECKING:
    from spanwise._stream import Stream


def wrap(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    """Return the callable in the shell of its kind."""
    shell = _shell(function, plan)
    if not hasattr(function, "__name__"):
        _name_after(function, shell)
    if inspect.isroutine(function) and not isinstance(function, types.FunctionType):
        _give_methods_of(function, shell)
    return shell


def _shell(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    called = callee(function)
    if inspect.isasyncgenfunction(called):
        return _async_generator(function, dataclasses.replace(plan, suspends=True))
    if inspect.isgeneratorfunction(called):
        shell = _generator(function, dataclasses.replace(plan, suspends=True))
        is_awaitable = called.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE
        return types.coroutine(shell) if is_awaitable else shell
    if inspect.iscoroutinefunction(called):
        return _coroutine(function, plan)
    return _function(function, plan)


def _name_after(function: Any, shell: Any) -> None:
    """Name the shell of a partial after what it calls, not after a function in this module."""
    while isinstance(function, functools.partial):
        function = function.func
    for name in ("__name__", "__qualname__"):
        setattr(shell, name, getattr(function, name, type(function).__name__))


def _give_methods_of(function: Any, shell: Any) -> None:
    """Give the shell the methods of a wrapper that is an object, as lru_cache's `cache_clear`.

    `functools.wraps` copies what is in the object's `__dict__`; these are in its class.
    """
    for owner in type(function).__mro__[:-1]:
        for name, member in vars(owner).items():
            if not name.startswith("_") and inspect.isroutine(member):
                vars(shell).setdefault(name, getattr(function, name))


def is_stream(function: Callable[..., Any]) -> bool:
    """Return whether calls of the function yield chunks: it is a generator, async or not."""
    called = callee(function)
    return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


def callee(function: Any) -> Any:
    """Return what a call of a partial or a callable object runs: inspect tells its kind."""
    while isinstance(function, functools.partial):
        function = function.func
    return function if inspect.isroutine(function) else type(function).__call__


def _function(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    starts_by_itself = plan.first_use is not None

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if _state.runtime is None and not starts_by_itself:
            return function(*args, **kwargs)
        observation = None
        try:
            observation = _operation.start(plan, args, kwargs)
        except Exception as fault:  # noqa: BLE001 - ours: the call runs as undecorated
            _guard.swallow("operation.start", fault)
        if observation is None:
            return function(*args, **kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            try:
                _operation.fail(observation, error)
            except Exception as fault:  # noqa: BLE001 - ours: the program sees its own error
                _operation.abandon(observation, fault)
            raise
        try:
            _operation.finish(observation, result)
        except Exception as fault:  # noqa: BLE001 - ours: the program sees its result
            _operation.abandon(observation, fault)
        return result

    return call


def _coroutine(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    starts_by_itself = plan.first_use is not None

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if _state.runtime is None and not starts_by_itself:
            body = function(*args, **kwargs)
            del args, kwargs
            return await body
        observation = None
        try:
            observation = _operation.start(plan, args, kwargs)
        except Exception as fault:  # noqa: BLE001 - ours: the call runs as undecorated
            _guard.swallow("operation.start", fault)
        try:
            body = function(*args, **kwargs)
            del args, kwargs  # the inner coroutine holds them, as an undecorated one would
            result = await body
        except BaseException as error:
            try:
                if observation is not None:
                    _operation.fail(observation, error)
            except Exception as fault:  # noqa: BLE001 - ours: the program sees its own error
                _operation.abandon(observation, fault)
            raise
        try:
            if observation is not None:
                _operation.finish(observation, result)
        except Exception as fault:  # noqa: BLE001 - ours: the program sees its result
            _operation.abandon(observation, fault)
        return result

    return call


def _generator(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        observation, stream = None, None
        try:
            observation = _operation.start(plan, args, kwargs)
            stream = _stream(observation, plan)
        except Exception as fault:  # noqa: BLE001 - ours: the body runs as undecorated
            _guard.swallow("operation.start", fault)
        passing: list[Any] = [None]
        thrown: BaseException | None = None
        try:
            steps: Generator[Any, Any, Any] = function(*args, **kwargs)
        except BaseException as error:  # the arguments do not fit
            try:
                _left(observation, error, stream)
            except Exception as fault:  # noqa: BLE001 - ours: the program sees its own error
                _operation.abandon(observation, fault)
            raise
        del args, kwargs  # the inner generator holds them, as an undecorated one would
        while True:
            try:
                # Thrown here, not in the except clause below: there the exception would
                # become the __context__ of whatever the body raises later.
                if thrown is None:
                    passing.append(steps.send(passing.pop()))
                else:
                    error_in, thrown = thrown, None
                    try:
                        passing.append(steps.throw(error_in))
                    finally:
                        del error_in
            except StopIteration as stop:
                try:
                    _finish(observation, stream)
                except Exception as fault:  # noqa: BLE001 - ours: the program sees the result
                    _operation.abandon(observation, fault)
                return stop.value
            except BaseException as error:
                try:
                    _left(observation, error, stream)
                except Exception as fault:  # noqa: BLE001 - ours: the program sees its own error
                    _operation.abandon(observation, fault)
                raise
            try:
                _suspend(observation, stream, passing[0])
            except Exception as fault:  # noqa: BLE001 - ours: the caller gets chunk and context
                _operation.step_back(observation, fault)
            try:
                passing.append((yield passing.pop()))
            except BaseException as error:  # noqa: BLE001 - the body decides what becomes of it
                thrown = error
                try:
                    _as_it_came(error)
                except Exception as fault:  # noqa: BLE001 - ours: it has one line more
                    _guard.swallow("shell.step", fault)
            try:
                if observation is not None:
                    observation.attach()
            except Exception as fault:  # noqa: BLE001 - ours: the body goes on all the same
                _guard.swallow("shell.step", fault)

    return call


def _async_generator(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        observation, stream = None, None
        try:
            observation = _operation.start(plan, args, kwargs)
            stream = _stream(observation, plan)
        except Exception as fault:  # noqa: BLE001 - ours: the body runs as undecorated
            _guard.swallow("operation.start", fault)
        passing: list[Any] = [None]
        thrown: BaseException | None = None
        try:
            steps: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        except BaseException as error:  # the arguments do not fit
            try:
                _left(observation, error, stream)
            except Exception as fault:  # noqa: BLE001 - ours: the program sees its own error
                _operation.abandon(observation, fault)
            raise
        del args, kwargs
        step: Any = None
        try:
            step = first_step(steps)
        except Exception as fault:  # noqa: BLE001 - ours: the event loop knows the body too
            _guard.swallow("shell.step", fault)
        while True:
            try:
                if step is not None:
                    first, step = step, None
                    passing[0] = await first
                    del first
                elif thrown is None:
                    passing.append(await steps.asend(passing.pop()))
                else:
                    error_in, thrown = thrown, None
                    try:
                        passing.append(await steps.athrow(error_in))
                    finally:
                        del error_in
            except StopAsyncIteration:
                try:
                    _finish(observation, stream)
                except Exception as fault:  # noqa: BLE001 - ours: the program sees the end
                    _operation.abandon(observation, fault)
                return
            except BaseException as error:
                try:
                    _left(observation, error, stream)
                except Exception as fault:  # noqa: BLE001 - ours: the program sees its own error
                    _operation.abandon(observation, fault)
                raise
            try:
                _suspend(observation, stream, passing[0])
            except Exception as fault:  # noqa: BLE001 - ours: the caller gets chunk and context
                _operation.step_back(observation, fault)
            try:
                passing.append((yield passing.pop()))
            except BaseException as error:  # noqa: BLE001 - the body decides what becomes of it
                thrown = error
                try:
                    _as_it_came(error)
                except Exception as fault:  # noqa: BLE001 - ours: it has one line more
                    _guard.swallow("shell.step", fault)
            try:
                if observation is not None:
                    observation.attach()
            except Exception as fault:  # noqa: BLE001 - ours: the body goes on all the same
                _guard.swallow("shell.step", fault)

    return call


def first_step(steps: AsyncGenerator[Any, Any]) -> Any:
    """Return the awaitable of the first step, with the generator hidden from the event loop.

    The loop's hooks are read when the first step is made. Registered, the inner generator would
    be closed by `shutdown_asyncgens` while the outer one, which is registered, still runs it.
    """
    hooks = sys.get_asyncgen_hooks()
    # Without any finalizer Python itself would close a generator that outlives its loop, running
    # its cleanup where an undecorated one's is left to the loop that is gone.
    sys.set_asyncgen_hooks(firstiter=None, finalizer=_left_alone if hooks.finalizer else None)
    try:
        return steps.__anext__()
    finally:
        try:
            sys.set_asyncgen_hooks(*hooks)
        except Exception as fault:  # noqa: BLE001 - ours: the step that was made is not dropped
            _guard.swallow("shell.step", fault)


def _left_alone(steps: AsyncGenerator[Any, Any]) -> None:
    """Do nothing: the outer generator closes the inner one."""


def _as_it_came(error: BaseException) -> None:
    """Take the frame of the shell, where Python raised it first, off a thrown exception."""
    traceback = sys.exc_info()[2]
    # The unbound method: a class of the user's may forbid to set attributes.
    BaseException.with_traceback(error, traceback.tb_next if traceback else None)


@functools.cache
def _stream_class() -> type[Stream]:
    # Imported by the first stream: an import of Spanwise is to stay light.
    from spanwise._stream import Stream

    return Stream


def _stream(observation: Observation | None, plan: Plan) -> Stream | None:
    if observation is None or observation._runtime is None:
        return None
    runtime = observation._runtime
    observation._started_ns = time.perf_counter_ns()
    keeps = plan.capture_output and runtime.settings.capture_content
    stream = _stream_class()(
        runtime.encoder, plan.hooks, keeps=keeps, sums_usage=plan.capture_usage
    )
    if plan.capture_chunks:
        stream.tell = observation._span.add_event
    return stream


def _suspend(observation: Observation | None, stream: Stream | None, chunk: Any) -> None:
    """Give the caller its context back, and take note of the chunk that it gets."""
    if observation is not None:
        observation.detach(keep=True)
    if stream is not None:
        stream.add(chunk)


def _finish(observation: Observation | None, stream: Stream | None) -> None:
    if observation is not None:
        _operation.finish(observation, stream=stream)


def _left(observation: Observation | None, error: BaseException, stream: Stream | None) -> None:
    """End the operation of a generator that an exception left."""
    if observation is None:
        return
    if issubclass(type(error), GeneratorExit):
        # Closed early, which is no error: what came so far is the output.
        _operation.finish(observation, stream=stream)
    else:
        _operation.fail(observation, error, stream=stream)
