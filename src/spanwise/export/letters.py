"""Send JSON to an HTTP API that is not OTLP's, by way of a spool: feedback, FluxLoop's collector.

A line holds letters, `{"letters": [{"path": "/v1/things", "body": {...}}], ...}`, each of which
is one request, and what else whoever wrote it wants to know of it. Addresses and headers are not
in it: credentials are never on the disk. Behind `"otlp"`, last in the line, may stand the span
that the letters are about.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import orjson

from spanwise import _guard
from spanwise._destinations import TRACES_PATH, Destination
from spanwise.export import policy, segments
from spanwise.export.delivery import Parcel
from spanwise.export.otlp import OtlpCourier
from spanwise.export.policy import Action, Answer, Verdict
from spanwise.export.segments import Line, Segments
from spanwise.export.transports import HttpTransport

MOST_BYTES = 4_000_000

_LETTERS = b'{"letters":'
_SPAN = b',"otlp":'
_UNKNOWN_PATH = frozenset({404, 405})


class Watcher(Protocol):
    """Is told what becomes of lines; called by the thread that sends them."""

    def taken(self, text: bytes) -> None:
        """Tell of a line, as it was appended, that it arrived."""
        ...

    def away(self, reason: str) -> None:
        """Tell that nothing is taken at the moment."""
        ...

    def refused(self, content: dict[str, Any], answer: Answer) -> None:
        """Tell of what a line says that it was refused for good."""
        ...


class LetterCourier:
    """Brings letters to an HTTP API, one request each, in their order.

    Args:
        kind: what the counters call them.
        destination: its endpoint is what paths are put behind.
        watcher: told what becomes of lines.
        content_type: of the bodies.
        judge: says what an answer means; by default what it means for OTLP.
    """

    most_lines = 1
    most_bytes = MOST_BYTES
    linger_s = 0.0

    def __init__(
        self,
        kind: str,
        destination: Destination,
        watcher: Watcher,
        *,
        content_type: str = "application/json",
        judge: Callable[[Answer], Verdict] = policy.verdict,
    ) -> None:
        self.kind = kind
        self.target = _guard.masked(destination.endpoint)
        self._judge = judge
        self._base = destination.endpoint.rstrip("/")
        self._transport = HttpTransport(destination, content_type)
        self._watcher = watcher

    def pack(self, line: Line) -> Parcel:
        """Read the letters of a line."""
        try:
            content = orjson.loads(line.data)
            if all(isinstance(letter["path"], str) for letter in content["letters"]):
                return Parcel(line, content, len(line.data))
        except (ValueError, KeyError, TypeError):
            pass
        return Parcel(line, None, 0)

    def judge(self, answer: Answer) -> Verdict:
        """Say what an answer means."""
        return self._judge(answer)

    def shorten(self, line: Line, most_bytes: int) -> Line | None:
        """Return None: what is told to an API is told as it is, or not at all."""
        return None

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send the letters of the lines until one is not taken; return the last answer."""
        answer = self._post(parcels)
        self._tell(parcels, self.judge(answer))
        return answer

    def _post(self, parcels: Sequence[Parcel]) -> Answer:
        answer = Answer(status=204)
        for parcel in parcels:
            for letter in parcel.content["letters"]:
                answer = self._transport.post(
                    orjson.dumps(letter.get("body")), url=f"{self._base}{letter['path']}"
                )
                if self.judge(answer).action is not Action.DELIVERED:
                    return answer
        return answer

    def _tell(self, parcels: Sequence[Parcel], verdict: Verdict) -> None:
        with _guard.guard("courier.watcher"):
            if verdict.action in (Action.RETRY, Action.PARK):
                self._watcher.away(verdict.reason)
            elif verdict.action is Action.DELIVERED:
                for parcel in parcels:
                    self._watcher.taken(segments.unsealed(parcel.line.data))

    def rejected(self, answer: Answer) -> tuple[int, str]:
        """Return that nothing was: such an API takes a request as a whole."""
        return 0, ""

    def refused(self, line: Line, answer: Answer, verdict: Verdict) -> None:
        """Tell that a line was refused for good."""
        self._watcher.refused(orjson.loads(line.data), answer)

    def close(self) -> None:
        """Let the connection go."""
        self._transport.close()


class LetterOrSpanCourier(LetterCourier):
    """Brings letters, or where a server knows no such paths the spans behind them, as OTLP.

    Args:
        kind: what the counters call them.
        destination: its endpoint is what paths are put behind, OTLP's included.
        watcher: told what becomes of lines.
    """

    def __init__(self, kind: str, destination: Destination, watcher: Watcher) -> None:
        super().__init__(kind, destination, watcher)
        self._spans = OtlpCourier(replace(destination, endpoint=f"{self._base}{TRACES_PATH}"))
        self._is_otlp = False

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send the letters of one line, or the span."""
        answer = None if self._is_otlp else self._post(parcels)
        if answer is None or answer.status in _UNKNOWN_PATH:
            self._is_otlp = True
            spans = [self._span(parcel.line) for parcel in parcels]
            known = [span for span in spans if span.content is not None]
            answer = self._spans.send(known) if known else Answer(status=400)
        self._tell(parcels, self.judge(answer))
        return answer

    def rejected(self, answer: Answer) -> tuple[int, str]:
        """Return how many spans of a request that was taken were not, and why."""
        return self._spans.rejected(answer) if self._is_otlp else (0, "")

    def close(self) -> None:
        """Let the connections go."""
        super().close()
        self._spans.close()

    def _span(self, line: Line) -> Parcel:
        _, found, text = segments.unsealed(line.data).rpartition(_SPAN)
        return self._spans.pack(replace(line, data=text[:-1] if found else b""))


def are_in(source: Segments) -> bool:
    """Return whether a process spooled letters, and no spans."""
    return any(line.data.startswith(_LETTERS) for line in source.read(1, 1))


def line_of(letters: Sequence[dict[str, Any]], span: bytes | None = None) -> bytes:
    """Return the text of a line that holds these letters, and the span that they are about."""
    text = orjson.dumps({"letters": letters})
    return text if span is None else text[:-1] + _SPAN + span + b"}"
