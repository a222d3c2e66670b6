"""`spanwise show`: the traces of a folder as trees, or as JSON.

What stands in the files was written by whoever had a span to name: it is shown literally, and
what could drive a terminal is taken out of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from spanwise.cli import UserError
from spanwise.view.store import Observation, Store, Trace, Traces, dump

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_LIMIT: Final = 20
WIDTH_WITHOUT_TERMINAL: Final = 100
_LEAST_WIDTH = 20

# Whole escape sequences go; of what is left, white space becomes a space and the rest nothing.
# The last group can turn the reading direction of all that follows.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)"
)
_SPACE = re.compile("[\t\n\x0b\x0c\r\x85\u2028\u2029]")
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
# In JSON the others are escaped already.
_CONTROL_IN_JSON = re.compile(b"\x7f|\xc2[\x80-\x9f]")

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


@click.command("show")
@click.argument("folder", metavar="[DIR]", default="traces", type=click.Path(path_type=Path))
@click.option("--user", metavar="ID", help="Only traces of this user.")
@click.option("--account", metavar="ID", help="Only traces of this account.")
@click.option("--session", metavar="ID", help="Only traces of this session.")
@click.option("--type", "kind", metavar="TYPE", help="Only traces with an observation of it.")
@click.option(
    "--status", type=click.Choice(["success", "error"]), help="Only traces that ended so."
)
@click.option("--trace", "prefix", metavar="ID", help="Only traces whose id begins so.")
@click.option(
    "--limit",
    metavar="N",
    default=DEFAULT_LIMIT,
    show_default=True,
    type=click.IntRange(min=0),
    help="Only the last N traces; 0 for all.",
)
@click.option("--io", "with_io", is_flag=True, help="Show inputs and outputs too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def command(
    folder: Path,
    user: str | None,
    account: str | None,
    session: str | None,
    kind: str | None,
    status: str | None,
    prefix: str | None,
    limit: int,
    with_io: bool,
    as_json: bool,
) -> None:
    """Show the traces in a folder as trees, newest last.

    DIR is ./traces where it is not given.
    """
    found = _read(folder)
    traces = [
        trace
        for trace in found.traces
        if (user is None or user in trace.user_ids)
        and (account is None or account in trace.account_ids)
        and (session is None or session in trace.session_ids)
        and (status is None or status == trace.status)
        and (prefix is None or _has_prefix(trace.id, prefix))
        and (kind is None or any(kind.lower() == node.type for _, node in trace.walk()))
    ]
    _tell(folder, found, len(traces), limit)
    if limit:
        traces = traces[-limit:]
    if as_json:
        _print_json(traces)
    elif traces:
        _print_trees(traces, with_io)


def _read(folder: Path) -> Traces:
    if not folder.exists():
        hint = "spans are written there once `spanwise.configure()` was called"
        raise UserError(f"there is no folder {folder}: {hint}")
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    try:
        return Store(folder).read()
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from None


def _tell(folder: Path, found: Traces, matching: int, limit: int) -> None:
    """Say on stderr what is missing from stdout, and why."""
    if found.torn_lines:
        click.echo(f"{_counted(found.torn_lines, 'torn line')} skipped", err=True)
    for name, fault in found.unreadable.items():
        click.echo(f"cannot read {name}: {fault}", err=True)
    if not found.traces:
        click.echo(f"no traces in {folder}", err=True)
    elif not matching:
        click.echo(f"none of {_counted(len(found.traces), 'trace')} in {folder} match", err=True)
    elif limit and matching > limit:
        older = _counted(matching - limit, "older trace")
        click.echo(f"{older} not shown; --limit 0 shows all", err=True)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _has_prefix(trace_id: str, prefix: str) -> bool:
    # An id may have been copied from where it is spelled as a UUID.
    return trace_id.startswith((prefix, prefix.replace("-", "").lower()))


def _print_json(traces: Sequence[Trace]) -> None:
    out = sys.stdout.buffer  # JSON is UTF-8, whatever the terminal is
    out.write(b"[")
    for number, trace in enumerate(traces):
        out.write(b",\n" if number else b"\n")
        out.write(_CONTROL_IN_JSON.sub(_escaped, trace.to_json()))
    out.write(b"\n]\n" if traces else b"]\n")


def _escaped(control: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(control[0].decode())


def _print_trees(traces: Sequence[Trace], with_io: bool) -> None:
    from rich.segment import Segment, Segments

    console = _console()
    # Where the terminal cannot show a character, a question mark does less harm than a traceback.
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")
    glyphs = _ASCII if console.options.ascii_only else _UNICODE
    width = console.width
    for number, trace in enumerate(traces):
        # Segments are printed as they are, without a look for markup, and quickly.
        page = [Segment.line()] if number else []
        # A heading keeps its whole length: people search for the ids in it.
        lines = chain([_heading(trace, width, glyphs)], _lines(trace, width, glyphs, with_io))
        for line in lines:
            for text, style in line:
                page.append(Segment(text, console.get_style(style) if style else None))
            page.append(Segment.line())
        console.print(Segments(page), end="", crop=False)


def _cut(line: Sequence[_Part], width: int) -> Iterator[_Part]:
    """Yield what of a line fits into so many cells."""
    from rich.cells import cell_len, set_cell_size

    is_cut = sum(cell_len(text) for text, _ in line) > width
    for text, style in line:
        cells = cell_len(text)
        if is_cut and cells >= width:
            yield f"{set_cell_size(text, max(0, width - 1))}…", style
            return
        yield text, style
        width -= cells


def _console() -> Console:
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            raise  # rich's own way is to exit with 1, as if that were a fault

    console = Output(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = WIDTH_WITHOUT_TERMINAL
    console.width = max(console.width, _LEAST_WIDTH)
    return console


def _lines(trace: Trace, width: int, glyphs: _Glyphs, with_io: bool) -> Iterator[Iterable[_Part]]:
    """Yield the lines below the heading."""
    waiting = [("", root, root is trace.roots[-1]) for root in reversed(trace.roots)]
    while waiting:
        indent, node, is_last = waiting.pop()
        guide = (indent + (glyphs.last if is_last else glyphs.branch), "dim")
        yield _cut([guide, *_described(node, width, glyphs)], width)
        below = _indented(indent, glyphs.gap if is_last else glyphs.bar, width // 2, glyphs)
        if with_io:
            bar = glyphs.bar if node.children else glyphs.gap
            for label, value in (("in   ", node.input), ("out  ", node.output)):
                if value is not None:
                    text = dump(value).decode()
                    yield _cut([(below + bar + label, "dim"), (_clean(text, width), "")], width)
        last = node.children[-1] if node.children else None
        waiting += [(below, child, child is last) for child in reversed(node.children)]


def _indented(indent: str, step: str, room: int, glyphs: _Glyphs) -> str:
    """Return the indent one level deeper; the outermost levels go where there is no room."""
    deeper = indent + step
    return deeper if len(deeper) <= room else glyphs.left_out + deeper[2 * len(step) :]


def _heading(trace: Trace, width: int, glyphs: _Glyphs) -> list[_Part]:
    parts: list[_Part] = [
        (_clean(trace.name, width // 2) or "(no name)", "bold"),
        (_clean(trace.id[:8], width), "cyan"),
    ]
    if trace.start is not None:
        parts.append((_local(trace.start), ""))
    parts += _measured(trace, glyphs)
    who = {"user": trace.user_ids, "account": trace.account_ids, "session": trace.session_ids}
    for label, (one, *others) in ((label, ids) for label, ids in who.items() if ids):
        more = f" +{len(others)}" if others else ""
        parts.append((f"{label} {_clean(one, width)}{more}", ""))
    # OpenTelemetry's own word for a service that nobody named says nothing.
    if trace.service and not trace.service.startswith("unknown_service"):
        parts.append((f"service {_clean(trace.service, width)}", "dim"))
    if trace.status == "error":
        # The text is told once, by the root that failed; a trace may have none.
        told = "" if any(root.failed for root in trace.roots) else trace.error or ""
        parts.append((f"{glyphs.error} {_first_line(told, width) or 'error'}", "red"))
    return _spaced(parts)


def _described(node: Observation, width: int, glyphs: _Glyphs) -> list[_Part]:
    parts: list[_Part] = [
        (_clean(node.name, width // 2) or "(no name)", ""),
        (_clean(node.type, width), "dim"),
    ]
    if node.model:
        parts.append((_clean(node.model, width), "magenta"))
    parts += _measured(node, glyphs)
    if node.failed:
        parts.append((_first_line(node.error or "", width) or "error", "red"))
    return _spaced(parts)


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
    return _clean(text.strip().partition("\n")[0], length)


def _clean(text: str, length: int) -> str:
    """Return at most so many characters of the text on one line, with nothing but text in it."""
    # Cleaning a megabyte to show a line of it would be a waste.
    text = _SEQUENCE.sub("", text[: 20 * length])
    text = _CONTROL.sub("", _SPACE.sub(" ", text)).strip()
    return text if len(text) <= length else f"{text[: length - 1]}…"
