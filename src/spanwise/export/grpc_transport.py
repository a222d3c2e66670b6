"""Export to a destination over gRPC, also before, during and after a fork."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from spanwise._destinations import Destination
from spanwise._version import __version__
from spanwise.export.deadlines import Line, Request
from spanwise.export.policy import LONGEST_BODY, Answer

_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_STATUS_DETAILS = "grpc-status-details-bin"
# gRPC ends a call in time by itself, with a better reason than ours.
_GRACE_S = 0.5
# A fork waits for a call under way, which mostly takes less; and for the end of one that it cut short.
_LONGEST_WAIT_S = 0.1
_LONGEST_CUT_S = 0.5
# After these a channel would go on with a dead connection, or wait minutes before the next one.
_DISCONNECTING = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"})


class GrpcTransport:
    """Exports to a destination over gRPC, from one thread at a time.

    A channel is made at the first request in a process. gRPC survives a fork only if no call is
    under way just then, so that a fork waits for ours, and after a moment cuts it short.

    Args:
        destination: where to, with what headers, and how long a request may take.
    """

    def __init__(self, destination: Destination) -> None:
        # Imported here: a thread must not import while another one forks. The private one is what
        # gRPC itself imports with its first channel.
        import grpc
        import grpc._channel
        import grpc.experimental
        from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

        self._grpc: Any = grpc
        self._status: Any = status_pb2.Status
        self._retry_info: Any = error_details_pb2.RetryInfo
        self._destination = destination
        self._channel: Any = None
        self._is_held = False
        self.begin()
        _transports.add(self)

    def post(self, body: bytes, timeout_s: float | None = None) -> Answer:
        """Export an encoded request and return the answer, or why there is none.

        Args:
            body: an ExportTraceServiceRequest, encoded.
            timeout_s: seconds for all of it; by default the destination's.
        """
        if self._pid != os.getpid():
            self.begin()
        seconds = self._destination.timeout_s if timeout_s is None else timeout_s
        return self._line.carry(partial(self._send, body), seconds, _GRACE_S)

    def close(self) -> None:
        """Close the channel, cutting a call short; another request would make another."""
        if self._pid == os.getpid() and self._channel is not None and self._take_turn():
            self._disconnect()
            self._line.turn.release()

    def begin(self) -> None:
        """Forget the channel of the parent; called in a forked child."""
        self._pid = os.getpid()
        self._line = Line()
        if self._channel is not None:
            # Neither closed nor collected: both would call gRPC in a state that is not ours.
            _kept.append(self._channel)
            self._channel = None

    def hold(self) -> None:
        """Let no call be under way until `let_go`, if that can be had; called before a fork."""
        self._is_held = self._take_turn()

    def let_go(self) -> None:
        """Let calls be made again; called in the parent after a fork."""
        if self._is_held:
            self._is_held = False
            self._line.turn.release()

    def _take_turn(self) -> bool:
        """Return whether no call is under way, having waited and then cut it short."""
        if self._line.turn.acquire(timeout=_LONGEST_WAIT_S):
            return True
        channel = self._channel
        if channel is None:
            return False
        # In a thread: where gRPC is stuck, this is too.
        closing = threading.Thread(target=channel.close, daemon=True)
        with suppress(RuntimeError):  # at the exit no thread can be started any more
            closing.start()
            closing.join(_LONGEST_CUT_S)
        if not self._line.turn.acquire(timeout=_LONGEST_CUT_S):
            return False
        self._channel = None
        return True

    def _send(self, body: bytes, request: Request) -> Answer:
        if self._channel is None:
            self._channel = self._connected()
        export = self._channel.unary_unary(_EXPORT)
        try:
            content, _ = export.with_call(
                body, timeout=request.left_s(), metadata=_metadata(self._destination)
            )
        except self._grpc.RpcError as error:
            code = error.code().name
            if code in _DISCONNECTING:
                self._disconnect()
            details = (error.details() or "").encode("utf-8", "replace")
            return Answer(
                grpc=code,
                retry_after=self._retry_after(error.trailing_metadata()),
                body=details[:LONGEST_BODY],
            )
        except Exception:
            self._disconnect()
            raise
        return Answer(grpc="OK", body=content[:LONGEST_BODY])

    def _connected(self) -> Any:
        destination, grpc = self._destination, self._grpc
        if not _kept:
            # A channel that is never used: with its last one gRPC begins to take itself down, and a
            # child that is forked just then would hang in it.
            _kept.append(grpc.insecure_channel("127.0.0.1:1"))
        target = urlsplit(destination.endpoint).netloc
        options = {
            "compression": {
                "none": grpc.Compression.NoCompression,
                "gzip": grpc.Compression.Gzip,
                "deflate": grpc.Compression.Deflate,
            }[destination.compression],
            "options": [
                ("grpc.primary_user_agent", f"spanwise/{__version__}"),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
                # Else a forked child could be given the connection of its parent.
                ("grpc.use_local_subchannel_pool", 1),
            ],
        }
        if destination.endpoint.startswith("http://"):
            return grpc.insecure_channel(target, **options)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_content(destination.certificate),
            private_key=_content(destination.client_key),
            certificate_chain=_content(destination.client_certificate),
        )
        return grpc.secure_channel(target, credentials, **options)

    def _disconnect(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _retry_after(self, metadata: Any) -> str:
        """Return the seconds of a RetryInfo among the details of a status, or nothing."""
        with suppress(Exception):  # what is malformed asks for nothing
            for detail in self._status.FromString(dict(metadata)[_STATUS_DETAILS]).details:
                info = self._retry_info()
                if detail.Unpack(info):
                    delay = info.retry_delay
                    return f"{delay.seconds + delay.nanos / 1e9:.9f}"
        return ""


_transports: weakref.WeakSet[GrpcTransport] = weakref.WeakSet()
_kept: list[Any] = []


def _for_each(step: Callable[[GrpcTransport], None]) -> Callable[[], None]:
    def taken() -> None:
        for transport in tuple(_transports):
            step(transport)

    return taken


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_for_each(GrpcTransport.hold),
        after_in_parent=_for_each(GrpcTransport.let_go),
        after_in_child=_for_each(GrpcTransport.begin),
    )


def _metadata(destination: Destination) -> list[tuple[str, str | bytes]]:
    pairs = ((name.lower(), value.strip()) for name, value in dict(destination.headers).items())
    return [
        (name, value.encode("latin-1") if name.endswith("-bin") else value) for name, value in pairs
    ]


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as stream:
        return stream.read()
