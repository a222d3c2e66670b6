"""An environment of its own for each backend, below `.venvs/`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venvs"
INSTALL_TIMEOUT_S = 1800

# Phoenix asks for 3.11; the programs themselves run on whatever Python this is.
_OLDEST = (3, 11)
_OTHERS = ("python3.13", "python3.12", "python3.11", "python3.14")


def environment(requirement: str) -> Path:
    """Install a backend, unless it is there already; return the folder of its programs."""
    folder = ENVIRONMENTS / requirement.replace("==", "-")
    done = folder / ".installed"
    if not done.exists():
        make = [_python(), "-m", "venv", "--clear", str(folder)]
        subprocess.run(make, check=True, timeout=INSTALL_TIMEOUT_S)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run(
            [*pip, "--disable-pip-version-check", requirement],
            check=True,
            timeout=INSTALL_TIMEOUT_S,
        )
        done.touch()
    return folder / "bin"


def _python() -> str:
    if sys.version_info >= _OLDEST:
        return sys.executable
    for name in _OTHERS:
        found = shutil.which(name)
        if found is not None and not subprocess.run([found, "-c", ""]).returncode:
            return found
    sys.exit("the backends need Python 3.11 or later on the path")
