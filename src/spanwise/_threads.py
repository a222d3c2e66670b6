"""Carry the OpenTelemetry context into threads, so that spans in a worker are children.

A thread gets the context of the code that starts it; a task of a ThreadPoolExecutor, or of a
`multiprocessing.pool.ThreadPool`, that of the code that submits it. A pool's own workers, threads
and forked processes, get none: they outlive the task that made them. Into another process it is
carried by `inject` and `extract`.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as pool_module
from multiprocessing.process import BaseProcess
from typing import Any

import wrapt
from opentelemetry.context import Context

from spanwise import _contexts, _guard

_POOL_WORKER = pool_module._worker
# By name: the modules are imported by those who use them.
_PROCESS_WORKERS = frozenset(
    {("concurrent.futures.process", "_process_worker"), ("multiprocessing.pool", "worker")}
)
_OTHER_POOLS = "multiprocessing.pool"
_INTERPRETERS = "concurrent.futures.interpreter"

# (owner, name, our wrapper), of those in place. Somebody else may wrap the same methods.
_placed: list[tuple[Any, str, Any]] = []
_is_active = False


def install() -> None:
    """Carry the context into threads from now on."""
    global _is_active
    _is_active = True
    _placed[:] = [entry for entry in _placed if _is_in_place(*entry)]
    _place(threading.Thread, "start", _start)
    _place(ThreadPoolExecutor, "submit", _submit)
    _place(BaseProcess, "start", _start_process)
    _place_in_other_pools()


def _place_in_other_pools() -> None:
    # The class of process pools, whose functions travel: the wrapper sees which one it is.
    pool = getattr(sys.modules.get(_OTHER_POOLS), "Pool", None)
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        if hasattr(pool, name):
            _place(pool, name, _hand_over)


def _place(owner: Any, name: str, wrapper: Any) -> None:
    if (owner, name) not in {(placed_on, placed) for placed_on, placed, _ in _placed}:
        wrapt.wrap_function_wrapper(owner, name, wrapper)
        _placed.append((owner, name, vars(owner)[name]))


def uninstall() -> None:
    """Leave threads alone again; a wrapper that another one was put around stays, inert."""
    global _is_active
    _is_active = False
    for entry in list(_placed):
        owner, name, ours = entry
        if vars(owner).get(name) is ours:
            setattr(owner, name, ours.__wrapped__)
            _placed.remove(entry)


def _is_in_place(owner: Any, name: str, ours: Any) -> bool:
    """Return whether our wrapper is there, if only below another's."""
    found = vars(owner).get(name)
    while found is not None and found is not ours:
        found = getattr(found, "__wrapped__", None)
    return found is ours


def _start(wrapped: Callable[[], None], thread: Any, args: Any, kwargs: Any) -> None:
    try:
        if _is_active:
            _prepare(thread)
    except Exception as error:  # noqa: BLE001 - ours: the thread starts all the same
        _guard.swallow("threads.start", error)
    wrapped(*args, **kwargs)


def _prepare(thread: Any) -> None:
    """Have the thread's `run` begin in the context of now."""
    context = _contexts.get_current()
    own = vars(thread)
    target = own.get("_target")
    if getattr(target, "__module__", None) == _OTHER_POOLS:
        _place_in_other_pools()  # if it was loaded only now
        return
    if not context or "_started" not in own or thread._started.is_set():
        return  # nothing to carry, or a thread that start() will refuse
    if target is _POOL_WORKER:
        return
    run, was_own = thread.run, "run" in own

    def run_in_context() -> None:
        # The thread is as it was made by the time its own code runs.
        if was_own:
            own["run"] = run
        else:
            own.pop("run", None)
        _run(context, run)

    own["run"] = run_in_context


def _start_process(wrapped: Callable[[], None], process: Any, args: Any, kwargs: Any) -> None:
    is_worker = False
    try:
        target = vars(process).get("_target")
        worker = getattr(target, "__module__", None), getattr(target, "__name__", None)
        is_worker = _is_active and worker in _PROCESS_WORKERS
    except Exception as error:  # noqa: BLE001 - ours: the process starts all the same
        _guard.swallow("threads.start", error)
    if is_worker:
        # Forked, it would keep the context of now for all the tasks that it is ever given.
        _run(Context(), wrapped)
    else:
        wrapped(*args, **kwargs)


def _submit(wrapped: Callable[..., Any], pool: Any, args: Any, kwargs: Any) -> Any:
    try:
        if _is_active and args and not _is(pool, _INTERPRETERS, "InterpreterPoolExecutor"):
            args = _in_context_of_now(args)
    except Exception as error:  # noqa: BLE001 - ours: the job is submitted all the same
        _guard.swallow("threads.submit", error)
    return wrapped(*args, **kwargs)


def _hand_over(wrapped: Callable[..., Any], pool: Any, args: Any, kwargs: Any) -> Any:
    try:
        if _is_active and _is(pool, _OTHER_POOLS, "ThreadPool"):
            if args:
                args = _in_context_of_now(args)
            elif "func" in kwargs:
                (function,) = _in_context_of_now((kwargs["func"],))
                kwargs = {**kwargs, "func": function}
    except Exception as error:  # noqa: BLE001 - ours: the job is handed over all the same
        _guard.swallow("threads.submit", error)
    return wrapped(*args, **kwargs)


def _in_context_of_now(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments with the function, the first of them, bound to the current context."""
    context = _contexts.get_current()
    return (functools.partial(_run, context, args[0]), *args[1:]) if context else args


def _is(pool: Any, module: str, name: str) -> bool:
    """Return whether the pool is of a class whose module need not be loaded."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(pool, getattr(loaded, name, ()))


def _run(context: Context, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    token = None
    try:
        token = _contexts.attach(context)
    except Exception as error:  # noqa: BLE001 - ours: the job runs all the same
        _guard.swallow("threads.run", error)
    try:
        return function(*args, **kwargs)
    finally:
        if token is not None:
            try:
                _contexts.detach(token)
            except Exception as error:  # noqa: BLE001 - ours: the job is done
                _guard.swallow("threads.run", error)
