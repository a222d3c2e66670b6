"""What was written a moment ago is sent without being read, and is what would have been read."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanwise import Destination, _state
from spanwise.export import lines, recent, segments, spool
from spanwise.export.lines import Handle
from spanwise.export.places import Places
from spanwise.export.recent import LONGEST, RecentLines
from spanwise.export.segments import RecentLine, lines_of, sealed, segment_path
from spanwise.export.spool import Spool

ENDPOINT = "http://127.0.0.1:9/v1/traces"
MANY_BYTES = 1 << 30


def line(number, size=30):
    return sealed(b'{"resourceSpans":[%d]}' % (10 ** max(6, size) + number))


def line_of(parts):
    return line(parts)[:-1]


@pytest.fixture
def make(tmp_path):
    """Make spools; what they hold is let go at the end."""
    made = []

    def one(of=line_of):
        root = tmp_path / f"s{len(made)}"
        made.append(Spool(Places(Destination(endpoint=ENDPOINT), root), line_of=of))
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


def all_of(each):
    mine, number = each.current()
    return lines_of(segment_path(mine.folder, mine.process, number))


def are_recent(found):
    return [type(one) is RecentLine for one in found]


def test_a_line_that_says_something_is_not_read(make, monkeypatch):
    """Until somebody asks for its bytes; its place is that in the file."""
    each = make()
    for number in range(5):
        each.write(line(number), number)
    with monkeypatch.context() as patch:
        patch.setattr(segments, "_lines", lambda *args, **options: pytest.fail("it was read"))
        found = read(each)
    assert list(range(5)) == [one.parts for one in found]
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


@pytest.mark.parametrize("between", ["nothing", "long", "wide"])
def test_what_says_nothing_or_is_long_is_read_with_what_is_behind_it(make, between):
    """In order, and in one go: what is sent together costs one request."""
    each = make()
    odd = {
        "nothing": line(1),
        "long": line(1, LONGEST),
        "wide": sealed(b'{"resourceSpans":["%s"]}' % ("\u00fc" * 1100).encode()),
    }[between]
    each.write(line(0), 0)
    each.write(odd, None if between == "nothing" else 1)
    each.write(line(2), 2)
    each.write(line(3), 3)
    found = read(each)
    assert [line(0), odd, line(2), line(3)] == [one.data + b"\n" for one in found]
    assert [True, False, False, False] == are_recent(found)
    assert [one.end for one in found] == [one.end for one in all_of(each)]
    assert [0, line(0)[:-1], odd[:-1]] == [found[0].parts, *[one.data for one in read(each, 2)]]
    settle_all(each)
    each.write(line(4), 4)
    assert [True] == are_recent(settle_all(each))


def test_of_more_lines_than_are_kept_the_newest_are_read(make, monkeypatch):
    """None is left out, and there is room for others once those are sent."""
    monkeypatch.setattr(recent, "_MOST_LINES", 10)
    each = make()
    for number in range(35):
        each.write(line(number), number)
    mine, _ = each.current()
    first = read(each, most_lines=30)
    assert [True] * 10 + [False] * 20 == are_recent(first)
    mine.settle(first[-1], 30)
    assert [False] * 5 == are_recent(settle_all(each))
    for number in range(35, 50):
        each.write(line(number), number)
    rest = settle_all(each)
    assert [True] * 10 + [False] * 5 == are_recent(rest)
    assert [line(number)[:-1] for number in range(35, 50)] == [one.data for one in rest]


def test_what_is_settled_is_let_go(make):
    """Nothing of it stays in the memory of a process that is idle."""
    each = make()
    for number in range(5):
        each.write(line(number), number)
    mine, _ = each.current()
    found = read(each)
    mine.settle(found[2], 3)
    assert [3, 4] == [one[3] for one in mine._recent._ahead]
    mine.settle(found[4], 2)
    assert not mine._recent._ahead
    assert not mine._recent._written


def test_a_file_that_was_cut_is_read_from_its_beginning(make):
    """Whatever is remembered of what was there."""
    each = make()
    for number in range(4):
        each.write(line(number), number)
    mine, number = each.current()
    path = segment_path(mine.folder, mine.process, number)
    mine.settle(read(each)[2], 3)
    path.write_bytes(line(7))
    found = read(each)
    assert [line(7)[:-1]] == [one.data for one in found]
    assert [False] == are_recent(found)


def test_lines_of_a_segment_that_was_deleted_are_not_sent(make):
    """They count as lost; those that are on their way then can be put aside if they are refused."""
    each = make()
    for number in range(3):
        each.write(line(number), number)
    mine, number = each.current()
    found = read(each)
    segment_path(mine.folder, mine.process, number).unlink()
    assert [] == read(each)
    assert [line(number)[:-1] for number in range(3)] == [one.data for one in found]
    each.write(line(3), 3)
    assert [3] == [one.parts for one in settle_all(each)]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="the platform has no such signal")
@pytest.mark.parametrize("inner", ["whole", "torn"])
@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_a_signal_that_writes_in_the_midst_of_a_line_leaves_both_in_their_places(
    make, monkeypatch, when, inner
):
    """Both lines are equally long, so that one could be taken for the other."""
    each = make()
    each.write(line(0), 0)
    usual, written = Handle.write, os.write
    waiting = [1]

    def interrupt():
        if waiting:
            waiting.clear()
            os.kill(os.getpid(), signal.SIGUSR1)

    def interrupted(handle, data):
        if when == "before":
            interrupt()
        end = usual(handle, data)
        if when == "after":
            interrupt()
        return end

    def written_between(fd, data):
        if when == "between":
            interrupt()
        return written(fd, data)

    def write_within(*_):
        with monkeypatch.context() as patch:
            if inner == "torn":
                patch.setattr(lines.os, "write", lambda fd, data: written(fd, data[:7]))
                with pytest.raises(OSError, match="only a part"):
                    each.write(line(8), 8)
            else:
                each.write(line(8), 8)

    before = signal.signal(signal.SIGUSR1, write_within)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(Handle, "write", interrupted)
            patch.setattr(lines.os, "write", written_between)
            each.write(line(1), 1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    each.write(line(2), 2)
    found = settle_all(each)
    order = [0, 1, 2] if inner == "torn" else [0, 1, 8, 2] if when == "after" else [0, 8, 1, 2]
    assert [line(number)[:-1] for number in order] == [one.data for one in found]
    each.write(line(3), 3)
    assert [3] == [one.parts for one in settle_all(each)]


steps = st.lists(
    st.tuples(st.just("write"), st.integers(6, 40), st.booleans())
    | st.tuples(st.just("write"), st.integers(6, 40), st.booleans())
    | st.tuples(st.just("settle"), st.integers(1, 9), st.integers(0, 9)),
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
        each = make(lambda parts: line(*parts)[:-1])
        written, got = [], []
        for step, one, other in steps:
            mine, number = each.current()
            if step == "write":
                written.append(line(len(written), one))
                each.write(written[-1], (len(written) - 1, one) if other else None)
            elif mine is None:
                continue
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
    assert written[first : len(got)] == [one.data + b"\n" for one in found]


def test_what_is_kept_is_bounded():
    """Whoever never reads costs no more than so many lines."""
    kept = RecentLines(line_of)
    for number in range(3 * recent._MOST_LINES):
        kept.add(1, number + 1, b"x", None)
    assert recent._MOST_LINES == len(kept._written)
    assert [0, 1] == [one[1] for one in kept.behind(1, 0, 2, MANY_BYTES)]
    assert [] == kept.behind(1, 2 * recent._MOST_LINES, 5, MANY_BYTES)
    assert not kept._written


def test_spools_that_nobody_here_sends_keep_nothing(tmp_path: Path):
    """Another program reads them."""
    each = Spool(Places(None, tmp_path))
    each.write(line(0), "parts")
    mine, _ = each.current()
    assert mine._recent is None
    each.close()
