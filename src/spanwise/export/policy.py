"""What an answer of a destination means: one table for HTTP and gRPC, and the pauses between tries."""

from __future__ import annotations

import enum
import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from spanwise import _guard

RETRY_FIRST_S: Final = 0.25
RETRY_LONGEST_S: Final = 10.0
PARK_FIRST_S: Final = 5.0
PARK_LONGEST_S: Final = 60.0
LONGEST_ASKED_S: Final = 300.0
ABSURD_ASKED_S: Final = 3_600.0
LONGEST_BODY: Final = 65_536

_LONGEST_READ = 128
_LONGEST_SHOWN = 200
_LONGEST_DETAILS = 4_096


class Action(enum.Enum):
    """What is to be done with what was sent.

    Attributes:
        DELIVERED: it has arrived.
        RETRY: the destination is away; send the same again, for as long as it takes.
        PARK: it takes a person, or a long time, to mend; probe slowly.
        BISECT: something in it is not accepted; find out what, and deliver the rest.
        SPLIT: it is too large; send it in parts.
    """

    DELIVERED = enum.auto()
    RETRY = enum.auto()
    PARK = enum.auto()
    BISECT = enum.auto()
    SPLIT = enum.auto()


@dataclass(frozen=True)
class Answer:
    """What came back for one request.

    Attributes:
        status: of HTTP, or None.
        grpc: name of the gRPC code such as `UNAVAILABLE`, or None.
        fault: why nothing came back, or not all of it; one masked line, or empty.
        retry_after: text of `Retry-After`, or the seconds of gRPC's RetryInfo; empty if none.
        location: where a redirect leads to, or empty.
        body: its first 64 KiB; of a gRPC error its details.
        content_type: of the body, or empty.
    """

    status: int | None = None
    grpc: str | None = None
    fault: str = ""
    retry_after: str = ""
    location: str = ""
    body: bytes = b""
    content_type: str = ""


@dataclass(frozen=True)
class Verdict:
    """What an answer means.

    Attributes:
        action: what is to be done.
        pause_s: seconds that the destination asked to be left alone, or None; where there is a
            pace too, the longer of the two is due.
        reason: one short masked line for a log, such as `it answered 503`.
    """

    action: Action
    pause_s: float | None
    reason: str


# What is not in it is parked: nobody knows what it means, and nothing may be lost for it.
_ACTIONS: Final[dict[int | str | None, Action]] = {
    None: Action.RETRY,  # nothing came back: no connection, or no answer in time
    **dict.fromkeys(range(200, 300), Action.DELIVERED),
    429: Action.RETRY,
    502: Action.RETRY,
    503: Action.RETRY,
    504: Action.RETRY,
    400: Action.BISECT,
    422: Action.BISECT,
    413: Action.SPLIT,
    "OK": Action.DELIVERED,
    "UNAVAILABLE": Action.RETRY,
    "DEADLINE_EXCEEDED": Action.RETRY,
    "CANCELLED": Action.RETRY,
    "ABORTED": Action.RETRY,
    "OUT_OF_RANGE": Action.RETRY,
    "DATA_LOSS": Action.RETRY,
    "RESOURCE_EXHAUSTED": Action.RETRY,
    "INVALID_ARGUMENT": Action.BISECT,
}
_REFUSED = frozenset({401, 403, "UNAUTHENTICATED", "PERMISSION_DENIED"})
# gRPC has no code for it: the servers in Go, C++ and Java use the first, those in Rust the second.
_PERHAPS_TOO_LARGE = frozenset({"RESOURCE_EXHAUSTED", "OUT_OF_RANGE"})
_TOO_LARGE = re.compile(r"larger than max|exceeds (the )?maximum|too large|too big")


def verdict(answer: Answer, now_s: float | None = None) -> Verdict:
    """Return what an answer means.

    Args:
        answer: what came back.
        now_s: seconds since the epoch, to which dates are compared; by default the clock's.
    """
    code = answer.grpc if answer.status is None else answer.status
    action = _ACTIONS.get(code, Action.PARK)
    if code in _PERHAPS_TOO_LARGE and _says_too_large(answer.body):
        action = Action.SPLIT
    pause_s = None
    if action in (Action.RETRY, Action.PARK):
        pause_s = _asked_pause_s(answer.retry_after, time.time() if now_s is None else now_s)
    return Verdict(action, pause_s, _reason(answer, code))


class Backoff:
    """Pauses that grow: each step is twice the one before, and up to half of it is left to chance.

    Args:
        first_s: seconds of the first step.
        longest_s: seconds that no step exceeds.
        chance: returns a number from 0 to 1. By default the operating system's: a stream of
            random numbers would be the same in a forked child, and the global one is the program's.
    """

    def __init__(
        self, first_s: float, longest_s: float, chance: Callable[[], float] | None = None
    ) -> None:
        self._first_s = min(first_s, longest_s)
        self._longest_s = longest_s
        self._chance = chance or random.SystemRandom().random
        self._step_s = self._first_s

    def next(self) -> float:
        """Return the seconds to pause now: from half of the step to the whole of it."""
        step_s = self._step_s
        self._step_s = min(step_s * 2, self._longest_s)
        return step_s * (0.5 + self._chance() / 2)

    def reset(self) -> None:
        """Begin with the first step again."""
        self._step_s = self._first_s


def _says_too_large(details: bytes) -> bool:
    text = details[:_LONGEST_DETAILS].decode("utf-8", "replace").lower()
    return "message" in text and _TOO_LARGE.search(text) is not None


def _reason(answer: Answer, code: int | str | None) -> str:
    if code is None:
        return answer.fault or "nothing came back"
    if code in _REFUSED:
        return f"the credentials were refused ({code})"
    if answer.status is None:
        details = _line(answer.body[:_LONGEST_DETAILS].decode("utf-8", "replace"))
        return f"it answered {code}" + (f": {details}" if details else "")
    if 300 <= answer.status < 400 and answer.location:
        # Without its query, where an address carries what is not for a log.
        return f"it redirects to {_line(re.split('[?#]', answer.location)[0])} ({code})"
    return f"it answered {code}"


def _line(text: str) -> str:
    return _guard.masked(" ".join(text[:_LONGEST_DETAILS].split()))[:_LONGEST_SHOWN]


_SECONDS = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)", re.ASCII)
_MONTHS: tuple[str, ...] = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME = r"(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = tuple(
    re.compile(form, re.ASCII)
    for form in (
        # RFC 1123 and RFC 850. Nobody minds a wrong day of the week.
        rf"([a-z]+, *)?(?P<day>\d\d?)[ -]{_MONTH}[ -](?P<year>\d{{4}}|\d\d) +{_TIME} +(gmt|utc)",
        # asctime
        rf"[a-z]+ +{_MONTH} +(?P<day>\d\d?) +{_TIME} +(?P<year>\d{{4}})",
    )
)


def _asked_pause_s(text: str, now_s: float) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date, or None."""
    text = text.strip()
    if not text or len(text) > _LONGEST_READ:
        return None
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        date_s = _date_s(text.lower(), now_s)
        if date_s is None:
            return None
        seconds = date_s - now_s
    if seconds > ABSURD_ASKED_S:
        return None
    return min(max(0.0, seconds), LONGEST_ASKED_S)


def _date_s(text: str, now_s: float) -> float | None:
    found = next(filter(None, (form.fullmatch(text) for form in _DATES)), None)
    if found is None:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        # The year of RFC 850 is the one in reach, which is never far from today's.
        this_year = time.gmtime(now_s).tm_year
        year += this_year - this_year % 100
        year -= 100 * (year > this_year + 50)
    try:
        date = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(int(found["second"]), 59),  # a leap second
            tzinfo=timezone.utc,
        )
    except ValueError:
        return None
    return date.timestamp()
