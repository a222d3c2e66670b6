"""Many processes, forks in bad moments, kills: what ended is in the files, once and whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from support.files import Files

WRITER = """
import sys, spanwise
spanwise.configure(traces_dir=sys.argv[1])
@spanwise.tool
def work(n, text):
    return text
for n in range(int(sys.argv[2])):
    work(n, "ä" * (n % 500))
"""


def script(body: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(body)]


@pytest.mark.parametrize(("processes", "spans"), [(8, 2000)])
def test_processes_that_share_a_folder_tear_no_line(tmp_path, processes, spans):
    """8 processes of 2,000 spans write 16,000 whole lines, all different, none torn."""
    folder = tmp_path / "traces"
    running = [
        subprocess.Popen([*script(WRITER), str(folder), str(spans)]) for _ in range(processes)
    ]
    assert [0] * processes == [process.wait(120) for process in running]
    files = Files(folder)
    observations = files.observations()
    assert processes * spans == len(observations)
    assert processes * spans == len({line["id"] for line in observations})
    assert processes * spans == len({line["trace_id"] for line in files.traces()})


def test_threads_that_share_a_file_tear_no_line(tmp_path):
    """16 threads of 500 spans write 8,000 whole lines."""
    import threading

    import spanwise

    spanwise.configure(traces_dir=tmp_path / "traces")

    @spanwise.tool
    def work(n):
        return "x" * n

    def run():
        for n in range(500):
            work(n)

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert 8000 == len({line["id"] for line in Files(tmp_path / "traces").observations()})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_a_span_open_at_a_fork_is_written_once_by_its_own_process(tmp_path):
    """The child ends its copy too, and it is dropped; the child's own spans are kept."""
    body = """
    import os, sys, spanwise
    from opentelemetry import trace
    spanwise.configure(traces_dir=sys.argv[1])

    @spanwise.tool
    def inner(who):
        return who

    @spanwise.agent
    def outer():
        inner("before")
        with trace.get_tracer("third").start_as_current_span("foreign"):
            pid = os.fork()
            inner("child" if pid == 0 else "parent")
        return pid

    pid = outer()
    if pid == 0:
        assert spanwise.stats()["dropped.forked_copies"] == 2, spanwise.stats()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    """
    subprocess.run([*script(body), str(tmp_path / "t")], check=True, timeout=60)
    files = Files(tmp_path / "t")
    names = Counter((line["name"], str(line["input"])) for line in files.observations())
    assert {
        ("outer", "{}"): 1,
        ("foreign", "None"): 1,
        ("inner", "{'who': 'before'}"): 1,
        ("inner", "{'who': 'child'}"): 1,
        ("inner", "{'who': 'parent'}"): 1,
    } == names
    assert 1 == len(files.traces())
    foreign = files.observation("foreign")["id"]
    parents = {line["parent_id"] for line in files.observations() if line["name"] == "inner"}
    assert {foreign, files.observation("outer")["id"]} == parents


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_ids_do_not_repeat_after_a_fork_or_a_seed(tmp_path):
    """Children of one process make different ids, also with the same random.seed()."""
    body = """
    import os, random, sys, spanwise
    spanwise.configure(traces_dir=sys.argv[1])
    @spanwise.tool
    def work(): ...
    work()
    children = []
    for _ in range(8):
        pid = os.fork()
        if pid == 0:
            random.seed(1)
            for _ in range(50): work()
            os._exit(0)
        children.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
    """
    subprocess.run([*script(body), str(tmp_path / "t")], check=True, timeout=60)
    observations = Files(tmp_path / "t").observations()
    assert 401 == len(observations)
    assert 401 == len({line["id"] for line in observations})
    assert 401 == len({line["trace_id"] for line in observations})


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
def test_multiprocessing_workers_write_what_they_did(tmp_path):
    """Spans of fork, spawn and forkserver pools are all there."""
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys, spanwise
            @spanwise.tool
            def work(n):
                return n
            def start():
                spanwise.configure(traces_dir=sys.argv[1])
            if __name__ == "__main__":
                start()
                for method in ("fork", "spawn", "forkserver"):
                    context = multiprocessing.get_context(method)
                    with context.Pool(2, start) as pool:
                        assert pool.map(work, range(20)) == list(range(20))
                        pool.close(); pool.join()
            """
        )
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", program, str(tmp_path / "t")], check=True, timeout=100
    )
    observations = Files(tmp_path / "t").observations()
    assert dict.fromkeys(range(20), 3) == Counter(line["input"]["n"] for line in observations)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_killed_process_said_had_ended_is_in_the_files(tmp_path, stop):
    """Every span that ended before the kill is there; nothing is buffered."""
    body = """
    import sys, spanwise
    spanwise.configure(traces_dir=sys.argv[1], record=sys.argv[1] + "/calls.jsonl")
    @spanwise.tool
    def work(n): ...
    n = 0
    while True:
        work(n)
        sys.stdout.write(f"{n}\\n"); sys.stdout.flush()
        n += 1
    """
    folder = tmp_path / "t"
    process = subprocess.Popen([*script(body), str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.stdout.readline().strip() == "200":
            break
    process.send_signal(stop)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(30) == -stop
    reported = set(range(201)) | {int(n) for n in rest.split("\n")[:-1] if n}
    written = set()
    for path in folder.glob("observations*.jsonl"):
        written |= {json.loads(x)["input"]["n"] for x in path.read_bytes().split(b"\n")[:-1]}
    assert reported <= written
    recorded = {
        json.loads(x)["kwargs"]["n"]
        for x in (folder / "calls.jsonl").read_bytes().split(b"\n")[:-1]
    }
    assert reported <= recorded


def test_a_dead_collector_holds_the_exit_up_for_two_seconds_at_most(tmp_path):
    """The exit with an unreachable and with a hanging collector is bounded, and nothing is lost."""
    import socket

    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen(1)
        body = """
        import sys, time, spanwise
        spanwise.configure(otlp_endpoint=sys.argv[1])
        @spanwise.tool
        def work(n): ...
        for n in range(100): work(n)
        import atexit
        print(time.time(), flush=True)
        """
        for address in (f"http://127.0.0.1:{hanging.getsockname()[1]}", "http://127.0.0.1:9"):
            done = subprocess.run(
                [*script(body), address], capture_output=True, text=True, timeout=60, check=True
            )
            took = time.time() - float(done.stdout)
            # Two seconds by contract; the rest is the interpreter's own ending on a busy machine.
            assert took < 8
            spooled = "".join(path.read_text() for path in tmp_path.rglob("*.000001.jsonl"))
            assert 100 == spooled.count("resourceSpans")
            shutil.rmtree(tmp_path / "state")


def test_a_file_that_someone_left_torn_is_continued_on_a_new_line(tmp_path):
    """The torn line stays alone; ours is whole."""
    import datetime

    import spanwise

    folder = tmp_path / "traces"
    folder.mkdir()
    day = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%d")
    path = folder / f"observations_{day}.jsonl"
    path.write_bytes(b'{"id": "torn')
    spanwise.configure(traces_dir=folder)
    with spanwise.observe("after"):
        pass
    first, second = path.read_bytes().splitlines()
    assert b'{"id": "torn' == first
    assert "after" == json.loads(second)["name"]


def test_a_folder_deleted_meanwhile_is_made_again(tmp_path):
    """Lines after the deletion are in a new file."""
    import spanwise

    spanwise.configure(traces_dir=tmp_path / "traces")
    with spanwise.observe("before"):
        pass
    shutil.rmtree(tmp_path / "traces")
    with spanwise.observe("after"):
        pass
    assert ["after"] == [line["name"] for line in Files(tmp_path / "traces").observations()]


def test_a_disk_that_fills_delays_lines_and_loses_none(tmp_path, monkeypatch, caplog):
    """A short write is ended before the next line; the program sees nothing of it."""
    import spanwise
    from spanwise.export import lines

    spanwise.configure(traces_dir=tmp_path / "traces")
    write = os.write
    full = False

    def limited(fd, data):
        if not full:
            return write(fd, data)
        return write(fd, data[:20])

    monkeypatch.setattr(lines.os, "write", limited)
    for name in ("before", "full", "still full"):
        full = name != "before"
        with spanwise.observe(name):
            pass
    assert spanwise.flush(timeout=0.5) is False
    full = False
    with spanwise.observe("after"):
        pass
    assert spanwise.flush(timeout=30) is True
    for kind in ("observations", "traces"):
        path = next((tmp_path / "traces").glob(f"{kind}*.jsonl"))
        whole = []
        for line in path.read_bytes().splitlines():
            try:
                whole.append(json.loads(line)["name"])
            except ValueError:
                continue
        assert ["before", "full", "still full", "after"] == whole
    assert spanwise.stats()["delayed.jsonl"] >= 4
    assert "lost.jsonl" not in spanwise.stats()
    assert 1 == len([r for r in caplog.records if "cannot write" in r.message])


def test_above_the_cap_the_oldest_files_go(tmp_path, caplog):
    """Whole files are deleted, never the current ones, and it is said and counted."""
    import spanwise

    folder = tmp_path / "traces"
    folder.mkdir()
    for number, age in (("20200101", 3000), ("20200102", 2000), ("20200103", 1000)):
        path = folder / f"observations_{number}.jsonl"
        path.write_bytes(b'{"id": "%s"}\n' % (b"x" * 40_000))
        os.utime(path, (time.time() - age, time.time() - age))
    spanwise.configure(traces_dir=folder, traces_max_bytes=100_000)
    with spanwise.observe("now"):
        pass
    names = sorted(path.name for path in folder.glob("observations_2020*.jsonl"))
    assert ["observations_20200102.jsonl", "observations_20200103.jsonl"] == names
    assert 1 == spanwise.stats()["deleted.jsonl_files"]


def test_files_are_for_their_owner_only(tmp_path):
    """What an agent was told is not readable by other users of the machine."""
    import spanwise

    spanwise.configure(traces_dir=tmp_path / "traces", record=tmp_path / "calls.jsonl")

    @spanwise.tool
    def work(): ...

    work()
    paths = [*Path(tmp_path / "traces").glob("*.jsonl"), tmp_path / "calls.jsonl"]
    assert {0o600} == {path.stat().st_mode & 0o777 for path in paths}
