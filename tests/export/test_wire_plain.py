"""What is made of a plain span's line without reading it as JSON is what is made by reading it."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import spanwise
from spanwise.export import protobuf, wire, wire_plain

quick = settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# What could be taken for the end of one attribute and the beginning of the next.
HOSTILE = st.sampled_from(
    [
        '}},{"key":',
        '"}},{"key":"a","value":{"stringValue":"b"}},{"key":"',
        ',"value":{"stringValue":',
        '],"status":{"code":0}}',
        "\\",
        '"',
        "ü\u2028",
        "x" * 130,
        "y" * 20_000,
    ]
)
texts = st.text(max_size=10) | HOSTILE
words = st.text("abc._", min_size=1, max_size=10)
leaves = (
    st.builds(lambda text: {"stringValue": text}, texts)
    | st.builds(lambda number: {"intValue": str(number)}, st.integers(-(2**64), 2**64))
    | st.builds(lambda number: {"doubleValue": number}, st.floats(allow_nan=False))
    | st.builds(lambda flag: {"boolValue": flag}, st.booleans())
    | st.just({})
    | st.just({"stringValue": 1})
    | st.just({"stringValue": "a", "intValue": "1"})
    | st.just(None)
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.builds(
            lambda items: {"kvlistValue": {"values": items}},
            st.lists(st.builds(lambda key, value: {"key": key, "value": value}, texts, inner)),
        )
        | st.builds(lambda items: {"arrayValue": {"values": items}}, st.lists(inner, max_size=3))
    ),
    max_leaves=5,
)


def attributes(keys, of):
    """Return a strategy for the attributes of a span."""
    return st.lists(st.builds(lambda key, value: {"key": key, "value": value}, keys, of))


def spans(name, parents, said):
    """Return a strategy for spans as lines hold them."""
    return st.builds(
        lambda trace_id, span_id, parent, called, kind, start, said: {
            "traceId": trace_id.hex(),
            "spanId": span_id.hex(),
            **parent,
            "flags": 0x101,
            "name": called,
            "kind": kind,
            "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + 17),
            "attributes": said,
            "status": {"code": 0},
        },
        st.binary(min_size=16, max_size=16),
        st.binary(min_size=8, max_size=8),
        parents,
        name,
        st.integers(1, 5),
        st.integers(10**18, 2 * 10**18),
        said,
    )


PARENTS = st.just({}) | st.builds(
    lambda parent: {"parentSpanId": parent.hex()}, st.binary(min_size=8, max_size=8)
)


def by_reading(span):
    """Return what is made of a span by reading it, or nothing where it is none."""
    try:
        return protobuf.span_bytes(orjson.loads(span))
    except ValueError:
        return None


@quick
@given(span=spans(texts, PARENTS, attributes(texts, values)))
def test_whatever_a_span_says_the_bytes_are_the_same(span):
    """Values of every kind, and texts that look like the structure around them."""
    written = orjson.dumps(span)
    made = wire_plain.span_bytes(written)
    assert made is None or made == by_reading(written)


@quick
@given(
    span=spans(words, PARENTS, attributes(words, st.builds(lambda t: {"stringValue": t}, texts)))
)
def test_a_span_of_texts_is_plain(span):
    """As are the ones that operations make, which are most."""
    ids = {span["traceId"], span["spanId"], span.get("parentSpanId", "1")}
    written = orjson.dumps(span)
    made = wire_plain.span_bytes(written)
    if all(one.strip("0") for one in ids):
        assert by_reading(written) == made


@quick
@given(
    span=spans(words, PARENTS, attributes(words, values)),
    more=st.sampled_from(
        [
            {"events": [{"name": "e", "timeUnixNano": "1"}]},
            {"droppedAttributesCount": 3},
            {"links": []},
            {"traceState": "a=b"},
        ]
    ),
)
def test_a_span_that_says_more_is_read(span, more):
    """Nothing that stands between its attributes and its status gets lost."""
    span = {
        **{key: value for key, value in span.items() if key != "status"},
        **more,
        "status": span["status"],
    }
    assert wire_plain.span_bytes(orjson.dumps(span)) is None


@quick
@given(
    span=spans(words, PARENTS, attributes(words, values)),
    place=st.floats(0, 1, exclude_max=True),
    piece=st.binary(max_size=2)
    | st.sampled_from([b'"', b"}", b"{", b",", b"]", b" ", b"\\", b"0"]),
    removed=st.integers(0, 3),
)
def test_a_damaged_span_is_never_taken_for_another_one(span, place, piece, removed):
    """Bytes that are lost or added make no difference between the two ways."""
    written = orjson.dumps(span)
    at = int(place * len(written))
    damaged = written[:at] + piece + written[at + removed :]
    made = wire_plain.span_bytes(damaged)
    assert made is None or made == by_reading(damaged)


@pytest.mark.parametrize("name", ["traceId", "spanId", "parentSpanId"])
def test_ids_of_zeros_are_left_to_be_refused(name):
    """They are none."""
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "parentSpanId": "3" * 16,
        "flags": 1,
        "name": "a",
        "kind": 1,
        "startTimeUnixNano": "1" * 19,
        "endTimeUnixNano": "1" * 19,
        "attributes": [],
        "status": {"code": 0},
    }
    assert by_reading(orjson.dumps(span)) == wire_plain.span_bytes(orjson.dumps(span)) != b""
    span[name] = "0" * len(span[name])
    assert wire_plain.span_bytes(orjson.dumps(span)) is None


def test_what_operations_make_is_plain(tmp_path):
    """The line of a decorated function is not read as JSON."""
    spanwise.configure(
        traces_dir=None, otlp_endpoint="http://127.0.0.1:9", spool_dir=tmp_path, spool_only=True
    )

    @spanwise.tool
    def look_up(question, limit):
        return {"hits": limit, "text": f"'{question}' \u2713"}

    look_up('what "is" this?', limit=5)
    (path,) = tmp_path.rglob("*.000001.jsonl")
    span, _ = wire.parts(path.read_bytes())
    made = wire_plain.span_bytes(span)
    assert made is not None
    assert by_reading(span) == made
