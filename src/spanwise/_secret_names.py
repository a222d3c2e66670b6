"""What a name says of its value: whether it is secret, harmless, or counts something."""

from __future__ import annotations

import collections
import enum
import itertools
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from spanwise import _secret_patterns as patterns
from spanwise._lazy_patterns import pattern
from spanwise._secret_patterns import MASK

_WORD = pattern(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_Word = tuple[str, int, int]
_Phrases = dict[str, tuple[tuple[str, ...], ...]]


def _by_first_word(phrases: Iterable[tuple[str, ...]]) -> _Phrases:
    grouped: dict[str, list[tuple[str, ...]]] = {}
    for phrase in phrases:
        grouped.setdefault(phrase[0], []).append(phrase)
    return {word: tuple(group) for word, group in grouped.items()}


_PHRASES: Final = _by_first_word(patterns.HARMLESS_PHRASES)
_BEGINNINGS: Final = _by_first_word(patterns.HARMLESS_BEGINNINGS)
_SECRET_PHRASES: Final = _by_first_word(patterns.SECRET_PHRASES)
_NEVER_A_COUNT = (
    *(str, bytes, bytearray, memoryview, uuid.UUID),
    *(list, tuple, set, frozenset, collections.deque),
)
_CACHED = 4096
_LOOKED_AT = 64
_LONGEST = 1024
_LONGEST_KEPT = 256  # what is written of a longer one is a part of it
_LOOKS_LIKE_A_PASSWORD = pattern(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[^\s/_]{6,256}")


class Verdict(enum.Enum):
    """What a key says of its value."""

    SAFE = "safe"
    COUNTS = "counts"  # a number is kept, a mapping or record looked into, all else masked
    SECRET = "secret"  # noqa: S105 - a verdict
    ALWAYS = "always"  # as SECRET, and the name leaves no doubt
    RELATIVE = "relative"  # what stands beside it says


class Names:
    """Judges names; remembers those that it has seen.

    Args:
        mask: further names; one that contains one of them is secret.
        unmask: names (whole, in any case) that are never secret.
        strict: every name that contains a pattern is secret, with none of the exceptions.

    Attributes:
        harmless: names, none of them too long to be written, that are known to be so.
        hints: one of these, or "pass", is in every name that is not harmless.
    """

    def __init__(
        self, mask: Iterable[str] = (), unmask: Iterable[str] = (), *, strict: bool = False
    ) -> None:
        self._mask = tuple(name.lower() for name in mask)
        self._unmask = frozenset(name.lower() for name in unmask)
        self._strict = strict
        self._verdicts: dict[str, Verdict] = {}
        self.harmless: set[str] = set()
        hints = {*patterns.NAME_HINTS, *self._mask}
        # One that holds another is found with it.
        self.hints = tuple(
            sorted(hint for hint in hints if not any(h in hint for h in hints - {hint}))
        )

    def verdict(self, key: str) -> Verdict:
        """Return what the key says of its value; remembered for the keys seen so far."""
        known = self._verdicts.get(key)
        if known is None:
            if len(key) > _LONGEST:  # not worth remembering
                return self._judge(f"{key[: _LONGEST // 2]} {key[-_LONGEST // 2 :]}")
            known = self._judge(key)
            if len(self._verdicts) >= _CACHED:
                self._verdicts.clear()
                self.harmless.clear()
            self._verdicts[key] = known
            if known is Verdict.SAFE and len(key) <= _LONGEST_KEPT:
                self.harmless.add(key)
        return known

    def hides(self, key: str, value: object) -> bool:
        """Return whether this value must not be written under this key."""
        verdict = self.verdict(key)
        if verdict is Verdict.SAFE or value is None or value is True or value is False:
            return False
        if verdict is Verdict.COUNTS:
            kind = type(value)
            if kind is dict and _is_plural(key):
                # `{"tokens": {"github": ...}}` counts nothing.
                few = itertools.islice(list(dict.values(cast("dict[Any, Any]", value))), _LOOKED_AT)
                return any(issubclass(type(item), (str, bytes)) and item != MASK for item in few)
            return issubclass(kind, _NEVER_A_COUNT)
        if verdict is Verdict.RELATIVE:
            return key.lower() in patterns.PASS_NAMES and looks_like_a_password(value)
        return True

    def _judge(self, key: str) -> Verdict:
        name = key.lower()
        if name in self._unmask:
            return Verdict.SAFE
        if any(part in name for part in self._mask):
            return Verdict.ALWAYS
        if self._strict:
            literal = (*patterns.ALWAYS_SECRET, *patterns.OFTEN_SECRET)
            if any(part in name for part in literal):
                return Verdict.ALWAYS
        elif name in patterns.SAFE_NAMES or name.startswith(patterns.SAFE_PREFIXES):
            return Verdict.SAFE
        if name in patterns.RELATIVE_NAMES:
            return Verdict.RELATIVE
        if "pass" not in name and "pw" not in name and not any(hint in name for hint in self.hints):
            return Verdict.SAFE
        words = [(m.group().lower(), m.start(), m.end()) for m in _WORD.finditer(key)]
        if any(word in patterns.SECRET_WORDS for word, _, _ in words):
            return Verdict.ALWAYS
        if any(True for _ in _phrases(words, _SECRET_PHRASES)):
            return Verdict.ALWAYS
        remaining = _without_harmless(key, words).lower()
        if any(part in remaining for part in patterns.ALWAYS_SECRET):
            return Verdict.ALWAYS
        if not any(part in remaining for part in patterns.OFTEN_SECRET):
            return Verdict.SAFE
        if any(word in patterns.COUNTING_WORDS for word, _, _ in words):
            return Verdict.COUNTS
        if "token" in remaining and any(word in ("detail", "details") for word, _, _ in words):
            return Verdict.COUNTS  # `input_token_details`; those of a key are no counts
        return Verdict.SECRET


def text_of(value: object) -> str | None:
    """Return a string, or bytes that are no longer than a name, as text; None of anything else."""
    kind = type(value)
    if issubclass(kind, str):
        return str.__str__(cast("str", value)) if kind is not str else cast("str", value)
    if issubclass(kind, bytes):
        data = cast("bytes", value)
        if bytes.__len__(data) <= _LONGEST:
            return bytes.decode(data, "latin-1")
    return None


def looks_like_a_password(value: object) -> bool:
    """Return whether this is one word of letters and digits, as what a `pass` is may be."""
    text = text_of(value)
    return text is not None and _LOOKS_LIKE_A_PASSWORD.fullmatch(text) is not None


def _phrases(words: list[_Word], phrases: _Phrases) -> Iterator[tuple[int, int]]:
    """Yield the first and the last word, by position, of each of the phrases in a name."""
    for i, (word, _, _) in enumerate(words):
        for phrase in phrases.get(word, ()):
            run = words[i : i + len(phrase)]
            if tuple(part for part, _, _ in run) == phrase:
                yield i, i + len(phrase) - 1


def _without_harmless(key: str, words: list[_Word]) -> str:
    """Blank out of the key its harmless words and phrases, leaving the rest as it stands."""
    harmless = [(start, end) for word, start, end in words if word in patterns.HARMLESS_WORDS]
    harmless += [(words[i][1], words[j][2]) for i, j in _phrases(words, _PHRASES)]
    for i, j in _phrases(words, _BEGINNINGS):
        if i == 0 or key[words[i][1] - 1] == ".":
            harmless.append((words[i][1], words[j][2]))
    letters = list(key)
    for start, end in harmless:
        letters[start:end] = " " * (end - start)
    return "".join(letters)


def _is_plural(key: str) -> bool:
    """Return whether a name counts by nothing but being a plural, as `tokens` and `api_tokens` do."""
    words = {match.group().lower() for match in _WORD.finditer(key)}
    return not words & patterns.COUNTING_WORDS - {"tokens"}
