"""Importing is light, and the public face is what it says it is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import spanwise

HEAVY = ("opentelemetry.sdk", "opentelemetry.exporter", "pydantic", "rich", "click", "grpc")


# What a program needs when it is configured, says who a call is for, or goes wrong.
LATER = (
    *("spanwise._destinations", "spanwise._encoding", "spanwise._masking", "spanwise._media"),
    *("spanwise._propagation", "spanwise._secret_patterns", "spanwise._settings"),
    *("spanwise._stream", "spanwise._value_kinds", "spanwise.export", "spanwise.instrumentation"),
    *("orjson", "decimal", "difflib", "fractions", "hashlib", "importlib.metadata", "pathlib"),
    *("signal", "urllib.parse", "zoneinfo"),
)


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


def test_importing_spanwise_imports_only_what_decorators_need():
    """Masking, encoding and settings are imported when there is something to do."""
    brought = modules_after("import spanwise") - modules_after("import opentelemetry.trace")
    assert set() == {name for name in brought if name.startswith(LATER)}


@pytest.mark.parametrize("statement", ["from brixo import Brixo", "import fluxloop"])
def test_importing_a_facade_imports_no_masking(statement):
    """What a facade says is masked when it is said."""
    brought = modules_after(statement)
    late = ("spanwise._encoding", "spanwise._masking", "spanwise.export", "zoneinfo", "hashlib")
    assert set() == {name for name in brought if name.startswith(late)}


def test_what_is_imported_later_is_there_for_a_configured_program(tmp_path):
    """No call of a configured program imports anything of ours: another thread may fork just then."""
    during = modules_after(
        "import spanwise\n"
        f"spanwise.configure(traces_dir={str(tmp_path)!r})\n"
        "before = set(sys.modules)\n"
        "@spanwise.agent\n"
        "def stream(text):\n"
        "    with spanwise.identify(user='jane'): yield {'delta': text}\n"
        "list(stream('password: hunter2')); spanwise.inject({})\n"
        "@spanwise.tool\n"
        "def fails(): raise ValueError('token=abc123')\n"
        "try: fails()\n"
        "except ValueError: pass\n"
        "for name in before: sys.modules.pop(name)"
    )
    assert set() == {name for name in during if name.startswith("spanwise")}


def test_a_configured_program_imports_no_more_than_it_has_use_for(tmp_path):
    """What reads requirements, and what sends, is imported where there is some of it."""
    modules = modules_after(f"import spanwise; spanwise.configure(traces_dir={str(tmp_path)!r})")
    unused = {"packaging.requirements", "requests", "http.client", "grpc"}
    unused |= {"spanwise.export.drain", "spanwise.export.otlp", "spanwise.export.transports"}
    assert set() == unused & modules


def test_patterns_are_compiled_when_they_are_used():
    """To load masking compiles none of its patterns."""
    script = (
        "import re; before = []; compile_ = re.compile\n"
        "re.compile = lambda *given: (before.append(given), compile_(*given))[1]\n"
        "import spanwise._masking as masking, spanwise._secret_patterns as patterns\n"
        "shapes = {shape._expression for _, shape in patterns.VALUE_SHAPES}\n"
        "print(len(shapes & {given[0] for given in before}))\n"
        "masking.Masker().text('sk-' + 'a' * 40)\n"
        "print(len(shapes & {given[0] for given in before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ["0", "1"] == done.stdout.split()


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
