"""Have OpenTelemetry set itself up as a declarative configuration file says."""

from __future__ import annotations

from spanwise import _guard
from spanwise._environment import CONFIG_FILE
from spanwise.errors import InvalidSettingError


def set_up(path: str) -> None:
    """Make the providers that the file describes, for every signal, and make them the global ones.

    Args:
        path: of the file.

    Raises:
        InvalidSettingError: the file cannot be used, or the package that reads it is not here.
    """
    try:
        from opentelemetry.configuration import (  # type: ignore[import-not-found,unused-ignore]
            configure_sdk,
            load_config_file,
        )
    except ImportError:
        raise InvalidSettingError(
            "the configuration file",
            "is read by a package that is not installed: pip install opentelemetry-configuration",
            source=CONFIG_FILE,
        ) from None
    try:
        configure_sdk(load_config_file(path))
    except Exception as error:
        reason = f"cannot be used: {_guard.describe(error)}"
        raise InvalidSettingError("the configuration file", reason, source=CONFIG_FILE) from error
