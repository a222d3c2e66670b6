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

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from spanwise import _secret_forms as forms
from spanwise import _secret_patterns as patterns
from spanwise._secret_assignments import without_assigned
from spanwise._secret_names import Names, Verdict
from spanwise._secret_patterns import MASK

_PEM_BEGIN = "-----BEGIN "
_PEM_END = "-----END "
_LABELS = frozenset({"name", "key", "header"})
# What may be the name of a header, or the label of a setting, and is no sentence.
_NAME = re.compile(r"[\w.:\-]{1,80}")
_LABEL = re.compile(r"[\w.:\-]{1,80}(?: [\w.\-]{1,40})?")
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
# What names a secret, besides the six words; the rest of what begins with "pass" is harmless.
_PASS = re.compile(r"pass(?:w|phrase|code|[ _\-](?:phrase|code|word)|[\"'\\]|[ \t]{0,4}[=:>])")
_LONGEST_REMEMBERED = 80
_REMEMBERED = 4096
# In a shorter text it is quicker to look for every hint.
_SHORT = 2048
_SHORTEST_SECRET = len("pwd=x")
# A JSON text longer than this is scanned as text, not parsed.
_LONGEST_JSON = 262_144


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
        names = Names(mask, unmask, strict=strict)
        self.verdict = names.verdict
        self.hides = names.hides
        self._name_hints = names.hints
        # Short texts without a secret: names, ids and labels come again and again.
        self._harmless: set[str] = set()

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
                if len(self._harmless) >= _REMEMBERED:
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
        return without_assigned(text, self.verdict)

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


def _has_program(text: str) -> bool:
    if "-" not in text:
        return False
    for program in _PROGRAMS:  # noqa: SIM110 - a plain loop is faster
        if program in text:
            return True
    return False


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
