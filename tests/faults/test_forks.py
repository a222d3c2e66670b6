"""Forks of every kind, in good and in bad moments: nothing is lost, sent twice, or stuck."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from support.faulty_collector import Behaviour, FaultyCollector
from support.programs import Outcome, Programs, ended, outcome, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")

BEGIN = """
import concurrent.futures, ctypes, os, sys, threading, time
import spanwise
from support import producer
from support.producer import append, in_background, work, work_forever, works

def wait_for(*children):
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert not any(codes), codes

spanwise.configure()
"""
WARM = BEGIN + "works(50)\nassert spanwise.flush(30)\n"


def program(body: str, begin: str = WARM) -> str:
    return begin + textwrap.dedent(body)


def test_children_forked_beside_a_warm_connection_deliver_their_own(tmp_path):
    """The parent goes on with its connection, each child makes one: no request is corrupt."""
    body = """
        def forked(leave):
            child = os.fork()
            if child == 0:
                works(200)
                leave(not spanwise.flush(30))
            return child

        def forked_in_a_thread():
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                return pool.submit(forked, os._exit).result()

        children = [forked(os._exit), forked(sys.exit), forked_in_a_thread(), forked(os._exit)]
        works(200)
        wait_for(*children)
        sys.exit(not spanwise.flush(30))
        """
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        assert 0 == programs.run(program(body))
        assert Outcome(arrived=50 + 5 * 200) == outcome(collector, programs)
        assert 0 == programs.run_next_process()
        assert Outcome(arrived=50 + 5 * 200) == outcome(collector, programs)
        assert [] == programs.files("*.jsonl")


def test_children_that_leave_at_once_leave_their_spans_to_the_next_process(tmp_path):
    """So do grandchildren, also below a child that made none itself."""
    body = """
        def family(depth):
            children = []
            for _ in range(2):
                child = os.fork()
                if child == 0:
                    if depth != 2:
                        works(20)
                    family(depth + 1) if depth < 3 else None
                    if depth != 2:
                        works(20)
                    os._exit(0)
                children.append(child)
            wait_for(*children)
        works(20)
        family(1)
        works(20)
        """
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        collector.down()
        assert 0 == programs.run(program(body, BEGIN))
        collector.up()
        assert 0 == programs.run_next_process()
        assert Outcome(arrived=(1 + 2 + 8) * 40) == outcome(collector, programs)
        assert [] == programs.files("*.jsonl")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_leave_nothing_out(tmp_path, method):
    """Processes, pools and executors, however they are started and ended."""
    path = tmp_path / "program.py"
    path.write_text(
        textwrap.dedent(
            """
            import concurrent.futures, multiprocessing, sys
            import spanwise
            from support.producer import work, works

            spanwise.configure()

            def some(_):
                works(5)

            if __name__ == "__main__":
                works(5)
                context = multiprocessing.get_context(sys.argv[1])
                processes = [context.Process(target=works, args=(50,)) for _ in range(2)]
                for process in processes:
                    process.start()
                with context.Pool(2) as pool:
                    pool.map(some, range(20))
                with concurrent.futures.ProcessPoolExecutor(2, context) as executor:
                    list(executor.map(some, range(20)))
                for process in processes:
                    process.join(60)
                sys.exit(any(process.exitcode for process in processes))
            """
        )
    )
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        collector.down()  # a worker may be ended while its request is under way
        assert 0 == programs.run(path, method)
        collector.up()
        assert 0 == programs.run_next_process()
        assert Outcome(arrived=5 + 2 * 50 + 2 * 100) == outcome(collector, programs)


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is found by another name")
def test_a_child_forked_in_c_has_everything_of_its_own(tmp_path):
    """No hook tells it of the fork: it does not send with its parent's connection all the same."""
    body = """
        libc = ctypes.PyDLL(None)  # with the interpreter's lock held, so that the child has it
        children = []
        for _ in range(2):
            child = libc.fork()
            if child == 0:
                producer.watch()
                works(100)
                os._exit(not spanwise.flush(30))
            works(100)
            children.append(child)
        wait_for(*children)
        sys.exit(not spanwise.flush(30))
        """
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        assert 0 == programs.run(program(body))
        assert Outcome(arrived=50 + 4 * 100) == outcome(collector, programs)
        assert 0 == programs.run_next_process()
        assert Outcome(arrived=50 + 4 * 100) == outcome(collector, programs)


# What another thread is in the midst of when the fork comes.
HELD = {
    "writing to the spool": """
        write = lines.Handle.write
        def slow(handle, line):
            hold() if threading.current_thread() is holder else None
            return write(handle, line)
        lines.Handle.write = slow
        def held():
            work()
        """,
    "opening a file": """
        init = lines.Handle.__init__
        def slow(handle, *args, **kwargs):
            hold() if threading.current_thread() is holder else None
            init(handle, *args, **kwargs)
        lines.Handle.__init__ = slow
        def held():
            spanwise.configure(traces_dir=sys.argv[1] + "-2")
            work()
        """,
    "noting what it started": """
        append_line = lines.LineFile.append
        def slow(file, line):
            hold() if threading.current_thread() is holder else None
            append_line(file, line)
        lines.LineFile.append = slow
        def held():
            work()
        """,
    "counting": """
        def held():
            with _state._counters_lock:
                hold()
        """,
    "configuring": """
        def held():
            with _state.lock:
                hold()
        """,
    "flushing": """
        wake = drain.Drainer.wake
        def slow(drainer):
            hold() if threading.current_thread() is holder else None
            wake(drainer)
        drain.Drainer.wake = slow
        def held():
            work()
            spanwise.flush(30)
        """,
}


@pytest.mark.parametrize("held", HELD)
def test_a_fork_in_the_midst_of_something_hangs_no_child(tmp_path, held):
    """What another thread holds just then is never given back in the child."""
    begin = """
        from spanwise import _state
        from spanwise.export import drain, lines

        is_held, may_go_on = threading.Event(), threading.Event()

        def hold():
            is_held.set()
            may_go_on.wait(60)

        holder = None
        """
    end = """
        holder = threading.Thread(target=held)
        holder.start()
        assert is_held.wait(60)
        child = os.fork()
        if child == 0:
            works(50)
            spanwise.configure(environment="child")
            works(50)
            os._exit(not spanwise.flush(30))
        wait_for(child)
        may_go_on.set()
        holder.join(60)
        works(50)
        sys.exit(not spanwise.flush(30))
        """
    body = textwrap.dedent(begin) + textwrap.dedent(HELD[held]) + textwrap.dedent(end)
    settings = {"SPANWISE_TRACES_DIR": str(tmp_path / "traces"), "SPANWISE_LIVE": "1"}
    with FaultyCollector() as collector, Programs(tmp_path, collector.url, **settings) as programs:
        assert 0 == programs.run(program(body), tmp_path / "traces")
        reported = len(programs.reported())
        assert reported in (200, 201)
        assert Outcome(arrived=reported) == outcome(collector, programs)


def test_a_fork_in_the_midst_of_a_request_leaves_that_to_the_parent(tmp_path):
    """The collector hangs on it; the child sends its own all the same, the parent its own later."""
    body = """
        works(10)
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.01)
        child = os.fork()
        if child == 0:
            works(100)
            os._exit(not spanwise.flush(60))
        works(100)
        wait_for(child)
        append(sys.argv[2], "waiting")
        sys.exit(not spanwise.flush(60))
        """
    asked, waiting = tmp_path / "asked", tmp_path / "waiting"
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        process = programs.start(program(body), asked, waiting)
        programs.wait_for(50)
        assert collector.wait_for(50, 60)
        collector.behaviour = Behaviour(fault="hang", times=1)
        wait_until(lambda: collector.requests[-1].status is None)
        asked.touch()
        wait_until(waiting.exists)
        assert 50 + 100 == len(collector.accepted)
        collector.down()
        collector.up()
        assert 0 == ended(process)
        assert Outcome(arrived=50 + 10 + 200) == outcome(collector, programs)


def test_a_child_that_outlives_its_parent_keeps_its_own_spans(tmp_path):
    """The next process takes what the parent left, and leaves the child what it is at."""
    body = """
        parent = os.getpid()
        if os.fork():
            works(100)
            os._exit(0)
        while os.getppid() == parent:
            time.sleep(0.01)
        works(100)
        append(sys.argv[1], "alone")
        while not os.path.exists(sys.argv[2]):
            time.sleep(0.01)
        works(100)
        os._exit(0)
        """
    alone, may_end = tmp_path / "alone", tmp_path / "may_end"
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        collector.down()
        assert 0 == programs.run(program(body, BEGIN), alone, may_end)
        wait_until(alone.exists)
        # Told that it shall deliver what is there, it must not wait for what a process is at.
        collector.up()
        assert 0 == programs.run_next_process()
        assert collector.wait_for(100, 0)
        collector.wait_for(200, 60)  # the child notices by itself that the collector is back
        collector.down()
        may_end.touch()
        programs.wait_for(300)
        collector.up()
        deliver_the_rest(programs, collector)
        assert Outcome(arrived=300) == outcome(collector, programs)


def deliver_the_rest(programs, collector):
    """Deliver what is left by a process that is no child of ours, as soon as it is gone."""
    spans = len(programs.reported())
    wait_until(lambda: not programs.run_next_process() and collector.wait_for(spans, 0))


def test_a_child_that_made_nothing_does_not_keep_its_dead_parents_spans(tmp_path):
    """It has inherited the descriptor of the lock, and not the lock."""
    body = """
        import signal
        works(100)
        parent = os.getpid()
        if os.fork():
            os.kill(parent, signal.SIGKILL)
        append(sys.argv[1], "alive")
        time.sleep(60)
        """
    alive = tmp_path / "alive"
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        collector.down()
        process = programs.start(program(body, BEGIN), alive, start_new_session=True)
        assert -signal.SIGKILL == ended(process)
        wait_until(alive.exists)
        collector.up()
        assert 0 == programs.run_next_process()
        assert Outcome(arrived=100) == outcome(collector, programs)
        os.killpg(process.pid, signal.SIGKILL)


NEXT_PROCESS_ID = Path("/proc/sys/kernel/ns_last_pid")


@pytest.mark.skipif(
    not os.access(NEXT_PROCESS_ID, os.W_OK), reason="the next process id cannot be chosen here"
)
def test_a_grandchild_with_its_dead_grandparents_process_id_has_everything_of_its_own(tmp_path):
    """Not even its ids repeat those that the dead one went on to make."""
    body = """
        grandparent = os.getpid()
        if os.fork():
            works(50)
            os._exit(not spanwise.flush(30))
        while os.path.exists(f"/proc/{grandparent}"):
            time.sleep(0.005)
        for _ in range(300):  # others may be quicker
            with open(sys.argv[1], "w") as last:
                last.write(str(grandparent - 1))
            child = os.fork()
            if child == 0:
                if os.getpid() == grandparent:
                    works(50)
                    append(sys.argv[2], str(spanwise.flush(30)))
                os._exit(0)
            os.waitpid(child, 0)
            if child == grandparent:
                break
        else:
            append(sys.argv[2], "taken")
        os._exit(0)
        """
    told = tmp_path / "told"
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        assert 0 == programs.run(program(body), NEXT_PROCESS_ID, told)
        wait_until(told.exists)
        if told.read_text() == "taken":
            pytest.skip("the process id was taken by another process")
        assert "True" == told.read_text()
        assert 150 == len(set(programs.reported()))
        assert Outcome(arrived=150) == outcome(collector, programs)


DAEMON = """
parent = os.getpid()
if os.fork():
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
os.chdir("/")
"""
# What is open from then on has the numbers of what was open before.
CLOSE_ALL = """
import gc, select, socket
os.closerange(0, 1024)
names = [sys.argv[1] + str(number) for number in range(20)]
files = [os.open(name, os.O_RDWR | os.O_CREAT) for name in names]
pairs = [socket.socketpair() for _ in range(20)]

def check():
    gc.collect()
    assert all(os.path.samestat(os.fstat(fd), os.stat(name)) for name, fd in zip(names, files))
    assert not any(os.path.getsize(name) for name in names)
    sockets = [one for pair in pairs for one in pair]
    assert [] == select.select(sockets, [], [], 0)[0]
    for one, other in pairs:
        one.send(b"1")
        assert other.recv(2) == b"1"
"""
AS_A_DAEMON = """
try:
    works(100)
    spanwise.flush(30)
    check()
    append(sys.argv[1], "done")
except BaseException:
    import traceback
    append(sys.argv[1], traceback.format_exc())
os._exit(0)
"""


@pytest.mark.parametrize("before_closing", ["", "works(50)", "works(50); spanwise.flush(30)"])
def test_a_daemon_that_closes_all_descriptors_delivers_its_own(tmp_path, before_closing):
    """Nothing of ours is written to, or closed behind, what has the numbers of ours by then."""
    told = tmp_path / "told"
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        daemon = WARM + DAEMON + before_closing + CLOSE_ALL + AS_A_DAEMON
        assert 0 == programs.run(daemon, told)
        wait_until(told.exists)
        assert "done" == told.read_text()
        deliver_the_rest(programs, collector)
        result = outcome(collector, programs)
        assert (0, 0) == (result.lost, result.corrupt)
        assert len(programs.reported()) == result.arrived
        # What was under way when its socket was closed may have arrived already.
        assert result.twice <= (50 if before_closing else 0)
