"""What lines say that a process wrote to its spool, until its own thread takes them to be sent.

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
_LONGEST_OTHER: Final = 2048  # of one that is not ASCII: each of its characters may take four
_MOST_LINES: Final = 1024

# The number of its segment, where it begins there, where it ends, what it says.
Written = tuple[int, int, int, Any]


class RecentLines:
    """Lines of one process's segments: added by whoever writes, taken by the thread that sends.

    Args:
        line_of: makes a line, without its newline, anew from what it says.
    """

    def __init__(self, line_of: Callable[[Any], bytes]) -> None:
        self.line_of = line_of
        self._written: deque[Written] = deque()
        self._ahead: deque[Written] = deque()  # the sending thread's own

    def add(self, number: int, end: int, line: bytes, parts: Any) -> None:
        """Take a line that was written, unless it is long, or too many have not been taken yet.

        Args:
            number: of its segment.
            end: where it ends there.
            line: with its newline.
            parts: what it says.
        """
        if len(self._written) >= _MOST_LINES:  # nobody sends just now; these come first then
            return
        length = len(line)
        if length <= _LONGEST_OTHER or (length <= LONGEST and line.isascii()):
            self._written.append((number, end - length, end, parts))

    def behind(self, number: int, offset: int, most_lines: int, most_bytes: int) -> list[Written]:
        """Return the lines that stand one after another behind a place; none if none begins there.

        Args:
            number: of the segment.
            offset: in it; no place before will be asked for again.
            most_lines: how many.
            most_bytes: after which no further line is added.
        """
        ahead = self._ahead
        self.drop_before(number, offset)
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

    def drop_before(self, number: int, offset: int) -> None:
        """Let go of lines that are settled."""
        ahead = self._ahead
        while ahead and ahead[0][:2] < (number, offset):
            ahead.popleft()
