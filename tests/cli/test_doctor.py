"""What `spanwise doctor` prints, and what its exit code says."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from spanwise.cli import commands
from spanwise.export import places
from support.programs import Programs

AWAY = "http://127.0.0.1:9"
ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "spanwise", "doctor"]
CANARY = "cAnaRy7f3d91bE5a0c"
WRITER = """
import os, spanwise
spanwise.configure()
with spanwise.observe("work"):
    pass
os._exit(0)
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """The folder that stands in lies among those of the test, and lines are of one width."""
    monkeypatch.setattr(places, "_spare_root", lambda: tmp_path / "spare")
    monkeypatch.setenv("COLUMNS", "100")


def doctor(*arguments):
    return CliRunner().invoke(commands, ["doctor", *arguments])


def test_with_nothing_configured_nothing_is_wrong():
    """The exit code says so."""
    done = doctor()
    assert 0 == done.exit_code, done.output
    assert "nothing is wrong\n" == done.output.splitlines(keepends=True)[0]
    headings = re.findall(r"^[a-z]+$", done.output, re.M)
    assert [
        *("settings", "destinations", "spool", "files", "distro", "instrumentors", "packages"),
    ] == headings


def test_a_problem_comes_first_with_what_mends_it_and_exit_code_1(monkeypatch):
    """A destination where nobody listens, as its own pipeline would log it."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", AWAY)
    done = doctor()
    assert 1 == done.exit_code
    assert done.output.startswith(
        "1 problem\n"
        "problem  destinations: http://127.0.0.1:9/v1/traces (http/protobuf): connection refused\n"
        "         start the collector, or correct host and port of SPANWISE_OTLP_ENDPOINT\n"
    )
    assert 0 == doctor("--offline").exit_code


def test_a_warning_is_no_problem(tmp_path, monkeypatch):
    """What waits in a spool is told with its command, which stands on a line of its own."""
    with Programs(tmp_path / "programs", AWAY) as programs:
        programs.run(WRITER)
    monkeypatch.setenv("SPANWISE_SPOOL_DIR", str(programs.spool))
    done = doctor()
    assert 0 == done.exit_code, done.output
    assert "1 warning" == done.output.splitlines()[0]
    commands = [line for line in done.output.splitlines() if line.startswith("         $ ")]
    (folder,) = (path for path in programs.spool.iterdir() if path.is_dir())
    assert f"         $ spanwise send --spool {folder} --to {AWAY}/v1/traces" == commands[0]


def test_json_is_the_same_for_machines(monkeypatch, receiver):
    """One object, with a status, and findings by section."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("SPANWISE_SPAN_NAME", "x")
    done = doctor("--json")
    assert 1 == done.exit_code
    found = json.loads(done.output)
    assert "problem" == found["status"]
    (destination,) = found["sections"]["destinations"]
    assert ("ok", 200) == (destination["level"], destination["facts"]["answer"])
    (misspelt,) = [one for one in found["sections"]["settings"] if one["level"] == "problem"]
    assert {"variable": "SPANWISE_SPAN_NAME"} == misspelt["facts"]


def test_no_secret_is_shown_in_any_part(tmp_path, monkeypatch):
    """Headers, passwords in addresses, resource attributes, proxies, wherever they were said."""
    with Programs(
        tmp_path / "programs",
        f"http://bob:{CANARY}@127.0.0.1:9",
        SPANWISE_OTLP_HEADERS=f"authorization=Bearer {CANARY}",
        OTEL_RESOURCE_ATTRIBUTES=f"db.password={CANARY}",
    ) as programs:
        programs.run(WRITER)
    monkeypatch.setenv("SPANWISE_SPOOL_DIR", str(programs.spool))
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://bob:{CANARY}@127.0.0.1:9/path?q={CANARY}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{CANARY},x-plain={CANARY}",
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS": f"x={CANARY}",
        "OTEL_RESOURCE_ATTRIBUTES": f"db.password={CANARY},team=a,api_key={CANARY}",
        "OTEL_FOR_SOMEBODY_ELSE": CANARY,
        "SPANWISE_TOKEN": CANARY,
        "SPANWISE_DESTINATIONS": json.dumps(
            [
                {"endpoint": f"http://u:{CANARY}@127.0.0.1:9", "headers": {"x-plain": CANARY}},
                f"http://{CANARY}@127.0.0.1:9",
            ]
        ),
        "http_proxy": f"http://bob:{CANARY}@127.0.0.1:9",
        "no_proxy": "localhost",
    }.items():
        monkeypatch.setenv(name, value)
    Path(".env").write_text(
        f"SPANWISE_OTLP_HEADERS=x-more={CANARY}\nOTEL_EXPORTER_OTLP_LOGS_HEADERS=x={CANARY}\n"
        f"BRIXO_API_KEY={CANARY}\n"
    )
    for arguments in ((), ("--json",), ("--offline",)):
        output = doctor(*arguments).output
        assert "127.0.0.1:9" in output
        assert CANARY not in output
    # What cannot be used is told without its value, too.
    for name, value in {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"://bob:{CANARY}@[",
        "SPANWISE_OTLP_HEADERS": f"x {CANARY}",
        "SPANWISE_DESTINATIONS": f'[{{"endpoint": "ftp://{CANARY}"}}]',
    }.items():
        monkeypatch.setenv(name, value)
    for arguments in ((), ("--json",)):
        output = doctor(*arguments).output
        assert "cannot" in output or "must" in output
        assert CANARY not in output


def test_what_could_drive_the_terminal_is_taken_out(monkeypatch):
    """A name of a service, or of a folder, is a text and nothing else."""
    monkeypatch.setenv("SPANWISE_SERVICE_NAME", "bot\x1b[31m\x07\u202e red")
    assert "service_name = bot red" in doctor("--offline").output
    output = doctor("--offline", "--json").output
    assert output.isascii()
    assert "\x1b" not in output
    given = [one["facts"] for one in json.loads(output)["sections"]["settings"]]
    assert "bot\x1b[31m\x07\u202e red" in [facts.get("value") for facts in given]


def test_in_a_terminal_of_80_columns_no_line_but_a_command_is_longer(tmp_path, receiver):
    """And levels have colours there."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
        "COLUMNS": "80",
        "TERM": "xterm-256color",
        "SPANWISE_OTLP_ENDPOINT": receiver.url,
        "SPANWISE_DESTINATIONS": AWAY,
    }
    output = _in_terminal(environment)
    assert "\x1b[" in output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output).replace("\r", "")
    too_long = [line for line in plain.splitlines() if len(line) > 80]
    assert [] == [line for line in too_long if not line.startswith("         $ ")]
    assert plain.startswith("1 problem")


def test_piped_it_is_plain_text(receiver):
    """No colours, the exit code of what was found, and nothing on stderr."""
    done = subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "SPANWISE_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER": "nosuch"},
    )
    assert (1, "") == (done.returncode, done.stderr)
    assert "\x1b" not in done.stdout
    assert f"ok       {receiver.url}/v1/traces (http/protobuf): it answers" in done.stdout


def test_a_reader_that_has_seen_enough_ends_it_quietly():
    """As with `spanwise doctor | head -1`."""
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m spanwise doctor --offline | head -1"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.endswith("\n")


def test_it_works_where_the_program_itself_could_not_start(tmp_path):
    """With a propagator that is not installed, OpenTelemetry cannot even be imported as a whole."""
    done = subprocess.run(
        [*COMMAND, "--offline"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OTEL_PROPAGATORS": "nosuch"},
    )
    assert (1, "") == (done.returncode, done.stderr)
    assert "OTEL_PROPAGATORS names 'nosuch'" in done.stdout


def test_what_the_page_shows_is_what_is_printed(monkeypatch):
    """The beginning of the page's example, which needs no receiver."""
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```console\n\$ spanwise doctor\n(.*?)^```", page, re.M | re.S)
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", "http://127.0.0.1:4")
    monkeypatch.setenv("SPANWISE_SERVICENAME", "bot")
    expected = block.partition("\n...\n")[0].replace("localhost:4318", "127.0.0.1:4")
    monkeypatch.setenv("COLUMNS", "80")
    printed = doctor().output
    assert expected.split() == printed.split()[: len(expected.split())]


def _in_terminal(environment):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(COMMAND, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    pieces = []
    try:
        while piece := os.read(ours, 1 << 16):
            pieces.append(piece)
    except OSError:  # on Linux the end of a terminal is an error
        pass
    finally:
        os.close(ours)
    process.wait(60)
    return b"".join(pieces).decode()
