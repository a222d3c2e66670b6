"""Disks that stall, fail and come back: the program is not held up, and no line is lost."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import sys
import threading
import time

import pytest

import spanwise
from spanwise.export import backlog as backlog_module
from spanwise.export.backlog import Backlog
from spanwise.export.lines import LineFile
from support.forks import WATCHDOG_S, Child, fork_in_c

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")

STALL_S = 2.0


class Disk:
    """Takes lines, and remembers by which thread; may stall, fail, or call something."""

    def __init__(self):
        self.lines = []
        self.threads = []
        self.fault = None
        self.during = None
        self.is_asked = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, line):
        self.is_asked.set()
        assert self.go_on.wait(WATCHDOG_S)
        if self.fault is not None:
            raise self.fault
        if self.during is not None:
            self.during(line)
        self.lines.append(line)
        self.threads.append(threading.get_ident())

    def stall(self):
        self.is_asked.clear()
        self.go_on.clear()


@pytest.fixture
def patch():
    """Patches that a test may take back by itself, without those that protect it."""
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture
def disk():
    made = Disk()
    yield made
    made.fault = None
    made.go_on.set()


@pytest.fixture
def make(disk):
    """Make backlogs to the disk; each is written at the end."""
    made = []

    def backlog(**options):
        made.append(Backlog("test", "the disk", disk, **options))
        return made[-1]

    yield backlog
    disk.fault = disk.during = None
    disk.go_on.set()
    for each in made:
        until = time.monotonic() + WATCHDOG_S
        while each.waits():
            assert time.monotonic() < until
            each.flush(1)


def line(*parts):
    return ("-".join(map(str, parts)) + "\n").encode()


def until(condition):
    """Wait until the condition holds."""
    end = time.monotonic() + WATCHDOG_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def started(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def took_s(function, *args):
    since = time.monotonic()
    function(*args)
    return time.monotonic() - since


def test_a_line_is_written_by_the_thread_that_makes_it(disk, make):
    """No other thread is started where the disk answers."""
    backlog = make()
    before = threading.active_count()
    for n in range(10):
        backlog.append(line(n))
        assert line(n) == disk.lines[-1]
    assert {threading.get_ident()} == set(disk.threads)
    assert before == threading.active_count()
    assert 10 == backlog.written() == spanwise.stats()["written.test"]
    assert not backlog.waits()
    assert backlog.flush(0) is True


def test_nothing_appended_is_nothing_to_wait_for(make):
    """A flush is True, a close does nothing."""
    backlog = make()
    assert backlog.flush(0) is True
    backlog.close(0)
    assert 0 == backlog.written()
    assert not backlog.has_lost()


def test_a_disk_that_stalls_holds_up_one_call_only(disk, make):
    """Later calls of 8 threads return in a small part of the time that the stall lasts."""
    backlog = make()
    disk.stall()
    first = started(backlog.append, line("first"))
    assert disk.is_asked.wait(WATCHDOG_S)
    took = []

    def append(name):
        for n in range(50):
            took.append(took_s(backlog.append, line(name, n)))

    since = time.monotonic()
    threads = [started(append, name) for name in range(8)]
    for thread in threads:
        thread.join(WATCHDOG_S)
    assert 400 == len(took)
    assert first.is_alive()
    time.sleep(max(0.0, STALL_S - (time.monotonic() - since)))
    assert max(took) < STALL_S / 2
    assert backlog.flush(0.01) is False
    disk.go_on.set()
    first.join(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is True
    assert 401 == len(set(disk.lines)) == len(disk.lines) == backlog.written()
    for name in range(8):
        own = [x for x in disk.lines if x.startswith(line(name)[:-1] + b"-")]
        assert [line(name, n) for n in range(50)] == own
    assert 400 == spanwise.stats()["delayed.test"]
    assert "lost.test" not in spanwise.stats()


def test_the_thread_that_was_held_up_once_is_not_held_up_again(disk, make):
    """Its later lines go past the disk until that answers quickly."""
    backlog = make()
    stalls = [STALL_S, STALL_S]
    disk.during = lambda _: time.sleep(stalls.pop() if stalls else 0)
    first = took_s(backlog.append, line(0))
    later = [took_s(backlog.append, line(n)) for n in range(1, 100)]
    assert first > STALL_S * 0.9
    assert max(later) < STALL_S / 2
    assert backlog.flush(WATCHDOG_S) is True
    assert [line(n) for n in range(100)] == disk.lines


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the platform has no such pipes")
def test_a_pipe_that_nobody_reads_holds_up_one_call_only(tmp_path):
    """Once it is read, all of it comes out, whole and in order."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    backlog = Backlog("test", "the pipe", LineFile(path).append)
    lines = [b"%06d" % n + b"x" * 500 + b"\n" for n in range(400)]
    is_done = threading.Event()

    def append():
        for each in lines:
            backlog.append(each)
        is_done.set()

    started(append)
    time.sleep(0.5)
    assert not is_done.is_set(), "the first one that does not fit is held up"
    more = [b"more %06d\n" % n for n in range(100)]
    took = [took_s(backlog.append, each) for each in more]
    assert backlog.flush(0.1) is False
    assert max(took) < STALL_S / 2
    got = b""
    with open(path, "rb", buffering=0) as stream:
        while len(got) < sum(map(len, lines + more)):
            got += stream.read(65_536)
    assert is_done.wait(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is True
    got = got.splitlines(keepends=True)
    assert lines == [each for each in got if not each.startswith(b"more")]
    assert more == [each for each in got if each.startswith(b"more")]


def test_lines_of_a_thread_stay_in_order_while_the_disk_recovers(disk, make):
    """Those that come while others are still waiting queue up behind them."""
    backlog = make()
    for attempt in range(5):
        disk.stall()
        first = started(backlog.append, line(attempt, "first"))
        assert disk.is_asked.wait(WATCHDOG_S)
        names = [f"{attempt}.{n}" for n in range(3)]
        stop = threading.Event()
        counts = {}

        def append(name, stop=stop, counts=counts):
            for n in itertools.count():
                backlog.append(line(name, n))
                counts[name] = n
                if stop.is_set():
                    return

        threads = [started(append, name) for name in names]
        until(lambda names=names, counts=counts: all(counts.get(x, 0) > 20 for x in names))
        disk.go_on.set()
        until(lambda: not backlog.waits())
        stop.set()
        for thread in [first, *threads]:
            thread.join(WATCHDOG_S)
        assert backlog.flush(WATCHDOG_S) is True
        for name in names:
            own = [x for x in disk.lines if x.startswith(name.encode() + b"-")]
            assert [line(name, n) for n in range(counts[name] + 1)] == own


def test_a_line_that_comes_while_others_wait_queues_up_behind_them(disk, make):
    """Also if the disk is quick again by then."""
    backlog = make()
    disk.fault = OSError(28, "full")
    backlog.append(line(0))
    backlog.append(line(1))
    backlog.append(line(2))
    disk.fault = None
    late = []

    def during(written):
        if written == line(0):
            return
        if not late:
            late.append(started(backlog.append, line(3)))
            late[0].join(0.3)

    disk.during = during
    assert backlog.flush(WATCHDOG_S) is True
    until(lambda: late)
    late[0].join(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is True
    assert [line(n) for n in range(4)] == disk.lines


def test_lines_do_not_pile_up_once_the_disk_is_quick_again(disk, make):
    """Whoever makes lines helps to write those that wait, so that no bound is reached."""
    backlog = make(most_bytes=300_000)
    disk.stall()
    first = started(backlog.append, line("first"))
    assert disk.is_asked.wait(WATCHDOG_S)
    for n in range(2_000):
        backlog.append(line("waits", n))

    def append(name):
        for n in range(15_000):
            backlog.append(line(name, n))

    disk.go_on.set()
    until(lambda: not backlog._own.get().is_slow)
    threads = [started(append, name) for name in range(4)]
    for thread in [first, *threads]:
        thread.join(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is True
    assert "lost.test" not in spanwise.stats()
    assert 62_001 == len(disk.lines)
    for name in ("waits", 0, 1, 2, 3):
        own = [x for x in disk.lines if x.startswith(line(name)[:-1] + b"-")]
        assert [line(name, n) for n in range(len(own))] == own


def test_what_does_not_fit_into_memory_is_counted(disk, make, caplog):
    """Up to the bound lines wait; the program goes on in any case."""
    backlog = make(most_bytes=1_000)
    disk.stall()
    first = started(backlog.append, line("first"))
    assert disk.is_asked.wait(WATCHDOG_S)
    each = b"x" * 99 + b"\n"
    for _ in range(25):
        backlog.append(each)
    assert 15 == spanwise.stats()["lost.test"]
    assert 10 == spanwise.stats()["delayed.test"]
    assert backlog.has_lost()
    disk.go_on.set()
    first.join(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is False, "some are lost for good"
    assert [line("first"), *[each] * 10] == disk.lines
    assert 1 == len([r for r in caplog.records if "lines are lost" in r.message])
    until(lambda: not backlog.waits())
    backlog.append(each)
    assert 15 == spanwise.stats()["lost.test"], "there is room again"


def test_room_in_memory_is_given_back(disk, make):
    """However often the disk fails and recovers, the bound stays where it was."""
    backlog = make(most_bytes=1_000)
    for _ in range(30):
        disk.fault = OSError(28, "full")
        for _ in range(9):
            backlog.append(b"x" * 99 + b"\n")
        disk.fault = None
        assert backlog.flush(WATCHDOG_S) is True
    assert "lost.test" not in spanwise.stats()
    assert 270 == len(disk.lines)


def test_after_a_recovery_lines_are_written_directly_again(disk, make):
    """By the thread that makes them."""
    backlog = make()
    for cause in ("stall", "fault"):
        if cause == "stall":
            disk.stall()
            first = started(backlog.append, line(cause))
            assert disk.is_asked.wait(WATCHDOG_S)
            backlog.append(line("later"))
            disk.go_on.set()
            first.join(WATCHDOG_S)
        else:
            disk.fault = OSError(28, "full")
            backlog.append(line(cause))
            disk.fault = None
        assert backlog.flush(WATCHDOG_S) is True
        for n in itertools.count():
            assert n < 1_000
            backlog.append(line(n))
            assert backlog.flush(WATCHDOG_S) is True
            if disk.threads[-1] == threading.get_ident():
                break
        disk.threads.clear()
        for n in range(10):
            backlog.append(line(n))
        assert {threading.get_ident()} == set(disk.threads)


def test_a_disk_that_takes_nothing_for_a_while_gets_everything_later(disk, make, caplog):
    """In the order of the lines; it is said once."""
    backlog = make()
    disk.fault = OSError(28, "No space left on device")
    for n in range(20):
        backlog.append(line(n))
    assert backlog.flush(0.3) is False
    assert [] == disk.lines
    assert not backlog.has_lost()
    disk.fault = None
    until(lambda: not backlog.waits())
    assert backlog.flush(0) is True
    assert [line(n) for n in range(20)] == disk.lines
    assert 20 == backlog.written() == spanwise.stats()["delayed.test"]
    assert 1 == len([r for r in caplog.records if "cannot write to the disk" in r.message])


def test_a_fault_that_is_not_the_disks_keeps_the_line_as_well(disk, make):
    """The caller hears of it; the line is tried again."""
    backlog = make()
    disk.fault = ZeroDivisionError("ours")
    with pytest.raises(ZeroDivisionError):
        backlog.append(line(0))
    disk.fault = None
    assert backlog.flush(WATCHDOG_S) is True
    assert [line(0)] == disk.lines


@pytest.mark.parametrize("state", ["stalls", "fails", "fails, then stalls", "stalls in the thread"])
@pytest.mark.parametrize("call", ["flush", "close"])
def test_a_flush_and_a_close_keep_to_their_time(disk, make, state, call):
    """And tell the truth, whatever the disk does meanwhile."""
    backlog = make()
    first = None
    if "fails" in state:
        disk.fault = OSError(28, "full")
        backlog.append(line("first"))
        until(lambda: backlog._own.get().is_failing)
    if "stalls" in state:
        disk.stall()
        if state == "stalls":
            first = started(backlog.append, line("first"))
        elif state == "stalls in the thread":
            disk.go_on.set()
            disk.during = lambda _: (time.sleep(0.3), disk.stall())
            backlog.append(line("first"))
        disk.fault = None
    if state != "fails":
        backlog.append(line("second"))
        assert disk.is_asked.wait(WATCHDOG_S)
    results = []
    took = took_s(lambda: results.append(getattr(backlog, call)(0.3)))
    assert took < 5, "the disk would take much longer"
    if call == "flush":
        assert [False] == results
        assert not backlog.has_lost()
    else:
        assert backlog.has_lost()
        assert spanwise.stats()["lost.test"] >= 1
        assert backlog.flush(0) is False
        assert not backlog.waits()
    disk.during = disk.fault = None
    disk.go_on.set()
    if first is not None:
        first.join(WATCHDOG_S)


def test_many_that_were_in_a_hurry_have_the_disk_asked_once(disk, make):
    """Not once for each of them, when the disk fails later on."""
    backlog = make()
    disk.stall()
    first = started(backlog.append, line("first"))
    assert disk.is_asked.wait(WATCHDOG_S)
    backlog.append(line("second"))
    for _ in range(500):
        assert backlog.flush(0) is False
    asked = []
    write = backlog._write
    backlog._write = lambda text: asked.append(text) or write(text)
    disk.fault = OSError(28, "full")
    disk.go_on.set()
    first.join(WATCHDOG_S)
    until(lambda: asked)
    time.sleep(0.3)
    assert len(asked) < 50


def test_a_close_waits_for_a_disk_that_answers_in_time(disk, make):
    """Nothing is lost then."""
    backlog = make()
    disk.stall()
    first = started(backlog.append, line("first"))
    assert disk.is_asked.wait(WATCHDOG_S)
    for n in range(20):
        backlog.append(line(n))
    threading.Timer(0.5, disk.go_on.set).start()
    backlog.close(WATCHDOG_S)
    first.join(WATCHDOG_S)
    assert 21 == len(disk.lines)
    assert "lost.test" not in spanwise.stats()
    assert backlog.flush(0) is True


def test_a_close_asks_a_disk_that_failed_once_more(disk, make):
    """It may take everything by now."""
    backlog = make()
    disk.fault = OSError(28, "full")
    for n in range(5):
        backlog.append(line(n))
    disk.fault = None
    backlog.close(WATCHDOG_S)
    assert [line(n) for n in range(5)] == disk.lines
    assert "lost.test" not in spanwise.stats()


def test_after_a_close_lines_are_taken_all_the_same(disk, make):
    """They are written, or wait."""
    backlog = make()
    disk.fault = OSError(28, "full")
    backlog.append(line(0))
    backlog.close(0)
    assert 1 == spanwise.stats()["lost.test"]
    backlog.append(line(1))
    disk.fault = None
    until(lambda: not backlog.waits())
    assert [line(1)] == disk.lines


# Lines that are brought somewhere else meanwhile.


def test_lines_that_are_taken_out_are_still_waited_for(disk, make):
    """Until they have arrived there, or were given back and written."""
    backlog = make()
    assert [] == backlog.take(10)
    disk.fault = OSError(28, "full")
    for n in range(5):
        backlog.append(line(n))
    until(lambda: backlog._own.get().is_failing)
    taken = []
    until(lambda: taken.extend(backlog.take(3)) or taken)
    assert [line(n) for n in range(3)] == taken
    disk.fault = None
    until(lambda: len(disk.lines) == 2)
    assert backlog.waits()
    assert backlog.flush(0.05) is False
    backlog.give_back(taken[1:])
    assert backlog.flush(WATCHDOG_S) is True
    assert [line(n) for n in (3, 4, 1, 2)] == disk.lines
    assert not backlog.waits()


def test_lines_that_arrived_elsewhere_are_done_with(disk, make):
    """Nothing is given back then."""
    backlog = make()
    disk.fault = OSError(28, "full")
    backlog.append(line(0))
    taken = []
    until(lambda: taken.extend(backlog.take(3)) or taken)
    assert backlog.waits()
    backlog.give_back([])
    assert not backlog.waits()
    assert backlog.flush(0) is True
    assert 0 == backlog.written()


def test_nothing_is_taken_out_while_the_disk_is_only_slow(disk, make):
    """It is written, and would arrive twice."""
    backlog = make()
    disk.stall()
    first = started(backlog.append, line("first"))
    assert disk.is_asked.wait(WATCHDOG_S)
    backlog.append(line("second"))
    assert [] == backlog.take(10)
    disk.go_on.set()
    first.join(WATCHDOG_S)


def test_what_is_elsewhere_at_the_close_is_counted(disk, make):
    """Whoever took it may never give it back."""
    backlog = make()
    disk.fault = OSError(28, "full")
    for n in range(5):
        backlog.append(line(n))
    taken = []
    until(lambda: taken.extend(backlog.take(3)) or taken)
    backlog.close(0.1)
    assert 5 == spanwise.stats()["lost.test"]
    backlog.give_back([])


# Forks.


@forks
@pytest.mark.parametrize("in_c", [False, True])
def test_a_child_forked_while_a_write_hangs_appends_at_once(tmp_path, in_c):
    """What waits in its parent is written once, by the parent."""
    if in_c and sys.platform != "linux":
        pytest.skip("the C library is found by another name")
    path = tmp_path / "lines"
    file = LineFile(path)
    parent = os.getpid()
    is_asked, go_on = threading.Event(), threading.Event()

    def write(text):
        if os.getpid() == parent:
            is_asked.set()
            assert go_on.wait(WATCHDOG_S)
        file.append(text)

    backlog = Backlog("test", "the file", write)
    first = started(backlog.append, line("first"))
    assert is_asked.wait(WATCHDOG_S)
    for n in range(5):
        backlog.append(line("parent", n))

    def child(_):
        assert not backlog.waits()
        assert 0 == backlog.written()
        assert backlog.flush(0) is True
        backlog.close(0)
        for n in range(5):
            backlog.append(line("child", n))
        assert backlog.flush(0) is True
        return backlog.written(), path.read_bytes()

    with Child(child, fork_in_c if in_c else os.fork) as forked:
        assert (5, b"".join(line("child", n) for n in range(5))) == forked.result()
    go_on.set()
    first.join(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is True
    expected = [line("child", n) for n in range(5)] + [line("first")]
    expected += [line("parent", n) for n in range(5)]
    assert expected == path.read_bytes().splitlines(keepends=True)


@forks
def test_a_child_has_a_thread_of_its_own_for_what_it_cannot_write(tmp_path):
    """Its parent's does not run in it."""
    file = LineFile(tmp_path / "lines")
    fault = [OSError(28, "full")]

    def write(text):
        if fault:
            raise fault[0]
        file.append(text)

    backlog = Backlog("test", "the file", write)
    backlog.append(line("parent"))

    def child(_):
        backlog.append(line("child"))
        assert backlog.flush(0.05) is False
        fault.clear()
        until(lambda: not backlog.waits())
        return file.path.read_bytes()

    with Child(child) as forked:
        assert line("child") == forked.result()
    fault.clear()
    assert backlog.flush(WATCHDOG_S) is True
    assert line("child") + line("parent") == file.path.read_bytes()


# Lines in the midst of lines, and exceptions.


class Appending:
    """Appends a line when it is collected."""

    def __init__(self, backlog):
        self.backlog = backlog
        self.itself = self

    def __del__(self):
        self.backlog.append(line("inner"))


@pytest.mark.parametrize("way", ["call", "__del__", "gc callback", "signal"])
@pytest.mark.parametrize("where", ["write", "thread", "log"])
def test_a_line_in_the_midst_of_another_is_kept(disk, make, way, where, patch):
    """Wherever the garbage collector or a signal handler of the program interrupts us."""
    if way == "signal" and where == "thread":
        pytest.skip("handlers run in the main thread")
    backlog = make()
    calls = []

    def inner():
        if not calls:
            calls.append(way)
            if way == "call":
                backlog.append(line("inner"))
            elif way == "signal":
                signal.raise_signal(signal.SIGTERM)
            elif way == "__del__":
                Appending(backlog)
                gc.collect()
            else:

                def callback(phase, info):
                    gc.callbacks.remove(callback)
                    backlog.append(line("inner"))

                gc.callbacks.append(callback)
                gc.collect()

    before = signal.signal(signal.SIGTERM, lambda *_: backlog.append(line("inner")))
    try:
        if where == "write":
            disk.during = lambda _: inner()
            backlog.append(line("outer"))
        elif where == "log":
            patch.setattr(backlog_module._guard, "warn", lambda *_: inner())
            disk.fault = OSError(28, "full")
            backlog.append(line("outer"))
            disk.fault = None
        else:
            disk.fault = OSError(28, "full")
            backlog.append(line("outer"))
            disk.during = lambda _: inner()
            disk.fault = None
            until(lambda: not backlog.waits())
    finally:
        signal.signal(signal.SIGTERM, before)
    assert [way] == calls
    assert backlog.flush(WATCHDOG_S) is True
    assert [line("inner"), line("outer")] == sorted(disk.lines)
    other = started(backlog.append, line("other"))
    other.join(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is True
    assert disk.lines[-1] == line("other")


class Stop(BaseException):
    """What a program may raise in a signal handler."""


@pytest.mark.parametrize(
    "error",
    [
        KeyboardInterrupt,
        SystemExit,
        Stop,
        TimeoutError("of the program"),
        OSError(5, "its own"),
        ValueError,
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_a_signal_handler_raises_in_the_write_reaches_the_caller(disk, make, error, when):
    """The line is not lost by that, and nobody is held up by it."""
    backlog = make()
    backlog.append(line(0))

    def handler(number, frame):
        raise error

    def during(written):
        disk.during = None
        if when == "after":
            disk.lines.append(written)
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        disk.during = during
        with pytest.raises(error if isinstance(error, type) else type(error)):
            backlog.append(line(1))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert backlog.flush(WATCHDOG_S) is True
    other = started(backlog.append, line(2))
    other.join(WATCHDOG_S)
    assert backlog.flush(WATCHDOG_S) is True
    assert {line(n) for n in range(3)} == set(disk.lines)


def interrupted_at(step, function, module):
    """Call the function, raising Stop after the n-th call in a module; return whether it did.

    Python looks for signals where a function begins and after each call.
    """
    left = step

    def profile(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename == module.__file__ and event in ("call", "c_return"):
            left -= 1
            if left == 0:
                sys.setprofile(None)
                raise Stop

    sys.setprofile(profile)
    try:
        function()
    except Stop:
        return True
    finally:
        sys.setprofile(None)
    return False


@pytest.mark.parametrize("state", ["answers", "fails", "waits"])
def test_an_exception_between_any_two_steps_of_ours_holds_nobody_up(disk, make, state):
    """As a signal handler may raise one anywhere: the next lines of all threads are written."""
    lost = []
    for step in itertools.count(1):
        assert step < 200
        backlog = make()
        if state == "waits":
            disk.fault = OSError(28, "full")
            backlog.append(line("waits", step))
        elif state == "fails":
            disk.fault = OSError(28, "full")
        was_interrupted = interrupted_at(
            step, lambda backlog=backlog, step=step: backlog.append(line(step)), backlog_module
        )
        disk.fault = None
        for thread in [started(backlog.append, line("other", step, n)) for n in range(2)]:
            thread.join(WATCHDOG_S)
            assert not thread.is_alive()
        backlog.append(line("next", step))
        assert backlog.flush(WATCHDOG_S) is True, step
        expected = {line("other", step, 0), line("other", step, 1), line("next", step)}
        if state == "waits":
            expected.add(line("waits", step))
        assert expected <= set(disk.lines), step
        if line(step) not in disk.lines:
            lost.append(step)
        if not was_interrupted:
            break
    assert step > 6
    assert len(lost) <= 5, "only where nobody had it in his hands yet"


@pytest.mark.parametrize("fault", [None, OSError(28, "full")])
def test_where_no_thread_can_be_started_nothing_is_lost(disk, make, patch, fault):
    """At the exit of the interpreter: lines are written by whoever comes by."""
    backlog = make()

    def start(self):
        raise RuntimeError("can't start new thread")

    with patch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        disk.fault = OSError(28, "full")
        for n in range(5):
            backlog.append(line(n))
        disk.fault = fault
        if fault is None:
            backlog.append(line(5))
            assert backlog.flush(1) is True
        else:
            assert backlog.flush(0.1) is False
            disk.fault = None
            assert backlog.flush(1) is True
            backlog.append(line(5))
    assert [line(n) for n in range(6)] == disk.lines
    backlog.append(line(6))
    assert backlog.flush(WATCHDOG_S) is True
    assert "lost.test" not in spanwise.stats()


def test_where_no_thread_can_be_started_a_close_writes_what_waits(disk, make, patch):
    """Or counts it."""
    backlog = make()

    def start(self):
        raise RuntimeError("can't start new thread")

    patch.setattr(threading.Thread, "start", start)
    disk.fault = OSError(28, "full")
    backlog.append(line(0))
    disk.fault = None
    backlog.close(1)
    assert [line(0)] == disk.lines
    disk.fault = OSError(28, "full")
    backlog.append(line(1))
    backlog.close(0.1)
    assert 1 == spanwise.stats()["lost.test"]


def test_a_function_runs_while_nothing_is_written(disk, make):
    """Unless a write hangs: then it does not run at all, and nobody waits for long."""
    backlog = make()
    calls = []
    backlog.exclusively(lambda: calls.append(1))
    disk.stall()
    first = started(backlog.append, line("first"))
    assert disk.is_asked.wait(WATCHDOG_S)
    assert took_s(backlog.exclusively, lambda: calls.append(2)) < STALL_S / 2
    disk.go_on.set()
    first.join(WATCHDOG_S)
    with pytest.raises(Stop):
        backlog.exclusively(raise_stop)
    other = started(backlog.append, line("other"))
    other.join(WATCHDOG_S)
    assert [1] == calls
    assert backlog.flush(WATCHDOG_S) is True


def raise_stop():
    raise Stop


def test_threads_that_append_while_the_disk_comes_and_goes_lose_nothing(disk, make):
    """Each line once, those of a thread in their order."""
    backlog = make()
    done = threading.Event()

    def append(name):
        for n in range(400):
            backlog.append(line(name, n))
            if n % 50 == 0:
                time.sleep(0.001)

    def trouble():
        while not done.is_set():
            disk.fault = OSError(28, "full")
            time.sleep(0.002)
            disk.fault = None
            time.sleep(0.005)
            disk.stall()
            time.sleep(0.3)
            disk.go_on.set()

    troubling = started(trouble)
    threads = [started(append, name) for name in range(6)]
    for thread in threads:
        thread.join(WATCHDOG_S)
    done.set()
    troubling.join(WATCHDOG_S)
    disk.fault = None
    until(lambda: not backlog.waits())
    with contextlib.suppress(AssertionError):
        assert backlog.flush(WATCHDOG_S) is True
    assert 2_400 == len(disk.lines) == backlog.written()
    for name in range(6):
        own = [x for x in disk.lines if x.startswith(line(name)[:-1] + b"-")]
        assert [line(name, n) for n in range(400)] == own


@pytest.mark.parametrize("is_at_the_exit", [False, True])
def test_what_interrupts_a_line_that_waited_does_not_write_it_again(
    make, disk, patch, is_at_the_exit
):
    """A signal handler or a finalizer may end a span in the midst of it, in the same thread."""
    if is_at_the_exit:

        def start(thread):
            raise RuntimeError("can't start new thread")

        patch.setattr(threading.Thread, "start", start)
    backlog = make()
    own = backlog._own.get()
    own.waiting.append(line("waited"))  # as where the disk has answered a moment ago
    own.waiting_bytes += len(line("waited"))

    def interrupt(_):
        disk.during = None
        backlog.append(line("interrupts"))

    disk.during = interrupt
    backlog.append(line("next"))
    backlog.flush(WATCHDOG_S)
    assert [line("waited"), line("interrupts"), line("next")] == disk.lines
    assert 3 == backlog.written()
