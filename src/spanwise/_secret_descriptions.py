"""Values that stand apart from their secret names: descriptions, nested lines, tables, calls.

`{name: password, value: x}` in any notation, YAML below a name, a row of a table, a row that is
inserted, an argument of `setPassword`. Each function is linear: what a pattern can look at is
bounded, or is passed over for good.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from spanwise._lazy_patterns import pattern
from spanwise._secret_forms import IsSecret, looks_random
from spanwise._secret_patterns import (
    LABEL_NAMES,
    MASK,
    NO_SECRETS,
    NOT_A_NAME,
    NOT_A_VALUE,
    PLAIN_NAMES,
    VALUE_NAMES,
)

_QUOTE = r"\\{0,15}[\"']"
# A string, in JSON within a text too; it may be cut short.
_STRING = pattern(rf"[bBfFrRuU]{{0,2}}({_QUOTE})((?:(?!\1)[^\n])*)")
_BARE = pattern(r"[^\s,;)\]}\"'\\][^\n,;)\]}\"'\\]*")


def _one_of(names: frozenset[str]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


# --- a name and a value, side by side ----------------------------------------------------------

_DESCRIBED = pattern(
    rf"(?i)(?<![\w.\-])(?:{_one_of(LABEL_NAMES)})(?:{_QUOTE})?[ \t]{{0,4}}[:=][ \t]{{0,4}}"
    rf"({_QUOTE})?([\w.:\-]{{1,80}})(?(1)\1|(?![\w.:\-]))[ \t]{{0,4}}"
    r"(?:&|,\s{0,40}|(?:\r?\n|\\{1,7}n)[ \t]{0,40})"
    rf"(?:{_QUOTE})?({_one_of(VALUE_NAMES)})(?:{_QUOTE})?[ \t]{{0,4}}[:=][ \t]{{0,4}}[(\[]?"
)
_ROLE = pattern(r"\b(?:role|tool_call_id)\b")


def without_described(text: str, is_secret: IsSecret) -> str:
    """Mask the value in `name: password`, `value: x`: YAML, the `repr` of records, cut JSON."""
    parts: list[str] = []
    done = 0
    for match in _DESCRIBED.finditer(text):
        start = match.end()
        if start < done or not is_secret(match[2]) or match[2].lower().endswith(NOT_A_NAME):
            continue
        if match[3].lower().startswith("content") and _ROLE.search(text, *_around(match)):
            continue  # of a message, whose name is a tool's
        found = _STRING.match(text, start)
        span = found.span(2) if found is not None else None
        if span is None:
            bare = _BARE.match(text, start)
            span = bare.span() if bare is not None else None
        if span is None or text[slice(*span)].strip() in ("", MASK) or _is_no_value(text, span):
            continue
        parts += [text[done : span[0]], MASK]
        done = span[1]
    return "".join([*parts, text[done:]]) if parts else text


def _around(match: re.Match[str]) -> tuple[int, int]:
    return max(0, match.start() - 80), match.end()


def _is_no_value(text: str, span: tuple[int, int]) -> bool:
    return text[slice(*span)].strip() in NO_SECRETS


# --- YAML --------------------------------------------------------------------------------------

_ALONE = pattern(
    r"(?m)^([ \t]{0,80})(?:-[ \t]{1,4})?[\"']?([\w.\-]{1,80})[\"']?:[ \t]{0,8}(?:#[^\n]*)?\r?\n"
)
_ENTRY = pattern(
    r"([ \t]*)(?:-[ \t]{1,4})?[\"']?([\w.\-]{1,80})[\"']?:[ \t]{1,8}([^\s|>&{\[#][^\n]*)"
)
_LINE = pattern(r"([ \t]*)[^\n]*(?:\n|\Z)")
_MOST_LINES = 64
_OF_A_SECRET = frozenset({"data", "stringData"})


def without_nested(text: str, is_secret: IsSecret) -> str:
    """Mask what is written below a secret name in YAML, and the data of Kubernetes' secrets."""
    is_secret_of_kubernetes = "kind: Secret" in text
    parts: list[str] = []
    done = 0
    for match in _ALONE.finditer(text):
        name = match[2]
        hides_all = is_secret_of_kubernetes and name in _OF_A_SECRET
        if match.start() < done or not (hides_all or is_secret(name)):
            continue
        position = match.end()
        for _ in range(_MOST_LINES):
            line = _LINE.match(text, position)
            if line is None or position >= len(text):
                break
            if len(line[1]) <= len(match[1]) and line.group().strip():
                break
            entry = _ENTRY.match(text, position)
            position = line.end()
            if entry is None:
                continue
            value = entry[3].strip().strip("\"'")
            if value in ("", MASK) or not (hides_all or _is_held(name, entry[2], value)):
                continue
            quotes = len(entry[3]) - len(entry[3].lstrip("\"'"))
            start, end = entry.start(3) + quotes, entry.start(3) + quotes + len(value)
            parts += [text[done:start], MASK]
            done = end
    return "".join([*parts, text[done:]]) if parts else text


def _is_held(above: str, name: str, value: str) -> bool:
    """Return whether what is below a secret's name is the secret, and not what is said of it."""
    if value in NO_SECRETS or value.lower() in NOT_A_VALUE:
        return False
    if name.lower() in VALUE_NAMES and above.lower() not in PLAIN_NAMES:
        return " " not in value
    return len(value) >= 8 and looks_random(value)


# --- tables --------------------------------------------------------------------------------------

_CELL = pattern(
    r"\|[ \t]{0,40}[*`]{0,2}([\w.\-]{1,60}(?: [\w.\-]{1,40}){0,2})[*`]{0,2}:?[*]{0,2}[ \t]{0,40}"
    r"(?=\|[ \t]{0,40}[*`]{0,2}([^\s|*`][^\s|`]{0,200}?)[*`]{0,2}[ \t]{0,40}(?:\||\r?\n|\\|\"|\Z))"
)
_MEASURED = pattern(r"[~<>=]{0,2}[\d.,:/\-]+[a-zA-Z%µ]{0,3}")


def without_cells(text: str, is_secret: IsSecret) -> str:
    """Mask the cell behind one with a secret's name, where it has letters and digits."""
    parts: list[str] = []
    done = 0
    for match in _CELL.finditer(text):
        name, value = match[1], match[2]
        if match.start(2) < done or value == MASK or _MEASURED.fullmatch(value):
            continue
        least = 6 if name.lower() in PLAIN_NAMES else 2
        if len(value) < least or not looks_random(value) or not is_secret(name):
            continue
        if name.lower().endswith(NOT_A_NAME):
            continue
        parts += [text[done : match.start(2)], MASK]
        done = match.end(2)
    return "".join([*parts, text[done:]]) if parts else text


# --- SQL -----------------------------------------------------------------------------------------

_INSERTED = pattern(
    r"(?i)\b(?:insert|replace)\s{1,4}(?:ignore\s{1,4})?into\s{1,4}[^\s()]{1,128}\s{0,4}"
    r"\(([^()]{1,2000})\)\s{0,8}values?\s{0,8}(?=\()"
)
_IN_A_ROW = pattern(
    r"(\\{0,15})('(?:[^'\n\\]|'')*\\{0,15}'?|\"[^\"\n\\]*\\{0,15}\"?)|([(),;])|([^\s(),;'\"\\]+)"
)
_PLACEHOLDER = pattern(r"(?i)\?|%\(?\w*\)?s?|[:$@]\w+|null|default|true|false")


def without_inserted(text: str, is_secret: IsSecret) -> str:
    """Mask the values of the secret columns of `INSERT INTO users (name, password) VALUES ...`."""
    parts: list[str] = []
    done = 0
    for match in _INSERTED.finditer(text):
        columns = [column.strip(" \t\r\n\"'`[]\\") for column in match[1].split(",")]
        secret = {number for number, name in enumerate(columns) if is_secret(name)}
        if not secret or match.start() < done:
            continue
        position, depth, column = match.end(), 0, 0
        while (token := _IN_A_ROW.search(text, position)) is not None:
            position = token.end()
            if token[3] == "(":
                depth += 1
                column = 0 if depth == 1 else column
            elif token[3] == ")":
                depth -= 1
            elif token[3] == ",":
                column += depth == 1
            elif token[3] == ";":
                break
            elif depth == 0:
                break  # the statement goes on otherwise
            elif column in secret:
                start, end = token.span()
                if token[2]:
                    start, end = token.start(2) + 1, _end_of(token)
                elif _PLACEHOLDER.fullmatch(token[4]):
                    continue
                if text[start:end] not in ("", MASK):
                    parts += [text[done:start], MASK]
                    done = end
    return "".join([*parts, text[done:]]) if parts else text


def _end_of(token: re.Match[str]) -> int:
    """Return where the string ends, without its quote and what escapes it."""
    held = token[2]
    if len(held) > 1 and held.endswith(held[0]):
        return token.start(2) + len(held[:-1].rstrip("\\"))
    return token.end(2)


# --- calls ---------------------------------------------------------------------------------------

_CALL = pattern(
    r"(?<![\w$])(?<!\bdef )([A-Za-z_]\w{1,80})\(\s{0,8}"
    rf"(?=(?:\w{{1,40}}[ \t]{{0,4}}=[ \t]{{0,4}})?[bBfFrRuU]{{0,2}}{_QUOTE})"
)
_ARGUMENT = pattern(
    rf"(?:(\w{{1,40}})[ \t]{{0,4}}=[ \t]{{0,4}})?[bBfFrRuU]{{0,2}}({_QUOTE})((?:(?!\2)[^\n]){{0,2000}})(\2)?"
    r"[ \t]{0,4}(,\s{0,40})?"
)
_SETTER = pattern(r"(?:set|with|use|put|reset|change|update|assign)(?=_|[A-Z])_?(\w+)")
_HOLDER = pattern(
    r"[A-Z]\w*(?:Secret|SecretStr|SecretBytes|SecretString|Password|Credentials?|A[Pp][Ii]Key|Auth"
    r"|(?:Access|Bearer|Auth|Refresh|A[Pp][Ii]|Secret)Token)|(?:Plain)?(?:Secret|Password)"
    r"|Secret(?:Str|Bytes|String|Value)"
)
# Methods of builders, without what separates their words.
_BUILDERS = frozenset(
    """
    password passwd pwd passphrase secret secretkey clientsecret apikey accesskey secretaccesskey
    accesstoken authtoken bearertoken refreshtoken apitoken basicauth bearerauth
    """.split()
)
_MOST_ARGUMENTS = 4


def without_call_arguments(text: str, is_secret: IsSecret) -> str:
    """Mask the strings given to `setPassword`, `Secret` and a builder's `.password`."""
    parts: list[str] = []
    done = 0
    for match in _CALL.finditer(text):
        name = match[1]
        judge = _judge_of(text, match, name, is_secret) if match.start() >= done else None
        if judge is None:
            continue
        position = match.end()
        for _ in range(_MOST_ARGUMENTS):
            argument = _ARGUMENT.match(text, position)
            if argument is None:
                break
            value, keyword = argument[3], argument[1]
            is_named = keyword is not None and keyword.strip("_").lower() not in _KEYWORDS
            if value not in ("", MASK) and not is_named and judge(value):
                parts += [text[done : argument.start(3)], MASK]
                done = argument.end(3)
            position = argument.end()
            if argument[5] is None:
                break
    return "".join([*parts, text[done:]]) if parts else text


_KEYWORDS = VALUE_NAMES | {"secret_value", "plain", "raw", "text", "literal"}


def _judge_of(
    text: str, match: re.Match[str], name: str, is_secret: IsSecret
) -> Callable[[str], bool] | None:
    """Return what says whether a string that this function is given is a secret, if any does."""
    setter = _SETTER.fullmatch(name)
    if setter is not None and is_secret(setter[1]):
        return _is_random if setter[1].lower() in PLAIN_NAMES else _is_one_word
    if _HOLDER.fullmatch(name):
        return _is_one_word
    is_method = text[match.start() - 1 : match.start()] == "."
    if is_method and name.replace("_", "").lower() in _BUILDERS:
        return _is_one_word
    return None


def _is_one_word(value: str) -> bool:
    return not any(map(str.isspace, value)) and not value.endswith(":")


def _is_random(value: str) -> bool:
    return len(value) >= 6 and _is_one_word(value) and looks_random(value)
