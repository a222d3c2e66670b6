"""A span processor that sends spans to one OTLP destination, on any provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spanwise import _destinations, _settings
from spanwise._destinations import Destination
from spanwise._masking import Masker
from spanwise.export.otlp import OtlpSink
from spanwise.processors.delegating import DelegatingSpanProcessor, Wiring


class OtlpSpanProcessor(DelegatingSpanProcessor):
    """Send every span, masked, to a destination, by way of a spool on the disk.

    Args:
        destination: where to, in which protocol and vocabularies; an address or a mapping of
            the options of `Destination` is taken, too.
        masker: says what is secret.
        spool_dir: folder in which spools lie; by default in the user's state folder.
        spool_max_bytes: of what waits for the destination; the oldest goes first.

    Raises:
        InvalidSettingError: the destination cannot be used.
    """

    def __init__(
        self,
        destination: Destination | str | Mapping[str, Any],
        *,
        masker: Masker | None = None,
        spool_dir: str | Path | None = None,
        spool_max_bytes: int = _settings.DEFAULT_MAX_BYTES,
    ) -> None:
        sink = OtlpSink(
            _destinations.named("destination", destination),
            Path(spool_dir) if spool_dir is not None else None,
            spool_max_bytes,
        )
        super().__init__(Wiring(sinks=(sink,), masker=masker or Masker()))
