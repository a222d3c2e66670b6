"""Send through a real Collector over HTTP, gRPC and files, and compare what comes out.

    PYTHONPATH=tests python -m otel_collector [PROGRAM]

PROGRAM is a Collector that is installed, such as `otelcol-contrib`; without it one is made, which
takes Go and some minutes once. The configuration is that of `examples/collector`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_collector import building
from otel_collector.comparing import differences, parsed, spans_of
from otel_collector.running import OVERLAYS, Collector, wait_until

_PROGRAM_TIMEOUT_S = 60
_OURS = ("SPANWISE_", "OTEL_", "BRIXO_", "FLUXLOOP_")


class Trial:
    """Programs that send through one Collector, and what is wrong with what came out.

    Args:
        program: the Collector.
        folder: for everything.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self._folder = folder
        self._programs = 0
        self.spool = folder / "spool"
        self.collector = Collector(program, folder, self.spool)

    def run(self, *arguments: str, **settings: str) -> None:
        """Run a program that produces spans, to its end."""
        self._programs += 1
        expected = self._folder / f"expected-{self._programs}.pb"
        done = subprocess.run(
            [sys.executable, "-m", "otel_collector.producer", str(expected), *arguments],
            env={**_clean(os.environ), "SPANWISE_SPOOL_DIR": str(self.spool), **settings},
            capture_output=True,
            text=True,
            timeout=_PROGRAM_TIMEOUT_S,
        )
        if done.returncode or done.stderr:
            raise RuntimeError(f"a program did not deliver what it made:\n{done.stderr}")

    def wait(self) -> None:
        """Wait until as many spans came out as were produced, or for far too long."""
        try:
            wait_until(lambda: len(self._found()) >= len(self._expected()), "spans are missing")
        except TimeoutError:
            pass  # what is missing is told by what is wrong

    def wrong(self) -> list[str]:
        """Return everything that is not as it should be."""
        expected = self._expected()
        found = spans_of(parsed(line) for line in self.collector.collected())
        print(f"{len(expected)} spans produced, {len(found)} came out")
        return [*differences(expected, found), *self.collector.complaints()]

    def _expected(self) -> list[tuple[str, dict[str, object]]]:
        paths = sorted(self._folder.glob("expected-*.pb"))
        return spans_of(ExportTraceServiceRequest.FromString(path.read_bytes()) for path in paths)

    def _found(self) -> list[bytes]:
        return [b"" for line in self.collector.collected() for _ in range(line.count(b'"spanId"'))]


def main(arguments: list[str]) -> int:
    """Run everything and say what is wrong."""
    since = time.monotonic()
    if arguments:
        program = Path(arguments[0])
    else:
        go = building.go()
        if go is None:
            print("No Collector is tested: there is no Go to make one with.")
            return 0
        program = building.collector(go)
    print(f"the Collector is {program} ({time.monotonic() - since:.0f} s)")
    with tempfile.TemporaryDirectory(prefix="otel-collector-") as folder:
        wrong = _tried(Trial(program, Path(folder)))
    for what in wrong:
        print(what)
    print(f"{len(wrong)} things wrong ({time.monotonic() - since:.0f} s)")
    return 1 if wrong else 0


def _tried(trial: Trial) -> list[str]:
    """Send over every way, with the Collector away for a while."""
    wrong = [text for overlay in OVERLAYS if (text := trial.collector.validate(overlay))]
    files = {"SPANWISE_SPOOL_ONLY": "true"}
    trial.run(**files)  # before the Collector is there
    trial.run("--end-at-once", **files)
    with trial.collector as running:
        trial.run(SPANWISE_OTLP_ENDPOINT=running.http)
        trial.run(SPANWISE_OTLP_ENDPOINT=running.grpc, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
        trial.run(**files)
        trial.wait()
    trial.run(**files)  # while it is away
    with trial.collector:
        trial.run(**files)
        trial.wait()
    return wrong + trial.wrong()


def _clean(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(_OURS)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
