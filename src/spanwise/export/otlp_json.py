"""Records as lines of OTLP-JSON.

Each line holds one span, before its resource, so that the lines of one file differ early.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, cast

import orjson
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanKind, StatusCode

from spanwise import _raw_fields as raw
from spanwise import dialects, semconv
from spanwise._identity import Identity
from spanwise._lean_spans import LeanSpan
from spanwise._prepared import Prepared
from spanwise.export.otlp_operations import Parts, Told, operation_line
from spanwise.export.protobuf import LARGEST_INT, MOST_NESTED
from spanwise.export.record import Record

BEGINNING: Final = b'{"resourceSpans":[{"scopeSpans":[{"spans":['
BEHIND_SPAN: Final = b'],"scope":'

_KEY: Final = "otlp"  # of what is remembered of an operation, and of an identity
_REMEMBERED = 64
_LONGEST_TEXT, _MOST_TEXTS = 64, 1024  # of keys and values that are remembered
_MOST_SHORT = 4  # texts of one attribute that is remembered
# These are seldom the same twice.
_VARYING = frozenset((semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT))
# Bits 8 and 9 of a span's flags: it is known whether its parent is remote, and it is.
_IS_KNOWN, _IS_REMOTE = 0x100, 0x200
# Looked up here: an enumeration is slow to say what its members are called and stand for.
_INTERNAL = SpanKind.INTERNAL
_UNSET = StatusCode.UNSET
_PRINTED_BITS = 2048  # 617 digits: Python can be told to print no more than 640

# The text of a value is made without running the value's own code.
_AS_TEXT = (
    orjson.OPT_NON_STR_KEYS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


class LineEncoder:
    """Makes lines of records; remembers the bytes of resources and scopes.

    Args:
        vocabularies: names of dialects that are added to each record.
    """

    def __init__(self, vocabularies: Iterable[str] = ()) -> None:
        self._dialects = tuple(dialects.load(name) for name in vocabularies)
        # The resource is kept beside its bytes, so that its id is not given to another one.
        self._resources: dict[tuple[int, str], tuple[Mapping[str, Any], bytes]] = {}
        self._equal_resources: dict[Any, bytes] = {}
        self._scopes: dict[Any, bytes] = {}
        # What most spans have in common, told by the objects themselves.
        self._last: tuple[Any, Any, Any, bytes] = (None, None, None, b"")

    def __call__(self, record: Record) -> bytes:
        """Return the record as a JSON object of one line, without a newline."""
        return self.with_parts(record)[0]

    def with_parts(self, record: Record) -> tuple[bytes, Parts | None]:
        """Return the line, and what it says where that is known."""
        for translate in self._dialects:
            record = record.translated(*translate(record))
        source, resource, scope, behind = self._last
        if (
            record.scope is not scope
            or record.resource is not resource
            or record.span.resource is not source
        ):
            behind = self._behind(record)
        prepared = record.prepared
        if prepared is not None:
            told = prepared.texts.get(_KEY)
            if told is None:
                told = prepared.texts[_KEY] = _told_by(prepared)
            if told:
                identity = record.identity
                who = b"" if identity is None else _known_of(identity)
                made = operation_line(record, told, who, behind)
                if made is not None:
                    return made
        try:
            return _line(record, behind, orjson.dumps), None
        except TypeError:
            return _line(record, behind, dumped), None

    def _behind(self, record: Record) -> bytes:
        """Return what stands behind the span."""
        source = record.span.resource
        resource = self._resource(record.resource, source.schema_url)
        behind = b"".join(_around(self._scope(record.scope), resource))
        self._last = (source, record.resource, record.scope, behind)
        return behind

    def _resource(self, resource: Mapping[str, Any], schema_url: str) -> bytes:
        known = self._resources.get((id(resource), schema_url))
        if known is not None:
            return known[1]
        # Dialects make a mapping of their own for each record, all with the same content.
        content = _told_apart((schema_url, *resource, *resource.values()))
        made = self._equal_resources.get(content)
        if made is None:
            made = with_schema({"attributes": _attributes(resource.items())}, schema_url)
            if content is not None:
                _remember(self._equal_resources, content, made)
        _remember(self._resources, (id(resource), schema_url), (resource, made))
        return made

    def _scope(self, scope: InstrumentationScope | None) -> bytes:
        if scope is None:
            return b"{}"
        key = (scope.name, scope.version, scope.schema_url)
        made = None if scope.attributes else self._scopes.get(key)
        if made is None:
            described: dict[str, Any] = {"name": scope.name}
            if scope.version:
                described["version"] = scope.version
            if scope.attributes:
                described["attributes"] = _attributes(scope.attributes.items())
            made = with_schema(described, scope.schema_url)
            if not scope.attributes:
                _remember(self._scopes, key, made)
        return made


def _told_by(prepared: Prepared) -> Told | tuple[()]:
    """Return what lines of the operation say each time; nothing where that is not known."""
    attributes = prepared.attributes
    if not attributes or not _VARYING.isdisjoint(attributes):
        return ()
    return dumped(prepared.masked_name), dumped(_attributes(attributes.items()))[1:-1]


def _known_of(identity: Identity) -> bytes:
    """Return the attributes of an identity, with a comma behind each."""
    known = identity.texts.get(_KEY)
    if known is None:
        known = identity.texts[_KEY] = dumped(_attributes(identity.items()))[1:-1] + b","
    return cast("bytes", known)


def line_of(span: bytes, scope: bytes, resource: bytes) -> bytes:
    """Return the line of a span, each of its parts as JSON."""
    return b"".join((BEGINNING, span, *_around(scope, resource)))


def _around(scope: bytes, resource: bytes) -> tuple[bytes, ...]:
    return BEHIND_SPAN, scope, b'}],"resource":', resource, b"}]}"


def with_schema(content: dict[str, Any], schema_url: Any) -> bytes:
    """Return a resource or a scope with the schema that stands beside it."""
    if not schema_url or not isinstance(schema_url, str):
        return dumped(content)
    return b"".join((dumped(content), b',"schemaUrl":', dumped(schema_url)))


def dumped(document: Any) -> bytes:
    """Return a document as JSON."""
    try:
        return orjson.dumps(document)
    except TypeError:
        return orjson.dumps(_valid(document))


def _valid(document: Any) -> Any:
    """Return the same with lone surrogates escaped in every text."""
    if isinstance(document, str):
        return document.encode("utf-8", "backslashreplace").decode()
    if isinstance(document, dict):
        return {_valid(name): _valid(value) for name, value in document.items()}
    if isinstance(document, list):
        return [_valid(value) for value in document]
    return document


def _remember(known: dict[Any, Any], key: Any, value: Any, most: int = _REMEMBERED) -> None:
    if len(known) >= most:
        known.clear()
    known[key] = value


def _told_apart(value: Any) -> Any:
    """Return what equals only that of a value with the same content, or None.

    1, 1.0 and True are equal, and so are two objects if their own code says so: a resource that
    holds more than texts, numbers and sequences of them is told apart by its identity alone.
    """
    kind = type(value)
    if kind is str:
        return value
    if kind is int or kind is float or kind is bool:
        return kind, repr(value)
    if kind is tuple:
        items = [_told_apart(item) for item in value]
        return None if None in items else (kind, *items)
    return None


def _line(record: Record, behind: bytes, dumps: Callable[[Any], bytes]) -> bytes:
    """Return the line of a record, put together from what most spans have in common."""
    span = record.span
    context: Any
    if type(span) is LeanSpan:
        context, parent, kind = span._context, span._parent, span._kind
        start, end = span._start_time, span._end_time
    else:
        context, parent, kind = span.context, span.parent, span.kind
        start, end = span.start_time, span.end_time
    above, is_remote = b"", 0
    if parent is not None:
        above = b',"parentSpanId":"%016x"' % parent.span_id
        is_remote = _IS_REMOTE if parent.is_remote else 0
    pieces = [
        b'%b{"traceId":"%032x","spanId":"%016x"%b,"flags":%d,"name":%b,"kind":%d,'
        b'"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":['
        % (
            BEGINNING,
            context.trace_id,
            context.span_id,
            above,
            context.trace_flags & 0xFF | _IS_KNOWN | is_remote,
            dumps(record.name),
            1 if kind is _INTERNAL else kind.value + 1,
            start if type(start) is int and 0 < start < LARGEST_INT else nanoseconds(start),
            end if type(end) is int and 0 < end < LARGEST_INT else nanoseconds(end),
        )
    ]
    for key, value in record.attributes.items():
        name = key if type(key) is str else _key(key)
        of = type(value)
        if of is str:
            if len(value) < _LONGEST_TEXT and name not in _VARYING:
                pieces.append(_short_texts[name, value])
            else:
                pieces += (_starts[name], b'{"stringValue":', dumps(value), b"}},")
        elif of is int and -LARGEST_INT < value < LARGEST_INT:
            pieces += (_starts[name], b'{"intValue":"%d"}},' % value)
        elif of is float and value - value == 0:
            pieces += (_starts[name], b'{"doubleValue":', dumps(value), b"}},")
        elif of is tuple and _are_short(value):
            pieces.append(_short_texts[name, value])
        else:
            pieces += (_starts[name], dumps(_value(value, 0)), b"},")
    if len(pieces) > 1:
        pieces[-1] = pieces[-1][:-1]  # no comma behind the last one
    pieces.append(b"]")
    # A lean span that has made no room for more than its attributes has nothing more.
    if not (
        type(span) is LeanSpan
        and span._bounded is None
        and span._event_list is None
        and span._link_list is None
    ):
        described = _dropped(span, "droppedAttributesCount", "dropped_attributes")
        if record.events:
            described["events"] = _events(record)
        described |= _dropped(span, "droppedEventsCount", "dropped_events")
        if record.links:
            described["links"] = _links(record)
        described |= _dropped(span, "droppedLinksCount", "dropped_links")
        if described:
            pieces += (b",", dumps(described)[1:-1])
    code, message = span.status.status_code, record.status_message
    if code is _UNSET and not message:
        pieces += (b',"status":{"code":0}}', behind)
    else:
        status = {"code": code.value, "message": message} if message else {"code": code.value}
        pieces += (b',"status":', dumps(status), b"}", behind)
    return b"".join(pieces)


class _Starts(dict[str, bytes]):
    """Attributes up to their values, by key: attributes have few different keys."""

    def __missing__(self, key: str) -> bytes:
        start = b'{"key":%b,"value":' % dumped(key)
        if len(key) < _LONGEST_TEXT:
            _remember(self, key, start, _MOST_TEXTS)
        return start


def _are_short(items: tuple[Any, ...]) -> bool:
    """Return whether there are only a few short texts."""
    if len(items) > _MOST_SHORT:
        return False
    for item in items:  # noqa: SIM110 - a plain loop is faster
        if type(item) is not str or len(item) >= _LONGEST_TEXT:
            return False
    return True


class _ShortTexts(dict[tuple[str, Any], bytes]):
    """Attributes of a short text or a few, with a comma behind: most spans say what others said."""

    def __missing__(self, said: tuple[str, Any]) -> bytes:
        key, value = said
        whole = b"%b%b}," % (_starts[key], dumped(_value(value, 0)))
        if len(key) < _LONGEST_TEXT:
            _remember(self, said, whole, _MOST_TEXTS)
        return whole


_starts, _short_texts = _Starts(), _ShortTexts()


def _events(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "timeUnixNano": str(nanoseconds(event.time_ns)),
            "name": event.name,
            "attributes": _attributes(event.attributes.items()),
            **_dropped(original, "droppedAttributesCount", "dropped_attributes"),
        }
        for event, original in zip(record.events, record.span.events, strict=True)
    ]


def _links(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "traceId": f"{link.context.trace_id:032x}",
            "spanId": f"{link.context.span_id:016x}",
            "attributes": _attributes((link.attributes or {}).items()),
            **_dropped(original, "droppedAttributesCount", "dropped_attributes"),
            "flags": _flags(link.context.trace_flags, link.context.is_remote),
        }
        for link, original in zip(record.links, record.span.links, strict=True)
    ]


def _dropped(original: Any, name: str, attribute: str) -> dict[str, Any]:
    count = getattr(original, attribute, 0)
    return {name: count} if count else {}


def _flags(trace_flags: int, is_remote: bool) -> int:
    return trace_flags & 0xFF | _IS_KNOWN | (_IS_REMOTE if is_remote else 0)


def nanoseconds(time_ns: Any) -> int:
    """Return a time that the protocol can hold; what is none is 0."""
    kind = type(time_ns)
    if kind is not int:
        if issubclass(kind, float) and float.__sub__(time_ns, time_ns) == 0:
            time_ns = float.__int__(time_ns)
        else:
            time_ns = int.__index__(time_ns) if issubclass(kind, int) else 0
    return time_ns if 0 <= time_ns <= LARGEST_INT else 0 if time_ns < 0 else LARGEST_INT


def _attributes(items: Iterable[tuple[Any, Any]], depth: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "key": key if type(key) is str else _key(key),
            "value": {"stringValue": value} if type(value) is str else _value(value, depth),
        }
        for key, value in items
    ]


def _key(key: Any) -> str:
    kind = type(key)
    if issubclass(kind, str):
        return str.__str__(key)
    if key is None or kind is bool or kind is float:
        return repr(key)
    return whole_number(key) if kind is int else _named(key)


def _value(value: Any, depth: int) -> dict[str, Any]:
    kind = type(value)
    if kind is str:
        return {"stringValue": value}
    if value is None:
        return {}
    if kind is bool:
        return {"boolValue": value}
    if issubclass(kind, int):
        number = int.__index__(value)
        is_held = -LARGEST_INT - 1 <= number <= LARGEST_INT
        return {"intValue" if is_held else "stringValue": whole_number(number)}
    if issubclass(kind, float):
        return {"doubleValue": json_number(float.__float__(value))}
    if issubclass(kind, str):
        return {"stringValue": str.__str__(value)}
    if issubclass(kind, bytes):
        return {"bytesValue": binascii.b2a_base64(value, newline=False).decode()}
    if issubclass(kind, tuple):
        items = tuple.__iter__(value)
    elif issubclass(kind, list):
        items = list.__iter__(value)
    else:
        return _mapping(value, kind, depth)
    if depth >= MOST_NESTED:
        return {"stringValue": deep_text(value)}
    return {"arrayValue": {"values": [_value(item, depth + 1) for item in items]}}


def _mapping(value: Any, kind: type, depth: int) -> dict[str, Any]:
    try:
        if issubclass(kind, dict):
            items = list(dict.items(value))
        # Not by isinstance, which asks the value and its class.
        elif kind is MappingProxyType or any(base is Mapping for base in raw.mro_of(kind)):
            items = list(value.items())
        else:
            return {"stringValue": _named(value)}
    except Exception:  # noqa: BLE001 - a mapping of another kind does what it likes
        return {"stringValue": _named(value)}
    if depth >= MOST_NESTED:
        return {"stringValue": deep_text(value)}
    return {"kvlistValue": {"values": _attributes(items, depth + 1)}}


def deep_text(value: Any) -> str:
    """Return what is nested deeper than the protocol goes as a text."""
    try:
        return orjson.dumps(value, default=_named, option=_AS_TEXT).decode()
    except TypeError:  # too deep for that as well
        return _named(value)


def _named(value: Any) -> str:
    return f"<{raw.type_name(type(value))} object>"


def whole_number(number: int) -> str:
    """Return a number in digits, or how large it is."""
    bits = number.bit_length()
    return str(number) if bits <= _PRINTED_BITS else f"<int of {bits} bits>"


def json_number(number: float) -> float | str:
    """Return a number, or the name of what JSON has no number for."""
    if number - number == 0:
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"
