"""A spool whose process dies at each step, and at any time: what ended may come twice, but comes."""

from __future__ import annotations

import builtins
import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

import spanwise
from spanwise import Destination, _state
from spanwise.export import places
from spanwise.export.delivery import Parcel
from spanwise.export.orphans import orphans
from spanwise.export.places import Places
from spanwise.export.policy import Answer, verdict
from spanwise.export.segments import intact, sealed
from spanwise.export.spool import Spool
from spanwise.export.spooled import SpooledLines
from support.forks import WATCHDOG_S, Child

if sys.platform != "win32":
    import fcntl

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

DESTINATION = Destination(endpoint="http://127.0.0.1:9/v1/traces")


def text(number):
    return b'{"resourceSpans":[%d,"%s"]}' % (number, b"x" * (number % 7))


def line(number):
    return sealed(text(number))


def number_of(data):
    return int(data.partition(b"[")[2].partition(b",")[0])


@pytest.fixture(autouse=True)
def spare(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "_spare_root", lambda: tmp_path / "spare")


class Steps:
    """Ends the process at the n-th of its steps that leave something behind, or tell something.

    Args:
        last: number of the step before which it ends; counted from 1.
        half: a write that is this step is done by half before.
    """

    def __init__(self, last, *, half=False):
        self.last = last
        self.half = half
        self.count = 0

    def watch(self, holder, name):
        setattr(holder, name, self.step_of(getattr(holder, name), name))

    def step_of(self, function, name=""):
        def step(*args, **options):
            self.count += 1
            if self.count == self.last:
                if self.half and name == "write":
                    function(args[0], args[1][: len(args[1]) // 2])
                os._exit(77)
            return function(*args, **options)

        return step

    def watch_all(self):
        for name in ("open", "write", "pwrite", "close", "unlink", "mkdir", "link", "replace"):
            self.watch(os, name)
        self.watch(builtins, "open")
        self.watch(fcntl, "lockf")
        # Where these call the functions of `os` by names of their own.
        self.watch(Path, "unlink")
        self.watch(Path, "mkdir")


def deliver(source, most_lines, report, **options):
    """Deliver the next lines; they are settled once the destination has them."""
    lines = source.read(most_lines, 1 << 20, **options)
    if lines:
        report(("arrived", [number_of(each.data) for each in lines]))
        source.settle(lines[-1], len(lines))
    return len(lines)


def adopt(folders, report):
    for source in orphans(folders):
        while deliver(source, 2, report):
            pass
        source.end()


def live(root, first, report):
    """Write, begin new segments, deliver some of it and what others left, and end in good order."""
    spool = Spool(Places(DESTINATION, root))
    spool._segment_bytes = 150
    for n in range(first, first + 14):
        spool.write(line(n))
        report(("ended", n))
        if n % 3 == 2:
            mine, number = spool.current()
            deliver(mine, 2, report, written_to=number)
    adopt(spool.places.existing(), report)
    mine, number = spool.current()
    while n % 2 and deliver(mine, 3, report, written_to=number):
        pass
    spool.close()


def dies(function, step, *, half=False):
    """Run the function in a child that dies at a step; return what it reported, and if it died."""
    parent = os.getpid()

    def child(pipe):
        steps = Steps(step, half=half)
        steps.watch_all()
        function(steps.step_of(pipe.send))
        assert parent == os.getppid()
        return steps.count

    with Child(child) as forked:
        heard = forked.heard_to_the_end()
        assert forked.status in (0, 77)
        return [x for x in heard if x[0] != "returned"], forked.status == 77


def numbers(reported, kind):
    found = []
    for name, what in reported:
        if name == kind:
            found += what if isinstance(what, list) else [what]
    return found


def survived(root, reported):
    """Let the next process go on, and check that all that had ended has arrived."""
    report = []
    adopt(Places(DESTINATION, root).existing(), report.append)
    ended = set(numbers(reported, "ended"))
    arrived = numbers(reported, "arrived") + numbers(report, "arrived")
    assert ended <= set(arrived)
    left = [path for path in root.rglob("*") if path.suffix in (".jsonl", ".lock")]
    assert [] == left
    return arrived


@pytest.mark.parametrize("half", [False, True])
def test_a_process_that_dies_at_any_step_loses_nothing(tmp_path, half):
    """From the first folder to the last lock file: the next process delivers what had ended."""
    for step in range(1, 2_000):
        root = tmp_path / str(step)
        _state._counters.clear()
        reported, has_died = dies(lambda report, root=root: live(root, 0, report), step, half=half)
        arrived = survived(root, reported)
        assert spanwise.stats().get("torn.spool", 0) <= int(half)
        assert len(arrived) - len(set(arrived)) <= 3, "what was not settled comes once more"
        if not has_died:
            break
    assert 50 < step < 1_000
    assert set(range(14)) == set(arrived)


@pytest.mark.parametrize("first", [0.3, 0.45, 0.7, 0.85, 0.95])
def test_the_next_process_may_die_at_any_step_as_well(tmp_path, first):
    """It had adopted, or begun to; the one after it delivers the rest."""
    total = steps_of_a_life(tmp_path / "total")
    for step in range(1, 2_000):
        root = tmp_path / str(step)
        reported, has_died = dies(
            lambda report, root=root: live(root, 0, report), int(total * first)
        )
        assert has_died
        again, has_died = dies(
            lambda report, root=root: adopt(Places(DESTINATION, root).existing(), report), step
        )
        survived(root, reported + again)
        if not has_died:
            break
    assert 2 < step < 1_000


@pytest.mark.slow
def test_three_processes_may_die_at_any_steps(tmp_path):
    """Each of them writes, adopts what the others left, and dies somewhere in that."""
    total = steps_of_a_life(tmp_path / "total")
    random_ = random.Random(11)
    for attempt in range(400):
        root = tmp_path / str(attempt)
        reported = []
        for life in range(3):
            more, _ = dies(
                lambda report, root=root, life=life: live(root, 100 * life, report),
                random_.randrange(1, total * 2),
                half=random_.random() < 0.5,
            )
            reported += more
        survived(root, reported)


def steps_of_a_life(root):
    with Child(lambda pipe: counted_life(root)) as child:
        total = child.result()
    assert total > 50
    return total


def counted_life(root):
    steps = Steps(0)
    steps.watch_all()
    live(root, 0, steps.step_of(lambda what: None))
    return steps.count


# Killed at any time.


class FileCourier:
    """Takes lines by appending them to a file, which is there whoever is killed."""

    kind = "file"
    target = "the file"
    most_lines = 7
    most_bytes = 1 << 20
    linger_s = 0.0

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def pack(self, each):
        return Parcel(each, each.data, len(each.data))

    def send(self, parcels):
        data = b"".join(parcel.content + b"\n" for parcel in parcels)
        assert len(data) == os.write(self.fd, data)
        return Answer(status=200)

    def judge(self, answer):
        return verdict(answer)

    def rejected(self, answer):
        return 0, ""

    def close(self):
        pass


def spool_until_killed(root, arrived, first, pipe):
    """Append lines and have them delivered; tell of each by a byte of its own."""
    spooled = SpooledLines(FileCourier(arrived), DESTINATION, root)
    spooled._drainer._spool._segment_bytes = 4_000
    fd = pipe.fileno()
    number = first
    pipe.send("begins")
    while True:
        spooled.append(text(number))
        os.write(fd, b"x")
        number += 1
        if number % 50 == 0:
            spooled.wake()
            time.sleep(0.001)


def damaged_lines(folder, pid):
    """Return how many lines of what a process left are not whole."""
    count = 0
    for path in folder.rglob(f"*-{pid}-*.0*.jsonl"):
        for piece in path.read_bytes().split(b"\n"):
            count += bool(piece) and intact(piece) != [piece]
    return count


def killed_again_and_again(tmp_path, times):
    root, arrived = tmp_path / "root", tmp_path / "arrived"
    random_ = random.Random(5)
    reported = set()
    torn = 0
    for attempt in range(times):
        first = attempt * 1_000_000
        child = Child(lambda pipe, first=first: spool_until_killed(root, arrived, first, pipe))
        assert "begins" == child.hear()
        time.sleep(random_.random() ** 2 * 0.3)
        child.kill(signal.SIGKILL)
        count = 0
        with contextlib.suppress(ConnectionResetError):
            while got := os.read(child.pipe.fileno(), 1 << 20):
                count += len(got)
        child.pipe.close()
        reported |= set(range(first, first + count))
        assert damaged_lines(root, child.pid) <= 1
        torn += damaged_lines(root, child.pid)
    assert torn <= times
    return root, arrived, reported


def rest_delivered(root, arrived):
    """Let one more process deliver what is left; return all that arrived."""
    last = SpooledLines(FileCourier(arrived), DESTINATION, root)
    until = time.monotonic() + WATCHDOG_S
    while list(root.rglob("*.lock")):
        assert time.monotonic() < until
        last.flush(1)
    last.close(WATCHDOG_S)
    return [number_of(each) for each in arrived.read_bytes().splitlines()]


@pytest.mark.parametrize("times", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_what_a_process_said_had_ended_arrives_whenever_it_is_killed(tmp_path, times):
    """While it wrote, delivered, adopted, or gave something back; at most one line is torn by it."""
    root, arrived, reported = killed_again_and_again(tmp_path, times)
    assert len(reported) > times
    got = rest_delivered(root, arrived)
    assert reported <= set(got)
    # What had arrived and was not settled at the kill comes once more.
    assert len(got) - len(set(got)) <= times * FileCourier.most_lines * 2
