"""The current context of OpenTelemetry, without its function's detours.

`opentelemetry.context.detach` logs an error before it could be caught, and `attach` and
`get_current` pass every call on to a method that does. Where the current context is a context
variable, as it is unless `OTEL_PYTHON_CONTEXT` names another store, that is asked itself.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final

from opentelemetry.context import _RUNTIME_CONTEXT, Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

_variable: Any = getattr(_RUNTIME_CONTEXT, "_current_context", None)
_is_variable = type(_RUNTIME_CONTEXT) is ContextVarsRuntimeContext and type(_variable) is ContextVar

get_current: Final[Callable[[], Context]] = (
    _variable.get if _is_variable else _RUNTIME_CONTEXT.get_current
)
attach: Final[Callable[[Context], Any]] = _variable.set if _is_variable else _RUNTIME_CONTEXT.attach
# Raises where the token is of another `contextvars.Context`, or was used.
detach: Final[Callable[[Any], None]] = _variable.reset if _is_variable else _RUNTIME_CONTEXT.detach
