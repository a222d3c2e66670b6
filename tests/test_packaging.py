"""What is installed is what is meant to be."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import spanwise

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_holds_the_three_packages_and_their_types(tmp_path):
    """spanwise, brixo and fluxloop, each with py.typed; the version comes from one place."""
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT]
    subprocess.run(pip, check=True, timeout=300)
    (wheel,) = tmp_path.glob("spanwise-*.whl")
    assert f"spanwise-{spanwise.__version__}-py3-none-any.whl" == wheel.name
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("spanwise", "brixo", "fluxloop"):
        assert f"{package}/__init__.py" in names
        assert f"{package}/py.typed" in names
    modules = {str(p.relative_to(ROOT / "src")) for p in (ROOT / "src").rglob("*.py")}
    assert modules <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_command_line_is_installed_under_its_name():
    """`spanwise` and `python -m spanwise` are the same, and tell the version."""
    command = Path(sys.executable).with_name("spanwise")
    for call in ([command], [sys.executable, "-m", "spanwise"]):
        done = subprocess.run([*call, "--version"], capture_output=True, text=True, timeout=60)
        assert (0, spanwise.__version__) == (done.returncode, done.stdout.split()[-1])


def test_nothing_names_a_place_that_is_not_the_projects():
    """No path of one machine and no registry's host stands in what is published."""
    pattern = re.compile(r"/(?:work|root|home)/\w+|https?://[^\s\"'`)]*(?:pypi|npmjs|pythonhosted)")
    listed = subprocess.run(
        ["git", "ls-files", "--", "*.py", "*.md", "*.toml", "*.yaml", "Makefile", ".ci"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of what is published")
    own = Path(__file__).name
    found = [
        f"{name}: {match.group()}"
        for name in listed.stdout.splitlines()
        if not name.endswith(own) and (ROOT / name).is_file()
        for match in pattern.finditer((ROOT / name).read_text(encoding="utf-8"))
    ]
    assert [] == found
