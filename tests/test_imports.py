"""Importing is light, and the public face is what it says it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import spanwise

HEAVY = ("opentelemetry.sdk", "opentelemetry.exporter", "pydantic", "rich", "click", "grpc")


def modules_after(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "statement", ["import spanwise", "from brixo import Brixo", "import fluxloop"]
)
def test_importing_a_face_imports_nothing_heavy(statement):
    """Neither the SDK nor exporters, pydantic, rich or click are paid for by an import."""
    modules = modules_after(statement)
    assert set() == {name for name in modules if name.startswith(HEAVY)}


def test_importing_fluxloop_creates_nothing(tmp_path):
    """The first use sets FluxLoop up, not the import."""
    modules_after("import fluxloop")
    assert [] == list(tmp_path.iterdir())


def test_all_is_sorted_and_everything_in_it_exists():
    """The public names are listed once, in order, and can be had."""
    assert sorted(spanwise.__all__) == spanwise.__all__
    assert all(hasattr(spanwise, name) for name in spanwise.__all__)


def test_every_public_name_says_what_it_is():
    """Everything public has a docstring."""
    undocumented = [
        name
        for name in spanwise.__all__
        if name != "__version__" and not (getattr(spanwise, name).__doc__ or "").strip()
    ]
    assert [] == undocumented


def test_an_unconfigured_program_writes_nothing_and_imports_no_sdk(tmp_path):
    """Decorators without configure() leave no trace, on disk or in sys.modules."""
    modules = modules_after(
        "import spanwise\n"
        "@spanwise.agent\n"
        "def f(x): return x\n"
        "assert f(1) == 1\n"
        "with spanwise.observe('b') as o: o.update(output=1)\n"
        "spanwise.event('e'); assert spanwise.flush() is True; spanwise.shutdown()"
    )
    assert not any(name.startswith("opentelemetry.sdk") for name in modules)
    assert [] == list(tmp_path.iterdir())
