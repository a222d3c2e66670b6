"""Start, finish and fail one operation: the only place that starts a span.

Everything here is called from the user's thread and guarded: a fault of ours is counted and
leaves the call as it would be undecorated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, TraceFlags
from opentelemetry.trace.propagation import _SPAN_KEY

from spanwise import _contexts, _guard, _identity, _state, semconv
from spanwise._calls import Call, with_call
from spanwise._decisions import decided, entered, left_out, remember, unrecorded
from spanwise._hooks import FAILED
from spanwise._hooks import run as run_hook
from spanwise._identity import SCOPE
from spanwise._ids import next_trace_id, random_trace_id
from spanwise._observation import Observation, Plan, describe_error
from spanwise._preparation import prepared
from spanwise._sampling import FORCED
from spanwise._usage import usage_of

if TYPE_CHECKING:
    from spanwise._stream import Stream

_HOOK_ERRORS = semconv.OBSERVATION_HOOK_ERRORS
_INPUT = semconv.OBSERVATION_INPUT
_OUTPUT = semconv.OBSERVATION_OUTPUT
_NONE: Mapping[str, Any] = {}
_SAMPLED = int(TraceFlags.SAMPLED)


def start(
    plan: Plan,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    trace_id: int | None = None,
    start_time_ns: int | None = None,
) -> Observation | None:
    """Start an operation and make it current; None where nothing is to be recorded.

    Args:
        plan: what is to be started.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.
        trace_id: begin a new trace with this id, linked to the current span if there is one.
        start_time_ns: nanoseconds since the epoch; now by default.
    """
    runtime = _state.runtime
    if runtime is None:
        if plan.first_use is None or _state.is_off:
            return None
        runtime = plan.first_use()
        if runtime is None:
            return None
    try:
        observation = _start(plan, runtime, args, kwargs or _NONE, trace_id, start_time_ns)
    except Exception as error:  # noqa: BLE001 - the guard, inline: this is the hot path
        _guard.swallow("operation.start", error)
        observation = unrecorded() if plan.suspends else None
    if observation is not None:
        observation._token = _contexts.attach(observation._context)  # type: ignore[arg-type]
    return observation


def begin(
    plan: Plan,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    trace_id: int | None = None,
    start_time_ns: int | None = None,
) -> Observation | None:
    """Start an operation without making it current; None where nothing is to be recorded.

    Args: as for `start`.
    """
    observation = start(plan, args, kwargs, trace_id=trace_id, start_time_ns=start_time_ns)
    if observation is not None:
        observation.detach(keep=True)
    return observation


def finish(
    observation: Observation,
    result: Any = None,
    *,
    stream: Stream | None = None,
    keep_output: bool = True,
    end_time_ns: int | None = None,
) -> None:
    """End an operation with its result, and give the caller's context back."""
    plan, runtime = observation._plan, observation._runtime
    if runtime is None and plan.on_end is None:
        observation.detach()  # it is left out: there is nothing to end
        return
    attributes: dict[str, Any] = {}
    try:
        made = plan.prepared
        if (
            made is not None
            and made.runtime is runtime
            and made.keeps_result
            and stream is None
            and keep_output
            and not observation._given
        ):
            attributes[_OUTPUT] = made.encoder.dumps(result)
        elif runtime is not None and observation._span.is_recording():
            if keep_output:
                attributes = _outcome(observation, runtime, result, stream)
            if plan.capture_usage:
                found = stream.usage if stream is not None else usage_of(result)
                given = observation._given  # what the program counted itself stands
                attributes |= {name: found[name] for name in found if name not in given}
    except Exception as error:  # noqa: BLE001 - the guard, inline: this is the hot path
        _guard.swallow("operation.finish", error)
    finally:
        # A KeyboardInterrupt that arrives here belongs to the program and goes on to it.
        if observation._scope is None and plan.on_end is None:
            _end_span(observation, attributes, end_time_ns)
        else:
            _end(observation, attributes, end_time_ns)


def fail(observation: Observation, error: BaseException, *, stream: Stream | None = None) -> None:
    """End an operation with the exception that left it, and give the caller's context back."""
    attributes: dict[str, Any] = {}
    try:
        runtime = observation._runtime
        if runtime is not None and observation._span.is_recording():
            attributes |= describe_error(observation, error)
            if stream is not None:
                attributes |= _outcome(observation, runtime, None, stream)
    except Exception as fault:  # noqa: BLE001 - the guard, inline: this is the hot path
        _guard.swallow("operation.fail", fault)
    finally:
        _end(observation, attributes)


def _outcome(
    observation: Observation, runtime: _state.Runtime, result: Any, stream: Stream | None
) -> dict[str, Any]:
    """Return what is captured of a result, or of the chunks that came of it, as attributes."""
    plan = observation._plan
    attributes = stream.attributes(observation._started_ns) if stream is not None else {}
    errors: list[str] = stream.errors if stream is not None else []
    keeps = plan.capture_output and runtime.settings.capture_content
    if keeps and not observation.was_given("output"):
        output = stream.output() if stream is not None else result
        if output is not FAILED and plan.hooks.process_output is not None:
            output = run_hook("process_output", plan.hooks.process_output, output, errors)
        if output is not FAILED:
            text = runtime.encoder.dumps(output)
            if stream is not None and text[:1] == "[":
                from spanwise._straddling import mask_chunks

                text = mask_chunks(text, runtime.encoder.masker)
            attributes[_OUTPUT] = text
    if errors:
        earlier = (getattr(observation._span, "attributes", None) or {}).get(_HOOK_ERRORS, ())
        attributes[_HOOK_ERRORS] = (*earlier, *map(runtime.encoder.masker.text, errors))
    return attributes


def abandon(
    observation: Observation | None, fault: Exception, place: str = "operation.end"
) -> None:
    """Let go of an operation that fails for a fault of ours: its span ends as it is."""
    try:
        if observation is not None:
            try:
                if observation._span.is_recording():
                    observation._span.end()
            finally:
                if observation._token is not None:
                    _identity.give_back(observation._token)
                    observation._token = None
    except Exception:  # noqa: BLE001, S110 - of the two faults the first is the one to tell
        pass
    _guard.swallow(place, fault)


def step_back(observation: Observation | None, fault: Exception) -> None:
    """Give the caller's context back where `detach` failed, keeping the generator's own."""
    if observation is not None and observation._token is not None:
        observation._context = _contexts.get_current()
        token, observation._token = observation._token, None
        _identity.give_back(token)
    _guard.swallow("shell.step", fault)


def _start(
    plan: Plan,
    runtime: _state.Runtime,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    trace_id: int | None,
    start_time_ns: int | None,
) -> Observation | None:
    context = _contexts.get_current()
    made = plan.prepared
    if made is None or made.runtime is not runtime:
        made = prepared(plan, runtime)
    parent: SpanContext | None = None
    links: tuple[Link, ...] = ()
    above: Any = context.get(_SPAN_KEY)
    if above is None and trace_id is None:
        is_forced = FORCED in context
        if made.decides and (is_forced or not made.keeps_roots):
            if made.keeps_no_roots and not is_forced:
                return left_out(plan, None, context)
            trace_id = random_trace_id()
            if not runtime.sampling.keeps(trace_id, context):
                return left_out(plan, trace_id, context)
    elif (
        trace_id is None
        and above is not None
        and type(above) is made.lean
        and above._context[3] & _SAMPLED
    ):
        parent = above._context
    else:
        place: Any = decided(plan, runtime, context, trace_id)
        if type(place) is not tuple:
            return place  # type: ignore[no-any-return]
        context, parent, links, trace_id = place
    scope: _identity.Scope | None = context.get(SCOPE)  # type: ignore[assignment]  # our own key
    identity = None
    if scope is None:
        attributes = made.attributes.copy()
    else:
        identity = scope.masked(made.masker)
        attributes = _identity.merge(identity, made.attributes)
    call_context = context
    try:
        if made.captures_as_bound and not _state.call_listeners:
            attributes[_INPUT] = made.encoder.dumps(plan.binder.bind(args, kwargs))  # type: ignore[union-attr]
        elif made.captures:
            call_context = _capture(plan, runtime, args, kwargs, attributes, context)
    except Exception as error:  # noqa: BLE001 - the call is seen, if without its arguments
        _guard.swallow("capture.input", error)
    span: Span | None = None
    if made.open is not None and not links:
        span = made.open(
            made, call_context, parent, scope, identity, attributes, trace_id, start_time_ns
        )
    if span is None:
        if trace_id is not None and runtime.owns_provider:
            next_trace_id(trace_id)
        span = runtime.tracer.start_span(
            plan.name,
            context=call_context,
            attributes=attributes,
            links=links,
            start_time=start_time_ns,
            record_exception=False,
            set_status_on_exception=False,
        )
    if scope is not None and semconv.MESSAGE_ID in attributes:
        remember(plan, attributes, span.get_span_context())
    if made.enters:
        return entered(Observation(plan, runtime, span, scope), context)
    return Observation(plan, runtime, span, scope, context)


def _capture(
    plan: Plan,
    runtime: _state.Runtime,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    attributes: dict[str, Any],
    context: Context,
) -> Context:
    """Add the arguments to the attributes; return the context in which the span is started."""
    captured: Any = None
    if plan.binder is not None:
        captured = plan.binder.bind(args, kwargs)
        if plan.hooks.process_input is not None:
            errors: list[str] = []
            captured = run_hook("process_input", plan.hooks.process_input, captured, errors)
            if errors:
                attributes[_HOOK_ERRORS] = tuple(map(runtime.encoder.masker.text, errors))
        if captured is not FAILED:
            attributes[_INPUT] = runtime.encoder.dumps(captured)
    if not _state.call_listeners or plan.call_binder is None:
        return context
    arguments = plan.call_binder.bind(args, kwargs)
    if plan.is_narrowed:
        from spanwise._secret_patterns import MASK  # imported by now: the runtime has a masker

        # What is kept out of the span is kept out of the recording: asked for at a replay.
        kept = captured if type(captured) is dict else {}
        arguments = {name: kept.get(name, MASK) for name in arguments}
    return with_call(Call(plan.target, arguments), context)


def _end(
    observation: Observation, attributes: dict[str, Any], end_time_ns: int | None = None
) -> None:
    span: Any = observation._span
    plan, runtime, scope = observation._plan, observation._runtime, observation._scope
    is_lean = runtime is not None and type(span) is runtime.lean
    try:
        if scope is not None and runtime is not None and span.is_recording():
            # Identity that became known while the operation was open holds for it as well.
            stamped = scope.masked(runtime.encoder.masker)
            if stamped and not (is_lean and stamped is span.identity):
                have = span.values() if is_lean else getattr(span, "attributes", None) or {}
                attributes |= {key: stamped[key] for key in stamped if key not in have}
        if plan.on_end is not None:
            if attributes:
                (span.add_masked if is_lean else span.set_attributes)(attributes)
            attributes = {}
            plan.on_end(observation)
    except Exception as error:  # noqa: BLE001 - the span must end all the same
        _guard.swallow("operation.end", error)
    finally:
        _end_span(observation, attributes, end_time_ns)
    if plan.type == "interaction" and runtime is not None:
        # One request is answered: what it made is sent now, without being waited for.
        runtime.processor.wake()


def _end_span(
    observation: Observation, attributes: dict[str, Any], end_time_ns: int | None
) -> None:
    span: Any = observation._span
    runtime = observation._runtime
    try:
        if runtime is not None and type(span) is runtime.lean:
            span.end_with(attributes, end_time_ns)
        else:
            try:
                if attributes:
                    span.set_attributes(attributes)
            finally:
                span.end(end_time_ns)
    except Exception as error:  # noqa: BLE001 - a processor of the user's may raise
        _guard.swallow("operation.end", error)
    finally:
        observation.detach()
