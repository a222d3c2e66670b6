"""Send one program's traces to real backends and compare what they show with what was done.

    PYTHONPATH=tests python -m backends [phoenix] [mlflow]

Each backend is installed into an environment of its own below `.venvs/`, and served on loopback.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

from backends import mlflow, phoenix
from backends.environments import environment

PROGRAM = Path(__file__).with_name("program.py")
BACKENDS = {"phoenix": phoenix, "mlflow": mlflow}
PROGRAM_TIMEOUT_S = 180
SHOWN_TIMEOUT_S = 60
_OURS = ("SPANWISE_", "OTEL_")


def main(names: list[str]) -> int:
    """Check the backends that are named, or all of them."""
    names = names or list(BACKENDS)
    complaints: list[str] = []
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: environment(BACKENDS[name].REQUIREMENT), names))
    for name in names:
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = _complaints(BACKENDS[name], Path(folder))
        print(f"{name}: {len(found)} things wrong, {time.monotonic() - started:.0f} s", flush=True)
        complaints += found
    print("\n".join(complaints))
    return 1 if complaints else 0


def _complaints(backend: ModuleType, folder: Path) -> list[str]:
    found: list[str] = []
    with backend.server(folder) as url:
        for case in backend.CASES:
            session = f"s-{case or 'plain'}"
            _send(backend.variables(url, case), case, session, folder)
            until = time.monotonic() + SHOWN_TIMEOUT_S
            wrong = backend.wrong(url, case, session)
            while wrong is None and time.monotonic() < until:
                time.sleep(0.5)
                wrong = backend.wrong(url, case, session)
            label = f"{backend.REQUIREMENT} with {case or 'no dialect'}"
            found += [f"{label}: not every span is shown"] if wrong is None else wrong
    return found


def _send(variables: dict[str, str], case: str, session: str, folder: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    told = {
        **kept,
        **variables,
        "NO_PROXY": "127.0.0.1",
        "XDG_STATE_HOME": str(folder / "state"),
        # The first request makes MLflow load what it needs, which takes its time.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "60",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", PROGRAM, case, session],
        cwd=folder,
        env=told,
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
    )
    if done.returncode:
        raise SystemExit(f"the program failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
