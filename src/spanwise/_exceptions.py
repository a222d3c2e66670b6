"""Describe an exception in text, from its frames, calling none of its code but `str`."""

from __future__ import annotations

import builtins
import linecache
from collections.abc import Callable
from types import TracebackType
from typing import Any

from spanwise import _raw_fields as raw
from spanwise import semconv

_FRAMES = 60
_CHAINED = 6
_LONGEST_MESSAGE = 8192
_LONGEST_READ = 1 << 20
_LONGEST_LINE = 400
_cause_of = BaseException.__dict__["__cause__"].__get__
_context_of = BaseException.__dict__["__context__"].__get__
_suppresses = BaseException.__dict__["__suppress_context__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__
# Frames of these files are ours, not the program's.
_OUR_FILES = ("_shells.py", "_operation.py", "_observe.py")
_our_folder = __file__.rpartition("_exceptions.py")[0]


def attributes_of(error: BaseException, mask: Callable[[str], str]) -> dict[str, str]:
    """Return type, message and traceback, masked, as the attributes of an event."""
    return {
        semconv.EXCEPTION_TYPE: type_of(error),
        semconv.EXCEPTION_MESSAGE: message_of(error, mask),
        semconv.EXCEPTION_STACKTRACE: mask(stacktrace_of(error, mask)),
    }


def type_of(error: BaseException) -> str:
    """Return the qualified name of the exception's class."""
    return raw.type_name(type(error))


def message_of(error: BaseException, mask: Callable[[str], str]) -> str:
    """Return `str(error)`, masked, or a note where that fails; valid and of bounded length."""
    try:
        text = str(error)
        text = text if type(text) is str else str.__str__(text)
    except BaseException:  # noqa: BLE001 - whatever str() does, the user's exception goes on
        return "<the exception's text cannot be read>"
    length = len(text)
    if length > _LONGEST_READ:
        half = _LONGEST_READ // 2
        text = f"{text[:half]}\n{text[-half:]}"
    # Masked before it is cut: half of a secret could not be told any more.
    text = mask(text.encode("utf-8", "backslashreplace").decode())
    if len(text) > _LONGEST_MESSAGE:
        half = _LONGEST_MESSAGE // 2
        text = f"{text[:half]}…[$truncated: {length} characters]…{text[-half:]}"
    return text


def stacktrace_of(error: BaseException, mask: Callable[[str], str]) -> str:
    """Return the traceback in Python's form, causes first, frames of Spanwise left out."""
    chain: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    link = ""
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(chain) < _CHAINED:
        seen.add(id(current))
        chain.append((current, link))
        cause, context = _cause_of(current), _context_of(current)
        if cause is not None:
            link = "\nThe above exception was the direct cause of the following exception:\n\n"
            current = cause
        elif context is not None and not _suppresses(current):
            link = "\nDuring handling of the above exception, another exception occurred:\n\n"
            current = context
        else:
            current = None
    parts: list[str] = []
    for position in range(len(chain) - 1, -1, -1):
        part, link = chain[position]
        parts.append(_one(part, mask))
        if link:
            parts.append(link)
    return "".join(parts).encode("utf-8", "backslashreplace").decode()


def _one(error: BaseException, mask: Callable[[str], str]) -> str:
    frames = _frames(_traceback_of(error), mask)
    lines = ["Traceback (most recent call last):\n", *frames] if frames else []
    message = message_of(error, mask)
    lines.append(f"{type_of(error)}: {message}\n" if message else f"{type_of(error)}\n")
    for position, inner in enumerate(_grouped(error)):
        lines.append(f"  [{position + 1}] {type_of(inner)}: {message_of(inner, mask)}\n")
    return "".join(lines)


def _frames(traceback: TracebackType | None, mask: Callable[[str], str]) -> list[str]:
    entries: list[tuple[Any, int]] = []
    while traceback is not None:
        entries.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    entries = [entry for entry in entries if not _is_ours(entry[0].f_code.co_filename)]
    omitted = len(entries) - _FRAMES
    if omitted > 0:
        entries = entries[: _FRAMES // 2] + entries[-_FRAMES // 2 :]
    lines = []
    for position, (frame, number) in enumerate(entries):
        if omitted > 0 and position == _FRAMES // 2:
            lines.append(f"  [{omitted} frames are left out]\n")
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        lines.append(f'  File "{code.co_filename}", line {number}, in {name}\n')
        source = _source_line(frame, number, mask)
        if source:
            lines.append(f"    {source}\n")
    return lines


def _source_line(frame: Any, number: int, mask: Callable[[str], str]) -> str:
    try:
        line = linecache.getline(frame.f_code.co_filename, number, frame.f_globals).strip()
    except Exception:  # noqa: BLE001 - a module's loader is asked, which may be anyone's
        return ""
    if len(line) > _LONGEST_LINE:  # of a minified or generated file
        line = f"{mask(line[:_LONGEST_READ])[:_LONGEST_LINE]}…"
    return line


def _is_ours(filename: str) -> bool:
    return filename.startswith(_our_folder) and filename.endswith(_OUR_FILES)


def _grouped(error: BaseException) -> tuple[BaseException, ...]:
    """Return the members of an exception group, the first few."""
    group = getattr(builtins, "BaseExceptionGroup", None)  # since Python 3.11
    if group is None or not issubclass(type(error), group):
        return ()
    members: tuple[BaseException, ...] = group.__dict__["exceptions"].__get__(error)
    return members[:_CHAINED]
