"""Text of others as it can be shown in a terminal."""

from __future__ import annotations

import re

# Whole escape sequences go; of what is left, white space becomes a space and the rest nothing.
# The last group can turn the reading direction of all that follows.
_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)"
)
_SPACE = re.compile("[\t\n\x0b\x0c\r\x85\u2028\u2029]")
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def plain(text: str, length: int) -> str:
    """Return at most so many characters of the text on one line, with nothing but text in it."""
    # Cleaning a megabyte to show a line of it would be a waste.
    text = _SEQUENCE.sub("", text[: 20 * length])
    text = _CONTROL.sub("", _SPACE.sub(" ", text)).strip()
    return text if len(text) <= length else f"{text[: length - 1]}…"
