"""Carry the current span, and who it is for, to another process: in headers, or its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import orjson
from opentelemetry import baggage
from opentelemetry import trace as trace_api
from opentelemetry.context import Context

from spanwise import _contexts, _guard, semconv
from spanwise._identity import Scope, attribute_value, current_scope, with_scope

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator

_MOST_TAGS = 128

# The parent of what a process does by itself, as `inject()` sets it for a subprocess.
PARENT_VARIABLE: Final = "SPANWISE_TRACEPARENT"

_IDENTITY = frozenset(
    {
        semconv.SESSION_ID,
        semconv.GEN_AI_CONVERSATION_ID,
        semconv.MESSAGE_ID,
        semconv.OBSERVATION_TAGS,
    }
)
_FAMILIES = tuple(
    f"{family}." for family in (semconv.USER, semconv.ACCOUNT, semconv.OBSERVATION_METADATA)
)


def inject(
    carrier: MutableMapping[str, str] | None = None, *, identity: bool = False
) -> MutableMapping[str, str]:
    """Write the current span into a carrier, and return the carrier.

    Args:
        carrier: gets `traceparent` and what the propagators of `OTEL_PROPAGATORS` write. Without
            one, a copy of this process's environment gets them, in upper case, for a subprocess:
            what it does, once `configure()` runs there, is part of this trace.
        identity: write user, account, session and the rest of the identity too, as baggage.
            Leave it out where strangers can read the carrier.

    Raises:
        TypeError: the carrier is no mutable mapping.
    """
    if carrier is not None and not isinstance(carrier, MutableMapping):
        raise TypeError(f"carrier must be a mutable mapping, not {carrier!r}")
    written: Any = {}  # the setter of propagators is typed for one exact type
    try:
        from opentelemetry import propagate

        context = _contexts.get_current()
        propagate.get_global_textmap().inject(written, context)
        _trace_context().inject(written, context)
        if identity:
            _baggage().inject(written, _with_identity(context))
    except Exception as error:  # noqa: BLE001 - the other process begins a trace of its own
        _guard.swallow("inject", error)
    if carrier is not None:
        carrier.update(written)
        return carrier
    return _environment(written)


class extract:  # noqa: N801 - reads as `with spanwise.extract(headers):`
    """Make what is done in the `with` block a part of the trace that a carrier names.

    A carrier that names none, or that cannot be read, changes nothing.

    Args:
        carrier: as `inject` filled it: headers in any case, or an environment; by default that
            of this process.
        identity: take user, account, session and the rest of the identity from it too. Whoever
            wrote the carrier says then who it is for.

    Raises:
        TypeError: the carrier is no mapping.
    """

    __slots__ = ("_carrier", "_identity", "_tokens")

    def __init__(self, carrier: Mapping[str, str] | None = None, *, identity: bool = False) -> None:
        if carrier is not None and not isinstance(carrier, Mapping):
            raise TypeError(f"carrier must be a mapping, not {carrier!r}")
        self._carrier = os.environ if carrier is None else carrier
        self._identity = identity
        self._tokens: list[Any] = []

    def __enter__(self) -> extract:
        try:
            context = _read(self._carrier, with_identity=self._identity)
            self._tokens.append(_contexts.attach(context))
        except Exception as error:  # noqa: BLE001 - the block begins a trace of its own
            _guard.swallow("extract", error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._tokens:
            try:
                _contexts.detach(self._tokens.pop())
            except Exception as fault:  # noqa: BLE001 - ours: the block is over
                _guard.swallow("extract", fault)


def adopt_parent(variable: str | None) -> None:
    """Make what this process does from now on a part of the trace of the process that started it.

    Args:
        variable: what `PARENT_VARIABLE` holds.
    """
    context = _contexts.get_current()
    if not variable or trace_api.get_current_span(context).get_span_context().is_valid:
        return
    found = _trace_context().extract({"traceparent": variable}, context)
    if trace_api.get_current_span(found).get_span_context().is_valid:
        _contexts.attach(found)
    else:
        _guard.warn(PARENT_VARIABLE, f"{PARENT_VARIABLE} is no traceparent and is ignored")


def _read(carrier: Mapping[str, str], *, with_identity: bool) -> Context:
    from opentelemetry import propagate

    context = _contexts.get_current()
    fields = {name.lower(): value for name, value in carrier.items() if isinstance(name, str)}
    found = propagate.get_global_textmap().extract(fields, context)
    found = _trace_context().extract(fields, found)
    if with_identity:
        entries = baggage.get_all(_baggage().extract(fields, Context()))
        stated = {
            name: _value(name, str(text)) for name, text in entries.items() if _is_identity(name)
        }
        if stated:
            found = with_scope(Scope(current_scope(context), stated), found)
    return found


def _with_identity(context: Context) -> Context:
    """Return a context whose baggage is that of the context, and its identity."""
    carried = context
    scope = current_scope(context)
    for name, value in (scope.attributes() if scope is not None else {}).items():
        carried = baggage.set_baggage(name, _text(value), carried)
    return carried


def _is_identity(name: str) -> bool:
    return name in _IDENTITY or name.startswith(_FAMILIES)


def _text(value: Any) -> str:
    """Return a text as it is, unless it reads like JSON; all else as JSON."""
    if isinstance(value, str) and isinstance(_json(value), str) and value[:1] != '"':
        return value
    return orjson.dumps(value).decode()


def _value(name: str, text: str) -> Any:
    """Return what `_text` wrote, as an attribute can hold it: it may come from a stranger."""
    value = _json(text)
    if name == semconv.OBSERVATION_TAGS and not isinstance(value, list):
        value = [value]
    if isinstance(value, list):
        return tuple(str(attribute_value(name, item)) for item in value[:_MOST_TAGS])
    return attribute_value(name, value)


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return text


def _trace_context() -> TextMapPropagator:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


def _baggage() -> TextMapPropagator:
    from opentelemetry.baggage.propagation import W3CBaggagePropagator

    return W3CBaggagePropagator()


def _environment(written: Mapping[str, str]) -> dict[str, str]:
    environment = dict(os.environ)
    for name, value in written.items():
        environment[name.upper().replace("-", "_")] = value
    environment.pop(PARENT_VARIABLE, None)
    if "traceparent" in written:
        environment[PARENT_VARIABLE] = written["traceparent"]
    return environment
