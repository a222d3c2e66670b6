"""Compare what two runs wrote, and judge the differences by a list of those that are meant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Any

ABSENT = "(absent)"
# So much of each value is printed; the whole of it is in the files.
_SHOWN = 400


@dataclass(frozen=True)
class Difference:
    """One place in which two runs differ.

    Attributes:
        file: The file's name below the run's folder.
        field: The path of a value (`0.metadata.level`), "line" of a text, "file" or "lines".
        published: What the published SDK gave, as JSON.
        ours: What this project gave, as JSON.
    """

    file: str
    field: str
    published: str
    ours: str

    def __str__(self) -> str:
        published, ours = (text[:_SHOWN] for text in (self.published, self.ours))
        return f"{self.file} {self.field}\n    published {published}\n    ours      {ours}"


@dataclass(frozen=True)
class Place:
    """Where a meant difference occurs. The texts are patterns, as of a shell's file names."""

    file: str
    field: str
    published: str = "*"
    ours: str = "*"

    def covers(self, difference: Difference) -> bool:
        """Say whether a difference is at this place."""
        return (
            fnmatchcase(difference.file, self.file)
            and fnmatchcase(difference.field, self.field)
            and fnmatchcase(difference.published, self.published)
            and fnmatchcase(difference.ours, self.ours)
        )


@dataclass(frozen=True)
class Meant:
    """A difference that is as it should be, why, and where it is seen."""

    reason: str
    places: tuple[Place, ...]


def differences(published: dict[str, Any], ours: dict[str, Any]) -> list[Difference]:
    """Return every place in which the files of two runs differ."""
    found = []
    for file in sorted(published.keys() | ours.keys()):
        pair = (published.get(file, ABSENT), ours.get(file, ABSENT))
        found += [Difference(file, *rest) for rest in _between(file, *pair)]
    return found


def judged(
    found: Sequence[Difference], meant: Sequence[Meant]
) -> tuple[list[Difference], list[Place]]:
    """Return the differences that nobody meant, and the places where none is any more."""
    places = [place for entry in meant for place in entry.places]
    unmeant = [d for d in found if not any(place.covers(d) for place in places)]
    idle = [place for place in places if not any(place.covers(d) for d in found)]
    return unmeant, idle


def _between(file: str, published: Any, ours: Any) -> Iterator[tuple[str, str, str]]:
    if ABSENT in (published, ours):
        yield "file", *("(absent)" if one == ABSENT else "(present)" for one in (published, ours))
    elif file.endswith((".json", ".jsonl")):
        yield from _values("", published, ours)
    else:
        yield from _lines(published, ours)


def _values(path: str, published: Any, ours: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(published, dict) and isinstance(ours, dict):
        for key in sorted(published.keys() | ours.keys()):
            pair = (published.get(key, ABSENT), ours.get(key, ABSENT))
            yield from _values(f"{path}.{key}" if path else key, *pair)
    elif isinstance(published, list) and isinstance(ours, list):
        for index, pair in enumerate(zip(published, ours, strict=False)):
            yield from _values(f"{path}.{index}" if path else str(index), *pair)
        if len(published) != len(ours):
            yield f"{path}.length" if path else "length", str(len(published)), str(len(ours))
    # True equals 1, and 1 equals 1.0; in a file they are not the same.
    elif type(published) is not type(ours) or published != ours:
        yield path, _shown(published), _shown(ours)


def _lines(published: list[str], ours: list[str]) -> Iterator[tuple[str, str, str]]:
    if published == ours:
        return  # at once: matching the lines of a report takes its time
    matcher = SequenceMatcher(None, published, ours, autojunk=False)
    for kind, start, end, our_start, our_end in matcher.get_opcodes():
        if kind != "equal":
            yield "line", "\n".join(published[start:end]), "\n".join(ours[our_start:our_end])


def _shown(value: Any) -> str:
    return ABSENT if value == ABSENT else json.dumps(value, ensure_ascii=False)
