"""A span that is too large for a request is cut to what one can hold, and says so."""

from __future__ import annotations

import base64
import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spanwise import semconv
from spanwise.export.foreign_otlp import canonical
from spanwise.export.shortening import shortened
from spanwise.export.wire import encoded

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def line_of(resource=None, **fields):
    """Return the line of one span."""
    span = {"traceId": TRACE_ID, "spanId": SPAN_ID, **fields}
    (line,) = canonical(
        {"resourceSpans": [{"scopeSpans": [{"spans": [span]}], "resource": resource}]}
    )
    return line


def attribute(key, value, kind="stringValue"):
    return {"key": key, "value": {kind: value}}


def checked(line):
    """Return the line as it lies in a spool."""
    return line[:-1] + b',"crc":"89abcdef"}\n'


def read(line):
    """Return a line's span as OpenTelemetry reads it."""
    return Span.FromString(encoded(line).span)


def size(line):
    item = encoded(line)
    return len(item.span) + len(item.group)


def test_a_line_that_fits_is_left_as_it_is():
    """Only the checksum goes."""
    line = line_of(name="n", attributes=[attribute("long", "x" * 500)], status={"code": 2})
    assert line == shortened(line, size(line))
    assert line == shortened(checked(line), size(line))
    assert line != shortened(line, size(line) - 1)


def cut_bytes(span):
    (found,) = [
        a.value.int_value for a in span.attributes if a.key == semconv.OBSERVATION_CUT_BYTES
    ]
    return found


def texts_of(span):
    return {a.key: a.value.string_value for a in span.attributes}


def test_the_longest_texts_are_cut_first_and_say_so():
    """Head and tail are kept, small neighbours are whole, and the sum of what is gone is said."""
    line = line_of(
        name="n",
        attributes=[
            attribute("long", "a" * 500_000 + "z" * 500_000),
            attribute("short", "s" * 250),
        ],
    )
    shorter = shortened(line, 300_000)
    span = read(shorter)
    text = texts_of(span)["long"]
    head, note, tail = text.partition("…[")[0], text.split("…")[1], text.rpartition("]…")[2]
    assert {"a"} == set(head)
    assert {"z"} == set(tail)
    assert f"[{1_000_000 - len(head) - len(tail)} characters cut]" == note
    assert 250_000 < len(text) <= 262_144
    assert "s" * 250 == texts_of(span)["short"]
    note_bytes = len(Span(attributes=[span.attributes[-1]]).SerializeToString())
    assert len(encoded(line).span) - len(encoded(shorter).span) + note_bytes == cut_bytes(span)


def test_texts_are_cut_wherever_they_are():
    """Name, events, links, status, bytes, and deep inside of attributes."""
    long = "x" * 10_000
    line = line_of(
        name=long,
        attributes=[
            attribute("a", {"values": [{"stringValue": long}]}, "arrayValue"),
            attribute("m", {"values": [attribute("k", long)]}, "kvlistValue"),
            attribute("b", base64.b64encode(b"x" * 10_000).decode(), "bytesValue"),
        ],
        events=[{"name": long, "attributes": [attribute("e", long)]}],
        links=[{"traceId": TRACE_ID, "spanId": SPAN_ID, "attributes": [attribute("l", long)]}],
        status={"message": long},
    )
    span = read(shortened(line, 10_000))
    assert 1 == len(span.events) == len(span.links)
    for text in (
        span.name,
        span.attributes[0].value.array_value.values[0].string_value,
        span.attributes[1].value.kvlist_value.values[0].value.string_value,
        span.events[0].name,
        span.events[0].attributes[0].value.string_value,
        span.links[0].attributes[0].value.string_value,
        span.status.message,
    ):
        assert "characters cut]…" in text
        assert len(text) <= 1024
    assert "…[10000 bytes cut]…" == span.attributes[2].value.string_value


@pytest.mark.parametrize("key", [semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT])
@pytest.mark.parametrize(
    ("value", "most_bytes"),
    [
        ({"messages": ['quoted "text" \\ ü'] * 10_000}, 100_000),
        (["x"] * 100_000, 5_000),
        ('a "quoted" text \n' * 10_000, 100_000),
        ('a "quoted" text \n' * 10_000, 2_000),
        ("\x01" * 100_000, 3_000),
        (10**1200, 1_000),
    ],
)
def test_what_goes_in_and_out_stays_json(key, value, most_bytes):
    """It says what was cut as the encoder does, and keeps its ends."""
    whole = json.dumps(value, ensure_ascii=False)
    text = texts_of(read(shortened(line_of(attributes=[attribute(key, whole)]), most_bytes)))[key]
    cut = json.loads(text)
    if isinstance(value, str):
        head, _, tail = cut.partition(f"…[$truncated: {len(value)} characters]…")
        assert value.startswith(head)
        assert value.endswith(tail)
    else:
        assert len(whole) == cut["length"] == cut["$truncated"] + len(cut["head"] + cut["tail"])
        assert whole.startswith(cut["head"])
        assert whole.endswith(cut["tail"])


@pytest.mark.parametrize("text", ["plain " * 1000, '"plain ' * 1000])
def test_what_was_no_json_is_cut_as_text(text):
    """Under any name."""
    line = line_of(attributes=[attribute(semconv.OBSERVATION_INPUT, text)])
    assert "characters cut]…" in texts_of(read(shortened(line, 2_000)))[semconv.OBSERVATION_INPUT]


def test_events_go_before_links_and_links_before_attributes():
    """The largest first, and each is counted."""

    def parts(most_bytes):
        span = read(shortened(line, most_bytes))
        assert 100 - len(span.events) == span.dropped_events_count
        assert 100 - len(span.links) == span.dropped_links_count - 5
        assert 101 - len(span.attributes) == span.dropped_attributes_count
        return len(span.events), len(span.links), len(span.attributes)

    small = [attribute("k", "x" * 100)]
    line = line_of(
        attributes=[attribute(f"a{number}", "x" * 100) for number in range(100)],
        events=[{"name": f"e{number}", "attributes": small} for number in range(100)],
        links=[{"traceId": TRACE_ID, "spanId": SPAN_ID, "attributes": small}] * 100,
        droppedLinksCount=5,
    )
    events, links, attributes = parts(35_000)
    assert (0 < events < 100, 100, 101) == (True, links, attributes)
    events, links, attributes = parts(20_000)
    assert (0, 0 < links < 100, 101) == (events, True, attributes)
    events, links, attributes = parts(5_000)
    assert (0, 0, 0 < attributes < 100) == (events, links, True)


def test_of_events_the_largest_go_first():
    """A small one next to it is kept."""
    large = {"name": "large", "attributes": [attribute(f"k{n}", "x" * 100) for n in range(100)]}
    line = line_of(events=[{"name": "one"}, large, {"name": "two"}])
    assert ["one", "two"] == [event.name for event in read(shortened(line, 1_000)).events]


def test_who_and_what_the_span_was_for_is_kept_to_the_last():
    """Type, session, user and account are there when nothing else is."""
    kept = (semconv.OBSERVATION_TYPE, semconv.SESSION_ID, semconv.USER_ID, semconv.ACCOUNT_ID)
    many = [attribute(f"a{number}", "x" * 100) for number in range(1000)]
    line = line_of(attributes=[*many[:500], *(attribute(key, "v") for key in kept), *many[500:]])
    smallest = next(s for n in range(0, 1000, 10) if (s := shortened(line, n)) is not None)
    assert size(smallest) < 350
    assert [*kept, semconv.OBSERVATION_CUT_BYTES] == [a.key for a in read(smallest).attributes]


def test_a_span_that_cannot_be_cut_to_its_room_is_none():
    """Nor is what is no span, or has a resource that takes all the room."""
    line = line_of(name="n" * 200)
    assert shortened(line, 100) is None
    assert shortened(line.replace(SPAN_ID.encode(), b"0" * 16), 10_000) is None
    assert shortened(line.replace(b'"scope":{}', b'"scope":x'), 10_000) is None
    assert shortened(b"no line", 10_000) is None
    large = line_of(resource={"attributes": [attribute("r", "x" * 10_000)]})
    assert shortened(large, 5_000) is None


def test_a_span_that_is_cut_twice_says_the_sum_once():
    """The second cut adds to what the first one said."""
    line = line_of(attributes=[attribute("a", "x" * 300_000), attribute("b", "y" * 50_000)])
    once = shortened(line, 330_000)
    twice = shortened(checked(once), 10_000)
    assert 3 == len(read(twice).attributes)
    sizes = [len(encoded(each).span) for each in (line, once, twice)]
    assert sizes[0] - sizes[1] < cut_bytes(read(once)) < sizes[0] - sizes[1] + 50
    assert sizes[0] - sizes[2] < cut_bytes(read(twice)) < sizes[0] - sizes[2] + 100


@pytest.mark.parametrize(
    "items",
    [
        [attribute("huge", "x" * 70_000_000)],
        [attribute(semconv.OBSERVATION_INPUT, '["' + "x" * 70_000_000 + '"]')],
        [attribute(f"a{number}", "x" * 100) for number in range(100_000)],
        [attribute(f"a{number}", "x" * 300) for number in range(50_000)],
        [attribute("array", {"values": [{"doubleValue": 0.5}] * 400_000}, "arrayValue")],
    ],
    ids=["one text", "one json", "many small", "many larger", "one array"],
)
def test_a_huge_span_is_cut_to_what_a_collector_takes(items):
    """However its size comes about."""
    shorter = shortened(checked(line_of(attributes=items)), 4_000_000)
    assert size(shorter) <= 4_000_000
    assert cut_bytes(read(shorter)) > 0
