"""All that is known of an operation before it runs: which options there are, and what they make."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypedDict

from opentelemetry.context import Context

from spanwise import _identity, semconv
from spanwise._arguments import Binder
from spanwise._hooks import Hooks
from spanwise._observation import Observation, Plan
from spanwise._operation_names import OPERATION_NAMES
from spanwise._shells import is_stream
from spanwise.errors import DecorationError, nearest

RECORDED_TYPES: Final = frozenset({"agent", "tool", "interaction"})

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


class Options(TypedDict, total=False):
    """What a decorator can be told, as type checkers see it.

    Attributes:
        version: of what is run.
        description: what the agent or tool does.
        model: the model that is asked.
        provider: who serves the model.
        metadata: facts, each an attribute `observation.metadata.<key>`.
        tags: labels.
        capture_input: keep the arguments: True, False, or the parameters to keep.
        ignore: parameters that are not kept.
        capture_output: keep the result.
        capture_usage: look for token counts in the result; by default where a model is asked.
        capture_chunks: an event for each of the first chunks of a stream, when it came and how
            long it is.
        process_input: what is kept instead of the arguments, which it takes by name.
        process_output: what is kept instead of the result, which it takes.
        process_chunk: what is kept instead of a chunk of a stream, which it takes.
        reduce: what is kept as the output of a stream; takes the list of kept chunks.
    """

    version: str | None
    description: str | None
    model: str | None
    provider: str | None
    metadata: Mapping[str, Any] | None
    tags: Iterable[str] | None
    capture_input: bool | Iterable[str]
    ignore: Iterable[str] | None
    capture_output: bool
    capture_usage: bool | None
    capture_chunks: bool
    process_input: Callable[[dict[str, Any]], Any] | None
    process_output: Callable[[Any], Any] | None
    process_chunk: Callable[[Any], Any] | None
    reduce: Callable[[list[Any]], Any] | None


_OPTIONS: Final = frozenset({"name", *Options.__annotations__})
# Of these a block, which has no call, can make nothing.
OF_CALLS: Final = ("ignore", "process_input", "process_output", "process_chunk", "reduce")


def check_options(options: Mapping[str, Any], further: Iterable[str] = ()) -> None:
    known = _OPTIONS.union(further)
    for name in options:
        if name not in known:
            raise DecorationError(f"unknown option {name!r}{nearest(name, known)}")


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
    ignore: Iterable[str] | None = None,
    capture_output: bool = True,
    capture_usage: bool | None = None,
    capture_chunks: bool = False,
    process_input: Callable[[dict[str, Any]], Any] | None = None,
    process_output: Callable[[Any], Any] | None = None,
    process_chunk: Callable[[Any], Any] | None = None,
    reduce: Callable[[list[Any]], Any] | None = None,
    is_trace: bool = False,
    is_recorded: bool = True,
    first_use: Callable[[], Any] | None = None,
    enter: Callable[[Observation, Context], Context] | None = None,
    on_end: Callable[[Observation], None] | None = None,
) -> Plan:
    """Prepare all that is known of an operation before it runs; options are those of `Options`.

    `is_recorded=False` leaves its calls out of recordings of arguments.

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
    if type in OPERATION_NAMES and not is_trace:
        attributes[semconv.GEN_AI_OPERATION_NAME] = OPERATION_NAMES[type]
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
    if ignore is not None and not isinstance(ignore, Iterable):
        raise DecorationError(f"ignore must be names of parameters, not {ignore!r}")
    hooks = Hooks(process_input, process_output, process_chunk, reduce)
    ignored = (ignore,) if isinstance(ignore, str) else tuple(ignore or ())
    binder = None
    if function is not None:
        hooks.check(
            is_stream=is_stream(function),
            has_input=capture_input is not False,
            has_output=bool(capture_output),
        )
        if capture_input is False and ignored:
            raise DecorationError("ignore has no effect with capture_input=False")
        if capture_input is not False:
            if isinstance(capture_input, str):
                capture_input = (capture_input,)
            named = None if capture_input is True else tuple(capture_input)
            if named and set(named) <= set(ignored):
                raise DecorationError("ignore leaves nothing of what capture_input names")
            binder = Binder(function, named, ignored)
    call_binder = None
    is_recorded = is_recorded and type in RECORDED_TYPES and capture_input is not False
    if function is not None and is_recorded:
        call_binder = Binder(function)
    return Plan(
        name=name,
        type=type,
        attributes=attributes,
        binder=binder,
        capture_output=bool(capture_output) and not is_trace,
        capture_usage=type in _MODEL_TYPES if capture_usage is None else capture_usage,
        capture_chunks=bool(capture_chunks),
        hooks=hooks,
        call_binder=call_binder,
        is_narrowed=bool(ignored) or capture_input is not True or process_input is not None,
        target=target,
        opens_scope=type == "interaction" or is_trace,
        first_use=first_use,
        enter=enter,
        on_end=on_end,
    )


def _target(function: Any) -> str:
    inner = _inner(function)
    if not hasattr(inner, "__qualname__"):
        inner = type(inner)
    module = getattr(inner, "__module__", None) or type(inner).__module__  # of a C method: none
    return f"{module}:{inner.__qualname__}"


def name_of(function: Any) -> str:
    """Return what the calls of a function are called, where nobody names them."""
    inner = _inner(function)
    name = str(getattr(inner, "__name__", None) or type(inner).__name__)
    if name != "__call__":
        return name
    # Of a callable object, or of a decorated class: the class says what is called.
    if inspect.ismethod(function):
        return type(function.__self__).__name__
    return str(inner.__qualname__).rpartition(".")[0].rpartition(".")[2] or name


def _inner(function: Any) -> Any:
    """Return what a partial or a bound method is made of."""
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__func__", function)
