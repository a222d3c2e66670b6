"""Requests that end when their time is up, whatever the other side does."""

from __future__ import annotations

import contextlib
import contextvars
import http.client
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from spanwise import _guard
from spanwise.export.policy import Answer

_LONGEST_TIMEOUT_S: Final = 86_400.0
_MOST_CAUSES = 20
_OBJECT = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>:? ?")


class Request:
    """One request under way.

    Args:
        timeout_s: seconds for all of it.
    """

    def __init__(self, timeout_s: float) -> None:
        self._answer: Answer | None = None
        self._timeout_s = timeout_s
        self._deadline_s = time.monotonic() + timeout_s
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._is_over = False
        self._socket: socket.socket | None = None

    def left_s(self) -> float:
        """Return the seconds that are left, never quite 0: that would mean without a limit."""
        return max(self._deadline_s - time.monotonic(), 0.001)

    def uses(self, connected: Any) -> None:
        """Learn which socket it runs over.

        Raises:
            TimeoutError: its time is up: nobody waits for it, and it must not be sent any more.
        """
        # A descriptor of its own: the number of one that is closed meanwhile may become another's.
        own = socket.fromfd(connected.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        with self._lock:
            before, self._socket = self._socket, own
            is_over = self._is_over
        if before is not None:
            before.close()
        if is_over:
            raise TimeoutError

    def came(self, answer: Answer) -> None:
        """Note what has come back so far, unless the time is up: then it was cut off by us."""
        with self._lock:
            if not self._is_over:
                self._answer = answer

    def wait(self, grace_s: float) -> Answer:
        """Return what has come back when it has ended, or when its time and the grace are up."""
        try:
            self._ended.wait(self.left_s() + grace_s)
        finally:  # also where the program interrupts it
            with self._lock:
                self._is_over = True
                if self._socket is not None:
                    with contextlib.suppress(OSError):  # it was closed by the other side
                        self._socket.shutdown(socket.SHUT_RDWR)
        return self._answer or Answer(fault=self._time_is_up())

    def run(self, send: Callable[[Request], Answer]) -> None:
        """Send it, and note what comes back, or why nothing does."""
        try:
            self.came(send(self))
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing has answered
            if self._answer is None:
                self.came(Answer(fault=self._why(error)))
        finally:
            with self._lock:
                used, self._socket = self._socket, None
            if used is not None:
                used.close()
            self._ended.set()

    def _time_is_up(self) -> str:
        return f"timed out after {self._timeout_s:g} s"

    def _why(self, error: Exception) -> str:
        cause = _cause(error)
        if self._is_over or isinstance(cause, TimeoutError):
            return self._time_is_up()
        if isinstance(cause, http.client.RemoteDisconnected):
            return "the connection was closed without an answer"
        text = ""
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"its certificate is not accepted: {cause.verify_message}"
        elif isinstance(cause, ssl.SSLError):
            text = f"TLS failed: {str(cause.reason).replace('_', ' ').lower()}"
        elif isinstance(cause, OSError) and cause.filename is None:
            text = (cause.strerror or "").lower()
        return _guard.masked(text) or _OBJECT.sub("", _guard.describe(cause))


class Line:
    """The requests of one transport: one at a time, each in a thread of its own.

    A thread, because nothing else bounds a request: timeouts of sockets hold for each read alone,
    and the resolving of a name has none. It has the caller's context, and ends with its request.

    Attributes:
        turn: held while a request is under way, also by one that nobody waits for any more.
    """

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self._request: Request | None = None
        self._connection: Any = None

    def carry(
        self, send: Callable[[Request], Answer], timeout_s: float, grace_s: float = 0.0
    ) -> Answer:
        """Return the answer that `send` returns, or what there is of it when the time is up.

        Args:
            send: sends a request; it may raise.
            timeout_s: seconds for all of it.
            grace_s: seconds more in which it may end by itself.
        """
        if not timeout_s > 0:
            return Answer(fault="there was no time left for it")
        request = Request(min(timeout_s, _LONGEST_TIMEOUT_S))
        if not self.turn.acquire(timeout=request.left_s()):
            return Answer(fault="the request before it has not ended")
        self._request = request
        try:
            self._start(send, request)
        except BaseException:  # interrupted by the program, perhaps before there was a thread
            self._give_back()
            raise
        return request.wait(grace_s)

    def uses(self, connection: Any, connected: Any) -> None:
        """Learn which connection of urllib3, and which socket, the request under way runs over.

        Raises:
            TimeoutError: its time is up.
        """
        if self._connection is not connection:
            self.disconnect()
            self._connection = connection
        if self._request is not None:
            self._request.uses(connected)

    def disconnect(self) -> None:
        """Close the connection that is kept; urllib3 would only when it is collected."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _start(self, send: Callable[[Request], Answer], request: Request) -> None:
        def run() -> None:
            try:
                request.run(send)
            finally:
                self._give_back()

        target = contextvars.copy_context().run
        thread = threading.Thread(target=target, args=(run,), name="spanwise-request", daemon=True)
        is_started = False
        with contextlib.suppress(RuntimeError):  # at the exit no thread can be started any more
            thread.start()
            is_started = True
        if not is_started:
            run()

    def _give_back(self) -> None:
        with contextlib.suppress(RuntimeError):  # it was already
            self.turn.release()


def watch(manager: Any, line: Line) -> None:
    """Have the connections of a urllib3 manager tell which one of them is used."""

    def watched(pool: Any) -> Any:
        class Connection(pool.ConnectionCls):  # type: ignore[misc]
            sock: Any

            def _new_conn(self) -> Any:
                # Before there is TLS, or a tunnel through a proxy: those may take long, too.
                made = super()._new_conn()
                self._identity = _identity(made)
                try:
                    line.uses(self, made)
                except BaseException:
                    made.close()
                    raise
                return made

            def _tunnel(self) -> None:
                super()._tunnel()
                # To http.client it is open, too, if it was cut off in the middle of the answer.
                line.uses(self, self.sock)

            def close(self) -> None:
                self._let_go_of_another()
                super().close()

            def _let_go_of_another(self) -> None:
                # A program that closes all descriptors gives the number to something of its own.
                connected = self.sock  # another thread may be closing it
                if connected is not None and _identity(connected) != self._identity:
                    connected.detach()
                    self.sock = None

            def putrequest(self, *args: Any, **options: Any) -> None:
                self._let_go_of_another()
                if self.sock is not None:  # kept from the request before
                    line.uses(self, self.sock)
                super().putrequest(*args, **options)

        return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

    manager.pool_classes_by_scheme = {
        scheme: watched(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
    }


def _identity(connected: Any) -> tuple[int, int] | None:
    """Return what a socket is, whatever its number; None where it is closed."""
    try:
        status = os.fstat(connected.fileno())
    except OSError:
        return None
    return status.st_ino, status.st_dev


def _cause(error: BaseException) -> BaseException:
    """Return what is at the bottom of an error of requests, which wraps those of urllib3."""
    for _ in range(_MOST_CAUSES):
        wrapped = (getattr(error, "reason", None), *error.args, error.__cause__, error.__context__)
        below = next((one for one in wrapped if isinstance(one, BaseException)), None)
        # Only theirs: the context of another error may be one that urllib3 had dealt with.
        if below is None or not type(error).__module__.startswith(("requests.", "urllib3.")):
            break
        error = below
    return error
