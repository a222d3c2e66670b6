"""Decide below what an operation starts, and what stands for one that is not recorded.

A trace that is not kept is as quiet as can be: its root is a span without a record, and below it
nothing is started at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TraceFlags

from spanwise import _contexts, _guard, _identity, _messages, _state, semconv
from spanwise._identity import SCOPE
from spanwise._ids import random_span_id, random_trace_id
from spanwise._observation import NO_PLAN, OBSERVATION, Observation, Plan
from spanwise._span_contexts import LeftOutSpan


def decided(
    plan: Plan, runtime: _state.Runtime, context: Context, trace_id: int | None
) -> tuple[Context, SpanContext | None, tuple[Link, ...], int | None] | Observation | None:
    """Return where and below what the span starts, or what stands for one that is left out.

    Args:
        plan: what is to be started.
        runtime: by whose settings that is decided.
        context: in which it starts.
        trace_id: of a new trace to begin; None for the one that is open, or any.

    Returns:
        The context in which the span starts, its parent, its links and its trace id, each of
        which but the first may be nothing; an operation without a record; or None for none.
    """
    links: tuple[Link, ...] = ()
    if trace_id is not None:
        context, links = _new_root(context)
    parent: SpanContext | None = trace_api.get_current_span(context).get_span_context()
    if parent is not None and parent.is_valid:
        if runtime.owns_provider and runtime.sampler is None and not parent.trace_flags.sampled:
            return _step_holder(parent, context) if plan.suspends else None  # all is left out
        return context, parent, links, None
    if not runtime.owns_provider:
        if trace_id is None:
            return context, None, links, None
        context = _synthetic_parent(trace_id, context)
        return context, trace_api.get_current_span(context).get_span_context(), links, None
    if trace_id is None:  # what is current is no span that anything could be below
        trace_id = random_trace_id()
    if not runtime.sampling.keeps(trace_id, context):
        return left_out(plan, trace_id, context)
    return context, None, links, trace_id


def left_out(plan: Plan, trace_id: int | None, context: Context) -> Observation:
    """Return an operation of a trace that is not kept; spans below it see that it is not."""
    span = LeftOutSpan()
    if trace_id is not None:
        span.trace_id = trace_id
    scope: _identity.Scope | None = context.get(SCOPE)  # type: ignore[assignment]  # our own key
    if scope is not None:
        identity = scope.attributes()
        if semconv.MESSAGE_ID in identity:
            remember(plan, identity, span.get_span_context())
    if plan.opens_scope or plan.enter is not None:
        return entered(Observation(plan, None, span, scope), context)
    return Observation(plan, None, span, scope, context)


def unrecorded() -> Observation:
    """Return what keeps the context of a generator apart from its caller's, and nothing else."""
    holder = Observation(NO_PLAN, None, trace_api.INVALID_SPAN, None)
    holder._context = _contexts.get_current()
    return holder


def entered(observation: Observation, context: Context) -> Observation:
    """Give the observation its context, where that says more than which span is the current one."""
    context = trace_api.set_span_in_context(observation._span, context)
    if observation._plan.opens_scope:
        is_interaction = observation._plan.type == "interaction"
        observation._scope = _identity.Scope(
            observation._scope, interaction=observation if is_interaction else None
        )
        context = _identity.with_scope(observation._scope, context)
    if observation._plan.enter is not None:
        try:
            context = observation._plan.enter(observation, context)
        except Exception as error:  # noqa: BLE001 - a facade's fault is one of ours
            _guard.swallow("operation.enter", error)
    observation._context = context_api.set_value(OBSERVATION, observation, context)
    return observation


def remember(plan: Plan, identity: Mapping[str, Any], span: SpanContext) -> None:
    """Remember which span answers the message that an identity names."""
    is_interaction = plan.type == "interaction"
    sureness = _messages.AN_INTERACTION if is_interaction else _messages.BELOW_IDENTIFY
    _messages.remember(identity[semconv.MESSAGE_ID], span, sureness)


def _step_holder(parent: SpanContext, context: Context) -> Observation:
    """Return what keeps later steps of a generator in the trace that is left out.

    They may be taken outside of it, where their children would begin traces of their own.
    """
    holder = Observation(NO_PLAN, None, NonRecordingSpan(parent), None)
    holder._context = context
    return holder


def _new_root(context: Context) -> tuple[Context, tuple[Link, ...]]:
    outer = trace_api.get_current_span(context).get_span_context()
    fresh = trace_api.set_span_in_context(trace_api.INVALID_SPAN, context)
    return fresh, (Link(outer),) if outer.is_valid else ()


def _synthetic_parent(trace_id: int, context: Context) -> Context:
    """Give a provider that makes its own ids a remote parent, the one way to set a trace id."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    parent = SpanContext(trace_id, random_span_id(), is_remote=True, trace_flags=flags)
    return trace_api.set_span_in_context(NonRecordingSpan(parent), context)
