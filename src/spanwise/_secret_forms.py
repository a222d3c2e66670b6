"""The forms in which texts give a value to a name, other than an assignment.

Command lines, markup, pairs, form data, SQL and sentences. Each function replaces the values of
the names that `is_secret` says yes to. Each is linear: what a pattern can look at is bounded, ends
at what begins its next match, or is passed over for good.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote, unquote

from spanwise._lazy_patterns import pattern
from spanwise._secret_patterns import (
    MASK,
    NAMES_A_FORM,
    NOT_A_NAME,
    VALUE_NAMES,
    VERSION_OR_PORT,
)

IsSecret = Callable[[str], bool]

_QUOTE = r"\\{0,15}[\"']"
_LINE_END = r"(?:\r?\n|\\{1,7}r\\{1,7}n|\\{1,7}n)"

# --- command lines ---------------------------------------------------------------------------

_FLAG = pattern(r"-{1,2}[A-Za-z][\w.\-]{1,80}")
_FLAG_AND_VALUE = pattern(
    r"(?<![\w\-.])(-{1,2}[A-Za-z][\w.\-]{1,80})([ \t]{1,8})"
    rf"((?:{_QUOTE})?)((?<=[\"'])[^\"'\\\n]+|[^\s\"'\\`<>\[\](){{}}|]+)"
)
_FLAG_IN_LIST = pattern(
    rf"({_QUOTE})(-{{1,2}}[A-Za-z][\w.\-]{{1,80}})(\1\s{{0,4}},\s{{0,4}})({_QUOTE})"
    r"((?:(?!\4)[^\n])*)"
)
# Programs whose short options carry a password; what follows on their line is theirs.
_PROGRAM_LINE = pattern(
    r"(?<![\w\-.])(?:curl|wget|https?(?=[ \t]-)|sshpass|mysql\w{0,20}|mariadb\w{0,20}|mongosh?"
    r"|redis-cli|ldap[a-z]{1,12}|docker|podman|helm|oc)(?:[ \t][^\n]*)"
)
_WORD = pattern(r"\"[^\"\n]*\"?|'[^'\n]*'?|[^\s\"']+")
_SWITCH = ("no-", "use-", "with-", "without-", "disable-", "enable-", "skip-", "require-", "has-")
_USER_FLAGS = frozenset({"-u", "--user", "-U", "--proxy-user", "--basic-auth"})
_NAMES_A_USER = pattern(r"[^\s:/]{0,128}:(?!//)(\S{1,512})")
# Of these `-u` is a user and a group, or something else altogether.
_OTHER_USERS = frozenset(
    {"docker", "podman", "kubectl", "chown", "git", "sudo", "su", "ps", "sort"}
)
_MYSQL = ("mysql", "mariadb")
_PASSWORD_FLAGS = {"sshpass": "-p", "redis-cli": "-a", "mongo": "-p", "mongosh": "-p"}
_FIRST_WORDS = 8  # among which the command of a program is
_LOGIN_PROGRAMS = frozenset({"docker", "podman", "helm", "oc"})
# What follows the name of an option in a sentence about it.
_NOT_AN_ARGUMENT = frozenset(
    """
    a an and are argument arguments as at but by can cannot does either flag flags for from has
    if in instead into is it may must not of on only option options or parameter parameters
    requires set setting should so switch than that the then this to together twice unless used
    value values via was when where which will with without would
    """.split()
)
_PLACEHOLDERS = frozenset({"VALUE", "STRING", "TEXT", "STR", "TOKEN", "KEY", "PASSWORD", "SECRET"})


def hidden_arguments(words: Sequence[object], is_secret: IsSecret) -> dict[int, str]:
    """Return what replaces which of the words of a command line, by position."""
    hidden: dict[int, str] = {}
    program = words[0].rpartition("/")[2] if words and type(words[0]) is str else ""
    before: object = None
    for position, word in enumerate(words):
        flag, before = before, word
        if type(word) is not str or word == MASK or not word:
            continue
        if word.startswith("-p") and program.startswith(_MYSQL) and word[2:3] not in ("", "="):
            if "port" not in word and word != f"-p{MASK}":
                hidden[position] = f"-p{MASK}"
            continue
        if type(flag) is not str or not flag.startswith("-") or _FLAG.fullmatch(word):
            continue
        if _takes_a_secret(flag, is_secret):
            hidden[position] = MASK
        elif flag in _USER_FLAGS and program not in _OTHER_USERS:
            user = _NAMES_A_USER.fullmatch(word)
            if user is not None and user[1] != MASK and not _is_group(word):
                hidden[position] = f"{word[: user.start(1)]}{MASK}"
        elif _PASSWORD_FLAGS.get(program) == flag or (
            flag == "-p" and program in _LOGIN_PROGRAMS and "login" in words[:_FIRST_WORDS]
        ):
            hidden[position] = MASK
    return hidden


def _takes_a_secret(flag: str, is_secret: IsSecret) -> bool:
    if _FLAG.fullmatch(flag) is None or flag.endswith(("-stdin", "-file", "-path")):
        return False
    name = flag.lstrip("-")
    return not name.startswith(_SWITCH) and is_secret(name)


def _is_group(word: str) -> bool:
    return all(part.isdigit() for part in word.split(":"))


def without_arguments(text: str, is_secret: IsSecret) -> str:
    """Mask the arguments of options in command lines, and in lists of arguments as text."""

    def of_flag(match: re.Match[str]) -> str:
        flag, space, opening, value = match.groups()
        if (
            value == MASK
            or value.startswith(("-", "$", "="))
            or not _takes_a_secret(flag, is_secret)
        ):
            return match.group()
        if not opening:
            bare = value.rstrip(".,;:!?")
            is_named = bare.isupper() and (
                bare in _PLACEHOLDERS or bare.lower().replace("_", "-") in flag.lower()
            )
            if bare.lower() in _NOT_AN_ARGUMENT or is_named or bare == MASK or not bare:
                return match.group()
            return f"{flag}{space}{MASK}{value[len(bare) :]}"
        return f"{flag}{space}{opening}{MASK}"

    def of_list(match: re.Match[str]) -> str:
        flag, value = match[2], match[5]
        if value in ("", MASK) or _FLAG.fullmatch(value) or not _takes_a_secret(flag, is_secret):
            return match.group()
        return f"{match[1]}{flag}{match[3]}{match[4]}{MASK}"

    if '"' in text or "'" in text:
        text = _FLAG_IN_LIST.sub(of_list, text)
    return _FLAG_AND_VALUE.sub(of_flag, text)


def without_program_arguments(text: str, is_secret: IsSecret) -> str:
    """Mask `curl -u user:password` and its like, where the program says what an option is."""

    def of_line(line: re.Match[str]) -> str:
        whole = line.group()
        found = list(_WORD.finditer(whole))
        hidden = hidden_arguments([word.group().strip("\"'") for word in found], is_secret)
        if not hidden:
            return whole
        parts, done = [], 0
        for position, replacement in hidden.items():
            word = found[position]
            opening = word.group()[0] if word.group()[0] in "\"'" else ""
            parts += [whole[done : word.start()], opening, replacement, opening]
            done = word.end()
        return "".join([*parts, whole[done:]])

    return _PROGRAM_LINE.sub(of_line, text)


# --- markup ----------------------------------------------------------------------------------

_ELEMENT = pattern(
    r"(?<!\w)<(?:[\w.\-]{1,80}:)?([\w.\-]{1,80})(\s[^<>]*)?>"
    r"(\s*<!\[CDATA\[)?([^<]*)(?=</|\]\]>|(<)|\Z)"
)
_ESCAPED_ELEMENT = pattern(
    r"&lt;(?:[\w.\-]{1,80}:)?([\w.\-]{1,80})((?:\s(?:(?!&[lg]t;)[^<>])*)?)&gt;((?:(?!&lt;)[^<])*)"
)
_LABEL = pattern(
    rf"(?i)\b(?:name|key|type|property)\s{{0,4}}=\s{{0,4}}({_QUOTE})([\w.:\- ]{{1,80}})\1"
)
_VALUE = pattern(rf"(?i)(\b(?:value|content|val)\s{{0,4}}=\s{{0,4}})({_QUOTE})((?:(?!\2)[^<>])+)")
# A name between tags, and what is between the next ones.
_SHOWN_NAME = pattern(
    r">\s{0,8}([\w.\-]{1,80}(?: [\w.\-]{1,40})?):?\s{0,8}</(\w{1,20})>:?\s{0,40}"
    r"(?:<(\w{1,20})(?:\s[^<>]{0,200})?>\s{0,8}){0,2}([^<>\s\\\"]{2,400})(?=[\s<\\\"]|\Z)"
)
_PROPERTY = pattern(
    r"(<key>\s{0,40}([^<]{1,80}?)\s{0,40}</key>\s{0,80}<(?:string|integer|data)>)([^<]+)"
)
# Of these the text is what a reader sees beside the field.
_SHOWN = frozenset(
    "a button label form section div span th td tr li p option html body fieldset legend".split()
)


def without_elements(text: str, is_secret: IsSecret) -> str:
    """Mask the text of elements, and the values of attributes, of XML and HTML."""

    def of_element(match: re.Match[str]) -> str:
        name, attributes, _, content, opened = match.groups()
        whole = match.group()
        if attributes and any(is_secret(label[2]) for label in _LABEL.finditer(attributes)):
            masked = _VALUE.sub(rf"\1\2{MASK}", attributes)
            start = match.start(2) - match.start()
            whole = whole[:start] + masked + whole[start + len(attributes) :]
            hides = name.lower() not in _SHOWN
        else:
            hides = is_secret(name)
        if not hides or opened is not None or not content.strip() or content.strip() == MASK:
            return whole
        # A type parameter such as `<Token>` in source code has no closing tag.
        rest = text[match.end() : match.end() + 180]
        if rest and not re.match(
            rf"(?:\]\]>\s{{0,40}})?</(?:[\w.\-]{{1,80}}:)?{re.escape(name)}", rest
        ):
            return whole
        return whole[: len(whole) - len(content)] + MASK

    def of_escaped(match: re.Match[str]) -> str:
        name, _, content = match.groups()
        if not content.strip() or content == MASK or not is_secret(name):
            return match.group()
        return match.group()[: len(match.group()) - len(content)] + MASK

    def of_shown(match: re.Match[str]) -> str:
        name, _, tag, value = match.groups()
        is_value = tag is not None and tag.lower() in VALUE_NAMES
        if value == MASK or not (is_value or (len(value) >= 6 and looks_random(value))):
            return match.group()
        if not is_secret(name) or name.lower().endswith(NOT_A_NAME):
            return match.group()
        return f"{match.group()[: -len(value)]}{MASK}"

    def of_property(match: re.Match[str]) -> str:
        return f"{match[1]}{MASK}" if is_secret(match[2]) else match.group()

    if "<" in text:
        if "<key>" in text:
            text = _PROPERTY.sub(of_property, text)
        text = _ELEMENT.sub(of_element, text)
        if "</" in text:
            text = _SHOWN_NAME.sub(of_shown, text)
    if "&lt;" in text:
        text = _ESCAPED_ELEMENT.sub(of_escaped, text)
    return text


# --- pairs, forms, SQL -----------------------------------------------------------------------

_PAIR = pattern(
    rf"([(\[]\s{{0,4}}[bBrRuU]{{0,2}}({_QUOTE})([\w.:\-]{{1,80}})\2\s{{0,4}},\s{{0,4}}[bBrRuU]{{0,2}})"
    rf"({_QUOTE})((?:(?!\4)[^\n])+)(?=\4\s{{0,4}},?\s{{0,4}}[)\]])"
)
_FORM_FIELD = pattern(
    rf"(\bname=\\{{0,15}}\"([\w.:\-\[\]]{{1,80}})\\{{0,15}}\"[^\r\n\\]{{0,400}}"
    rf"(?:{_LINE_END}[^\r\n\\]{{1,400}}){{0,4}}{_LINE_END}{_LINE_END})"
    rf"((?:(?!{_LINE_END}--)[^\"])+)"
)
_SQL_STRING = r"('(?:[^'\n]|'')*'?|\\{0,15}\"[^\"\n\\]*\\{0,15}\"?)"
_SQL_PASSWORD = pattern(
    r"(?i)((?:(?-i:\bIDENTIFIED)|\b(?:user|role)[ \t]{1,4}\S{1,128}[ \t]{1,4}identified)"
    r"[ \t]{1,4}(?:with[ \t]{1,4}\S{1,64}[ \t]{1,4})?(?:by|as)[ \t]{1,4}"
    r"(?:password[ \t]{1,4})?|\bpassword[ \t]{0,4}\([ \t]{0,4}"
    rf"|\bset[ \t]{{1,4}}password[ \t]{{1,4}}for[ \t]{{1,4}}\S{{1,128}}[ \t]{{0,4}}=[ \t]{{0,4}}){_SQL_STRING}"
)
_SQL_WORD = pattern(r"(\bIDENTIFIED[ \t]{1,4}BY[ \t]{1,4})([^\s'\";\\*][^\s'\";\\]*)")
# Of a `.netrc` file, and of a Dockerfile.
_LOGIN = pattern(r"(\blogin[ \t]{1,4}\S{1,128}\s{1,8}password[ \t]{1,4})(?!\*\*\*)(\S+)")
_SET = pattern(
    r"(?m)^([ \t]{0,16}(?:ENV|ARG|setenv)[ \t]{1,4}([A-Z][A-Z0-9_]{1,80})[ \t]{1,4})([^\s\"']+)"
)
# Of a server's settings, and of programs that are told one: `config set api_key x`.
_REQUIRED = pattern(r"(\b(?:requirepass|masterauth)[ \t]{1,8}[\"']?)([^\s\"'\\]+)")
_TOLD = pattern(
    r"(\bsetx?[ \t]{1,4}[\"']?((?://)?[\w.:/\-]{1,120})[\"']?[ \t]{1,4}[\"']?)([^\s\"'\\;]{6,200})"
)
_LEVEL = pattern(r"(\b(?:secret|password)[ \t]{1,4}[0-9][ \t]{1,4})([^\s\"'\\;]{6,200})")
_SECURE = pattern(
    rf"(?i)(\bConvertTo-SecureString[ \t]{{1,4}}(?:-String[ \t]{{1,4}})?({_QUOTE}))((?:(?!\2)[^\n])+)"
)
_SQL_NAME = pattern(
    r"((?<![\w.\-])(?:(?i:\w{0,40}(?:password|passwd|pwd))|[A-Z][A-Z0-9_]{2,80})[ \t]{1,4})"
    r"('(?:[^'\n]|'')*'?)"
)


def without_pairs(text: str, is_secret: IsSecret) -> str:
    """Mask the second of two strings in brackets of which the first is a secret's name."""

    def of_pair(match: re.Match[str]) -> str:
        if match[5] == MASK or not is_secret(match[3]):
            return match.group()
        return f"{match[1]}{match[4]}{MASK}"

    return _PAIR.sub(of_pair, text)


def without_form_fields(text: str, is_secret: IsSecret) -> str:
    """Mask the fields of a multipart form."""

    def of_field(match: re.Match[str]) -> str:
        return f"{match[1]}{MASK}" if is_secret(match[2]) else match.group()

    return _FORM_FIELD.sub(of_field, text)


def without_sql_passwords(text: str, is_secret: IsSecret) -> str:
    """Mask `PASSWORD 'x'`, `IDENTIFIED BY 'x'` and options such as `SECRET 'x'`."""

    def of_name(match: re.Match[str]) -> str:
        return f"{match[1]}'{MASK}'" if is_secret(match[1].strip()) else match.group()

    lowered = text.lower()
    # A look for a word spares most texts the search; (?i) takes more letters for an "s" than these.
    if "identified" in lowered or "password" in lowered or not text.isascii():
        text = _SQL_PASSWORD.sub(rf"\1'{MASK}'", text)
        text = _SQL_WORD.sub(rf"\1{MASK}", text)
    if " '" in text or "\t'" in text:
        text = _SQL_NAME.sub(of_name, text)
    return text


SETTING_WORDS: Final = (
    "login",
    "masterauth",
    "requirepass",
    "ENV",
    "ARG",
    "set",
    "ecret ",
    "assword ",
    "ecureString",
)


def without_settings(text: str, is_secret: IsSecret) -> str:
    """Mask `login jane password x` and `ENV API_KEY x`."""

    def of_setting(match: re.Match[str]) -> str:
        return f"{match[1]}{MASK}" if is_secret(match[2]) else match.group()

    def of_told(match: re.Match[str]) -> str:
        name = match[2].rpartition(":")[2]
        if match[3] == MASK or not looks_random(match[3]) or not is_secret(name):
            return match.group()
        return f"{match[1]}{MASK}"

    def of_level(match: re.Match[str]) -> str:
        return f"{match[1]}{MASK}" if looks_random(match[2]) else match.group()

    text = _LOGIN.sub(rf"\1{MASK}", text)
    if "requirepass" in text or "masterauth" in text:
        text = _REQUIRED.sub(rf"\1{MASK}", text)
    if "set" in text:
        text = _TOLD.sub(of_told, text)
    if "ecret " in text or "assword " in text:
        text = _LEVEL.sub(of_level, text)
    if "ecureString" in text:
        text = _SECURE.sub(rf"\1{MASK}", text)
    return _SET.sub(of_setting, text)


# --- sentences, encodings --------------------------------------------------------------------

_STATED = pattern(
    r"(?i)((?<![\w\-])(?:passwords?|passwd|pwd|passphrase|passcode|(?:api |access |auth |bearer |secret )?token"
    r"|(?:api|access|secret|private|auth)[ _-]?key|secret|credentials?)"
    r"[ \t]{1,3}(?:is|was|are|(?:(?:is |was |has been )?(?:set|changed|reset|updated) )?to)(?:[ \t]?:)?[ \t]{1,3}[*\"'`]{0,2})"
    r"([^\s\"'`]{6,200})"
)
_MIXED = pattern(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[^\s/()<>{}\[\]]+")
_LOOKS_RANDOM = pattern(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9_+/=.!@#$%^*~\-]+")
_NAMES_A_FORM = pattern(
    r"(?i)base ?\d|sha-?\d|utf-?\d|oauth|md5|aes-?\d|rsa-?\d|\d{4}-\d\d|\d+[.\-]?[a-z]+s?$|v\d"
)
_ENCODED = pattern(r"[\w.\-~%+*]+")
_DEEPEST_ENCODING = 3
STATING_WORDS: Final = (" is", " are", " was", " to")


def without_stated(text: str) -> str:
    """Mask `the password is hunter2`, where what is stated is no word of a sentence."""

    def of_statement(match: re.Match[str]) -> str:
        value = match[2].rstrip(".,;:!?)")
        parts = value.split("-")
        telling = sum(any(c.isdigit() for c in part) for part in parts)
        if (
            _LOOKS_RANDOM.fullmatch(value) is None
            or _NAMES_A_FORM.match(value)
            or (len(parts) > 1 and telling < 2 and not match[1].lower().startswith("pass"))
            or ("." in value.strip(".") and "/" in value)
        ):
            return match.group()
        return f"{match[1]}{MASK}{match[2][len(value) :]}"

    return _STATED.sub(of_statement, text)


def looks_random(value: str) -> bool:
    """Return whether this is one word of letters and digits that names nothing known."""
    return (
        _MIXED.fullmatch(value) is not None
        and NAMES_A_FORM.fullmatch(value) is None
        and VERSION_OR_PORT.fullmatch(value) is None
    )


def without_encoded(text: str, mask: Callable[[str], str]) -> str:
    """Mask what stands percent-encoded in a text, up to a few times over."""

    def of_run(match: re.Match[str]) -> str:
        run = match.group()
        if "%3" not in run and "%22" not in run and "%25" not in run:
            return run
        times, plain = 0, run
        while "%" in plain and times < _DEEPEST_ENCODING:
            decoded = unquote(plain)
            if decoded == plain:
                break
            times, plain = times + 1, decoded
        masked = mask(plain)
        if masked == plain:
            return run
        for _ in range(times):
            masked = quote(masked, safe="*")
        return masked

    return _ENCODED.sub(of_run, text)


def is_basic_credential(value: str) -> bool:
    """Return whether this is `user:password` in base64."""
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return False
    return ":" in plain and plain.isprintable()
