"""One open operation as the program sees it, and what is known of it beforehand.

A `Plan` holds all that is known when a function is decorated; an `Observation` is one call of
it. Starting and ending it is `_operation`'s.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.trace import Span, StatusCode
from opentelemetry.trace.propagation import _SPAN_KEY

from spanwise import _contexts, _exceptions, _guard, _identity, _messages, _state, semconv
from spanwise._hooks import NO_HOOKS, Hooks
from spanwise._usage import usage_attributes

if TYPE_CHECKING:
    from spanwise._arguments import Binder
    from spanwise._prepared import Prepared

OBSERVATION = context_api.create_key("spanwise-observation")
_UNSET: Any = object()
_MOST_REASONS = 128
_put = dict.__setitem__  # a Context lets nothing be set in it


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known of an operation before it runs.

    Attributes:
        name: of the span.
        type: the observation type.
        attributes: those that are the same at every call.
        binder: names the arguments to capture; None captures none.
        capture_output: keep the result.
        capture_usage: look for token counts in the result.
        capture_chunks: an event for each of the first chunks of a stream.
        hooks: functions of the program's that choose what is captured.
        call_binder: names all arguments, for recordings; None where calls are not recorded.
        is_narrowed: not all arguments are captured as they are; a recording masks the others.
        target: `module:qualified.name` of the function.
        opens_scope: has an identity of its own that can be added to while it runs.
        suspends: runs in steps, each of which may be taken from another context.
        first_use: configures Spanwise where nothing did; returns None where it may not.
        enter: may add to the context in which the body runs.
        on_end: called with the observation before its span ends.
        prepared: what the runtime of the last call made of it; see `_prepared`.
    """

    name: str
    type: str
    attributes: Mapping[str, Any]
    binder: Binder | None = None
    capture_output: bool = True
    capture_usage: bool = False
    capture_chunks: bool = False
    hooks: Hooks = NO_HOOKS
    call_binder: Binder | None = None
    is_narrowed: bool = False
    target: str = ""
    opens_scope: bool = False
    suspends: bool = False
    first_use: Callable[[], _state.Runtime | None] | None = None
    enter: Callable[[Observation, Context], Context] | None = None
    on_end: Callable[[Observation], None] | None = None
    prepared: Prepared | None = dataclasses.field(default=None, init=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        # A decorated function may be sent elsewhere; what a runtime consists of stays here.
        return {**vars(self), "prepared": None}


class Observation:
    """One open operation: what `with spanwise.observe(...) as observation` and `current()` give.

    Every method may be called at any time, in any thread; after the end, or where nothing is
    recorded, it does nothing.

    Args:
        plan: what it is one of.
        runtime: that records it; None where nothing is recorded.
        span: its span.
        scope: the identity that it is part of.
        around: the context around it, where that of its body says no more than which span and
            which observation are the current ones.
    """

    # What most have no more of than that; see `_operation` and `_stream` for who sets it.
    _given: frozenset[str] = frozenset()
    _context: Context | None = None
    _token: Any = None
    _started_ns = 0

    def __init__(
        self,
        plan: Plan,
        runtime: _state.Runtime | None,
        span: Span,
        scope: _identity.Scope | None,
        around: Context | None = None,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._span = span
        self._scope = scope
        if around is not None:  # the context in which its body runs says no more than which it is
            self._context = own = Context(around)
            _put(own, _SPAN_KEY, span)
            _put(own, OBSERVATION, self)

    @property
    def name(self) -> str:
        """The span's name as it was given."""
        return self._plan.name

    @property
    def type(self) -> str:
        """The observation type, as `agent` or `tool`."""
        return self._plan.type

    @property
    def id(self) -> str:
        """The span id, 16 hexadecimal digits; all zeros where nothing is recorded."""
        return format(self._span.get_span_context().span_id, "016x")

    @property
    def trace_id(self) -> str:
        """The trace id, 32 hexadecimal digits; all zeros where nothing is recorded."""
        return format(self._span.get_span_context().trace_id, "032x")

    @property
    def span(self) -> Span:
        """The OpenTelemetry span."""
        return self._span

    def is_recording(self) -> bool:
        """Return whether what is set on the observation is kept."""
        return self._span.is_recording()

    def was_given(self, name: str) -> bool:
        """Return whether `update()` was given this part, as `input`, `output` or `level`."""
        return name in self._given

    def update(
        self,
        *,
        input: Any = _UNSET,
        output: Any = _UNSET,
        metadata: Mapping[str, Any] | None = None,
        level: str | None = None,
        model: str | None = None,
        usage: Mapping[str, int] | None = None,
        score: float | None = None,
        tags: Iterable[str] | None = None,
        version: str | None = None,
        status_message: str | None = None,
        provider: str | None = None,
        response_model: str | None = None,
        response_id: str | None = None,
        finish_reasons: Iterable[str] | None = None,
        tool_call_id: str | None = None,
        input_messages: Any = _UNSET,
        output_messages: Any = _UNSET,
        system_instructions: Any = _UNSET,
    ) -> None:
        """Set what is known of the observation; later values replace earlier ones.

        Args:
            input: replaces the captured arguments.
            output: replaces the captured result.
            metadata: facts, each an attribute `observation.metadata.<key>`.
            level: `debug`, `info`, `warning` or `error`.
            model: the model that was asked for.
            usage: token counts: `input_tokens`, `output_tokens`, `cached_tokens`, or a
                provider's own spellings.
            score: a number that says how good the outcome was.
            tags: labels of this observation.
            version: of what was run.
            status_message: what is to be said of the outcome.
            provider: who serves the model.
            response_model: the model that answered.
            response_id: the provider's id of the answer.
            finish_reasons: why the model stopped, one for each choice.
            tool_call_id: the id by which the model asked for the tool.
            input_messages: the chat sent to the model.
            output_messages: the messages that it answered.
            system_instructions: its system prompt.
        """
        try:
            if self._runtime is None or not self._span.is_recording():
                return
            attributes: dict[str, Any] = {}
            for key, text in (
                (semconv.GEN_AI_REQUEST_MODEL, model),
                (semconv.OBSERVATION_VERSION, version),
                (semconv.OBSERVATION_STATUS_MESSAGE, status_message),
                (semconv.GEN_AI_PROVIDER_NAME, provider),
                (semconv.GEN_AI_RESPONSE_MODEL, response_model),
                (semconv.GEN_AI_RESPONSE_ID, response_id),
                (semconv.GEN_AI_TOOL_CALL_ID, tool_call_id),
                (semconv.OBSERVATION_LEVEL, level),
            ):
                if text is not None:
                    attributes[key] = _identity.attribute_value("", text)
            if level is not None:
                attributes[semconv.OBSERVATION_LEVEL] = str(
                    attributes[semconv.OBSERVATION_LEVEL]
                ).lower()
            if score is not None:
                # Of a number that is no Python one, as NumPy's, the text is read.
                attributes[semconv.OBSERVATION_SCORE] = float(_identity.attribute_value("", score))  # type: ignore[arg-type]
            counts = usage_attributes(usage) if usage is not None else {}
            attributes |= counts
            if finish_reasons is not None:
                attributes[semconv.GEN_AI_RESPONSE_FINISH_REASONS] = tuple(
                    str(_identity.attribute_value("", reason))
                    for reason in islice(finish_reasons, _MOST_REASONS)
                )
            if metadata is not None:
                attributes |= _identity.metadata_attributes(metadata)
            if tags is not None:
                own = _identity.identity_attributes(tags=tags)
                above = self.identity().get(semconv.OBSERVATION_TAGS, ())
                attributes |= _identity.merge({semconv.OBSERVATION_TAGS: above}, own)
            if self._runtime.settings.capture_content:
                for key, value in (
                    (semconv.OBSERVATION_INPUT, input),
                    (semconv.OBSERVATION_OUTPUT, output),
                    (semconv.GEN_AI_INPUT_MESSAGES, input_messages),
                    (semconv.GEN_AI_OUTPUT_MESSAGES, output_messages),
                    (semconv.GEN_AI_SYSTEM_INSTRUCTIONS, system_instructions),
                ):
                    if value is not _UNSET:
                        attributes[key] = self._runtime.encoder.dumps(value)
            self._given |= counts.keys() | {
                name
                for name, is_given in (
                    ("input", input is not _UNSET),
                    ("output", output is not _UNSET),
                    ("level", level is not None),
                )
                if is_given
            }
            self._set_masked(attributes)
        except Exception as error:  # noqa: BLE001 - telling us something must not fail
            _guard.swallow("observation.update", error)

    def _set_masked(self, attributes: dict[str, Any]) -> None:
        """Set attributes that were masked as the settings in force say."""
        runtime = self._runtime
        # Not where configure() was called meanwhile: they were masked as it says now.
        if runtime is not None and runtime is _state.runtime and type(self._span) is runtime.lean:
            self._span.add_masked(attributes)  # type: ignore[attr-defined]
        else:
            self._span.set_attributes(attributes)

    def identify(
        self,
        *,
        user: str | Mapping[str, Any] | None = None,
        account: str | Mapping[str, Any] | None = None,
        session_id: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Say who the observation is for; an interaction says it for all that starts below, too."""
        try:
            attributes = _identity.identity_attributes(
                user=user, account=account, session_id=session_id, message_id=message_id
            )
            if self._plan.opens_scope and self._scope is not None:
                self._scope.update(attributes)
            if self._span.is_recording():
                self._set_masked(attributes)
            if semconv.MESSAGE_ID in attributes and self._span is not trace_api.INVALID_SPAN:
                answered = attributes[semconv.MESSAGE_ID]
                span = self._span.get_span_context()
                _messages.remember(answered, span, _messages.SAID_OF_IT)
        except Exception as error:  # noqa: BLE001 - telling us something must not fail
            _guard.swallow("observation.identify", error)

    def identity(self) -> Mapping[str, Any]:
        """Return who the observation is for, as attributes."""
        return self._scope.attributes() if self._scope is not None else {}

    def record_error(self, error: BaseException | str) -> None:
        """Mark the observation as failed, with an exception that was caught or a message."""
        try:
            if self._runtime is None or not self._span.is_recording():
                return
            if issubclass(type(error), BaseException):
                self._set_masked(describe_error(self, error))  # type: ignore[arg-type]
            else:
                message = str(_identity.attribute_value("", error))
                self._span.set_status(StatusCode.ERROR, message)
        except Exception as fault:  # noqa: BLE001 - telling us something must not fail
            _guard.swallow("observation.record_error", fault)

    def attach(self) -> None:
        """Make the observation the current one, with the context that it had when it left off."""
        if self._context is not None:
            self._token = _contexts.attach(self._context)

    def detach(self, *, keep: bool = False) -> None:
        """Give the caller's context back; `keep` what is current for the next `attach`."""
        # Without `keep` this is the end: the context refers to the observation, and the circle
        # would leave both to the garbage collector.
        self._context = _contexts.get_current() if keep else None
        token = self._token
        if token is not None:
            try:
                _contexts.detach(token)
            except Exception:  # noqa: BLE001 - it was attached in another contextvars.Context
                _identity.leave(token, OBSERVATION, self)
            self._token = None


NO_PLAN = Plan("", "span", {})
NO_OBSERVATION = Observation(NO_PLAN, None, trace_api.INVALID_SPAN, None)


def current() -> Observation:
    """Return the innermost open observation, or one that does nothing."""
    try:
        found = _contexts.get_current().get(OBSERVATION)
        return found if isinstance(found, Observation) else NO_OBSERVATION
    except Exception as error:  # noqa: BLE001 - ours: the caller asked for something to talk to
        _guard.swallow("current", error)
        return NO_OBSERVATION


def current_interaction() -> Observation:
    """Return the interaction that is open, from any depth below it, or one that does nothing."""
    try:
        scope = _identity.current_scope(_contexts.get_current())
        found = scope.interaction if scope is not None else None
        return found if found is not None else NO_OBSERVATION
    except Exception as error:  # noqa: BLE001 - ours: the caller asked for something to talk to
        _guard.swallow("current", error)
        return NO_OBSERVATION


def describe_error(observation: Observation, error: BaseException) -> dict[str, Any]:
    """Put the exception on the span as status and event; return it as attributes."""
    assert observation._runtime is not None  # noqa: S101 - asked by both callers
    mask = observation._runtime.encoder.masker.text
    said = _exceptions.attributes_of(error, mask)
    kind, message = said[semconv.EXCEPTION_TYPE], said[semconv.EXCEPTION_MESSAGE]
    observation._span.add_event("exception", {**said, semconv.EXCEPTION_ESCAPED: "True"})
    observation._span.set_status(StatusCode.ERROR, message or kind)
    attributes = {semconv.ERROR_TYPE: kind}
    if not observation.was_given("level"):
        attributes[semconv.OBSERVATION_LEVEL] = "error"
    return attributes
