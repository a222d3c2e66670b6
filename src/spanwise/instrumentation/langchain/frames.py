"""Make a run's span current where the run's own code runs, for instrumentors that do not.

LangChain and LangGraph run a node's, a tool's or a step's code in a copied `contextvars.Context`
that they prepare by one function each. That copy is the run's alone and is thrown away after it:
what is attached there need not be detached, and no callback attaches anything.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import context as context_api

from spanwise import _contexts, _guard, _identity
from spanwise.instrumentation.langchain.gate import Gate
from spanwise.instrumentation.langchain.runs import NODE_TAG, has_tag

_PREPARES: Final = "_set_config_context"
_PREPARING: Final = ("langchain_core.runnables.config", "langgraph._internal._runnable")
_MANAGERS: Final = "langchain_core.callbacks.manager"
_MODELS: Final = "langchain_core.language_models.chat_models"
_RETRIEVERS: Final = "langchain_core.retrievers"
_RETRIEVING: Final = context_api.create_key("spanwise-langchain-retrieving")


class Frames:
    """The functions that are wrapped, from `place` to `remove`.

    Args:
        gate: knows the spans of runs.
        is_last_resort: wrap only what no instrumentor takes care of.
    """

    def __init__(self, gate: Gate, *, is_last_resort: bool = False) -> None:
        self._gate = gate
        self._is_last_resort = is_last_resort
        self._placed: list[tuple[Any, str, Any, Any]] = []

    def place(self) -> None:
        """Wrap what prepares the contexts, and the calls of models and retrievers."""
        managers = importlib.import_module(_MANAGERS)
        if sys.version_info < (3, 11):
            self._wrap(managers.AsyncCallbackManager, "on_chain_start", self._started_in_a_task)
        if self._is_last_resort:
            return
        for path in _PREPARING:
            if importlib.util.find_spec(path.partition(".")[0]) is not None:
                self._wrap(importlib.import_module(path), _PREPARES, self._prepared)
        model = importlib.import_module(_MODELS).BaseChatModel
        self._wrap(model, "_generate_with_cache", self._generated)
        self._wrap(model, "_agenerate_with_cache", self._generated_async)
        retriever = importlib.import_module(_RETRIEVERS).BaseRetriever
        self._wrap(retriever, "invoke", self._retrieved)
        self._wrap(retriever, "ainvoke", self._retrieved_async)
        self._wrap(managers.CallbackManager, "on_retriever_start", self._retrieving)
        self._wrap(managers.AsyncCallbackManager, "on_retriever_start", self._retrieving_async)

    def remove(self) -> None:
        """Put back what was there; what another one wrapped since stays as it is."""
        for owner, name, original, ours in reversed(self._placed):
            if vars(owner).get(name) is ours:
                setattr(owner, name, original)
        self._placed.clear()

    def _wrap(self, owner: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
        # Methods are bound by what is there: another wrapper has to see the object.
        original = vars(owner).get(name)
        if original is None:
            _guard.logger.debug("%r has no %s: nesting is its instrumentor's", owner, name)
            return
        ours = functools.wraps(original)(wrapped(original))
        setattr(owner, name, ours)
        self._placed.append((owner, name, original, ours))

    def _attach(self, run_id: Any) -> Any:
        with _guard.guard("langchain.context"):
            context = self._gate.context_of(run_id)
            if context is not None:
                return _contexts.attach(context)
        return None

    @_guard.guard("langchain.context")
    def _attach_for(self, given: Any) -> Any:
        return self._attach(getattr(given.get("run_manager"), "run_id", None))

    def _prepared(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def prepare(config: Any, *args: Any, **kwargs: Any) -> Any:
            prepared = original(config, *args, **kwargs)
            with _guard.guard("langchain.context"):
                self._attach(getattr(config.get("callbacks"), "parent_run_id", None))
            return prepared

        return prepare

    def _started_in_a_task(self, original: Any) -> Callable[..., Any]:
        """Attach for the rest of a task that runs one node, and ends with it.

        Before Python 3.11 no context can be given to a task, and so none is prepared.
        """

        async def start(manager: Any, *args: Any, **kwargs: Any) -> Any:
            started = await original.__get__(manager)(*args, **kwargs)
            with _guard.guard("langchain.context"):
                if has_tag(manager.tags, NODE_TAG):
                    self._attach(started.run_id)
            return started

        return start

    def _generated(self, original: Any) -> Callable[..., Any]:
        def generate(model: Any, *args: Any, **kwargs: Any) -> Any:
            token = self._attach_for(kwargs)
            try:
                return original.__get__(model)(*args, **kwargs)
            finally:
                if token is not None:
                    _identity.give_back(token)

        return generate

    def _generated_async(self, original: Any) -> Callable[..., Any]:
        async def generate(model: Any, *args: Any, **kwargs: Any) -> Any:
            token = self._attach_for(kwargs)
            try:
                return await original.__get__(model)(*args, **kwargs)
            finally:
                if token is not None:
                    _identity.give_back(token)

        return generate

    def _retrieved(self, original: Any) -> Callable[..., Any]:
        """Give the caller's context back after a retriever, whose start attaches its own."""

        def invoke(retriever: Any, *args: Any, **kwargs: Any) -> Any:
            started: list[Any] = []
            token = _attach_mark(started)
            try:
                return original.__get__(retriever)(*args, **kwargs)
            except BaseException as error:
                self._cut(started, error)
                raise
            finally:
                _identity.give_back(token)

        return invoke

    def _retrieved_async(self, original: Any) -> Callable[..., Any]:
        async def ainvoke(retriever: Any, *args: Any, **kwargs: Any) -> Any:
            started: list[Any] = []
            token = _attach_mark(started)
            try:
                return await original.__get__(retriever)(*args, **kwargs)
            except BaseException as error:
                self._cut(started, error)
                raise
            finally:
                _identity.give_back(token)

        return ainvoke

    def _retrieving(self, original: Any) -> Callable[..., Any]:
        def start(manager: Any, *args: Any, **kwargs: Any) -> Any:
            return self._begun(original.__get__(manager)(*args, **kwargs))

        return start

    def _retrieving_async(self, original: Any) -> Callable[..., Any]:
        async def start(manager: Any, *args: Any, **kwargs: Any) -> Any:
            return self._begun(await original.__get__(manager)(*args, **kwargs))

        return start

    def _begun(self, started: Any) -> Any:
        with _guard.guard("langchain.context"):
            retrieving = _contexts.get_current().get(_RETRIEVING)
            if isinstance(retrieving, list):
                retrieving.append(started.run_id)
                self._attach(started.run_id)
        return started

    @_guard.guard("langchain.end")
    def _cut(self, started: list[Any], error: BaseException) -> None:
        """End the run of a retriever that was cancelled: LangChain tells nobody of its end."""
        for run_id in started[:1]:
            if not issubclass(type(error), Exception):
                self._gate.cut(run_id, error)


@_guard.guard("langchain.context")
def _attach_mark(started: list[Any]) -> Any:
    marked = context_api.set_value(_RETRIEVING, started, _contexts.get_current())
    return _contexts.attach(marked)
