"""The environments of the contenders, made once below `.venvs/`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.contenders import ENVIRONMENTS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".venvs"
INSTALL_TIMEOUT_S = 600
_PARTS_OF_AN_ENVIRONMENT = ("pip", "setuptools", "_distutils_hack")


class NotInstalledError(Exception):
    """A package cannot be installed here; says why."""


def python_of(name: str) -> Path:
    """Return the interpreter of an environment, which is made where it is not there yet.

    Raises:
        NotInstalledError: what it is to have cannot be had.
    """
    folder = FOLDER / f"bench-{name}"
    python = folder / "bin" / "python"
    wanted = "\n".join(ENVIRONMENTS[name])
    installed = folder / ".installed"
    if installed.exists() and installed.read_text(encoding="utf-8") == _state(wanted):
        return python
    make = [sys.executable, "-m", "venv", "--clear", str(folder)]
    subprocess.run(make, check=True, timeout=INSTALL_TIMEOUT_S)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*install, *ENVIRONMENTS[name]],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise NotInstalledError(f"pip did not end within {INSTALL_TIMEOUT_S} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise NotInstalledError((said or ["pip failed"])[0])
    installed.write_text(_state(wanted), encoding="utf-8")
    return python


def prepare(names: Iterable[str]) -> None:
    """Make the environments, so that nothing is installed while something is measured."""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_made, names))


def _made(name: str) -> None:
    try:
        python_of(name)
    except NotInstalledError:
        pass  # told where it is missed


def forget(name: str) -> None:
    """Have an environment made anew when it is next asked for."""
    (FOLDER / f"bench-{name}" / ".installed").unlink(missing_ok=True)


def size_mb(name: str) -> float:
    """Return what an environment has installed, without bytecode and without pip itself."""
    packages = next((FOLDER / f"bench-{name}" / "lib").glob("python*")) / "site-packages"
    total = 0
    for top, _, files in os.walk(packages):
        parts = Path(top).relative_to(packages).parts
        if "__pycache__" in parts or (parts and parts[0].startswith(_PARTS_OF_AN_ENVIRONMENT)):
            continue
        total += sum((Path(top) / file).lstat().st_size for file in files)
    return total / 1_000_000


def _state(wanted: str) -> str:
    """Return what an environment was made from: it is made anew where that has changed."""
    ours = (ROOT / "pyproject.toml").read_text(encoding="utf-8") if "." in wanted.split() else ""
    version = ".".join(map(str, sys.version_info))
    return f"{version}\n{wanted}\n{ours}"
