"""Distributions with instrumentors, as they would be installed: real metadata, real modules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

_INSTRUMENTOR = """
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

happened = []


class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()

    def _instrument(self, **kwargs):
        happened.append(("on", kwargs["tracer_provider"]))

    def _uninstrument(self, **kwargs):
        happened.append(("off", None))
"""


class Distributions:
    """A folder on `sys.path` into which distributions are put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def install(
        self,
        distribution: str,
        names: tuple[str, ...],
        *,
        version: str = "1.0",
        groups: tuple[str, ...] = ("opentelemetry_instrumentor",),
        requires: tuple[str, ...] = (),
        code: str = _INSTRUMENTOR,
    ) -> str:
        """Put a distribution there whose module instruments what is named; return the module."""
        module = distribution.replace("-", "_")
        self.modules.append(module)
        (self.folder / f"{module}.py").write_text(dedent(code), encoding="utf-8")
        self._describe(distribution, version, requires)
        points = "".join(
            f"[{group}]\n" + "".join(f"{name} = {module}:Instrumentor\n" for name in names)
            for group in groups
        )
        described = self.folder / f"{module}-{version}.dist-info"
        (described / "entry_points.txt").write_text(points, encoding="utf-8")
        return module

    def install_library(self, name: str, version: str) -> None:
        """Put a library there that nobody instruments yet."""
        self._describe(name, version, ())

    def happened(self, module: str) -> list[str]:
        """Return what was done with the instrumentor of a module, in order."""
        loaded = sys.modules.get(module)
        return [what for what, _ in loaded.happened] if loaded is not None else []

    def _describe(self, name: str, version: str, requires: tuple[str, ...]) -> None:
        described = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        described.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        lines += [f"Provides-Extra: {extra}" for extra in ("instruments", "instruments-any")]
        (described / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")


def installed_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distributions]:
    """Yield a place for distributions, which is there for one test."""
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    made = Distributions(folder)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)
