"""Feedback on its way to Brixo: the HTTP API that docs.brixo.com describes as signals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from spanwise import _guard, _state
from spanwise._configure import place_sink
from spanwise._environment import Environment

if TYPE_CHECKING:
    from spanwise.export.outbox import Answer, Outbox
    from spanwise.export.record import Record

logger = logging.getLogger("brixo")

DEFAULT_BASE = "https://api.brixo.com"
_TYPE = "application/vnd.api+json"
_PLACE = "brixo.signals"
_UNAUTHORISED = frozenset({401, 403})
_LONGEST_DETAIL = 300


class Signals:
    """Where feedback is sent; flushed and closed with everything else that is sent.

    Args:
        base: of the API's addresses.
        api_key: for the API.
    """

    def __init__(self, base: str, api_key: str) -> None:
        from spanwise.export.outbox import Outbox

        self.base = base.rstrip("/")
        self.api_key = api_key
        self._is_told = False
        self._outbox: Outbox = Outbox("brixo.signals", f"{self.base} (feedback)")

    def send(self, kind: str, id: str, attributes: Mapping[str, Any]) -> None:
        """Send feedback on a message or a conversation, and do not wait for it.

        Args:
            kind: `message` or `conversation`.
            id: as the program gave it.
            attributes: of the signal.
        """
        from spanwise.export.outbox import Letter

        def refused(answer: Answer) -> None:
            if answer.status in _UNAUTHORISED and self._is_told:
                return  # the key is the same for all
            self._is_told |= answer.status in _UNAUTHORISED
            logger.error(
                "%s", _guard.masked(f"Brixo refused the feedback: {_why(answer, kind, id)}")
            )

        self._outbox.put(
            Letter(
                "POST",
                f"{self.base}/v1/{kind}s/{quote(id, safe='')}/signals",
                {
                    "Authorization": f"Bearer {self.api_key}",
                    "Content-Type": _TYPE,
                    "Accept": _TYPE,
                },
                orjson.dumps({"data": {"type": "signals", "attributes": attributes}}),
                on_refused=refused,
            )
        )

    def write(self, record: Record) -> None:
        """Do nothing: feedback is sent when it is given."""

    def wake(self) -> None:
        """Do nothing: what can be sent is on its way already."""

    def flush(self, timeout_s: float) -> bool:
        """Return whether all feedback arrived, or was refused, in that time."""
        return self._outbox.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send what waits as far as the time allows."""
        self._outbox.close(timeout_s)


def sender(api_key: str | None) -> Signals | None:
    """Return what sends feedback with this key, or `BRIXO_API_KEY`; None where there is none."""
    variables = Environment.read()
    key = api_key or variables.get("BRIXO_API_KEY")
    if not key:
        return None
    base = (variables.get("BRIXO_API_URL") or DEFAULT_BASE).rstrip("/")
    with _state.lock:
        placed = _state.sinks.get(_PLACE)
        if isinstance(placed, Signals) and (placed.base, placed.api_key) == (base, key):
            return placed
        made = Signals(base, key)
        place_sink(_PLACE, made)
        return made


def _why(answer: Answer, kind: str, id: str) -> str:
    if answer.status in _UNAUTHORISED:
        return f"check your BRIXO_API_KEY ({answer.status})"
    if answer.status == 404:
        name = "message_id" if kind == "message" else "session_id"
        return f"it knows no {name} {id[:_LONGEST_DETAIL]!r} (404)"
    detail = _detail(answer.body)
    if answer.status == 413:
        detail = detail or "it is too large; shorten user_message"
    return f"{detail or 'it gave no reason'} ({answer.status})"


def _detail(body: bytes) -> str:
    """Return what the errors of a JSON:API answer say, in one line."""
    try:
        errors = orjson.loads(body)["errors"]
        told = [str(e.get("detail") or e.get("title") or "") for e in errors]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
    return " ".join("; ".join(filter(None, told)).split())[:_LONGEST_DETAIL]
