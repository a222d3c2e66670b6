"""Beside the originals: two packages that claim one name, and the command that mends it."""

from __future__ import annotations

import pytest

import fluxloop
import spanwise
from brixo import Brixo, _once


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution of this name into the environment, as an installer would."""

    def put(name, version):
        folder = tmp_path / "site" / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
        monkeypatch.syspath_prepend(tmp_path / "site")

    return put


@pytest.fixture(autouse=True)
def never_initialised():
    _once.reset()
    yield
    _once.reset()
    fluxloop.reset_config()


@fluxloop.tool()
def flux_tool():
    return 1


@Brixo.interaction("Main")
def brixo_interaction():
    return 1


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("brixo", lambda: Brixo.init("my-agent", "test")),
        ("brixo", brixo_interaction),
        ("fluxloop", lambda: fluxloop.configure(debug=True)),
        ("fluxloop", flux_tool),
    ],
    ids=["Brixo.init", "Brixo.interaction", "fluxloop.configure", "fluxloop.tool"],
)
def test_an_original_beside_us_is_told_once_with_the_command_that_mends_it(
    install, caplog, name, use
):
    """At the first use, whichever it is, and not again."""
    install(name, "0.9.9")
    use()
    use()
    told = [r.message for r in caplog.records if "is installed beside" in r.message]
    mend = f"pip uninstall -y {name} && pip install --force-reinstall --no-deps spanwise"
    (message,) = told
    assert f"{name} 0.9.9" in message
    assert message.endswith(mend)


def test_the_core_alone_does_not_care(install, caplog):
    """Only a program that uses the name is told."""
    install("brixo", "0.9.9")
    install("fluxloop", "0.9.9")
    spanwise.configure()
    spanwise.event("e")
    assert "is installed beside" not in caplog.text


def test_alone_nothing_is_told(caplog):
    """The environment of these tests holds neither original."""
    Brixo.init("my-agent", "test")
    fluxloop.configure(debug=True)
    assert "is installed beside" not in caplog.text
