"""Feedback: what a user said of an answer, in the trace of that answer."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import TracerProvider

import spanwise
from spanwise import _messages, _state
from spanwise.view.store import Store
from support.files import Files
from support.receiver import attributes


@spanwise.interaction("Main")
def answer(message_id):
    spanwise.current_interaction().identify(message_id=message_id)
    return "42"


def test_feedback_is_an_event_in_the_trace_of_the_message(files):
    """Below the interaction, with what was said as attributes."""
    answer("m-1")
    answer("m-2")
    spanwise.feedback("m-1", "s-1", value="thumbs_up", comment="solved it")
    main, _, event = files.observations()
    assert (main["trace_id"], main["id"]) == (event["trace_id"], event["parent_id"])
    assert ("event", "feedback") == (event["type"], event["name"])
    assert {
        "message.id": "m-1",
        "session.id": "s-1",
        "gen_ai.conversation.id": "s-1",
        "feedback.value": "thumbs_up",
        "feedback.comment": "solved it",
    } == event["attributes"]


def test_feedback_makes_no_second_line_of_the_trace_and_does_not_prolong_it(files):
    """The trace ended with its answer, however long the user thought about it."""
    answer("m-1")
    (before,) = Store(files.folder).read().traces
    spanwise.feedback("m-1", value="thumbs_up")
    assert 1 == len(files.traces())
    (after,) = Store(files.folder).read().traces
    assert before.end == after.end
    assert [0, 1] == [depth for depth, _ in after.walk()]


@pytest.mark.parametrize("ids", [{"message_id": "unknown"}, {"session_id": "s-1"}])
def test_feedback_on_what_is_not_known_here_is_a_trace_of_its_own(files, ids):
    """It bears the ids, so that it can be joined later."""
    with spanwise.observe("webhook"), spanwise.identify(user="support"):
        spanwise.feedback(**ids, value="thumbs_down")
    event = files.observation("feedback")
    assert event["trace_id"] != files.observation("webhook")["trace_id"]
    assert event["parent_id"] is None
    assert "user_id" not in event
    key = {"message_id": "message.id", "session_id": "session.id"}[next(iter(ids))]
    assert next(iter(ids.values())) == event["attributes"][key]
    assert 2 == len(files.traces())


def test_a_message_named_by_identify_belongs_to_the_interaction_below(files):
    """Or, where there is none, to the first span below; what is deeper does not take it over."""

    @spanwise.tool
    def tool():
        return 1

    @spanwise.interaction
    def outer():
        tool()
        return inner()

    @spanwise.interaction
    def inner():
        return tool()

    with spanwise.identify(message_id="m-1"), spanwise.observe("block"):
        outer()
        tool()
    with spanwise.identify(message_id="m-2"), spanwise.observe("only"):
        tool()
    spanwise.feedback("m-1", value=1)
    spanwise.feedback("m-2", value=2)
    first, second = (line for line in files.observations() if line["type"] == "event")
    assert files.observation("outer")["id"] == first["parent_id"]
    assert files.observation("only")["id"] == second["parent_id"]


def test_an_interaction_that_names_its_message_itself_is_preferred(files):
    """Also over one around it, and the last to say so has it."""

    @spanwise.interaction
    def outer():
        answer("m-1")

    with spanwise.identify(message_id="m-1"):
        outer()
    spanwise.feedback("m-1", value="thumbs_up")
    assert files.observation("Main")["id"] == files.observation("feedback")["parent_id"]
    answer("m-1")
    spanwise.feedback("m-1", value="thumbs_down")
    mains = [line for line in files.observations() if line["name"] == "Main"]
    assert mains[-1]["id"] == files.observations()[-1]["parent_id"]


def test_feedback_from_another_thread_and_before_the_end_is_joined(files):
    """The message is known as soon as it is named."""

    @spanwise.interaction
    def streaming():
        spanwise.current_interaction().identify(message_id="m-1")
        thread = threading.Thread(target=lambda: spanwise.feedback("m-1", value="thumbs_up"))
        thread.start()
        thread.join(30)

    streaming()
    event = files.observation("feedback")
    assert files.observation("streaming")["id"] == event["parent_id"]


def test_only_the_last_few_thousand_messages_are_remembered(files):
    """The oldest are forgotten; their feedback is a trace of its own."""
    for number in range(_messages.MOST_REMEMBERED + 10):
        _messages.remember(str(number), spanwise.current().span.get_span_context(), 2)
    assert _messages.MOST_REMEMBERED == len(_state.messages)
    assert _messages.span_of("9") is None
    assert _messages.span_of("10") is not None


def test_feedback_on_a_trace_that_is_left_out_is_left_out(tmp_path):
    """A trace is kept or left out as a whole."""
    spanwise.configure(traces_dir=tmp_path / "traces")
    with spanwise.sampled(False):
        answer("m-1")
        with spanwise.identify(message_id="m-2"), spanwise.observe("block"):
            pass
    spanwise.feedback("m-1", value="thumbs_up")
    spanwise.feedback("m-2", value="thumbs_up")
    assert [] == Files(tmp_path / "traces").observations()


def test_feedback_reaches_the_destinations(receiver):
    """As a span of its trace, with the attributes that the convention names."""
    spanwise.configure(otlp_endpoint=receiver.url)
    answer("m-1")
    spanwise.feedback("m-1", value=4.5, occurred_at="2026-01-31T12:00:00Z")
    assert spanwise.flush(10) is True
    spans = {span.name: span for span in receiver.spans()}
    event = spans["feedback"]
    assert spans["Main"].span_id == event.parent_span_id
    assert 4.5 == attributes(event)["feedback.value"]
    assert "2026-01-31T12:00:00Z" == attributes(event)["feedback.occurred_at"]


def test_feedback_works_on_a_provider_of_the_applications(tmp_path):
    """Where its own sampling cannot be asked beforehand."""
    spanwise.configure(tracer_provider=TracerProvider(), traces_dir=tmp_path / "traces")
    answer("m-1")
    spanwise.feedback("m-1", value="thumbs_up")
    files = Files(tmp_path / "traces")
    assert files.observation("Main")["id"] == files.observation("feedback")["parent_id"]
    spanwise.shutdown()


def test_a_comment_is_masked_and_left_out_where_content_is(tmp_path):
    """It is the user's own words."""
    folder = tmp_path / "traces"
    spanwise.configure(traces_dir=folder)
    spanwise.feedback("m-1", value="thumbs_up", comment="my key is sk-proj-abcdefghij0123456789")
    spanwise.configure(capture_content=False)
    spanwise.feedback("m-1", value="thumbs_up", comment="my name is Jane")
    first, second = Files(folder).observations()
    assert "my key is ***" == first["attributes"]["feedback.comment"]
    assert "feedback.comment" not in second["attributes"]


@pytest.mark.parametrize("id", ["ü/%", 7, UUID(int=7)], ids=["text", "number", "UUID"])
def test_an_id_may_be_what_ids_are(files, id):
    """Texts, numbers and UUIDs, told in the same way on both sides."""
    answer(id)
    spanwise.feedback(id, value="thumbs_up")
    event = files.observation("feedback")
    assert (files.observation("Main")["id"], str(id)) == (
        event["parent_id"],
        event["attributes"]["message.id"],
    )


@pytest.mark.parametrize("value", ["thumbs_up", "3 stars", 4, 0.5, True, False, 10**30])
def test_a_value_may_be_a_word_a_number_or_a_boolean(files, value):
    """It is kept as it is; an integer of no size that attributes hold as text."""
    spanwise.feedback("m-1", value=value)
    kept = files.observation("feedback")["attributes"]["feedback.value"]
    assert kept == (str(value) if value == 10**30 else value)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"value": "x"}, ValueError, "needs a message_id or a session_id"),
        ({"message_id": " ", "value": "x"}, ValueError, "message_id must not be empty"),
        ({"message_id": b"m", "value": "x"}, TypeError, "message_id must be a text, not bytes"),
        ({"session_id": True, "value": "x"}, TypeError, "session_id must be a text, not bool"),
        ({"message_id": "m", "value": ""}, ValueError, "value must not be empty"),
        ({"message_id": "m", "value": None}, TypeError, "value must be a word, a number"),
        ({"message_id": "m", "value": float("nan")}, ValueError, "finite"),
        ({"message_id": "m", "value": 1, "comment": 1}, TypeError, "comment must be a text"),
        ({"message_id": "m", "value": 1, "name": ""}, ValueError, "name must be a non-empty"),
        ({"message_id": "m", "value": 1, "occurred_at": 7}, TypeError, "must be a datetime"),
        ({"message_id": "m", "value": 1, "occurred_at": "today"}, ValueError, "RFC 3339"),
        ({"message_id": "m", "value": 1, "occurred_at": "2026-13-01T00:00:00Z"}, ValueError, "RFC"),
        ({"message_id": "m", "value": 1, "occurred_at": "2026-01-01T00:00:00"}, ValueError, "RFC"),
    ],
)
def test_what_cannot_be_used_is_told(arguments, error, says):
    """Configured or not: a mistake shows where it is made."""
    with pytest.raises(error, match=says):
        spanwise.feedback(**arguments)


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-31t12:00:00.123456789z", "2026-01-31t12:00:00.123456789z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:60Z"),
        (datetime(2026, 1, 31, 12, tzinfo=timezone.utc), "2026-01-31T12:00:00+00:00"),
        (
            datetime(2026, 1, 31, tzinfo=timezone(timedelta(hours=-3))),
            "2026-01-31T00:00:00-03:00",
        ),
    ],
)
def test_a_moment_is_told_as_in_rfc_3339(files, moment, expected):
    """Datetimes with a zone keep it."""
    spanwise.feedback("m-1", value=1, occurred_at=moment)
    assert expected == files.observation("feedback")["attributes"]["feedback.occurred_at"]


def test_a_datetime_without_a_zone_is_local_time(files):
    """As everywhere in Python."""
    moment = datetime(2026, 1, 31, 12)
    spanwise.feedback("m-1", value=1, occurred_at=moment)
    kept = files.observation("feedback")["attributes"]["feedback.occurred_at"]
    assert moment.astimezone() == datetime.fromisoformat(kept)


def test_without_configuration_feedback_does_nothing(tmp_path):
    """Nothing is written, nothing is raised."""
    spanwise.feedback("m-1", value="thumbs_up")
    assert [] == list(tmp_path.iterdir())
