"""Mask the secrets that are split over the chunks of a stream.

A chunk by itself was masked when it was captured. Here the texts that lie at the same place in
successive chunks (`choices[0].delta.content`) are read as one: a secret of which each chunk
holds a part is seen in it, and taken out of the chunks that hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spanwise._masking import Masker


@dataclass(slots=True)
class _Leaf:
    """A text, and where it lies."""

    holder: Any
    key: Any
    text: str
    chunk: int


def mask_across(chunks: list[Any], gap: int | None, masker: Masker) -> None:
    """Mask, in place, what can be told to be secret only across chunks.

    Args:
        chunks: JSON-like values, each masked.
        gap: how many of them come before those that were left out, None where none was.
        masker: says what is secret.
    """
    leaves: dict[tuple[Any, ...], list[_Leaf]] = {}
    for number, chunk in enumerate(chunks):
        _collect(chunks, number, chunk, (), number, leaves)
    for found in leaves.values():
        if len({leaf.text for leaf in found}) == 1:
            continue  # an id or a label, the same in every chunk
        before = [leaf for leaf in found if gap is None or leaf.chunk < gap]
        after = [leaf for leaf in found if gap is not None and leaf.chunk >= gap]
        _mask(before, masker)
        _mask(after, masker)
        if before and after:
            # The word next to the gap may be a part of a secret, not to be told by its shape.
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
    leaves: dict[tuple[Any, ...], list[_Leaf]],
) -> None:
    if type(value) is str:
        leaves.setdefault(path, []).append(_Leaf(holder, key, value, chunk))
    elif type(value) is dict:
        for name, item in value.items():
            _collect(value, name, item, (*path, name), chunk, leaves)
    elif type(value) is list:
        for index, item in enumerate(value):
            _collect(value, index, item, (*path, index), chunk, leaves)


def _mask(leaves: list[_Leaf], masker: Masker) -> None:
    text = "".join(leaf.text for leaf in leaves)
    masked = masker.text(text)
    if masked == text:
        return
    shorter = min(len(text), len(masked))
    begin = 0
    while begin < shorter and text[begin] == masked[begin]:
        begin += 1
    same = 0
    while same < shorter - begin and text[-1 - same] == masked[-1 - same]:
        same += 1
    _replace(leaves, begin, len(text) - same, masked[begin : len(masked) - same])


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
