"""Carry the OpenTelemetry context into threads, so that spans in a worker are children.

A thread gets the context of the code that starts it; a task of a ThreadPoolExecutor that of the
code that submits it. A pool's own worker threads get none: they outlive the task that made them.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as pool_module
from typing import Any

import wrapt
from opentelemetry.context import _RUNTIME_CONTEXT, Context

_POOL_WORKER = pool_module._worker


def is_installed() -> bool:
    """Return whether threads carry the context now."""
    return isinstance(threading.Thread.__dict__["start"], wrapt.FunctionWrapper)


def install() -> None:
    """Carry the context into threads from now on."""
    if not is_installed():
        wrapt.wrap_function_wrapper(threading.Thread, "start", _start)
        wrapt.wrap_function_wrapper(ThreadPoolExecutor, "submit", _submit)


def uninstall() -> None:
    """Leave threads alone again."""
    if is_installed():
        threading.Thread.start = threading.Thread.__dict__["start"].__wrapped__  # type: ignore[method-assign]
        ThreadPoolExecutor.submit = ThreadPoolExecutor.__dict__["submit"].__wrapped__  # type: ignore[method-assign]


def _start(wrapped: Callable[[], None], thread: Any, args: Any, kwargs: Any) -> None:
    context = _RUNTIME_CONTEXT.get_current()
    is_pool_worker = getattr(thread, "_target", None) is _POOL_WORKER
    if context and not is_pool_worker and not thread._started.is_set():
        run = thread.run

        def run_in_context() -> None:
            # The thread is as it was made by the time its own code runs.
            vars(thread).pop("run", None)
            _run(context, run)

        thread.run = run_in_context
    wrapped(*args, **kwargs)


def _submit(wrapped: Callable[..., Any], pool: Any, args: Any, kwargs: Any) -> Any:
    context = _RUNTIME_CONTEXT.get_current()
    if context and args:
        args = (functools.partial(_run, context, args[0]), *args[1:])
    return wrapped(*args, **kwargs)


def _run(context: Context, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = _RUNTIME_CONTEXT.attach(context)
    try:
        return function(*args, **kwargs)
    finally:
        _RUNTIME_CONTEXT.detach(token)
