"""What the last lines say that a process wrote to its spool, for its own thread that sends them.

The lines need not be read again from the file, in which they are: whoever asks for a place where
none of these begins reads the file. The lines themselves are not kept: memory that is used anew
at once is quicker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

LONGEST: Final = 4096  # bytes of a line of which something is kept
_MOST_LINES: Final = 2048

# The number of its segment, where it begins there, where it ends, what it says.
Written = tuple[int, int, int, Any]


class RecentLines:
    """Lines of one process's segments: added by whoever writes, taken by the thread that sends.

    Attributes:
        add: takes a line that was written; where there are too many the oldest one goes.
    """

    def __init__(self) -> None:
        self._written: deque[Written] = deque(maxlen=_MOST_LINES)
        self._ahead: deque[Written] = deque()
        self.add: Callable[[Written], None] = self._written.append

    def behind(self, number: int, offset: int, most_lines: int, most_bytes: int) -> list[Written]:
        """Return the lines that stand one after another behind a place; none if none begins there.

        Args:
            number: of the segment.
            offset: in it; no place before will be asked for again.
            most_lines: how many.
            most_bytes: after which no further line is added.
        """
        ahead = self._ahead
        while ahead and ahead[0][:2] < (number, offset):
            ahead.popleft()
        try:
            while len(ahead) < most_lines:  # one at a time: others go on adding
                written = self._written.popleft()
                if written[:2] >= (number, offset):
                    ahead.append(written)
        except IndexError:
            pass
        lines: list[Written] = []
        end = offset + most_bytes
        for written in islice(ahead, most_lines):
            if written[0] != number or written[1] != offset or offset >= end:
                break
            lines.append(written)
            offset = written[2]
        return lines

    def forget(self) -> None:
        """Have what is there read from the file."""
        self._ahead.clear()
        self._written.clear()
