"""What must be in a text for a secret to be there at all, and the search for it.

Every text is looked through, and almost none holds a hint, so this search is what masking costs.
All hints are one regular expression of pydantic's validator, which is compiled to an automaton
that reads each byte once. Where that cannot be had, each hint is looked for by itself: the same
answers, many times slower.
"""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Iterable
from typing import Final

from spanwise import _secret_patterns as patterns
from spanwise._lazy_patterns import pattern

ESCAPED_LETTER: Final = pattern(r"\\{1,15}u00([4-7][0-9A-Fa-f])")  # JSON need not escape it
# Those of which `-u` and `-p` carry a password.
_PROGRAMS = (
    "curl",
    "wget",
    "sshpass",
    "mysql",
    "mariadb",
    "mongo",
    "redis-cli",
    " login ",
    '"-u',
    '"-p',
)
# What names a secret, besides the six words; the rest of what begins with "pass" is harmless.
_NAMED = r"(?:[\"'\\`*]|[ \t]{0,4}[=:>?+])"
_PASS_ENDS = rf"pass(?:w|phrase|code|[ _\-](?:phrase|code|word)|{_NAMED})"
_PASS = pattern(rf"requirepass|{_PASS_ENDS}")
_PW = pattern(rf"(?<![a-z])pw{_NAMED}")
# In a shorter text it is quicker to look for every hint.
_SHORT = 2048
# In the JSON text of a value: what may be a name of a secret with others beside it, an argument of
# a command, or a number that is too large.
_LOOKED_AT: Final = r"(?i-u:pass|pw)|[\[,]\x22-|[0-9]{19}"
# The two signs that become an ASCII letter in small letters; the second has a dot behind it then.
_KELVIN: Final = r"\x{212A}"
_DOTTED: Final = r"\x{130}"
_FEW = 200  # texts, of which a short program need not have more
_LONG = 512  # characters that take as long as another text
_Shape = tuple[str, re.Pattern[str]]


@dataclasses.dataclass(frozen=True)
class Group:
    """The shapes of which the hint holds the same character, or none of the telling ones.

    One look for the character, and one at what stands before each of it, spare many for the hints.
    """

    character: str
    shapes: tuple[_Shape, ...]
    endings: frozenset[str]

    def occurs(self, text: str) -> bool:
        """Return whether any of the hints is in the text."""
        if self.endings and len(text) > _SHORT:
            pieces = text.split(self.character)
            if self.endings.isdisjoint([piece[-2:] for piece in pieces]):
                return False
        for hint, _ in self.shapes:  # noqa: SIM110 - a plain loop is faster
            if hint in text:
                return True
        return False


def _by_character(shapes: Iterable[_Shape]) -> tuple[Group, ...]:
    groups: dict[str, list[_Shape]] = {}
    for hint, shape in shapes:
        character = next((c for c in "-_.=:" if c in hint), "")
        groups.setdefault(character, []).append((hint, shape))
    return tuple(
        Group(
            character,
            tuple(group),
            frozenset(hint.split(character)[0][-2:] for hint, _ in group)
            if character and all(hint.find(character) >= 2 for hint, _ in group)
            else frozenset(),
        )
        for character, group in groups.items()
    )


GROUPS: Final = _by_character(patterns.VALUE_SHAPES)
# Looked for in every text: those of no group, an address, a PEM block.
_ALONE: Final = (
    *(hint for group in GROUPS if not group.character for hint, _ in group.shapes),
    *("://", "-----"),
)
_GROUPS_TO_ASK: Final = tuple(group for group in GROUPS if group.character)


class Hints:
    """Looks for hints of secrets in texts.

    Args:
        names: what is in every name that is not harmless, in small letters.

    Attributes:
        search: says whether any hint is in a text; of a text that is not ASCII it may say no
            where `are_missed_in` says yes.
        tells_something: says whether any hint is in the JSON text of a value, or anything for
            which its names and items have to be looked at; None as long as there is no automaton.
    """

    tells_something: Callable[[str], bool] | None = None

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._foreign = tuple(name for name in names if not name.isascii())
        self.search: Callable[[str], bool] = self._search_for_now
        self._few = 0 if "pydantic_core" in sys.modules else _FEW

    def occur_in(self, text: str) -> bool:
        """Return whether any hint is in the text."""
        return self.search(text) or (not text.isascii() and self.are_missed_in(text))

    def are_missed_in(self, text: str) -> bool:
        """Return whether a text of another alphabet has hints that the automaton does not find."""
        try:
            text.encode()
        except UnicodeEncodeError:  # a lone surrogate, which it cannot read
            return self.occur_one_by_one(text)
        return bool(self._foreign) and self.name_a_secret(text.lower())

    def prepare(self) -> None:
        """Make the automaton, and search by it from now on."""
        expression = _expression(self._names)
        self.search = _automaton(expression) or self.occur_one_by_one
        if self.search != self.occur_one_by_one and all(map(_is_as_in_json, self._names)):
            self.tells_something = _automaton(f"{expression}|{_LOOKED_AT}")

    def _search_for_now(self, text: str) -> bool:
        """Search one by one until an automaton pays: to load it takes some milliseconds."""
        self._few -= 1 + len(text) // _LONG
        if self._few >= 0:
            return self.occur_one_by_one(text)
        self.prepare()
        return self.search(text)

    def occur_one_by_one(self, text: str) -> bool:
        """Return the same as `occur_in`, by a search for each of the hints."""
        for hint in _ALONE:
            if hint in text:
                return True
        for group in _GROUPS_TO_ASK:
            if group.character in text and group.occurs(text):
                return True
        if "\\u00" in text and ESCAPED_LETTER.search(text) is not None:
            return True
        return self.name_a_secret(text.lower()) or has_program(text)

    def name_a_secret(self, lowered: str) -> bool:
        """Return whether the text, in small letters, holds what every name of a secret does."""
        for hint in self._names:
            if hint in lowered:
                return True
        if "pass" in lowered and _PASS.search(lowered) is not None:
            return True
        return "pw" in lowered and _PW.search(lowered) is not None


def has_program(text: str) -> bool:
    """Return whether the text may be a command line with a password among its arguments."""
    if "-" not in text:
        return False
    for program in _PROGRAMS:  # noqa: SIM110 - a plain loop is faster
        if program in text:
            return True
    return False


def _automaton(expression: str) -> Callable[[str], bool] | None:
    """Return a search for what an expression matches, or None where there is none."""
    try:
        # Not before it is needed: an import, and a few calls, are to stay light.
        from pydantic_core import SchemaValidator

        return SchemaValidator({"type": "str", "pattern": expression}).isinstance_python
    except Exception:  # noqa: BLE001 - not installed, or too many names: it is the slow way then
        return None


def _expression(names: tuple[str, ...]) -> str:
    """Return all hints but those of other alphabets as one expression, as Rust's `regex` has it."""
    hints = sorted({*_ALONE, *(hint for group in _GROUPS_TO_ASK for hint, _ in group.shapes)})
    programs = [_literal(program) for program in _PROGRAMS if "-" not in program]
    program = f"(?:{'|'.join(programs)})"
    return "|".join(
        [
            *map(_literal, hints),
            *(_literal(program) for program in _PROGRAMS if "-" in program),
            *(_in_any_case(name) for name in names if name.isascii()),
            r"\\u00[4-7][0-9A-Fa-f]",
            f"(?i-u:requirepass|{_PASS_ENDS})",
            rf"(?:^|[^A-Za-z{_KELVIN}])[Pp][Ww]{_NAMED}",
            f"(?s:-.*{program}|{program}.*-)",
        ]
    )


def _is_as_in_json(name: str) -> bool:
    """Return whether a name stands in JSON as it is, and the automaton looks for it."""
    return name.isascii() and name.isprintable() and not {'"', "\\"} & {*name}


def _literal(text: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else f"\\x{ord(c):02X}" for c in text)


def _in_any_case(name: str) -> str:
    letters = [f"{c}{c.upper()}" if c.isalpha() else _literal(c) for c in name]
    letters = [f"{pair}{_KELVIN}" if pair == "kK" else pair for pair in letters]
    if letters and letters[-1] == "iI":
        letters[-1] += _DOTTED
    return "".join(f"[{pair}]" for pair in letters)
