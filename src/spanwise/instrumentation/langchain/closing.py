"""Close the gaps that an instrumentor of LangChain leaves, on top of it."""

from __future__ import annotations

import importlib
from typing import Any, Final

from spanwise import _guard
from spanwise.instrumentation.langchain.frames import Frames
from spanwise.instrumentation.langchain.gate import Gate
from spanwise.instrumentation.langchain.handlers import known

# The method of callback managers that all of them wrap, and where their wrapper has its handler.
_INSTALLS: Final = "__init__"
_HANDLERS: Final = ("_handler", "_tracer", "_callback_handler")
# Spans of Traceloop's beside those of its callbacks: the same graphs once more.
_BESIDE_CALLBACKS: Final = "_wrap_langgraph_components"


class Closed:
    """What is put on top of an instrumentor.

    It is made before the instrumentor is turned on, `close` comes after that; `undo` comes before
    it is turned off, and `restore` after that.
    """

    def __init__(self, instrumentor: Any) -> None:
        self._instrumentor = instrumentor
        self._manager = importlib.import_module("langchain_core.callbacks").BaseCallbackManager
        self._before = self._wrapped = vars(self._manager)[_INSTALLS]
        self._placed: list[Any] = []
        if hasattr(instrumentor, _BESIDE_CALLBACKS):
            setattr(instrumentor, _BESIDE_CALLBACKS, lambda tracer: None)

    def close(self) -> None:
        """Put the gate before the handler that the instrumentor has installed by now."""
        self._wrapped = vars(self._manager)[_INSTALLS]
        handler = _handler_of(self._wrapped)
        found = None if handler is None else known(handler)
        if found is None:
            kind = type(self._instrumentor).__module__
            _guard.logger.debug("%s is not known: its spans are as it makes them", kind)
            return
        gate = Gate(handler, found)
        for layer in (gate, Frames(gate, is_last_resort=found.attaches)):
            self._placed.append(layer)
            layer.place()

    def undo(self) -> None:
        """Take everything away that was put there."""
        for layer in reversed(self._placed):
            with _guard.guard("langchain.undo"):
                layer.remove()
        self._placed.clear()

    def restore(self) -> None:
        """Take the handler away as well, where the instrumentor leaves it behind."""
        vars(self._instrumentor).pop(_BESIDE_CALLBACKS, None)
        if vars(self._manager)[_INSTALLS] is self._wrapped:
            setattr(self._manager, _INSTALLS, self._before)


def _handler_of(wrapped: Any) -> Any:
    """Return the handler that this wrapper puts into every callback manager."""
    wrapper = getattr(wrapped, "_self_wrapper", None)
    found = (getattr(wrapper, name, None) for name in _HANDLERS)
    return next((handler for handler in found if hasattr(handler, "on_chain_start")), None)
