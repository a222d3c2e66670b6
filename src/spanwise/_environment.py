"""The environment's variables, over the lines of `./.env`; both are read and left alone.

Where `OTEL_CONFIG_FILE` names a file, that file says what OpenTelemetry's own variables say
elsewhere, and they are not looked at.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from spanwise import _guard

CONFIG_FILE: Final = "OTEL_CONFIG_FILE"

# Not about the SDK, or above the file: it is nothing that a file could say.
_BESIDE_A_FILE = (CONFIG_FILE, "OTEL_SDK_DISABLED", "OTEL_PYTHON_", "OTEL_INSTRUMENTATION_")
_DOTENV_PREFIXES = ("SPANWISE_", "OTEL_", "BRIXO_", "FLUXLOOP_")


class Environment:
    """The environment variables, and below them the lines of a `.env` file.

    Args:
        variables: the process's environment.
        dotenv: names and values of the file.
    """

    def __init__(self, variables: Mapping[str, str], dotenv: Mapping[str, str]) -> None:
        self._layers = ((variables, ""), (dotenv, " in .env"))
        self._is_declared = any(layer.get(CONFIG_FILE, "").strip() for layer in (variables, dotenv))

    @classmethod
    def read(cls, folder: Path | None = None) -> Environment:
        """Return the process's environment over the `.env` of the folder (the current one)."""
        return cls(os.environ, _read_dotenv((folder or Path()) / ".env"))

    def first(self, *names: str) -> tuple[str, str] | None:
        """Return value and origin of the first name that is set, real variables first."""
        for layer, where in self._layers:
            for name in names:
                value = None if self._is_overruled(name) else layer.get(name)
                if value is not None and value.strip():
                    return value, name + where
        return None

    def get(self, *names: str) -> str | None:
        """Return the value of the first name that is set."""
        found = self.first(*names)
        return found[0] if found else None

    def origins(self, prefix: str) -> dict[str, str]:
        """Return where each variable with this prefix was set, by its name."""
        found: dict[str, str] = {}
        for layer, where in self._layers:
            for name, value in layer.items():
                if name.startswith(prefix) and value.strip():
                    found.setdefault(name, name + where)
        return found

    def _is_overruled(self, name: str) -> bool:
        is_otels = name.startswith("OTEL_") and not name.startswith(_BESIDE_A_FILE)
        return self._is_declared and is_otels


def _read_dotenv(path: Path) -> dict[str, str]:
    """Return our and OpenTelemetry's names of the file; a bad line is said once and skipped."""
    # Path.is_file() raises where the folder may not be looked into.
    if not os.path.isfile(path):  # noqa: PTH113
        return {}
    # Imported when there is a file: most processes have none.
    import io
    import logging

    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    try:
        # With or without the mark that Windows puts first. What is no UTF-8 spoils its own line.
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        _guard.warn(".env", f".env cannot be read and is ignored: {_guard.describe(error)}")
        return {}
    bad = [
        binding.original.line
        for binding in parse_stream(io.StringIO(text))
        if binding.error or not _is_valid(binding.original.string)
    ]
    if bad:
        _guard.warn(".env", f".env: cannot read line {bad[0]}; the other lines are used")
    # The parser's own warning would say the same again.
    logger = logging.getLogger("dotenv.main")
    silent, logger.disabled = logger.disabled, True
    try:
        values = dotenv_values(stream=io.StringIO(text))
    finally:
        logger.disabled = silent
    return {
        name: value
        for name, value in values.items()
        if value is not None and _is_valid(value) and name.startswith(_DOTENV_PREFIXES)
    }


def _is_valid(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)
