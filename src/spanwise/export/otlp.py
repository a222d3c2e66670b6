"""Send records to one OTLP destination, by OpenTelemetry's own exporters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from spanwise import _settings, dialects
from spanwise._destinations import Destination
from spanwise._environment import Environment
from spanwise.export.batches import BatchedSink, CredentialsRefusedError
from spanwise.export.record import Record

_UNAUTHORISED = frozenset({401, 403})
_ACCEPTED = 200


class OtlpSink(BatchedSink):
    """Records on their way to a destination.

    Args:
        destination: where to.
    """

    def __init__(self, destination: Destination) -> None:
        super().__init__("otlp", destination.endpoint)
        self.destination = destination
        self._dialects = tuple(dialects.load(name) for name in destination.dialects)

    def exporter(self) -> SpanExporter:
        """Make the exporter of the destination's protocol."""
        return _exporter(self.destination)

    def write(self, record: Record) -> None:
        """Queue one record for sending, in the vocabularies of the destination too."""
        for translate in self._dialects:
            record = record.translated(*translate(record))
        super().write(record)


def _exporter(destination: Destination) -> SpanExporter:
    options: dict[str, Any] = {
        "endpoint": destination.endpoint,
        "timeout": destination.timeout_s,
    }
    if destination.protocol == "grpc":
        return _grpc_exporter(destination, options)
    # Imported here: the exporters are a large part of what could be imported.
    import requests
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    headers = dict(destination.headers)
    environment = Environment(os.environ, {})
    others = _settings.headers(environment.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS") or "")
    others += _settings.headers(environment.get("OTEL_EXPORTER_OTLP_HEADERS") or "")
    ours = {name.lower() for name in headers}
    not_ours = [name for name, _ in others if name.lower() not in ours]

    class Session(requests.Session):
        """Leaves out the headers that the exporter takes from the environment by itself.

        They are credentials for the address that the environment names, and no other's. Where
        ours are refused, the exporter is told nothing of it: it would log it at every batch.
        """

        refusal: int | None = None

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            for name in not_ours:
                request.headers.pop(name, None)
            response = super().send(request, **options)
            self.refusal = response.status_code if response.status_code in _UNAUTHORISED else None
            if self.refusal is not None:
                response.status_code = _ACCEPTED
            return response

    class Exporter(OTLPSpanExporter):
        """Raises where the credentials were refused."""

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            session.refusal = None
            result = super().export(spans)
            if session.refusal is not None:
                advice = f"check your {destination.credential or 'headers'}"
                raise CredentialsRefusedError(session.refusal, advice)
            return result

    session = Session()
    return Exporter(
        session=session,
        headers=headers,
        compression=Compression(destination.compression),
        certificate_file=destination.certificate,
        client_key_file=destination.client_key,
        client_certificate_file=destination.client_certificate,
        **options,
    )


def _grpc_exporter(destination: Destination, options: dict[str, Any]) -> SpanExporter:
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

    insecure = destination.endpoint.startswith("http://")
    credentials = None
    if not insecure:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_content(destination.certificate),
            private_key=_content(destination.client_key),
            certificate_chain=_content(destination.client_certificate),
        )
    compression = {
        "none": grpc.Compression.NoCompression,
        "gzip": grpc.Compression.Gzip,
        "deflate": grpc.Compression.Deflate,
    }[destination.compression]
    return OTLPSpanExporter(
        insecure=insecure,
        credentials=credentials,
        # Never empty: the exporter would take those of the environment, which are another's.
        headers=[
            ("x-otlp-client", "spanwise"),
            *((name.lower(), value) for name, value in dict(destination.headers).items()),
        ],
        compression=compression,
        **options,
    )


def _content(path: str | None) -> bytes | None:
    if path is None:
        return None
    with open(path, "rb") as stream:
        return stream.read()
