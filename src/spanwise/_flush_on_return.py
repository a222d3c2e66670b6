"""`@flush_on_return`: have what a handler made sent before it returns.

For platforms that freeze or end a process once it has answered: what is spooled would wait there
for the next one, or be gone with the disk.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, ParamSpec, TypeVar, overload

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
    so that its event loop goes on.

    Args:
        function: a function, coroutine function, generator or async generator function.
        timeout: seconds to wait at most; what is not sent by then stays in the spool.

    Raises:
        DecorationError: what is decorated is no function.
        TypeError: the timeout is no number.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout != timeout:
        raise TypeError(f"timeout must be a number of seconds, not {timeout!r}")
    if function is None:
        return functools.partial(flush_on_return, timeout=timeout)
    if not callable(function):
        raise DecorationError(f"flush_on_return decorates functions, not {function!r:.80}")
    if inspect.isasyncgenfunction(function):
        return functools.wraps(function)(_async_generator(function, timeout))
    if inspect.iscoroutinefunction(function):
        return functools.wraps(function)(_coroutine(function, timeout))
    if inspect.isgeneratorfunction(function):
        return functools.wraps(function)(_generator(function, timeout))

    @functools.wraps(function)
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
            await _flush_in_thread(timeout)

    return flushed


def _async_generator(function: Any, timeout: float) -> Any:
    async def flushed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        try:
            item = await inner.__anext__()
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the inner one's to handle
                    item = await inner.athrow(error)
                else:
                    item = await inner.asend(sent)
        except StopAsyncIteration:
            return
        finally:
            await _flush_in_thread(timeout)

    return flushed


async def _flush_in_thread(timeout: float) -> None:
    import asyncio  # whoever runs a coroutine has it; `import spanwise` does without

    await asyncio.to_thread(flush, timeout)
