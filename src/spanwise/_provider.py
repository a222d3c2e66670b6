"""The TracerProvider that Spanwise makes where the application has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, Final
from urllib.parse import unquote

from opentelemetry import trace as trace_api
from opentelemetry.environment_variables import OTEL_PYTHON_ID_GENERATOR
from opentelemetry.sdk.environment_variables import (
    OTEL_ATTRIBUTE_COUNT_LIMIT,
    OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
    OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
    OTEL_RESOURCE_ATTRIBUTES,
    OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    OTEL_SPAN_EVENT_COUNT_LIMIT,
    OTEL_SPAN_LINK_COUNT_LIMIT,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.util.types import Attributes

from spanwise import _guard, _ids, _lean_spans, _state
from spanwise._environment import Environment
from spanwise._lean_tracer import LeanTracer
from spanwise._samplers import LiveSampler
from spanwise._settings import Settings
from spanwise.errors import InvalidSettingError, nearest

# OpenTelemetry's default of 128 evicts the oldest attributes first, and an agent's span may have
# hundreds (messages, documents); the variable still has the last word.
_ATTRIBUTES: Final = 1024

# The SDK reads these by itself, but from the environment only, and not from .env.
_LIMITS: Final = {
    "max_attributes": OTEL_ATTRIBUTE_COUNT_LIMIT,
    "max_span_attributes": OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT,
    "max_event_attributes": OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT,
    "max_link_attributes": OTEL_LINK_ATTRIBUTE_COUNT_LIMIT,
    "max_attribute_length": OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    "max_span_attribute_length": OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT,
    "max_events": OTEL_SPAN_EVENT_COUNT_LIMIT,
    "max_links": OTEL_SPAN_LINK_COUNT_LIMIT,
}
_ID_GENERATORS: Final = "opentelemetry_id_generator"
# Named here: releases of the SDK before 1.41 do not have it.
_TRACER_CONFIGURATOR: Final = "OTEL_PYTHON_TRACER_CONFIGURATOR"
_TRACER_CONFIGURATORS: Final = "_opentelemetry_tracer_configurator"

# The processor that is in place on a provider; a provider can only be added to.
PLACED = "_spanwise_processor"

_FALLBACK_IDS = RandomIdGenerator()


class SpanwiseTracerProvider(TracerProvider):
    """An SDK TracerProvider with our ids, limits and sampler; `spanwise.shutdown()` ends it.

    Attributes:
        makes_lean_spans: as long as this is False its tracers make the SDK's own spans.
    """

    makes_lean_spans = True
    _withheld: tuple[str, ...] = ()

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace_api.Tracer:
        """Return the tracer of an instrumentation scope."""
        name, version = instrumenting_module_name, instrumenting_library_version
        try:
            tracer = super().get_tracer(name, version, schema_url, attributes)
        except Exception:  # noqa: BLE001 - what the program did wrong is raised once more
            tracer = super().get_tracer(name, version, schema_url, attributes)
        try:
            self._fit(tracer)
        except Exception as error:  # noqa: BLE001 - ours: it makes the SDK's spans
            _guard.swallow("tracer", error)
        return tracer

    def _fit(self, tracer: Any) -> None:
        """Have a tracer make lean spans, for as long as the provider is to make them."""
        if (
            self.makes_lean_spans
            and type(tracer) is Tracer
            # Others may have put their own in their place.
            and type(tracer.sampler) is LiveSampler
            and type(tracer.id_generator) is RandomIds
            and _lean_spans.is_possible()
        ):
            LeanTracer.of(tracer, self)

    def withhold(self, scopes: Iterable[str]) -> None:
        """Keep spans of these scopes from the processors that others add from now on.

        What Spanwise itself writes and sends is not affected. Identity is then no longer stamped
        on spans of third parties that those processors still see; our records have it all the
        same.

        Args:
            scopes: names of instrumentation scopes; each stands for those below it, too.
        """
        self._withheld = tuple(scopes)
        ours: Any = getattr(self, PLACED, None)
        if ours is not None:
            ours.stamps = not self._withheld

    def add_span_processor(self, span_processor: SpanProcessor) -> None:
        """Add a processor; one that is not Spanwise's does not get what is withheld."""
        # Imported here: it imports what this module is for.
        from spanwise.processors.delegating import DelegatingSpanProcessor
        from spanwise.processors.withholding import WithholdingSpanProcessor

        if self._withheld and not isinstance(span_processor, DelegatingSpanProcessor):
            span_processor = WithholdingSpanProcessor(span_processor, self._withheld)
        super().add_span_processor(span_processor)


class RandomIds(IdGenerator):
    """Ids from the operating system; the next trace id can be set by the operation."""

    def generate_span_id(self) -> int:
        try:
            return _ids.random_span_id()
        except Exception as error:  # noqa: BLE001 - whoever starts the span must not see it
            _guard.swallow("ids", error)
            return _FALLBACK_IDS.generate_span_id()

    def generate_trace_id(self) -> int:
        try:
            return _ids.take_trace_id()
        except Exception as error:  # noqa: BLE001 - whoever starts the span must not see it
            _guard.swallow("ids", error)
            return _FALLBACK_IDS.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        try:
            return _ids.are_random()
        except Exception as error:  # noqa: BLE001 - whoever starts the span must not see it
            _guard.swallow("ids", error)
            return False


def make_provider(
    settings: Settings, environment: Environment, resource: Mapping[str, Any] | None = None
) -> SpanwiseTracerProvider:
    """Return a new provider; it is not made the global one, and has no processor yet.

    Args:
        settings: the settings in force.
        environment: for OpenTelemetry's own variables.
        resource: further attributes of its resource; variables and settings stand above them.

    Raises:
        InvalidSettingError: a limit, the id generator or the tracer configurator cannot be used.
    """
    limits = _limits(environment)
    _state.id_generator = _id_generator(environment)
    described = {**(resource or {}), **resource_of(environment), **described_resource(settings)}
    configurator = _offered(
        environment, _TRACER_CONFIGURATOR, _TRACER_CONFIGURATORS, "the tracer configurator"
    )
    provider = SpanwiseTracerProvider(
        sampler=LiveSampler(),
        resource=Resource.create(described),
        # Ending is ours to do, in bounded time: see _configure.
        shutdown_on_exit=False,
        id_generator=RandomIds(),
        span_limits=limits,
    )
    if configurator is not None:
        provider._set_tracer_configurator(tracer_configurator=configurator)
    return provider


def _limits(environment: Environment) -> SpanLimits:
    limits: dict[str, int] = {}
    for name, variable in _LIMITS.items():
        found = environment.first(variable)
        if found is None:
            continue
        text, source = found
        if not text.strip().isdecimal():
            fault = f"must be a number that is not negative, not {text!r}"
            raise InvalidSettingError("a limit of spans", fault, source=source)
        limits[name] = int(text)
    if "max_attributes" not in limits:
        limits.setdefault("max_span_attributes", _ATTRIBUTES)
    return SpanLimits(**limits)


def _id_generator(environment: Environment) -> IdGenerator | None:
    """Return the generator that a variable names, where that is not the SDK's random one."""
    found = environment.first(OTEL_PYTHON_ID_GENERATOR)
    if found is None or found[0].strip() == "random":
        return None
    offered = _offered(environment, OTEL_PYTHON_ID_GENERATOR, _ID_GENERATORS, "the id generator")
    made: IdGenerator = offered()
    return made


def _offered(environment: Environment, variable: str, group: str, what: str) -> Any:
    """Return what a variable names of that which installed packages offer; None where it is unset.

    Raises:
        InvalidSettingError: none of them offers it.
    """
    found = environment.first(variable)
    if found is None:
        return None
    name, source = found[0].strip(), found[1]
    offered = {point.name: point for point in entry_points(group=group)}
    if name not in offered:
        fault = f"{name!r} is offered by no installed package{nearest(name, offered)}"
        raise InvalidSettingError(what, fault, source=source)
    return offered[name].load()


def resource_of(environment: Environment) -> dict[str, Any]:
    """Return what `OTEL_RESOURCE_ATTRIBUTES` says, from the environment or from .env."""
    text = environment.get(OTEL_RESOURCE_ATTRIBUTES) or ""
    attributes: dict[str, Any] = {}
    for pair in text.split(","):
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            attributes[name.strip()] = unquote(value.strip())
    return attributes


def described_resource(settings: Settings) -> Mapping[str, Any]:
    """Return what `configure()` says of the application, over the resource of its spans."""
    from spanwise import _version, semconv

    described = {
        semconv.SERVICE_NAME: settings.service_name,
        semconv.SERVICE_VERSION: settings.service_version,
        semconv.DEPLOYMENT_ENVIRONMENT_NAME: settings.environment,
        semconv.TELEMETRY_DISTRO_NAME: "spanwise",
        semconv.TELEMETRY_DISTRO_VERSION: _version.__version__,
    }
    return {key: value for key, value in described.items() if value is not None}
