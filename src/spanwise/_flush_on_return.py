"""`@flush_on_return`: have what a handler made sent before it returns.

For platforms that freeze or end a process once it has answered: what is spooled would wait there
for the next one, or be gone with the disk.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ParamSpec, TypeVar, overload

from spanwise import _shells
from spanwise._configure import flush
from spanwise.errors import DecorationError

P = ParamSpec("P")
R = TypeVar("R")

TIMEOUT_S = 2.0


@overload
def flush_on_return(function: Callable[P, R], /) -> Callable[P, R]: ...


@overload
def flush_on_return(
    *, timeout: float = TIMEOUT_S
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def flush_on_return(function: Any = None, /, *, timeout: float = TIMEOUT_S) -> Any:
    """Wait, when the function has returned or raised, until what it made is sent.

    A generator has returned when it is exhausted or closed. A coroutine waits in another thread,
    so that its event loop goes on. Kind and signature of the function are kept.

    Args:
        function: a function, coroutine function, generator or async generator function, or a
            method of any kind.
        timeout: seconds to wait at most; what is not sent by then stays in the spool.

    Raises:
        DecorationError: what is decorated is no function.
        TypeError: the timeout is no number.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout != timeout:
        raise TypeError(f"timeout must be a number of seconds, not {timeout!r}")
    if function is None:
        return functools.partial(flush_on_return, timeout=timeout)
    return _flushed(function, timeout)


def _flushed(function: Any, timeout: float) -> Any:
    if isinstance(function, classmethod | staticmethod):
        return type(function)(_flushed(function.__func__, timeout))
    if inspect.isclass(function) or not callable(function):
        raise DecorationError(f"flush_on_return decorates functions, not {function!r:.80}")
    called = _shells.callee(function)
    if inspect.isasyncgenfunction(called):
        return functools.wraps(function)(_async_generator(function, timeout))
    if inspect.iscoroutinefunction(called):
        return functools.wraps(function)(_coroutine(function, timeout))
    if inspect.isgeneratorfunction(called):
        return functools.wraps(function)(_generator(function, timeout))
    return functools.wraps(function)(_function(function, timeout))


def _function(function: Any, timeout: float) -> Any:
    def flushed(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        finally:
            flush(timeout)

    return flushed


def _generator(function: Any, timeout: float) -> Any:
    def flushed(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from function(*args, **kwargs))
        finally:
            flush(timeout)

    return flushed


def _coroutine(function: Any, timeout: float) -> Any:
    async def flushed(*args: Any, **kwargs: Any) -> Any:
        try:
            return await function(*args, **kwargs)
        finally:
            await _flush_aside(timeout)

    return flushed


def _async_generator(function: Any, timeout: float) -> Any:
    async def flushed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = function(*args, **kwargs)
        # Hidden from the event loop, which would close it beside the outer one.
        step = _shells.first_step(steps)
        try:
            while True:
                item = await step
                try:
                    step = steps.asend((yield item))
                except BaseException as error:  # noqa: BLE001 - it is the inner one's to handle
                    step = steps.athrow(error)
        except StopAsyncIteration:
            return
        finally:
            await _flush_aside(timeout)

    return flushed


async def _flush_aside(timeout: float) -> None:
    """Flush in a thread, so that the event loop goes on.

    In one of its own: the program may keep those of the loop's executor busy, or have shut it
    down. Where there is no event loop of asyncio's, or no thread, it is waited for here.
    """
    import asyncio  # whoever runs a coroutine has it; `import spanwise` does without

    def run() -> None:
        try:
            flush(timeout)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(tell)

    def tell() -> None:
        if not is_over.done():  # it is when the task was cancelled
            is_over.set_result(None)

    try:
        loop = asyncio.get_running_loop()
        is_over = loop.create_future()
        threading.Thread(target=run, name="spanwise-flush", daemon=True).start()
    except RuntimeError:
        flush(timeout)
        return
    await is_over
