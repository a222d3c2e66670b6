"""What a program that is started here would be set up with, and what it could not use."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from spanwise import (
    _destinations,
    _environment,
    _guard,
    _pipeline,
    _provider,
    _samplers,
    _settings,
)
from spanwise._destinations import Destination
from spanwise._environment import Environment
from spanwise._settings import Settings
from spanwise.errors import InvalidSettingError
from spanwise.export import exporters
from spanwise.instrumentation import choosing

IN_DOTENV: Final = " in .env"


@dataclass(frozen=True)
class Surroundings:
    """What a program that is started here would be set up with.

    Attributes:
        variables: names and values of the environment.
        dotenv: those of `./.env`, as far as they are looked at.
        environment: both, without what cannot be used.
        settings: in force.
        destinations: that spans are sent to.
        set_aside: those that nothing is sent to, as spans are to be left in the spool.
        traces_dir: folder that files are written to, or None.
        faults: what cannot be used, each with the variable that says it, or None.
        said: what was logged while all this was read.
    """

    variables: Mapping[str, str]
    dotenv: Mapping[str, str]
    environment: Environment
    settings: Settings
    destinations: tuple[Destination, ...]
    set_aside: tuple[Destination, ...]
    traces_dir: Path | None
    faults: tuple[tuple[InvalidSettingError, str | None], ...]
    said: tuple[str, ...]


def surroundings() -> Surroundings:
    """Return what a program that is started in the current folder would be set up with."""
    with _overheard() as said:
        variables, dotenv = dict(os.environ), _environment._read_dotenv(Path(".env"))
        reading = _Reading(variables, dotenv)
        for step in _STEPS:
            reading.go_through(step)
        settings = reading.settings()
        destinations = reading.destinations(settings)
        is_sent = bool(destinations) or settings.spool_only
        traces_dir = _pipeline._traces_dir(settings, reading.environment, is_sent)
    return Surroundings(
        variables=variables,
        dotenv=dotenv,
        environment=reading.environment,
        settings=settings,
        destinations=() if settings.spool_only else destinations,
        set_aside=destinations if settings.spool_only else (),
        traces_dir=traces_dir,
        faults=tuple(reading.faults),
        said=tuple(said),
    )


class _Reading:
    """Reads everything that variables can say, and leaves out one after another what is at fault."""

    def __init__(self, variables: Mapping[str, str], dotenv: Mapping[str, str]) -> None:
        self._layers = {"": dict(variables), IN_DOTENV: dict(dotenv)}
        self.environment = Environment(variables, dotenv)
        self.faults: list[tuple[InvalidSettingError, str | None]] = []

    def go_through(self, step: Callable[[Settings, Environment], object]) -> None:
        """Take a step of `configure()` until nothing is at fault in it, or no variable for that."""
        known = len(self.faults)
        while True:
            sources: Mapping[str, str] = {}
            try:
                settings = _settings.resolve({}, self.environment)
                sources = settings.sources
                step(settings, self.environment)
                return
            except InvalidSettingError as error:
                origin = error.source or sources.get(error.name)
                self.faults.append((error, origin))
                if origin is None or not self._leave_out(origin):
                    return
            except Exception as error:  # noqa: BLE001 - OpenTelemetry's, which reads on by itself
                if len(self.faults) == known:
                    fault = f"cannot be set up: {_guard.describe(error)}"
                    self.faults.append((InvalidSettingError("OpenTelemetry", fault), None))
                return

    def settings(self) -> Settings:
        """Return those in force."""
        try:
            return _settings.resolve({}, self.environment)
        except InvalidSettingError:
            return Settings()

    def destinations(self, settings: Settings) -> tuple[Destination, ...]:
        """Return those in force."""
        try:
            return _destinations.resolve(settings, self.environment)
        except InvalidSettingError:
            return ()

    def _leave_out(self, origin: str) -> bool:
        """Leave out a variable; return False where there is none of this name."""
        where = IN_DOTENV if origin.endswith(IN_DOTENV) else ""
        if self._layers[where].pop(origin.removesuffix(where), None) is None:
            return False
        self.environment = Environment(self._layers[""], self._layers[IN_DOTENV])
        return True


# What `configure()` asks of them, one after the other.
_STEPS: Final[tuple[Callable[[Settings, Environment], object], ...]] = (
    lambda settings, environment: None,
    lambda settings, environment: choosing.check_names(settings.instrument),
    _samplers.sampling_of,
    _provider.make_provider,
    lambda settings, environment: exporters.sinks(environment),
    _destinations.resolve,
)


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect what we log in the block, and keep that and OpenTelemetry's from where logs go."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.WARNING and record.name == _guard.logger.name:
                said.append(record.getMessage())

    listener = Listener()
    loggers = (_guard.logger, logging.getLogger("opentelemetry"))
    before = [logger.propagate for logger in loggers]
    for logger in loggers:
        logger.propagate = False
        logger.addHandler(listener)
    try:
        yield said
    finally:
        for logger, propagated in zip(loggers, before, strict=True):
            logger.removeHandler(listener)
            logger.propagate = propagated
