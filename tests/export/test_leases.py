"""Leases die with their holder: with nobody else, and with nothing less."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from spanwise import _state
from spanwise.export import leases, segments
from spanwise.export.leases import Lease, cursor_of, is_held_here
from spanwise.export.orphans import orphans
from spanwise.export.segments import Segments, sealed
from support.forks import WATCHDOG_S, Child, in_child

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning"),
]


@pytest.fixture
def patch():
    """Patches that a test may take back by itself, without those that protect it."""
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture(autouse=True)
def no_lease_is_left():
    """Each test gives back what it took."""
    before = set(_state.leases)
    yield
    left = {path: lease for path, lease in _state.leases.items() if path not in before}
    for lease in left.values():
        lease.release(remove=False)
    assert {} == left


@pytest.fixture
def path(tmp_path):
    return tmp_path / "host-1-2-3.lock"


def is_free(path):
    """Return whether another process gets the lease; it gives it back at once."""

    def take():
        lease = Lease.of_dead(path)
        if lease is not None:
            lease.release(remove=False)
        return lease is not None

    return in_child(take)


def holding(path, *, new=True):
    """Return a child that holds the lease until it is told to go on, or killed."""

    def hold(parent):
        lease = Lease.new(path) if new else Lease.of_dead(path)
        parent.send(lease is not None)
        parent.recv()
        return lease is not None and lease.is_held()

    child = Child(hold)
    assert child.hear() is True
    return child


def test_a_lease_is_not_given_while_its_holder_lives(path):
    """Once it was killed, it is."""
    with holding(path) as child:
        assert Lease.of_dead(path) is None
        assert not is_free(path)
        child.kill()
        lease = Lease.of_dead(path)
        assert lease is not None
        assert lease.is_held()
        assert not is_free(path)
        lease.release(remove=True)
    assert not path.exists()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, "exit"])
def test_the_lease_of_a_process_that_ended_is_given_however_it_ended(path, end):
    """The lock file may still lie there."""
    with holding(path) as child:
        if end == "exit":
            child.say()
            assert child.result() is True
        else:
            child.kill(end)
        assert path.exists()
        assert is_free(path)


def test_only_one_makes_a_lock_file(path):
    """A second one of that name is an error, in this process and in another one."""
    lease = Lease.new(path)
    with pytest.raises(FileExistsError):
        Lease.new(path)

    def again():
        with pytest.raises(FileExistsError):
            Lease.new(path)
        return True

    assert in_child(again)
    assert lease.is_held()
    assert not is_free(path)
    lease.release(remove=True)


@pytest.mark.parametrize("ending", ["exits", "closes", "lets go", "looks", "reads"])
def test_a_forked_child_does_not_end_its_parents_lease(path, ending):
    """Neither by exiting, nor by closing what it inherited, nor by asking for the lease."""
    lease = Lease.new(path)
    lease.move_cursor(3, 4)

    def child():
        if ending == "closes":
            os.closerange(3, 256)
        elif ending == "lets go":
            lease.let_go()
        elif ending == "looks":
            assert not lease.is_held()
            assert not is_held_here(path)
            assert Lease.of_dead(path) is None
        elif ending == "reads":
            assert (3, 4) == cursor_of(path)
        gc.collect()
        os._exit(0)

    with Child(lambda _: child()) as forked:
        assert 0 == forked.wait()
        assert lease.is_held()
        assert not is_free(path)
    assert (3, 4) == lease.cursor()
    lease.release(remove=True)


def test_a_forked_child_does_not_keep_its_dead_parents_lease(path):
    """It has the descriptor, and no lock."""

    def holder(parent):
        lease = Lease.new(path)
        with Child(lambda pipe: (pipe.send("here"), time.sleep(WATCHDOG_S))) as grandchild:
            assert "here" == grandchild.hear()
            parent.send(grandchild.pid)
            time.sleep(WATCHDOG_S)
        lease.release(remove=False)

    with Child(holder) as child:
        grandchild = child.hear()
        assert not is_free(path)
        child.kill()
        assert is_free(path)
        os.kill(grandchild, signal.SIGKILL)  # it had lived all the time


@pytest.mark.parametrize("close_fds", [True, False])
def test_a_subprocess_does_not_keep_the_lease_of_its_dead_parent(path, close_fds):
    """It inherits no descriptor, and would not inherit the lock."""
    program = "import sys; print('here', flush=True); sys.stdin.read()"
    to_child, from_parent = os.pipe()

    def holder(parent):
        lease = Lease.new(path)
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=to_child,
            stdout=subprocess.PIPE,
            close_fds=close_fds,
        )
        process.stdout.readline()
        parent.send(process.pid)
        time.sleep(WATCHDOG_S)
        lease.release(remove=False)

    with Child(holder) as child:
        pid = child.hear()
        os.close(to_child)
        assert not is_free(path)
        child.kill()
        os.kill(pid, 0)
        assert is_free(path)
        os.close(from_parent)


def test_a_subprocess_that_exits_does_not_end_the_lease(path):
    """Also where it was made without closing descriptors."""
    lease = Lease.new(path)
    subprocess.run([sys.executable, "-c", ""], check=True, close_fds=False)
    assert not is_free(path)
    lease.release(remove=True)


def test_a_child_that_adopts_what_its_dead_parent_left_keeps_that_lease(path):
    """Closing the descriptor that it inherited would drop it."""

    def holder(parent):
        lease = Lease.new(path)

        def adopt(pipe):
            pipe.recv()
            until = time.monotonic() + WATCHDOG_S
            while (mine := Lease.of_dead(path)) is None:
                assert time.monotonic() < until
                time.sleep(0.001)
            lease.let_go()
            gc.collect()
            grandparent.send(mine.is_held())
            time.sleep(WATCHDOG_S)

        grandparent = parent
        child = Child(adopt)
        child.say()
        parent.send(child.pid)
        time.sleep(WATCHDOG_S)
        lease.release(remove=False)

    with Child(holder) as child:
        grandchild = child.hear()
        child.kill()
        assert child.hear() is True
        assert not is_free(path)
        assert Lease.of_dead(path) is None
        os.kill(grandchild, signal.SIGKILL)
        until = time.monotonic() + WATCHDOG_S
        while not is_free(path):
            assert time.monotonic() < until


def test_a_stale_lock_file_with_the_number_of_a_living_process_is_free(tmp_path):
    """Who holds a lease is the kernel's to say: the number in a name may be another's by now."""
    path = tmp_path / f"host-{os.getpid()}-1-2.lock"
    path.write_bytes(b"")
    lease = Lease.of_dead(path)
    assert lease is not None
    lease.release(remove=True)
    assert not path.exists()


def test_a_process_never_gets_a_lease_twice(path):
    """The kernel would give it to the same process as often as it asks."""
    for make in (Lease.new, Lease.of_dead):
        lease = make(path)
        assert is_held_here(path)
        for _ in range(3):
            assert Lease.of_dead(path) is None
        assert lease.is_held()
        assert not is_free(path)
        lease.release(remove=True)
        assert not is_held_here(path)


def test_threads_that_ask_at_once_get_a_lease_once(tmp_path):
    """Two drainers of one process look into the same folder."""
    for number in range(100):
        path = tmp_path / f"{number}.lock"
        path.touch()
        at_once = threading.Barrier(4)
        got = []

        def ask(path=path, at_once=at_once, got=got):
            at_once.wait(30)
            got.append(Lease.of_dead(path))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        (lease,) = filter(None, got)
        assert lease.is_held()
        lease.release(remove=True)


@pytest.mark.parametrize("make", [Lease.new, Lease.of_dead])
def test_a_lease_that_is_just_being_taken_is_not_given_to_another_thread(path, patch, make):
    """Between the making of the file and its locking, and before that is noted."""
    locked, is_file = leases._locked, leases._is_file
    got = []

    def ask():
        if threading.current_thread() is not threading.main_thread():
            return  # the one that was asked for comes by here as well
        thread = threading.Thread(target=lambda: got.append(Lease.of_dead(path)))
        thread.start()
        thread.join(30)

    def locked_slowly(fd, **options):
        ask()
        result = locked(fd, **options)
        ask()
        return result

    def is_file_slowly(fd, path):
        ask()
        return is_file(fd, path)

    patch.setattr(leases, "_locked", locked_slowly)
    patch.setattr(leases, "_is_file", is_file_slowly)
    lease = make(path)
    patch.undo()
    assert len(got) >= 3
    assert {None} == set(got)
    assert lease.is_held()
    assert not is_free(path)
    lease.release(remove=True)


def test_a_lease_that_is_just_being_given_back_is_given_whole(path, patch):
    """Whoever takes it in between does not have it dropped by the one who lets it go."""
    lease = Lease.new(path)
    close = os.close
    got = []

    def closed(fd):
        if not got:
            got.append(None)
            thread = threading.Thread(target=lambda: got.append(Lease.of_dead(path)))
            thread.start()
            thread.join(0.2)  # it may have to wait until this one is done
            close(fd)
            thread.join(0)
        else:
            close(fd)

    patch.setattr(leases.os, "close", closed)
    lease.release(remove=False)
    patch.undo()
    until = time.monotonic() + WATCHDOG_S
    while len(got) < 2:
        assert time.monotonic() < until
        time.sleep(0.001)
    assert 2 == len(got)
    for taken in filter(None, got):
        assert taken.is_held()
        assert not is_free(path)
        taken.release(remove=False)
    assert is_free(path)


def test_a_lock_file_deleted_under_its_holder_is_noticed(path):
    """Another one of its name is another lease."""
    lease = Lease.new(path)
    path.unlink()
    assert not lease.is_held()
    with holding(path) as other:
        assert not lease.is_held()
        assert Lease.of_dead(path) is None
        lease.release(remove=True)
        assert path.exists()
        assert Lease.of_dead(path) is None
        other.say()
        assert other.result() is True


def test_a_lease_that_was_lost_here_can_be_taken_again(path):
    """As by the drainer of a process whose lock file was deleted."""
    lost = Lease.new(path)
    path.unlink()
    lease = Lease.of_dead(path)
    assert lease is not None
    lost.release(remove=True)
    assert lease.is_held()
    assert not is_free(path)
    lease.release(remove=True)
    assert not path.exists()


def test_a_program_that_reads_the_lock_file_does_not_take_the_lease_away(path):
    """Closing any descriptor of the file drops the lock, until it is looked after."""
    lease = Lease.new(path)
    path.read_bytes()
    assert lease.is_held()
    assert not is_free(path)
    path.read_bytes()
    assert Lease.of_dead(path) is None
    assert not is_free(path)
    lease.release(remove=True)


def test_a_lease_taken_by_another_meanwhile_is_not_held_any_more(path):
    """The lock was dropped by the program, and another process was quicker."""
    lease = Lease.new(path)
    path.read_bytes()
    with holding(path, new=False) as other:
        assert not lease.is_held()
        lease.release(remove=True)
        assert path.exists()
        other.say()
        assert other.result() is True


def test_a_cursor_is_read_and_moved(path):
    """By its holder, by others, and by the next holder."""
    lease = Lease.new(path)
    assert (0, 0) == lease.cursor()
    for place in ((1, 5), (2, 0), (999_999, 10**12), (1_000_000, 7), (1, 1)):
        lease.move_cursor(*place)
        assert place == lease.cursor() == cursor_of(path) == in_child(lambda: cursor_of(path))
    assert lease.is_held()
    assert not is_free(path)
    lease.release(remove=False)
    lease = Lease.of_dead(path)
    assert (1, 1) == lease.cursor()
    lease.release(remove=True)
    assert (0, 0) == cursor_of(path)


def test_a_cursor_can_be_moved_over_damage(path):
    """Whatever was in the file before it, and behind it."""
    path.write_bytes(b"\xff 1 2 3\n" * 100)
    lease = Lease.of_dead(path)
    assert (0, 0) == lease.cursor()
    lease.move_cursor(4, 5)
    assert (4, 5) == lease.cursor() == in_child(lambda: cursor_of(path))
    lease.release(remove=True)


def test_a_child_that_reads_the_cursor_does_not_move_what_its_parent_writes(path):
    """They share the offset of the descriptor."""
    lease = Lease.new(path)
    fd = lease._fd
    lease.move_cursor(1, 1)
    os.lseek(fd, 20, os.SEEK_SET)

    def child():
        return lease.cursor(), cursor_of(path)

    assert ((1, 1), (1, 1)) == in_child(child)
    assert 20 == os.lseek(fd, 0, os.SEEK_CUR)
    lease.move_cursor(1, 2)
    assert (1, 2) == lease.cursor()
    lease.release(remove=True)


@pytest.mark.parametrize("step", ["cursor", "move", "release", "let go", "look", "again"])
def test_a_descriptor_that_is_another_files_by_now_is_left_alone(path, tmp_path, step):
    """Somebody closed it, and its number was given to a file of the program's."""
    lease = Lease.new(path)
    lease.move_cursor(1, 1)
    fd = lease._fd
    os.close(fd)
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"0123456789")
    other = os.open(theirs, os.O_RDWR)
    if other != fd:
        os.dup2(other, fd)
        os.close(other)
    os.lseek(fd, 4, os.SEEK_SET)
    if step == "cursor":
        assert (0, 0) == lease.cursor()
    elif step == "move":
        lease.move_cursor(1, 2)
    elif step == "release":
        lease.release(remove=False)
    elif step == "let go":
        lease.let_go()
    elif step == "look":
        assert not lease.is_held()
    else:
        again = Lease.of_dead(path)
        assert again is not None
        assert (1, 1) == again.cursor()
        again.release(remove=False)
    assert 4 == os.lseek(fd, 0, os.SEEK_CUR)
    os.write(fd, b"x")
    assert b"0123x56789" == theirs.read_bytes()
    os.close(fd)
    lease.release(remove=True)


def test_a_release_in_the_midst_of_a_cursor_being_written_waits_for_it(path, patch, tmp_path):
    """Else what is written could go to a file that was opened in between."""
    lease = Lease.new(path)
    theirs = tmp_path / "theirs"
    write = leases._write_at_start
    opened = []

    def released():
        lease.release(remove=False)
        opened.append(os.open(theirs, os.O_RDWR | os.O_CREAT))

    thread = threading.Thread(target=released)

    def write_slowly(fd, data):
        thread.start()
        thread.join(0.2)
        write(fd, data)

    patch.setattr(leases, "_write_at_start", write_slowly)
    lease.move_cursor(1, 2)
    thread.join(30)
    assert b"" == theirs.read_bytes()
    os.close(opened[0])
    assert (1, 2) == cursor_of(path)


def test_nothing_is_adopted_where_the_file_system_has_no_locks(path, patch, caplog):
    """One's own segments are written all the same."""

    def unsupported(*args):
        raise OSError(37, "No locks available")

    patch.setattr(leases.fcntl, "lockf", unsupported)
    lease = Lease.new(path)
    assert lease.is_held()
    other = path.with_name("other.lock")
    other.touch()
    assert Lease.of_dead(other) is None
    assert 1 == len([r for r in caplog.records if "cannot lock" in r.message])
    lease.release(remove=True)


def test_descriptors_are_given_back(path, tmp_path):
    """Whatever becomes of the lease."""

    def count():
        return len(list(Path("/dev/fd").iterdir()))

    def child():
        before = count()
        for _ in range(3):
            Lease.new(path).release(remove=True)
            path.touch()
            Lease.of_dead(path).release(remove=True)
            lease = Lease.new(path)
            with pytest.raises(FileExistsError):
                Lease.new(path)
            assert Lease.of_dead(path) is None
            path.unlink()
            Lease.of_dead(path).release(remove=True)
            lease.release(remove=True)
            assert Lease.of_dead(tmp_path / "missing" / "x.lock") is None
        return count() - before

    assert 0 == in_child(child)


def left_by_the_dead(folder, processes, lines):
    for number in range(processes):
        name = f"host-{os.getpid()}-{number}-dead"
        path = segments.segment_path(folder, name, 1)
        path.write_bytes(
            b"".join(sealed(b'{"resourceSpans":[%d,%d]}' % (number, n)) for n in range(lines))
        )
        segments.lease_path(folder, name).touch()


def adopt_all(folder, parent, hang_at=None):
    """Take what dead processes left until nothing is left, telling of each line.

    Whoever does not hang begins when it is told to.
    """
    if hang_at is None:
        parent.recv()
    taken = 0
    until = time.monotonic() + WATCHDOG_S
    while segments.processes(folder):
        assert time.monotonic() < until
        for found in orphans([folder]):
            taken += 1
            parent.send(("took", found.process))
            while lines := found.read(3, 1 << 20):
                parent.send(("delivered", [line.data for line in lines]))
                found.settle(lines[-1], len(lines))
                if taken == hang_at:
                    parent.send(("hangs", found.process))
                    time.sleep(WATCHDOG_S)
            found.end()


def test_of_many_that_adopt_at_once_one_takes_each(tmp_path):
    """Of 50 dead processes each is taken by one of four, and that of one that is killed by another."""
    left_by_the_dead(tmp_path, 50, 7)
    expected = {
        line for path in tmp_path.glob("*.jsonl") for line in path.read_bytes().splitlines()
    }
    children = [
        Child(lambda parent, n=n: adopt_all(tmp_path, parent, hang_at=3 if n == 0 else None))
        for n in range(4)
    ]
    heard = [[children[0].hear()]]
    while heard[0][-1][0] != "hangs":
        heard[0].append(children[0].hear())
    # Not before: under load the others might leave it nothing to hang at.
    for child in children[1:]:
        child.say("go")
    children[0].kill()
    heard[0] += children[0].heard_to_the_end()
    for child in children[1:]:
        heard.append(child.heard_to_the_end())
        assert 0 == child.status
        child.pipe.close()
    children[0].pipe.close()
    interrupted = heard[0][-1][1]
    taken = [what for one in heard for kind, what in one if kind == "took"]
    assert 50 == len(set(taken))
    assert {interrupted: 2} == {name: taken.count(name) for name in taken if taken.count(name) != 1}
    delivered = [
        line for one in heard for kind, what in one if kind == "delivered" for line in what
    ]
    assert expected == set(delivered)
    assert len(expected) == len(delivered), "where the cursor stood, the next one went on"
    assert [] == list(tmp_path.iterdir())


def test_what_this_process_holds_is_no_orphan(tmp_path):
    """Neither its own segments nor what it adopted."""
    left_by_the_dead(tmp_path, 3, 1)
    mine = Segments(tmp_path, "mine", Lease.new(segments.lease_path(tmp_path, "mine")))
    segments.segment_path(tmp_path, "mine", 1).touch()
    found = list(orphans([tmp_path]))
    assert 3 == len(found)
    assert [] == list(orphans([tmp_path]))
    for source in found:
        source.end()
    found = list(orphans([tmp_path]))
    assert 3 == len(found)
    for source in [*found, mine]:
        source.end()
