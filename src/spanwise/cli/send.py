"""`spanwise send`: deliver what waits in spools, or send the spans of files once more."""

from __future__ import annotations

from pathlib import Path

import click

from spanwise import _destinations, _settings
from spanwise._destinations import Destination
from spanwise._environment import Environment
from spanwise.cli import UserError
from spanwise.errors import ConfigurationError

_PATIENCE_S = 60.0


@click.command("send")
@click.argument("files", metavar="[FILES]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--spool",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of spools, or of one destination's; by default the one in force.",
)
@click.option("--to", "address", metavar="URL", help="Where to; by default the configured place.")
@click.option(
    "--header", "headers", metavar="NAME=VALUE", multiple=True, help="Header to send with it."
)
@click.option(
    "--protocol",
    type=click.Choice(_destinations.PROTOCOLS),
    default=_destinations.PROTOCOLS[0],
    show_default=True,
)
@click.option(
    "--patience",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=_PATIENCE_S,
    show_default=True,
    help="How long to try where nothing is taken.",
)
def command(
    files: tuple[Path, ...],
    spool: Path | None,
    address: str | None,
    headers: tuple[str, ...],
    protocol: str,
    patience: float,
) -> None:
    """Deliver spans that wait in spools, or send those in FILES once more.

    Without --to, what waits for the configured destination is delivered. With it, everything that
    waits in the spool folder is, whatever destination it was for; what belongs to a process that
    is still running is left to it. FILES are OTLP-JSON, spool or JSONL files, or folders of them.

    The exit code is 0 if everything arrived, 1 if something is left.
    """
    if files and spool is not None:
        raise UserError("either FILES or --spool, not both")
    environment = Environment.read()
    try:
        settings = _settings.resolve({}, environment)
        destination = _destination(address, headers, protocol, settings, environment)
    except ConfigurationError as error:
        raise UserError(str(error)) from None
    # Imported now: `spanwise --help` does without what sends.
    from spanwise.cli import _sending

    if files:
        is_all = _sending.send_files(_expanded(files), destination, patience)
    else:
        root = spool or settings.spool_dir
        is_all = _sending.send_spools(root, destination, patience, is_for_all=address is not None)
    if not is_all:
        raise click.exceptions.Exit(1)


def _destination(
    address: str | None,
    headers: tuple[str, ...],
    protocol: str,
    settings: _settings.Settings,
    environment: Environment,
) -> Destination:
    if address is not None:
        options = {"endpoint": address, "protocol": protocol, "headers": ",".join(headers)}
        return _destinations.named("--to", options)
    if headers:
        raise UserError("--header goes with --to; the configured place has its own headers")
    configured = _destinations.resolve(settings, environment)
    if len(configured) != 1:
        found = "no destination is" if not configured else f"{len(configured)} destinations are"
        raise UserError(f"{found} configured: say where to with --to URL")
    return configured[0]


def _expanded(files: tuple[Path, ...]) -> list[Path]:
    """Return the files, and of folders those in them, in the order of their names."""
    found: list[Path] = []
    for path in files:
        if path.is_dir():
            inside = sorted(path.glob("*.jsonl")) + sorted(path.glob("*.json"))
            if not inside:
                raise UserError(f"there are no .jsonl or .json files in {path}")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise UserError(f"there is no file {path}")
    return found
