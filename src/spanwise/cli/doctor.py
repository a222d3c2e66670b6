"""`spanwise doctor`: what a program that is started here would do, and what is wrong with that."""

from __future__ import annotations

import json

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--offline", is_flag=True, help="Ask no destination whether it answers.")
def command(as_json: bool, offline: bool) -> None:
    """Tell what is set up, what waits and what is wrong.

    It is about programs that are started here. Looks at the variables, the .env file of the current folder, the spools and the installed
    packages, and asks each destination whether it answers. Secrets are not shown.

    The exit code is 0 if nothing is wrong, 1 if something is.
    """
    # Imported now: `spanwise --help` does without what all this needs.
    from spanwise.doctor.examination import examine

    report = examine(is_offline=offline)
    if as_json:
        # In ASCII: whatever the terminal is, and whatever stands in a name.
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        from spanwise.cli._findings import print_report

        print_report(report)
    if not report.is_well:
        raise click.exceptions.Exit(1)
