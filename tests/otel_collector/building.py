"""Make a Collector of the manifest with the Collector's own builder, once, below `.tools/`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TOOLS = ROOT / ".tools" / "otel-collector"
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.165.0"
BUILD_TIMEOUT_S = 1_200
STAND_IN = HERE / "otlpjsonfile"
_USUAL_PLACE = Path("/usr/local/go/bin/go")


def go() -> Path | None:
    """Return the program `go`, where it is installed."""
    found = shutil.which("go")
    if found:
        return Path(found)
    return _USUAL_PLACE if _USUAL_PLACE.exists() else None


def collector(go: Path) -> Path:
    """Return the Collector's program, made if there is none of this manifest."""
    manifest = (HERE / "manifest.yaml").read_text()
    parts = [manifest, BUILDER, *(path.read_text() for path in sorted(STAND_IN.iterdir()))]
    folder = TOOLS / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    program = folder / "build" / "otelcol"
    if not program.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        made = manifest.replace("OUTPUT", str(program.parent)).replace("STAND_IN", str(STAND_IN))
        (folder / "manifest.yaml").write_text(made)
        _run(go, [go, "install", BUILDER], GOBIN=folder)
        _run(go, [folder / "builder", "--config", folder / "manifest.yaml"])
    return program


def _run(go: Path, command: list[Path | str], **variables: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{go.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "GOWORK": "off",
        **{name: str(value) for name, value in variables.items()},
    }
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
    )
    if done.returncode:
        sys.exit(f"{command[0]} failed\n{done.stdout}{done.stderr}")
