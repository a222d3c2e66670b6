"""Where spans are sent: OTLP endpoints with their headers, protocol and vocabularies."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from spanwise import _guard, _settings
from spanwise._environment import Environment
from spanwise._settings import Fault, Settings
from spanwise.dialects import DIALECTS
from spanwise.errors import InvalidSettingError, nearest, nearest_of_all

TRACES_PATH: Final = "/v1/traces"
PROTOCOLS: Final = ("http/protobuf", "grpc")
COMPRESSIONS: Final = ("none", "gzip", "deflate")
DEFAULT_TIMEOUT_S: Final = 10.0
DEFAULT_BATCH_SPANS: Final = 512
DEFAULT_BATCH_DELAY_S: Final = 0.2
EXPORTER_VARIABLE: Final = "OTEL_TRACES_EXPORTER"
FILES_EXPORTER: Final = "spanwise_jsonl"
OTLP_EXPORTERS: Final = frozenset({"otlp", "otlp_proto_http", "otlp_proto_grpc"})
_LOCAL_COLLECTOR = {"grpc": "http://localhost:4317", "http/protobuf": "http://localhost:4318"}
_AMONG_COMPRESSIONS = f"among {', '.join(COMPRESSIONS)}"


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Destination:
    """One place that spans are sent to.

    Attributes:
        endpoint: full http(s) address; for gRPC without a path.
        headers: sent with every request, as (name, value) pairs; a mapping is taken too.
        protocol: `http/protobuf` or `grpc`.
        dialects: vocabularies to add to the spans sent here.
        timeout_s: seconds that one request may take.
        compression: `none`, `gzip` or `deflate`.
        batch_spans: how many spans one request has at most.
        batch_delay_s: seconds that a span may wait for others to be sent with it, as long as they
            do not fill a request.
        certificate: file of the certificate authorities to trust.
        client_key: file of the client's private key.
        client_certificate: file of the client's certificate.
        credential: what a person would have to mend if the destination does not accept the
            headers, as the name of a variable; for the one line that says so.
    """

    endpoint: str
    headers: tuple[tuple[str, str], ...] | Mapping[str, str] = ()
    protocol: str = "http/protobuf"
    dialects: tuple[str, ...] = ()
    timeout_s: float = DEFAULT_TIMEOUT_S
    compression: str = "none"
    batch_spans: int = DEFAULT_BATCH_SPANS
    batch_delay_s: float = DEFAULT_BATCH_DELAY_S
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None
    credential: str | None = None

    def __repr__(self) -> str:
        """Show where to, without credentials."""
        return _settings.shown(self, ("endpoint", "protocol", "dialects", "timeout_s"))

    def __post_init__(self) -> None:
        if _settings.endpoint(self.endpoint) is None:
            raise Fault("must have an endpoint")
        if self.protocol not in PROTOCOLS:
            raise Fault(f"must have a protocol among {', '.join(PROTOCOLS)}, not {self.protocol!r}")
        if self.compression not in COMPRESSIONS:
            raise Fault(f"must have a compression {_AMONG_COMPRESSIONS}")
        dialects = _settings.names(self.dialects)
        for name in dialects:
            check_dialect(name)
        # As it was given, with the slash at its end: to a server these may be two addresses.
        object.__setattr__(self, "endpoint", self.endpoint.strip())
        object.__setattr__(self, "timeout_s", _seconds(self.timeout_s))
        object.__setattr__(self, "batch_spans", _number(self.batch_spans))
        object.__setattr__(self, "batch_delay_s", _delay(self.batch_delay_s))
        object.__setattr__(self, "headers", _settings.headers(self.headers))
        object.__setattr__(self, "dialects", dialects)


def check_dialect(name: str) -> None:
    """Raise Fault for a vocabulary that is not known."""
    if name not in DIALECTS:
        raise Fault(f"has an unknown dialect {name!r}{nearest_of_all(name, DIALECTS)}")


def exporter_names(environment: Environment) -> tuple[str, ...]:
    """Return the exporters that OpenTelemetry's variable lists, in lower case."""
    listed = (environment.get(EXPORTER_VARIABLE) or "").split(",")
    return tuple(dict.fromkeys(filter(None, (name.strip().lower() for name in listed))))


def resolve(settings: Settings, environment: Environment) -> tuple[Destination, ...]:
    """Return every destination that the settings and OpenTelemetry's variables name.

    Raises:
        InvalidSettingError: an address, header, protocol or dialect cannot be used.
    """
    for name in settings.dialects:
        _checked("dialects", settings.sources.get("dialects"), check_dialect, name)
    found = [
        _checked("destinations", settings.sources.get("destinations"), _from_value, value)
        for value in settings.destinations
    ]
    main = _main(settings, environment)
    if main is not None:
        found.insert(0, main)
    return tuple(found)


def named(argument: str, value: Destination | str | Mapping[str, Any]) -> Destination:
    """Return the destination that an argument means.

    Raises:
        InvalidSettingError: it cannot be used.
    """
    made: Destination = _checked(argument, None, _from_value, value)
    return made


def _main(settings: Settings, environment: Environment) -> Destination | None:
    protocol, protocol_source = _variable(environment, "PROTOCOL") or ("http/protobuf", None)
    protocol = protocol.strip()
    if protocol == "http/json":
        # The Python exporters speak protobuf only; every collector that takes JSON takes it too.
        _guard.warn("otlp protocol", f"{protocol_source}: http/protobuf is used, not http/json")
        protocol = "http/protobuf"
    if protocol not in PROTOCOLS:
        raise InvalidSettingError(
            "the OTLP protocol",
            f"must be among {', '.join(PROTOCOLS)}, not {protocol!r}",
            source=protocol_source,
        )
    address, source = settings.otlp_endpoint, settings.sources.get("otlp_endpoint")
    if address is None:
        address, source = _from_variables(environment, protocol)
    elif protocol != "grpc" and not address.endswith(TRACES_PATH):
        address += TRACES_PATH
    if address is None:
        return None
    if protocol == "grpc":
        address = _with_scheme(address, environment)
    headers: Any = settings.otlp_headers
    if not headers and (named := _variable(environment, "HEADERS")):
        headers = _checked("otlp_headers", named[1], _settings.headers, named[0])
    timeout, timeout_source = _variable(environment, "TIMEOUT") or (DEFAULT_TIMEOUT_S, None)
    compression, compression_source = _variable(environment, "COMPRESSION") or ("none", None)
    timeout_s = _checked("the OTLP timeout", timeout_source, _seconds, timeout)
    batching = _batching(environment, timeout_s)
    options = {
        **batching,
        "endpoint": address,
        "headers": headers,
        "protocol": protocol,
        "dialects": settings.dialects,
        "compression": _checked(
            "the OTLP compression", compression_source, _compression, compression
        ),
        "certificate": (_variable(environment, "CERTIFICATE") or (None,))[0],
        "client_key": (_variable(environment, "CLIENT_KEY") or (None,))[0],
        "client_certificate": (_variable(environment, "CLIENT_CERTIFICATE") or (None,))[0],
    }
    made: Destination = _checked(
        "otlp_endpoint", source, lambda given: Destination(**given), options
    )
    return made


def _from_variables(environment: Environment, protocol: str) -> tuple[str | None, str | None]:
    exporters = exporter_names(environment)
    if exporters and OTLP_EXPORTERS.isdisjoint(exporters):
        return None, None  # spans go elsewhere, or nowhere; the address may be for metrics
    full = environment.first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    if full:
        return full
    base = environment.first("OTEL_EXPORTER_OTLP_ENDPOINT")
    if base is None and exporters:
        base = _LOCAL_COLLECTOR[protocol], EXPORTER_VARIABLE
    if base is None:
        return None, None
    address, source = base
    return (address if protocol == "grpc" else address.rstrip("/") + TRACES_PATH), source


def _with_scheme(address: str, environment: Environment) -> str:
    """Return a gRPC address, which may be written without a scheme, with the one it means."""
    if "://" in address:
        return address
    insecure, source = _variable(environment, "INSECURE") or ("false", None)
    is_insecure = _checked("the OTLP connection", source, _settings.boolean, insecure)
    return f"{'http' if is_insecure else 'https'}://{address}"


def _variable(environment: Environment, name: str) -> tuple[str, str] | None:
    return environment.first(f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")


def _batching(environment: Environment, timeout_s: float) -> dict[str, Any]:
    """Return what the variables of OpenTelemetry's batch processor mean for a destination."""
    options: dict[str, Any] = {"timeout_s": timeout_s}
    for variable, option, understood in _OF_BATCHES:
        found = environment.first(variable)
        if found is not None:
            options[option] = _checked("a batch", found[1], understood, found[0])
    options["timeout_s"] = min(timeout_s, options["timeout_s"])
    if environment.first(_QUEUE) is not None:
        _guard.warn(
            _QUEUE,
            f"{_QUEUE} has no effect: spans wait in the spool, "
            "as many as SPANWISE_SPOOL_MAX_BYTES allows",
        )
    return options


def _number(value: object) -> int:
    try:
        number = int(value)  # type: ignore[call-overload]
    except (OverflowError, TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(value, bool):
        raise Fault(f"must be a number above 0, not {value!r}")
    return int(number)


def _delay(value: object) -> float:
    if value in (0, "0"):
        return 0.0
    return _seconds(value)


def _from_ms(understood: Callable[[object], float]) -> Callable[[str], float]:
    """Return what reads a variable in milliseconds where an option is in seconds."""

    def read(text: str) -> float:
        try:
            return understood(float(text) / 1000)
        except (Fault, ValueError):
            raise Fault(f"must be a number of milliseconds, not {text!r}") from None

    return read


def _seconds(value: object) -> float:
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        raise Fault(f"must be a number of seconds above 0, not {value!r}") from None
    if not 0 < seconds < math.inf:
        raise Fault(f"must be a number of seconds above 0, not {value!r}")
    return seconds


_QUEUE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
# (variable, option of a destination, what reads it)
_OF_BATCHES: Final[tuple[tuple[str, str, Callable[[str], Any]], ...]] = (
    ("OTEL_BSP_SCHEDULE_DELAY", "batch_delay_s", _from_ms(_delay)),
    ("OTEL_BSP_EXPORT_TIMEOUT", "timeout_s", _from_ms(_seconds)),
    ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "batch_spans", _number),
)


def _compression(value: str) -> str:
    name = value.strip().lower()
    if name not in COMPRESSIONS:
        raise Fault(f"must be {_AMONG_COMPRESSIONS}, not {value!r}")
    return name


def _from_value(value: Any) -> Destination:
    if isinstance(value, Destination):
        return value
    if isinstance(value, str):
        value = {"endpoint": value}
    if not isinstance(value, Mapping):
        raise Fault("must be addresses, mappings or Destination objects")
    known = {field.name for field in dataclasses.fields(Destination)}
    for name in value:
        if name not in known:
            raise Fault(f"has an unknown option {name!r}{nearest(str(name), known)}")
    if "endpoint" not in value:
        raise Fault("must each have an endpoint")
    options = dict(value)
    is_base = isinstance(options["endpoint"], str) and options.get("protocol") != "grpc"
    if is_base and not options["endpoint"].rstrip("/").endswith(TRACES_PATH):
        options["endpoint"] = options["endpoint"].rstrip("/") + TRACES_PATH
    return Destination(**options)


def _checked(name: str, source: str | None, function: Any, value: Any) -> Any:
    try:
        return function(value)
    except Fault as fault:
        raise InvalidSettingError(name, str(fault), source=source) from None
