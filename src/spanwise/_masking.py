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
import dataclasses
import enum
import itertools
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, cast

import orjson

from spanwise import _secret_forms as forms
from spanwise import _secret_patterns as patterns

MASK: Final = "***"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PEM_BEGIN = "-----BEGIN "
_PEM_END = "-----END "
_LABELS = frozenset({"name", "key", "header"})
# What may be the name of a header, or the label of a setting, and is no sentence.
_NAME = re.compile(r"[\w.:\-]{1,80}")
_LABEL = re.compile(r"[\w.:\-]{1,80}(?: [\w.\-]{1,40})?")
_DEEP_QUOTE = re.compile(r"(\\{4,31})([\"'])")
_ANYTHING = re.compile(r"(?s).*")
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
_BEFORE_A_KEY = re.compile(r"(?i)\b(?:api|access|auth|secret|private|refresh|bearer) $")
_Word = tuple[str, int, int]
_NUMBER = re.compile(r"[0-9][0-9.,_/%kKmMeE+\-]*")
_Shape = tuple[str, re.Pattern[str]]


@dataclasses.dataclass(frozen=True)
class _Group:
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


def _by_character(shapes: Iterable[_Shape]) -> tuple[_Group, ...]:
    groups: dict[str, list[_Shape]] = {}
    for hint, shape in shapes:
        character = next((c for c in "-_.=:" if c in hint), "")
        groups.setdefault(character, []).append((hint, shape))
    return tuple(
        _Group(
            character,
            tuple(group),
            frozenset(hint.split(character)[0][-2:] for hint, _ in group)
            if character and all(hint.find(character) >= 2 for hint, _ in group)
            else frozenset(),
        )
        for character, group in groups.items()
    )


_GROUPS: Final = _by_character(patterns.VALUE_SHAPES)
# Looked for in every text: those of no group, an address, a PEM block.
_HINTS: Final = (
    *(hint for group in _GROUPS if not group.character for hint, _ in group.shapes),
    *("://", "-----"),
)
_GROUPS_TO_ASK: Final = tuple(group for group in _GROUPS if group.character)
_Phrases = dict[str, tuple[tuple[str, ...], ...]]


def _by_first_word(phrases: Iterable[tuple[str, ...]]) -> _Phrases:
    grouped: dict[str, list[tuple[str, ...]]] = {}
    for phrase in phrases:
        grouped.setdefault(phrase[0], []).append(phrase)
    return {word: tuple(group) for word, group in grouped.items()}


_PHRASES: Final = _by_first_word(patterns.HARMLESS_PHRASES)
_BEGINNINGS: Final = _by_first_word(patterns.HARMLESS_BEGINNINGS)
_SECRET_PHRASES: Final = _by_first_word(patterns.SECRET_PHRASES)
# What names a secret, besides the six words; the rest of what begins with "pass" is harmless.
_PASS = re.compile(r"pass(?:w|phrase|code|[ _\-](?:phrase|code|word)|[\"'\\]|[ \t]{0,4}[=:>])")
_NEVER_A_COUNT = (
    *(str, bytes, bytearray, memoryview, uuid.UUID),
    *(list, tuple, set, frozenset, collections.deque),
)
_NO_SECRETS = frozenset({"None", "null", "True", "False", "true", "false"})
_LONGEST_REMEMBERED = 80
_CACHED_KEYS = 4096
# In a shorter text it is quicker to look for every hint.
_SHORT = 2048
_SHORTEST_SECRET = len("pwd=x")
# Of a value without quotes, what is looked at to tell a credential from prose. Bounded: the
# text behind a name that turned out to be harmless is looked at again.
_LOOKED_AT = 64
_GLANCE = 24
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
        hints = {*patterns.NAME_HINTS, *self._mask}
        # One that holds another is found with it.
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
            kind = type(value)
            if kind is dict and _is_plural(key):
                # `{"tokens": {"github": ...}}` counts nothing.
                few = itertools.islice(list(dict.values(cast("dict[Any, Any]", value))), _LOOKED_AT)
                return any(issubclass(type(item), (str, bytes)) and item != MASK for item in few)
            return issubclass(kind, _NEVER_A_COUNT)
        return True

    def suspects(self, text: str) -> bool:
        """Return whether the text could hold a secret, without looking closely."""
        # Substring search, not one regular expression: it is many times faster.
        for hint in _HINTS:
            if hint in text:
                return True
        for group in _GROUPS_TO_ASK:
            if group.character in text and group.occurs(text):
                return True
        return self._names_a_secret(text.lower()) or _has_program(text)

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
        for group in _GROUPS:
            if group.character in text and group.occurs(text):
                for hint, shape in group.shapes:
                    if hint in text:
                        text = shape.sub(MASK, text)
        if _PEM_BEGIN in text or _PEM_END in text:
            text = _without_private_keys(text)
        if "://" in text:
            text = patterns.URL_PASSWORD.sub(rf"://\1:{MASK}@", text)
            text = patterns.URL_USER.sub(f"://{MASK}@", text)
        lowered = text.lower()
        names_a_secret, has_program = self._names_a_secret(lowered), _has_program(text)
        if names_a_secret or has_program:
            text = self._json_within(text)
        if names_a_secret:
            text = self._named(text, lowered)
            if "%3" in text or "%22" in text or "%25" in text:
                text = forms.without_encoded(text, self._decoded)
        if has_program:
            text = forms.without_program_arguments(text, self._is_secret_name)
        return text

    def _named(self, text: str, lowered: str) -> str:
        """Mask what has a secret name, in each of the forms that texts give it."""
        if "bearer" in lowered or "basic" in lowered:
            text = patterns.BEARER.sub(self._mask_bearer, text)
        if "authorization" in lowered or "cookie" in lowered:
            for header in patterns.HEADER_LINES:
                text = header.sub(rf"\1\2{MASK}", text)
        is_secret = self._is_secret_name
        if "<" in text or "&lt;" in text:
            text = forms.without_elements(text, is_secret)
        if "form-data" in lowered:
            text = forms.without_form_fields(text, is_secret)
        if '"' in text or "'" in text:
            text = forms.without_pairs(text, is_secret)
            text = forms.without_sql_passwords(text, is_secret)
        elif "IDENTIFIED" in text:
            text = forms.without_sql_passwords(text, is_secret)
        if "login" in text or "ENV" in text or "ARG" in text or "setenv" in text:
            text = forms.without_settings(text, is_secret)
        if "-" in text:
            text = forms.without_arguments(text, is_secret)
        if " is " in text or " was " in text or " to " in text:
            text = forms.without_stated(text)
        return self._without_assigned(text)

    def _decoded(self, text: str) -> str:
        """Mask a text that stood percent-encoded in another."""
        masked = self._json_text(text) if text[:1] in ("{", "[", '"') else None
        return self._named(text, text.lower()) if masked is None else masked

    def _is_secret_name(self, name: str) -> bool:
        return self.verdict(name) in (Verdict.ALWAYS, Verdict.SECRET)

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
            if value.get("kind") == "Secret":  # of Kubernetes: any name may hold one
                for name in ("data", "stringData"):
                    if type(masked.get(name)) is dict:
                        masked[name] = dict.fromkeys(masked[name], MASK)
            return masked
        if kind is list or kind is tuple:
            if self.is_secret_pair(value):
                return [value[0], MASK]
            hidden = self.hidden_arguments(value)
            if hidden:
                return [hidden.get(i) or self.tree(item) for i, item in enumerate(value)]
            return [self.tree(item) for item in value]
        return value

    def is_secret_pair(self, pair: Any) -> bool:
        """Return whether this is a (name, value) pair, as headers come, of a secret name."""
        return (
            len(pair) == 2 and isinstance(pair[1], (str, bytes)) and self._is_secret(pair[0], _NAME)
        )

    def hidden_arguments(self, items: Sequence[Any]) -> dict[int, str]:
        """Return what replaces which items of a list that is a command line, by position."""
        if any(type(item) is str and item[:1] == "-" for item in items):
            return forms.hidden_arguments(items, self._is_secret_name)
        return {}

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
        for hint in self._name_hints:
            if hint in lowered:
                return True
        return "pass" in lowered and _PASS.search(lowered) is not None

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
        if "pass" not in name and not any(hint in name for hint in self._name_hints):
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
        scan = _Scan(text)
        while (match := patterns.NAME.search(text, position)) is not None:
            # Behind a harmless name, or in its value, there may be another.
            position = match.end()
            verdict = self.verdict(match[1])
            if verdict is Verdict.SAFE:
                continue
            found = scan.value(match, verdict)
            if found is None:
                continue
            position, pieces = found
            for start, end in pieces:
                parts += [text[done:start], MASK]
                done = end
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
            if not (len(value) >= 12 and mixed) and not forms.is_basic_credential(value):
                return match.group()
        elif value.rstrip(".").lower() in patterns.NOT_A_BEARER_TOKEN:
            return match.group()
        return f"{scheme}{space}{MASK}"


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


def _has_program(text: str) -> bool:
    if "-" not in text:
        return False
    for program in _PROGRAMS:  # noqa: SIM110 - a plain loop is faster
        if program in text:
            return True
    return False


class _Scan:
    """Finds the values of names in one text, from its beginning to its end.

    Args:
        text: what is looked at; each part of it once, or a bounded number of times.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        # How much may be looked at in brackets with nothing in them to mask: they may be nested.
        self._allowance = 2 * len(text) + 4096

    def value(
        self, name: re.Match[str], verdict: Verdict
    ) -> tuple[int, list[tuple[int, int]]] | None:
        """Return where to go on, and from where to where the value has to be masked."""
        text, start = self._text, name.end()
        quoted = patterns.QUOTED.match(text, start) or _deeply_quoted(text, start)
        if quoted is not None:
            opening = _opening_quote(quoted.group())
            if len(opening) == 1 and opening * 3 == quoted.group()[:3]:
                opening *= 3
            first, last = start + len(opening), quoted.end()
            if last - first >= len(opening) and quoted.group().endswith(opening):
                last -= len(opening)
            return self._judged(first, last, verdict, quoted.end())
        if verdict is not Verdict.COUNTS and (within := self._bracketed(name)) is not None:
            return within
        if ":" in name[2] and verdict is not Verdict.COUNTS:
            below = self._below(name)
            if below is not None:
                return below
        if not _is_credential(name, verdict):
            return None
        bare = patterns.UNQUOTED.match(text, start)
        if bare is None:
            return None
        end = bare.end()
        if _is_a_line_of_settings(name):
            rest = patterns.SETTING.match(text, start)
            end = max(end, rest.end()) if rest is not None else end
        return self._judged(start, end, verdict, end)

    def _judged(
        self, start: int, end: int, verdict: Verdict, then: int
    ) -> tuple[int, list[tuple[int, int]]] | None:
        bare = self._text[start:end].strip("\\\"'")
        if not bare or bare == MASK or bare in _NO_SECRETS:
            return None
        if verdict is Verdict.COUNTS and _NUMBER.fullmatch(bare):
            return None
        return then, [(start, end)]

    def _bracketed(self, name: re.Match[str]) -> tuple[int, list[tuple[int, int]]] | None:
        """Find the strings in a list, tuple, mapping or call, if there are any."""
        text = self._text
        opening = patterns.BRACKET.match(text, name.end())
        if opening is None:
            return None
        first = opening.end()
        limit = len(text) if self._allowance > 0 else min(len(text), first + _GLANCE)
        depth, position, pieces = 1, first, []
        end_of_line, has_strings = -1, False
        while depth:
            token = patterns.WITHIN.search(text, position, limit)
            if token is None:
                break
            position = token.end()
            if token[2]:
                end, closed = _string_end(text, position, len(token[1]), token[2], limit)
                has_strings = True
                after = text[closed : closed + 8].lstrip()
                is_name = after.startswith(":") and opening.group()[-1] == "{"
                if end > position and not is_name and text[position:end] != MASK:
                    pieces.append((position, end))
                position = closed
            elif token[3]:
                depth += 1
            elif token[4]:
                depth -= 1
            elif end_of_line < 0:
                end_of_line = token.start()
        self._allowance -= limit - first if depth else position - first
        if depth and end_of_line >= 0:
            pieces = [piece for piece in pieces if piece[1] <= end_of_line]
            position = end_of_line
        return (position, pieces) if pieces or has_strings else None

    def _below(self, name: re.Match[str]) -> tuple[int, list[tuple[int, int]]] | None:
        """Find a value of YAML that is on the lines below its name."""
        text, start = self._text, name.end()
        block = patterns.BLOCK.match(text, start)
        if block is not None:
            line = text.rfind("\n", 0, name.start()) + 1
            indent = _indent(text, line, name.start())
            end = block.end()
            while end < len(text):
                line_end = text.find("\n", end)
                line_end = len(text) if line_end < 0 else line_end
                is_blank = not text[end:line_end].strip()
                if not is_blank and _indent(text, end, line_end) <= indent:
                    break
                end = line_end + 1
            first = block.end() + _indent(text, block.end(), len(text))
            last = min(end, len(text))
            while last > first and text[last - 1].isspace():
                last -= 1
            return self._judged(first, last, Verdict.ALWAYS, last)
        pieces = []
        position = start
        while (item := patterns.ITEM.match(text, position)) is not None:
            if any(c.isdigit() for c in item[2]):
                pieces.append(item.span(2))
            position = item.end()
        return (position, pieces) if pieces else None


def _indent(text: str, start: int, end: int) -> int:
    width = start
    while width < end and text[width] in " \t":
        width += 1
    return width - start


def _string_end(text: str, start: int, slashes: int, quote: str, limit: int) -> tuple[int, int]:
    """Return where the string that begins here ends, and where its closing quote does."""
    position = start
    while (found := text.find(quote, position, limit)) >= 0:
        begin = found
        while begin > start and text[begin - 1] == "\\":
            begin -= 1
        run = found - begin
        if run <= slashes or (run - slashes) % (2 * (slashes + 1)) == 0:
            return found - min(run, slashes), found + 1
        position = found + 1
    return limit, limit


def _deeply_quoted(text: str, start: int) -> re.Match[str] | None:
    """Match a string that was escaped more than twice."""
    opening = _DEEP_QUOTE.match(text, start)
    if opening is None:
        return None
    _, end = _string_end(text, opening.end(), len(opening[1]), opening[2], len(text))
    return _ANYTHING.match(text, start, end)


def _is_a_line_of_settings(name: re.Match[str]) -> bool:
    """Return whether this is `NAME=` at the beginning of a line, as in a file of settings."""
    if name[2] != "=" or not name[1].isupper():
        return False
    before = name.string[max(0, name.start() - 8) : name.start()]
    before = before.rpartition("\n")[2] if "\n" in before else before
    is_first = name.start() <= 8 or "\n" in name.string[name.start() - 8 : name.start()]
    return is_first and before.strip() in ("", "export", "set", "ENV", "ARG", "-e", "-")


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
    plain = name[1].lower()
    if plain in ("key", "token") and _BEFORE_A_KEY.search(
        text[max(0, name.start() - 12) : name.start()]
    ):
        plain = "api_key"
    if verdict is Verdict.COUNTS or plain in ("key", "token"):
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
