"""The house keeps its shape: who may import what, and how modules are named."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
API_ONLY = [
    "_observe",
    "_shells",
    "_operation",
    "_decisions",
    "_observation",
    "_identity",
    "_sampling",
    "_stream",
    "_usage",
    "_arguments",
    "_encoding",
    "_limits",
    "_walk",
    "_plain_values",
    "_small_values",
    "_contexts",
    "_value_kinds",
    "_raw_fields",
    "_masking",
    "_exceptions",
    "_calls",
    "_feedback",
    "_messages",
    "_ids",
    "_guard",
    "_state",
    "_settings",
    "_environment",
    "_configure",
    "_destinations",
]


def imports(path: Path) -> set[str]:
    """Return the modules imported when the file is, not those imported inside functions."""
    found: set[str] = set()
    nodes = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            nodes += [*node.body, *node.orelse]
        elif isinstance(node, ast.Try):
            nodes += node.body
    return found


@pytest.mark.parametrize("module", API_ONLY)
def test_what_decorators_need_knows_only_the_api(module):
    """Unconfigured, nothing of the SDK is imported."""
    heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.instrumentation")
    found = imports(SOURCE / "spanwise" / f"{module}.py")
    assert set() == {name for name in found if name.startswith(heavy)}


def test_modules_are_named_after_what_they_are():
    """No module is a drawer for the rest."""
    drawers = {"utils", "util", "helpers", "common", "base", "manager", "misc"}
    assert set() == {p.stem.strip("_") for p in SOURCE.rglob("*.py")} & drawers


def test_every_module_says_what_it_is_for():
    """Each module has a docstring."""
    missing = [
        str(path)
        for path in SOURCE.rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert [] == missing
