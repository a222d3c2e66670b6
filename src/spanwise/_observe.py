"""The decorators and the context manager: they choose a shell and say what is to be observed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, TypeVar, overload

from opentelemetry.context import Context

from spanwise import _guard, _identity, _operation, _shells, semconv
from spanwise._arguments import Binder
from spanwise._observation import NO_OBSERVATION, Observation, Plan, current
from spanwise.errors import DecorationError, nearest

F = TypeVar("F", bound=Callable[..., Any])

RECORDED_TYPES: Final = frozenset({"agent", "tool", "interaction"})

_OPERATIONS: Final[Mapping[str, str]] = {
    "agent": "invoke_agent",
    "tool": "execute_tool",
    "generation": "chat",
    "embedding": "embeddings",
    "retrieval": "retrieval",
    "interaction": "invoke_workflow",
}
_NAMES: Final[Mapping[str, str]] = {
    "agent": semconv.GEN_AI_AGENT_NAME,
    "tool": semconv.GEN_AI_TOOL_NAME,
    "interaction": semconv.GEN_AI_WORKFLOW_NAME,
}
_DESCRIPTIONS: Final[Mapping[str, str]] = {
    "agent": semconv.GEN_AI_AGENT_DESCRIPTION,
    "tool": semconv.GEN_AI_TOOL_DESCRIPTION,
}
_MODEL_TYPES: Final = frozenset({"generation", "embedding", "reranker"})
_OPTIONS: Final = frozenset(
    {
        "capture_input",
        "capture_output",
        "capture_usage",
        "description",
        "metadata",
        "model",
        "name",
        "provider",
        "tags",
        "version",
    }
)

_NOTHING: Any = object()


def make_plan(
    type: str,
    name: str,
    *,
    function: Callable[..., Any] | None = None,
    version: str | None = None,
    description: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Iterable[str] | None = None,
    capture_input: bool | Iterable[str] = True,
    capture_output: bool = True,
    capture_usage: bool | None = None,
    is_trace: bool = False,
    first_use: Callable[[], Any] | None = None,
    enter: Callable[[Observation, Context], Context] | None = None,
    on_end: Callable[[Observation], None] | None = None,
) -> Plan:
    """Prepare all that is known of an operation before it runs.

    Raises:
        DecorationError: the type is unknown, or an option does not fit the function.
    """
    if type not in semconv.OBSERVATION_TYPE_VALUES:
        known = nearest(str(type), semconv.OBSERVATION_TYPE_VALUES)
        raise DecorationError(f"unknown observation type {type!r}{known}")
    if not isinstance(name, str):
        raise DecorationError(f"name must be a string, not {name!r}")
    attributes: dict[str, Any] = {semconv.OBSERVATION_TYPE: type}
    target = ""
    if is_trace:
        attributes[semconv.OBSERVATION_IS_TRACE] = True
    if function is not None:
        target = _target(function)
        attributes[semconv.CODE_FUNCTION_NAME] = target.replace(":", ".", 1)
    if type in _OPERATIONS and not is_trace:
        attributes[semconv.GEN_AI_OPERATION_NAME] = _OPERATIONS[type]
    if type in _NAMES and not is_trace:
        attributes[_NAMES[type]] = name
    if description is not None and type not in _DESCRIPTIONS:
        raise DecorationError(f"description belongs to an agent or a tool, not to {type}")
    for key, value in (
        (_DESCRIPTIONS.get(type), description),
        (semconv.OBSERVATION_VERSION, version),
        (semconv.GEN_AI_REQUEST_MODEL, model),
        (semconv.GEN_AI_PROVIDER_NAME, provider),
    ):
        if key is not None and value is not None:
            attributes[key] = str(_identity.attribute_value("", value))
    if type == "tool":
        attributes[semconv.GEN_AI_TOOL_TYPE] = "function"
    if metadata is not None:
        if not isinstance(metadata, Mapping):
            raise DecorationError(f"metadata must be a mapping, not {metadata!r}")
        attributes |= _identity.metadata_attributes(metadata)
    if tags is not None:
        if not isinstance(tags, Iterable):
            raise DecorationError(f"tags must be strings, not {tags!r}")
        attributes |= _identity.identity_attributes(tags=tags)
    if not isinstance(capture_input, Iterable | bool):
        raise DecorationError(
            f"capture_input must be true, false or names of parameters, not {capture_input!r}"
        )
    binder = None
    if function is not None and capture_input is not False:
        if isinstance(capture_input, str):
            capture_input = (capture_input,)
        binder = Binder(function, None if capture_input is True else capture_input)
    call_binder = None
    if function is not None and type in RECORDED_TYPES and capture_input is not False:
        call_binder = Binder(function)
    return Plan(
        name=name,
        type=type,
        attributes=attributes,
        binder=binder,
        capture_output=bool(capture_output) and not is_trace,
        capture_usage=type in _MODEL_TYPES if capture_usage is None else capture_usage,
        call_binder=call_binder,
        target=target,
        opens_scope=type == "interaction" or is_trace,
        first_use=first_use,
        enter=enter,
        on_end=on_end,
    )


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

    __slots__ = ("_entered", "_input", "_name", "_options", "_plan", "_type")

    def __init__(
        self, type: str, name: str | None, options: dict[str, Any], input: Any = _NOTHING
    ) -> None:
        for listed in ("tags", "capture_input"):
            if isinstance(options.get(listed), Iterator):  # it is read more than once
                options = {**options, listed: tuple(options[listed])}
        self._type = type
        self._name = name
        self._options = options
        self._input = input
        # Tasks and threads may be inside the same block at once.
        self._entered: list[Observation | None] = []
        # For a block. For a function it is made anew, but a wrong option is told here already.
        self._plan = make_plan(type, name or type, **options)

    def __call__(self, function: F, /) -> F:
        """Return the function, observed at every call."""

        def build(inner: Callable[..., Any]) -> Plan:
            name = self._name or _name(inner)
            return make_plan(self._type, name, function=inner, **self._options)

        wrapped: F = decorate(function, build)
        return wrapped

    def __enter__(self) -> Observation:
        observation = _operation.start(self._plan)
        self._entered.append(observation)
        if observation is None:
            return NO_OBSERVATION
        if self._input is not _NOTHING:
            observation.update(input=self._input)
        return observation

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        observation = self._leaving()
        if observation is not None:
            # GeneratorExit: the generator around the block was closed, which is no error.
            if error is None or isinstance(error, GeneratorExit):
                _operation.finish(observation, keep_output=False)
            else:
                _operation.fail(observation, error)

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
        return self._entered.pop()  # something inside was entered and never left


def _check(options: Mapping[str, Any], further: Iterable[str] = ()) -> None:
    known = _OPTIONS.union(further)
    for name in options:
        if name not in known:
            raise DecorationError(f"unknown option {name!r}{nearest(name, known)}")


class ObservationDecorator:
    """The decorator of one observation type, bare (`@agent`) or called (`@agent(name="x")`).

    Sync and async functions, generators and async generators, methods, classmethods and
    staticmethods, partials and callable objects keep their kind, signature and type. Called, it
    also opens a block: `with spanwise.agent("x") as observation`.

    Args:
        name: of the span; the function's own name by default. Also takes the first position.
        version: of what is run.
        description: what the agent or tool does.
        model: the model that is asked.
        provider: who serves the model.
        metadata: facts, each an attribute `observation.metadata.<key>`.
        tags: labels.
        capture_input: keep the arguments: True, False, or the parameters to keep.
        capture_output: keep the result.
        capture_usage: look for token counts in the result; by default where a model is asked.

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
        version: str | None = None,
        description: str | None = None,
        model: str | None = None,
        provider: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Iterable[str] | None = None,
        capture_input: bool | Iterable[str] = True,
        capture_output: bool = True,
        capture_usage: bool | None = None,
    ) -> Block: ...

    def __call__(self, function: Any = None, /, *, name: str | None = None, **options: Any) -> Any:
        _check(options)
        if function is None or isinstance(function, str):
            return Block(self._type, name or function, options)
        return Block(self._type, name, options)(function)


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
    version: str | None = None,
    description: str | None = None,
    model: str | None = None,
    provider: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Iterable[str] | None = None,
    capture_input: bool | Iterable[str] = True,
    capture_output: bool = True,
    capture_usage: bool | None = None,
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
        **options: as in `ObservationDecorator`.

    Raises:
        DecorationError: an unknown type, or an option that does not fit what is observed.
    """
    _check(options, ("input", "type"))
    if function is None or isinstance(function, str):
        return Block(type, name or function, options, input)
    return Block(type, name, options, input)(function)


def event(name: str, /, **metadata: Any) -> None:
    """Record what happens now as an observation of type `event`, with this metadata."""
    with _guard.guard("event"):
        observation = _operation.start(make_plan("event", name, metadata=metadata))
        if observation is not None:
            _operation.finish(observation, keep_output=False)


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


def _inner(function: Any) -> Any:
    """Return what a partial or a bound method is made of."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)


def _name(function: Any) -> str:
    inner = _inner(function)
    name = str(getattr(inner, "__name__", None) or type(inner).__name__)
    if name != "__call__":
        return name
    # Of a callable object, or of a decorated class: the class says what is called.
    if inspect.ismethod(function):
        return type(function.__self__).__name__
    return str(inner.__qualname__).rpartition(".")[0].rpartition(".")[2] or name


def _target(function: Any) -> str:
    inner = _inner(function)
    if not hasattr(inner, "__qualname__"):
        inner = type(inner)
    return f"{inner.__module__}:{inner.__qualname__}"
