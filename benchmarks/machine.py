"""What the numbers were measured on and with, and nothing that tells whose it is."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import environments
from benchmarks.contenders import PACKAGES

_VERSION = "import sys; from importlib import metadata as m; print(*map(m.version, sys.argv[1:]))"


def described() -> dict[str, Any]:
    """Return the machine, and the release of each package in its environment."""
    versions = {}
    for name, package in PACKAGES.items():
        try:
            python = environments.python_of(name)
        except environments.NotInstalledError as error:
            versions[package] = f"not installed: {error}"
            continue
        asked = [str(python), "-c", _VERSION, package, "opentelemetry-api"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        versions[package] = " with OpenTelemetry ".join(done.stdout.split()) or _alone(asked)
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} on {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
    }


def _alone(asked: list[str]) -> str:
    """Return the release of a package that stands on no OpenTelemetry."""
    return subprocess.run(asked[:-1], capture_output=True, text=True, timeout=60).stdout.strip()


def _cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"
