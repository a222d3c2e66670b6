"""Damaged segments: every line whose own bytes are intact is delivered, and nothing hangs."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spanwise
from spanwise import _state
from spanwise.export import segments
from spanwise.export.leases import Lease
from spanwise.export.segments import Segments, intact, lines_of, sealed, unsealed

PROCESS = "host-1-2-3"


def record(number, size=8):
    """Return a line without its newline; it holds what looks like the ends of lines."""
    text = (b'\\",\\"crc\\":\\"00000000\\"}\\n' * (size // 20 + 1))[: size // 2 * 2]
    text = text[:-1] if text.endswith(b"\\") and not text.endswith(b"\\\\") else text
    return sealed(b'{"resourceSpans":[{"n":%d,"t":"%s"}]}' % (number, text))[:-1]


class Laid:
    """Segments that a dead process left, with what was in them before they were damaged."""

    def __init__(self, folder, records, process=PROCESS):
        self.folder = folder
        self.process = process
        self.records = records
        self.data = b"".join(line + b"\n" for line in records)
        self.places = []
        at = 0
        for line in records:
            self.places.append((at, at + len(line)))
            at += len(line) + 1

    def write(self, data, number=1):
        segments.segment_path(self.folder, self.process, number).write_bytes(data)

    def intact_in(self, data):
        """Return the records whose own bytes are where they were."""
        return [
            line
            for line, (start, end) in zip(self.records, self.places, strict=True)
            if data[start:end] == line
        ]


def opened(folder, process=PROCESS):
    lease = Lease.of_dead(segments.lease_path(folder, process))
    assert lease is not None
    return Segments(folder, process, lease)


def drained(folder, process=PROCESS, most_lines=5, most_bytes=1 << 20, group=2):
    """Deliver everything, some lines at a time, and give the lease back."""
    source = opened(folder, process)
    got = []
    try:
        for _ in range(100_000):
            lines = source.read(most_lines, most_bytes)
            assert lines == source.read(most_lines, most_bytes), "not the same until settled"
            if not lines:
                return got
            for at in range(0, len(lines), group):
                part = lines[at : at + group]
                source.settle(part[-1], len(part))
                got += [line.data for line in part]
        raise AssertionError("it does not end")
    finally:
        source.end()


def torn():
    """Return how many damaged lines were counted since this was last asked."""
    return _state._counters.pop("torn.spool", 0)


@pytest.fixture
def patch():
    """Patches that a test may take back by itself, without those that protect it."""
    with pytest.MonkeyPatch.context() as made:
        yield made


@pytest.fixture
def small(tmp_path):
    """A dozen lines."""
    return Laid(tmp_path, [record(n, 8 + n % 3 * 20) for n in range(12)])


def test_lines_come_in_order_and_the_segment_goes(small):
    """What is settled is removed, with its lock file."""
    small.write(small.data)
    assert small.records == drained(small.folder)
    assert [] == list(small.folder.iterdir())
    assert 0 == torn()


def test_a_sealed_line_is_what_it_was_made_of():
    """The checksum is a member of the object, and can be taken out again."""
    text = b'{"resourceSpans":[]}'
    line = sealed(text)
    assert line.startswith(text[:-1] + b',"crc":"')
    assert text == unsealed(line[:-1])
    assert [line[:-1]] == intact(line[:-1])


def test_a_segment_cut_at_any_byte_keeps_the_lines_before_the_cut(small):
    """A last line that lacks nothing but its newline is one of them."""
    for cut in range(len(small.data) + 1):
        data = small.data[:cut]
        small.write(data)
        assert small.intact_in(data) == drained(small.folder), cut
        is_whole = cut == 0 or data.endswith(b"\n") or any(cut == end for _, end in small.places)
        assert int(not is_whole) == torn(), cut
        assert [] == list(small.folder.iterdir())


@pytest.mark.parametrize("value", [b"\n", b'"', b"\0", b":", b"{", b"}", b"x", b"\\"])
def test_a_flipped_byte_costs_its_own_line_only(small, value):
    """Whichever byte it is, the newline between two lines included, which costs none."""
    newlines = {end for _, end in small.places}
    for at in range(len(small.data)):
        data = small.data[:at] + value + small.data[at + 1 :]
        if data == small.data:
            continue
        small.write(data)
        assert small.intact_in(data) == drained(small.folder), at
        count = torn()
        if at in newlines:
            assert len(small.records) == len(small.intact_in(data))
            last = at == len(small.data) - 1
            assert 1 == count, (at, last)
        else:
            assert 1 <= count <= 1 + (value == b"\n"), at
        assert [] == list(small.folder.iterdir())


def test_bytes_flipped_all_over_a_large_segment_cost_their_own_lines_only(tmp_path):
    """Also where lines are longer than what is read at once."""
    random_ = random.Random(7)
    sizes = [random_.choice((30, 300, 3_000, 700_000)) for _ in range(60)]
    large = Laid(tmp_path, [record(n, size) for n, size in enumerate(sizes)])
    assert len(large.data) > 4 << 20
    for _ in range(25):
        data = bytearray(large.data)
        for _ in range(random_.randrange(1, 6)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        for _ in range(random_.randrange(3)):
            data[random_.choice(large.places)[1]] = random_.randrange(256)
        data = bytes(data)
        large.write(data)
        assert large.intact_in(data) == drained(tmp_path, most_lines=64)
        assert (torn() > 0) == (data != large.data)
        assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_zeroed_tail_costs_what_was_in_it(tmp_path, share):
    """As a power cut leaves it: the size is there, the content is not."""
    laid = Laid(tmp_path, [record(n, 2_000) for n in range(1_000)])
    kept = int(len(laid.data) * share)
    data = laid.data[:kept] + bytes(len(laid.data) - kept)
    laid.write(data)
    assert laid.intact_in(data) == drained(tmp_path, most_lines=100)
    assert 1 == torn()
    assert [] == list(tmp_path.iterdir())


def test_a_zeroed_block_in_the_middle_costs_what_was_in_it(small):
    """Wherever it begins and ends: between lines, or over the end of one and the start of another."""
    size = len(small.data)
    for start in range(0, size, 3):
        for length in (1, 2, 5, 40, 130):
            data = (
                small.data[:start] + bytes(min(length, size - start)) + small.data[start + length :]
            )
            small.write(data)
            assert small.intact_in(data) == drained(small.folder), (start, length)
            assert torn() > 0
            assert [] == list(small.folder.iterdir())


@pytest.mark.parametrize(
    "garbage", [b"\0", b"x", b'{"resourceSpans":[', b'"crc":"00000000"},', b"\xff\x00{"]
)
def test_megabytes_without_a_newline_do_not_hide_what_follows(small, garbage):
    """They are one damaged line, read in linear time."""
    garbage = garbage * (5_000_000 // len(garbage))
    since = time.monotonic()
    small.write(b"\n" + small.data)
    assert small.records == drained(small.folder)
    took_without = time.monotonic() - since
    small.write(garbage + b"\n" + small.data)
    since = time.monotonic()
    assert small.records == drained(small.folder)
    assert time.monotonic() - since < took_without + 20
    assert 1 == torn()
    small.write(small.data + garbage)
    assert small.records == drained(small.folder)
    assert 1 == torn()
    assert [] == list(small.folder.iterdir())


def test_lines_glued_together_are_all_found(small):
    """The newlines between them were flipped: each is delivered, the damage is counted once."""
    for glue in (b" ", b":", b"\0", b"", b'{"resourceSpans":['):
        data = glue.join(small.records) + b"\n"
        small.write(data)
        assert small.records == drained(small.folder)
        assert 1 == torn()


def test_a_line_glued_to_the_rest_of_another_is_found(small):
    """A short write that nobody ended: what was written of it stands before the next line."""
    first, second, third = small.records[:3]
    for cut in range(1, len(first)):
        small.write(first[:cut] + second + b"\n" + third + b"\n")
        assert [second, third] == drained(small.folder), cut
        assert 1 == torn()


def test_a_short_write_ended_by_the_next_line_is_one_damaged_line(small):
    """What was written of it stands alone."""
    first, second = small.records[:2]
    for cut in range(1, len(first)):
        small.write(first[:cut] + b"\n" + second + b"\n" + first + b"\n")
        assert [second, first] == drained(small.folder), cut
        assert 1 == torn()


def test_letters_with_a_span_inside_of_them_are_found_as_well(tmp_path):
    """A line may hold what other lines begin with."""
    lines = [
        sealed(b'{"letters":[{"path":"/x","body":{"n":%d}}],"otlp":{"resourceSpans":[{}]}}' % n)
        for n in range(4)
    ]
    laid = Laid(tmp_path, [line[:-1] for line in lines])
    for at in range(len(laid.data)):
        data = laid.data[:at] + b":" + laid.data[at + 1 :]
        laid.write(data)
        assert laid.intact_in(data) == drained(tmp_path), at


def test_a_checksum_of_the_users_own_inside_of_a_line_confuses_nobody(tmp_path):
    """A letter's content may end in a member of that name."""
    lines = [
        sealed(b'{"letters":[{"path":"/x","body":{"n":%d,"crc":"0123abcd"}}]}' % n)[:-1]
        for n in range(4)
    ]
    laid = Laid(tmp_path, lines)
    for glue in (b"\n", b"x"):
        laid.write(glue.join(lines))
        assert lines == drained(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n\n", b"\0", b"{", b'{"resourceSpans":['])
def test_a_segment_without_a_line_is_removed(small, data):
    """Nothing is delivered of it."""
    small.write(data)
    assert [] == drained(small.folder)
    assert int(bool(data.strip(b"\n"))) == torn()
    assert [] == list(small.folder.iterdir())


def test_segments_follow_each_other_over_gaps(small):
    """The cap removed one in between; the order is that of the numbers, not of the names."""
    records = small.records
    for number, line in zip((3, 4, 7, 1_000_000, 1_000_001), records, strict=False):
        small.write(line + b"\n", number)
    small.write(b"damaged\n", 8)
    assert records[:5] == drained(small.folder)
    assert 1 == torn()
    assert [] == list(small.folder.iterdir())


CURSORS = {
    "empty": b"",
    "zeros": bytes(37),
    "text": b"hello",
    "numbers": b"000001 00000000000000000050 00000000\n",
    "more numbers": b"1 2 3 4 5 6",
    "not numbers": b"a b c",
    "not ASCII": b"\xff\xfe \x00 \x80",
    "a flipped digit": b"000001 00000000000000000060 %08x\n",
    "another's tail": b"000009 00000000000000000000 12345678\n000001",
}


@pytest.mark.parametrize("name", CURSORS)
def test_a_damaged_cursor_means_that_all_is_delivered_again(small, name):
    """Twice is allowed, never is not."""
    small.write(small.data)
    segments.lease_path(small.folder, PROCESS).write_bytes(CURSORS[name])
    assert small.records == drained(small.folder)
    assert [] == list(small.folder.iterdir())


@pytest.mark.parametrize(
    "cursor", [(1, 10**9), (1, 10**19), (0, 0), (0, 50), (99, 0), (99, 10**9), (3, 0)]
)
def test_a_cursor_that_points_at_nothing_means_that_all_is_delivered_again(small, cursor):
    """Behind the end of a segment, or at one that never was."""
    lease = Lease.new(segments.lease_path(small.folder, PROCESS))
    lease.move_cursor(*cursor)
    lease.release(remove=False)
    small.write(small.data)
    assert small.records == drained(small.folder)
    assert 0 == torn()
    assert [] == list(small.folder.iterdir())


def test_a_cursor_at_any_byte_loses_no_line_behind_it(small):
    """At the start of a line it goes on there; in the middle of one all is delivered again."""
    for at in range(len(small.data) + 1):
        lease = Lease.new(segments.lease_path(small.folder, PROCESS))
        lease.move_cursor(1, at)
        lease.release(remove=False)
        small.write(small.data)
        got = drained(small.folder)
        starts = [start for start, _ in small.places]
        if at in starts:
            assert small.records[starts.index(at) :] == got
        elif at == len(small.data):
            assert [] == got
        else:
            assert small.records == got
        assert 0 == torn()


def test_the_next_one_goes_on_where_the_last_one_settled(small):
    """Nothing that was settled comes again where nothing is damaged."""
    small.write(small.data)
    small.write(record(99) + b"\n", 2)
    for number in range(12):
        source = opened(small.folder)
        (line,) = source.read(1, 1)
        assert small.records[number] == line.data
        assert 0 < source.size() <= len(small.data) + len(record(99)) + 1
        source.settle(line, 1)
        source.end()
    source = opened(small.folder)
    assert len(record(99)) + 1 == source.size()
    assert [record(99)] == [line.data for line in source.read(5, 1 << 20)]
    source.end()
    assert [record(99)] == drained(small.folder)
    assert [] == list(small.folder.iterdir())


def test_a_segment_that_still_grows_keeps_its_last_line_until_that_has_its_end(tmp_path):
    """And it is not removed while it may grow."""
    path = segments.segment_path(tmp_path, PROCESS, 1)
    source = Segments(tmp_path, PROCESS, Lease.new(segments.lease_path(tmp_path, PROCESS)))
    first, second, third = (record(n) for n in range(3))
    got = []

    def read():
        lines = source.read(10, 1 << 20, written_to=1)
        if lines:
            source.settle(lines[-1], len(lines))
        got.extend(line.data for line in lines)
        return len(lines)

    with path.open("ab", buffering=0) as stream:
        assert 0 == read()
        for n in range(len(first)):
            stream.write(first[n : n + 1])
            assert 0 == read()
        stream.write(b"\n" + second[:10])
        assert 1 == read()
        stream.write(b"\n" + second + b"\n")  # the rest of it could not be written
        assert 1 == read()
        assert 0 == read()
        assert path.exists()
        stream.write(third)
    assert 0 == read()
    assert [third] == [line.data for line in source.read(10, 1 << 20, written_to=2)]
    assert [first, second] == got
    source.end()


def test_damage_is_counted_once_however_often_it_is_read(small):
    """Until something behind it is settled the same lines are read again and again."""
    small.write(b"damaged\n" + small.records[0] + b"\n" + b"damaged too\n" + small.records[1])
    source = opened(small.folder)
    for _ in range(5):
        lines = source.read(10, 1 << 20)
    assert 0 == torn()
    source.settle(lines[0], 1)
    assert 1 == torn()
    source.settle(lines[1], 1)
    assert 1 == torn()
    assert [] == source.read(10, 1 << 20)
    assert 0 == torn()
    source.end()


def test_the_damage_of_glued_lines_is_counted_once_if_reading_stops_between_them(small):
    """What comes again is not counted again."""
    small.write(b"x".join(small.records[:2]))
    source = opened(small.folder)
    lines = source.read(10, 1 << 20)
    assert 2 == len(lines)
    source.settle(lines[0], 1)
    source.end()
    source = opened(small.folder)
    lines = source.read(10, 1 << 20)
    source.settle(lines[-1], len(lines))
    assert [] == source.read(10, 1 << 20)
    source.end()
    assert 1 == torn()


def test_what_a_process_writes_that_lost_its_lease_is_delivered_too(small, patch):
    """Whether that is before the segment is removed or just after it."""
    late = [record(100 + n) for n in range(3)]
    removed = Segments._is_removed
    path = segments.segment_path(small.folder, PROCESS, 1)
    unlink = Path.unlink
    small.write(small.data)
    stream = path.open("ab", buffering=0)
    todo = list(late)

    def is_removed(self, *args):
        if len(todo) == 3:
            stream.write(todo.pop(0) + b"\n")
        return removed(self, *args)

    def unlinked(self, **options):
        is_segment = self == path
        if is_segment and len(todo) == 2:
            stream.write(todo.pop(0) + b"\n")
        unlink(self, **options)
        if is_segment and len(todo) == 1:
            stream.write(todo.pop(0) + b"\n")

    patch.setattr(Segments, "_is_removed", is_removed)
    patch.setattr(Path, "unlink", unlinked)
    assert small.records + late == drained(small.folder)
    stream.close()
    assert [] == list(small.folder.iterdir())


def test_what_is_put_back_is_for_its_owner_only(small, patch):
    """Lines that came late are put into a file that has to be made again."""
    path = segments.segment_path(small.folder, PROCESS, 1)
    unlink = Path.unlink
    modes = []
    small.write(small.data)
    stream = path.open("ab", buffering=0)

    def unlinked(self, **options):
        if self == path and not modes:
            stream.write(record(100) + b"\n")
            modes.append(0)
        elif self == path:
            modes.append(path.stat().st_mode & 0o777)
        unlink(self, **options)

    patch.setattr(Path, "unlink", unlinked)
    assert [*small.records, record(100)] == drained(small.folder)
    stream.close()
    assert [0, 0o600] == modes


def test_a_segment_that_cannot_be_removed_is_not_delivered_again(small, patch, caplog):
    """It is said, and what comes after it is delivered."""
    small.write(small.data, 1)
    small.write(record(99) + b"\n", 2)

    def unlinked(self, **options):
        raise PermissionError(1, "Operation not permitted")

    patch.setattr(Path, "unlink", unlinked)
    assert [*small.records, record(99)] == drained(small.folder)
    assert [] == drained(small.folder)
    assert 1 == len([r for r in caplog.records if "cannot remove" in r.message])


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_segment_that_cannot_be_read_does_not_hold_up_the_next_one(
    small, patch, caplog, is_folder
):
    """A bad sector, or a folder of that name."""
    small.write(small.data, 2)
    first = segments.segment_path(small.folder, PROCESS, 1)
    if is_folder:
        first.mkdir()
    else:
        small.write(record(99) + b"\n", 1)
        read = segments._read

        def failing(fd, size, offset):
            if os.path.samestat(os.fstat(fd), first.stat()):
                raise OSError(5, "Input/output error")
            return read(fd, size, offset)

        patch.setattr(segments, "_read", failing)
    assert small.records == drained(small.folder)
    assert 1 == len([r for r in caplog.records if "cannot read" in r.message])
    assert first.exists()


def test_too_many_open_files_cost_nothing(small, patch):
    """That passes: the caller hears of it, and reads once more."""
    small.write(small.data)
    source = opened(small.folder)

    def exhausted(*args, **options):
        raise OSError(24, "Too many open files")

    patch.setattr(segments, "open", exhausted, raising=False)
    with pytest.raises(OSError, match="Too many"):
        source.read(5, 1 << 20)
    patch.undo()
    assert 5 == len(source.read(5, 1 << 20))
    source.end()
    assert small.records == drained(small.folder)


def test_a_segment_deleted_in_the_midst_is_left_behind(small):
    """Above the cap the oldest go, also while they are read."""
    small.write(small.data, 1)
    small.write(record(99) + b"\n", 2)
    source = opened(small.folder)
    lines = source.read(3, 1 << 20)
    segments.segment_path(small.folder, PROCESS, 1).unlink()
    source.settle(lines[-1], len(lines))
    assert [record(99)] == [line.data for line in source.read(3, 1 << 20)]
    source.end()
    assert [record(99)] == drained(small.folder)


def test_at_most_so_many_lines_and_bytes_are_read(small):
    """One line is read however large it is."""
    small.write(small.data)
    source = opened(small.folder)
    assert small.records[:7] == [line.data for line in source.read(7, 1 << 20)]
    assert small.records[:1] == [line.data for line in source.read(7, 1)]
    some = [line.data for line in source.read(100, len(small.data) // 2)]
    assert 1 < len(some) < 12
    source.end()
    assert small.records == drained(small.folder, most_bytes=1)


def test_other_files_in_the_folder_are_nobodys_segments(small):
    """What was kept, descriptions and whatever else lies there is left alone."""
    small.write(small.data)
    others = ["destination.json", f"{PROCESS}.kept.jsonl", "notes.txt", "x.1.jsonl", ".jsonl"]
    for name in others:
        (small.folder / name).write_bytes(b"x")
    assert {PROCESS: [1]} == segments.processes(small.folder)
    assert small.records == drained(small.folder)
    assert sorted(others) == sorted(path.name for path in small.folder.iterdir())


def test_the_oldest_process_comes_first(tmp_path):
    """By the age of its oldest file."""
    now = time.time()
    for age, process in enumerate(("c", "a", "b")):
        for number in (2, 1):
            path = segments.segment_path(tmp_path, process, number)
            path.touch()
            os.utime(path, (now - 100 * age, now - 100 * age - number))
    assert ["b", "a", "c"] == list(segments.processes(tmp_path))
    assert {"a": [1, 2], "b": [1, 2], "c": [1, 2]} == segments.processes(tmp_path)
    assert {} == segments.processes(tmp_path / "missing")


def test_the_intact_lines_of_any_file_can_be_listed(small):
    """As those of what was kept: nothing is removed or counted."""
    path = small.folder / f"{PROCESS}.kept.jsonl"
    data = small.data[:20] + b"\0\0" + small.data[22:]
    path.write_bytes(data)
    assert small.intact_in(data) == [line.data for line in lines_of(path)]
    assert path.exists()
    assert "torn.spool" not in spanwise.stats()


NASTY = [b"\n", b"\0", b'"', b":", b'{"resourceSpans":[', b',"crc":"00000000"}', b"\n\n{", b"\xff"]


@settings(deadline=None, max_examples=150)
@given(
    sizes=st.lists(st.sampled_from([2, 30, 200, 1_000]), min_size=1, max_size=12),
    damages=st.lists(
        st.tuples(
            st.floats(0, 1),
            st.one_of(st.sampled_from(NASTY), st.binary(min_size=1, max_size=80)),
        ),
        max_size=6,
    ),
    cut=st.one_of(st.none(), st.floats(0, 1)),
    garbage=st.one_of(st.just(b""), st.sampled_from(NASTY), st.binary(max_size=200)),
    cursor=st.one_of(st.just(b""), st.binary(max_size=40)),
    chunk_bytes=st.sampled_from([1, 7, 64, 4_096]),
    most_lines=st.integers(1, 20),
    most_bytes=st.sampled_from([1, 100, 10_000]),
    group=st.integers(1, 5),
)
def test_whatever_the_damage_what_is_intact_is_delivered_once(
    sizes, damages, cut, garbage, cursor, chunk_bytes, most_lines, most_bytes, group
):
    """In its order; the rest is counted, and the segment is removed."""
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    before = segments._CHUNK_BYTES
    segments._CHUNK_BYTES = chunk_bytes
    try:
        laid = Laid(folder, [record(n, size) for n, size in enumerate(sizes)])
        data = laid.data
        for place, bytes_ in damages:
            at = int(place * len(data))
            data = data[:at] + bytes_[: len(data) - at] + data[at + len(bytes_) :]
        if cut is not None:
            data = data[: int(cut * len(data))]
        expected = laid.intact_in(data + garbage)  # which may end a line that was cut
        laid.write(data + garbage)
        segments.lease_path(folder, PROCESS).write_bytes(cursor)
        torn()
        assert expected == drained(
            folder, most_lines=most_lines, most_bytes=most_bytes, group=group
        )
        if len(expected) < len(sizes) and data.rpartition(b"\n")[2]:
            assert torn() > 0
        assert [] == list(folder.iterdir())
    finally:
        segments._CHUNK_BYTES = before
        shutil.rmtree(folder)
