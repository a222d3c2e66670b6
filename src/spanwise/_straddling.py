"""Mask the secrets that are split over the chunks of a stream.

A chunk by itself was masked when it was captured. Here the texts that lie at the same place in
successive chunks (`choices[0].delta.content`) are read as one: a secret of which each chunk
holds a part is seen in it, and taken out of the chunks that hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from spanwise import _state
from spanwise._lazy_patterns import pattern
from spanwise._masking import Masker
from spanwise._secret_patterns import MASK
from spanwise._value_kinds import TRUNCATED

_BLANK = pattern(r"\s")


@dataclass(slots=True)
class _Leaf:
    """A text, and where it lies."""

    holder: Any
    key: Any
    text: str
    chunk: int
    path: tuple[Any, ...]
    name: str | None


def mask_chunks(text: str, masker: Masker) -> str:
    """Return a JSON list of chunks, each masked, without the secrets of which each has a part."""
    chunks = orjson.loads(text)
    gap = next((i for i, chunk in enumerate(chunks) if _is_gap(chunk)), None)
    mask_across(chunks, gap, masker)
    return orjson.dumps(chunks).decode()


def mask_across(chunks: list[Any], gap: int | None, masker: Masker) -> None:
    """Mask, in place, what can be told to be secret only across chunks.

    Args:
        chunks: JSON-like values, each masked.
        gap: how many of them come before those that were left out, None where none was.
        masker: says what is secret.
    """
    leaves: list[_Leaf] = []
    for number, chunk in enumerate(chunks):
        if gap is None or number != gap or not _is_gap(chunk):
            _collect(chunks, number, chunk, (), number, leaves)
    # By where they lie first, so that streams which are told apart by an index are read apart;
    # then by what they are called, since a stream may change its form on the way.
    ways: tuple[Callable[[_Leaf], Any], ...] = (lambda leaf: leaf.path, lambda leaf: leaf.name)
    for name_of in ways:
        groups: dict[Any, list[_Leaf]] = {}
        for leaf in leaves:
            groups.setdefault(name_of(leaf), []).append(leaf)
        for group in groups.values():
            _mask_group(group, gap, masker)


def _is_gap(chunk: Any) -> bool:
    return type(chunk) is dict and type(chunk.get(TRUNCATED)) is int


def _mask_group(leaves: list[_Leaf], gap: int | None, masker: Masker) -> None:
    if len({leaf.text for leaf in leaves}) == 1:
        return  # an id or a label, the same in every chunk
    before = [leaf for leaf in leaves if gap is None or leaf.chunk < gap]
    after = [leaf for leaf in leaves if gap is not None and leaf.chunk >= gap]
    _mask(before, masker)
    _mask(after, masker)
    if before and after and any(_BLANK.search(leaf.text) for leaf in leaves):
        # The word next to the gap may be a part of a secret, not to be told by its shape. What
        # has no blank in so many chunks is no text, but ids or labels.
        text = "".join(leaf.text for leaf in before)
        _replace(before, len(text) - len(_last_word(text)), len(text), "")
        text = "".join(leaf.text for leaf in after)
        _replace(after, 0, len(_first_word(text)), "")


def _collect(
    holder: Any,
    key: Any,
    value: Any,
    path: tuple[Any, ...],
    chunk: int,
    leaves: list[_Leaf],
) -> None:
    if type(value) is str:
        name = next((part for part in reversed(path) if type(part) is str), None)
        leaves.append(_Leaf(holder, key, value, chunk, path, name))
    elif type(value) is dict:
        # Providers tell the parts of an answer apart by an index beside them.
        at = path if type(value.get("index")) is not int else (*path, ("index", value["index"]))
        for name, item in value.items():
            _collect(value, name, item, (*at, name), chunk, leaves)
    elif type(value) is list:
        for position, item in enumerate(value):
            _collect(value, position, item, (*path, position), chunk, leaves)


def _mask(leaves: list[_Leaf], masker: Masker) -> None:
    text = "".join(leaf.text for leaf in leaves)
    masked = masker.text(text)
    if masked != text:
        changes = _changes(text, masked)
        _state.count("masked", len(changes))
        # From the end, so that the positions before stay what they are.
        for begin, end, replacement in reversed(changes):
            _replace(leaves, begin, end, replacement)


def _changes(text: str, masked: str) -> list[tuple[int, int, str]]:
    """Return what of a text was replaced by masks: from where, to where, by what."""
    kept = masked.split(MASK)
    if not text.startswith(kept[0]) or not text.endswith(kept[-1]):
        return [(0, len(text), masked)]
    changes, position = [], len(kept[0])
    for piece in kept[1:-1]:
        found = text.find(piece, position) if piece else position
        if found < 0:
            return [(0, len(text), masked)]  # a JSON text that was written anew
        changes.append((position, found, MASK))
        position = found + len(piece)
    end = len(text) - len(kept[-1])
    return [*changes, (position, end, MASK)] if position <= end else [(0, len(text), masked)]


def _replace(leaves: list[_Leaf], begin: int, end: int, replacement: str) -> None:
    """Replace a part of the joined text in the chunks that hold it."""
    start = 0
    for leaf in leaves:
        stop = start + len(leaf.text)
        if start < end and stop > begin:
            kept = leaf.text[: max(0, begin - start)]
            rest = leaf.text[max(0, end - start) :] if end < stop else ""
            leaf.text = leaf.holder[leaf.key] = f"{kept}{replacement}{rest}"
            replacement = ""
        start = stop  # of the text as it was


def _last_word(text: str) -> str:
    return "" if not text or text[-1].isspace() else text.rsplit(None, 1)[-1]


def _first_word(text: str) -> str:
    return "" if not text or text[0].isspace() else text.split(None, 1)[0]
