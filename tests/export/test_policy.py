"""What answers mean, how long destinations may ask to be left alone, and the pauses between tries."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanwise.export import policy
from spanwise.export.policy import Action, Answer, Backoff, verdict

NOW_S = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT

PARKED = "301 302 303 304 307 308 401 403 404 405 407 408 409 415 500 501 505 100 101 199 0 999"
OF_HTTP = {
    Action.DELIVERED: "200 201 202 204 299",
    Action.RETRY: "429 502 503 504",
    Action.PARK: PARKED,
    Action.BISECT: "400 422",
    Action.SPLIT: "413",
}
AWAY = "UNAVAILABLE DEADLINE_EXCEEDED CANCELLED ABORTED OUT_OF_RANGE DATA_LOSS RESOURCE_EXHAUSTED"
OF_GRPC = {
    Action.DELIVERED: "OK",
    Action.RETRY: AWAY,
    Action.PARK: "UNKNOWN NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED UNIMPLEMENTED INTERNAL"
    " FAILED_PRECONDITION UNAUTHENTICATED A_NEW_ONE",
    Action.BISECT: "INVALID_ARGUMENT",
}


def asked(text):
    return verdict(Answer(status=503, retry_after=text), NOW_S).pause_s


@pytest.mark.parametrize(
    ("status", "action"),
    [(int(one), action) for action, many in OF_HTTP.items() for one in many.split()],
)
def test_every_status_means_one_thing(status, action):
    """An answer that nobody foresaw is parked, never dropped."""
    assert action is verdict(Answer(status=status)).action


@pytest.mark.parametrize(
    ("code", "action"), [(one, action) for action, many in OF_GRPC.items() for one in many.split()]
)
def test_every_grpc_code_means_one_thing(code, action):
    """In the same table as the statuses."""
    assert action is verdict(Answer(grpc=code)).action


def test_no_answer_is_tried_again():
    """The reason is the fault."""
    told = verdict(Answer(fault="connection refused"))
    assert (Action.RETRY, None, "connection refused") == (told.action, told.pause_s, told.reason)
    assert "nothing came back" == verdict(Answer()).reason


def test_a_status_counts_even_if_the_answer_broke_off():
    """What was accepted is not sent again because the rest of the answer is missing."""
    assert Action.DELIVERED is verdict(Answer(status=200, fault="timed out after 1 s")).action


@pytest.mark.parametrize(
    ("code", "details"),
    [
        ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5 vs. 4194304)"),
        ("RESOURCE_EXHAUSTED", "grpc: received message after decompression larger than max 4"),
        ("RESOURCE_EXHAUSTED", "SERVER: Received message larger than max (5 vs. 4)"),
        ("RESOURCE_EXHAUSTED", "gRPC message exceeds maximum size 4194304: 5000000"),
        ("RESOURCE_EXHAUSTED", "Received message exceeds the maximum configured message size."),
        ("OUT_OF_RANGE", "Error, decoded message length too large: found 5 bytes, the limit is: 4"),
    ],
)
def test_a_grpc_message_that_is_too_large_is_split(code, details):
    """As the servers in Go, C++, Java, .NET and Rust say it."""
    told = verdict(Answer(grpc=code, body=details.encode(), retry_after="5"))
    assert (Action.SPLIT, None) == (told.action, told.pause_s)


@pytest.mark.parametrize("details", ["", "quota exceeded", "rate is larger than max", "\udcff"])
def test_a_quota_is_not_a_size(details):
    """It is waited for."""
    body = details.encode("utf-8", "surrogateescape")
    assert Action.RETRY is verdict(Answer(grpc="RESOURCE_EXHAUSTED", body=body)).action


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(status=200), "it answered 200"),
        (Answer(status=503), "it answered 503"),
        (Answer(status=401), "the credentials were refused (401)"),
        (Answer(status=403), "the credentials were refused (403)"),
        (Answer(grpc="UNAUTHENTICATED"), "the credentials were refused (UNAUTHENTICATED)"),
        (Answer(grpc="INTERNAL"), "it answered INTERNAL"),
        (Answer(grpc="INTERNAL", body=b"a\nb  \xff"), "it answered INTERNAL: a b \ufffd"),
        (Answer(status=302), "it answered 302"),
        (
            Answer(status=302, location="https://x.example/login?token=hidden#hidden"),
            "it redirects to https://x.example/login (302)",
        ),
        (
            Answer(status=307, location="https://jane:hidden@x.example/"),
            "it redirects to https://jane:***@x.example/ (307)",
        ),
    ],
)
def test_the_reason_is_one_line_without_secrets(answer, reason):
    """For a log."""
    assert reason == verdict(answer).reason


def test_a_long_reason_is_cut():
    """Whatever a server sends."""
    answers = [
        Answer(status=302, location="https://x/" + "a" * 100_000),
        Answer(grpc="INTERNAL", body=b"a" * 65_536),
    ]
    for answer in answers:
        assert len(verdict(answer).reason) < 300


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("  7\t", 7.0),
        ("+5", 5.0),
        ("-5", 0.0),
        ("-0", 0.0),
        ("0.25", 0.25),
        (".5", 0.5),
        ("2.", 2.0),
        ("300", 300.0),
        ("301", 300.0),
        ("3600", 300.0),
        ("3600.1", None),
        ("86400", None),
        ("9" * 100, None),
        ("9" * 100_000, None),
        ("-" + "9" * 100, 0.0),
        ("", None),
        ("   ", None),
        ("soon", None),
        ("1e2", None),
        ("1_0", None),
        ("nan", None),
        ("inf", None),
        ("1,5", None),
        ("5, 5", None),
        ("0x10", None),
        ("٣", None),
        (".", None),
        ("- 5", None),
    ],
)
def test_seconds_are_honoured_within_reason(text, pause_s):
    """Up to five minutes; more than an hour is no answer."""
    assert pause_s == asked(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:50:37 GMT",
        "Sun, 6 Nov 1994 08:50:37 GMT",
        "Mon, 06 Nov 1994 08:50:37 GMT",  # it was a Sunday
        "06 Nov 1994 08:50:37 GMT",
        "Sunday, 06-Nov-94 08:50:37 GMT",
        "Sun, 06-Nov-1994 08:50:37 GMT",
        "Sun Nov  6 08:50:37 1994",
        "sun, 06 nov 1994 08:50:37 gmt",
        "Sun, 06 Nov 1994 08:50:37 UTC",
    ],
)
def test_every_form_of_an_http_date_is_read(text):
    """RFC 1123, RFC 850 and asctime, whatever the day of the week is said to be."""
    assert 60.0 == asked(text)


@pytest.mark.parametrize(
    ("text", "pause_s"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 07:49:37 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Sun, 06 Nov 1994 09:00:00 GMT", 300.0),
        ("Sun, 06 Nov 1994 08:49:60 GMT", 22.0),
        ("Sun, 06 Nov 1994 09:49:38 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
        ("Fri, 31 Dec 99999 23:59:59 GMT", None),
        ("Sat, 31 Feb 1994 08:50:37 GMT", None),
        ("Sun, 06 Nov 0000 08:50:37 GMT", None),
        ("Sun, 06 Nov 1994 24:50:37 GMT", None),
        ("Sun, 06 Nov 1994 08:50:37 +0200", None),
        ("Sun, 06 Nov 1994", None),
        ("Sun, 06 Foo 1994 08:50:37 GMT", None),
        ("1994-11-06T08:50:37Z", None),
    ],
)
def test_dates_are_honoured_within_reason(text, pause_s):
    """What is past asks for nothing, and what is far away or no date is not followed."""
    assert pause_s == asked(text)


@pytest.mark.parametrize(
    ("now", "year", "pause_s"),
    [(1999, "99", 60), (2026, "26", 60), (2026, "94", 0), (2026, "70", None)],
)
def test_a_year_of_two_digits_is_the_near_one(now, year, pause_s):
    """Dates that would be more than fifty years ahead are past."""
    now_s = datetime(now, 3, 1, tzinfo=timezone.utc).timestamp()
    answer = Answer(status=503, retry_after=f"Monday, 01-Mar-{year} 00:01:00 GMT")
    assert pause_s == verdict(answer, now_s).pause_s


def test_a_date_is_compared_to_the_clock():
    """Unless a time is given."""
    at = datetime.now(timezone.utc) + timedelta(seconds=100)
    pause_s = verdict(Answer(status=503, retry_after=format_datetime(at, usegmt=True))).pause_s
    assert 60 < pause_s <= 100


@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [
        (Answer(status=429, retry_after="7"), 7.0),
        (Answer(status=404, retry_after="7"), 7.0),
        (Answer(grpc="UNAVAILABLE", retry_after="0.250000000"), 0.25),
        (Answer(status=200, retry_after="7"), None),
        (Answer(status=400, retry_after="7"), None),
        (Answer(status=413, retry_after="7"), None),
        (Answer(fault="timed out after 1 s"), None),
    ],
)
def test_only_who_is_to_be_asked_again_can_ask_for_a_pause(answer, pause_s):
    """The others are not waited for."""
    assert pause_s == verdict(answer).pause_s


headers = st.one_of(
    st.text(),
    st.text("0123456789+-., \t"),
    st.floats().map(str),
    st.integers().map(str),
    st.datetimes().map(lambda d: format_datetime(d.replace(tzinfo=timezone.utc), usegmt=True)),
    st.datetimes().map(lambda d: d.strftime("%A, %d-%b-%y %H:%M:%S GMT")),
    st.datetimes().map(lambda d: d.ctime()),
)


@given(headers, st.floats(0, 4e9))
def test_any_header_gives_a_pause_within_bounds_or_none(text, now_s):
    """Nothing raises."""
    pause_s = verdict(Answer(status=503, retry_after=text), now_s).pause_s
    assert pause_s is None or 0.0 <= pause_s <= policy.LONGEST_ASKED_S


@given(st.integers(0, 4_000_000_000), st.integers(0, 3_600))
def test_a_date_asks_for_the_time_until_then(now_s, ahead_s):
    """In each of the three forms."""
    at = datetime.fromtimestamp(now_s + ahead_s, timezone.utc)
    forms = (format_datetime(at, usegmt=True), at.ctime(), at.strftime("%A, %d-%b-%y %X GMT"))
    for text in forms:
        answer = Answer(status=503, retry_after=text)
        assert min(ahead_s, policy.LONGEST_ASKED_S) == verdict(answer, now_s).pause_s, text


@pytest.mark.parametrize("piece", ["9", " ", "-", "Sun, ", "a", ".", "\n", "1 Nov ", ":"])
def test_a_long_header_takes_no_longer_than_it_is(piece):
    """A megabyte is read in no time."""
    text = piece * (1_000_000 // len(piece))
    began = time.perf_counter()
    asked("1" + text)
    asked(text)
    verdict(Answer(status=302, location=text))
    verdict(Answer(grpc="RESOURCE_EXHAUSTED", body=text.encode()))
    assert time.perf_counter() - began < 1


def test_pauses_double_up_to_the_longest():
    """The first tries come soon, the later ones at a steady pace."""
    pauses = Backoff(0.25, 10, lambda: 1.0)
    assert [0.25, 0.5, 1, 2, 4, 8, 10, 10, 10] == [pauses.next() for _ in range(9)]
    pauses.reset()
    assert 0.25 == pauses.next()
    assert [5, 5] == [Backoff(10, 5, lambda: 1.0).next() for _ in range(2)]


def test_half_of_a_pause_is_left_to_chance():
    """So that many processes do not come back at the same time."""
    shortest, longest = Backoff(4, 60, lambda: 0.0), Backoff(4, 60, lambda: 1.0)
    assert [(2, 4), (4, 8), (8, 16)] == [(shortest.next(), longest.next()) for _ in range(3)]
    seen = {Backoff(4, 60).next() for _ in range(50)}
    assert len(seen) > 40
    assert all(2 <= pause <= 4 for pause in seen)


def test_the_random_stream_of_the_program_is_left_alone():
    """A seeded program goes on as it would without us."""
    random.seed(1)
    before = random.getstate()
    Backoff(policy.RETRY_FIRST_S, policy.RETRY_LONGEST_S).next()
    assert before == random.getstate()


def test_the_paces_are_as_documented():
    """A destination that is away is tried soon again; one that is parked is probed slowly."""
    assert (0.25, 10, 5, 60) == (
        policy.RETRY_FIRST_S,
        policy.RETRY_LONGEST_S,
        policy.PARK_FIRST_S,
        policy.PARK_LONGEST_S,
    )
