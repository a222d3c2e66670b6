"""Record the arguments of calls, one JSON line each, so that a call can be run again.

    {"_version": "1", "iteration": 0, "target": "module:Class.method", "kwargs": {...},
     "timestamp": "2026-01-31T12:00:00+00:00"}

A line is written when the call begins: one that ends the process is recorded too. Callables
become markers that a replay can stand in for, secrets become `***`, what has no JSON form
becomes `<repr:...>`.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from spanwise._encoding import Encoder
from spanwise._limits import Limits
from spanwise._masking import Masker
from spanwise._media import Keeper
from spanwise.export.backlog import Backlog
from spanwise.export.lines import LineFile

_CLOSE_TIMEOUT_S = 1.0
# A recording is there to be run again, so far more is kept than in a span.
RECORDING_LIMITS = Limits(bytes=4 << 20, string=1 << 20, items=20_000, nodes=200_000, depth=40)


class CallRecordings:
    """A file of recorded calls.

    Args:
        path: made at the first call.
        masker: says what is secret.
    """

    def __init__(self, path: Path, masker: Masker | None = None) -> None:
        self.path = path.absolute()
        self._encoder = Encoder(masker, RECORDING_LIMITS, represent=True)
        self._file = LineFile(self.path)
        file = self._file
        self._backlog = Backlog("recordings", str(self.path), file.append, file.holds)
        self._iterations: dict[str, itertools.count[int]] = {}

    def write(
        self, target: str, arguments: Mapping[str, Any], *, iteration: int | None = None
    ) -> None:
        """Write one call.

        Args:
            target: `module:qualified.name`.
            arguments: by parameter name.
            iteration: the call's number for this target, from which the next ones count on; by
                default the one after the last.
        """
        line = {
            "_version": "1",
            "iteration": self._number(target, iteration),
            # A function's name can be made from anything.
            "target": self._encoder.text(target),
            "kwargs": orjson.Fragment(self._encoder.dumps(dict(arguments))),
            "timestamp": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        }
        self._backlog.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def use(self, masker: Masker, keeper: Keeper | None) -> None:
        """Judge by this masker what is secret, and keep media here, from now on."""
        self._encoder = Encoder(masker, RECORDING_LIMITS, represent=True, keeper=keeper)

    def flush(self, timeout_s: float) -> bool:
        """Return whether every line so far is in the kernel's hands."""
        return self._backlog.flush(timeout_s)

    def close(self, timeout_s: float = _CLOSE_TIMEOUT_S) -> None:
        """Write what waits as far as the time allows, and let the file go."""
        self._backlog.close(timeout_s)
        self._file.close()

    def _number(self, target: str, iteration: int | None) -> int:
        # No lock: each of these steps is atomic, and a fork cannot leave them half done.
        if iteration is not None:
            self._iterations[target] = itertools.count(iteration + 1)
            return iteration
        return next(self._iterations.setdefault(target, itertools.count()))


# One for each file that calls were recorded into; kept, so that numbers go on where they were.
_opened: dict[Path, CallRecordings] = {}


def recordings_at(path: Path) -> CallRecordings:
    """Return the recordings of this file: one object per path, so that its calls count on."""
    key = path.absolute()
    found = _opened.get(key)
    if found is None:
        found = _opened[key] = CallRecordings(key)
    return found
