"""What examinations of a folder and an environment of the test find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from spanwise.doctor import examination
from spanwise.doctor.findings import Finding
from spanwise.doctor.surroundings import surroundings
from spanwise.export import places

Examined = Callable[..., list[Finding]]


@pytest.fixture(autouse=True)
def spare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in lies among those of the test."""
    folder = tmp_path / "spare"
    monkeypatch.setattr(places, "_spare_root", lambda: folder)
    return folder


@pytest.fixture
def examined() -> Examined:
    """Return what one examination finds, as far as it is of these levels."""

    def found(section: str, *levels: str, offline: bool = True) -> list[Finding]:
        part = examination.parts(surroundings(), is_offline=offline)[section]
        findings = examination.examined(section, part)
        return [one for one in findings if not levels or one.level.value in levels]

    return found


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution into the environment, as an installer would."""

    def put(
        name: str, version: str, entry_points: str = "", requires: tuple[str, ...] = ()
    ) -> None:
        folder = tmp_path / "site" / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir(parents=True)
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (folder / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(tmp_path / "site")

    return put
