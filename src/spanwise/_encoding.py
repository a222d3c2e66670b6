"""Turn any value into a JSON text of bounded size, running none of the value's code.

Types are told apart by `type(value)`, contents are read by the base types' own methods, fields
of records (dataclasses, pydantic, attrs, msgspec, named tuples) are read raw. Secrets are
masked on the way. The work is bounded by what is kept, not by what is there: a megabyte costs
what the budget costs.

What was cut says so: `"...[$truncated: 90000 characters]..."` inside a string,
`{"$truncated": 900, "length": 1000}` among the items of a sequence (head and tail are kept),
`"$truncated": 12` among the keys of a mapping.
"""

from __future__ import annotations

import orjson

from spanwise import _media, _state
from spanwise._limits import Limits
from spanwise._masking import Masker
from spanwise._plain_values import PlainValues
from spanwise._small_values import SmallValues
from spanwise._value_kinds import TRUNCATED
from spanwise._walk import Walk


class Encoder:
    """Encode values within limits and without secrets; holds no state between calls.

    Args:
        masker: says what is secret.
        limits: how much is kept.
        represent: call `repr` (guarded, cut to 100 characters) of what has no JSON form, as
            recordings of arguments promise; otherwise its type is named.
        keeper: where images, audio and the like are kept, of which the text only says what they
            are; None keeps them nowhere.
    """

    def __init__(
        self,
        masker: Masker | None = None,
        limits: Limits | None = None,
        *,
        represent: bool = False,
        keeper: _media.Keeper | None = None,
    ) -> None:
        self.masker = masker or Masker()
        self.limits = limits or Limits()
        self.represent = represent
        self.keeper = keeper
        self.plain: PlainValues | None = PlainValues(self.masker, self.limits)
        self.small = SmallValues(self.plain, self.masker.hints)

    def dumps(self, value: object) -> str:
        """Return the value as one JSON text that keeps every limit."""
        plain = self.plain
        if plain is not None:
            text = self.small.text_of(value)
            if text is not None:
                return text
            text = plain.text_of(value)
        else:
            text = None
        if text is None:
            return self._walked(value, scan=False)
        masker = self.masker
        # Most texts are told to be harmless by the first look, and are in ASCII.
        if (masker.hints.search(text) or not text.isascii()) and masker.suspects(text):
            return self._walked(value, scan=True)
        return text

    def _walked(self, value: object, *, scan: bool) -> str:
        """Return the JSON text that walks over the value make.

        Args:
            value: any.
            scan: it is known that each string must be looked through.
        """
        limits = self.limits
        data = b""
        for _ in range(8):
            walk = Walk(self, limits, scan=scan)
            data = orjson.dumps(walk.encode(value, 0))
            text = data.decode()
            # Almost no text holds anything like a secret. One look at the whole is cheaper than
            # one at each string; only where it finds something is each string read.
            if not scan and self.masker.suspects(text):
                walk = Walk(self, limits, scan=True)
                data = orjson.dumps(walk.encode(value, 0))
                text = data.decode()
            characters = self.limits.characters or len(text)
            excess = max(len(data) / self.limits.bytes, len(text) / characters)
            if excess <= 1:
                if walk.is_cut:
                    _state.count("truncated")
                if walk.masked:
                    _state.count("masked", walk.masked)
                return text
            limits = limits.scaled(0.9 / excess, len(data))
            scan = False
        _state.count("truncated")
        return self._smallest(len(data))

    def text(self, value: str) -> str:
        """Return the text cut to one string's limit, masked, and valid in UTF-8."""
        return Walk(self, self.limits, scan=True).text(value)

    def _smallest(self, length: int) -> str:
        longest = min(self.limits.bytes, self.limits.characters or self.limits.bytes)
        for text in (f'{{"{TRUNCATED}":{length}}}', f'"{TRUNCATED}"', '""'):
            if len(text) <= longest:
                return text
        return "0"
