"""Print what the doctor found: what is wrong first, then how things are."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import Final

from rich.console import Console
from rich.text import Text

from spanwise.cli._plain import plain
from spanwise.doctor.findings import Finding, Level, Report

WIDTH_WITHOUT_TERMINAL: Final = 100

_LEAST_WIDTH = 30
_LONGEST = 2_000
_WORD_WIDTH = len("problem") + 2
_STYLES: Final = {
    Level.PROBLEM: "bold red",
    Level.WARNING: "yellow",
    Level.OK: "green",
    Level.NOTE: "cyan",
    Level.FACT: "",
}
_WRONG: Final = (Level.PROBLEM, Level.WARNING)
_RIGHT: Final = (Level.OK, Level.NOTE, Level.FACT)


class _Output(Console):
    def on_broken_pipe(self) -> None:
        raise  # rich's own way is to exit with 1, as if that were a fault


def print_report(report: Report) -> None:
    """Print a report on stdout, as wide as the terminal."""
    console = _Output(file=sys.stdout, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        console.width = WIDTH_WITHOUT_TERMINAL
    console.width = max(console.width, _LEAST_WIDTH)
    # Where the terminal cannot show a character, a question mark does less harm than a traceback.
    if reconfigure := getattr(sys.stdout, "reconfigure", None):
        reconfigure(errors="replace")
    _print(console, Text(_summary(report), style="bold"))
    for section, finding in report.of(*_WRONG):
        _print_finding(console, finding, f"{section}: ")
    for section, findings in report.sections.items():
        right = [finding for finding in findings if finding.level in _RIGHT]
        if right:
            _print(console, Text())
            _print(console, Text(section, style="bold"))
        for finding in right:
            _print_finding(console, finding)


def _summary(report: Report) -> str:
    counts = [
        f"{number} {level.value}{'' if number == 1 else 's'}"
        for level in _WRONG
        if (number := len(report.of(level)))
    ]
    return " and ".join(counts) if counts else "nothing is wrong"


def _print_finding(console: Console, finding: Finding, before: str = "") -> None:
    indent = " " * _WORD_WIDTH
    word = "" if finding.level is Level.FACT else finding.level.value
    first, *more = _wrapped(before + finding.text, console.width)
    _print(console, Text.assemble((f"{word:{_WORD_WIDTH}}", _STYLES[finding.level]), first))
    for line in more:
        _print(console, Text(indent + line))
    for line in _wrapped(finding.mend, console.width):
        _print(console, Text(indent + line, style="dim"))
    if finding.command:
        # Whole, so that it can be copied, however long.
        text = plain(finding.command, _LONGEST)
        _print(console, Text.assemble(indent, ("$ ", "dim"), (text, "bold")))


def _wrapped(text: str, width: int) -> list[str]:
    room = width - _WORD_WIDTH - 1
    return textwrap.wrap(plain(text, _LONGEST), room, break_on_hyphens=False)


def _print(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True)
