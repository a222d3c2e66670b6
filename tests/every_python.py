"""Run the tests on every Python that the machine has, and at both ends of OpenTelemetry's range.

    python tests/every_python.py [3.10 3.12 ...]

Every Python runs with the newest OpenTelemetry, except the one that `make test` has run with it
already; the first of them runs with the oldest, too. Each combination gets an environment of its
own below `.venvs/`. The oldest release is the lower bound in pyproject.toml; the newest is whatever
installs today. Lint, types and generated files do not depend on the interpreter and are not
repeated here; the fault matrix runs with the newest of both, and whole programs (the pages, the
examples, the distribution) at both ends.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
ENVIRONMENTS = ROOT / ".venvs"


def interpreters() -> dict[str, str]:
    """Return the Pythons of the machine by version: those on the path, and pyenv's."""
    found: dict[str, str] = {}
    for version in VERSIONS:
        candidates = [shutil.which(f"python{version}")]
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        candidates += [str(path) for path in sorted(pyenv.glob(f"{version}.*/bin/python"))]
        for candidate in filter(None, candidates):
            script = "import sys; print('%d.%d' % sys.version_info[:2])"
            done = subprocess.run([candidate, "-c", script], capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.strip() == version:
                found[version] = candidate
                break
    return found


def oldest_pins() -> list[str]:
    """Return the lower bounds of the OpenTelemetry ranges, as exact requirements."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    dependencies = text.split("dependencies = [", 1)[1].split("]", 1)[0]
    return [
        f"{name}=={bound}"
        for name, bound in re.findall(r'"(opentelemetry-[\w-]+)>=([\w.]+)', dependencies)
    ]


def run(version: str, python: str, pins: list[str], label: str, which: str) -> bool:
    """Install and test one combination; return whether it passed."""
    environment = ENVIRONMENTS / f"{version}-{label}"
    binary = environment / "bin" / "python"
    print(f"--- Python {version}, {label} OpenTelemetry", flush=True)
    if not binary.exists():
        subprocess.run([python, "-m", "venv", environment], check=True)
    # Instrumentors, and what reads configuration files, follow the newest OpenTelemetry only.
    extras = "dev" if pins else "dev,langchain,openai,instrumentors,declarative"
    install = [binary, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, "-e", f".[{extras}]", *pins], check=True, cwd=ROOT)
    tests = [binary, "-m", "pytest", "-q", "-n", "2", "-m", which]
    return subprocess.run(tests, cwd=ROOT).returncode == 0


def _which(*, is_last: bool, is_oldest: bool) -> str:
    """Return which tests a combination runs: what takes longest does not run with each.

    `make test` runs all of them on one Python, too.
    """
    left_out = ["slow"]
    if not (is_last or is_oldest):
        left_out.append("programs")
    if not is_last or is_oldest:
        left_out.append("faults")
    return " and ".join(f"not {mark}" for mark in left_out)


def main(wanted: list[str]) -> int:
    """Run all combinations and say which failed."""
    found = interpreters()
    chosen = {v: p for v, p in found.items() if not wanted or v in wanted}
    if not chosen:
        print("none of the wanted Pythons is here")
        return 1
    versions = list(chosen)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    combinations = [(v, "newest") for v in versions if v in wanted or v != here]
    combinations.append((versions[0], "oldest"))
    failed = [
        f"{version} {label}"
        for version, label in combinations
        if not run(
            version,
            chosen[version],
            oldest_pins() if label == "oldest" else [],
            label,
            _which(is_last=version == versions[-1], is_oldest=label == "oldest"),
        )
    ]
    missing = [version for version in VERSIONS if version not in found]
    print(f"tested: {', '.join(chosen)}; not on this machine: {', '.join(missing) or 'none'}")
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
