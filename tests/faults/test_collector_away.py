"""A collector that is away, or a disk that is: nothing is lost for it, and nobody waits for it."""

from __future__ import annotations

import errno
import os
import stat
import statistics
import subprocess
import sys
import threading
import time

import pytest

import spanwise
from spanwise.export import drain, places, policy
from support.faulty_collector import (
    Behaviour,
    CollectorProcess,
    FaultyCollector,
    FaultyGrpcCollector,
    GrpcBehaviour,
)
from support.programs import Outcome, Programs, ended, repeated_requests, wait_until
from support.work import Work, outcome_of

REQUEST_TIMEOUT_S = 0.8
# What a call may take at most, and be it for the machine: less than any request that hangs.
LONGEST_CALL_S = 0.7
# As often as the calls of a run without faults. Only waiting is that slow.
MOST_TIMES_AS_LONG = 10
# How much longer than its two seconds an end may take on a busy machine.
PATIENCE_S = 4.0

FAULTS = {
    "hanging before it reads": Behaviour(fault="hang_before_reading", times=1),
    "hanging once it has read": Behaviour(fault="hang", times=1),
    "resetting before it reads": Behaviour(fault="reset_before_reading", times=2),
    "resetting once it has read": Behaviour(fault="reset", times=2),
    "answering byte by byte": Behaviour(fault="drip", drip_s=0.001, times=2),
    "answering byte by byte, without end": Behaviour(fault="drip", drip_s=0.2, times=1),
    "closing connections without a word": Behaviour(close_after_answer=True, times=2),
    "losing its acknowledgement": Behaviour(fault="lose_ack", times=2),
}
# The collector has accepted what it was sent then, and nobody knows.
ACKNOWLEDGING_NOTHING = {"answering byte by byte, without end", "losing its acknowledgement"}


@pytest.fixture
def collector():
    with FaultyCollector() as made:
        yield made


@pytest.fixture
def request_timeout(monkeypatch):
    """Requests end after a moment, so that a test need not wait for them for ten seconds."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", str(REQUEST_TIMEOUT_S))


def assert_nobody_waited(calm_s, took_s):
    """Compare the times of calls with those of a run without faults."""
    assert max(took_s) < LONGEST_CALL_S
    assert statistics.median(took_s) < MOST_TIMES_AS_LONG * statistics.median(calm_s)


# Row by row: what the collector does


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_while_the_collector_misbehaves(collector, request_timeout, fault):
    """It does for a request or two; what ends meanwhile arrives, and no call waits for that."""
    faulty = FAULTS[fault].times
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    calm_s = work.do(100, pause_s=0.002)
    assert spanwise.flush(30) is True
    requests = len(collector.requests)
    collector.behaviour = FAULTS[fault]
    took_s = []
    while len(collector.requests) <= requests + faulty:
        took_s += work.do(50, pause_s=0.002)
    assert spanwise.flush(30) is True
    unacknowledged = 0
    if fault in ACKNOWLEDGING_NOTHING:
        sent = sum(request.spans for request in collector.requests[requests : requests + faulty])
        unacknowledged = len(set(collector.spans[100 : 100 + sent]))
        assert unacknowledged > 0
    assert Outcome(len(work.ids), twice=unacknowledged) == work.outcome(collector)
    assert_nobody_waited(calm_s, took_s)


@pytest.mark.parametrize("away_s", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_a_collector_that_is_dead_for_a_while_costs_nothing(collector, monkeypatch, away_s):
    """What ends meanwhile is there soon after it is back, without a flush."""
    monkeypatch.setattr(policy, "RETRY_LONGEST_S", 0.5)
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    calm_s = work.do_in_threads(2, 150, pause_s=0.002)
    assert spanwise.flush(30) is True
    collector.down()
    took_s = []
    until = time.monotonic() + away_s
    while time.monotonic() < until:
        took_s += work.do_in_threads(2, 100, pause_s=0.002)
    assert spanwise.flush(0.1) is False
    collector.up()
    assert collector.wait_for(len(work.ids), 60)
    assert spanwise.flush(30) is True
    assert Outcome(len(work.ids)) == work.outcome(collector)
    assert_nobody_waited(calm_s, took_s)


def test_a_collector_that_restarts_under_load_gets_everything(tmp_path):
    """Killed four times; twice arrives at most what one request brought at each of these."""
    kills = 4
    with CollectorProcess(tmp_path / "record") as collector:
        collector.start()
        spanwise.configure(otlp_endpoint=collector.url)
        work = Work()
        calm_s = work.do(300, pause_s=0.002)
        took_s = []
        for _ in range(kills):
            took_s += work.do(100, pause_s=0.002)
            collector.kill()
            took_s += work.do(100, pause_s=0.002)
            with work.going_on():
                collector.start()
        assert spanwise.flush(60) is True
        outcome = work.outcome(collector)
        assert (len(work.ids), 0) == (outcome.arrived, outcome.lost)
        assert repeated_requests(tmp_path / "record") <= kills
        assert_nobody_waited(calm_s, took_s)


def test_what_ends_while_the_collector_is_dead_is_sent_by_the_next_process(tmp_path):
    """It is dead for the whole run, which ends as ever; the next one finds it alive."""
    program = "from support.producer import works; import spanwise; spanwise.configure(); works(%d)"
    with (
        CollectorProcess(tmp_path / "record") as collector,
        Programs(tmp_path, collector.url) as programs,
    ):
        assert 0 == programs.run(program % 750)
        assert set() == collector.accepted
        collector.start()
        assert 0 == programs.run_next_process()
        assert Outcome(750) == outcome_of(programs.reported(), collector)
        assert [] == programs.files("*.jsonl")


# Flushing, shutting down and exiting


def hanging(protocol):
    """Return a collector that never answers."""
    if protocol == "grpc":
        made = FaultyGrpcCollector()
        made.behaviour = GrpcBehaviour(hang=True)
    else:
        made = FaultyCollector()
        made.behaviour = Behaviour(fault="hang")
    return made


def mend(collector):
    """Have a collector that hangs accept what comes next."""
    collector.behaviour = type(collector.behaviour)()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_a_flush_keeps_its_timeout_and_a_shutdown_its_own(protocol, monkeypatch):
    """The collector hangs; what it was sent in vain arrives later."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
    # Longer than both, and what it belongs to is not sent by anybody else as long as it lasts.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3")
    monkeypatch.setattr(drain, "_SCAN_EVERY_S", 0.2)
    with hanging(protocol) as collector:
        spanwise.configure(otlp_endpoint=collector.url)
        work = Work()
        work.do(100)
        since = time.monotonic()
        assert spanwise.flush(0.5) is False
        assert time.monotonic() - since < 0.5 + PATIENCE_S
        since = time.monotonic()
        spanwise.shutdown()
        assert time.monotonic() - since < 2 + PATIENCE_S
        mend(collector)
        spanwise.configure(otlp_endpoint=collector.url)
        work.do(1)
        assert collector.wait_for(101, 60)
        assert spanwise.flush(30) is True
        assert Outcome(101) == work.outcome(collector)


PROGRAM = """
import sys, time
import spanwise
from support.producer import append, works
spanwise.configure()
works(100)
append(sys.argv[1], f"{time.time()} ")
if sys.argv[2] == "shutdown":
    spanwise.shutdown()
append(sys.argv[1], f"{time.time()} ")
"""


@pytest.mark.parametrize(("protocol", "how"), [("http/protobuf", "shutdown"), ("grpc", "exit")])
def test_an_end_takes_two_seconds_more_at_most(tmp_path, protocol, how):
    """With a collector that hangs, compared with one that does not; what waits arrives later."""
    settings = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    with hanging(protocol) as collector, Programs(tmp_path, collector.url, **settings) as programs:

        def run(told):
            process = programs.start(PROGRAM, told, how)
            assert 0 == ended(process)
            return time.time() - float(told.read_text().split(" ")[0])

        hanging_s = run(tmp_path / "hanging")
        assert set() == collector.accepted
        mend(collector)
        calm_s = run(tmp_path / "calm")
        assert hanging_s < calm_s + 2 + PATIENCE_S
        assert 0 == programs.run_next_process()
        assert Outcome(200) == outcome_of(programs.reported(), collector)


# Disks


class Disk:
    """What becomes of writes to files; with nothing said they are as ever.

    Attributes:
        until: moment on the monotonic clock before which no write ends.
        error: that writes fail with, and files are opened with; or None.
        most_bytes: that one write takes before the disk is full, or None.
    """

    def __init__(self, monkeypatch):
        self.until = 0.0
        self.error = None
        self.most_bytes = None
        self._write, self._open = os.write, os.open
        monkeypatch.setattr(os, "write", self.write)
        monkeypatch.setattr(os, "open", self.open)

    def write(self, fd, data):
        if stat.S_ISREG(os.fstat(fd).st_mode):
            time.sleep(max(0.0, self.until - time.monotonic()))
            if self.error is not None:
                raise OSError(self.error, os.strerror(self.error))
            data = bytes(data)[: self.most_bytes]
        return self._write(fd, data)

    def open(self, path, flags, *arguments, **options):
        is_ours = "spool" in os.fspath(path) and flags & (os.O_WRONLY | os.O_RDWR)
        if is_ours and self.error == errno.EROFS:
            raise OSError(self.error, os.strerror(self.error), path)
        return self._open(path, flags, *arguments, **options)


@pytest.fixture
def disk(monkeypatch, tmp_path):
    # There is no other place, either.
    monkeypatch.setattr(places, "_spare_root", lambda: tmp_path / "spare" / "spool")
    (tmp_path / "spare").mkdir()
    return Disk(monkeypatch)


@pytest.mark.parametrize("stall_s", [1.5, pytest.param(5.0, marks=pytest.mark.slow)])
def test_a_disk_that_stalls_holds_up_one_call(collector, disk, stall_s):
    """The one that writes just then; those of all threads after it go on as ever."""
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    calm_s = work.do_in_threads(4, 100, pause_s=0.002)
    disk.until = time.monotonic() + stall_s
    took_s = work.do_in_threads(4, 200, pause_s=0.002)
    assert sum(seconds > stall_s / 2 for seconds in took_s) <= 1
    assert statistics.median(took_s) < MOST_TIMES_AS_LONG * statistics.median(calm_s)
    assert spanwise.flush(60) is True
    assert Outcome(1200) == work.outcome(collector)
    assert 0 < spanwise.stats()["delayed.spool"]


def wait_until_spooled(work):
    """Make spans until one is in a file again: a disk that was full is tried now and then."""
    before = spanwise.stats().get("written.spool", 0)
    wait_until(lambda: work.do(1) and spanwise.stats().get("written.spool", 0) > before)


FULL = {
    "full": {"error": errno.ENOSPC},
    "full in the midst of a line": {"most_bytes": 100},
    "read-only": {"error": errno.EROFS},
}


@pytest.mark.parametrize("is_spooled_before", [True, False], ids=["later", "from the beginning"])
@pytest.mark.parametrize("kind", FULL)
def test_what_cannot_be_spooled_is_sent_from_memory(collector, disk, kind, is_spooled_before):
    """While the collector takes it; once the disk is mended, spans are spooled again."""
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    if is_spooled_before:
        work.do(100)
    for name, value in FULL[kind].items():
        setattr(disk, name, value)
    took_s = work.do(200)
    assert max(took_s) < LONGEST_CALL_S
    assert spanwise.flush(30) is True
    assert Outcome(len(work.ids)) == work.outcome(collector)
    disk.error = disk.most_bytes = None
    wait_until_spooled(work)
    assert spanwise.flush(30) is True
    before = spanwise.stats()["written.spool"]
    work.do(100)
    assert before + 100 == spanwise.stats()["written.spool"]
    assert spanwise.flush(30) is True
    assert Outcome(len(work.ids)) == work.outcome(collector)
    assert "lost.spool" not in spanwise.stats()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit for files")
@pytest.mark.parametrize("how", ["exit", "shutdown"])
def test_what_cannot_be_spooled_is_sent_at_the_end(collector, tmp_path, how):
    """Nobody else could do that later."""
    program = """
    import resource, sys
    import spanwise
    from support.producer import current_id
    spanwise.configure()
    @spanwise.tool
    def work():
        return current_id()
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
    ids = [work() for _ in range(1000)]
    if sys.argv[1] == "shutdown":
        spanwise.shutdown()
    print(*ids, end="", flush=True)
    """
    with Programs(tmp_path, collector.url) as programs:
        process = programs.start(program, how, stdout=subprocess.PIPE)
        told, _ = process.communicate(timeout=60)
        assert 0 == process.returncode
        assert Outcome(1000) == outcome_of(told.decode().split(), collector)


def test_what_neither_the_disk_nor_the_collector_takes_is_counted(
    collector, disk, monkeypatch, caplog
):
    """Above the bound of what waits in memory; the rest arrives, and flush tells the truth."""
    spanwise.configure(otlp_endpoint=collector.url)
    (sink,) = spanwise._state.runtime.processor.wiring.sinks
    monkeypatch.setattr(sink._lines._backlog, "_most_bytes", 50_000)
    work = Work()
    disk.error = errno.ENOSPC
    collector.down()
    work.do(200)
    lost = spanwise.stats()["lost.spool"]
    assert 0 < lost < 200
    assert 1 == len([r for r in caplog.records if "lines are lost" in r.message])
    assert spanwise.flush(0.5) is False
    disk.error = None
    collector.up()
    assert collector.wait_for(200 - lost, 60)
    wait_until_spooled(work)
    work.do(100)
    assert spanwise.flush(5) is False
    assert lost == spanwise.stats()["lost.spool"]
    assert Outcome(len(work.ids) - lost, lost=lost) == work.outcome(collector)


def test_a_flush_is_false_while_what_waits_in_memory_is_on_its_way(
    collector, disk, request_timeout
):
    """It is neither in a file nor acknowledged then."""
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    disk.error = errno.ENOSPC
    collector.behaviour = Behaviour(fault="hang")
    work.do(100)
    wait_until(lambda: collector.requests)
    assert spanwise.flush(0.5) is False
    mend(collector)
    disk.error = None
    assert spanwise.flush(30) is True
    assert Outcome(100) == work.outcome(collector)


def test_a_flush_waits_for_what_is_spooled_only_meanwhile(collector, disk):
    """It was in memory when the flush began, and has not arrived because it is in a file."""
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    disk.error = errno.ENOSPC
    collector.down()
    work.do(100)
    wait_until(lambda: spanwise.stats().get("retried.otlp"))
    mending = threading.Timer(0.3, lambda: setattr(disk, "error", None))
    mending.start()
    assert spanwise.flush(1.5) is False
    mending.join()
    assert 100 == spanwise.stats()["written.spool"]
    collector.up()
    assert spanwise.flush(30) is True
    assert Outcome(100) == work.outcome(collector)
