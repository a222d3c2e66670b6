"""Send HTTP requests that are no spans, in order, from a thread of its own.

For what an application hands over one by one, such as feedback: `put` never waits. A request is
tried again while the service is away, and each has one of three ends: it was delivered, it was
refused, or it was given up (the queue is full, the exit came, the attempts are used up).
"""

from __future__ import annotations

import email.utils
import os
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from opentelemetry import context as context_api
from opentelemetry.context import _RUNTIME_CONTEXT, _SUPPRESS_INSTRUMENTATION_KEY, Context

from spanwise import _guard, _state

_MOST_WAITING = 1_000
_TIMEOUT_S = 10.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_LONGEST_RETRY_AFTER_S = 300.0
_LONGEST_ANSWER = 65_536
_AWAY = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Answer:
    """What the service said.

    Attributes:
        status: of HTTP.
        headers: with names in lower case.
        body: its first 64 KiB.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, eq=False, repr=False)
class Letter:
    """One request to be sent.

    Attributes:
        method: of HTTP.
        url: full http(s) address.
        headers: sent as they are.
        body: sent as it is.
        on_refused: told that the service will not have it; by default one log line says so.
        on_given_up: handed what could not be sent, and why; by default it is lost and counted.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    on_refused: Callable[[Answer], None] | None = None
    on_given_up: Callable[[str], None] | None = None


class Post(Protocol):
    """Sends one request; what it raises means that the service is away."""

    def __call__(self, letter: Letter, timeout_s: float) -> Answer:
        """Return the answer."""
        ...


class Outbox:
    """Letters on their way to one service.

    The first one that waits holds up those behind it, so that they arrive in their order. Nothing
    is imported, started or connected before the first letter, and a forked child begins anew.

    Args:
        kind: what the counters call it: `sent.<kind>`, `refused.<kind>`, `lost.<kind>`.
        target: what log lines call it.
        post: sends a request; by default over HTTP.
        most_waiting: letters that wait at most; one more is given up.
        most_attempts: of one letter; None tries for as long as it takes.
        timeout_s: seconds that one request may take.
        first_pause_s: seconds between the first two attempts; each further pause is twice as
            long, up to half a minute, and up to half of it is left to chance.
    """

    def __init__(
        self,
        kind: str,
        target: str,
        *,
        post: Post | None = None,
        most_waiting: int = _MOST_WAITING,
        most_attempts: int | None = None,
        timeout_s: float = _TIMEOUT_S,
        first_pause_s: float = _FIRST_PAUSE_S,
    ) -> None:
        self._kind = kind
        self._target = target
        self._post = post
        self._most_waiting = most_waiting
        self._most_attempts = most_attempts
        self._timeout_s = timeout_s
        self._first_pause_s = first_pause_s
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._carrier: _Carrier | None = None
        self._has_lost = False

    def put(self, letter: Letter) -> bool:
        """Take a letter to be sent; return False where it was given up at once. Never waits."""
        self._look_for_fork()
        with self._lock:
            try:
                carrier = self._carrier or self._started()
            except RuntimeError as error:  # at the exit no thread can be started any more
                fault = _guard.describe(error)
            else:
                if carrier.put(letter, self._most_waiting):
                    return True
                fault = f"{self._most_waiting} others wait already"
        self._give_up(letter, fault)
        return False

    def flush(self, timeout_s: float) -> bool:
        """Return whether every letter so far was delivered, refused or handed back in that time."""
        self._look_for_fork()
        carrier = self._carrier
        return (carrier is None or carrier.is_empty_within(timeout_s)) and not self._has_lost

    def close(self, timeout_s: float) -> None:
        """Send as far as the time allows, once each, and give up the rest; `put` starts again."""
        self._look_for_fork()
        with self._lock:
            carrier, self._carrier = self._carrier, None
        if carrier is None:
            return
        carrier.closing.set()
        carrier.is_empty_within(timeout_s)
        for letter in carrier.take_all():
            self._give_up(letter, "there was no time left for it")
        carrier.end()

    def _look_for_fork(self) -> None:
        if self._pid != os.getpid():
            # What waited at the fork is sent by the process that took it.
            self._lock = threading.RLock()
            self._carrier = None
            self._has_lost = False
            self._pid = os.getpid()

    def _started(self) -> _Carrier:
        carrier = _Carrier(self._deliver)
        # The thread outlives the span in which the first letter happens to be put.
        token = _RUNTIME_CONTEXT.attach(Context())
        try:
            name = f"spanwise-outbox-{self._kind}"
            threading.Thread(target=carrier.run, name=name, daemon=True).start()
        finally:
            _RUNTIME_CONTEXT.detach(token)
        self._carrier = carrier
        return carrier

    def _deliver(self, letter: Letter, carrier: _Carrier) -> None:
        """Try until the letter has come to its end; called in the thread."""
        attempts, pause_s = 0, self._first_pause_s
        while carrier.holds(letter):
            attempts += 1
            answer, fault = None, ""
            try:
                if self._post is None:
                    self._post = _over_http()
                answer = self._post(letter, self._timeout_s)
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing has answered
                fault = _guard.describe(error)
            if answer is not None and answer.status not in _AWAY:
                if carrier.settle(letter):
                    self._answered(letter, answer)
                return
            if answer is not None:
                fault = f"it answered {answer.status}"
            if carrier.closing.is_set() or attempts == self._most_attempts:
                if carrier.settle(letter):
                    self._give_up(letter, fault)
                return
            _state.count(f"retried.{self._kind}")
            _guard.warn(f"{self._kind} away", f"{self._target} is away, trying again: {fault}")
            carrier.pause(pause_s * (0.5 + carrier.chance.random() / 2), _asked_pause_s(answer))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _answered(self, letter: Letter, answer: Answer) -> None:
        if 200 <= answer.status < 300:
            _state.count(f"sent.{self._kind}")
            return
        _state.count(f"refused.{self._kind}")
        if letter.on_refused is not None:
            with _guard.guard("outbox.on_refused"):
                letter.on_refused(answer)
        else:
            _guard.warn(
                f"{self._kind} refused {answer.status}",
                f"{self._target} refused what it was sent ({answer.status})",
            )

    def _give_up(self, letter: Letter, why: str) -> None:
        if letter.on_given_up is not None:
            with _guard.guard("outbox.on_given_up"):
                letter.on_given_up(why)
            return
        self._has_lost = True
        _state.count(f"lost.{self._kind}")
        _guard.warn(f"{self._kind} lost", f"something did not reach {self._target}: {why}")


class _Carrier:
    """The letters that wait in one process, and the thread that carries them."""

    def __init__(self, deliver: Callable[[Letter, _Carrier], None]) -> None:
        self.hurry = threading.Event()
        self.closing = threading.Event()
        # Of its own: the program may have seeded the global one.
        self.chance = random.Random(os.urandom(16))  # noqa: S311 - it spreads attempts in time
        self._deliver = deliver
        # In order; the first is being delivered. A deque's steps are atomic, so that nothing
        # has to be locked where the garbage collector could put a letter too.
        self._waiting: deque[Letter] = deque()
        self._bell: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()

    def put(self, letter: Letter, most: int) -> bool:
        if len(self._waiting) >= most:
            return False
        self._waiting.append(letter)
        self.ring()
        return True

    def ring(self, done: threading.Event | None = None) -> None:
        """Have the thread look at what waits, and set the event when all of it is done."""
        self._bell.put(done)

    def end(self) -> None:
        """Have the thread end when it comes to this."""
        self.ring(self.closing)

    def holds(self, letter: Letter) -> bool:
        return bool(self._waiting) and self._waiting[0] is letter

    def settle(self, letter: Letter) -> bool:
        """Take the letter out; False where `take_all` was quicker."""
        try:
            self._waiting.remove(letter)
        except ValueError:
            return False
        return True

    def take_all(self) -> list[Letter]:
        taken = []
        while True:
            try:
                taken.append(self._waiting.popleft())
            except IndexError:
                return taken

    def pause(self, pause_s: float, asked_s: float | None) -> None:
        """Wait between two attempts: as long as the service asked for, else until hurried."""
        if asked_s is not None:
            self.closing.wait(asked_s)
        else:
            self.hurry.wait(pause_s)
        self.hurry.clear()

    def is_empty_within(self, timeout_s: float) -> bool:
        """Return whether all that waits now comes to its end in that time."""
        done = threading.Event()
        self.ring(done)
        self.hurry.set()
        return done.wait(timeout_s)

    def run(self) -> None:
        # Instrumentors of HTTP clients make spans of requests; ours are not the program's.
        _RUNTIME_CONTEXT.attach(context_api.set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        done = None
        while done is not self.closing:
            done = self._bell.get()
            while self._waiting:
                letter = self._waiting[0]
                try:
                    self._deliver(letter, self)
                except Exception as error:  # noqa: BLE001 - the next one is carried all the same
                    self.settle(letter)
                    _state.count("lost.outbox")
                    _guard.swallow("outbox", error)
            if done is not None:
                done.set()


def _asked_pause_s(answer: Answer | None) -> float | None:
    """Return the seconds that `Retry-After` asks for, as a number or as a date."""
    asked = answer.headers.get("retry-after", "").strip() if answer is not None else ""
    if not asked:
        return None
    if asked.isdecimal():
        seconds = float(asked[:6])
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(asked).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)


def _over_http() -> Post:
    # Imported at the first letter: most processes send none.
    import requests

    session = requests.Session()
    # Else the credentials of a .netrc file would take the place of our header.
    session.auth = lambda request: request

    def post(letter: Letter, timeout_s: float) -> Answer:
        with session.request(
            letter.method,
            letter.url,
            headers=dict(letter.headers),
            data=letter.body,
            timeout=timeout_s,
            allow_redirects=False,
            stream=True,
        ) as response:
            body = next(response.iter_content(_LONGEST_ANSWER), b"")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, headers, body)

    return post
