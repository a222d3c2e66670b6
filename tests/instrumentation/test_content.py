"""GenAI instrumentors record content where Spanwise does, and the environment is left alone."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

import spanwise
from spanwise.instrumentation import content
from support.files import Files

pytest.importorskip(
    "opentelemetry.instrumentation.genai.langchain",
    reason="the langchain extra follows the newest OpenTelemetry and is not beside an older one",
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from graphs import programs

pytestmark = pytest.mark.filterwarnings("ignore")


def asked(tmp_path: Path, name: str = "t", **settings) -> dict[str, object]:
    """Ask a model, and return its observation."""
    spanwise.configure(traces_dir=tmp_path / name, instrument=["langchain"], **settings)
    programs.model().invoke("The capital of France?")
    spanwise.flush()
    return Files(tmp_path / name).observation("chat fake-1")


def test_content_is_recorded_with_no_variable_set(tmp_path):
    """What the model was asked and what it answered, and no variable is set for it."""
    line = asked(tmp_path)
    assert "The capital of France?" in str(line["input"])
    assert "It is Paris." in str(line["output"])
    assert content.VARIABLE not in os.environ


@pytest.mark.parametrize(
    ("said", "is_recorded"),
    [
        ("NO_CONTENT", False),
        ("EVENT_ONLY", False),
        ("span_and_event", True),
        ("true", True),
        ("false", False),
    ],
)
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_opentelemetrys_own_switch_is_followed(tmp_path, monkeypatch, place, said, is_recorded):
    """Its modes, and the words of older releases, in the environment and in .env."""
    if place == "environment":
        monkeypatch.setenv(content.VARIABLE, said)
    else:
        Path(".env").write_text(f"{content.VARIABLE}={said}\n", encoding="utf-8")
    assert is_recorded == (asked(tmp_path)["output"] is not None)


def test_opentelemetrys_own_switch_stands_beside_ours(tmp_path, monkeypatch):
    """Decorators record, as we are told; instrumentors do not, as they are told."""
    monkeypatch.setenv(content.VARIABLE, "NO_CONTENT")
    line = asked(tmp_path, capture_content=True)
    assert line["output"] is None


def test_nothing_is_recorded_where_we_record_nothing(tmp_path):
    """Nor is it read."""
    line = asked(tmp_path, capture_content=False)
    assert (None, None) == (line["input"], line["output"])


def test_a_later_configure_changes_what_is_recorded(tmp_path):
    """The instrumentor is turned on anew, for it asks only then."""
    before = asked(tmp_path, "before", capture_content=False)
    after = asked(tmp_path, "after", capture_content=True)
    assert (None, True) == (before["output"], "It is Paris." in str(after["output"]))
