"""`spanwise run`: a program under `opentelemetry-instrument`, with this distribution in force."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import click

from spanwise.cli import UserError

_NAME: Final = "spanwise"
_CHOSEN: Final = ("OTEL_PYTHON_DISTRO", "OTEL_PYTHON_CONFIGURATOR")
_OPTIONS_OF_PYTHON: Final = ("-m", "-c")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("program", nargs=-1, required=True, type=click.UNPROCESSED)
def command(program: tuple[str, ...]) -> None:
    """Run a program with every installed instrumentor loaded, and no change to its code.

    PROGRAM is a Python file, `-m MODULE`, `-c CODE` or a command such as `gunicorn`, with its
    arguments. It is the same as `opentelemetry-instrument python PROGRAM`, where Spanwise is in
    force whatever other distributions are installed. The exit code is the program's.
    """
    arguments = _command_line(program)
    environment = _environment()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "posix":
            os.execve(arguments[0], arguments, environment)  # noqa: S606 - what was asked for
        raise SystemExit(subprocess.run(arguments, env=environment).returncode)  # noqa: S603
    except OSError as error:
        raise UserError(f"cannot run {arguments[0]}: {error.strerror}") from None


def _command_line(program: tuple[str, ...]) -> list[str]:
    first = program[0]
    if first in _OPTIONS_OF_PYTHON:
        if len(program) == 1:
            raise UserError(f"{first} needs an argument")
        return [sys.executable, *program]
    if first.startswith("-"):
        raise UserError(f"no such option: {first}")
    if first.endswith(".py") or Path(first, "__main__.py").is_file():
        if not Path(first).exists():
            raise UserError(f"there is no file {first}")
        return [sys.executable, *program]
    found = shutil.which(first)
    if found is None:
        raise UserError(f"{first} is neither a Python file nor a command")
    return [found, *program[1:]]


def _environment() -> dict[str, str]:
    """Return the variables with which a Python sets itself up as `opentelemetry-instrument` does."""
    from opentelemetry.instrumentation import auto_instrumentation

    folder = str(Path(auto_instrumentation.__file__).parent)
    path = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    try:
        here = os.getcwd()  # noqa: PTH109
    except OSError:
        raise UserError("the current folder is gone") from None
    path = [folder, *([] if here in path else [here]), *(part for part in path if part != folder)]
    chosen = dict.fromkeys(_CHOSEN, _NAME)
    return {**os.environ, **chosen, "PYTHONPATH": os.pathsep.join(path)}
