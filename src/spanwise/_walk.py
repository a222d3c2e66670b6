"""Walk over one value, deal out what there is room for, and cut what is too much.

Types are told apart by `type(value)`, and contents are read by the base types' own methods; what
becomes of a value of each type stands in `_value_kinds`. Secrets are masked on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from spanwise import _limits, _media
from spanwise import _raw_fields as raw
from spanwise._masking import Part
from spanwise._plain_values import FEW, LONGEST_KEY, RUN, SHORT, are_numbers, are_short_ascii
from spanwise._secret_patterns import MASK
from spanwise._value_kinds import (
    HANDLERS,
    MARGIN,
    NESTING,
    TRUNCATED,
    encode_int,
    handler_of,
    is_plain,
    stand_in,
)

if TYPE_CHECKING:
    from spanwise._encoding import Encoder
    from spanwise._limits import Limits

_LONGEST_ASSIGNED = 128  # characters of a name and what stands between it and its value
_SHORTEST_SHAPE = 16  # characters of the shortest credential that could be an identifier


class Walk:
    """One pass over one value, with what is left of the budget.

    Attributes:
        is_cut: something did not fit and says so.
        masked: how many values were replaced because they were secret, or held a secret.
    """

    __slots__ = (
        *("allowance", "bytes_left", "encoder", "is_cut", "limits"),
        *("masked", "masker", "nodes_left", "path", "plain", "scan"),
    )

    def __init__(self, encoder: Encoder, limits: Limits, *, scan: bool) -> None:
        self.encoder = encoder
        self.masker = encoder.masker
        self.limits = limits
        self.scan = scan
        self.bytes_left = limits.bytes
        self.nodes_left = limits.nodes
        self.path: set[int] = set()
        self.is_cut = False
        self.masked = 0
        self.allowance = _media.Allowance()
        self.plain = encoder.plain if limits is encoder.limits else None

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        self.nodes_left -= 1
        if kind is str:
            return self.text(value) if len(value) < _media.SMALLEST else self.long_text(value)
        if value is None or kind is bool:
            self.bytes_left -= 5
            return value
        if (kind is dict or kind is list or kind is tuple) and self.plain is not None:
            flat = self._flat(value) if 0 < depth < self.limits.depth else None
            if flat is not None:
                return flat
        handler = HANDLERS.get(kind) if type(kind) is type else None
        if handler is None:
            handler = handler_of(kind)
        if handler in NESTING:
            identity = id(value)
            if identity in self.path:
                return {TRUNCATED: "cycle"}
            if depth >= self.limits.depth:
                self.is_cut = True
                return {TRUNCATED: "depth", "type": raw.type_name(kind)}
            self.path.add(identity)
            try:
                return handler(self, value, depth + 1)
            finally:
                self.path.discard(identity)
        return handler(self, value, depth)

    def _flat(self, value: Any) -> Any:
        """Return a copy of a container of plain leaves for which there is room; else None."""
        if self.plain is None:
            return None
        length, nodes = len(value), self.nodes_left
        is_part = type(value) is dict and 0 < nodes < length
        if is_part:
            # Each entry costs one: there is room for no more of them than for these.
            entries = raw.first(dict.items, value, min(nodes, self.limits.items))
            if [key for key, _ in entries if type(key) is not str]:  # its hash would be asked for
                return None
            value = dict(entries)
        found = self.plain.flat(value, nodes, self.bytes_left, is_part=is_part)
        if found is None or (self.scan and self.masker.suspects(found[1].decode())):
            return None
        copy, data = found
        self.nodes_left -= len(copy)
        self.bytes_left -= len(data)
        if is_part:
            self.is_cut = True
            copy[TRUNCATED] = length - len(copy)
        return copy

    def long_text(self, value: str) -> Any:
        """Encode a text that is long enough to be, or to hold, an image or the like."""
        keeper = self.encoder.keeper
        marker = _media.describe_text(value, keeper, self.allowance)
        if marker is not None:
            self.bytes_left -= 160
            return marker
        if len(value) <= _media.LARGEST_SCANNED and _media.holds_data_url(value):
            value = _media.in_text(value, keeper, self.allowance)
        return self.text(value)

    def text(self, value: str) -> str:
        limit = max(0, min(self.limits.string, self.bytes_left))
        if len(value) > limit:
            value = self._cut(value, limit)
        elif self.scan:
            value = self._masked(value)
        if not value.isascii():
            value = _valid(value)
            self.bytes_left -= len(value.encode()) - len(value)
        self.bytes_left -= len(value) + 3
        return value

    def _masked(self, value: str) -> str:
        masked = self.masker.text(value)
        if masked is not value and masked != value:
            self.masked += 1
        return masked

    def _cut(self, value: str, limit: int) -> str:
        half = limit // 2
        head = value[: half + MARGIN]
        tail = value[max(0, len(value) - half - MARGIN) :]
        return self.excerpt(head, tail, len(value), half)

    def excerpt(self, head: str, tail: str, length: int, half: int) -> str:
        """Return the ends of a text, masked before they are cut to what is kept of them."""
        head_is_cut, tail_is_cut = len(head) < length, len(tail) < length
        self.is_cut = self.is_cut or head_is_cut or tail_is_cut
        head, tail = self._masked(_valid(head)), self._masked(_valid(tail))
        # Where masking used up the margin, the word at the inner edge may be a part of a secret
        # that can no longer be told by its shape.
        if head_is_cut and len(head) < half + MARGIN and not head.endswith(MASK):
            words = head.rsplit(None, 1)
            head = words[0] if len(words) == 2 else head[:-MARGIN]
        if tail_is_cut and len(tail) < half + MARGIN and not tail.startswith(MASK):
            # Nor can a value whose name was cut away, as in `ken": "x"`.
            words = tail[_LONGEST_ASSIGNED:].split(None, 1)
            tail = words[1] if len(words) == 2 else tail[MARGIN:]
        tail = tail[-half:] if half else ""
        return f"{head[:half]}…[{TRUNCATED}: {length} characters]…{tail}"

    def mapping(self, items: list[tuple[Any, Any]], length: int, depth: int) -> dict[str, Any]:
        """Encode pairs; small values first, so that a huge neighbour cannot crowd them out."""
        out: dict[str, Any] = {}
        large: list[tuple[str, Any]] = []
        entries_hidden: list[str] = []
        masker = self.masker
        hidden = masker.hidden_entries(items)
        for position, (key, item) in enumerate(items):
            if self.nodes_left <= 0 or self.bytes_left <= 0:
                break
            kind = type(item)
            text = key if type(key) is str else self._key_text(key)
            name = self._name(text, out)
            part = hidden.get(position) if hidden else None
            if part is None and text is not key and masker.hides(text, item):
                part = Part.WHOLE  # a key that is no text has one only now
            if part is not None and part is Part.WHOLE:
                out[name] = MASK
                self.masked += item != MASK if kind is str else 1
            elif is_plain(kind) and (kind is not str or len(item) <= SHORT):
                out[name] = self.encode(item, depth)
            else:
                out[name] = None
                large.append((name, item))
            if part is not None and part is Part.ENTRIES:
                entries_hidden.append(name)
        for position, (name, item) in enumerate(large):
            if self.nodes_left <= 0 or self.bytes_left <= 0:
                del out[name]
                continue
            encoded = self._share(item, depth, len(large) - position)
            if type(encoded) is str and encoded.startswith("<callable:"):
                # A parameter's name says more of a callback than the function's own.
                encoded = stand_in(name) or stand_in(encoded[10:-1]) or encoded
            out[name] = encoded
        for name in entries_hidden:
            if type(out.get(name)) is dict:
                out[name] = Part.ENTRIES.hidden(out[name])
                self.masked += len(out[name])
        if len(out) < length:
            self.is_cut = True
            out[TRUNCATED] = length - len(out)
        return out

    def sequence(self, head: list[Any], tail: list[Any], length: int, depth: int) -> list[Any]:
        """Encode the items from both ends until the budget is used up."""
        if len(head) <= RUN or not are_numbers(head):
            head = self._without_hidden(head, is_whole=length == len(head))
        if tail:
            tail = self._without_hidden(tail, is_whole=False)
        length = max(length, len(head) + len(tail))  # another thread may have added to it
        few = length <= FEW
        held_bytes = 0 if few else self.bytes_left // 2
        held_nodes = 0 if few else self.nodes_left // 2
        self.bytes_left -= held_bytes
        self.nodes_left -= held_nodes
        taken = self._run(head)
        front = head[:taken]
        for item in () if taken else head:
            if front and (self.nodes_left <= 0 or self.bytes_left <= 0):
                break
            front.append(
                self._share(item, depth, length - len(front)) if few else self.encode(item, depth)
            )
        self.bytes_left += held_bytes
        self.nodes_left += held_nodes
        rest = head[len(front) :] + tail
        taken = self._run(rest)
        back = rest[: -taken - 1 : -1]
        for item in () if taken else reversed(rest):
            if self.nodes_left <= 0 or self.bytes_left <= 0:
                break
            back.append(self.encode(item, depth))
        omitted = length - len(front) - len(back)
        if omitted > 0:
            self.is_cut = True
            front.append({TRUNCATED: omitted, "length": length})
        front.extend(reversed(back))
        return front

    def _run(self, items: list[Any]) -> int:
        """Return how many items of one plain kind are kept as they are, and take what they cost."""
        count = len(items)
        if count <= RUN or self.limits.string < SHORT:
            return 0
        taken = max(0, min(count, self.nodes_left))
        if are_numbers(items):
            cost = 8 * taken
        elif not self.scan and are_short_ascii(items):
            cost = sum(map(len, items[:taken])) + 3 * taken
        else:
            return 0
        if cost >= self.bytes_left:
            return 0
        self.nodes_left -= taken
        self.bytes_left -= cost
        return taken

    def _without_hidden(self, items: list[Any], *, is_whole: bool) -> list[Any]:
        hidden = self.masker.hidden_items(items, is_whole=is_whole)
        if not hidden:
            return items
        self.masked += len(hidden)
        return [hidden.get(i, item) for i, item in enumerate(items)]

    def _share(self, value: Any, depth: int, share: int) -> Any:
        """Encode a value within one share of what is left."""
        held_bytes = self.bytes_left - self.bytes_left // share
        held_nodes = self.nodes_left - self.nodes_left // share
        self.bytes_left -= held_bytes
        self.nodes_left -= held_nodes
        encoded = self.encode(value, depth)
        self.bytes_left += held_bytes
        self.nodes_left += held_nodes
        return encoded

    def _key_text(self, key: Any) -> str:
        kind = type(key)
        if issubclass(kind, str):
            return str.__str__(key)
        if kind is int:
            return str(encode_int(self, key, 0))
        if key is None or kind is bool or kind is float:
            return repr(key)
        if self.limits is _limits.OF_A_KEY:  # keys within keys may lead back to where they began
            return f"<{raw.type_name(kind)} object>"
        # Only here, not in the hot case: a key of another kind is encoded like a value.
        walk = Walk(self.encoder, _limits.OF_A_KEY, scan=True)
        encoded = walk.encode(key, 0)
        self.nodes_left -= _limits.OF_A_KEY.nodes - walk.nodes_left
        return encoded if isinstance(encoded, str) else orjson.dumps(encoded).decode()

    def _name(self, key: str, taken: dict[str, Any]) -> str:
        """Return the key as it is written: valid, without secrets, unlike those before it."""
        if len(key) > LONGEST_KEY:
            key = self._cut(key, LONGEST_KEY)
        elif self.scan and not (len(key) < _SHORTEST_SHAPE and key.isidentifier()):
            key = self._masked(key)
        if not key.isascii():
            key = _valid(key)
        self.bytes_left -= len(key) + 4
        name, number = key, len(taken)
        while name in taken:
            name, number = f"{key} #{number}", number + 1
        return name


def _valid(value: str) -> str:
    """Return the text with lone surrogates escaped, which UTF-8 cannot hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "backslashreplace").decode()
    return value
