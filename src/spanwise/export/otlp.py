"""Send records to one OTLP destination: through a spool, as protobuf, at least once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spanwise import _guard, _settings
from spanwise._destinations import Destination
from spanwise.export import policy, wire
from spanwise.export.delivery import Parcel
from spanwise.export.otlp_json import LineEncoder
from spanwise.export.otlp_operations import line_from
from spanwise.export.policy import Action, Answer, Verdict
from spanwise.export.record import Record
from spanwise.export.segments import Line
from spanwise.export.shortening import shortened
from spanwise.export.spooled import SpooledLines
from spanwise.export.transports import transport_for

# What collectors take as they come: gRPC's limit for one message is 4 MiB.
MOST_BYTES = 4_000_000

_UNAUTHORISED = frozenset({401, 403})
_UNAUTHENTICATED = frozenset({"UNAUTHENTICATED", "PERMISSION_DENIED"})


class OtlpCourier:
    """Brings spans to an OTLP destination.

    Args:
        destination: where to.
    """

    kind = "otlp"
    most_bytes = MOST_BYTES

    def __init__(self, destination: Destination) -> None:
        self.target = _guard.masked(destination.endpoint)
        self.most_lines = destination.batch_spans
        self.linger_s = destination.batch_delay_s
        self._destination = destination
        self._transport = transport_for(destination)

    def pack(self, line: Line) -> Parcel:
        """Make the wire's bytes of a span."""
        try:
            encoded = None if line.parts is None else wire.encoded_operation(line.parts)
            if encoded is None:
                encoded = wire.encoded(line.data)
        except ValueError:
            return Parcel(line, None, 0)
        return Parcel(line, encoded, len(encoded.span) + len(encoded.group))

    def shorten(self, line: Line, most_bytes: int) -> Line | None:
        """Return the span with its longest texts cut."""
        data = shortened(line.data, most_bytes)
        return None if data is None else Line(data, line.number, line.end, line.torn)

    def send(self, parcels: Sequence[Parcel]) -> Answer:
        """Send spans in one request."""
        return self._transport.post(wire.request([parcel.content for parcel in parcels]))

    def judge(self, answer: Answer) -> Verdict:
        """Say what an answer means; refused credentials are told by what a person has to mend."""
        verdict = policy.verdict(answer)
        if verdict.action is Action.PARK and (
            answer.status in _UNAUTHORISED or answer.grpc in _UNAUTHENTICATED
        ):
            advice = f"check your {self._destination.credential or 'headers'}"
            return replace(verdict, reason=f"{verdict.reason}: {advice}")
        return verdict

    def rejected(self, answer: Answer) -> tuple[int, str]:
        """Return how many spans of a request that was taken were not, and why."""
        return wire.rejected(answer.body, answer.content_type)

    def refused(self, line: Line, answer: Answer, verdict: Verdict) -> None:
        """Say once in a while that a span was refused for good."""
        _guard.warn(
            f"refused {self.target}",
            f"{self.target} refused a span, which is kept: {verdict.reason}",
        )

    def close(self) -> None:
        """Let the connection go."""
        self._transport.close()


class OtlpSink:
    """Records on their way to a destination.

    Args:
        destination: where to.
        spool_dir: folder in which spools lie; None for the user's own.
        spool_max_bytes: of what waits for this destination.
    """

    def __init__(
        self,
        destination: Destination,
        spool_dir: Path | None = None,
        spool_max_bytes: int = _settings.DEFAULT_MAX_BYTES,
    ) -> None:
        self.destination = destination
        self.spool_dir = spool_dir
        self.spool_max_bytes = spool_max_bytes
        self._line = LineEncoder(destination.dialects)
        self._lines = SpooledLines(
            OtlpCourier(destination), destination, spool_dir, spool_max_bytes, line_from
        )

    def write(self, record: Record) -> None:
        """Spool one record, in the vocabularies of the destination too."""
        self._lines.append(*self._line.with_parts(record))
        if self._lines.notes_starts:
            self._lines.end(record.span_id)

    def begin(self, record: Record) -> None:
        """Note a span that starts, so that it is sent if this process is killed before its end."""
        self._lines.begin(record.span_id, self._line(record))

    def wake(self) -> None:
        """Have what waits sent now; does not wait for it."""
        self._lines.wake()

    def flush(self, timeout_s: float) -> bool:
        """Return whether every record so far was acknowledged, or finally refused, in that time."""
        return self._lines.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Send as far as the time allows; the rest is there for the next process."""
        self._lines.close(timeout_s)
