"""`Brixo.init` happens once, whichever thread comes first; one that fails may be tried again."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

logger = logging.getLogger("brixo")

_lock = threading.RLock()
_arguments: tuple[object, ...] | None = None
_API_KEY = 2  # its place among them


@contextlib.contextmanager
def claim(arguments: tuple[object, ...]) -> Iterator[bool]:
    """Yield whether this is the first call; others wait for it, and warn if they differ."""
    global _arguments
    with _lock:
        if _arguments is not None:
            if _arguments != arguments:
                logger.warning(
                    "Brixo.init() was called again with other arguments; the first call holds"
                )
            yield False
            return
        yield True
        _arguments = arguments


def api_key() -> str | None:
    """Return the key that `init` was given, if it was given one."""
    key = _arguments[_API_KEY] if _arguments is not None else None
    return str(key) if key else None


def reset() -> None:
    """Forget that `init` was called; for tests."""
    global _arguments
    _arguments = None
