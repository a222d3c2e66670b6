"""Spans are told of when they start, where that is asked for: a kill then leaves them as interrupted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import spanwise
from spanwise import _processes
from spanwise.view.lines import INTERRUPTED
from spanwise.view.store import Store
from support.files import Files
from support.receiver import attributes

KILLED = """
import os, spanwise
spanwise.configure()
@spanwise.agent
def outer(question):
    inner(1)
    hang("sk-0123456789abcdef0123")
@spanwise.tool
def inner(n):
    return n
@spanwise.tool
def hang(text):
    os.kill(os.getpid(), 9)
with spanwise.identify(user="jane"):
    outer("why?")
"""


def run_killed(**environment):
    done = subprocess.run(
        [sys.executable, "-c", KILLED], env={**os.environ, **environment}, timeout=60
    )
    assert -9 == done.returncode


def observations(folder):
    (trace,) = Store(folder).read().traces
    return {observation.name: observation for _, observation in trace.walk()}, trace


def test_what_a_kill_interrupts_is_in_the_files(tmp_path):
    """With what went in, masked; what had ended is not called interrupted."""
    run_killed(SPANWISE_LIVE="1", SPANWISE_TRACES_DIR=str(tmp_path / "t"))
    found, trace = observations(tmp_path / "t")
    assert {"outer": "interrupted", "inner": None, "hang": "interrupted"} == {
        name: observation.state for name, observation in found.items()
    }
    assert INTERRUPTED == found["outer"].error
    assert {"question": "why?"} == found["outer"].input
    assert {"text": "***"} == found["hang"].input
    assert found["outer"].id == found["hang"].parent_id
    assert ("error", ("jane",)) == (trace.status, trace.user_ids)


def test_without_it_nothing_is_told_of_what_did_not_end(tmp_path):
    """One line an observation, when it ends."""
    run_killed(SPANWISE_TRACES_DIR=str(tmp_path / "t"))
    assert ["inner"] == [line["name"] for line in Files(tmp_path / "t").observations()]


def test_an_open_observation_of_a_process_that_lives_is_running(tmp_path):
    """It is no error, and its end replaces its start."""
    spanwise.configure(traces_dir=tmp_path / "t", live=True)
    with spanwise.observe("work", type="tool"):
        found, trace = observations(tmp_path / "t")
        assert ("running", None, "success") == (
            found["work"].state,
            found["work"].error,
            trace.status,
        )
    found, trace = observations(tmp_path / "t")
    assert (None, "success") == (found["work"].state, trace.status)
    assert found["work"].end is not None


@pytest.mark.parametrize("adopter", ["process", "send"])
def test_what_a_kill_interrupts_is_sent_by_whoever_comes_next(receiver, adopter):
    """As an error, with its start and what went in; once, and nothing of it stays behind."""
    run_killed(SPANWISE_LIVE="1", SPANWISE_OTLP_ENDPOINT=receiver.url)
    if adopter == "process":
        spanwise.configure(otlp_endpoint=receiver.url)
        assert spanwise.flush(30) is True
    else:
        command = [sys.executable, "-m", "spanwise", "send", "--to", receiver.url]
        subprocess.run(command, check=True, timeout=60)
    spans = {span.name: span for span in receiver.spans()}
    assert 3 == len(spans) == len(receiver.spans())
    marked = {n for n, span in spans.items() if "observation.interrupted" in attributes(span)}
    assert {"outer", "hang"} == marked
    outer = spans["outer"]
    assert (2, INTERRUPTED) == (outer.status.code, outer.status.message)
    assert outer.end_time_unix_nano >= outer.start_time_unix_nano > 0
    assert '{"text":"***"}' == attributes(spans["hang"])["observation.input"]
    assert "jane" == attributes(spans["hang"])["user.id"]
    assert [] == list(Path(os.environ["XDG_STATE_HOME"]).rglob("*.open.jsonl"))


def test_open_spans_of_a_process_that_lives_are_not_sent(receiver):
    """Not by itself, and not by another one that looks for what is left."""
    spanwise.configure(otlp_endpoint=receiver.url, live=True)
    with spanwise.observe("open"):
        assert spanwise.flush(30) is True
        command = [sys.executable, "-m", "spanwise", "send", "--to", receiver.url]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        assert [] == receiver.spans()
    assert spanwise.flush(30) is True
    (span,) = receiver.spans()
    assert "observation.interrupted" not in attributes(span)


def test_many_spans_leave_a_short_list_of_open_ones(receiver, monkeypatch, tmp_path):
    """What has ended is forgotten now and then; what is open is not."""
    from spanwise.export import started

    monkeypatch.setattr(started, "_MOST_BYTES", 20_000)
    spanwise.configure(otlp_endpoint=receiver.url, live=True)
    with spanwise.observe("open"):
        for _ in range(200):
            with spanwise.observe("work"):
                pass
        (path,) = (tmp_path / "state").rglob("*.open.jsonl")
        assert path.stat().st_size < 60_000
        assert '"name":"open"' in path.read_text()
    assert spanwise.flush(30) is True
    spanwise.shutdown()
    assert 201 == len(receiver.spans())
    assert [] == list((tmp_path / "state").rglob("*.open.jsonl"))


def test_a_process_is_told_from_one_that_got_its_number_later():
    """By when it began, where the kernel says that; of another machine nothing is known."""
    me = _processes.this_process()
    assert not _processes.is_gone(me)
    assert not _processes.is_gone({**me, "host": "elsewhere", "pid": 1})
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    theirs = {**me, "pid": child.pid, "started": _processes._started(child.pid)}
    assert not _processes.is_gone(theirs)
    child.kill()
    child.wait(30)
    until = time.monotonic() + 30
    while not _processes.is_gone(theirs) and time.monotonic() < until:
        time.sleep(0.01)
    assert _processes.is_gone(theirs)
    if me["started"] is not None:
        assert _processes.is_gone({**me, "started": "1"})
    for odd in ({}, {"pid": "x", "host": me["host"]}, {"pid": -1, "host": me["host"]}):
        assert not _processes.is_gone(odd)


def test_the_start_of_an_observation_is_a_line_of_its_own(tmp_path):
    """It says which process it was, and has no end."""
    spanwise.configure(traces_dir=tmp_path / "t", live=True)
    with spanwise.observe("work"):
        pass
    first, last = Files(tmp_path / "t").observations()
    assert (None, "started", os.getpid()) == (
        first["end_time"],
        first["state"],
        first["process"]["pid"],
    )
    assert first["id"] == last["id"]
    assert "state" not in last
    assert last["end_time"] is not None
