"""Two environments with the published CLI: on the published SDK, and on this project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".venvs"
CLI = "fluxloop-cli==0.2.36"
SDK = "fluxloop==0.1.8"
INSTALL_TIMEOUT_S = 300


def environment(label: str) -> Path:
    """Make the environment, or bring it up to date; return the folder of its programs."""
    version = "{}.{}".format(*sys.version_info)
    folder = ENVIRONMENTS / f"{version}-cli-{label}"
    python = folder / "bin" / "python"
    if not python.exists():
        make = [sys.executable, "-m", "venv", str(folder)]
        subprocess.run(make, check=True, timeout=INSTALL_TIMEOUT_S)
    _install(python, "--no-deps", CLI)
    # The same project both times: what differs is which distribution brings `fluxloop`.
    _install(python, *_requirements(python), *([SDK] if label == "published" else ["-e", "."]))
    return folder / "bin"


def _install(python: Path, *what: str) -> None:
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, *what], cwd=ROOT, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S
    )
    # Otherwise silent: pip rightly says each time that no distribution named fluxloop is there.
    if done.returncode:
        sys.exit(done.stdout + done.stderr)


def _requirements(python: Path) -> list[str]:
    """Return what the CLI requires but for `fluxloop`, with the model client of `evaluate`."""
    script = "import importlib.metadata as m; print('\\n'.join(m.requires('fluxloop-cli')))"
    asked = [str(python), "-c", script]
    done = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60)
    wanted = []
    for line in done.stdout.splitlines():
        requirement, _, marker = (part.strip() for part in line.partition(";"))
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        if name != "fluxloop" and (not marker or marker == 'extra == "openai"'):
            wanted.append(requirement)
    return wanted
