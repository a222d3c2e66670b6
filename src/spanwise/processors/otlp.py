"""A span processor that sends spans to one OTLP destination, on any provider."""

from __future__ import annotations

from spanwise._destinations import Destination
from spanwise._masking import Masker
from spanwise.export.otlp import OtlpSink
from spanwise.processors.delegating import DelegatingSpanProcessor, Wiring


class OtlpSpanProcessor(DelegatingSpanProcessor):
    """Send every span, masked, to a destination.

    Args:
        destination: where to, in which protocol and vocabularies.
        masker: says what is secret.
    """

    def __init__(self, destination: Destination, *, masker: Masker | None = None) -> None:
        super().__init__(Wiring(sinks=(OtlpSink(destination),), masker=masker or Masker()))
