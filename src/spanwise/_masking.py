"""Which keys and values are secret.

By key, in this order:

1. words that only look like a pattern (`monkey`, `author`, `primary_key`) are set aside; a key
   with no pattern left is harmless;
2. None and booleans are kept: they say whether there is a secret, not which;
3. `password`, `secret`, `credential` and `auth` are masked whatever they hold;
4. a `token` or `key` that counts something (`max_tokens`, `key_count`) keeps a number, and a
   mapping below it is looked into;
5. names of the semantic conventions (`feature_flag.key`, `gen_ai.usage.*`) are harmless;
6. any other `token` or `key` is masked;
7. of `value`, `content`, `data` and `pass` the entries beside them say whether they are secret.

By value, in any text: the shapes of known credentials, tokens after `Bearer`, passwords in
URLs, PEM blocks, assignments to a secret name, JSON inside strings. Every scan is linear.
"""

from __future__ import annotations

import enum
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import orjson

from spanwise import _secret_descriptions as descriptions
from spanwise import _secret_forms as forms
from spanwise import _secret_patterns as patterns
from spanwise._lazy_patterns import pattern
from spanwise._secret_assignments import without_assigned
from spanwise._secret_hints import ESCAPED_LETTER, GROUPS, Hints, has_program
from spanwise._secret_names import Names, Verdict, looks_like_a_password, text_of
from spanwise._secret_patterns import MASK

_PEM_BEGIN = "-----BEGIN "
_PEM_END = "-----END "
# What may be the name of a header, or the label of a setting, and is no sentence.
_NAME = pattern(r"[\w.:\-]{1,80}")
_LABEL = pattern(r"[\w.:\-]{1,80}(?: [\w.\-]{1,40})?")
# What keeps `pass` from being a password.
_NO_PASSWORDS = frozenset(
    """
    yes no ok true false none null pass passed fail failed full partial required optional any all
    """.split()
)
# A message's content is what was said; its name is a tool's.
_OF_A_MESSAGE = frozenset({"role", "tool_call_id"})
_NO_NAMES = (Verdict.SAFE, Verdict.RELATIVE)
_NOTHING: Final[Mapping[int, Any]] = MappingProxyType({})
LONGEST_REMEMBERED: Final = 80
_REMEMBERED = 4096
_SHORTEST_SECRET = len("pwd=x")
# A JSON text longer than this is scanned as text, not parsed.
_LONGEST_JSON = 262_144


class Part(enum.Enum):
    """What of a mapping's value must not be written."""

    WHOLE = "whole"
    ENTRIES = "entries"  # whatever their names are; the names are kept

    def hidden(self, value: Any) -> Any:
        """Return what is written instead of this JSON-like value."""
        if self is Part.WHOLE:
            return MASK
        return dict.fromkeys(value, MASK) if type(value) is dict else value


class Masker:
    """Decides what of a key, a value or a text must not be written.

    Args:
        mask: further key names; a key that contains one of them is secret.
        unmask: key names (whole, in any case) that are never secret.
        strict: mask every key that contains a pattern, with none of the exceptions.

    Attributes:
        names: judges keys.
        harmless: short texts without a secret: names, ids and labels come again and again.
        plain_names: keys that are written as they are, and say nothing of any value.
        scopes: by their ids, objects that many spans share, each with what it is when masked.
    """

    def __init__(
        self, mask: Iterable[str] = (), unmask: Iterable[str] = (), *, strict: bool = False
    ) -> None:
        self.names = Names(mask, unmask, strict=strict)
        self.hints = Hints(self.names.hints)
        self.harmless: set[str] = set()
        self.plain_names: set[str] = set()
        self._counting: set[str] = set()  # as those, where the value is a number
        self.scopes: dict[int, tuple[Any, Any]] = {}

    def verdict(self, name: str) -> Verdict:
        """Return what a name says of its value."""
        return self.names.verdict(name)

    def hides(self, name: str, value: object) -> bool:
        """Return whether this value must not be written under this name, wherever it stands."""
        return self.names.hides(name, value)

    def suspects(self, text: str) -> bool:
        """Return whether the text could hold a secret, without looking closely."""
        hints = self.hints
        return hints.search(text) or (not text.isascii() and hints.are_missed_in(text))

    def text(self, text: str) -> str:
        """Return the text with every secret that can be told by its shape replaced by `***`."""
        length = len(text)
        if length > LONGEST_REMEMBERED:
            return self._without_secrets(text) if self.suspects(text) else text
        if text in self.harmless:
            return text
        if length >= _SHORTEST_SECRET and self.suspects(text):
            masked = self._without_secrets(text)
            if masked != text:
                return masked
        if len(self.harmless) >= _REMEMBERED:
            self.harmless.clear()
        self.harmless.add(text)
        return text

    def passes(self, key: object, value: object) -> bool:
        """Return whether an entry's key is written as it is and does not hide its value.

        It is so whatever stands beside the entry.
        """
        if type(key) is not str or len(key) > LONGEST_REMEMBERED or not key.isascii():
            return False
        is_number = type(value) is int or type(value) is float
        if is_number and key in self._counting:
            return True
        verdict = self.names.verdict(key)
        if (
            verdict is Verdict.RELATIVE
            or self.names.hides(key, value)
            or (key not in self.harmless and self.text(key) != key)
        ):
            return False
        if verdict is Verdict.SAFE or (verdict is Verdict.COUNTS and is_number):
            known = self.plain_names if verdict is Verdict.SAFE else self._counting
            if len(known) >= _REMEMBERED:
                known.clear()
            known.add(key)
        return True

    def _without_secrets(self, text: str) -> str:
        if text[0] in '{["' or text[0].isspace():
            masked = self._json_text(text)
            if masked is not None:
                return masked
        if "\\u00" in text:
            plain = ESCAPED_LETTER.sub(_unescaped, text)
            if plain != text:
                masked = self.text(plain)
                return text if masked == plain else masked
        for group in GROUPS:
            if group.character in text and group.occurs(text):
                for hint, shape in group.shapes:
                    if hint in text:
                        text = shape.sub(MASK, text)
        if _PEM_BEGIN in text or _PEM_END in text:
            text = _without_private_keys(text)
        if "://" in text and "@" in text:
            text = patterns.URL_PASSWORD.sub(rf"://\1:{MASK}@", text)
            text = patterns.URL_USER.sub(f"://{MASK}@", text)
            text = patterns.URL_TOKEN.sub(MASK, text)
            text = patterns.URL_MIXED_USER.sub(MASK, text)
        lowered = text.lower()
        names_a_secret, runs_a_program = self.hints.name_a_secret(lowered), has_program(text)
        if names_a_secret or runs_a_program:
            text = self._json_within(text)
        if names_a_secret:
            text = self._named(text, lowered)
            if "%3" in text or "%22" in text or "%25" in text:
                text = forms.without_encoded(text, self._decoded)
        if runs_a_program:
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
            if "(" in text:
                text = descriptions.without_call_arguments(text, is_secret)
        elif "IDENTIFIED" in text:
            text = forms.without_sql_passwords(text, is_secret)
        if "val" in lowered or "content" in lowered:
            text = descriptions.without_described(text, is_secret)
        if ":" in text and "\n" in text:
            text = descriptions.without_nested(text, is_secret)
        if "|" in text:
            text = descriptions.without_cells(text, is_secret)
        if "into" in lowered:
            text = descriptions.without_inserted(text, is_secret)
        if any(word in text for word in forms.SETTING_WORDS):
            text = forms.without_settings(text, is_secret)
        if "-" in text:
            text = forms.without_arguments(text, is_secret)
        if any(word in text for word in forms.STATING_WORDS):
            text = forms.without_stated(text)
        return without_assigned(text, self.names.verdict)

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
        """Return a JSON-like value (mappings, sequences, scalars) with its secrets replaced.

        It is the value itself where there are none.
        """
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            names, is_relative = self.plain_names, False
            for key, item in value.items():
                if (type(key) is not str or key not in names) and not self.passes(key, item):
                    if type(key) is not str or key not in patterns.RELATIVE_NAMES:
                        return self._judged(value)
                    is_relative = True
            if is_relative and self.hidden_entries(list(value.items())):
                return self._judged(value)
            changed, harmless = {}, self.harmless
            for key, item in value.items():
                kind = type(item)
                if kind is str:
                    if len(item) <= LONGEST_REMEMBERED and item in harmless:
                        continue
                    masked = self.text(item)
                elif kind is dict or kind is list or kind is tuple:
                    masked = self.tree(item)
                else:
                    continue
                if masked is not item:
                    changed[key] = masked
            return {**value, **changed} if changed else value
        if kind is list or kind is tuple:
            replaced = self.hidden_items(value)
            items = [replaced.get(i) or self.tree(item) for i, item in enumerate(value)]
            return value if kind is list and all(map(operator.is_, items, value)) else items
        return value

    def _judged(self, value: dict[Any, Any]) -> dict[Any, Any]:
        """Return a mapping with its secrets replaced, whose entries may tell of each other."""
        entries = list(value.items())
        hidden = self.hidden_entries(entries)
        masked: dict[Any, Any] = {}
        for position, (key, item) in enumerate(entries):
            name = self.text(key) if type(key) is str else key
            while name in masked:
                name = f"{name} #{len(masked)}"
            part = hidden.get(position)
            if part is None and name is not key and self.hides(name, item):
                part = Part.WHOLE
            masked[name] = MASK if part is Part.WHOLE else self.tree(item)
            if part is Part.ENTRIES:
                masked[name] = part.hidden(masked[name])
        return masked

    # The two rules for what holds other values. Whatever is written goes by them: JSON texts,
    # captured values, the attributes of third parties.

    def hidden_entries(self, entries: Sequence[tuple[Any, Any]]) -> Mapping[int, Part]:
        """Return which entries of a mapping must not be written, by position.

        None of the code of the keys or the values is run.
        """
        # Almost no key is more than a known word: where all are, that is all there is to do.
        harmless = self.names.harmless
        for key, _ in entries:
            if type(key) is not str or key not in harmless:
                break
        else:
            return _NOTHING
        telling = [
            position
            for position, (key, _) in enumerate(entries)
            if type(key) is not str or key not in harmless
        ]
        hidden: dict[int, Part] = {}
        relative: list[int] = []
        for position in telling:
            key, value = entries[position]
            if type(key) is str and key == "content" and _is_a_message(entries):
                continue
            name = text_of(key)
            if name is None:
                continue
            verdict = self.names.verdict(name)
            if verdict is Verdict.RELATIVE:
                relative.append(position)
            elif verdict is Verdict.COUNTS and (type(value) is int or type(value) is float):
                continue
            elif self.names.hides(name, value):
                hidden[position] = Part.WHOLE
        if relative:
            self._look_beside(entries, relative, hidden)
        return hidden or _NOTHING

    def _look_beside(
        self, entries: Sequence[tuple[Any, Any]], relative: list[int], hidden: dict[int, Part]
    ) -> None:
        """Add those entries of which their neighbours say that they are secret."""
        names = [
            key.lower() if type(key) is str else (text_of(key) or "").lower() for key, _ in entries
        ]
        is_described = not patterns.LABEL_NAMES.isdisjoint(names) and any(
            name in patterns.LABEL_NAMES and self._is_label(entries[position][1])
            for position, name in enumerate(names)
        )
        for position in relative:
            name, value = names[position], entries[position][1]
            if value is None or value is True or value is False:
                continue
            if name in patterns.VALUE_NAMES:
                is_said = name.startswith("content") and not _OF_A_MESSAGE.isdisjoint(names)
                if is_described and not is_said:
                    hidden[position] = Part.WHOLE
            elif name in patterns.PASS_NAMES:
                if looks_like_a_password(value) or (
                    not patterns.USER_NAMES.isdisjoint(names) and _may_be_a_password(value)
                ):
                    hidden[position] = Part.WHOLE
            elif any(
                kind == "kind" and text_of(entries[place][1]) == "Secret"
                for place, kind in enumerate(names)
            ):  # of Kubernetes: any name may hold one
                hidden[position] = Part.ENTRIES

    def hidden_items(self, items: Sequence[Any], *, is_whole: bool = True) -> Mapping[int, str]:
        """Return what replaces which items of a sequence, by position.

        Args:
            items: the sequence, or a part of it.
            is_whole: it is all of the sequence, which may be a pair of a name and a value.
        """
        if not items:
            return _NOTHING
        if is_whole and len(items) == 2 and type(items[0]) is not dict:
            name = text_of(items[0])
            if (
                name is not None
                and issubclass(type(items[1]), (str, bytes))
                and _NAME.fullmatch(name) is not None
                and self._is_secret_name(name)
            ):
                return {1: MASK}
        for item in items:
            kind = type(item)
            if kind is int or kind is dict or kind is float or kind is list:
                continue  # sooner told than by its bases
            if (kind is str or issubclass(kind, str)) and str.startswith(item, "-"):
                return forms.hidden_arguments(
                    [text_of(word) for word in items], self._is_secret_name
                )
        return _NOTHING

    def _is_label(self, value: object) -> bool:
        """Return whether this is the name of a secret, in a description of it."""
        label = text_of(value)
        return (
            label is not None
            and _LABEL.fullmatch(label) is not None
            and self._is_secret_name(label)
            and not label.lower().endswith(patterns.NOT_A_NAME)
        )

    def _json_text(self, text: str) -> str | None:
        if len(text) > _LONGEST_JSON:
            return None
        try:
            value = orjson.loads(text)
            if type(value) not in (dict, list, str):
                return text
            masked = self.tree(value)
            return text if masked is value or masked == value else orjson.dumps(masked).decode()
        except (ValueError, TypeError, RecursionError):  # no JSON, or nested too deeply
            return None

    def _mask_bearer(self, match: re.Match[str]) -> str:
        scheme, space, value = match.groups()
        following = match.string[match.end() : match.end() + 1]
        is_assigned = value.endswith("=") and following in ("'", '"', "\\")
        if is_assigned and self.verdict(value.rstrip("=")) not in _NO_NAMES:
            return match.group()  # `bearer api_key="x"` is masked as an assignment
        if scheme.lower() == "basic":
            # "basic" is also an English word: what follows it must look like base64.
            mixed = any(c.isdigit() for c in value) or value.endswith("=")
            if not (len(value) >= 12 and mixed) and not forms.is_basic_credential(value):
                return match.group()
        elif value.rstrip(".").lower() in patterns.NOT_A_BEARER_TOKEN:
            return match.group()
        return f"{scheme}{space}{MASK}"


def _is_a_message(entries: Sequence[tuple[Any, Any]]) -> bool:
    for key, _ in entries:  # noqa: SIM110 - a plain loop is faster
        if type(key) is str and key in _OF_A_MESSAGE:
            return True
    return False


def _may_be_a_password(value: object) -> bool:
    """Return whether this could be the password of the user beside it."""
    text = text_of(value)
    return (
        text is not None
        and 0 < len(text) <= LONGEST_REMEMBERED
        and not any(map(str.isspace, text))
        and text.lower() not in _NO_PASSWORDS
    )


def _unescaped(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character.isalnum() or character == "_" else match.group()


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
