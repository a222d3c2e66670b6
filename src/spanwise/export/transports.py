"""Send one request to a destination and return what came back: never raising, never for too long."""

from __future__ import annotations

import gzip
import os
import time
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from spanwise import _guard
from spanwise._destinations import Destination
from spanwise._version import __version__
from spanwise.export.deadlines import Line, Request, watch
from spanwise.export.grpc_transport import GrpcTransport
from spanwise.export.policy import LONGEST_BODY, Answer

if TYPE_CHECKING:
    import requests

_USER_AGENT = f"spanwise/{__version__}"
# Servers close connections that idle from about five seconds on; what is sent just then is lost.
_LONGEST_IDLE_S = 3.0
# Measured on batches of spans: the next levels take half as long again for a twentieth less.
_COMPRESSION_LEVEL = 4


class HttpTransport:
    """Posts to a destination over HTTP, from one thread at a time.

    Redirects are not followed and cookies not kept; proxies come from the environment. A
    connection is kept for the next request; a forked child makes its own.

    Args:
        destination: where to, with what headers, and how long a request may take.
        content_type: of what is posted.
    """

    def __init__(
        self, destination: Destination, content_type: str = "application/x-protobuf"
    ) -> None:
        self._destination = destination
        self._content_type = content_type
        self._begin()
        _transports.add(self)

    def post(
        self,
        body: bytes,
        timeout_s: float | None = None,
        *,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Post a body and return the answer, or why there is none.

        Args:
            body: not compressed; it is here, if the destination wants that.
            timeout_s: seconds for all of it; by default the destination's.
            url: where to instead.
            headers: sent too; they win over those of the destination.
        """
        if self._pid != os.getpid():
            self.leave_behind()
            self._begin()
        send = partial(self._send, body, url or self._destination.endpoint, headers or {})
        return self._line.carry(
            send, self._destination.timeout_s if timeout_s is None else timeout_s
        )

    def close(self) -> None:
        """Close the connection that is kept, unless it is in use; a request would make another."""
        if self._pid == os.getpid() and self._line.turn.acquire(blocking=False):
            self._line.disconnect()
            # Now, and not when the interpreter takes its modules apart.
            self._session.close()
            self._line.turn.release()

    def leave_behind(self) -> None:
        """Keep what the parent of this forked child made: it is neither used nor ever destroyed.

        A socket that is collected closes its number, which may be a file of the program's by then:
        daemons close all that they inherited.
        """
        _left_behind.append((self._line, self._session))
        self._pid = 0

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._line: Line = Line()
        self._session: requests.Session = _session(self._line)
        self._last_used_s = 0.0

    def _send(self, body: bytes, url: str, headers: Mapping[str, str], request: Request) -> Answer:
        if time.monotonic() - self._last_used_s > _LONGEST_IDLE_S:
            self._line.disconnect()
        destination = self._destination
        certificate, key = destination.client_certificate, destination.client_key
        with self._session.post(
            url,
            data=_compressed(body, destination.compression),
            headers=self._headers(headers),
            timeout=request.left_s(),
            # Not as the session's: the environment would win over that.
            verify=destination.certificate or True,
            cert=(certificate, key) if certificate and key else certificate,
            allow_redirects=False,
            stream=True,
        ) as response:
            answer = Answer(
                status=response.status_code,
                retry_after=response.headers.get("Retry-After", ""),
                location=response.headers.get("Location", ""),
                content_type=response.headers.get("Content-Type", ""),
            )
            # The server has decided; whether all of its answer comes changes nothing.
            request.came(replace(answer, fault="its answer did not come to an end"))
            content = bytearray()
            for piece in response.iter_content(LONGEST_BODY):
                content += piece
                if len(content) >= LONGEST_BODY:
                    break
        self._last_used_s = time.monotonic()
        return replace(answer, body=bytes(content[:LONGEST_BODY]))

    def _headers(self, added: Mapping[str, str]) -> dict[str, str]:
        headers = {
            "User-Agent": _USER_AGENT,
            "Accept-Encoding": "identity",  # answers are small
            "Content-Type": self._content_type,
        }
        compression = self._destination.compression
        described = {} if compression == "none" else {"Content-Encoding": compression}
        names = {name.lower(): name for name in headers}
        given = dict(self._destination.headers)
        for name, value in (*given.items(), *added.items(), *described.items()):
            headers.pop(names.get(name.lower(), name), None)
            names[name.lower()] = name
            headers[name] = value.strip()
        return headers


_transports: weakref.WeakSet[HttpTransport] = weakref.WeakSet()
_left_behind: list[Any] = []


def _leave_all_behind() -> None:
    for transport in tuple(_transports):
        transport.leave_behind()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_all_behind)


def transport_for(destination: Destination) -> HttpTransport | GrpcTransport:
    """Return the transport of a destination's protocol."""
    _guard.be_ready()  # requests are made by threads beside which another one may fork
    return (GrpcTransport if destination.protocol == "grpc" else HttpTransport)(destination)


def _compressed(body: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.compress(body, _COMPRESSION_LEVEL, mtime=0)
    if compression == "deflate":
        return zlib.compress(body, _COMPRESSION_LEVEL)
    return body


def _session(line: Line) -> requests.Session:
    # Imported when the transport is made: a thread must not import while another one forks.
    from http.cookiejar import DefaultCookiePolicy

    import requests
    from requests.adapters import HTTPAdapter
    from requests.auth import HTTPBasicAuth
    from requests.utils import get_auth_from_url

    class Adapter(HTTPAdapter):
        """Keeps one connection, and has every socket watched."""

        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options)
            watch(self.poolmanager, line)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            is_new = proxy not in self.proxy_manager
            manager = super().proxy_manager_for(proxy, **options)
            if is_new:
                watch(manager, line)
            return manager

    def credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Take those of the address; without this, a .netrc file would replace our header."""
        name, password = get_auth_from_url(request.url or "")
        if name and "Authorization" not in request.headers:
            HTTPBasicAuth(name, password)(request)
        return request

    session = requests.Session()
    session.headers.clear()
    session.auth = credentials
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter(pool_connections=1, pool_maxsize=1))
    return session
