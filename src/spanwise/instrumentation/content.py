"""Have OpenTelemetry's GenAI instrumentors record content where Spanwise does.

They read a variable, and record none where it is not set. It is answered for them here, so that
the process's environment is left alone. What the variable says, there or in `.env`, stands.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Callable
from typing import Any, Final

from spanwise import _guard, _settings, _state
from spanwise._environment import Environment

VARIABLE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"

_PACKAGE: Final = "opentelemetry.util.genai"
_ASKED: Final = "get_content_capturing_mode"
_WITH_CONTENT: Final = "SPAN_ONLY"
_WITHOUT: Final = "NO_CONTENT"


def mode_in_force() -> str | None:
    """Return what the GenAI instrumentors are to be told, or None to let them look themselves."""
    runtime = _state.runtime
    if runtime is None or os.environ.get(VARIABLE, "").strip().lower() in _settings.CONTENT_MODES:
        return None
    if not runtime.settings.capture_content:
        return _WITHOUT
    said = (Environment.read().get(VARIABLE) or _WITH_CONTENT).strip()
    if said.lower() in _settings.CONTENT_MODES:
        return said.upper()
    try:
        return _WITH_CONTENT if _settings.boolean(said) else _WITHOUT
    except _settings.Fault:
        return None  # the instrumentor says what is wrong with it


def answer() -> None:
    """Answer for the variable from now on, where the package that reads it is installed."""
    try:
        importlib.import_module(f"{_PACKAGE}.handler")
    except ImportError:
        return
    for name, module in list(sys.modules.items()):
        asked = vars(module).get(_ASKED) if name.startswith(_PACKAGE) and module else None
        if asked is not None and not hasattr(asked, "_spanwise_answers"):
            setattr(module, _ASKED, _answering(asked))


def _answering(asked: Callable[[], Any]) -> Callable[[], Any]:
    modes = importlib.import_module(f"{_PACKAGE}.types").ContentCapturingMode

    @functools.wraps(asked)
    def answered() -> Any:
        mode = None
        with _guard.guard("content_mode"):
            said = mode_in_force()
            mode = None if said is None else modes[said]
        return asked() if mode is None else mode

    answered._spanwise_answers = True  # type: ignore[attr-defined]
    return answered
