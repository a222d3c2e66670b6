"""The processes of a benchmark, as the runner holds them: workers, and collectors."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks import environments
from benchmarks.contenders import Contender

ANSWER_TIMEOUT_S = 180


class FailedError(Exception):
    """A contender could not do what it was asked to; says why."""


class Process:
    """One worker of a contender, stopped while it is asked nothing.

    So no other worker's threads take time from the one that is measured.

    Args:
        contender: who runs in it.
        endpoint: base address of the collector it is told of; nobody listens at the default.
        sends: what it makes is to go there.
        prefix: of the command, for a tool that runs the worker.

    Raises:
        FailedError: it cannot be set up.
    """

    def __init__(
        self,
        contender: Contender,
        endpoint: str | None = None,
        *,
        sends: bool = False,
        prefix: tuple[str, ...] = (),
        folder: Path | None = None,
    ) -> None:
        self.contender = contender
        try:
            python = environments.python_of(contender.home)
        except environments.NotInstalledError as error:
            raise FailedError(str(error)) from None
        self._temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = folder or Path(self._temporary.name)
        command = [*prefix, str(python), "-m", "benchmarks.worker", contender.module]
        command += [contender.variant, str(self.folder), endpoint or nobody(), str(sends)]
        self._log = open(Path(self._temporary.name) / "log", "wb")  # noqa: SIM115 - closed below
        self.process = subprocess.Popen(
            command,
            cwd=self._temporary.name,
            env=_environment(self._temporary.name),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        try:
            self._answer()
        except BaseException:  # an interruption, too, leaves no process behind
            self.kill()
            raise
        self._pause()

    def ask(self, do: str, **what: Any) -> Any:
        """Return what the worker answers to a request.

        Raises:
            FailedError: it answers with an error, or not at all.
        """
        self.process.send_signal(signal.SIGCONT)
        assert self.process.stdin is not None  # noqa: S101 - for type checkers
        try:
            self.process.stdin.write(json.dumps({"do": do, **what}).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise FailedError("its process has ended") from None
        answer = self._answer()
        self._pause()
        return answer

    def end(self, limit_s: float = 60) -> float:
        """Let the process end as programs do; return how many seconds that takes.

        Raises:
            FailedError: it does not end within the limit.
        """
        self.process.send_signal(signal.SIGCONT)
        assert self.process.stdin is not None  # noqa: S101 - for type checkers
        began = time.monotonic()
        self.process.stdin.close()
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise FailedError(f"did not end within {limit_s:.0f} s") from None
        taken = time.monotonic() - began
        self.kill()
        return taken

    def kill(self) -> None:
        """End the process whatever it does, and remove what it wrote."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(30)
        for stream in (self.process.stdin, self.process.stdout, self._log):
            try:
                stream.close()  # type: ignore[union-attr]
            except BrokenPipeError:
                pass
        self._temporary.cleanup()

    def __enter__(self) -> Process:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def _pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def _answer(self) -> Any:
        assert self.process.stdout is not None  # noqa: S101 - for type checkers
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_TIMEOUT_S)
        if not ready:
            raise FailedError(f"no answer within {ANSWER_TIMEOUT_S} s")
        line = self.process.stdout.readline()
        if not line:
            raise FailedError("its process has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise FailedError(answer["error"])
        return answer["value"]


class Sink:
    """A counting collector in a process of its own.

    Args:
        port: to listen at; any by default.
        hangs: it takes requests and never answers, until it is mended.
    """

    def __init__(self, port: int = 0, *, hangs: bool = False) -> None:
        command = [sys.executable, "-m", "benchmarks.sink", str(port)]
        self._process = subprocess.Popen(
            [*command, *(["--hang"] if hangs else [])],
            cwd=environments.ROOT,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None  # noqa: S101 - for type checkers
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def counts(self) -> dict[str, float]:
        """Return what came, and when the last of it did."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=60) as answer:  # noqa: S310 - ours
            counts: dict[str, float] = json.load(answer)
        return counts

    def mend(self) -> None:
        """Have it answer from now on."""
        urllib.request.urlopen(f"{self.url}/mend", data=b"", timeout=60).close()  # noqa: S310 - ours

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait(30)
        self._process.stdout.close()  # type: ignore[union-attr]


def nobody() -> str:
    """Return an address of this machine at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def _environment(folder: str) -> dict[str, str]:
    """Return variables for a process that knows this package, and nothing of the user's."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "HOME": folder,
        "PYTHONPATH": str(environments.ROOT),
        "PYTHONHASHSEED": "0",
        "NO_PROXY": "*",
    }
