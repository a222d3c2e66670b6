"""Folders that users other than the one who runs the tests can look into."""

from __future__ import annotations

import tempfile
from pathlib import Path


def open_to_all(folder: Path) -> None:
    """Let every user into a folder below the temporary one, and into those above it."""
    top = Path(tempfile.gettempdir()).resolve()
    for each in (folder.resolve(), *folder.resolve().parents):
        if each == top or top not in each.parents:
            return
        each.chmod(0o755)
