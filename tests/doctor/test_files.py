"""What the doctor says of the folder of files."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

import spanwise
from spanwise.doctor.files import counted, size_of


def test_the_folder_is_told_with_its_size_and_newest_file(examined):
    """By default ./traces."""
    spanwise.configure()
    with spanwise.observe("one"):
        pass
    assert spanwise.flush()
    finding = examined("files", "fact")[0]
    files = list(Path("traces").iterdir())
    assert len(files) == finding.facts["files"] == 2
    assert sum(path.stat().st_size for path in files) == finding.facts["bytes"]
    assert finding.facts["newest"] in {path.name for path in files}
    assert f"{Path('traces').absolute()}: 2 files" in finding.text
    assert "of at most 1.0 GiB" in finding.text


def test_with_a_destination_no_files_are_written(examined, monkeypatch):
    """The variable that would have them written is named."""
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", "http://127.0.0.1:9")
    (finding,) = examined("files")
    assert ("no JSONL files are written", True) == (
        finding.text,
        "SPANWISE_TRACES_DIR" in finding.mend,
    )


def test_a_disk_without_room_is_a_problem(examined, monkeypatch):
    """Spans would wait in memory."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 40, 1 << 40, 1 << 20))
    (finding,) = examined("files", "problem")
    assert "only 1.0 MiB are free" in finding.text


def test_recordings_and_media_are_told(examined, monkeypatch):
    """Where they are kept."""
    monkeypatch.setenv("SPANWISE_RECORD", "calls.jsonl")
    monkeypatch.setenv("SPANWISE_MEDIA_DIR", "media")
    texts = [finding.text for finding in examined("files", "fact")]
    assert f"record: {Path('calls.jsonl').absolute()}" in texts
    assert f"media_dir: {Path('media').absolute()}" in texts


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KiB"), (20 << 20, "20 MiB")],
)
def test_sizes_are_read_by_people(number, text):
    """In the unit that fits."""
    assert text == size_of(number)
    assert ("1 file", "1,200 files") == (counted(1, "file"), counted(1200, "file"))
