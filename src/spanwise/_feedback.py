"""What a user said of an answer, kept as an event in the trace of that answer."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan

from spanwise import _contexts, _guard, _identity, _messages, _operation, _state, semconv
from spanwise._plans import make_plan

# Seconds may have any number of digits; a leap second is written as 60.
_RFC_3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:[0-5]\d|\d\d:\d\d:60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def feedback(
    message_id: str | int | UUID | None = None,
    session_id: str | int | UUID | None = None,
    *,
    value: str | bool | float,
    comment: str | None = None,
    name: str = "feedback",
    occurred_at: datetime | str | None = None,
) -> None:
    """Keep what a user said of an answer, joined to the trace in which the answer was made.

    That is the trace of the interaction with this message id, where it was made in this process
    and lately; otherwise the feedback is a trace of its own that bears the ids. Where nothing is
    configured, nothing happens.

    Args:
        message_id: of the answer, as it was given to `identify()` or to the interaction.
        session_id: of the conversation; one of the two is needed.
        value: a word such as `thumbs_up` or `thumbs_down`, a number or a boolean.
        comment: what the user said in their own words.
        name: of the event.
        occurred_at: when they said it: a datetime (without a zone it is local time), or a text as
            in RFC 3339.

    Raises:
        ValueError: a value that cannot be used, or neither of the ids.
        TypeError: a value of a type that cannot be used.
    """
    keep(
        id_text("message_id", message_id),
        id_text("session_id", session_id),
        value,
        comment,
        name,
        rfc_3339(occurred_at),
    )


def keep(
    message_id: str | None,
    session_id: str | None,
    value: str | bool | float,
    comment: str | None,
    name: str,
    occurred_at: str | None,
    *,
    first_use: Callable[[], _state.Runtime | None] | None = None,
) -> None:
    """Keep feedback whose ids and time are texts; the arguments are those of `feedback`.

    Args: `first_use` configures Spanwise where nothing did.
    """
    if message_id is None and session_id is None:
        raise ValueError("feedback needs a message_id or a session_id")
    check_text("comment", comment)
    if not isinstance(name, str) or not name.strip():
        raise ValueError("name must be a non-empty text")
    _check_value(value)
    try:
        _keep(message_id, session_id, value, comment, name, occurred_at, first_use)
    except Exception as fault:  # noqa: BLE001 - ours: the program goes on
        _guard.swallow("feedback", fault)


def id_text(name: str, given: Any) -> str | None:
    """Return an id as text.

    Raises:
        ValueError: it is empty.
        TypeError: it is of no type that ids have.
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int | UUID):
        raise TypeError(f"{name} must be a text, not {type(given).__name__}")
    text = str(given)
    if not text.strip():
        raise ValueError(f"{name} must not be empty")
    return text


def check_text(name: str, given: Any) -> None:
    """Raise TypeError for what is neither a text nor None."""
    if given is not None and not isinstance(given, str):
        raise TypeError(f"{name} must be a text, not {type(given).__name__}")


def rfc_3339(moment: Any) -> str | None:
    """Return a moment, a datetime or a text of RFC 3339, as such a text.

    Raises:
        ValueError: a text that is no moment.
        TypeError: neither a datetime nor a text.
    """
    if moment is None:
        return None
    if isinstance(moment, datetime):
        try:
            return (moment if moment.utcoffset() is not None else moment.astimezone()).isoformat()
        except (ValueError, OverflowError, OSError):  # at the ends of time there are no zones
            raise ValueError("occurred_at is no moment that can be told") from None
    if not isinstance(moment, str):
        raise TypeError(f"occurred_at must be a datetime or a text, not {type(moment).__name__}")
    match = _RFC_3339.fullmatch(moment.strip())
    if match is not None:
        day, time, _, zone = match.groups()
        zone = "+00:00" if zone in "Zz" else zone
        try:
            datetime.fromisoformat(f"{day}T{time.replace(':60', ':59')}{zone}")
        except ValueError:
            match = None
    if match is None:
        raise ValueError("occurred_at must be a moment such as 2026-01-31T12:00:00Z (RFC 3339)")
    return moment.strip()


def _check_value(value: Any) -> None:
    if not isinstance(value, str | bool | int | float):
        raise TypeError(f"value must be a word, a number or a boolean, not {type(value).__name__}")
    if isinstance(value, str) and not value.strip():
        raise ValueError("value must not be empty")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("value must be a number that is finite")


def _keep(
    message_id: str | None,
    session_id: str | None,
    value: str | bool | float,
    comment: str | None,
    name: str,
    occurred_at: str | None,
    first_use: Callable[[], _state.Runtime | None] | None,
) -> None:
    runtime = _state.runtime
    if runtime is None and first_use is not None and not _state.is_off:
        runtime = first_use()
    if runtime is None:
        return
    plan = make_plan("event", name)
    attributes: dict[str, Any] = dict(plan.attributes)
    attributes |= _identity.identity_attributes(session_id=session_id, message_id=message_id)
    attributes[semconv.FEEDBACK_VALUE] = _identity.attribute_value("", value)
    if comment is not None and runtime.settings.capture_content:
        attributes[semconv.FEEDBACK_COMMENT] = _identity.attribute_value("", comment)
    if occurred_at is not None:
        attributes[semconv.FEEDBACK_OCCURRED_AT] = occurred_at
    # Not in the trace that is current: that is the request which brought the feedback.
    context = Context()
    answered = _messages.span_of(attributes.get(semconv.MESSAGE_ID))
    if answered is not None:
        context = trace_api.set_span_in_context(NonRecordingSpan(answered), context)
    token = _contexts.attach(context)
    try:
        observation = _operation.start(dataclasses.replace(plan, attributes=attributes))
        if observation is not None:
            _operation.finish(observation, keep_output=False)
    finally:
        _identity.give_back(token)
