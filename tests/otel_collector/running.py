"""Run the Collector with the configuration of the example, and read what comes out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from otel_collector.building import HERE, ROOT

EXAMPLE = ROOT / "examples" / "collector"
OVERLAYS = ("tempo", "clickhouse", "kafka")
WAIT_S = 60.0
_LOOK_EVERY_S = 0.1


class Collector:
    """A Collector that runs while its `with` block does.

    Args:
        program: what to run.
        folder: for its state, its log and what comes out of it.
        spool: the folder whose files it reads.

    Attributes:
        http: base address of its OTLP/HTTP receiver.
        grpc: the same of gRPC's.
    """

    def __init__(self, program: Path, folder: Path, spool: Path) -> None:
        self._program = program
        self._folder = folder
        self._spool = spool
        self._starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._ports = [_free_port(), _free_port()]
        self.http, self.grpc = (f"http://127.0.0.1:{port}" for port in self._ports)

    def __enter__(self) -> Collector:
        self._starts += 1
        command = [self._program, "--config", EXAMPLE / "config.yaml"]
        command += ["--config", HERE / "collected.yaml"]
        with open(self._folder / "collector.log", "ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in command], env=self._environment(), stdout=log, stderr=log
            )
        try:
            for port in self._ports:
                wait_until(lambda port=port: _is_open(port), "the Collector takes no connections")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(WAIT_S)

    def collected(self) -> list[bytes]:
        """Return the lines of its file exporter, of every start so far."""
        paths = sorted(self._folder.glob("collected-*.jsonl"))
        # The last one may be in the midst of being written.
        pieces = [piece for path in paths for piece in path.read_bytes().split(b"\n")[:-1]]
        return [piece for piece in pieces if piece]

    def complaints(self) -> list[str]:
        """Return what it logged as a warning or an error."""
        log = (self._folder / "collector.log").read_text()
        return [x for x in log.splitlines() if "\twarn\t" in x or "\terror\t" in x]

    def validate(self, overlay: str) -> str:
        """Return what it says against the example with one of the files that go with it."""
        command = [self._program, "validate", "--config", EXAMPLE / "config.yaml"]
        command += ["--config", EXAMPLE / f"{overlay}.yaml"]
        done = subprocess.run(
            [str(part) for part in command],
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=WAIT_S,
        )
        return done.stderr if done.returncode else ""

    def _environment(self) -> dict[str, str]:
        http, grpc = self._ports
        return {
            **os.environ,
            "SPANWISE_SPOOL_DIR": str(self._spool),
            "COLLECTOR_STATE": str(self._folder / "state"),
            "COLLECTOR_HTTP": f"127.0.0.1:{http}",
            "COLLECTOR_GRPC": f"127.0.0.1:{grpc}",
            "COLLECTED": str(self._folder / f"collected-{self._starts}.jsonl"),
        }


def wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is so; fail if that takes far too long."""
    until = time.monotonic() + WAIT_S
    while not is_so():
        if time.monotonic() > until:
            raise TimeoutError(otherwise)
        time.sleep(_LOOK_EVERY_S)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as tried:
        tried.settimeout(1)
        return tried.connect_ex(("127.0.0.1", port)) == 0
