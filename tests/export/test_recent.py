"""What was written a moment ago is sent without being read, and is what would have been read."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spanwise
from spanwise import Destination, _state
from spanwise.export import recent, segments, spool
from spanwise.export.lines import Handle
from spanwise.export.places import Places
from spanwise.export.recent import LONGEST, RecentLines
from spanwise.export.segments import RecentLine, lines_of, sealed, segment_path
from spanwise.export.spool import Spool

ENDPOINT = "http://127.0.0.1:9/v1/traces"
MANY_BYTES = 1 << 30


def line(number, size=30):
    return sealed(b'{"resourceSpans":[%d]}' % (10 ** max(6, size) + number))


@pytest.fixture
def make(tmp_path):
    """Make spools; what they hold is let go at the end."""
    made = []

    def one():
        root = tmp_path / f"s{len(made)}"
        made.append(Spool(Places(Destination(endpoint=ENDPOINT), root)))
        return made[-1]

    yield one
    for each in made:
        each.close()
    gc.collect()
    for path in [path for path in _state.leases if str(tmp_path) in path]:
        _state.leases[path].release(remove=False)


def read(each, most_lines=100, most_bytes=MANY_BYTES):
    mine, number = each.current()
    return mine.read(most_lines, most_bytes, written_to=number)


def settle_all(each):
    """Read all there is, as the drainer does, and return the lines."""
    mine, number = each.current()
    got = []
    while found := mine.read(100, MANY_BYTES, written_to=number):
        mine.settle(found[-1], len(found))
        got += found
    return got


def are_recent(lines):
    return [type(found) is RecentLine for found in lines]


def test_a_line_that_says_something_is_not_read(make, monkeypatch):
    """Until somebody asks for its bytes; its place is that in the file."""
    each = make()
    for number in range(5):
        each.write(line(number), f"parts {number}")
    with monkeypatch.context() as patch:
        patch.setattr(segments, "_lines", lambda *args, **options: pytest.fail("it was read"))
        found = read(each)
    assert [f"parts {number}" for number in range(5)] == [one.parts for one in found]
    mine, number = each.current()
    in_file = list(lines_of(segment_path(mine.folder, mine.process, number)))
    assert [one.end for one in in_file] == [one.end for one in found]
    assert [one.data for one in in_file] == [one.data for one in found]
    assert [number] * 5 == [one.number for one in found]


def test_the_same_lines_come_until_they_are_settled(make):
    """As when they are read, however many are asked for."""
    each = make()
    for number in range(6):
        each.write(line(number), number)
    assert [0, 1, 2, 3] == [one.parts for one in read(each, most_lines=4)]
    assert list(range(6)) == [one.parts for one in read(each)]
    assert [0, 1] == [one.parts for one in read(each, most_bytes=len(line(0)) + 1)]
    mine, _ = each.current()
    mine.settle(read(each, most_lines=3)[-1], 3)
    assert [3, 4, 5] == [one.parts for one in read(each)]


@pytest.mark.parametrize("between", [None, "large"])
def test_what_says_nothing_or_is_long_is_read(make, between):
    """With all that is behind it, in order, until the next line is one that was kept."""
    each = make()
    each.write(line(0), "parts")
    each.write(line(1, LONGEST), "parts") if between else each.write(line(1))
    each.write(line(2), "parts")
    each.write(line(3), "parts")
    found = settle_all(each)
    assert [line(0), line(1, LONGEST if between else 30), line(2), line(3)] == [
        (one.data if type(one) is not RecentLine else line(0)[:-1]) + b"\n" for one in found
    ]
    assert [True, False, False, False] == are_recent(found)
    each.write(line(4), "parts")
    assert [True] == are_recent(settle_all(each))


def test_of_more_lines_than_are_kept_the_oldest_are_read(make, monkeypatch):
    """None is left out, and what is kept is found again."""
    monkeypatch.setattr(recent, "_MOST_LINES", 10)
    each = make()
    for number in range(35):
        each.write(line(number), number)
    mine, _ = each.current()
    first = read(each, most_lines=30)
    assert [False] * 30 == are_recent(first)
    mine.settle(first[-1], 30)
    assert list(range(30, 35)) == [one.parts for one in settle_all(each)]


def test_a_line_that_is_gone_is_no_line_and_the_rest_is_read(make):
    """Whoever asks for its bytes is told; the next look is one at the file."""
    each = make()
    for number in range(3):
        each.write(line(number), number)
    mine, number = each.current()
    path = segment_path(mine.folder, mine.process, number)
    found = read(each)
    path.write_bytes(path.read_bytes().replace(line(1), b"x" * (len(line(1)) - 1) + b"\n"))
    assert line(0)[:-1] == found[0].data
    with pytest.raises(OSError, match="not as it was written"):
        _ = found[1].data
    rest = settle_all(each)
    assert [line(0)[:-1], line(2)[:-1]] == [one.data for one in rest]
    assert [False, False] == are_recent(rest)
    assert 1 == spanwise.stats()["torn.spool"]


def test_lines_of_a_segment_that_was_deleted_are_not_sent(make):
    """They count as lost, as if they had never been kept."""
    each = make()
    for number in range(3):
        each.write(line(number), number)
    mine, number = each.current()
    segment_path(mine.folder, mine.process, number).unlink()
    assert [] == read(each)
    each.write(line(3), 3)
    assert [3] == [one.parts for one in settle_all(each)]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="the platform has no such signal")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_signal_that_writes_in_the_midst_of_a_line_leaves_both_in_their_places(
    make, monkeypatch, when
):
    """Both lines are equally long, so that one could be taken for the other."""
    each = make()
    each.write(line(0), 0)
    usual = Handle.write
    waiting = [1]

    def interrupted(handle, data):
        if not waiting:
            return usual(handle, data)
        waiting.clear()
        if when == "before":
            os.kill(os.getpid(), signal.SIGUSR1)
        end = usual(handle, data)
        if when == "after":
            os.kill(os.getpid(), signal.SIGUSR1)
        return end

    before = signal.signal(signal.SIGUSR1, lambda *_: each.write(line(8), 8))
    try:
        monkeypatch.setattr(Handle, "write", interrupted)
        each.write(line(1), 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    each.write(line(2), 2)
    found = settle_all(each)
    order = [0, 8, 1, 2] if when == "before" else [0, 1, 8, 2]
    assert [True, False, False, False] == are_recent(found)
    assert [line(number)[:-1] for number in order[1:]] == [one.data for one in found[1:]]
    each.write(line(3), 3)
    assert [3] == [one.parts for one in settle_all(each)]


steps = st.lists(
    st.tuples(st.just("write"), st.integers(6, 40), st.booleans())
    | st.tuples(st.just("write"), st.integers(6, 40), st.booleans())
    | st.tuples(st.just("settle"), st.integers(1, 9), st.integers(0, 9))
    | st.tuples(st.just("forget"), st.none(), st.none()),
    max_size=60,
)


@settings(
    max_examples=80,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps)
def test_whatever_is_written_and_settled_comes_once_in_its_order(make, steps):
    """Segments end, few lines are kept, some say nothing, and not all that is read is settled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool, "_SEGMENT_BYTES", 400)
        patch.setattr(recent, "_MOST_LINES", 7)
        each = make()
        written, got = [], []
        for step, one, other in steps:
            mine, number = each.current()
            if step == "write":
                written.append(line(len(written), one))
                each.write(written[-1], (len(written) - 1,) if other else None)
            elif mine is None:
                continue
            elif step == "forget":
                mine._recent.forget()
            else:
                found = mine.read(one, MANY_BYTES, written_to=number)
                kept = found[: len(found) - other] if other < len(found) else []
                if kept:
                    mine.settle(kept[-1], len(kept))
                    got += kept
                    check(kept, got, written)
        if each.current()[0] is not None:
            rest = settle_all(each)
            got += rest
            check(rest, got, written)
        assert len(written) == len(got)


def check(found, got, written):
    first = len(got) - len(found)
    for position, one in enumerate(found, first):
        if type(one) is RecentLine:
            assert (position,) == one.parts
            assert len(written[position]) == one.end - one._start
        else:
            assert written[position] == one.data + b"\n"


def test_what_is_kept_is_bounded():
    """Whoever never reads costs no more than so many lines."""
    lines = RecentLines()
    for number in range(3 * recent._MOST_LINES):
        lines.add((1, number, number + 1, None))
    assert recent._MOST_LINES == len(lines._written)
    assert [] == lines.behind(1, 0, 5, MANY_BYTES)
    first = 2 * recent._MOST_LINES
    assert [first, first + 1] == [one[1] for one in lines.behind(1, first, 2, MANY_BYTES)]


def test_spools_that_nobody_here_sends_keep_nothing(tmp_path: Path):
    """Another program reads them."""
    each = Spool(Places(None, tmp_path))
    each.write(line(0), "parts")
    mine, _ = each.current()
    assert not mine._recent._written
    each.close()
