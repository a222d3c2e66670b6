"""The decorators and the context manager: they choose a shell and say what is to be observed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar, overload

from typing_extensions import Unpack

from spanwise import _guard, _operation, _shells
from spanwise._observation import NO_OBSERVATION, Observation, Plan, current
from spanwise._plans import OF_CALLS, Options, check_options, make_plan, name_of
from spanwise.errors import DecorationError

F = TypeVar("F", bound=Callable[..., Any])

_NOTHING: Any = object()


def decorate(target: Any, build: Callable[[Callable[..., Any]], Plan]) -> Any:
    """Return the target in its shell; `build` makes the plan for the function found in it.

    A classmethod or staticmethod stays one, whichever decorator is outside. A class keeps its
    identity: its `__call__` is wrapped.

    Raises:
        DecorationError: the target cannot be called.
    """
    if isinstance(target, classmethod | staticmethod):
        return type(target)(decorate(target.__func__, build))
    if inspect.isclass(target):
        if "__call__" not in vars(target):
            raise DecorationError(
                f"class {target.__qualname__} does not define __call__; decorate its methods"
            )
        target.__call__ = decorate(vars(target)["__call__"], build)  # type: ignore[method-assign]
        return target
    if not callable(target):
        raise DecorationError(f"cannot decorate {target!r}: it is not callable")
    if not inspect.isroutine(target) and not isinstance(target, functools.partial):
        # A callable object: the shell must be of the kind of its __call__.
        target = target.__call__
    return _shells.wrap(target, build(target))


class Block:
    """An observation about to be made: of a block (`with`, `async with`) or of a function (`@`)."""

    __slots__ = ("_entered", "_input", "_misused", "_name", "_options", "_plan", "_type")

    def __init__(
        self, type: str, name: str | None, options: dict[str, Any], input: Any = _NOTHING
    ) -> None:
        for listed in ("tags", "capture_input", "ignore"):
            if isinstance(options.get(listed), Iterator):  # it is read more than once
                options = {**options, listed: tuple(options[listed])}
        self._type = type
        self._name = name
        self._options = options
        self._input = input
        # Tasks and threads may be inside the same block at once.
        self._entered: list[Observation | None] = []
        self._misused = next((n for n in OF_CALLS if options.get(n) is not None), None)
        # For a block. For a function it is made anew, but a wrong option is told here already.
        self._plan = make_plan(type, name or type, **options)

    def __call__(self, function: F, /) -> F:
        """Return the function, observed at every call."""

        def build(inner: Callable[..., Any]) -> Plan:
            name = self._name or name_of(inner)
            return make_plan(self._type, name, function=inner, **self._options)

        try:
            wrapped: F = decorate(function, build)
            return wrapped
        except DecorationError:
            raise
        except Exception as fault:  # noqa: BLE001 - ours: the program runs as without us
            _guard.swallow("observe", fault)
            return function

    def __enter__(self) -> Observation:
        if self._misused is not None:
            raise DecorationError(
                f"{self._misused} is for decorated functions: a block has no call"
            )
        observation = None
        try:
            observation = _operation.start(self._plan)
            if observation is not None and self._input is not _NOTHING:
                observation.update(input=self._input)
            self._entered.append(observation)
        except Exception as fault:  # noqa: BLE001 - ours: the block runs as without us
            _operation.abandon(observation, fault)
            return NO_OBSERVATION
        return observation or NO_OBSERVATION

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        observation = None
        try:
            observation = self._leaving()
            if observation is not None:
                # GeneratorExit: the generator around the block was closed, which is no error.
                if error is None or issubclass(type(error), GeneratorExit):
                    _operation.finish(observation, keep_output=False)
                else:
                    _operation.fail(observation, error)
        except Exception as fault:  # noqa: BLE001 - ours: the block ends as without us
            if observation is None and self._entered:
                observation = self._entered.pop()
            _operation.abandon(observation, fault)

    async def __aenter__(self) -> Observation:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def _leaving(self) -> Observation | None:
        """Return what is left now: the current observation, else one that is not recorded."""
        for observation in (current(), None):
            if observation in self._entered:
                self._entered.remove(observation)
                return observation
        # Something inside was entered and never left; or this was not entered for a fault.
        return self._entered.pop() if self._entered else None


class _Unobserved(Block):
    """What stands in for a block that could not be made."""

    def __init__(self) -> None:
        pass

    def __call__(self, function: F, /) -> F:
        return function

    def __enter__(self) -> Observation:
        return NO_OBSERVATION

    def __exit__(self, *error: object) -> None:
        return None


_UNOBSERVED = _Unobserved()


def _observed(
    function: Any, type: str, name: str | None, options: dict[str, Any], input: Any = _NOTHING
) -> Any:
    if function is None or isinstance(function, str):
        return Block(type, name or function, options, input)
    return Block(type, name, options, input)(function)


def _unobserved(function: Any, fault: Exception) -> Any:
    _guard.swallow("observe", fault)
    return _UNOBSERVED if function is None or isinstance(function, str) else function


class ObservationDecorator:
    """The decorator of one observation type, bare (`@agent`) or called (`@agent(name="x")`).

    Sync and async functions, generators and async generators, methods, classmethods and
    staticmethods, partials and callable objects keep their kind, signature and type. Called, it
    also opens a block: `with spanwise.agent("x") as observation`.

    Args:
        name: of the span; the function's own name by default. Also takes the first position.
        **options: see `Options`.

    Raises:
        DecorationError: what is decorated cannot be called, or an option does not fit it.
    """

    def __init__(self, type: str) -> None:
        self._type = type
        self.__name__ = type

    def __repr__(self) -> str:
        return f"<spanwise.{self._type}>"

    @overload
    def __call__(self, function: F, /) -> F: ...

    @overload
    def __call__(
        self,
        position_name: str | None = None,
        /,
        *,
        name: str | None = None,
        **options: Unpack[Options],
    ) -> Block: ...

    def __call__(self, function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
        try:
            check_options(options)
            return _observed(function, self._type, name, options)
        except DecorationError:
            raise
        except Exception as fault:  # noqa: BLE001 - ours: the program runs as without us
            return _unobserved(function, fault)


@overload
def observe(function: F, /) -> F: ...


@overload
def observe(
    position_name: str | None = None,
    /,
    *,
    type: str = "span",
    name: str | None = None,
    input: Any = ...,
    **options: Unpack[Options],
) -> Block: ...


def observe(
    function: Any = None,
    /,
    *,
    type: str = "span",
    name: str | None = None,
    input: Any = _NOTHING,
    **options: Any,
) -> Any:
    """Observe a function, as a decorator, or a block, as a context manager.

    Args:
        function: what is decorated, or the name of the span.
        type: the observation type.
        name: of the span; a decorated function's own name by default.
        input: what goes into a block.
        **options: see `Options`.

    Raises:
        DecorationError: an unknown type, or an option that does not fit what is observed.
    """
    try:
        check_options(options, ("input", "type"))
        return _observed(function, type, name, options, input)
    except DecorationError:
        raise
    except Exception as fault:  # noqa: BLE001 - ours: the program runs as without us
        return _unobserved(function, fault)


def event(name: str, /, **metadata: Any) -> None:
    """Record what happens now as an observation of type `event`, with this metadata."""
    observation = None
    try:
        observation = _operation.start(make_plan("event", name, metadata=metadata))
        if observation is not None:
            _operation.finish(observation, keep_output=False)
    except Exception as fault:  # noqa: BLE001 - ours: the program goes on
        _operation.abandon(observation, fault, "event")


agent = ObservationDecorator("agent")
tool = ObservationDecorator("tool")
generation = ObservationDecorator("generation")
retrieval = ObservationDecorator("retrieval")
embedding = ObservationDecorator("embedding")
chain = ObservationDecorator("chain")
evaluation = ObservationDecorator("evaluation")
guardrail = ObservationDecorator("guardrail")
reranker = ObservationDecorator("reranker")
span = ObservationDecorator("span")
interaction = ObservationDecorator("interaction")
