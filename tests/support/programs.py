"""Programs that make spans for one destination and one spool, and what became of those spans."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spanwise.export import segments
from support.faulty_collector import FaultyCollector
from support.reports import REPORT, WATCHDOG_S

TESTS = Path(__file__).parents[1]
# Flushing waits for what dead processes left as well.
NEXT_PROCESS = """
import spanwise, sys
spanwise.configure()
sys.exit(not spanwise.flush(60))
"""


class Programs:
    """Programs that know the same destination and the same spool, and report to the same file.

    Args:
        folder: for the spool and the report.
        endpoint: base address of the destination.
        **settings: further variables of their environment.

    Attributes:
        spool: the root of the spools.
        environment: of the programs.
    """

    def __init__(self, folder: Path, endpoint: str, **settings: str) -> None:
        folder.mkdir(exist_ok=True)
        self.spool = folder / "spool"
        self._report = folder / "report"
        self._running: list[subprocess.Popen[bytes]] = []
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(TESTS),
            "SPANWISE_OTLP_ENDPOINT": endpoint,
            "SPANWISE_SPOOL_DIR": str(self.spool),
            REPORT: str(self._report),
            **settings,
        }

    def __enter__(self) -> Programs:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
                process.wait(WATCHDOG_S)

    def use_spool_of(self, others: Programs) -> None:
        """Have the root of the spools in common with other programs from now on."""
        self.spool = others.spool
        self.environment["SPANWISE_SPOOL_DIR"] = str(self.spool)

    def start(self, program: str | Path, *arguments: object, **options: Any) -> Any:
        """Start a program, given as a file or as its text, and return the process."""
        given = ["-c", textwrap.dedent(program)] if isinstance(program, str) else [str(program)]
        ignored = ["-W", "ignore::DeprecationWarning"]  # said of every fork beside threads
        command = [sys.executable, *ignored, *given, *map(str, arguments)]
        return self.start_command(command, **options)

    def run(self, program: str | Path, *arguments: object, **options: Any) -> int:
        """Run a program to its end, and return its exit code, negative for a signal."""
        return ended(self.start(program, *arguments, **options))

    def start_next_process(self) -> Any:
        """Start what comes next in the life of these programs: it delivers what they left."""
        return self.start(NEXT_PROCESS)

    def run_next_process(self) -> int:
        """Run that to its end, and return its exit code: 0 if it has delivered everything."""
        return ended(self.start_next_process())

    def run_send(self) -> int:
        """Run `spanwise send` for the whole spool, and return its exit code."""
        command = [sys.executable, "-m", "spanwise", "send", "--spool", str(self.spool)]
        command += ["--to", self.environment["SPANWISE_OTLP_ENDPOINT"]]
        return ended(self.start_command(command, stdout=subprocess.DEVNULL))

    def start_command(self, command: Sequence[str], **options: Any) -> Any:
        """Start any other program in their environment, and return the process."""
        process = subprocess.Popen(command, **{"env": self.environment, **options})
        self._running.append(process)
        return process

    def reported(self) -> list[str]:
        """Return the ids of the spans that were said to have ended."""
        return [line.split(" ")[0] for line in self._lines()]

    def labels(self) -> set[str]:
        """Return what the functions of these spans were called with."""
        return {line.split(" ")[1] for line in self._lines()}

    def wait_for(self, spans: int) -> None:
        """Wait until so many were reported."""
        wait_until(lambda: len(self._lines()) >= spans)

    def files(self, pattern: str) -> list[Path]:
        """Return the files of this pattern in the folders of the spool."""
        return sorted(self.spool.glob(f"*/{pattern}"))

    def torn(self) -> Counter[str]:
        """Return how many damaged lines there are in the segments, by the process that wrote them."""
        found: Counter[str] = Counter()
        for path in self.files("*.[0-9]*.jsonl"):
            pieces = path.read_bytes().split(b"\n")
            damaged = [piece for piece in pieces if piece and segments.intact(piece) != [piece]]
            found[path.name.partition(".")[0]] += len(damaged)
        return +found

    def _lines(self) -> list[str]:
        return self._report.read_text().split("\n")[:-1] if self._report.exists() else []


def ended(process: subprocess.Popen[bytes]) -> int:
    """Wait until the process has ended, and return its exit code, negative for a signal."""
    return process.wait(WATCHDOG_S)


def wait_until(is_so: Any) -> None:
    """Wait until something is so; fail if that takes far too long."""
    until = time.monotonic() + WATCHDOG_S
    while not is_so():
        assert time.monotonic() < until, "it does not come to it"
        time.sleep(0.01)


@dataclass(frozen=True)
class Outcome:
    """What became of the spans of programs.

    Attributes:
        arrived: how many different spans.
        lost: were reported, and did not arrive.
        twice: arrived more than once.
        corrupt: requests that could not be decoded.
    """

    arrived: int
    lost: int = 0
    twice: int = 0
    corrupt: int = 0


def outcome(collector: FaultyCollector, *programs: Programs) -> Outcome:
    """Compare what the programs reported with what the collector accepted."""
    arrived = Counter(collector.spans)
    reported = {span_id for some in programs for span_id in some.reported()}
    return Outcome(
        arrived=len(arrived),
        lost=len(reported - set(arrived)),
        twice=sum(times > 1 for times in arrived.values()),
        corrupt=len(collector.corrupt),
    )


def repeated_requests(record: Path) -> int:
    """Return how many requests brought a span again that one before them had brought.

    Args:
        record: of a collector.
    """
    first: dict[str, str] = {}
    again = set()
    for line in record.read_text().splitlines():
        span_id, _, request = line.partition(" ")
        if first.setdefault(span_id, request) != request:
            again.add(request)
    return len(again)
