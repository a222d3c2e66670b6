"""`configure()`, `flush()`, `shutdown()`: the life of what runs behind the decorators."""

from __future__ import annotations

import atexit
import dataclasses
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from spanwise import _guard, _state
from spanwise.errors import InvalidSettingError

if TYPE_CHECKING:
    from spanwise._environment import Environment
    from spanwise._settings import Settings, SettingsKeywords
    from spanwise._state import Runtime
    from spanwise.processors.delegating import Sink

_FLUSH_TIMEOUT_S = 30.0
_at_exit_registered = False


def configure(**settings: Unpack[SettingsKeywords]) -> Settings:
    """Set up Spanwise, or change what is named of it, and return the settings in force.

    With no TracerProvider in place one is made and becomes the global one; to an SDK provider
    that is there, one span processor is added. Every keyword may also be a variable
    `SPANWISE_<NAME>`, or stand in `./.env`.

    Args:
        **settings: see `Settings`; a later call changes those that it names.

    Raises:
        UnknownSettingError: a keyword is no setting; the message names the nearest.
        InvalidSettingError: a value cannot be used; nothing is changed then.
    """
    return apply(settings)


def first_use(
    settings: Mapping[str, Any] | None = None, *, defaults: Mapping[str, Any] | None = None
) -> Runtime | None:
    """Configure for a facade if nothing is configured yet; never raises.

    The provider made here stays private until `configure()` is called, so that the
    application's own `set_tracer_provider` still works. What was switched off or shut down
    stays so.

    Args:
        settings: what the facade was told.
        defaults: what the facade does by default; every variable stands above it.
    """
    if _state.runtime is not None or _state.is_off:
        return _state.runtime
    try:
        apply(settings or {}, defaults=defaults, private=True)
    except Exception as error:  # noqa: BLE001 - a decorated call must not fail for it
        _state.is_off = True  # told once, not at every call
        _guard.swallow("first_use", error)
    return _state.runtime


def flush(timeout: float = _FLUSH_TIMEOUT_S) -> bool:
    """Return True only if every span that this process ended has arrived within the time.

    Arrived means, for each destination, acknowledged or finally refused (and counted); where
    there is no destination, written. Only what is ours is flushed.

    Args:
        timeout: seconds, at most an hour.
    """
    runtime = _state.runtime
    if runtime is None:
        return True
    if not isinstance(timeout, (int, float)) or timeout != timeout:
        raise TypeError(f"timeout must be a number of seconds, not {timeout!r}")
    try:
        return runtime.processor.force_flush(int(min(max(timeout, 0), 3600) * 1000))
    except Exception as error:  # noqa: BLE001 - ours: what is not known to have arrived, has not
        _guard.swallow("flush", error)
        return False


def shutdown() -> None:
    """Flush for at most two seconds and stop; decorated functions run undecorated from now on.

    A later `configure()` starts again.
    """
    with _state.lock:
        runtime, _state.runtime = _state.runtime, None
        _state.keywords.clear()
        _state.is_off = True
        if runtime is not None:
            _stop(runtime)


def stats() -> dict[str, int]:
    """Return the counters of this process, by name; one that is not there is zero.

    `spans.started` and `spans.ended`; `written.<where>` what is in files and in the spool,
    `delayed.<where>` what had to wait for the disk; `exported.<where>` what was acknowledged,
    `retried.<where>` how often a destination was tried again, `adopted.<where>` how many dead
    processes had left something; `refused.<where>` and `rejected.<where>` what a destination would
    not have, `cut.<where>` what was too large for it, `kept.spool` what of both is kept on the
    disk; `lost.<where>`, `dropped.<why>`, `deleted.<what>`, `torn.spool` and `unreadable.<where>`
    what did not arrive; `interrupted.spans` those that a kill left open; `truncated` inputs,
    outputs and other texts that were cut; `masked` values in which something was secret;
    `failures.<place>` faults of ours, or of the program's own hooks, that were swallowed.
    """
    return _state.counters()


def apply(
    keywords: Mapping[str, Any],
    *,
    defaults: Mapping[str, Any] | None = None,
    private: bool = False,
    resource: Mapping[str, Any] | None = None,
) -> Settings:
    """Put settings in force, over those of earlier calls, and return them.

    Args:
        keywords: as those of `configure()`.
        defaults: used where neither a keyword nor a variable says something.
        private: see `first_use`.
        resource: further attributes of the resource of a provider that is made now.

    Raises:
        ConfigurationError: something cannot be used; nothing is changed then.
    """
    global _at_exit_registered
    # Imported now: an import of Spanwise is to stay light.
    from spanwise import _propagation, _settings
    from spanwise._environment import Environment

    _settings.check_names(keywords)
    with _state.lock:
        environment = Environment.read()
        merged = {**_state.keywords, **keywords}
        defaults = {**_state.distro_defaults, **(defaults or {})}
        settings = _settings.resolve(merged, environment, defaults)
        # As they were understood, not as they were given: a generator can be read only once.
        named = {name: getattr(settings, name) for name in keywords}
        for name, fault in _settings.misspelt(environment).items():
            _guard.warn(name, fault)
        if not settings.enabled or _sdk_is_disabled(environment):
            runtime, _state.runtime = _state.runtime, None
            _state.keywords.update(named)
            _state.is_off = True
            if runtime is not None:
                _stop(runtime)
            return settings
        # Imported now: nothing but a configured process pays for the SDK.
        try:
            from spanwise import _pipeline
        except ValueError as error:  # it reads some of its variables while it is imported
            fault = f"cannot be used: {error}"
            raise InvalidSettingError("a variable of OpenTelemetry's", fault) from None
        # For streams; not in their calls, since another thread may fork just then.
        from spanwise import _straddling, _stream  # noqa: F401
        from spanwise.instrumentation import loading

        loading.check_names(settings.instrument)
        runtime = _pipeline.build(
            settings, environment, _state.runtime, private=private, resource=resource
        )
        _state.runtime = runtime
        _state.is_off = False
        if not private:
            _state.keywords.update(named)
        loading.load(settings.instrument, runtime.provider)
        # On a provider that the application made, how threads are treated is its own choice.
        _carry_into_threads(settings.propagate_threads and runtime.owns_provider)
        with _guard.guard("parent"):
            _propagation.adopt_parent(os.environ.get(_propagation.PARENT_VARIABLE))
        if not _at_exit_registered:
            atexit.register(_finish)
            _at_exit_registered = True
        return settings


def place_sink(name: str, sink: Sink | None) -> None:
    """Have every record written to a further place too, from now on; None takes it away again.

    Args:
        name: of the place; another sink under this name is replaced, and closed.
        sink: where records go; it is closed at the shutdown.
    """
    with _state.lock:
        before = _state.sinks.pop(name, None)
        if sink is not None:
            _state.sinks[name] = sink
        runtime = _state.runtime
        wiring = runtime.processor.wiring if runtime is not None else None
        if runtime is not None and wiring is not None:
            kept = [existing for existing in wiring.sinks if existing is not before]
            added = [] if sink is None else [sink]
            runtime.processor.rewire(dataclasses.replace(wiring, sinks=(*kept, *added)))
        if before is not None and before is not sink:
            with _guard.guard("sink.close"):
                before.close(timeout_s=1.0)


def _finish() -> None:
    """At the exit: let the sinks finish, within two seconds.

    Spans that daemon threads and later exit handlers end are written all the same.
    """
    _state.is_exiting = True
    runtime = _state.runtime
    if runtime is not None:
        with _guard.guard("exit"):
            runtime.processor.finish()


def _stop(runtime: Runtime) -> None:
    """Take back what was put into the program, and let the sinks finish."""
    from spanwise.instrumentation import loading

    with _guard.guard("shutdown"):
        _carry_into_threads(False)
    with _guard.guard("shutdown"):
        loading.load(False, None)
    runtime.processor.shutdown()


def _carry_into_threads(wanted: bool) -> None:
    from spanwise import _threads

    (_threads.install if wanted else _threads.uninstall)()


def _sdk_is_disabled(environment: Environment) -> bool:
    value = environment.get("OTEL_SDK_DISABLED")
    return value is not None and value.strip().lower() == "true"
