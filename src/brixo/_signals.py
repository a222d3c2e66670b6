"""Feedback on its way to Brixo: the HTTP API that docs.brixo.com describes as signals."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from spanwise import _guard, _state
from spanwise._configure import place_sink
from spanwise._environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from spanwise.export.policy import Answer, Verdict
    from spanwise.export.record import Record

logger = logging.getLogger("brixo")

DEFAULT_BASE = "https://api.brixo.com"
_TYPE = "application/vnd.api+json"
_PLACE = "brixo.signals"
_UNAUTHORISED = frozenset({401, 403})
_FINAL = frozenset({400, 401, 403, 404, 413, 422})
_LONGEST_DETAIL = 300


class Signals:
    """Where feedback is sent, by way of a spool; one of the places that records go to.

    Args:
        base: of the API's addresses.
        api_key: for the API.
        spool_dir: folder in which spools lie; None for the user's own.
    """

    def __init__(self, base: str, api_key: str, spool_dir: Path | None) -> None:
        from spanwise._destinations import Destination
        from spanwise.export.letters import LetterCourier
        from spanwise.export.spooled import SpooledLines

        self.base = base.rstrip("/")
        self.api_key = api_key
        self.spool_dir = spool_dir
        self._is_told = False
        destination = Destination(
            endpoint=self.base, headers={"Authorization": f"Bearer {api_key}", "Accept": _TYPE}
        )
        courier = LetterCourier(_PLACE, destination, self, content_type=_TYPE, judge=_judged)
        self._lines = SpooledLines(courier, destination, spool_dir)

    @property
    def identity(self) -> tuple[str, str, Path | None]:
        """What tells one place for feedback from another."""
        return self.base, self.api_key, self.spool_dir

    def send(self, kind: str, id: str, attributes: Mapping[str, Any]) -> None:
        """Send feedback on a message or a conversation, and do not wait for it.

        Args:
            kind: `message` or `conversation`.
            id: as the program gave it.
            attributes: of the signal.
        """
        from urllib.parse import quote

        path = f"/v1/{kind}s/{quote(id, safe='')}/signals"
        body = {"data": {"type": "signals", "attributes": attributes}}
        line = {"letters": [{"path": path, "body": body}], "kind": kind, "id": id}
        self._lines.append(orjson.dumps(line))

    def write(self, record: Record) -> None:
        """Do nothing: feedback is sent when it is given."""

    def wake(self) -> None:
        """Have feedback that waits sent now; does not wait for it."""
        self._lines.wake()

    def flush(self, timeout_s: float) -> bool:
        """Return whether all feedback arrived, or was refused, in that time."""
        return self._lines.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send what waits as far as the time allows; the rest is there for the next process."""
        self._lines.close(timeout_s)

    def taken(self, text: bytes) -> None:
        """Do nothing: it is what was to be expected."""

    def away(self, reason: str) -> None:
        """Do nothing: it is said where it is sent again."""

    def refused(self, content: Mapping[str, Any], answer: Answer) -> None:
        """Say why Brixo would not have a piece of feedback; of a refused key once."""
        if answer.status in _UNAUTHORISED and self._is_told:
            return  # the key is the same for all
        self._is_told |= answer.status in _UNAUTHORISED
        why = _why(answer, str(content.get("kind")), str(content.get("id")))
        logger.error("%s", _guard.masked(f"Brixo refused the feedback: {why}"))


def sender(api_key: str | None) -> Signals | None:
    """Return what sends feedback with this key, or `BRIXO_API_KEY`; None where there is none."""
    variables = Environment.read()
    key = api_key or variables.get("BRIXO_API_KEY")
    if not key:
        return None
    base = (variables.get("BRIXO_API_URL") or DEFAULT_BASE).rstrip("/")
    with _state.lock:
        placed = _state.sinks.get(_PLACE)
        runtime = _state.runtime
        wanted = (base, key, runtime.settings.spool_dir if runtime is not None else None)
        if isinstance(placed, Signals) and placed.identity == wanted:
            return placed
        made = Signals(*wanted)
        place_sink(_PLACE, made)
        return made


def _judged(answer: Answer) -> Verdict:
    """Say what an answer means: unlike a collector, the API refuses one piece of feedback."""
    from spanwise.export import policy

    verdict = policy.verdict(answer)
    if answer.status in _FINAL:
        return replace(verdict, action=policy.Action.BISECT)
    return verdict


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
