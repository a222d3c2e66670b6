"""Record the arguments of calls: FluxLoop's helper functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fluxloop.config import get_config, record_to
from spanwise import _guard

_auto_increment = True


def enable_recording(output_file: str) -> None:
    """Record into this file from now on; folders are made with the first record."""
    record_to(Path(output_file).expanduser().absolute())


def disable_recording() -> None:
    """Stop recording; the rest of the configuration stays."""
    record_to(None)


def record_call_args(target: str, *, iteration: int | None = None, **kwargs: Any) -> None:
    """Write one record at once, if recording is enabled.

    Args:
        target: `module:qualified.name` of what can be called with these arguments.
        iteration: the call's number; counted for each target by default.
        **kwargs: the arguments.
    """
    config = get_config()
    if not config.record_args or config.recording_file is None:
        return
    if iteration is None and not _auto_increment:
        iteration = 0
    with _guard.guard("record_call_args"):
        # Imported here: few programs ask for it, and importing must stay light.
        from spanwise.export.call_recordings import recordings_at

        recordings = recordings_at(Path(config.recording_file))
        recordings.write(target, kwargs, iteration=iteration)


def set_recording_options(*, iteration_auto_increment: bool | None = None) -> None:
    """Choose whether an omitted `iteration` counts on (the default) or is 0."""
    global _auto_increment
    if iteration_auto_increment is not None:
        _auto_increment = iteration_auto_increment
