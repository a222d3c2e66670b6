"""What a process leaves behind, however it ends: its spans arrive all the same, and once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

import spanwise
from spanwise.export import started
from support.faulty_collector import Behaviour, FaultyCollector
from support.programs import Outcome, Programs, ended, outcome, repeated_requests, wait_until
from support.receiver import Receiver, attributes

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no such signals")

# Two threads, so that one may be in the midst of a span when the other one ends the process.
THREADS = 2
PROGRAM = """
import ctypes, os, resource, signal, sys
import spanwise
from support.producer import append, in_background, work, work_forever, works

resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
spanwise.configure()
in_background(work_forever)
works(300)
"""
# The program's last lines, the signal that is sent to it then, and the exit code that it has.
ENDINGS = {
    "SIGTERM": ("work_forever()", signal.SIGTERM, -signal.SIGTERM),
    "SIGTERM, a handler that returns": (
        """
is_told = False
def handle(*_):
    global is_told
    work()
    append(sys.argv[1], "handled")
    is_told = True
signal.signal(signal.SIGTERM, handle)
append(sys.argv[1], "waiting ")
while not is_told:
    work()
""",
        signal.SIGTERM,
        0,
    ),
    "SIGTERM, a handler that exits": (
        """
def handle(*_):
    work()
    append(sys.argv[1], "handled")
    sys.exit(3)
signal.signal(signal.SIGTERM, handle)
append(sys.argv[1], "waiting ")
work_forever()
""",
        signal.SIGTERM,
        3,
    ),
    "SIGKILL": ("work_forever()", signal.SIGKILL, -signal.SIGKILL),
    "os._exit": ("os._exit(4)", None, 4),
    "os.execv": ("os.execv(sys.executable, [sys.executable, '-c', ''])", None, 0),
    "a fault of memory": ("ctypes.string_at(0)", None, -signal.SIGSEGV),
    "SIGSEGV": ("os.kill(os.getpid(), signal.SIGSEGV)", None, -signal.SIGSEGV),
    "an exit beside daemon threads": ("in_background(work_forever)", None, 0),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ended_before_its_process_did_arrives_afterwards(tmp_path, ending):
    """With the collector away meanwhile: it is in the files and recordings, and is sent later."""
    last_lines, number, exit_code = ENDINGS[ending]
    told, traces, calls = tmp_path / "told", tmp_path / "traces", tmp_path / "calls.jsonl"
    settings = {"SPANWISE_TRACES_DIR": str(traces), "SPANWISE_RECORD": str(calls)}
    with FaultyCollector() as collector, Programs(tmp_path, collector.url, **settings) as programs:
        collector.down()
        process = programs.start(PROGRAM + last_lines, told)
        if number is not None:
            programs.wait_for(300 * THREADS)
            if "handler" in ending:
                wait_until(told.exists)
            process.send_signal(number)
        assert exit_code == ended(process)
        if "handler" in ending:
            assert "waiting handled" == told.read_text()
        reported = set(programs.reported())
        assert len(reported) >= 300
        assert programs.torn().total() <= 1

        collector.up()
        is_sent = ending in ("SIGKILL", "os._exit", "SIGTERM, a handler that returns")
        assert 0 == (programs.run_send() if is_sent else programs.run_next_process())
        arrived = len(collector.accepted)
        assert Outcome(arrived) == outcome(collector, programs)
        # Between the end of a span and the report of it there is a moment.
        assert arrived - len(reported) <= THREADS + 1
        assert [] == programs.files("*.jsonl")

    written, torn = lines_of(*traces.glob("observations*.jsonl"))
    assert torn <= 1
    assert set() == reported - {line["id"] for line in written}
    assert len(written) == len({line["id"] for line in written})
    recorded, torn = lines_of(calls)
    assert torn <= 1
    assert set() == programs.labels() - {line["kwargs"]["label"] for line in recorded}
    assert len(recorded) == len({line["kwargs"]["label"] for line in recorded})


def lines_of(*paths: Path) -> tuple[list[dict], int]:
    """Return the whole lines of files, and how many were torn."""
    whole, torn = [], 0
    for path in paths:
        for line in path.read_bytes().split(b"\n"):
            try:
                if line:
                    whole.append(json.loads(line))
            except ValueError:
                torn += 1
    return whole, torn


# What a handler of a signal raises in the midst of a write of ours, just before or just after it.
INTERRUPTED_WRITES = """
import itertools, os, signal, sys, threading
import spanwise
from support.producer import work

def handle(*_):
    raise error

os_write = os.write
left = 0

def write(fd, data):
    global left
    is_meant = threading.current_thread() is threading.main_thread() and b"label" in data
    left -= is_meant
    if is_meant and left == 0 and not is_after:
        signal.raise_signal(signal.SIGTERM)
    written = os_write(fd, data)
    if is_meant and left == 0 and is_after:
        signal.raise_signal(signal.SIGTERM)
    return written

spanwise.configure()
signal.signal(signal.SIGTERM, handle)
os.write = write
errors = SystemExit(3), KeyboardInterrupt(), TimeoutError("too slow")
interrupted = 0
for number, is_after, error in itertools.product((1, 2, 3, 4), (False, True), errors):
    left = number
    try:
        work()
    except type(error):
        interrupted += 1
    left = 0
    spanwise.flush(10)
assert interrupted == 4 * 2 * 3, interrupted
"""


def test_a_signal_handler_that_raises_in_the_midst_of_a_write_costs_and_doubles_nothing(tmp_path):
    """What is written is not written again, what is not is written all the same, everywhere."""
    traces, calls = tmp_path / "traces", tmp_path / "calls.jsonl"
    settings = {"SPANWISE_TRACES_DIR": str(traces), "SPANWISE_RECORD": str(calls)}
    with FaultyCollector() as collector, Programs(tmp_path, collector.url, **settings) as programs:
        assert 0 == programs.run(INTERRUPTED_WRITES)
        assert 0 == outcome(collector, programs).twice
        assert 18 == len(collector.accepted)  # at the first of the four no span had begun
    for path in (*traces.glob("*.jsonl"), calls):
        lines, torn = lines_of(path)
        assert 0 == torn
        assert (24 if path == calls else 18) == len(lines)
        texts = [json.dumps({**line, "timestamp": None, "iteration": None}) for line in lines]
        assert len(lines) == len(set(texts))


# One process that has imported everything forks those that are killed: so they start at once.
KILLER = """
import os, random, signal, sys, threading, time
import requests
import spanwise, spanwise._pipeline
from support.producer import in_background, work

signal.alarm(0)
spanwise.configure(enabled=False)

def work_often():
    while True:
        work(random.choice((0, 0, 0, 200_000)))
        time.sleep(random.random() / 500)

for kill in range(int(sys.argv[1])):
    # The first one reports something however slow the machine is.
    lives_s = 0.02 + random.random() / 5 if kill else 3.0
    child = os.fork()
    if child == 0:
        spanwise.configure(enabled=True)
        in_background(work_often)
        work_often()
    time.sleep(lives_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
@pytest.mark.parametrize("collector_is", ["there", "away"])
def test_whenever_processes_are_killed_what_ended_is_recovered(tmp_path, collector_is, kills):
    """One after the other, at any moment: what each one reported arrives, and is in the files."""
    record, traces, calls = tmp_path / "record", tmp_path / "traces", tmp_path / "calls.jsonl"
    settings = {"SPANWISE_TRACES_DIR": str(traces), "SPANWISE_RECORD": str(calls)}
    with (
        FaultyCollector(record=record) as collector,
        Programs(tmp_path, collector.url, **settings) as programs,
    ):
        if collector_is == "away":
            collector.down()
        assert 0 == programs.run(KILLER, kills)
        assert all(torn <= 1 for torn in programs.torn().values())
        collector.up()
        assert 0 == programs.run_next_process()
        result = outcome(collector, programs)
        reported = len(programs.reported())
        assert reported > 0
        assert (0, 0) == (result.lost, result.corrupt)
        assert result.arrived - reported <= THREADS * kills
        # Of a request that was under way at a kill, nobody knows whether it had arrived.
        if collector_is == "away":
            assert 0 == result.twice
        assert repeated_requests(record) <= kills

    written, torn = lines_of(*traces.glob("observations*.jsonl"))
    assert torn <= kills
    assert set() == set(programs.reported()) - {line["id"] for line in written}
    recorded, torn = lines_of(calls)
    assert torn <= kills
    assert set() == programs.labels() - {line["kwargs"]["label"] for line in recorded}


# Ends when it is killed, with two spans open, one inside of the other, beside one that has ended.
OPEN = """
import os, sys, time
import spanwise
from support.producer import append, current_id, report, works

@spanwise.agent
def outer(question):
    works(3)
    inner()

@spanwise.tool
def inner():
    append(sys.argv[1], current_id())
    time.sleep(300)

spanwise.configure()
outer("why?")
"""
INTERRUPTED = "observation.interrupted"
ERROR = 2


def names_in(receiver: Receiver) -> Counter[str]:
    return Counter(span.name for span in receiver.spans())


def test_spans_that_are_open_at_a_kill_arrive_as_interrupted(tmp_path, receiver):
    """The nested one, too, each with an error and in its place; what had ended is as it was."""
    told = tmp_path / "told"
    with Programs(tmp_path, receiver.url, SPANWISE_LIVE="1") as programs:
        process = programs.start(OPEN, told)
        wait_until(told.exists)
        process.kill()
        assert -signal.SIGKILL == ended(process)
        assert 0 == programs.run_next_process()
        assert [] == programs.files("*.jsonl")
    assert {"outer": 1, "inner": 1, "work": 3} == names_in(receiver)
    spans = {span.name: span for span in receiver.spans()}
    assert {"outer": True, "inner": True, "work": None} == {
        name: attributes(span).get(INTERRUPTED) for name, span in spans.items()
    }
    assert (ERROR, ERROR) == (spans["outer"].status.code, spans["inner"].status.code)
    assert spans["work"].status.code != ERROR
    assert told.read_text() == spans["inner"].span_id.hex()
    assert spans["outer"].span_id == spans["inner"].parent_span_id == spans["work"].parent_span_id
    assert '{"question":"why?"}' == attributes(spans["outer"])["observation.input"]
    assert spans["inner"].end_time_unix_nano >= spans["inner"].start_time_unix_nano > 0


def test_spans_that_are_open_in_a_process_that_lives_are_not_sent(tmp_path, receiver):
    """Another process leaves them alone until their own one is gone."""
    told = tmp_path / "told"
    with Programs(tmp_path, receiver.url, SPANWISE_LIVE="1") as programs:
        process = programs.start(OPEN, told)
        wait_until(told.exists)
        assert (0, 0) == (programs.run_next_process(), programs.run_send())
        wait_until(lambda: {"work": 3} == names_in(receiver))
        process.kill()
        ended(process)
        assert 0 == programs.run_send()
    assert {"outer": 1, "inner": 1, "work": 3} == names_in(receiver)


def test_spans_that_are_open_at_a_kill_are_gone_unless_they_were_asked_for(tmp_path, receiver):
    """Without SPANWISE_LIVE nothing is noted of a span that has not ended."""
    told = tmp_path / "told"
    with Programs(tmp_path, receiver.url) as programs:
        process = programs.start(OPEN, told)
        wait_until(told.exists)
        assert [] == programs.files("*.open.jsonl")
        process.kill()
        ended(process)
        assert 0 == programs.run_next_process()
    assert {"work": 3} == names_in(receiver)


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_whenever_processes_are_killed_no_span_arrives_as_both_ended_and_interrupted(
    tmp_path, kills
):
    """What had ended is not told of as interrupted as well, whenever the kill comes."""
    receiver = Receiver()
    with Programs(tmp_path, "http://127.0.0.1:9", SPANWISE_LIVE="1") as programs:
        assert 0 == programs.run(KILLER, kills)
        programs.environment["SPANWISE_OTLP_ENDPOINT"] = receiver.url
        assert 0 == programs.run_send()
        reported = set(programs.reported())
    receiver.close()
    spans = receiver.spans()
    interrupted = {span.span_id.hex() for span in spans if INTERRUPTED in attributes(span)}
    assert len(spans) == len({span.span_id for span in spans})
    assert set() == reported & interrupted
    assert set() == reported - {span.span_id.hex() for span in spans}
    assert len(interrupted) <= THREADS * kills


def test_many_open_spans_are_not_written_anew_whenever_one_more_ends(tmp_path, monkeypatch):
    """What is noted of them is: it may be far more than what has ended meanwhile."""
    rewritten = []
    rewrite = started._rewrite
    monkeypatch.setattr(
        started, "_rewrite", lambda path, lines: (rewritten.append(path), rewrite(path, lines))
    )
    spanwise.configure(otlp_endpoint="http://127.0.0.1:9", spool_dir=tmp_path, live=True)

    @spanwise.agent
    def nested(depth, text):
        if depth:
            nested(depth - 1, text)
        for _ in range(0 if depth else 200):
            with spanwise.observe("short"):
                pass

    nested(100, "x" * 20_000)
    assert len(rewritten) < 10


# The child is killed in a span of its own, below one that its parent had open at the fork.
KILLED_CHILD = """
import os, signal
import spanwise
from support.producer import work, works

@spanwise.agent
def outer():
    child = os.fork()
    if child == 0:
        works(3)
        killed()
    os.waitpid(child, 0)
    work()

@spanwise.tool
def killed():
    os.kill(os.getpid(), signal.SIGKILL)

spanwise.configure()
outer()
"""


def test_a_span_that_is_open_at_a_fork_is_not_interrupted_by_a_kill_of_the_child(
    tmp_path, receiver
):
    """It is its parent's, which ends it; what the child itself had open is."""
    with Programs(tmp_path, receiver.url, SPANWISE_LIVE="1") as programs:
        assert 0 == programs.run(KILLED_CHILD)
        assert 0 == programs.run_next_process()
    assert {"outer": 1, "killed": 1, "work": 4} == names_in(receiver)
    interrupted = [span for span in receiver.spans() if INTERRUPTED in attributes(span)]
    assert ["killed"] == [span.name for span in interrupted]


# A span that its own process had delivered before it could note that it had ended.
KILLED_BEFORE_THE_NOTE = """
import os, signal
import spanwise
from spanwise.export.started import StartedSpans
from support.producer import work

end = StartedSpans.end
ends = 0

def killed(self, span_id):
    global ends
    ends += 1
    if ends == 3:
        assert spanwise.flush(30)
        os.kill(os.getpid(), signal.SIGKILL)
    end(self, span_id)

StartedSpans.end = killed
spanwise.configure()
for _ in range(3):
    work()
"""


def test_a_span_that_was_delivered_before_its_end_was_noted_is_not_interrupted(tmp_path, receiver):
    """A kill between the two leaves it among the open ones."""
    with Programs(tmp_path, receiver.url, SPANWISE_LIVE="1") as programs:
        assert -signal.SIGKILL == programs.run(KILLED_BEFORE_THE_NOTE)
        assert 3 == len(receiver.spans())
        assert 0 == programs.run_next_process()
    assert 3 == len(receiver.spans())


ENDS_AFTER_THE_EXIT = """
import atexit, os, sys, threading, time
import spanwise
from support.producer import append, in_background

is_closed, has_ended = threading.Event(), threading.Event()

def late():
    with spanwise.observe("late"):
        is_open.set()
        is_closed.wait(60)
    has_ended.set()

def let_it_end():
    append(sys.argv[1], "closed")
    while not os.path.exists(sys.argv[2]):
        time.sleep(0.01)
    is_closed.set()
    has_ended.wait(60)

atexit.register(let_it_end)  # called after what was registered later
is_open = threading.Event()
spanwise.configure()
in_background(late)
is_open.wait(60)
"""


def test_a_span_that_ends_after_everything_was_closed_is_not_interrupted(tmp_path, receiver):
    """A daemon thread ends it while the interpreter exits, and another process looks at it then."""
    closed, may_end = tmp_path / "closed", tmp_path / "may_end"
    with Programs(tmp_path, receiver.url, SPANWISE_LIVE="1") as programs:
        process = programs.start(ENDS_AFTER_THE_EXIT, closed, may_end)
        wait_until(closed.exists)
        assert 0 == programs.run_next_process()
        assert [] == receiver.spans()
        may_end.touch()
        assert 0 == ended(process)
        assert 0 == programs.run_next_process()
        assert [] == programs.files("*.jsonl")
    (span,) = receiver.spans()
    assert ("late", None) == (span.name, attributes(span).get(INTERRUPTED))


# Makes spans that nobody takes, and is killed.
KILLED = """
import os, signal
import spanwise
from support.producer import works
spanwise.configure()
works(100)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_spans_wait_for_their_own_destination(tmp_path):
    """Two applications share the root of their spools: neither one's spans go where the other's do."""
    with (
        FaultyCollector() as first,
        FaultyCollector() as second,
        Programs(tmp_path / "first", first.url) as killed,
        Programs(tmp_path / "second", second.url) as other,
    ):
        other.use_spool_of(killed)
        first.down()
        assert -signal.SIGKILL == killed.run(KILLED)
        assert -signal.SIGKILL == other.run(KILLED)
        assert 0 == other.run_next_process()
        assert Outcome(arrived=100) == outcome(second, other)
        assert 1 == len(killed.files("*.jsonl"))

        first.up()
        assert 0 == other.run_next_process()
        assert set() == first.accepted
        assert 0 == killed.run_next_process()
        assert Outcome(arrived=100) == outcome(first, killed)
        assert Outcome(arrived=100) == outcome(second, other)


def test_spans_wait_for_a_process_with_their_own_headers(tmp_path):
    """At the same address: what was spooled for one key is never sent with another."""
    with (
        FaultyCollector() as collector,
        Programs(tmp_path / "1", collector.url, SPANWISE_OTLP_HEADERS="x-key=one") as killed,
        Programs(tmp_path / "2", collector.url, SPANWISE_OTLP_HEADERS="x-key=two") as other,
    ):
        other.use_spool_of(killed)
        collector.down()
        assert -signal.SIGKILL == killed.run(KILLED)
        assert -signal.SIGKILL == other.run(KILLED)
        collector.up()
        assert 0 == other.run_next_process()
        assert Outcome(arrived=100) == outcome(collector, other)
        assert {"two"} == {request.headers["x-key"] for request in collector.requests}

        assert 0 == killed.run_next_process()
        assert Outcome(arrived=200) == outcome(collector, killed, other)
        spans_by_key = Counter()
        for request in collector.requests:
            spans_by_key[request.headers["x-key"]] += request.spans
        assert {"one": 100, "two": 100} == spans_by_key
        assert not any(b"one" in path.read_bytes() for path in other.files("destination.json"))


TWENTY_KILLED = """
import os, signal
import spanwise, spanwise._pipeline
from support.producer import works

for _ in range(20):
    child = os.fork()
    if child == 0:
        spanwise.configure()
        works(100)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
"""


def test_several_processes_share_what_dead_ones_left(tmp_path):
    """One of the four is killed in the midst of it: a request of its own may come twice, no other."""
    record = tmp_path / "record"
    with FaultyCollector(record=record) as collector, Programs(tmp_path, collector.url) as programs:
        collector.down()
        assert 0 == programs.run(TWENTY_KILLED)
        (folder,) = (path.parent for path in programs.files("destination.json"))
        locks = programs.files("*.lock")
        assert 20 == len(locks)
        # One whose process id is that of another process by now, one without a lock, and a lock
        # without anything.
        dead = locks[0].stem
        host, _, began, salt = dead.rsplit("-", 3)
        for path in programs.files(f"{dead}.*"):
            path.rename(folder / path.name.replace(dead, f"{host}-{os.getpid()}-{began}-{salt}"))
        locks[1].unlink()
        (folder / f"host-{os.getpid()}-1-00000000.lock").write_text("no cursor")

        collector.behaviour = Behaviour(fault="drip", drip_s=0.001)
        collector.up()
        killed = programs.start_next_process()
        assert collector.wait_for(1, 60)
        others = [programs.start_next_process() for _ in range(3)]
        assert collector.wait_for(300, 60)
        killed.kill()
        assert [0, 0, 0] == [ended(process) for process in others]
        assert 0 == programs.run_next_process()
        result = outcome(collector, programs)
        assert (2000, 0, 0) == (result.arrived, result.lost, result.corrupt)
        assert repeated_requests(record) <= 1
        assert [] == programs.files("*.jsonl") + programs.files("*.lock")


# Another process looks for what dead ones left just between the making and the locking of ours.
TAKEN = """
import os, signal, time
import spanwise
from spanwise.export import leases
from support.producer import work

locked = leases._locked
is_first = True

def after_another(fd, *args, **kwargs):
    global is_first
    if is_first:
        is_first = False
        theirs, ours = os.pipe()
        child = os.fork()
        if child == 0:
            locked(fd)
            os.write(ours, b"1")
            time.sleep(0.5)
            os._exit(0)
        os.read(theirs, 1)
    return locked(fd, *args, **kwargs)

leases._locked = after_another
spanwise.configure()
work()
assert "delayed.spool" not in spanwise.stats()  # it would wait in memory
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_first_span_is_kept_though_another_process_looks_for_those_of_dead_ones(tmp_path):
    """The new segments' lock is taken by the one that looks: others are made, at once."""
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        collector.down()
        assert -signal.SIGKILL == programs.run(TAKEN)
        assert 1 == len(programs.reported())
        collector.up()
        assert 0 == programs.run_next_process()
        assert Outcome(arrived=1) == outcome(collector, programs)


EXITS = """
import sys, time
import spanwise
from support.producer import append, works
spanwise.configure()
works(500)
append(sys.argv[1], str(time.monotonic()))
"""


@pytest.mark.parametrize("collector_is", ["away", "hanging"])
def test_a_collector_that_takes_nothing_holds_the_exit_up_for_two_seconds_at_most(
    tmp_path, collector_is
):
    """Compared with an exit without a collector; all that is left arrives afterwards."""

    def exit_s(programs: Programs, name: str) -> float:
        assert 0 == programs.run(EXITS, tmp_path / name)
        return time.monotonic() - float((tmp_path / name).read_text())

    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        with Programs(tmp_path / "none", "none", SPANWISE_TRACES_DIR=str(tmp_path)) as others:
            without_s = exit_s(others, "without")
        if collector_is == "away":
            collector.down()
        else:
            collector.behaviour = Behaviour(fault="hang")
        took_s = exit_s(programs, "with")
        # Two seconds by contract; the rest is for a machine that is busy.
        assert took_s - without_s < 2 + 4

        collector.down()
        collector.behaviour = Behaviour()
        collector.up()
        assert 0 == programs.run_next_process()
        assert Outcome(arrived=500) == outcome(collector, programs)
