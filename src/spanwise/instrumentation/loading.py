"""Load the instrumentors that are installed, one for each library, and never fail for one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spanwise import _guard, _state
from spanwise._environment import Environment
from spanwise.instrumentation import choosing, content
from spanwise.instrumentation.choosing import GROUPS, Choice, check_names, distribution_of
from spanwise.instrumentation.langchain.closing import Closed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUPS", "check_names", "disabled", "installed", "load"]

DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"

# What is put on top of an instrumentor, by the library.
_GAPS: Final[dict[str, Callable[[Any], Closed]]] = {"langchain": Closed}


@dataclass(frozen=True)
class Loaded:
    """An instrumentor that was turned on here.

    Attributes:
        instrumentor: the object to turn off again.
        point: where it came from.
        provider: the TracerProvider that it was given.
        content: what it was told of recording content.
        gaps: what was put on top of it.
    """

    instrumentor: Any
    point: EntryPoint
    provider: Any
    content: str | None
    gaps: Closed | None


def disabled() -> frozenset[str]:
    """Return the names that `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` holds."""
    said = Environment.read().get(DISABLED) or ""
    return frozenset(name.strip() for name in said.split(",") if name.strip())


def load(wanted: bool | tuple[str, ...], provider: Any) -> None:
    """Have the wanted instrumentors turned on, and no other of those that were turned on here.

    Args:
        wanted: True for all that are installed, False for none, or their names.
        provider: the TracerProvider that they make their spans with.
    """
    running: dict[str, Loaded] = _state.instrumentors
    chosen = {} if wanted is False else _chosen(wanted)
    mode = content.mode_in_force()
    for name, loaded in list(running.items()):
        choice = chosen.get(name)
        is_as_wanted = choice is not None and (loaded.point.value, loaded.content) == (
            choice.used.value if choice.used is not None else None,
            mode,
        )
        if not is_as_wanted or loaded.provider is not provider:
            del running[name]
            _turn_off(name, loaded)
    for name, choice in chosen.items():
        if name not in running and choice.used is not None and not _is_the_programs(choice):
            loaded_now = _turned_on(name, choice.used, provider, mode)
            if loaded_now is not None:
                running[name] = loaded_now


def installed() -> dict[str, EntryPoint]:
    """Return the installed instrumentors that are preferred, by the name of what they instrument."""
    runtime = _state.runtime
    preference = runtime.settings.instrumentor_preference if runtime is not None else ()
    return {points[0].name: points[0] for points in choosing.installed(preference).values()}


def _chosen(wanted: bool | Iterable[str]) -> dict[str, Choice]:
    runtime = _state.runtime
    preference = runtime.settings.instrumentor_preference if runtime is not None else ()
    chosen = choosing.choices(wanted, preference, disabled())
    for choice in chosen:
        _tell(choice, is_named=not isinstance(wanted, bool))
    if preference:
        for prefix in choosing.unmatched(preference, choosing.installed()):
            _guard.warn(
                f"instrumentor_preference.{prefix}",
                f"instrumentor_preference names {prefix!r}, and no installed instrumentor's "
                "distribution begins with it",
            )
    return {choosing.library(choice.name): choice for choice in chosen}


def _tell(choice: Choice, *, is_named: bool) -> None:
    """Say in one line what is used, and in one warning what does not fit what is installed."""
    used = distribution_of(choice.used) if choice.used is not None else "nothing"
    if choice.left or choice.used is not None:
        left = ", ".join(distribution_of(point) for point in choice.left) or "nothing"
        _guard.logger.debug("%s is instrumented by %s; left out: %s", choice.name, used, left)
    misfits = [
        f"{distribution_of(point)} wants {', '.join(conflict.wanted)}, and "
        f"{', '.join(conflict.found) or 'none'} is installed"
        for point, conflict in choice.skipped
        if conflict.found or is_named
    ]
    if misfits:
        text = f"{choice.name} is instrumented by {used}: {'; '.join(misfits)}"
        _guard.warn(f"instrument.{choice.name}.versions", text)


def _is_the_programs(choice: Choice) -> bool:
    """Return whether the program itself turned one on for the library, whichever it prefers.

    That one has the provider of the program's choice, and a second one would see all once more.
    """
    for point in choice.all:
        made = getattr(getattr(sys.modules.get(point.module), point.attr, None), "_instance", None)
        if getattr(made, "is_instrumented_by_opentelemetry", False):
            found = distribution_of(point)
            _guard.logger.debug("%s is instrumented by the program, with %s", choice.name, found)
            return True
    return False


def _turned_on(name: str, point: EntryPoint, provider: Any, mode: str | None) -> Loaded | None:
    try:
        content.answer()
        instrumentor = point.load()()
        gaps = _GAPS[name](instrumentor) if name in _GAPS else None
        # What it needs was looked at already, and all that is missing may be a name.
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=True)
        if not getattr(instrumentor, "is_instrumented_by_opentelemetry", True):
            return None
    except BaseException as error:  # noqa: BLE001 - a broken package must not stop the program
        _swallow(f"instrument.{name}", error)
        return None
    if gaps is not None:
        with _guard.guard(f"instrument.{name}"):
            gaps.close()
    return Loaded(instrumentor, point, provider, mode, gaps)


def _turn_off(name: str, loaded: Loaded) -> None:
    try:
        if loaded.gaps is not None:
            loaded.gaps.undo()
        loaded.instrumentor.uninstrument()
        if loaded.gaps is not None:
            loaded.gaps.restore()
    except BaseException as error:  # noqa: BLE001 - nor when it is turned off
        _swallow(f"instrument.{name}", error)


def _swallow(place: str, error: BaseException) -> None:
    """Swallow whatever a broken package raises: `sys.exit()` too, and a panic of an extension.

    Raises:
        BaseException: an interrupt, or what a signal handler of the program raised.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    _guard.swallow(place, error)  # type: ignore[arg-type]  # it asks whose error it is
