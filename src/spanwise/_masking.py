"""Which keys and values are secret.

By key, in this order:

1. words that only look like a pattern (`monkey`, `author`, `primary_key`) are set aside; a key
   with no pattern left is harmless;
2. None and booleans are kept: they say whether there is a secret, not which;
3. `password`, `secret`, `credential` and `auth` are masked whatever they hold;
4. a `token` or `key` that counts something (`max_tokens`, `key_count`) keeps a number, and a
   mapping below it is looked into;
5. names of the semantic conventions (`feature_flag.key`, `gen_ai.usage.*`) are harmless;
6. any other `token` or `key` is masked.

By value, in any text: the shapes of known credentials, tokens after `Bearer`, passwords in
URLs, PEM blocks, assignments to a secret name, JSON inside strings. Every scan is linear.
"""

from __future__ import annotations

import collections
import enum
import re
import uuid
from collections.abc import Iterable
from typing import Any, Final

import orjson

from spanwise import _secret_patterns as patterns

MASK: Final = "***"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PEM_BEGIN = "-----BEGIN "
_PEM_END = "-----END "
_LABELS = frozenset({"name", "key", "header"})
# What may be the name of a header, or the label of a setting, and is no sentence.
_NAME = re.compile(r"[\w.:\-]{1,80}")
_LABEL = re.compile(r"[\w.:\-]{1,80}(?: [\w.\-]{1,40})?")
_NUMBER = re.compile(r"[0-9][0-9.,_/%kKmMeE+\-]*")
_Shape = tuple[str, re.Pattern[str]]


def _by_character(shapes: Iterable[_Shape]) -> tuple[tuple[str, tuple[_Shape, ...]], ...]:
    """Group shapes by a character of their hint: one look for it spares many for the hints."""
    groups: dict[str, list[_Shape]] = {}
    for hint, shape in shapes:
        character = next((c for c in "-_:=." if c in hint), "")
        groups.setdefault(character, []).append((hint, shape))
    return tuple((character, tuple(group)) for character, group in groups.items())


_SHAPES: Final = _by_character(patterns.VALUE_SHAPES)
# The phrases by their first word.
_PHRASES: Final = {
    word: tuple(phrase for phrase in patterns.HARMLESS_PHRASES if phrase[0] == word)
    for word, *_ in patterns.HARMLESS_PHRASES
}
_NEVER_A_COUNT = (
    *(str, bytes, bytearray, memoryview, uuid.UUID),
    *(list, tuple, set, frozenset, collections.deque),
)
_NO_SECRETS = frozenset({"None", "null", "True", "False", "true", "false"})
_LONGEST_REMEMBERED = 80
_CACHED_KEYS = 4096
_SHORTEST_SECRET = len("pwd=x")
# Of a value without quotes, what is looked at to tell a credential from prose. Bounded: the
# text behind a name that turned out to be harmless is looked at again.
_LOOKED_AT = 64
# A JSON text longer than this is scanned as text, not parsed.
_LONGEST_JSON = 262_144


class Verdict(enum.Enum):
    """What a key says of its value."""

    SAFE = "safe"
    COUNTS = "counts"  # a number is kept, a mapping or record looked into, all else masked
    SECRET = "secret"  # noqa: S105 - a verdict
    ALWAYS = "always"  # as SECRET, and the name leaves no doubt


class Masker:
    """Decides what of a key, a value or a text must not be written.

    Args:
        mask: further key names; a key that contains one of them is secret.
        unmask: key names (whole, in any case) that are never secret.
        strict: mask every key that contains a pattern, with none of the exceptions.
    """

    def __init__(
        self, mask: Iterable[str] = (), unmask: Iterable[str] = (), *, strict: bool = False
    ) -> None:
        self._mask = tuple(name.lower() for name in mask)
        self._unmask = frozenset(name.lower() for name in unmask)
        self._strict = strict
        self._verdicts: dict[str, Verdict] = {}
        # Short texts without a secret: names, ids and labels come again and again.
        self._harmless: set[str] = set()
        names = (*patterns.ALWAYS_SECRET, *patterns.OFTEN_SECRET, *patterns.SECRET_WORDS)
        hints = {*names, *self._mask, "basic "}
        # One that holds another, as "cookies" does, is found with it.
        self._name_hints = tuple(
            sorted(hint for hint in hints if not any(h in hint for h in hints - {hint}))
        )

    def verdict(self, key: str) -> Verdict:
        """Return what the key says of its value; remembered for the keys seen so far."""
        known = self._verdicts.get(key)
        if known is None:
            known = self._judge(key)
            if len(self._verdicts) >= _CACHED_KEYS:
                self._verdicts.clear()
            self._verdicts[key] = known
        return known

    def hides(self, key: str, value: object) -> bool:
        """Return whether this value must not be written under this key."""
        verdict = self.verdict(key)
        if verdict is Verdict.SAFE or value is None or value is True or value is False:
            return False
        if verdict is Verdict.COUNTS:
            return issubclass(type(value), _NEVER_A_COUNT)
        return True

    def suspects(self, text: str) -> bool:
        """Return whether the text could hold a secret, without looking closely."""
        # Substring search, not one regular expression: it is many times faster.
        for character, shapes in _SHAPES:
            if character in text:
                for hint, _ in shapes:
                    if hint in text:
                        return True
        if "://" in text or _PEM_BEGIN in text or _PEM_END in text:
            return True
        return self._names_a_secret(text.lower())

    def text(self, text: str) -> str:
        """Return the text with every secret that can be told by its shape replaced by `***`."""
        if len(text) < _SHORTEST_SECRET or text in self._harmless:
            return text
        if not self.suspects(text):
            if len(text) <= _LONGEST_REMEMBERED:
                if len(self._harmless) >= _CACHED_KEYS:
                    self._harmless.clear()
                self._harmless.add(text)
            return text
        if text[0] in '{["' or text[0].isspace():
            masked = self._json_text(text)
            if masked is not None:
                return masked
        for character, shapes in _SHAPES:
            if character in text:
                for hint, shape in shapes:
                    if hint in text:
                        text = shape.sub(MASK, text)
        if _PEM_BEGIN in text or _PEM_END in text:
            text = _without_private_keys(text)
        if "://" in text:
            text = patterns.URL_PASSWORD.sub(rf"://\1:{MASK}@", text)
            text = patterns.URL_USER.sub(f"://{MASK}@", text)
        lowered = text.lower()
        if self._names_a_secret(lowered):
            text = self._json_within(text)
            if "bearer" in lowered or "basic" in lowered:
                text = patterns.BEARER.sub(self._mask_bearer, text)
            if "authorization" in lowered or "cookie" in lowered:
                for header in patterns.HEADER_LINES:
                    text = header.sub(rf"\1\2{MASK}", text)
            text = self._without_assigned(text)
        return text

    def _json_within(self, text: str) -> str:
        """Mask JSON that stands in the text: once as a whole, once line by line."""
        text = self._json_between(text)
        if "\n" in text:
            text = "".join(map(self._json_between, text.splitlines(keepends=True)))
        return text

    def _json_between(self, text: str) -> str:
        for opening, closing in (("{", "}"), ("[", "]")):
            begin, end = text.find(opening), text.rfind(closing) + 1
            if 0 <= begin < end:
                masked = self._json_text(text[begin:end])
                if masked is not None:
                    return text[:begin] + masked + text[end:]
        return text

    def tree(self, value: Any) -> Any:
        """Return a JSON-like value (mappings, sequences, scalars) with its secrets replaced."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            masked: dict[Any, Any] = {}
            for key, item in value.items():
                name = self.text(key) if type(key) is str else key
                while name in masked:
                    name = f"{name} #{len(masked)}"
                is_hidden = type(key) is str and (self.hides(key, item) or self.hides(name, item))
                masked[name] = MASK if is_hidden else self.tree(item)
            for name in ("value", "Value"):
                if name in masked and self.names_a_secret(value.items()):
                    masked[name] = MASK
            return masked
        if kind is list or kind is tuple:
            if self.is_secret_pair(value):
                return [value[0], MASK]
            return [self.tree(item) for item in value]
        return value

    def is_secret_pair(self, pair: Any) -> bool:
        """Return whether this is a (name, value) pair, as headers come, of a secret name."""
        return (
            len(pair) == 2 and isinstance(pair[1], (str, bytes)) and self._is_secret(pair[0], _NAME)
        )

    def names_a_secret(self, pairs: Iterable[tuple[Any, Any]]) -> bool:
        """Return whether the items describe a secret, as `{"name": "Authorization", ...}` does."""
        return any(
            type(key) is str and key.lower() in _LABELS and self._is_secret(label, _LABEL)
            for key, label in pairs
        )

    def _is_secret(self, name: Any, form: re.Pattern[str]) -> bool:
        return (
            type(name) is str
            and form.fullmatch(name) is not None
            and self.verdict(name) in (Verdict.ALWAYS, Verdict.SECRET)
        )

    def _names_a_secret(self, lowered: str) -> bool:
        for hint in self._name_hints:  # noqa: SIM110 - a plain loop is faster
            if hint in lowered:
                return True
        return False

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
        if not any(hint in name for hint in self._name_hints):
            return Verdict.SAFE
        words = [(m.group().lower(), m.start(), m.end()) for m in _WORD.finditer(key)]
        if any(word in patterns.SECRET_WORDS for word, _, _ in words):
            return Verdict.ALWAYS
        remaining = _without_harmless(key, words).lower()
        if any(part in remaining for part in patterns.ALWAYS_SECRET):
            return Verdict.ALWAYS
        if not any(part in remaining for part in patterns.OFTEN_SECRET):
            return Verdict.SAFE
        if any(word in patterns.COUNTING_WORDS for word, _, _ in words):
            return Verdict.COUNTS
        return Verdict.SECRET

    def _json_text(self, text: str) -> str | None:
        if len(text) > _LONGEST_JSON:
            return None
        try:
            value = orjson.loads(text)
            if type(value) not in (dict, list, str):
                return text
            masked = self.tree(value)
            return text if masked == value else orjson.dumps(masked).decode()
        except (ValueError, TypeError, RecursionError):  # no JSON, or nested too deeply
            return None

    def _without_assigned(self, text: str) -> str:
        """Mask the values that are assigned to secret names."""
        parts: list[str] = []
        done = position = 0
        while (match := patterns.NAME.search(text, position)) is not None:
            # Behind a harmless name, or in its value, there may be another.
            position = start = match.end()
            verdict = self.verdict(match[1])
            if verdict is Verdict.SAFE:
                continue
            value = patterns.QUOTED.match(text, start)
            if value is None and _is_credential(match, verdict):
                value = patterns.UNQUOTED.match(text, start)
            if value is None:
                continue
            quote = _opening_quote(value.group())
            bare = value.group().strip("\\\"'")
            if not bare or bare == MASK or bare in _NO_SECRETS:
                continue
            if verdict is Verdict.COUNTS and _NUMBER.fullmatch(bare):
                continue
            is_closed = len(value.group()) > len(quote) and value.group().endswith(quote)
            parts += [text[done:start], quote, MASK, quote if is_closed else ""]
            done = position = value.end()
        return "".join([*parts, text[done:]]) if parts else text

    def _mask_bearer(self, match: re.Match[str]) -> str:
        scheme, space, value = match.groups()
        following = match.string[match.end() : match.end() + 1]
        is_assigned = value.endswith("=") and following in ("'", '"', "\\")
        if is_assigned and self.verdict(value.rstrip("=")) is not Verdict.SAFE:
            return match.group()  # `bearer api_key="x"` is masked as an assignment
        if scheme.lower() == "basic":
            # "basic" is also an English word: what follows it must look like base64.
            mixed = any(c.isdigit() for c in value) or value.endswith("=")
            if len(value) < 12 or not mixed:
                return match.group()
        elif value.rstrip(".").lower() in patterns.NOT_A_BEARER_TOKEN:
            return match.group()
        return f"{scheme}{space}{MASK}"


def _without_harmless(key: str, words: list[tuple[str, int, int]]) -> str:
    """Blank out of the key its harmless words and phrases, leaving the rest as it stands."""
    harmless: list[tuple[int, int]] = [
        (start, end) for word, start, end in words if word in patterns.HARMLESS_WORDS
    ]
    for i, (word, start, _) in enumerate(words):
        for phrase in _PHRASES.get(word, ()):
            run = words[i : i + len(phrase)]
            if tuple(part for part, _, _ in run) == phrase:
                harmless.append((start, run[-1][2]))
    letters = list(key)
    for start, end in harmless:
        letters[start:end] = " " * (end - start)
    return "".join(letters)


def _opening_quote(value: str) -> str:
    stripped = value.lstrip("\\")
    return value[: len(value) - len(stripped) + 1] if stripped[:1] in ('"', "'") else ""


def _is_credential(name: re.Match[str], verdict: Verdict) -> bool:
    """Tell `api_key=x` from the prose of `key: the main point` and from `key=len`."""
    text, start = name.string, name.end()
    found = patterns.UNQUOTED.match(text, start, start + _LOOKED_AT)
    if found is None:
        return False
    value, is_assigned = found.group(), "=" in name[2]
    before = text[max(0, name.start() - 3) : name.start()]
    if is_assigned and before.endswith(("?", "&")):
        return True
    if before == "://" or patterns.VERSION_OR_PORT.fullmatch(value):
        return False
    if not is_assigned and name[1].lower().endswith(patterns.NOT_A_NAME):
        return False
    if len(value) >= 6 and any(character.isdigit() for character in value):
        return True
    if verdict is Verdict.COUNTS or name[1].lower() in ("key", "token"):
        return False
    if is_assigned:
        return True
    # In prose more words follow.
    rest = text[found.end() : found.end() + _LOOKED_AT].splitlines()
    is_alone = not rest or not rest[0].strip() or not rest[0][0].isspace()
    word = value.rstrip(".!?").lower()
    return is_alone and len(value) >= 4 and word not in patterns.NOT_A_VALUE


def _without_private_keys(text: str) -> str:
    """Cut out PEM private keys, those too of which only the head or the tail is there."""
    parts: list[str] = []
    position = 0
    is_open = False
    for line in patterns.PRIVATE_KEY_LINE.finditer(text):
        if line[1] == "BEGIN":
            if not is_open:
                parts += [text[position : line.start()], MASK]
            is_open = True
            continue
        if not is_open:  # its head was cut away: all that is before it may be the key
            parts.append(MASK)
        is_open = False
        position = line.end()
    return "".join(parts if is_open else [*parts, text[position:]])
