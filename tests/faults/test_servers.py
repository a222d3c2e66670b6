"""Workers of a web server that are forked, recycled and killed: what was answered arrives."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import spanwise
from support.faulty_collector import FaultyCollector
from support.programs import NEXT_PROCESS, Outcome, Programs, ended, outcome, wait_until
from support.reports import WATCHDOG_S

pytest.importorskip("gunicorn", reason="gunicorn is not installed")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")

APPLICATION = """
import os, time
import spanwise
from support.producer import current_id

spanwise.configure()

@spanwise.agent
def answer(path):
    time.sleep(0.002)
    return current_id()

def application(environ, start_response):
    span_id = answer(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{span_id} {os.getpid()}".encode()]
"""
LISTENING = re.compile(rb"Listening at: http://127\.0\.0\.1:(\d+)")


class Server:
    """gunicorn with two workers, in front of the application above.

    Attributes:
        answers: of the requests so far, the id of the span and of the process of each.
    """

    def __init__(
        self, programs: Programs, folder: Path, *options: str, interpreter: str = sys.executable
    ) -> None:
        (folder / "application.py").write_text(APPLICATION)
        self._log = folder / "log"
        self.answers: list[tuple[str, int]] = []
        command = [interpreter, "-m", "gunicorn", "--workers", "2", "--bind", "127.0.0.1:0"]
        command += ["--chdir", str(folder), "--graceful-timeout", "20", *options]
        with self._log.open("wb") as log:
            self.process = programs.start_command([*command, "application"], stderr=log)
        wait_until(lambda: LISTENING.search(self._log.read_bytes()))
        self._port = int(LISTENING.search(self._log.read_bytes())[1])

    def ask(self, times: int) -> None:
        """Send so many requests, one after the other; those without an answer do not count."""
        for _ in range(times):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WATCHDOG_S)
            try:
                connection.request("GET", "/question")
                response = connection.getresponse()
                span_id, pid = response.read().decode().split()
                self.answers.append((span_id, int(pid)))
            except (OSError, http.client.HTTPException, ValueError):
                continue  # its worker was killed
            finally:
                connection.close()

    def ask_in_threads(self, threads: int, times: int) -> list[threading.Thread]:
        """Do that in several threads at once."""
        asking = [threading.Thread(target=self.ask, args=(times,)) for _ in range(threads)]
        for thread in asking:
            thread.start()
        return asking

    def workers(self) -> set[int]:
        """Return the processes that have answered."""
        return {pid for _, pid in self.answers}

    def stop(self) -> None:
        """Have it end as a service manager does."""
        self.process.terminate()
        assert 0 == ended(self.process)


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(WATCHDOG_S)
        assert not thread.is_alive()


def lost_of(server: Server, collector: FaultyCollector) -> set[str]:
    return {span_id for span_id, _ in server.answers} - collector.accepted


@pytest.mark.parametrize("options", ["", "--preload", "--preload --max-requests 40"])
def test_what_a_server_answered_arrives(tmp_path, options):
    """Whether workers are forked from the application or import it, are recycled or kept."""
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        server = Server(programs, tmp_path, *options.split())
        join(server.ask_in_threads(4, 30))
        assert 120 == len(server.answers)
        server.stop()
        assert 0 == programs.run_next_process()
        assert set() == lost_of(server, collector)
        assert Outcome(arrived=120) == outcome(collector)
        if "--max-requests" in options:
            assert len(server.workers()) > 2


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["each imports", "preloaded"])
def test_what_a_killed_worker_answered_arrives(tmp_path, preload):
    """Killed in the midst of requests, again and again, with the collector away for a while."""
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        server = Server(programs, tmp_path, *preload)
        asking = server.ask_in_threads(4, 50)
        for kill in range(4):
            (collector.down if kill % 2 else collector.up)()
            seen = len(server.answers)
            wait_until(lambda seen=seen: len(server.answers) > seen + 10)
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.answers[-1][1], signal.SIGKILL)
        join(asking)
        assert len(server.workers()) > 2
        collector.up()
        server.stop()
        assert 0 == programs.run_next_process()
        assert set() == lost_of(server, collector)
        assert [] == collector.corrupt


# No other process that runs tests at the same time has this one, nor its spare folder.
ANOTHER_USER = 200_000 + os.getpid() % 100_000


@pytest.fixture
def another_user() -> Iterator[dict[str, Any]]:
    """What starts a process as another user, whose spare spool is removed afterwards."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root can start workers of another user")
    yield {"user": ANOTHER_USER, "group": ANOTHER_USER, "extra_groups": [], "cwd": "/"}
    shutil.rmtree(f"/var/tmp/spanwise-{ANOTHER_USER}", ignore_errors=True)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def interpreter_of(programs: Programs, another_user: dict[str, Any]) -> str:
    """Return an interpreter that the other user can run: ours may lie in a folder of root's."""
    sources = [str(Path(spanwise.__file__).parents[1])]
    sources += [path for path in sys.path if path.endswith("site-packages")]
    programs.environment["PYTHONPATH"] += os.pathsep + os.pathsep.join(sources)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(name, path=os.defpath)):
        with contextlib.suppress(PermissionError, TypeError):
            command = [candidate, "-c", "import spanwise._pipeline, gunicorn"]
            if not ended(programs.start_command(command, **another_user)):
                return candidate
    pytest.skip(f"{ANOTHER_USER} can run no interpreter of this version")


@pytest.mark.parametrize("preload", [[], ["--preload"]], ids=["each imports", "preloaded"])
def test_workers_of_another_user_than_the_masters_lose_nothing(
    tmp_path, open_folder, another_user, preload
):
    """They cannot write to the master's spool: theirs is elsewhere, for that user's next process."""
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        interpreter = interpreter_of(programs, another_user)
        collector.down()
        options = [*preload, "--user", str(ANOTHER_USER)]
        server = Server(programs, open_folder, *options, interpreter=interpreter)
        join(server.ask_in_threads(4, 25))
        for pid in server.workers():
            os.kill(pid, signal.SIGKILL)
        server.stop()
        assert 100 == len(server.answers)
        collector.up()
        assert 0 == programs.run_next_process()  # of the master's user
        assert set() == collector.accepted
        next_process = [interpreter, "-c", NEXT_PROCESS]
        assert 0 == ended(programs.start_command(next_process, **another_user))
        assert set() == lost_of(server, collector)
        assert Outcome(arrived=100) == outcome(collector)


def test_a_program_whose_folder_was_deleted_delivers_what_it_makes(tmp_path):
    """A deployment that replaces its folder leaves running programs without one."""
    gone = tmp_path / "gone"
    program = """
        import os, sys
        import spanwise, spanwise._pipeline
        from support.producer import works
        os.rmdir(sys.argv[1])
        spanwise.configure()
        works(20)
        sys.exit(not spanwise.flush(30))
        """
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        gone.mkdir()
        assert 0 == programs.run(program, gone, cwd=gone)
        assert Outcome(arrived=20) == outcome(collector, programs)
        del programs.environment["SPANWISE_OTLP_ENDPOINT"]  # there are files by default, then
        gone.mkdir()
        assert 0 == programs.run(program, gone, cwd=gone)
