"""Leave records in a spool that another program reads, such as a collector: nothing is sent."""

from __future__ import annotations

from pathlib import Path

from spanwise import _settings
from spanwise.export.backlog import Backlog
from spanwise.export.otlp_json import LineEncoder
from spanwise.export.places import Places
from spanwise.export.record import Record
from spanwise.export.segments import sealed
from spanwise.export.spool import Spool


class UnsentSink:
    """Records on their way to files of OTLP-JSON that are another program's to read.

    Args:
        spool_dir: folder in which spools lie; None for the user's own.
        spool_max_bytes: of what lies there, whether it was read or not; the oldest goes first.
        dialects: vocabularies to add.
    """

    def __init__(
        self,
        spool_dir: Path | None = None,
        spool_max_bytes: int = _settings.DEFAULT_MAX_BYTES,
        dialects: tuple[str, ...] = (),
    ) -> None:
        self.made_of = (spool_dir, spool_max_bytes, dialects)
        self._line = LineEncoder(dialects)
        self._spool = Spool(Places(None, spool_dir), spool_max_bytes)
        self._backlog = Backlog("spool", "the spool", self._spool.write, self._spool.holds)

    def write(self, record: Record) -> None:
        """Spool one record, in the further vocabularies too."""
        self._backlog.append(sealed(self._line(record)))

    def wake(self) -> None:
        """Do nothing: what is written is there for its reader."""

    def flush(self, timeout_s: float) -> bool:
        """Return whether every record so far was written in that time."""
        return self._backlog.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Write what waits, and let the files go."""
        self._backlog.close(timeout_s)
        self._backlog.exclusively(self._spool.close)
