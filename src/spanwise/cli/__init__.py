"""The `spanwise` command: one module per subcommand, imported when it is asked for.

Each of those modules has a click command named `command`. What they need beyond click they
import when they run, so that `spanwise --help` stays quick.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from typing import Any, Final

import click

from spanwise._version import __version__

_COMMANDS: Final = ("doctor", "run", "send", "show")


class UserError(click.ClickException):
    """What was asked for cannot be done as asked: one line on stderr, exit code 2."""

    exit_code = 2


class _Commands(click.Group):
    """The subcommands, each imported by its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"spanwise.cli.{cmd_name}").command
        assert isinstance(command, click.Command)  # noqa: S101  a fault of ours, not of the user
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read us has seen enough; the interpreter flushes once more at its exit.
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        return result


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spanwise")
def commands() -> None:
    """See what an agent did, for whom, with what input and outcome."""


def main() -> None:
    """Run the command line of this process and exit: 0, or 2 where the user asked amiss."""
    commands(prog_name="spanwise")
