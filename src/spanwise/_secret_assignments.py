"""Find and mask what is assigned to secret names in a text: code, JSON, YAML, settings, forms."""

from __future__ import annotations

import re
from collections.abc import Callable

from spanwise import _secret_patterns as patterns
from spanwise._lazy_patterns import pattern
from spanwise._secret_forms import looks_random
from spanwise._secret_names import Verdict
from spanwise._secret_patterns import MASK, NO_SECRETS

_DEEP_QUOTE = pattern(r"(\\{4,31})([\"'])")
_ANYTHING = pattern(r"(?s).*")
_BEFORE_A_KEY = pattern(r"(?i)\b(?:api|access|auth|secret|private|refresh|bearer) $")
_NUMBER = pattern(r"[0-9][0-9.,_/%kKmMeE+\-]*")
_DIGIT = pattern(r"[0-9]")
# `ERROR: password = "x"` is read like `error: Token = "x"`, where a type stands.
_TYPE = pattern(r"(?!\w*(?:[Pp]assword|[Ss]ecret|[Cc]redential))[A-Za-z_.]*[A-Z][a-z]\w*")
# Of a value without quotes, what is looked at to tell a credential from prose. Bounded: the
# text behind a name that turned out to be harmless is looked at again.
_LOOKED_AT = 64
_GLANCE = 24
# Words of code and prose. Behind them nothing is masked where nothing like this follows: most
# texts with many of them are passed over by this alone.
_PLAIN = frozenset({"key", "token"})
_DULL = pattern(r"(?=[^0-9\"'`<\[({\\\n]{64}|[^0-9\"'`<\[({\\\n]{0,63}\Z)")
_QUOTES = "\"'\\"
_LONGEST_PASSWORD = 256


# Without any of these, `patterns.NAME` is nowhere: a text of plain sentences is not searched.
_SIGNS = (":", "=", "->", "<-", "\u2192", "\uff1a", "\uff1d")


def without_assigned(text: str, verdict_of: Callable[[str], Verdict]) -> str:
    """Return the text with the values that are assigned to secret names masked."""
    for sign in _SIGNS:
        if sign in text:
            break
    else:
        return text
    parts: list[str] = []
    done = position = 0
    scan = _Scan(text)
    while (match := patterns.NAME.search(text, position)) is not None:
        # Behind a harmless name, or in its value, there may be another.
        position = match.end()
        verdict = verdict_of(match[1])
        if verdict is Verdict.SAFE:
            if match[3] is not None and _TYPE.fullmatch(match[3]) is None:
                position = match.start(3)
            continue
        if verdict is Verdict.RELATIVE:
            found = scan.password(match) if match[1].lower() in patterns.PASS_NAMES else None
        elif (
            verdict is Verdict.SECRET
            and match[1] in _PLAIN
            and _DULL.match(text, position) is not None
            and not _is_of_an_address_or_two_words(match)
        ):
            continue
        else:
            found = scan.value(match, verdict)
        if found is None:
            continue
        position, pieces = found
        for start, end in pieces:
            parts += [text[done:start], MASK]
            done = end
    return "".join([*parts, text[done:]]) if parts else text


# Where to go on, and from where to where something has to be masked.
_Found = tuple[int, list[tuple[int, int]]]


class _Scan:
    """Finds the values of names in one text, from its beginning to its end.

    Args:
        text: what is looked at; each part of it once, or a bounded number of times.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        # How much may be looked at in brackets with nothing in them to mask: they may be nested.
        self._allowance = 2 * len(text) + 4096

    def value(self, name: re.Match[str], verdict: Verdict) -> _Found | None:
        """Return where to go on, and from where to where the value has to be masked."""
        text, start = self._text, name.end()
        first = text[start : start + 1]
        if first in _QUOTES and first:
            quoted = patterns.QUOTED.match(text, start) or _deeply_quoted(text, start)
            if quoted is not None:
                return self._quoted(quoted, verdict)
        elif first and first in "`<[({":
            apart = patterns.IN_BACKTICKS.match(text, start) or patterns.ANGLED.match(text, start)
            if apart is not None:
                if first == "`" and not _is_credential(name, verdict, start + 1, apart.end(1)):
                    return None
                return self._judged(*apart.span(1), verdict, apart.end())
        if (
            verdict is not Verdict.COUNTS
            and first
            and (within := self._bracketed(name)) is not None
        ):
            return within
        if ":" in name[2] and verdict is not Verdict.COUNTS:
            below = self._below(name)
            if below is not None:
                return below
        if not _is_credential(name, verdict, start):
            return None
        bare = patterns.UNQUOTED.match(text, start)
        if bare is None:
            return None
        end = bare.end()
        if _is_a_line_of_settings(name):
            rest = patterns.SETTING.match(text, start)
            end = max(end, rest.end()) if rest is not None else end
        return self._judged(start, end, verdict, end)

    def password(self, name: re.Match[str]) -> _Found | None:
        """Find what is assigned to `pass`, where it has letters and digits."""
        text, start = self._text, name.end()
        quoted = patterns.QUOTED.match(text, start)
        if quoted is not None:
            opening = _opening_quote(quoted.group())
            value = quoted.group().strip("\\\"'")
            if len(value) < 2 or not looks_random(value):
                return None
            first = start + len(opening)
            return self._judged(first, first + len(value), Verdict.ALWAYS, quoted.end())
        bare = patterns.UNQUOTED.match(text, start, start + _LONGEST_PASSWORD)
        if bare is None:
            return None
        value = bare.group()
        is_result = "=" not in name[2] and (name[1].isupper() or "_" in value or "-" in value)
        if len(value) < 6 or is_result or not looks_random(value):
            return None
        return self._judged(start, bare.end(), Verdict.ALWAYS, bare.end())

    def _quoted(self, quoted: re.Match[str], verdict: Verdict) -> _Found | None:
        opening = _opening_quote(quoted.group())
        if len(opening) == 1 and opening * 3 == quoted.group()[:3]:
            opening *= 3
        first, last = quoted.start() + len(opening), quoted.end()
        if last - first >= len(opening) and quoted.group().endswith(opening):
            last -= len(opening)
        return self._strings(first, last, opening, quoted.end(), verdict)

    def _strings(
        self, first: int, last: int, opening: str, end: int, verdict: Verdict
    ) -> _Found | None:
        """Judge a string, with those that are joined to it and the lines that belong to it."""
        text = self._text
        if last == end and len(opening) == 1 and text[end : end + 1] in ("\r", "\n"):
            more = patterns.CONTINUED[opening].match(text, end)
            if more is not None:
                last, end = more.end() - 1, more.end()
        found = self._judged(first, last, verdict, end)
        if verdict is Verdict.COUNTS or last == end or "\\" in opening:
            return found
        pieces = [] if found is None else found[1]
        while (joint := patterns.ADJACENT.match(text, end)) is not None:
            string = patterns.QUOTED.match(text, joint.end())
            if string is None:
                break
            quote = string.group()[0]
            span = (joint.end() + 1, string.end() - string.group()[1:].endswith(quote))
            if text[slice(*span)] not in ("", MASK):
                pieces.append(span)
            end = string.end()
        return (end, pieces) if pieces else found

    def _judged(self, start: int, end: int, verdict: Verdict, then: int) -> _Found | None:
        bare = self._text[start:end].strip("\\\"'")
        if not bare or bare == MASK or bare in NO_SECRETS:
            return None
        if verdict is Verdict.COUNTS and _NUMBER.fullmatch(bare):
            return None
        return then, [(start, end)]

    def _bracketed(self, name: re.Match[str]) -> _Found | None:
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

    def _below(self, name: re.Match[str]) -> _Found | None:
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


def _is_credential(
    name: re.Match[str], verdict: Verdict, start: int, end: int | None = None
) -> bool:
    """Tell `api_key=x` from the prose of `key: the main point` and from `key=len`."""
    text, kind = name.string, name[1].lower()
    is_plain = kind in ("key", "token")
    limit = start + _LOOKED_AT
    limit = limit if end is None or limit < end else end
    # Most often: `key=len`. What tells it apart all the same is before it.
    is_doubtful = verdict is Verdict.COUNTS or (
        is_plain and not _is_of_an_address_or_two_words(name)
    )
    if is_doubtful and _DIGIT.search(text, start, limit) is None:
        return False
    is_assigned = "=" in name[2]
    if not is_assigned and kind.endswith(patterns.NOT_A_NAME):
        return False
    found = patterns.UNQUOTED.match(text, start, limit)
    if found is None:
        return False
    if is_assigned and _before(name, 1) in ("?", "&"):
        return True
    stop = found.end()
    has_digit = _DIGIT.search(text, start, stop) is not None
    value = found.group()
    if _before(name, 3) == "://" or patterns.VERSION_OR_PORT.fullmatch(value):
        return False
    word = value.strip("*_`").rstrip(".!?")
    if has_digit and stop - start >= 6:
        return is_assigned or patterns.NAMES_A_FORM.fullmatch(word) is None
    if is_plain and _BEFORE_A_KEY.search(_before(name, 12)) is not None:
        is_plain = False  # `API key: x`
    if verdict is Verdict.COUNTS or is_plain:
        return False
    if is_assigned:
        return True
    # In prose more words follow.
    rest = text[stop : stop + _LOOKED_AT if end is None else end].splitlines()
    is_alone = not rest or not rest[0].strip() or not rest[0][0].isspace()
    is_said = word.lower() in patterns.NOT_A_VALUE or patterns.NAMES_A_FORM.fullmatch(word)
    return is_alone and stop - start >= 4 and not is_said


def _is_of_an_address_or_two_words(name: re.Match[str]) -> bool:
    start = name.start()
    before = name.string[start - 1 : start] if start else ""
    if before == " ":
        return _BEFORE_A_KEY.search(name.string, max(0, start - 12), start) is not None
    return before in ("?", "&")


def _before(name: re.Match[str], length: int) -> str:
    return name.string[max(0, name.start() - length) : name.start()]
