"""A span processor that records the arguments of decorated calls, on any provider."""

from __future__ import annotations

import os
from pathlib import Path

from spanwise._masking import Masker
from spanwise.export.call_recordings import CallRecordings
from spanwise.processors.delegating import DelegatingSpanProcessor, Wiring


class RecordingSpanProcessor(DelegatingSpanProcessor):
    """Record every decorated agent, tool and interaction call, one line each, as it begins.

    Calls of a trace that is sampled out have no span and are not recorded.

    Args:
        path: the file of recordings.
        masker: says what is secret.
    """

    def __init__(self, path: str | os.PathLike[str], *, masker: Masker | None = None) -> None:
        masker = masker or Masker()
        super().__init__(Wiring(masker=masker, recordings=CallRecordings(Path(path), masker)))
