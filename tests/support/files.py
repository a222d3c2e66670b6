"""Read what was written to a folder of JSONL files, every line, failing on a torn one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Files:
    """The files of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def observations(self) -> list[dict[str, Any]]:
        """Return the observations in the order of their lines."""
        return self._lines("observations*.jsonl")

    def traces(self) -> list[dict[str, Any]]:
        """Return the traces in the order of their lines."""
        return self._lines("traces*.jsonl")

    def observation(self, name: str) -> dict[str, Any]:
        """Return the one observation of this name."""
        (found,) = [line for line in self.observations() if line["name"] == name]
        return found

    def text(self) -> str:
        """Return everything that is in the folder."""
        return "".join(path.read_text() for path in sorted(self.folder.rglob("*.jsonl")))

    def _lines(self, pattern: str) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        for path in sorted(self.folder.glob(pattern)):
            data = path.read_bytes()
            assert data.endswith(b"\n"), f"{path.name} does not end in a newline"
            lines += [json.loads(line) for line in data.splitlines()]
        return lines
