"""What a program puts between a value and its capture: guarded, and noted where it fails."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final

from spanwise import _guard
from spanwise.errors import DecorationError

FAILED: Final = object()


@dataclass(frozen=True, slots=True)
class Hooks:
    """Functions of the program's that choose what is captured; the call itself is left alone.

    They are handed the program's own objects, and must not change them.

    Attributes:
        process_input: takes the captured arguments by name, returns what is kept as the input.
        process_output: takes the result, returns what is kept as the output. Of a stream it takes
            what `reduce` made, else the joined text, else the list of chunks.
        process_chunk: takes a chunk of a stream, returns what is kept of it.
        reduce: takes the list of the chunks that were kept, returns what is kept as the output.
    """

    process_input: Callable[[dict[str, Any]], Any] | None = None
    process_output: Callable[[Any], Any] | None = None
    process_chunk: Callable[[Any], Any] | None = None
    reduce: Callable[[list[Any]], Any] | None = None

    @property
    def holds_chunks(self) -> bool:
        """Whether the chunks of a stream are needed together at its end."""
        return self.reduce is not None or self.process_output is not None

    def check(self, *, is_stream: bool, has_input: bool, has_output: bool) -> None:
        """Raise DecorationError for a hook that cannot be called, or that never would be."""
        for field in fields(self):
            hook = getattr(self, field.name)
            if hook is None:
                continue
            if not callable(hook) or not _is_plain(hook):
                raise DecorationError(f"{field.name} must be a plain function, not {hook!r}")
            if not _takes_one(hook):
                raise DecorationError(f"{field.name} must take one argument; {hook!r} does not")
            if field.name in ("process_chunk", "reduce") and not is_stream:
                raise DecorationError(f"{field.name} is for generators; this yields no chunks")
            captures = has_input if field.name == "process_input" else has_output
            if not captures:
                side = "input" if field.name == "process_input" else "output"
                raise DecorationError(f"{field.name} has no effect with capture_{side}=False")


def _is_plain(hook: Any) -> bool:
    while isinstance(hook, functools.partial):
        hook = hook.func
    called = hook if inspect.isroutine(hook) else type(hook).__call__
    return not (
        inspect.iscoroutinefunction(called)
        or inspect.isgeneratorfunction(called)
        or inspect.isasyncgenfunction(called)
    )


def _takes_one(hook: Any) -> bool:
    try:
        inspect.signature(hook).bind(None)
    except ValueError:  # of something written in C, which does not say
        return True
    except TypeError:
        return False
    return True


NO_HOOKS: Final = Hooks()


def run(name: str, hook: Callable[[Any], Any], value: Any, errors: list[str]) -> Any:
    """Return what a hook makes of the value; FAILED, with a line added to the errors, if it raises.

    Nothing is then captured in its place: the hook may be there to take a secret out.
    """
    try:
        return hook(value)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the program's, but no part of its call
        _guard.swallow(f"hook.{name}", error)
        errors.append(f"{name}: {_guard.describe(error)}")
        return FAILED
