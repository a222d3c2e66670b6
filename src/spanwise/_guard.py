"""Keep our faults away from the user's program: swallow, count, and log at a limited rate.

Only `Exception` is swallowed, and of these only our own. A KeyboardInterrupt or SystemExit that
arrives while our code runs, and whatever a signal handler raises then, belongs to the program.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from spanwise import _state

if TYPE_CHECKING:
    from spanwise._masking import Masker

logger = logging.getLogger("spanwise")

R = TypeVar("R")

_LOG_EVERY_S = 60.0
_LONGEST_READ = 65_536
_LONGEST_SHOWN = 300
_last_logged: dict[str, float] = {}


class guard:  # noqa: N801 - used like a keyword
    """Swallow an Exception from a `with` block or a decorated function; a function returns None.

    Args:
        place: names what failed, in the log line and in `spanwise.stats()`.
    """

    __slots__ = ("place",)

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None or not issubclass(type(error), Exception) or is_the_programs(error):
            return False
        swallow(self.place, error)  # type: ignore[arg-type]  # just asked
        return True

    def __call__(self, function: Callable[..., R]) -> Callable[..., R | None]:
        """Return the function, guarded."""

        @functools.wraps(function)
        def guarded(*args: object, **kwargs: object) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001 - the guard's purpose
                swallow(self.place, error)
                return None

        return guarded


def swallow(place: str, error: Exception | SystemExit) -> None:
    """Count a fault of ours, and log it unless one of the same place was logged lately.

    Raises:
        Exception: the error itself, where it is none of ours: a signal handler of the program,
            a time limit for instance, raised it while our code happened to run.
    """
    if is_the_programs(error):
        raise error
    try:
        _state.count(f"failures.{place}")
        warn(place, f"{place} failed and was skipped: {describe(error)}")
    except Exception:  # noqa: BLE001, S110 - a broken log handler is not the program's problem
        pass


def is_the_programs(error: BaseException) -> bool:
    """Return whether a signal handler raised it: a function given a signal and the frame below it."""
    if threading.get_ident() != threading.main_thread().ident:
        return False  # Python runs the handlers of signals in the main thread only
    traceback = BaseException.__dict__["__traceback__"].__get__(error)
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_back is not None and _handles_a_signal(frame):
            return True
        traceback = traceback.tb_next
    return False


@functools.cache
def _signals() -> frozenset[int]:
    import signal

    return frozenset(int(number) for number in signal.valid_signals())


def _handles_a_signal(frame: FrameType) -> bool:
    code, local = frame.f_code, frame.f_locals
    count = code.co_argcount + bool(code.co_flags & inspect.CO_VARARGS) + code.co_kwonlyargcount
    given: list[Any] = []
    for name in code.co_varnames[:count]:
        value = local.get(name)
        given += value if type(value) is tuple else (value,)
    return any(
        below is frame.f_back and type(number) is int and number in _signals()
        for number, below in itertools.pairwise(given)
    )


def warn(subject: str, message: str) -> bool:
    """Log one warning line about a subject, at most once a minute; return whether it was said."""
    now = time.monotonic()
    if now - _last_logged.get(subject, -_LOG_EVERY_S) < _LOG_EVERY_S:
        return False
    _last_logged[subject] = now
    try:
        logger.warning("%s", masked(message))
    except Exception:  # noqa: BLE001, S110 - a broken log handler is not the program's problem
        pass
    return True


def tell(message: str) -> None:
    """Log one error line; the caller sees to it that it is not said over and over."""
    try:
        logger.error("%s", masked(message))
    except Exception:  # noqa: BLE001, S110 - a broken log handler is not the program's problem
        pass


@functools.cache
def _masker() -> Masker:
    # Imported when there is something to say: an import of Spanwise is to stay light.
    from spanwise._masking import Masker

    return Masker()


def be_ready() -> None:
    """Import now what it takes to tell of a fault: for threads that may not when one happens."""
    _masker()


def masked(text: str) -> str:
    """Return a text of ours as it may be shown: what looks like a secret is replaced."""
    return _masker().text(text)


def describe(error: BaseException) -> str:
    """Return `Type: text` of an exception, masked, in one line of bounded length."""
    name = type.__dict__["__name__"].__get__(type(error))
    try:
        text = " ".join(str(error)[:_LONGEST_READ].split())
    except Exception:  # noqa: BLE001 - the text of an exception may be the user's code
        return str(name)
    return masked(f"{name}: {text}")[:_LONGEST_SHOWN]


def forget_what_was_logged() -> None:
    """Let every subject be logged again; for tests."""
    _last_logged.clear()
