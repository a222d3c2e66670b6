"""What the doctor says of spools that real processes left."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

import spanwise
from spanwise import _settings
from spanwise.cli import commands
from spanwise.doctor import waiting
from spanwise.doctor.waiting import Budget, kept_lines, waiting_in
from spanwise.export.letters import line_of
from spanwise.export.segments import sealed
from support.programs import Programs
from support.receiver import Receiver

AWAY = "http://127.0.0.1:9"
WRITER = """
import os, spanwise, sys
spanwise.configure()
for number in range(int(sys.argv[1])):
    with spanwise.observe("work"):
        pass
os._exit(0)
"""
RUNNING = """
import spanwise, sys
from support.producer import report
spanwise.configure()
for number in range(3):
    with spanwise.observe("work"):
        pass
report("0" * 16)
sys.stdin.read()
"""


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Programs with a destination that is away, and the doctor among them."""
    with Programs(tmp_path / "programs", AWAY) as made:
        monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", AWAY)
        monkeypatch.setenv("SPANWISE_SPOOL_DIR", str(made.spool))
        yield made


def test_what_dead_processes_left_is_told_with_the_command_that_sends_it(
    programs, examined, monkeypatch, receiver
):
    """How many lines, of how many processes; the command then delivers it."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", receiver.url)
    programs.environment["SPANWISE_OTLP_ENDPOINT"] = receiver.url
    receiver.status = 503
    programs.run(WRITER, 3)
    (finding,) = examined("spool", "warning")
    assert f"for {receiver.url}/v1/traces: 3 lines" in finding.text
    assert "of a process that is gone" in finding.text
    assert (True, 3) == (finding.facts["configured"], finding.facts["waiting_lines"])
    assert "spanwise send" == finding.command
    receiver.status = 200
    done = CliRunner().invoke(commands, shlex.split(finding.command)[1:])
    assert 0 == done.exit_code, done.output
    assert 3 == len(receiver.spans())
    assert [] == examined("spool", "warning")


def test_what_waits_for_an_address_that_is_not_configured_any_more_is_told(
    programs, examined, monkeypatch, receiver
):
    """With the command that sends that folder to where it was meant to go."""
    programs.environment["SPANWISE_OTLP_ENDPOINT"] = receiver.url
    receiver.status = 503
    programs.run(WRITER, 2)
    programs.run(WRITER, 2)
    receiver.status = 200
    (finding,) = examined("spool", "warning")
    assert "4 lines" in finding.text
    assert "of 2 processes that are gone" in finding.text
    assert "not configured any more" in finding.text
    (folder,) = (path for path in programs.spool.iterdir() if path.is_dir())
    assert f"spanwise send --spool {folder} --to {receiver.url}/v1/traces" == finding.command
    done = CliRunner().invoke(commands, shlex.split(finding.command)[1:])
    assert 0 == done.exit_code, done.output
    assert 4 == len(receiver.spans())


def test_looking_takes_nothing_away_from_whoever_delivers_it(programs, examined):
    """Neither the lease of a dead process nor the cursor is changed; a living one keeps its own."""
    programs.run(WRITER, 2)
    before = _content(programs.spool)
    examined("spool")
    assert before == _content(programs.spool)


def test_what_a_running_process_spooled_is_no_warning(programs, examined):
    """It is told which process delivers that, and that one goes on to hold its lease."""
    process = programs.start(RUNNING, stdin=-1)
    programs.wait_for(1)
    for _ in range(2):
        assert [] == examined("spool", "warning")
        facts = [f for f in examined("spool", "fact") if "running" in f.facts]
        assert [("3", str(process.pid))] == [
            (str(one.facts["lines"]), one.facts["pid"]) for one in facts
        ]
    process.kill()
    process.communicate(timeout=60)
    (finding,) = examined("spool", "warning")
    assert "3 lines" in finding.text


def test_what_this_process_spooled_counts_as_running(examined, monkeypatch):
    """A program that asks about itself is told the truth."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", AWAY)
    spanwise.configure()
    with spanwise.observe("mine"):
        pass
    (fact,) = [f for f in examined("spool", "fact") if "running" in f.facts]
    assert str(os.getpid()) == fact.facts["pid"]


def test_what_was_kept_is_told(programs, examined, monkeypatch):
    """With the command that sends it again; refused spans are no secret loss."""
    receiver = Receiver()
    try:
        programs.environment["SPANWISE_OTLP_ENDPOINT"] = receiver.url
        monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", receiver.url)
        receiver.status = 400
        programs.run(WRITER, 2)
        programs.run_send()
    finally:
        receiver.close()
    (finding,) = examined("spool", "warning")
    assert "2 lines kept that it refused" in finding.text
    assert finding.command.startswith("spanwise send ")
    assert finding.command.endswith(f"/*.kept.jsonl --to {receiver.url}/v1/traces")


def test_damaged_lines_are_told(programs, examined):
    """They are counted apart from those that can be sent."""
    programs.run(WRITER, 3)
    (segment,) = programs.files("*.0*.jsonl")
    lines = segment.read_bytes().split(b"\n")
    lines[1] = lines[1][:40] + b"#" + lines[1][41:]
    segment.write_bytes(b"\n".join(lines))
    texts = [finding.text for finding in examined("spool", "warning")]
    assert 2 == len(texts)
    assert "2 lines" in texts[0]
    assert "1 line damaged" in texts[1]


def test_requests_of_a_facade_are_not_to_be_sent_as_spans(programs, examined):
    """`spanwise send` would find no span in them: the next process of the application has them."""
    programs.run(WRITER, 1)
    (segment,) = programs.files("*.0*.jsonl")
    segment.write_bytes(sealed(line_of([{"path": "/signals", "body": {}}])))
    (finding,) = examined("spool", "warning")
    assert "" == finding.command
    assert "next process" in finding.mend


def test_a_folder_that_others_may_look_into_is_told(programs, examined):
    """The command that mends it does."""
    programs.run(WRITER, 1)
    (folder,) = (path for path in programs.spool.iterdir() if path.is_dir())
    folder.chmod(0o755)
    (finding,) = [f for f in examined("spool", "warning") if "others" in f.text]
    assert f"chmod 700 {folder}" == finding.command
    assert 0 == os.system(finding.command)
    assert [] == [f for f in examined("spool", "warning") if "others" in f.text]


def test_what_was_spooled_in_the_folder_that_stands_in_is_found(programs, examined, spare):
    """The spool folder was not to be had when a process needed it."""
    programs.environment["SPANWISE_SPOOL_DIR"] = str(spare)
    programs.run(WRITER, 2)
    (finding,) = examined("spool", "warning")
    assert "2 lines" in finding.text
    assert (True, str(spare)) == (
        finding.facts["configured"],
        str(Path(finding.facts["folder"]).parent),
    )


def test_a_folder_of_somebody_else_does_not_stand_in(programs, examined, spare):
    """What others may write to is not looked into: it could say anything."""
    programs.environment["SPANWISE_SPOOL_DIR"] = str(spare)
    programs.run(WRITER, 2)
    spare.chmod(0o777)
    assert [] == examined("spool", "warning")


def test_what_is_left_for_another_program_is_no_warning(programs, examined, monkeypatch):
    """It waits there because that was asked for."""
    programs.environment["SPANWISE_SPOOL_ONLY"] = "true"
    del programs.environment["SPANWISE_OTLP_ENDPOINT"]
    programs.run(WRITER, 2)
    monkeypatch.delenv("SPANWISE_OTLP_ENDPOINT")
    monkeypatch.setenv("SPANWISE_SPOOL_ONLY", "true")
    assert [] == examined("spool", "warning")
    assert f"2 lines in {programs.spool / 'unsent'}, for another program to read" in [
        finding.text for finding in examined("spool", "fact")
    ]


def test_a_description_that_makes_no_sense_is_survived(programs, examined):
    """Anything may stand in a folder; it is called by its name then."""
    programs.run(WRITER, 1)
    (folder,) = (path for path in programs.spool.iterdir() if path.is_dir())
    for text in ("", "[]", '{"endpoint": 3}', "{", '{"endpoint": "http://[x"}'):
        (folder / "destination.json").write_text(text)
        (finding,) = examined("spool", "warning")
        assert "1 line" in finding.text


def test_beyond_what_is_read_only_the_size_is_told(programs, examined, monkeypatch):
    """A spool of a gigabyte is not read as a whole."""
    programs.run(WRITER, 3)
    (folder,) = (path for path in programs.spool.iterdir() if path.is_dir())
    (whole,) = waiting_in(folder, Budget())
    (part,) = waiting_in(folder, Budget(most_bytes=10))
    assert (3, True, whole.size) == (whole.lines, whole.is_all_read, part.size)
    assert (0, False) == (part.lines, part.is_all_read)
    monkeypatch.setattr(waiting, "MOST_READ_BYTES", 10)
    monkeypatch.setattr("spanwise.doctor.spools.Budget", lambda: Budget(10))
    (finding,) = examined("spool", "warning")
    assert "at least 0 lines" in finding.text
    assert 0 == kept_lines(folder, Budget())


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="root may look into every folder"
)
def test_a_folder_that_cannot_be_looked_into_is_told(programs, examined):
    """The others are told all the same."""
    programs.run(WRITER, 1)
    (folder,) = (path for path in programs.spool.iterdir() if path.is_dir())
    folder.chmod(0)
    try:
        (finding,) = examined("spool", "warning")
    finally:
        folder.chmod(0o700)
    assert "cannot be looked into" in finding.text


def test_a_spool_folder_that_cannot_be_made_is_no_silent_matter(examined, monkeypatch, spare):
    """It is told where spans are spooled instead."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", AWAY)
    monkeypatch.setattr(_settings, "why_not_writable", lambda folder: "no permission to write")
    (finding,) = examined("spool", "warning")
    assert f"spans are spooled in {spare} instead" in finding.text
    assert "SPANWISE_SPOOL_DIR" in finding.mend


def _content(folder):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_facts_are_json(programs, examined):
    """Whatever is found can be told to machines."""
    programs.run(WRITER, 1)
    for finding in examined("spool"):
        orjson.dumps(finding.as_json())
