"""Spool only: spans are left in files for another program, and nothing is sent."""

from __future__ import annotations

import errno
import json
import os
import stat

import pytest

import spanwise
from spanwise import _state
from spanwise.export import places
from spanwise.export.segments import lines_of
from support.forks import in_child


@pytest.fixture(autouse=True)
def spare(tmp_path, monkeypatch):
    folder = tmp_path / "spare"
    monkeypatch.setattr(places, "_spare_root", lambda: folder)
    return folder


@pytest.fixture
def unsent(tmp_path):
    """Where the files are."""
    return tmp_path / "spool" / "unsent"


@pytest.fixture
def configure(tmp_path):
    """Configure the mode."""

    def configured(**keywords):
        spanwise.configure(spool_only=True, spool_dir=tmp_path / "spool", **keywords)

    return configured


@spanwise.tool
def work(number):
    return number


def spans_in(folder):
    """Return the spans of all files, as a reader of OTLP-JSON sees them."""
    found = []
    for path in sorted(folder.glob("*.[0-9]*.jsonl")):
        for line in path.read_text().splitlines():
            (of_resource,) = json.loads(line)["resourceSpans"]
            (of_scope,) = of_resource["scopeSpans"]
            found += of_scope["spans"]
    return found


def text_of(span, name):
    """Return an attribute of a span that is a text."""
    (value,) = [a["value"] for a in span["attributes"] if a["key"] == name]
    return value["stringValue"]


def numbers_in(folder):
    return [int(text_of(span, "observation.output")) for span in spans_in(folder)]


def test_a_span_is_in_a_file_once_it_has_ended(configure, unsent):
    """Readable by its owner only; no destination is needed, and no thread is started."""
    configure()
    for number in range(3):
        work(number)
        assert list(range(number + 1)) == numbers_in(unsent)
    (path,) = unsent.glob("*.jsonl")
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 0o700 == stat.S_IMODE(unsent.stat().st_mode)
    assert {"spans.started": 3, "spans.ended": 3, "written.spool": 3} == spanwise.stats()


def test_no_other_files_are_written_unless_they_are_asked_for(configure, unsent, tmp_path):
    """As with an endpoint: the default folder is not made, one that is named is."""
    configure()
    work(1)
    assert not (tmp_path / "traces").exists()
    configure(traces_dir=tmp_path / "named")
    work(2)
    assert list((tmp_path / "named").glob("observations_*.jsonl"))
    assert [1, 2] == numbers_in(unsent)


def test_nothing_is_sent_to_any_destination(configure, unsent, receiver, caplog):
    """Whatever is configured; that is said once."""
    configure(otlp_endpoint=receiver.url, destinations=[receiver.url + "/second"])
    work(1)
    assert spanwise.flush(5)
    spanwise.shutdown()
    assert [] == receiver.requests
    assert [1] == numbers_in(unsent)
    (told,) = [record.message for record in caplog.records if "spool_only" in record.message]
    assert told.startswith("nothing is sent to ")
    assert 2 == told.count(receiver.url)


def test_switched_off_again_what_ends_next_is_sent(configure, unsent, receiver):
    """What lies in the files stays there: it is for another program."""
    configure()
    work(1)
    spanwise.configure(spool_only=False, otlp_endpoint=receiver.url)
    work(2)
    assert spanwise.flush(10)
    assert 1 == len(receiver.spans())
    assert [1] == numbers_in(unsent)


def test_a_process_that_sends_leaves_alone_what_is_not_sent(configure, unsent, receiver, tmp_path):
    """In the same folder, with any destination, and when it looks for what dead ones left."""

    def leave():
        configure()
        work(1)

    in_child(leave)  # it ends without a close
    before = sorted(path.name for path in unsent.iterdir())
    spanwise.configure(otlp_endpoint=receiver.url, spool_dir=tmp_path / "spool")
    work(2)
    assert spanwise.flush(10)
    spanwise.shutdown()
    assert ["2"] == [text_of_sent(span) for span in receiver.spans()]
    assert before == sorted(path.name for path in unsent.iterdir())
    assert [1] == numbers_in(unsent)


def text_of_sent(span):
    (value,) = [a.value.string_value for a in span.attributes if a.key == "observation.output"]
    return value


def test_secrets_are_masked_in_these_files(configure, unsent):
    """What another program reads has gone through the same stage."""
    configure()

    @spanwise.tool
    def login(password):
        return {"token": "sk-live-1234567890abcdefghij"}

    login("hunter2")
    (path,) = unsent.glob("*.jsonl")
    assert "hunter2" not in path.read_text()
    assert "1234567890abcdefghij" not in path.read_text()


def test_vocabularies_are_added_to_these_files(configure, unsent):
    """Those of the setting, as for a destination."""
    configure(dialects=["openinference"])
    work(1)
    (span,) = spans_in(unsent)
    assert "TOOL" == text_of(span, "openinference.span.kind")


def test_flush_is_true_once_all_is_written(configure, unsent, monkeypatch):
    """And not while the disk takes nothing."""
    configure()
    work(1)
    real = os.write

    def full(fd, data):
        if b"resourceSpans" in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        work(2)
        assert not spanwise.flush(0.3)
    assert spanwise.flush(20)
    assert [1, 2] == sorted(numbers_in(unsent))


def test_above_the_cap_the_oldest_go_and_flush_stays_true(configure, unsent, caplog):
    """They were written, and a reader had the time to read them; it is counted and said."""
    configure(spool_max_bytes=40_000)
    for number in range(200):
        work(number)
    assert spanwise.flush(5)
    left = numbers_in(unsent)
    assert list(range(left[0], 200)) == left
    assert left[0] > 0
    assert sum(path.stat().st_size for path in unsent.glob("*.jsonl")) <= 40_000 + 6_000
    stats = spanwise.stats()
    assert left[0] == stats["deleted.spool"]
    assert "lost.spool" not in stats
    assert 1 == len([r for r in caplog.records if "over its size cap" in r.message])


def test_a_file_that_is_older_than_some_minutes_is_not_written_to(configure, unsent):
    """So whoever has read it can move or delete it; nothing of that is counted as deleted."""
    configure()
    work(1)
    (first,) = unsent.glob("*.jsonl")
    (sink,) = [s for s in _state.runtime.processor.wiring.sinks if hasattr(s, "made_of")]
    sink._spool._own.get().open.begun_at -= 601
    first.unlink()
    work(2)
    work(3)
    (second,) = unsent.glob("*.jsonl")
    assert "000002" == second.name.split(".")[-2]
    assert [2, 3] == numbers_in(unsent)
    assert "deleted.spool" not in spanwise.stats()


def test_a_deleted_folder_is_made_again(configure, unsent):
    """What was in its newest file is counted: nobody knows whether it was read."""
    configure()
    work(1)
    for path in unsent.iterdir():
        path.unlink()
    unsent.rmdir()
    work(2)
    assert [2] == numbers_in(unsent)
    assert 1 == spanwise.stats()["deleted.spool"]


def test_after_the_close_only_segments_are_left(configure, unsent):
    """No lock that nobody would ever take; every line is whole."""
    configure()
    work(1)
    spanwise.shutdown()
    (path,) = unsent.iterdir()
    assert 1 == len(list(lines_of(path)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_forked_child_writes_a_file_of_its_own(configure, unsent):
    """Parent and child write at once, and every span is there once."""
    configure()
    work(1)

    def of_child():
        work(2)
        return spanwise.flush(5)

    assert in_child(of_child)
    work(3)
    assert [1, 2, 3] == sorted(numbers_in(unsent))
    assert 2 == len(list(unsent.glob("*.jsonl")))


def test_spans_are_not_noted_when_they_start(configure, unsent):
    """Nobody takes over what a dead process noted here, so nothing is."""
    configure(live=True)
    with spanwise.observe("open"):
        assert not unsent.exists()
    assert 1 == len(spans_in(unsent))


def test_configuring_the_same_again_goes_on_in_the_same_file(configure, unsent):
    """Another setting changes nothing here; another cap begins a new file."""
    configure()
    work(1)
    configure(service_version="2")
    work(2)
    assert 1 == len(list(unsent.glob("*.jsonl")))
    configure(spool_max_bytes=1 << 20)
    work(3)
    assert 2 == len(list(unsent.glob("*.jsonl")))
    assert [1, 2, 3] == sorted(numbers_in(unsent))


def test_many_spans_cost_no_more_than_their_lines(configure, unsent):
    """Ten thousand lines are there at once, whole and in order, however small a segment is."""
    configure(spool_max_bytes=1 << 30)
    for number in range(10_000):
        work(number)
    assert list(range(10_000)) == numbers_in(unsent)
    assert len(list(unsent.glob("*.jsonl"))) > 1
