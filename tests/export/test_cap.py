"""What a folder of unsent segments may hold, and what is left of dead processes in it."""

from __future__ import annotations

import os
import time

import pytest

import spanwise
from spanwise.export import segments
from spanwise.export.cap import Cap, forget_the_dead
from spanwise.export.leases import Lease
from spanwise.export.segments import FIRST, sealed
from support.forks import Child

LINE = sealed(b'{"resourceSpans":[]}')


def laid(folder, process, count, *, age_s=0.0):
    path = segments.segment_path(folder, process, FIRST)
    path.write_bytes(LINE * count)
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_above_a_number_of_files_the_oldest_go(tmp_path):
    """However small they are: who looks for the oldest must not look through a million."""
    paths = [laid(tmp_path, f"p{n}", 1, age_s=100 - n) for n in range(6)]
    Cap(1 << 30, 4).enforce(tmp_path, paths[-1])
    assert [False] * 2 + [True] * 4 == [path.exists() for path in paths]


def test_what_a_reader_may_have_had_is_deleted_but_not_lost(tmp_path, caplog):
    """It is counted by another name, and said once, since it goes on and on."""
    paths = [laid(tmp_path, f"p{n}", 3, age_s=100 - n) for n in range(3)]
    cap = Cap(len(LINE) * 3, is_sent=False)
    cap.enforce(tmp_path, paths[-1])
    last = laid(tmp_path, "p9", 3)
    cap.enforce(tmp_path, last)
    assert [last] == sorted(tmp_path.glob("*.jsonl"))
    stats = spanwise.stats()
    assert (9, 3) == (stats["deleted.spool"], stats["deleted.spool_segments"])
    assert "lost.spool" not in stats
    said = [record.message for record in caplog.records]
    assert [f"spans were deleted since {tmp_path} is over its size cap, whether or not "] == [
        message.partition("they were read")[0] for message in said
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_locks_of_dead_processes_without_segments_go(tmp_path):
    """Those of processes that live stay, here and elsewhere, and those that have segments."""
    for process in ("dead", "dead-with-segment"):
        segments.lease_path(tmp_path, process).write_bytes(b"")
    laid(tmp_path, "dead-with-segment", 1)
    mine = Lease.new(segments.lease_path(tmp_path, "mine"))

    def hold(pipe):
        lease = Lease.new(segments.lease_path(tmp_path, "theirs"))
        pipe.send("held")
        pipe.recv()
        lease.release(remove=False)

    with Child(hold) as child:
        assert "held" == child.hear()
        forget_the_dead(tmp_path)
        left = sorted(path.name for path in tmp_path.glob("*.lock"))
        child.say()
    mine.release(remove=True)
    assert ["dead-with-segment.lock", "mine.lock", "theirs.lock"] == left
