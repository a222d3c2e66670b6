"""The distribution that `opentelemetry-instrument` finds: Spanwise, with no line of code.

The distro says what the defaults are, the configurator puts them in force the way `configure()`
does, and sets up metrics and logs as OpenTelemetry's own does. Which one is in force where several
are installed is OpenTelemetry's to decide (`OTEL_PYTHON_DISTRO`, `OTEL_PYTHON_CONFIGURATOR`).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry.environment_variables import OTEL_TRACES_EXPORTER
from opentelemetry.instrumentation.distro import BaseDistro  # type: ignore[attr-defined]
from opentelemetry.sdk import _configuration
from opentelemetry.sdk._configuration import _OTelSDKConfigurator
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_TRACES_SAMPLER,
)

from spanwise import _configure, _guard, _settings, _state
from spanwise._environment import CONFIG_FILE, Environment
from spanwise.errors import ConfigurationError
from spanwise.instrumentation import choosing, loading

_TRACING: Final = "_init_tracing"  # called with keywords by the configurator
_DEFAULT_PROTOCOL: Final = "http/protobuf"


class SpanwiseDistro(BaseDistro):  # type: ignore[misc]  # its module has no types
    """Load every instrumentor that is installed, one for each library."""

    def _configure(self, **kwargs: Any) -> None:
        _state.distro_defaults["instrument"] = True

    def load_instrumentor(self, entry_point: Any, **kwargs: Any) -> None:
        """Leave an instrumentor to the configurator, which has loaded those that are wanted.

        Where another configurator is in force, load it if it is the one for its library.
        """
        is_ours_to_load = _state.runtime is None and not _state.is_off
        if is_ours_to_load and entry_point.value in self._chosen:
            super().load_instrumentor(entry_point, **kwargs)

    @functools.cached_property
    def _chosen(self) -> frozenset[str]:
        """Return the entry points that the settings choose, as no configurator of ours does."""
        try:
            settings = _settings.resolve({}, Environment.read(), _state.distro_defaults)
        except ConfigurationError as error:
            _tell(error)
            return frozenset()
        preference, disabled = settings.instrumentor_preference, loading.disabled()
        chosen = choosing.choices(settings.instrument, preference, disabled)
        return frozenset(choice.used.value for choice in chosen if choice.used is not None)


class SpanwiseConfigurator(_OTelSDKConfigurator):
    """Set up traces as `configure()` does, and metrics and logs as OpenTelemetry does."""

    def _configure(self, **kwargs: Any) -> None:
        try:
            self._set_up(**kwargs)
        except ConfigurationError as error:
            # Raised from here it would be logged twice, each time with two tracebacks.
            _state.is_off = True
            _tell(error)

    def _set_up(self, **kwargs: Any) -> None:
        if Environment.read().get(CONFIG_FILE) is not None:
            _configure.apply({})  # reads the file, which is about every signal
            return
        tracing: dict[str, Any] = {}
        with _replaced(_TRACING, lambda **given: tracing.update(given)), _variables():
            super()._configure(**kwargs)  # type: ignore[no-untyped-call]
        resource = tracing.get("resource")
        _configure.apply({}, resource=None if resource is None else resource.attributes)
        runtime = _state.runtime
        for processor in tracing.get("span_processors") or ():
            if runtime is not None:
                runtime.provider.add_span_processor(processor)


def _tell(error: ConfigurationError) -> None:
    _guard.tell(f"nothing is traced: {error} (`spanwise doctor` tells more)")


@contextmanager
def _replaced(name: str, function: Callable[..., None]) -> Iterator[None]:
    """Have the SDK call another function where it would set up one of its signals."""
    # An SDK that has none of this name sets up its own provider, to which ours is then added.
    stock = getattr(_configuration, name, None)
    if stock is None:
        yield
        return
    setattr(_configuration, name, function)
    try:
        yield
    finally:
        setattr(_configuration, name, stock)


@contextmanager
def _variables() -> Iterator[None]:
    """Have the SDK make no exporter of spans, and speak HTTP for the other signals by default.

    For as long as it sets itself up: the environment of the program is left alone.
    """
    protocol = os.environ.get(OTEL_EXPORTER_OTLP_PROTOCOL) or _DEFAULT_PROTOCOL
    wanted = {OTEL_TRACES_EXPORTER: "none", OTEL_EXPORTER_OTLP_PROTOCOL: protocol}
    # Read by ours, by its own rules; the SDK would warn of what it does not use.
    wanted[OTEL_TRACES_SAMPLER] = "parentbased_always_on"
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
