"""A span processor that writes JSONL files, on any provider."""

from __future__ import annotations

import os
from pathlib import Path

from spanwise import _settings
from spanwise._masking import Masker
from spanwise.export.jsonl_files import JsonlFiles
from spanwise.processors.delegating import DelegatingSpanProcessor, Wiring


class JsonlSpanProcessor(DelegatingSpanProcessor):
    """Write every span, masked, to `traces_YYYYMMDD.jsonl` and `observations_YYYYMMDD.jsonl`.

    Args:
        folder: made at the first span.
        max_bytes: of the files together; the oldest go first.
        masker: says what is secret.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] = "traces",
        *,
        max_bytes: int = _settings.DEFAULT_MAX_BYTES,
        masker: Masker | None = None,
    ) -> None:
        files = JsonlFiles(Path(folder), max_bytes)
        super().__init__(Wiring(sinks=(files,), masker=masker or Masker()))
