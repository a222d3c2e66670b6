"""What a record says in the lines of the daily files, however the lines are made."""

from __future__ import annotations

import dataclasses
import datetime
import math

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from spanwise import semconv
from spanwise._masking import Masker
from spanwise.export.jsonl_files import JsonlFiles
from spanwise.export.jsonl_lines import encoded, iso_time, observation_line, trace_line
from spanwise.export.jsonl_plain import plain_lines
from spanwise.export.making import make_record

RESOURCE = {"service.name": "bot", "numbers": (1, 2)}
START_NS = 1_795_649_009_606_828_315
REMOTE = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(1))
LOCAL = SpanContext(7, 8, is_remote=False, trace_flags=TraceFlags(1))

texts = st.text(max_size=8) | st.sampled_from(['"', "\\", "\n", "ü", "\u2028", "null", "7", "{"])
json_texts = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
).map(lambda value: orjson.dumps(value).decode())
said = texts | json_texts | st.sampled_from(['{"a": 1, "a": 2}', "[1.0e5]", '"\\u00fc"', "NaN"])
PLAIN = {
    semconv.OBSERVATION_TYPE: st.sampled_from([*semconv.OBSERVATION_TYPE_VALUES, "other"]),
    semconv.CODE_FUNCTION_NAME: texts,
    semconv.GEN_AI_AGENT_NAME: texts,
    semconv.OBSERVATION_INPUT: said,
    semconv.OBSERVATION_OUTPUT: said,
}
OTHER = {
    semconv.OBSERVATION_LEVEL: texts,
    semconv.OBSERVATION_TAGS: st.lists(texts, max_size=2).map(tuple),
    semconv.OBSERVATION_STATUS_MESSAGE: texts,
    semconv.OBSERVATION_IS_TRACE: st.booleans(),
    f"{semconv.OBSERVATION_METADATA}.k": said,
    semconv.GEN_AI_REQUEST_MODEL: texts,
    semconv.GEN_AI_USAGE_INPUT_TOKENS: st.integers(0, 9),
    semconv.USER_ID: texts,
    semconv.USER_NAME: texts,
    semconv.ACCOUNT_ID: texts,
    semconv.SESSION_ID: texts,
    semconv.MESSAGE_ID: texts,
    semconv.ERROR_TYPE: texts,
    "of.the.program": texts | st.booleans() | st.lists(texts, max_size=2).map(tuple),
}
seldom = st.sampled_from([False, False, False, True])
times = (
    st.just(START_NS) | st.integers(0, 2**63) | st.sampled_from([None, -1, START_NS - 606_828_315])
)


@st.composite
def records(draw):
    """Records of ended spans: half of them plain, the others with more to say."""
    attributes = draw(st.fixed_dictionaries({}, optional=PLAIN))
    events, links, status, kind = (), (), Status(), SpanKind.INTERNAL
    if draw(st.booleans()):
        attributes |= draw(st.fixed_dictionaries({}, optional=OTHER))
        if draw(seldom):
            events = (SdkEvent("exception", {"exception.type": "a.B"}, START_NS),)
        if draw(seldom):
            links = (Link(REMOTE, {"a": "b"}),)
        status = draw(st.sampled_from([Status(), Status(StatusCode.ERROR, "it broke")]))
        kind = draw(st.sampled_from([SpanKind.INTERNAL, SpanKind.CLIENT]))
    span = ReadableSpan(
        name=draw(texts),
        context=SpanContext(
            draw(st.integers(1, 2**128 - 1)),
            draw(st.integers(1, 2**64 - 1)),
            is_remote=False,
            trace_flags=TraceFlags(1),
        ),
        parent=draw(st.sampled_from([None, REMOTE, LOCAL])),
        resource=Resource(RESOURCE),
        attributes=attributes,
        events=events,
        links=links,
        kind=kind,
        status=status,
        start_time=draw(times),
        end_time=draw(times),
        instrumentation_scope=draw(
            st.sampled_from([InstrumentationScope("spanwise", "1"), InstrumentationScope("ü")])
        ),
    )
    above = draw(st.none() | st.integers(1, 2**64 - 1))
    return make_record(span, Masker(), resource=RESOURCE, observation_above=above)


many = settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@many
@given(records())
def test_plain_lines_are_those_of_the_general_way(record):
    """Byte for byte; whatever could differ is not plain."""
    lines = plain_lines(record, encoded(RESOURCE)[:-1])
    if lines is not None:
        assert encoded(observation_line(record)) == lines[0]
        assert encoded(trace_line(record)) == lines[1]


@many
@given(records())
def test_a_trace_is_told_the_same_with_and_without_the_line_of_its_observation(record):
    """What both have in common is looked for once."""
    alone = trace_line(record)
    known = trace_line(record, observation_line(record), orjson.Fragment(encoded(RESOURCE)[:-1]))
    assert encoded(alone) == encoded(known)


@many
@given(records())
def test_a_record_says_what_it_means(record):
    """As the record's own properties tell it, in the order of the documents."""
    line = observation_line(record)
    meaning = record.meaning
    expected = {
        "id": record.span_id,
        "trace_id": record.trace_id,
        "parent_id": record.observation_above_id,
        "type": meaning.type,
        "name": record.name,
        "input": meaning.input,
        "output": meaning.output,
        "error": record.error,
        "model": meaning.model,
        "user_id": meaning.user_id,
        "session_id": meaning.session_id,
    }
    told = [line.get(name) for name in expected]
    assert orjson.dumps(list(expected.values())) == orjson.dumps(told)
    assert [name for name in expected if name in line] == [n for n in line if n in expected]
    assert record.metadata().keys() <= line["metadata"].keys()
    shown = {key for key in record.attributes if key not in OTHER or not key.startswith("obs")}
    hidden = {semconv.OBSERVATION_TYPE, semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT}
    assert line["attributes"].keys() - {semconv.OBSERVATION_IS_TRACE} == shown - hidden


def plain_record(**changes):
    """Return a record of a small span of ours."""
    span = ReadableSpan(
        name="small",
        context=SpanContext(5, 6, is_remote=False, trace_flags=TraceFlags(1)),
        resource=Resource(RESOURCE),
        attributes={semconv.OBSERVATION_TYPE: "tool", semconv.OBSERVATION_INPUT: '{"a":1}'},
        start_time=START_NS,
        end_time=START_NS + 5000,
        instrumentation_scope=InstrumentationScope("spanwise"),
    )
    return dataclasses.replace(make_record(span, Masker(), resource=RESOURCE), **changes)


def test_a_small_span_of_ours_is_plain():
    """So the quick way is the one that most spans take."""
    assert plain_lines(plain_record(), b"{}") is not None
    assert plain_lines(plain_record(), b"")[1] == b""


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "\ud800"},
        {"resource": {"odd": {1, 2}}},
        {"resource": {"odd": "\ud800"}},
        {"attributes": {semconv.OBSERVATION_TYPE: ["tool"]}},
        {"attributes": {semconv.OBSERVATION_INPUT: b"\xff"}},
        {"attributes": {semconv.CODE_FUNCTION_NAME: b"\xff"}},
        {"scope": None},
    ],
)
def test_an_odd_record_is_written_in_the_general_way(tmp_path, changes):
    """Or counted as lost where that cannot write it either."""
    files = JsonlFiles(tmp_path)
    record = plain_record(**changes)
    files.write(record)
    for stem, made in (("observations", observation_line), ("traces", trace_line)):
        try:
            expected = encoded(made(record))
        except TypeError:
            expected = b""
        assert expected == b"".join(p.read_bytes() for p in tmp_path.glob(f"{stem}_*.jsonl"))


def test_a_resource_is_told_from_another(tmp_path):
    """It is known by the object, and not by what it holds."""
    files = JsonlFiles(tmp_path)
    for resource in (RESOURCE, {"service.name": "other"}, RESOURCE):
        files.write(plain_record(resource=resource))
    (path,) = tmp_path.glob("traces_*.jsonl")
    told = [
        orjson.loads(line)["resource"]["service.name"] for line in path.read_bytes().splitlines()
    ]
    assert ["bot", "other", "bot"] == told


@many
@given(st.integers(-(2**70), 2**70))
def test_a_time_is_that_of_the_standard_library(time_ns):
    """To the microsecond, and within the years that can be written."""
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    last = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc)
    most = (last - epoch) // datetime.timedelta(microseconds=1)
    expected = epoch + datetime.timedelta(microseconds=min(max(time_ns // 1000, 0), most))
    assert expected.isoformat() == iso_time(time_ns)


@pytest.mark.parametrize("time_ns", [1.5e18, math.nan, math.inf, "x", True])
def test_an_odd_time_is_a_time_all_the_same(time_ns):
    """A line is not lost for it."""
    assert datetime.datetime.fromisoformat(iso_time(time_ns))


def test_other_files_of_a_folder_are_looked_at_once_in_many_lines(tmp_path, monkeypatch):
    """A folder may hold thousands of them."""
    looks = []
    monkeypatch.setattr(JsonlFiles, "_enforce_cap", lambda files: looks.append(files))
    files = JsonlFiles(tmp_path)
    for _ in range(2000):
        files.write(plain_record())
    assert [files] == looks


def test_above_the_cap_the_oldest_files_go(tmp_path):
    """The newest of each kind stay, whatever they hold."""
    for day in range(1, 9):
        (tmp_path / f"traces_202001{day:02}.jsonl").write_bytes(b"x" * 10_000)
    files = JsonlFiles(tmp_path, max_bytes=30_000)
    files.write(plain_record())
    left = sorted(path.name for path in tmp_path.iterdir())
    assert ["traces_20200107.jsonl", "traces_20200108.jsonl"] == left[1:3]
    assert 4 == len(left)
