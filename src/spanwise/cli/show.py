"""`spanwise show`: which traces of a folder are shown, as trees or as JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from spanwise._environment import Environment
from spanwise._settings import DEFAULT_TRACES_DIR
from spanwise.cli import UserError
from spanwise.view.store import Store, Trace, Traces

DEFAULT_LIMIT: Final = 20

# What could drive a terminal; JSON has the other control characters escaped already.
_CONTROL = re.compile(b"\x7f|\xc2[\x80-\x9f]")


def _default_folder() -> Path:
    named = Environment.read().get("SPANWISE_TRACES_DIR")
    # "none" is how a program is told to write no files.
    if named is None or named.strip().lower() == "none":
        return DEFAULT_TRACES_DIR
    return Path(named).expanduser()


@click.command("show")
@click.argument("folder", metavar="[DIR]", default=_default_folder, type=click.Path(path_type=Path))
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

    DIR is by default the folder that SPANWISE_TRACES_DIR names, else ./traces.
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
        # Imported where it is needed: rich takes longer to load than JSON to print.
        from spanwise.cli._tree import print_trees

        print_trees(traces, with_io)


def _read(folder: Path) -> Traces:
    if not folder.exists():
        hint = (
            "spans are written there once `spanwise.configure()` was called, and where they are "
            "sent to a collector only if SPANWISE_TRACES_DIR names it"
        )
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
        out.write(_CONTROL.sub(_escaped, trace.to_json()))
    out.write(b"\n]\n" if traces else b"]\n")


def _escaped(control: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(control[0].decode())
