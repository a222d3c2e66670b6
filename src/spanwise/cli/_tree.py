"""Print traces as trees that are safe to look at and as wide as the terminal.

What stands in the files was written by whoever had a span to name: it is shown literally, and
what could drive a terminal is taken out of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.segment import Segment, Segments
from rich.text import Text

from spanwise.cli._plain import plain
from spanwise.view.lines import Observation, dump
from spanwise.view.store import Trace

WIDTH_WITHOUT_TERMINAL: Final = 100
_LEAST_WIDTH: Final = 20

_Part = tuple[str, str]  # a text and its style


@dataclass(frozen=True)
class _Glyphs:
    branch: str = "├── "
    last: str = "└── "
    bar: str = "│   "
    gap: str = "    "
    left_out: str = "⋯   "
    arrow: str = "→"
    error: str = "✗"
    micro: str = "µ"


_UNICODE = _Glyphs()
_ASCII = _Glyphs("|-- ", "`-- ", "|   ", "    ", "... ", "->", "x", "u")


class _Output(Console):
    def on_broken_pipe(self) -> None:
        raise  # rich's own way is to exit with 1, as if that were a fault


def print_trees(traces: Sequence[Trace], with_io: bool) -> None:
    """Print each trace on stdout as a heading and, cut to the terminal's width, a tree."""
    console = _Output(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = WIDTH_WITHOUT_TERMINAL
    console.width = width = max(console.width, _LEAST_WIDTH)
    # Where the terminal cannot show a character, a question mark does less harm than a traceback.
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")
    glyphs = _ASCII if console.options.ascii_only else _UNICODE
    for number, trace in enumerate(traces):
        # Segments are printed as they are: quickly, and without another look at their width.
        page = [Segment.line()] if number else []
        # A heading keeps its whole length: people search for the ids in it.
        page += Text.assemble(*_heading(trace, width, glyphs)).render(console, end="\n")
        for parts in _lines(trace, width, glyphs, with_io):
            line = Text.assemble(*parts)
            line.truncate(width, overflow="ellipsis")
            page += line.render(console, end="\n")
        console.print(Segments(page), end="", crop=False)


def _lines(trace: Trace, width: int, glyphs: _Glyphs, with_io: bool) -> Iterator[list[_Part]]:
    """Yield the lines below the heading."""
    waiting = [("", root, root is trace.roots[-1]) for root in reversed(trace.roots)]
    while waiting:
        indent, node, is_last = waiting.pop()
        guide = (indent + (glyphs.last if is_last else glyphs.branch), "dim")
        yield [guide, *_described(node, width, glyphs)]
        below = _indented(indent, glyphs.gap if is_last else glyphs.bar, width // 2, glyphs)
        if with_io:
            bar = glyphs.bar if node.children else glyphs.gap
            for label, value in (("in   ", node.input), ("out  ", node.output)):
                if value is not None:
                    text = dump(value).decode()
                    yield [(below + bar + label, "dim"), (plain(text, width), "")]
        last = node.children[-1] if node.children else None
        waiting += [(below, child, child is last) for child in reversed(node.children)]


def _indented(indent: str, step: str, room: int, glyphs: _Glyphs) -> str:
    """Return the indent one level deeper; the outermost levels go where there is no room."""
    deeper = indent + step
    return deeper if len(deeper) <= room else glyphs.left_out + deeper[2 * len(step) :]


def _heading(trace: Trace, width: int, glyphs: _Glyphs) -> list[_Part]:
    parts: list[_Part] = [
        (plain(trace.name, width // 2) or "(no name)", "bold"),
        (plain(trace.id[:8], width), "cyan"),
    ]
    if trace.start is not None:
        parts.append((_local(trace.start), ""))
    parts += _measured(trace, glyphs)
    who = {"user": trace.user_ids, "account": trace.account_ids, "session": trace.session_ids}
    for label, (one, *others) in ((label, ids) for label, ids in who.items() if ids):
        more = f" +{len(others)}" if others else ""
        parts.append((f"{label} {plain(one, width)}{more}", ""))
    # OpenTelemetry's own word for a service that nobody named says nothing.
    if trace.service and not trace.service.startswith("unknown_service"):
        parts.append((f"service {plain(trace.service, width)}", "dim"))
    if trace.status == "error":
        # The text is told once, by the root that failed; a trace may have none.
        told = "" if any(root.failed for root in trace.roots) else trace.error or ""
        parts.append((f"{glyphs.error} {_first_line(told, width) or 'error'}", "red"))
    return _spaced(parts)


def _described(node: Observation, width: int, glyphs: _Glyphs) -> list[_Part]:
    parts: list[_Part] = [
        (plain(node.name, width // 2) or "(no name)", ""),
        (plain(node.type, width), "dim"),
    ]
    if node.model:
        parts.append((plain(node.model, width), "magenta"))
    parts += _measured(node, glyphs)
    if node.state == "running":
        parts.append(("running", "blue"))
    if node.failed:
        parts.append((_first_line(_error(node), width) or "error", "red"))
    return _spaced(parts)


def _error(node: Observation) -> str:
    """Return the text of an error behind its type, as a traceback ends."""
    text, kind = (node.error or "").strip(), node.metadata.get("error_type")
    # Many a writer has put the type there already.
    if not isinstance(kind, str) or text.startswith(kind):
        return text
    return f"{kind}: {text}" if text else kind


def _measured(subject: Trace | Observation, glyphs: _Glyphs) -> list[_Part]:
    parts: list[_Part] = []
    if subject.start is not None and subject.end is not None and subject.start <= subject.end:
        time_us = (subject.end - subject.start).total_seconds() * 1e6
        parts.append((_duration(round(time_us), glyphs), "green"))
    prompt, completion = subject.prompt_tokens or 0, subject.completion_tokens or 0
    if subject.total_tokens:
        both = prompt and completion and prompt + completion == subject.total_tokens
        count = f"{prompt}{glyphs.arrow}{completion}" if both else str(subject.total_tokens)
        parts.append((f"{count} tok", "yellow"))
    return parts


def _spaced(parts: Sequence[_Part]) -> list[_Part]:
    return [part for pair in parts for part in (("  ", ""), pair)][1:]


def _duration(time_us: int, glyphs: _Glyphs) -> str:
    if time_us < 1000:
        return f"{time_us} {glyphs.micro}s"
    if time_us < 999_500:
        return f"{time_us / 1e3:.0f} ms"
    if time_us < 59_950_000:
        return f"{time_us / 1e6:.1f} s"
    minutes, seconds = divmod(round(time_us / 1e6), 60)
    if minutes < 60:
        return f"{minutes} m {seconds:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def _local(time: datetime) -> str:
    try:
        return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
    except (OverflowError, OSError, ValueError):
        return f"{time:%Y-%m-%d %H:%M:%S}"  # at either end of the calendar


def _first_line(text: str, length: int) -> str:
    return plain(text.strip().partition("\n")[0], length)
