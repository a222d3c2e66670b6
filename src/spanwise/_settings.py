"""The settings: one frozen dataclass, each field with its environment names beside it.

A field's value comes from the keyword of `configure()`, else from `SPANWISE_<FIELD>`, else from
the OpenTelemetry names listed with the field, else from the same names in `./.env`, else it is
the default. `os.environ` is read and left alone.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import unquote, urlsplit

from spanwise import _guard
from spanwise._environment import Environment
from spanwise.errors import InvalidSettingError, UnknownSettingError, nearest

DEFAULT_TRACES_DIR = Path("traces")
DEFAULT_MAX_BYTES = 1 << 30

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_NONE = frozenset({"", "none"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z\-]+")  # a token of RFC 9110
CONTENT_MODES = {
    "span_only": True,
    "span_and_event": True,
    "event_only": False,
    "no_content": False,
}


class Fault(ValueError):  # noqa: N818 - it becomes part of an error, and is none by itself
    """What is wrong with a value; the caller adds the setting's name and where it came from."""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Fault("must be a non-empty string")
    return value.strip()


def boolean(value: object) -> bool:
    """Return a boolean, also from the words that environments use for one."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise Fault(f"must be true or false, not {value!r}")


def _content(value: object) -> bool:
    if isinstance(value, str) and value.strip().lower() in CONTENT_MODES:
        return CONTENT_MODES[value.strip().lower()]
    return boolean(value)


def _rate(value: object) -> float:
    try:
        rate = float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        raise Fault(f"must be a number between 0 and 1, not {value!r}") from None
    if isinstance(value, bool) or not 0 <= rate <= 1:
        raise Fault(f"must be a number between 0 and 1, not {value!r}")
    return rate


def _size(value: object) -> int:
    try:
        size = int(value)  # type: ignore[call-overload]
    except (OverflowError, TypeError, ValueError):
        raise Fault(f"must be a number of bytes, not {value!r}") from None
    if isinstance(value, bool) or size < 1:
        raise Fault(f"must be a number of bytes above 0, not {value!r}")
    return int(size)


def _path(value: object) -> Path:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if not isinstance(value, str) or not value:
        raise Fault(f"must be a path, not {value!r}")
    if "\0" in value:
        raise Fault("must be a path without a null character")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise Fault("must be a path, and begins with a user's folder that is not known") from None


def _folder(value: object) -> Path | None:
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return None
    path = _path(value)
    fault = why_not_writable(path)
    if fault:
        raise Fault(f"cannot be written to: {fault}")
    return path


def _spool(value: object) -> Path:
    """Return the folder of a spool; where a process may not write to it, another one stands in."""
    path = _path(value)
    fault = _why_no_folder(path)
    if fault and fault != os.strerror(errno.EACCES):
        raise Fault(f"cannot be written to: {fault}")
    return path


def _file(value: object) -> Path | None:
    if value is None or value is False:
        return None
    if isinstance(value, str) and value.strip().lower() in _NONE | _FALSE:
        return None
    if value is True:
        raise Fault("must be the path of a file to record into, not True")
    path = _path(value)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir() raises for a name that is too long
        raise Fault(f"must be the path of a file, and {str(path)!r} is a folder")
    fault = _why_impossible(path) or why_not_writable(path.parent)
    if fault:
        raise Fault(f"cannot be written to: {fault}")
    return path


def why_not_writable(folder: Path) -> str | None:
    """Return why files cannot be made in the folder, or None; nothing is created to find out."""
    fault = _why_no_folder(folder)
    if fault:
        return fault
    existing = _nearest(folder)
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"no permission to write in {str(existing)!r}"
    return None


def _why_no_folder(folder: Path) -> str | None:
    """Return why there can be no such folder, whoever asks for it."""
    try:
        fault = _why_impossible(folder.absolute())
    except OSError:
        return "the current folder is gone"
    if not fault and not _nearest(folder).is_dir():
        return f"{str(_nearest(folder))!r} is not a folder"
    return fault


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that is there."""
    existing = folder.absolute()
    while not os.path.lexists(existing) and existing != existing.parent:
        existing = existing.parent
    return existing


def _why_impossible(path: Path) -> str | None:
    """Return why there can be no such path: a name too long, a folder not to be looked into."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None


def endpoint(value: object) -> str | None:
    """Return an http(s) address, or None for an empty one."""
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return None
    text = _text(value)
    if not _is_http_address(text):
        raise Fault("must be an http(s) address such as http://localhost:4318")
    if any(character.isspace() for character in text):
        raise Fault("must be an http(s) address without blanks")
    return text.rstrip("/")


def _is_http_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its text may show the password of the address
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and (port is None or port > 0)


def headers(value: object) -> tuple[tuple[str, str], ...]:
    """Return HTTP headers, also from the `name=value,name=value` form of environments."""
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        pairs = []
        for part in filter(None, (piece.strip() for piece in value.split(","))):
            name, equals, text = part.partition("=")
            if not equals:
                raise Fault("must be a list like name=value,name=value")
            pairs.append((unquote(name.strip()), unquote(text.strip())))
    else:
        try:
            pairs = [(name, text) for name, text in value]  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            raise Fault("must be a mapping of header names to values") from None
    for name, text in pairs:
        if not isinstance(name, str) or not isinstance(text, str):
            raise Fault("must be a mapping of header names to values, both strings")
        # The name is said only when it is one: in a malformed header it may be the secret.
        if _HEADER_NAME.fullmatch(name.strip()) is None:
            raise Fault("must have header names of letters, digits and hyphens")
        if any(character in text for character in "\r\n\0"):
            raise Fault(f"must not hold a line break (header {name.strip()!r})")
        if any(ord(character) > 255 for character in text):
            raise Fault(f"must hold characters of Latin-1 only (header {name.strip()!r})")
    return tuple((name.strip(), text) for name, text in pairs)


def names(value: object) -> tuple[str, ...]:
    """Return names, also from the `name,name` form of environments."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable):
        raise Fault(f"must be a list of names, not {value!r}")
    found = tuple(value)
    if not all(isinstance(name, str) for name in found):
        raise Fault("must be a list of names, all strings")
    return tuple(name.strip() for name in found if name.strip())


def _instrument(value: object) -> bool | tuple[str, ...]:
    try:
        return boolean(value)
    except Fault:
        return names(value)


def _destinations(value: object) -> tuple[Any, ...]:
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                value = json.loads(text)
            except (RecursionError, ValueError) as error:
                raise Fault(f"must be addresses or a JSON list: {error}") from None
        else:
            value = [part for part in (piece.strip() for piece in text.split(",")) if part]
    if isinstance(value, Mapping) or not isinstance(value, Iterable):
        raise Fault("must be a list of destinations")
    return tuple(value)


def _provider(value: Any) -> Any:
    if value is not None and not hasattr(value, "add_span_processor"):
        raise Fault("must be an OpenTelemetry SDK TracerProvider")
    return value


def _setting(default: Any, parse: Callable[[Any], Any], *otel: str) -> Any:
    return dataclasses.field(default=default, metadata={"parse": parse, "otel": otel})


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Settings:
    """Everything that can be set; each is a keyword of `configure()` and `SPANWISE_<NAME>`.

    Attributes:
        service_name: what the application is called (resource `service.name`).
        service_version: its version (resource `service.version`).
        environment: where it runs (resource `deployment.environment.name`).
        enabled: False switches everything off.
        sample_rate: share of traces to keep, 0 to 1; None follows `OTEL_TRACES_SAMPLER`.
        traces_dir: folder for the JSONL files; None for no files. By default `./traces`, or
            none where spans are sent somewhere.
        traces_max_bytes: size at which the oldest files of that folder are deleted.
        media_dir: folder in which images, audio and the like are kept, once each, of which
            inputs and outputs only say what they are; None keeps them nowhere.
        otlp_endpoint: an OTLP collector: a base address, or a full one ending in `/v1/traces`.
        otlp_headers: headers for it.
        spool_dir: folder of what waits to be sent; by default in the user's state folder.
        spool_max_bytes: size at which the oldest of what waits for a destination is deleted.
        spool_only: send nothing, and leave all spans in the spool for another program to read.
        live: note spans when they start, too: one that a kill interrupts is told of as such.
        lean_spans: False has our own provider make OpenTelemetry's spans instead of its own.
        destinations: further OTLP destinations: addresses, mappings or `Destination`s.
        dialects: vocabularies of backends to add to what is sent.
        record: file into which the arguments of agent, tool and interaction calls are recorded.
        capture_content: False leaves inputs and outputs out of everything.
        mask: further names of secret keys.
        unmask: names of keys that are not secret.
        strict_masking: mask without the exceptions for names that only look secret.
        instrument: load installed instrumentors: True, False, or their names.
        instrumentor_preference: where several are installed for a library, beginnings of the
            names of the distributions to take, the first one first.
        propagate_threads: carry the current span into threads.
        tracer_provider: the SDK TracerProvider to work on, instead of the global one.
    """

    service_name: str | None = _setting(None, _text, "OTEL_SERVICE_NAME")
    service_version: str | None = _setting(None, _text)
    environment: str | None = _setting(None, _text)
    enabled: bool = _setting(True, boolean)
    sample_rate: float | None = _setting(None, _rate)
    traces_dir: Path | None = _setting(DEFAULT_TRACES_DIR, _folder)
    traces_max_bytes: int = _setting(DEFAULT_MAX_BYTES, _size)
    media_dir: Path | None = _setting(None, _folder)
    otlp_endpoint: str | None = _setting(None, endpoint)
    otlp_headers: tuple[tuple[str, str], ...] = _setting((), headers)
    spool_dir: Path | None = _setting(None, _spool)
    spool_max_bytes: int = _setting(DEFAULT_MAX_BYTES, _size)
    spool_only: bool = _setting(False, boolean)
    live: bool = _setting(False, boolean)
    lean_spans: bool = _setting(True, boolean)
    destinations: tuple[Any, ...] = _setting((), _destinations)
    dialects: tuple[str, ...] = _setting((), names)
    record: Path | None = _setting(None, _file)
    capture_content: bool = _setting(
        True, _content, "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    )
    mask: tuple[str, ...] = _setting((), names)
    unmask: tuple[str, ...] = _setting((), names)
    strict_masking: bool = _setting(False, boolean)
    instrument: bool | tuple[str, ...] = _setting(False, _instrument)
    instrumentor_preference: tuple[str, ...] = _setting((), names)
    propagate_threads: bool = _setting(True, boolean)
    tracer_provider: Any = _setting(None, _provider)

    # Which settings were given, and by what: a keyword, a variable, or a line of .env.
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)

    def __repr__(self) -> str:
        """Show what was set, without credentials."""
        return shown(self, (name for name in self.sources if name != "otlp_headers"))


def shown(options: Any, names: Iterable[str]) -> str:
    """Return the options of an object as it would be made, passwords in addresses masked."""
    parts = ", ".join(f"{name}={getattr(options, name)!r}" for name in names)
    return _guard.masked(f"{type(options).__name__}({parts})")


class SettingsKeywords(TypedDict, total=False):
    """The keywords of `configure()`, as type checkers see them."""

    service_name: str | None
    service_version: str | None
    environment: str | None
    enabled: bool
    sample_rate: float | None
    traces_dir: str | os.PathLike[str] | None
    traces_max_bytes: int
    media_dir: str | os.PathLike[str] | None
    otlp_endpoint: str | None
    otlp_headers: Mapping[str, str] | str
    spool_dir: str | os.PathLike[str] | None
    spool_max_bytes: int
    spool_only: bool
    live: bool
    lean_spans: bool
    destinations: Iterable[Any]
    dialects: Iterable[str]
    record: str | os.PathLike[str] | bool | None
    capture_content: bool
    mask: Iterable[str]
    unmask: Iterable[str]
    strict_masking: bool
    instrument: bool | Iterable[str]
    instrumentor_preference: Iterable[str]
    propagate_threads: bool
    tracer_provider: Any


_FIELDS = {field.name: field for field in dataclasses.fields(Settings) if field.metadata}
# Set by Spanwise itself for the processes that a program starts.
_NO_SETTINGS = frozenset({"SPANWISE_TRACEPARENT"})
# The variable of each setting.
VARIABLES = tuple(f"SPANWISE_{name.upper()}" for name in _FIELDS)
# None says "as if not given" for these; for the others it is a value of its own.
_NONE_IS_A_VALUE = frozenset({"media_dir", "traces_dir"})


def misspelt(environment: Environment) -> dict[str, str]:
    """Return what is wrong with variables of ours that are no setting, by their names."""
    known = {*VARIABLES, *_NO_SETTINGS}
    return {
        name: f"{origin} is no setting{nearest(name, known)}"
        for name, origin in environment.origins("SPANWISE_").items()
        if name not in known
    }


def check_names(keywords: Mapping[str, object]) -> None:
    """Raise UnknownSettingError for a keyword that is no setting."""
    for name in keywords:
        if name not in _FIELDS:
            raise UnknownSettingError(name, _FIELDS)


def resolve(
    keywords: Mapping[str, Any],
    environment: Environment,
    defaults: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings in force.

    Args:
        keywords: what the program says.
        environment: what variables say.
        defaults: what a facade says where neither does.

    Raises:
        UnknownSettingError: a keyword is no setting.
        InvalidSettingError: a value cannot be used; says which, from where, and why.
    """
    check_names(keywords)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name, field in _FIELDS.items():
        found = environment.first(f"SPANWISE_{name.upper()}", *field.metadata["otel"])
        if name in keywords and (keywords[name] is not None or name in _NONE_IS_A_VALUE):
            found = (keywords[name], name)
        elif found is None and defaults is not None and defaults.get(name) is not None:
            found = (defaults[name], name)
        elif found is None:
            continue
        value, source = found
        try:
            values[name] = field.metadata["parse"](value)
        except Fault as fault:
            raise InvalidSettingError(name, str(fault), source=source) from None
        sources[name] = source
    return Settings(**values, sources=sources)
