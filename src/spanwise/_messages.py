"""In which span a message was answered: what is said of it later is joined to that trace.

The last few thousand messages of this process are remembered, by their id.
"""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.trace import SpanContext

from spanwise import _state

MOST_REMEMBERED: Final = 4096

# How surely a span is the one in which the message was answered.
BELOW_IDENTIFY: Final = 0  # it began where somebody had said which message is being answered
AN_INTERACTION: Final = 1  # likewise, and it is an interaction
SAID_OF_IT: Final = 2  # somebody said it of this very span


def remember(message_id: Any, span: SpanContext, sureness: int) -> None:
    """Remember the span for the message; in one trace the first of the surest spans stays."""
    known = _state.messages.get(message_id)
    if known is not None:
        before, how_sure = known
        is_later = sureness == SAID_OF_IT or span.trace_id != before.trace_id
        if sureness < how_sure or (sureness == how_sure and not is_later):
            return
        _state.messages.pop(message_id, None)  # so that the oldest is the first
    _state.messages[message_id] = (span, sureness)
    while len(_state.messages) > MOST_REMEMBERED:
        try:
            _state.messages.pop(next(iter(_state.messages)), None)
        except (RuntimeError, StopIteration):  # another thread is doing the same
            return


def span_of(message_id: Any) -> SpanContext | None:
    """Return the span in which the message was answered, if it was in this process, lately."""
    known = _state.messages.get(message_id)
    return known[0] if known is not None else None
