"""What was written is in a segment once `write` returns, whatever becomes of files and processes."""

from __future__ import annotations

import errno
import gc
import os
import resource
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

import spanwise
from spanwise import Destination, _state
from spanwise.export import leases, lines, places, segments, spool
from spanwise.export.backlog import Backlog
from spanwise.export.cap import Cap
from spanwise.export.delivery import Parcel
from spanwise.export.drain import Drainer
from spanwise.export.leases import Lease
from spanwise.export.orphans import orphans
from spanwise.export.places import Places
from spanwise.export.policy import Answer, verdict
from spanwise.export.segments import FIRST, intact, sealed
from spanwise.export.spool import Spool
from support.folders import open_to_all
from support.forks import WATCHDOG_S, Child, fork_in_c, in_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]

LINE_BYTES = len(sealed(b'{"resourceSpans":[100000]}'))


def line(number):
    return sealed(b'{"resourceSpans":[%d]}' % (100_000 + number))


def number_of(data):
    return int(data.partition(b"[")[2].partition(b"]")[0]) - 100_000


@pytest.fixture
def patch():
    """Patches that a test may take back by itself, without those that protect it."""
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(autouse=True)
def spare(tmp_path, monkeypatch):
    folder = tmp_path / "spare"
    monkeypatch.setattr(places, "_spare_root", lambda: folder)
    return folder


class Telling(Spool):
    """A spool that is told what its lines say, so that they need not be read again."""

    def __init__(self, *given):
        super().__init__(*given, line_of=lambda parts: parts[:-1])

    def write(self, line, parts=None):
        super().write(line, parts or line)


class TellingSome(Telling):
    """Likewise, of every other line."""

    def write(self, line, parts=None):
        Spool.write(self, line, line if number_of(line) % 2 else None)


@pytest.fixture(params=[Spool, Telling, TellingSome], ids=["read", "recent", "some"])
def make(tmp_path, request):
    """Make spools in one folder; they are closed at the end."""
    made = []

    def spool_of(most_bytes=1 << 30, endpoint="http://127.0.0.1:9/v1/traces", root=tmp_path / "s"):
        made.append(request.param(Places(Destination(endpoint=endpoint), root), most_bytes))
        return made[-1]

    yield spool_of
    for each in made:
        each.close()
    gc.collect()
    left = {path: _state.leases[path] for path in list(_state.leases) if str(tmp_path) in path}
    for lease in left.values():
        lease.release(remove=False)
    assert {} == left


def folder_of(each):
    return each.places.made()


def own_of(each):
    """Return what the spool has open."""
    return each._own.get().open


def settle_all(each):
    """Read what this process wrote, as a drainer does, and return the numbers."""
    mine, current = each.current()
    got = []
    while mine is not None and (read := mine.read(100, 1 << 20, written_to=current)):
        mine.settle(read[-1], len(read))
        got += [number_of(found.data) for found in read]
    return got


def adopted(*folders):
    """Return the numbers of what others left there, which is taken and settled."""
    got = []
    for source in orphans(list(folders)):
        while read := source.read(100, 1 << 20):
            source.settle(read[-1], len(read))
            got += [number_of(found.data) for found in read]
        source.end()
    return got


def recovered(folder):
    """Return what another process finds there."""
    return sorted(in_child(lambda: adopted(folder)))


def names(folder, ending=".jsonl"):
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(ending))


def test_a_line_is_in_the_file_when_write_returns(make):
    """Whole, and behind the ones before it."""
    each = make()
    for n in range(50):
        each.write(line(n))
        (path,) = folder_of(each).glob("*.000001.jsonl")
        assert path.read_bytes().endswith(line(n))
    assert list(range(50)) == settle_all(each)


def test_nothing_is_made_before_the_first_line(make, tmp_path):
    """A process that writes nothing leaves no trace."""
    each = make()
    assert (None, 0) == each.current()
    each.close()
    assert not (tmp_path / "s").exists()


def test_what_is_written_is_for_its_owner_only(make):
    """Whatever the umask of the program is."""
    before = os.umask(0)
    try:
        each = make(most_bytes=8 * 10 * LINE_BYTES)
        for n in range(30):
            each.write(line(n))
    finally:
        os.umask(before)
    folder = folder_of(each)
    assert 0o700 == folder.stat().st_mode & 0o777
    assert {0o600} == {path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_a_full_segment_is_followed_by_the_next_one(make):
    """All under one lease; each goes when it is settled, the last one when it is let go."""
    each = make(most_bytes=8 * 10 * LINE_BYTES)
    for n in range(35):
        each.write(line(n))
    folder = folder_of(each)
    assert ["000001", "000002", "000003", "000004"] == [x.split(".")[-2] for x in names(folder)]
    assert 1 == len(names(folder, ".lock"))
    assert list(range(35)) == settle_all(each)
    assert ["000004"] == [x.split(".")[-2] for x in names(folder)]
    each.close()
    assert ["destination.json"] == [path.name for path in folder.iterdir()]


def test_the_next_process_gets_what_is_not_settled(make):
    """And nothing else."""
    each = make(most_bytes=8 * 10 * LINE_BYTES)
    for n in range(35):
        each.write(line(n))
    mine, current = each.current()
    read = mine.read(17, 1 << 20, written_to=current)
    mine.settle(read[-1], len(read))
    settled = len(read)
    assert [] == recovered(folder_of(each)), "it lives"
    each.close()
    assert list(range(settled, 35)) == recovered(folder_of(each))
    assert ["destination.json"] == [path.name for path in folder_of(each).iterdir()]


def test_after_the_close_lines_go_to_new_segments(make):
    """A line that comes late is spooled all the same."""
    each = make()
    each.write(line(1))
    each.close()
    each.write(line(2))
    assert 2 == len(names(folder_of(each), ".lock"))
    assert [1] == adopted(folder_of(each))
    assert [2] == settle_all(each)


def test_a_fault_while_it_is_closed_keeps_no_lease(make, patch, swallowed):
    """The segments are there for the next one."""
    each = make()
    each.write(line(1))

    def exhausted(*args, **options):
        raise OSError(errno.EMFILE, "Too many open files")

    patch.setattr(segments, "open", exhausted, raising=False)
    each.close()
    patch.undo()
    assert {"failures.spool.close": 1} == swallowed()
    assert [1] == recovered(folder_of(each))


# The cap.


def laid(folder, process, count, *, first=0, age_s=0.0, number=FIRST, settled=None):
    """Lay a segment of a dead process, some of it settled."""
    path = segments.segment_path(folder, process, number)
    path.write_bytes(b"".join(line(first + n) for n in range(count)))
    os.utime(path, (time.time() - age_s,) * 2)
    if settled is not None:
        lease = Lease.of_dead(segments.lease_path(folder, process))
        lease.move_cursor(*settled)
        lease.release(remove=False)
    return path


def test_above_the_cap_the_oldest_segments_go_whoever_wrote_them(make, caplog):
    """It is counted and said; what is written to just now stays."""
    each = make(most_bytes=100 * LINE_BYTES)
    folder = folder_of(each)
    old = [laid(folder, f"old{n}", 20, age_s=1000 - n) for n in range(7)]
    each.write(line(1))
    assert [False, False] + [True] * 5 == [path.exists() for path in old]
    stats = spanwise.stats()
    assert (40, 2) == (stats["lost.spool"], stats["deleted.spool_segments"])
    for n in range(2, 200):
        each.write(line(n))
    assert not any(path.exists() for path in old)
    total = sum(path.stat().st_size for path in folder.glob("*.jsonl"))
    assert total <= 100 * LINE_BYTES + 13 * LINE_BYTES, "what is written to may grow by one segment"
    left = settle_all(each)
    assert list(range(left[0], 200)) == left, "the newest are there"
    assert 7 * 20 + 199 - len(left) == spanwise.stats()["lost.spool"]
    assert [r for r in caplog.records if "over its size cap" in r.message]


@pytest.mark.parametrize(
    ("settled", "lost"),
    [
        (None, 20),
        ((1, 0), 20),
        ((1, 15 * LINE_BYTES), 5),
        ((1, 20 * LINE_BYTES), 0),
        ((2, 0), 0),
        ((2, 7), 0),
        ((0, 0), 20),
    ],
)
def test_of_what_the_cap_deletes_only_the_unsettled_is_lost(make, settled, lost):
    """The cursor says what had arrived already."""
    each = make(most_bytes=8 * LINE_BYTES)
    path = laid(folder_of(each), "old", 20, age_s=100, settled=settled)
    each.write(line(1))
    assert not path.exists()
    assert lost == spanwise.stats().get("lost.spool", 0)
    assert 1 == spanwise.stats()["deleted.spool_segments"]


@pytest.mark.parametrize("name", ["old.kept.jsonl", "old.open.jsonl"])
def test_what_was_put_aside_counts_for_the_cap_but_is_not_lost(make, name):
    """It was refused, or is about spans that are spooled themselves."""
    each = make(most_bytes=8 * LINE_BYTES)
    path = folder_of(each) / name
    path.write_bytes(line(1) * 20)
    os.utime(path, (time.time() - 100,) * 2)
    each.write(line(1))
    assert not path.exists()
    assert 0 == spanwise.stats().get("lost.spool", 0)


def test_what_another_reads_while_the_cap_deletes_it_is_no_fault(make):
    """It goes on with what is left."""
    each = make(most_bytes=100 * LINE_BYTES)
    folder = folder_of(each)
    for number in (1, 2):
        laid(folder, "old", 60, age_s=100 - number, number=number, first=100 * number)
    (source,) = orphans([folder])
    read = source.read(10, 1 << 20)
    each.write(line(1))
    assert 1 == spanwise.stats()["deleted.spool_segments"]
    source.settle(read[-1], len(read))
    assert list(range(200, 260)) == [number_of(x.data) for x in source.read(100, 1 << 20)]
    source.end()


def test_a_segment_that_cannot_be_deleted_is_passed_over(make, patch):
    """The next one goes in its stead; the line is written."""
    each = make(most_bytes=50 * LINE_BYTES)
    folder = folder_of(each)
    first = laid(folder, "a", 20, age_s=100)
    second = laid(folder, "b", 20, age_s=50)
    third = laid(folder, "c", 20, age_s=10)
    unlink = Path.unlink

    def unlinked(self, **options):
        if self == first:
            raise PermissionError(1, "Operation not permitted")
        unlink(self, **options)

    patch.setattr(Path, "unlink", unlinked)
    each.write(line(1))
    patch.undo()
    assert [True, False, True] == [path.exists() for path in (first, second, third)]
    assert 20 == spanwise.stats()["lost.spool"]
    assert [1] == settle_all(each)


# Files that vanish.


def test_a_folder_deleted_meanwhile_is_made_again(make, caplog):
    """What was in it and not settled is counted."""
    each = make()
    for n in range(5):
        each.write(line(n))
    mine, current = each.current()
    read = mine.read(2, 1 << 20, written_to=current)
    mine.settle(read[-1], 2)
    shutil.rmtree(each.places.root)
    each.write(line(5))
    assert [5] == settle_all(each)
    assert 3 == spanwise.stats()["lost.spool"]
    assert 1 == len([r for r in caplog.records if "were deleted with" in r.message])


def test_a_segment_deleted_meanwhile_is_followed_by_a_new_one(make):
    """Its process goes on under another name."""
    each = make()
    each.write(line(1))
    (path,) = folder_of(each).glob("*.000001.jsonl")
    path.unlink()
    each.write(line(2))
    assert [2] == settle_all(each)
    assert 1 == spanwise.stats()["lost.spool"]


def test_a_lock_file_deleted_meanwhile_loses_nothing(make, patch):
    """What others take over they deliver; this process goes on in segments of its own."""
    patch.setattr(spool, "_LEASE_LOOK_EVERY_S", 0.0)
    each = make()
    for n in range(5):
        each.write(line(n))
    folder = folder_of(each)
    (path,) = folder.glob("*.lock")
    path.unlink()
    patch.setattr(spool, "_LEASE_LOOK_EVERY_S", 1e9)
    each.write(line(5))  # not looked after yet
    got = recovered(folder)
    assert list(range(6)) == got
    each.write(line(6))  # into a file that is not there any more
    patch.setattr(spool, "_LEASE_LOOK_EVERY_S", 0.0)
    each.write(line(7))
    assert [6, 7] == settle_all(each)


def test_a_lost_lease_is_noticed_before_anything_is_lost(make, patch):
    """The lock file alone is deleted; the segments are still there for whoever takes them."""
    patch.setattr(spool, "_LEASE_LOOK_EVERY_S", 0.0)
    each = make()
    each.write(line(1))
    (path,) = folder_of(each).glob("*.lock")
    path.unlink()
    each.write(line(2))
    assert [2] == settle_all(each)
    assert [1] == adopted(folder_of(each))
    assert "lost.spool" not in spanwise.stats()


def test_a_program_that_reads_the_whole_folder_costs_no_lease(make, patch):
    """As a backup does in the same process: each close of the lock file drops the lock."""
    patch.setattr(spool, "_LEASE_LOOK_EVERY_S", 0.0)
    each = make()
    each.write(line(1))
    for path in folder_of(each).iterdir():
        path.read_bytes()
    each.write(line(2))
    assert 1 == len(names(folder_of(each)))
    assert [] == recovered(folder_of(each))
    assert [1, 2] == settle_all(each)


# Disks that are full, and other limits.


def test_a_short_write_is_an_error_and_is_ended_by_the_next_line(make, patch):
    """The caller writes the line once more; the rest of it is one damaged line."""
    each = make()
    each.write(line(1))
    write = os.write
    patch.setattr(lines.os, "write", lambda fd, data: write(fd, data[:7]))
    for _ in range(3):
        with pytest.raises(OSError, match="only a part"):
            each.write(line(2))
    patch.undo()
    each.write(line(2))
    assert [1, 2] == settle_all(each)
    each.close()
    assert 3 == spanwise.stats()["torn.spool"]


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_leaves_the_segment_as_it_was(make, patch, fault):
    """The line is written once the disk takes it."""
    each = make()
    each.write(line(1))

    def failing(fd, data):
        raise OSError(fault, os.strerror(fault))

    patch.setattr(lines.os, "write", failing)
    with pytest.raises(OSError) as raised:
        each.write(line(2))
    assert fault == raised.value.errno
    patch.undo()
    each.write(line(2))
    assert [1, 2] == settle_all(each)
    assert "torn.spool" not in spanwise.stats()


@pytest.mark.parametrize("step", range(4))
def test_what_cannot_be_begun_leaves_nothing_behind(make, patch, step):
    """Whichever file cannot be made; the next line finds a folder as if nothing had been."""
    each = make()
    folder = folder_of(each)
    before = sorted(folder.iterdir())
    if step == 0:
        patch.setattr(spool, "Handle", raiser(OSError(errno.ENOSPC, "full")))
    elif step == 1:
        patch.setattr(leases.os, "open", raiser(OSError(errno.EMFILE, "too many")))
    elif step == 2:
        patch.setattr(spool, "Segments", raiser(OSError(errno.EMFILE, "too many")))
    else:
        patch.setattr(leases, "_locked", raiser(OSError(errno.EIO, "no")))
    with pytest.raises(OSError):
        each.write(line(1))
    patch.undo()
    if step != 3:
        assert before == sorted(folder.iterdir())
    each.write(line(1))
    assert [1] == settle_all(each)
    gc.collect()
    assert 1 == len([path for path in _state.leases if str(folder) in path])


def raiser(error):
    def failing(*args, **options):
        raise error

    return failing


def test_where_no_next_segment_can_be_made_the_current_one_grows_on(make, patch):
    """Until one can."""
    each = make(most_bytes=8 * 10 * LINE_BYTES)
    handle = spool.Handle
    each.write(line(0))
    patch.setattr(spool, "Handle", raiser(OSError(errno.EMFILE, "too many")))
    for n in range(1, 30):
        each.write(line(n))
    assert 1 == len(names(folder_of(each)))
    patch.setattr(spool, "Handle", handle)
    each.write(line(30))
    each.write(line(31))
    assert 2 == len(names(folder_of(each)))
    assert list(range(32)) == settle_all(each)


def test_a_limit_on_the_size_of_files_loses_nothing(make):
    """A child that may write some kilobytes per file, and more again later: all of it arrives."""
    each = make()
    each.write(line(0))
    folder = folder_of(each)

    def child():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10 * LINE_BYTES + 9, resource.RLIM_INFINITY))
        backlog = Backlog("spool", "the spool", each.write)
        for n in range(1, 60):
            backlog.append(line(n))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        until = time.monotonic() + WATCHDOG_S
        while not backlog.flush(1) and time.monotonic() < until:
            time.sleep(0.01)
        backlog.append(line(60))
        return spanwise.stats()

    stats = in_child(child)
    assert "lost.spool" not in stats
    assert stats["delayed.spool"] > 0
    assert list(range(1, 61)) == recovered(folder)
    assert [0] == settle_all(each)


def test_too_many_open_files_lose_nothing(make):
    """A child that can open nothing writes once it can."""
    each = make()
    folder = folder_of(each)

    def child():
        backlog = Backlog("spool", "the spool", each.write)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = [os.open(os.devnull, os.O_RDONLY)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(used[0] + 1, 3), hard))
        for n in range(10):
            backlog.append(line(n))
        before = spanwise.stats()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        until = time.monotonic() + WATCHDOG_S
        while not backlog.flush(1) and time.monotonic() < until:
            time.sleep(0.01)
        return before, spanwise.stats()

    before, after = in_child(child)
    assert "written.spool" not in before
    assert 10 == after["written.spool"]
    assert "lost.spool" not in after
    assert list(range(10)) == recovered(folder)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can change its user")
def test_a_worker_that_changes_its_user_spools_elsewhere(make, spare, tmp_path):
    """Its parent's folder is root's; both find what they wrote, and nothing is lost."""
    open_to_all(tmp_path)
    spare.mkdir()
    os.chown(spare, 65_534, 65_534)
    spare.chmod(0o700)
    each = make()
    each.write(line(1))

    def worker():
        os.setuid(65_534)
        each.write(line(2))
        folder = own_of(each).segments.folder
        got = settle_all(each)
        each.write(line(3))
        return folder, got, each.places.existing()

    folder, got, existing = in_child(worker)
    assert spare == folder.parent
    assert [2] == got
    assert [folder] == existing
    assert [1] == settle_all(each)

    def next_worker():
        os.setuid(65_534)
        return adopted(*each.places.existing())

    assert [3] == in_child(next_worker)


# Forks, and descriptors that others close.


@pytest.mark.parametrize(
    "in_c",
    [False, pytest.param(True, marks=pytest.mark.skipif(sys.platform != "linux", reason="libc"))],
)
def test_a_forked_child_writes_segments_of_its_own(make, in_c):
    """Its parent's are neither written to nor let go, and both can be adopted later."""
    each = make()
    each.write(line(1))
    (path,) = folder_of(each).glob("*.000001.jsonl")
    fork = fork_in_c if in_c else os.fork

    def write(_):
        for n in range(10, 20):
            each.write(line(n))
        assert own_of(each).handle.path != path
        gc.collect()
        return settle_all(each)[:3]

    with Child(write, fork) as child:
        assert [10, 11, 12] == child.result()
    assert line(1) == path.read_bytes()
    each.write(line(2))
    assert 1 == len(list(folder_of(each).glob(f"{path.name.split('.')[0]}*.jsonl")))
    assert [] == recovered(folder_of(each)), "the child had settled what it wrote"
    assert [1, 2] == settle_all(each)


def test_a_child_goes_on_where_its_parent_died(make):
    """It adopts what the parent left, and writes on by itself."""
    each = make()
    folder = folder_of(each)
    each.close()

    def parent(pipe):
        each.write(line(1))

        def child(_):
            pipe.recv()
            until = time.monotonic() + WATCHDOG_S
            each.write(line(2))
            got = []
            while 1 not in got:
                assert time.monotonic() < until
                got += adopted(folder)
            got += settle_all(each)
            each.close()
            pipe.send(got)

        child = Child(child)
        pipe.send(child.pid)
        time.sleep(WATCHDOG_S)

    with Child(parent) as first:
        first.hear()
        os.kill(first.pid, signal.SIGSTOP)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        first.say()
        assert [1, 2] == first.hear()
    assert [] == recovered(folder)


@pytest.mark.parametrize("forks", [False, True])
def test_a_program_that_closes_all_descriptors_goes_on(make, tmp_path, forks):
    """As when it becomes a daemon: not a byte of ours goes into files that it opens afterwards."""
    each = make(most_bytes=8 * 20 * LINE_BYTES)
    folder = folder_of(each)
    each.close()

    def daemon(pipe):
        for n in range(30):
            each.write(line(n))
        mine, current = each.current()
        read = mine.read(10, 1 << 20, written_to=current)
        if forks and os.fork():
            os._exit(0)
        keep = pipe.fileno()
        os.closerange(3, keep)
        os.closerange(keep + 1, 1024)
        theirs = {}
        for n in range(64):
            path = tmp_path / f"theirs{n}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            os.write(fd, b"0123456789")
            os.lseek(fd, 5, os.SEEK_SET)
            theirs[fd] = path
        mine.settle(read[-1], len(read))
        got = [number_of(found.data) for found in read]
        for n in range(30, 90):
            each.write(line(n))
            if n % 7 == 0:
                got += settle_all(each)
        got += settle_all(each)
        each.close()
        gc.collect()
        until = time.monotonic() + WATCHDOG_S
        while segments.processes(folder):
            assert time.monotonic() < until
            got += adopted(folder)
        for fd, path in theirs.items():
            assert b"0123456789" == path.read_bytes()
            assert 5 == os.lseek(fd, 0, os.SEEK_CUR)
        pipe.send(got)

    with Child(daemon) as child:
        got = child.hear()
    assert set(range(90)) == set(got)
    assert ["destination.json"] == [path.name for path in folder.iterdir()]


def test_descriptors_closed_between_any_two_lines_lose_nothing(make, tmp_path):
    """One after another: those of the lock file and of the segment, in turns."""
    each = make()
    folder = folder_of(each)

    def child():
        got = []
        opened = []
        for n in range(40):
            each.write(line(n))
            written = own_of(each)
            fd = written.handle._fd if n % 2 else written.segments.lease._fd
            os.close(fd)
            if n % 3:
                opened.append(os.open(tmp_path / f"theirs{n}", os.O_RDWR | os.O_CREAT, 0o600))
            if n % 5 == 0:
                got += settle_all(each)
        got += settle_all(each)
        each.close()
        got += adopted(folder)
        assert {b""} == {path.read_bytes() for path in tmp_path.glob("theirs*")}
        return got

    got = in_child(child)
    got += recovered(folder)
    assert set(range(40)) == set(got)


def test_descriptors_are_given_back(make):
    """However often segments are begun and left."""
    each = make(most_bytes=8 * 5 * LINE_BYTES)
    folder = folder_of(each)
    each.close()

    def child():
        gc.collect()
        before = len(list(Path("/dev/fd").iterdir()))
        for n in range(60):
            each.write(line(n))
            if n % 10 == 0:
                settle_all(each)
            if n % 20 == 0:
                shutil.rmtree(folder)
        each.close()
        gc.collect()
        return len(list(Path("/dev/fd").iterdir())) - before

    assert 0 == in_child(child)


# Lines in the midst of lines.


def reentered(patch, target, name, each, number):
    """Have a line written while the named function runs, once; return what it was called with."""
    function = getattr(target, name)
    calls = []

    def entered(*args, **options):
        if not calls:
            calls.append(args)
            each.write(line(number))
        return function(*args, **options)

    patch.setattr(target, name, entered)
    return calls


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (spool, "_name_of_process"),
        (Lease, "new"),
        (spool, "Handle"),
        (spool, "Segments"),
        (Cap, "enforce"),
        (spool, "_new_lease"),
        (os, "write"),
        (os, "fstat"),
    ],
)
def test_a_line_in_the_midst_of_the_first_one_is_kept(make, patch, target, name):
    """As when the garbage collector ends a span there: both are in segments that are delivered."""
    each = make()
    folder = folder_of(each)
    assert reentered(patch, target, name, each, 2) == []
    each.write(line(1))
    patch.undo()
    each.write(line(3))
    assert [1, 2, 3] == sorted(settle_all(each))
    assert 1 == len(names(folder, ".lock"))
    assert 1 == len(names(folder))


@pytest.mark.parametrize(("target", "name"), [(Cap, "enforce"), (spool, "Handle")])
def test_a_line_in_the_midst_of_the_next_segment_is_kept(make, patch, target, name):
    """Neither is a segment left out, nor one begun twice."""
    each = make(most_bytes=8 * 5 * LINE_BYTES)
    each.write(line(0))
    calls = reentered(patch, target, name, each, 100)
    for n in range(1, 20):
        each.write(line(n))
    assert calls
    assert {100, *range(20)} == set(settle_all(each))
    assert 1 == len(names(folder_of(each), ".lock"))


def test_two_spools_of_one_folder_leave_each_others_segments_alone(make):
    """Each writes its own; neither takes the other's for those of a dead process."""
    first, second = make(), make()
    for n in range(10):
        first.write(line(n))
        second.write(line(100 + n))
    assert [] == adopted(folder_of(first))
    assert list(range(10)) == settle_all(first)
    assert list(range(100, 110)) == settle_all(second)
    first.close()
    assert [] == adopted(folder_of(first))
    second.write(line(1))
    second.close()
    assert [1] == adopted(folder_of(first))


def test_spools_of_two_destinations_share_no_folder(make):
    """What is for one is never found by the other."""
    first, second = make(), make(endpoint="http://127.0.0.1:10/v1/traces")
    first.write(line(1))
    second.write(line(2))
    assert folder_of(first).parent == folder_of(second).parent
    first.close()
    second.close()
    assert [1] == recovered(folder_of(first))
    assert [2] == recovered(folder_of(second))


class TakesAll:
    """A courier that takes everything."""

    kind = "test"
    target = "the place"
    most_lines = 100
    linger_s = 0.2
    most_bytes = 1 << 20

    def __init__(self):
        self.arrived = []

    def pack(self, each):
        return Parcel(each, each.data, len(each.data))

    def send(self, parcels):
        self.arrived += [number_of(parcel.content) for parcel in parcels]
        return Answer(status=200)

    def judge(self, answer):
        return verdict(answer)

    def rejected(self, answer):
        return 0, ""

    def close(self):
        pass


def test_what_cannot_be_removed_is_taken_once_in_a_while_and_holds_nobody_up(make, patch):
    """What other dead processes left is delivered all the same, and once."""
    each = make()
    folder = folder_of(each)
    stuck = [laid(folder, f"stuck{n}", 3, age_s=1000, first=100 * n) for n in range(3)]
    laid(folder, "free", 3, age_s=10, first=900)
    unlink = Path.unlink
    taken = []

    def unlinked(self, **options):
        if self in stuck:
            raise PermissionError(1, "Operation not permitted")
        unlink(self, **options)

    of_dead = Lease.of_dead.__func__

    def observed(cls, path):
        taken.append(path)
        return of_dead(cls, path)

    patch.setattr(Path, "unlink", unlinked)
    patch.setattr(Lease, "of_dead", classmethod(observed))
    courier = TakesAll()
    drainer = Drainer(each, Backlog("spool", "the spool", each.write), courier)
    drainer.look_for_orphans()
    until = time.monotonic() + WATCHDOG_S
    while 902 not in courier.arrived:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(0.5)
    drainer.close(WATCHDOG_S)
    assert sorted([*range(3), *range(100, 103), *range(200, 203), *range(900, 903)]) == sorted(
        courier.arrived
    )
    assert len(taken) < 20
    patch.undo()


def test_a_thousand_dead_processes_are_looked_through_once(make, patch):
    """Not once for each of them."""
    each = make()
    folder = folder_of(each)
    for n in range(1_000):
        segments.segment_path(folder, f"dead{n}", 1).write_bytes(line(n))
    scans = []
    scandir = os.scandir
    patch.setattr(segments.os, "scandir", lambda *args: scans.append(1) or scandir(*args))
    courier = TakesAll()
    drainer = Drainer(each, Backlog("spool", "the spool", each.write), courier)
    drainer.look_for_orphans()
    until = time.monotonic() + WATCHDOG_S
    while len(courier.arrived) < 1_000:
        assert time.monotonic() < until
        time.sleep(0.01)
    drainer.close(WATCHDOG_S)
    assert list(range(1_000)) == sorted(courier.arrived)
    assert len(scans) < 20
    assert ["destination.json"] == [path.name for path in folder.iterdir()]


def test_what_fills_a_request_waits_for_no_more(make, patch):
    """As with OpenTelemetry's batch processor; fewer lines wait for others."""
    each = make()
    courier = TakesAll()
    patch.setattr(courier, "linger_s", 3600.0)
    backlog = Backlog("spool", "the spool", each.write)
    drainer = Drainer(each, backlog, courier)
    for n in range(courier.most_lines - 1):
        backlog.append(line(n))
        drainer.notify()
    time.sleep(0.2)
    assert [] == courier.arrived
    backlog.append(line(courier.most_lines - 1))
    until = time.monotonic() + WATCHDOG_S
    while len(courier.arrived) < courier.most_lines:
        assert time.monotonic() < until
        time.sleep(0.01)
    drainer.close(WATCHDOG_S)
    assert list(range(courier.most_lines)) == courier.arrived


def test_names_of_processes_are_names_of_files(patch):
    """Whatever the machine is called."""
    for host in ("", "a/b", "..", "x" * 500, "ä.example", "a.000001.jsonl", "a\0b"):
        patch.setattr(spool.socket, "gethostname", lambda host=host: host)
        name = spool._name_of_process()
        assert "/" not in name
        assert "." not in name
        assert len(name) < 100
        assert str(os.getpid()) in name.split("-")


def test_threads_that_write_by_turns_while_another_reads_lose_nothing(make, monkeypatch):
    """The reader removes segments as the writer goes on to the next ones."""
    monkeypatch.setattr("spanwise.export.spool._SEGMENT_BYTES", 10 * LINE_BYTES)
    each = make()
    lock = threading.Lock()
    count, threads = 400, 4
    done = threading.Event()
    got = []

    def write(first):
        for n in range(first, first + count):
            with lock:
                each.write(line(n))

    def read():
        while not done.is_set():
            got.extend(settle_all(each))
        got.extend(settle_all(each))

    writers = [threading.Thread(target=write, args=(n * count,)) for n in range(threads)]
    reader = threading.Thread(target=read)
    for thread in [*writers, reader]:
        thread.start()
    for thread in writers:
        thread.join(60)
    done.set()
    reader.join(60)
    assert list(range(threads * count)) == sorted(got)
    for n in range(threads):
        own = [x for x in got if n * count <= x < (n + 1) * count]
        assert sorted(own) == own
    assert intact(line(0)[:-1])
