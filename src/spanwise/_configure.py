"""`configure()`, `flush()`, `shutdown()`: the life of what runs behind the decorators."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from spanwise import _guard, _settings, _state
from spanwise._settings import Environment, Settings, SettingsKeywords

if TYPE_CHECKING:
    from spanwise._state import Runtime

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
    return _apply(dict(settings), private=False)


def first_use(**defaults: Any) -> Runtime | None:
    """Configure with a facade's defaults if nothing is configured yet; never raises.

    The provider made here stays private until `configure()` is called, so that the
    application's own `set_tracer_provider` still works.
    """
    if _state.runtime is not None:
        return _state.runtime
    try:
        _apply(defaults, private=True)
    except Exception as error:  # noqa: BLE001 - a decorated call must not fail for it
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
    return runtime.processor.force_flush(int(min(max(timeout, 0), 3600) * 1000))


def shutdown() -> None:
    """Flush for at most two seconds and stop; decorated functions run undecorated from now on.

    A later `configure()` starts again.
    """
    with _state.lock:
        runtime, _state.runtime = _state.runtime, None
        _state.keywords.clear()
        if runtime is not None:
            with _guard.guard("threads.uninstall"):
                _carry_into_threads(False)
            runtime.processor.shutdown()


def stats() -> dict[str, int]:
    """Return the counters: spans ended, written, sent, lost, dropped, and failures by place."""
    return _state.counters()


def _apply(keywords: dict[str, Any], *, private: bool) -> Settings:
    global _at_exit_registered
    _settings.check_names(keywords)
    with _state.lock:
        environment = Environment.read()
        merged = {**_state.keywords, **keywords}
        settings = _settings.resolve(merged, environment)
        if not settings.enabled or _sdk_is_disabled(environment):
            runtime, _state.runtime = _state.runtime, None
            _state.keywords.update(keywords)
            if runtime is not None:
                _carry_into_threads(False)
                runtime.processor.shutdown()
            return settings
        # Imported now: nothing but a configured process pays for the SDK.
        from spanwise import _pipeline
        from spanwise.instrumentation import loading

        loading.check_names(settings.instrument)
        runtime = _pipeline.build(settings, environment, _state.runtime, private=private)
        _state.runtime = runtime
        loading.load(settings.instrument, runtime.provider)
        # On a provider that the application made, how threads are treated is its own choice.
        _carry_into_threads(settings.propagate_threads and runtime.owns_provider)
        if not private:
            _state.keywords.update(keywords)
        if not _at_exit_registered:
            atexit.register(shutdown)
            _at_exit_registered = True
        return settings


def _carry_into_threads(wanted: bool) -> None:
    from spanwise import _threads

    (_threads.install if wanted else _threads.uninstall)()


def _sdk_is_disabled(environment: Environment) -> bool:
    value = environment.get("OTEL_SDK_DISABLED")
    return value is not None and value.strip().lower() == "true"
