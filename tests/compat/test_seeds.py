"""Every program that the documents print runs as it is printed, and writes what it should."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.normal import normalised_files

HERE = Path(__file__).parent
SEEDS = HERE / "seeds"
EXPECTED = HERE / "expected"
PROGRAMS = sorted(SEEDS.glob("*/*.py"))
# Files outside the working directory that programs name.
NAMED_FILES = {
    "fluxloop_readme/01_argument_recording": Path("/tmp/agent_args.jsonl"),
    "fluxloop_readme/07_recording_api": Path("/tmp/args.jsonl"),
    "fluxloop_readme/11_conditional_recording": Path("/tmp/staging_args.jsonl"),
}
STDIN = {"brixo_quickstart/00_main": "What is a span?\nReset my password\n"}


def key_of(program: Path) -> str:
    return f"{program.parent.name}/{program.stem}"


@pytest.mark.parametrize("program", PROGRAMS, ids=key_of)
def test_a_printed_program_runs_and_writes_its_files(program, tmp_path):
    """The program ends as it would without tracing, and its files are as expected."""
    key = key_of(program)
    named = NAMED_FILES.get(key)
    if named is not None:
        named.unlink(missing_ok=True)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SPANWISE_", "OTEL_", "BRIXO_", "FLUXLOOP_"))
    }
    result = subprocess.run(
        [sys.executable, HERE / "run_program.py", program],
        cwd=tmp_path,
        env={
            **environment,
            "ENVIRONMENT": "staging",
            "PYTHONHASHSEED": "0",
            "XDG_STATE_HOME": f"{tmp_path}-state",  # what is spooled is no file of the documents
        },
        input=STDIN.get(key, ""),
        capture_output=True,
        text=True,
        timeout=60,
    )
    if key in STDIN:
        # The printed loop asks for ever: it ends when the input does.
        assert result.returncode == 1
        assert result.stderr.rstrip().endswith("EOFError: EOF when reading a line")
    else:
        assert result.returncode == 0, result.stderr
    written = normalised_files(tmp_path, *([named] if named and named.exists() else []))
    expected_file = EXPECTED / f"{key}.json"
    if os.environ.get("UPDATE_EXPECTED"):
        expected_file.parent.mkdir(parents=True, exist_ok=True)
        expected_file.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    assert json.loads(expected_file.read_text(encoding="utf-8")) == written


@pytest.mark.parametrize("fragment", sorted(SEEDS.glob("*/*.txt")), ids=key_of)
def test_a_fragment_that_is_not_run_is_no_python(fragment):
    """What is printed with `(...)` for its parameters cannot be run by anything."""
    with pytest.raises(SyntaxError):
        compile(fragment.read_text(encoding="utf-8"), str(fragment), "exec")
