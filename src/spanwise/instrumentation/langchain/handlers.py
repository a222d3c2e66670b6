"""The three instrumentors' handlers: where each keeps the span of a run.

What is used here is private to them. Each use is guarded by the gate: where a release keeps its
spans elsewhere, its own tree is written as it makes it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol
from uuid import UUID

from opentelemetry.context import Context
from opentelemetry.trace import Span, set_span_in_context

from spanwise import _state, semconv
from spanwise.instrumentation.langchain.runs import Run, is_control_flow, mapping


class Handler(Protocol):
    """What the gate asks of an instrumentor's handler.

    Attributes:
        attaches: whether the instrumentor itself makes a run's span current where the run's code
            runs.
    """

    attaches: bool

    def span(self, run_id: UUID) -> Span | None:
        """Return the open span of a run."""

    def start(self, run_id: UUID, run: Run, arguments: tuple[Any, ...], given: Any) -> Span | None:
        """Start the span of a run for which the instrumentor has none; None leaves it at that."""

    def context(self, run_id: UUID, span: Span, above: Context) -> Context:
        """Return the context for what runs inside a run."""
        ...

    def place(self, run_id: UUID, context: Context, session: str | None) -> None:
        """Have the instrumentor use this context, and this session, for what it starts below."""

    def outcome(self, run_id: UUID, outcome: Any, session: str | None) -> Any:
        """Return the outcome of a run as the instrumentor can read it; the run ends next."""

    def forget(self, run_id: UUID) -> None:
        """Let go of a run whose end nobody tells of."""


class _GenAI:
    """OpenTelemetry's: no spans for nodes, sub-graphs, steps and models without a name."""

    attaches = True

    def __init__(self, handler: Any) -> None:
        self._handler = handler
        self._manager = handler._invocation_manager

    def span(self, run_id: UUID) -> Span | None:
        invocation = self._manager.get_invocation(run_id)
        return getattr(invocation, "span", None)

    def start(self, run_id: UUID, run: Run, arguments: tuple[Any, ...], given: Any) -> Span | None:
        telemetry = self._handler._telemetry_handler
        if run.type == "chain":
            invocation = telemetry.workflow(run.name, _attach_to_context=False)
        elif run.type == "generation":
            invocation = telemetry.inference(
                run.provider or "unknown", request_model=run.model, _attach_to_context=False
            )
            if telemetry.should_capture_content():
                invocation.input_messages = _messages_of(arguments[1])
        else:
            return None
        if run_id in self._manager._invocations:
            self._manager._invocations[run_id].invocation = invocation
        else:
            self._manager.add_invocation_state(run_id, given.get("parent_run_id"), invocation)
        span: Span = invocation.span
        return span

    def context(self, run_id: UUID, span: Span, above: Context) -> Context:
        context: Context = self._manager.get_invocation(run_id).context
        return context

    def place(self, run_id: UUID, context: Context, session: str | None) -> None:
        invocation = self._manager.get_invocation(run_id)
        invocation._span_context = context
        if session is not None and invocation.conversation_id:
            invocation.conversation_id = session
        # A stream that is left early is ended past all callbacks.
        invocation.fail = functools.partial(_fail, invocation, invocation.fail)

    def outcome(self, run_id: UUID, outcome: Any, session: str | None) -> Any:
        outputs = sys.modules.get("langchain_core.outputs")
        if outputs is None or not issubclass(type(outcome), outputs.LLMResult):
            return outcome
        texts = [type(one) for row in outcome.generations for one in row]
        if all(issubclass(kind, outputs.ChatGeneration) for kind in texts):
            return outcome
        return outcome.model_copy(update={"generations": _as_messages(outcome)})

    def forget(self, run_id: UUID) -> None:
        invocation = self._manager.get_invocation(run_id)
        if invocation is not None:
            invocation.stop()
        self._manager.delete_invocation_state(run_id)


class _CallbacksOnly:
    """A span for each run, which is current nowhere."""

    attaches = False

    def start(self, run_id: UUID, run: Run, arguments: tuple[Any, ...], given: Any) -> Span | None:
        return None

    def context(self, run_id: UUID, span: Span, above: Context) -> Context:
        return set_span_in_context(span, above)

    def place(self, run_id: UUID, context: Context, session: str | None) -> None:
        pass

    def outcome(self, run_id: UUID, outcome: Any, session: str | None) -> Any:
        return outcome


class _OpenInference(_CallbacksOnly):
    """OpenInference's."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def span(self, run_id: UUID) -> Span | None:
        span: Span | None = self._handler._spans_by_run.get(run_id)
        return span

    def outcome(self, run_id: UUID, outcome: Any, session: str | None) -> Any:
        run: Any = self._handler.run_map.get(str(run_id))
        if run is None or session is None:
            return outcome
        extra = run.extra or {}
        if extra.get("metadata"):
            # The thread would be written over it at the end; this is what is asked for first.
            run.extra = {**extra, "metadata": {**extra["metadata"], "session_id": session}}
        return outcome

    def forget(self, run_id: UUID) -> None:
        self._handler.run_map.pop(str(run_id), None)
        span = self._handler._spans_by_run.pop(run_id, None)
        if span is not None:
            span.end()


class _Traceloop(_CallbacksOnly):
    """Traceloop's: the contexts that its callbacks attach are taken back by the gate."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def span(self, run_id: UUID) -> Span | None:
        holder = self._handler.spans.get(run_id)
        return None if holder is None else holder.span

    def outcome(self, run_id: UUID, outcome: Any, session: str | None) -> Any:
        holder = self._handler.spans.get(run_id)
        if holder is not None:
            holder.children.clear()  # it would end them with it, though they may go on
        return outcome

    def forget(self, run_id: UUID) -> None:
        holder = self._handler.spans.pop(run_id, None)
        if holder is not None:
            holder.span.end()


# By the attribute that tells whose handler it is.
_KINDS: Final[dict[str, Callable[[Any], Handler]]] = {
    "_invocation_manager": _GenAI,
    "_spans_by_run": _OpenInference,
    "spans": _Traceloop,
}


def known(handler: Any) -> Handler | None:
    """Return what is known of an instrumentor's handler, or None for one that is not."""
    for attribute, kind in _KINDS.items():
        if hasattr(handler, attribute):
            return kind(handler)
    return None


def write_content(span: Span, attribute: str, value: Any) -> None:
    """Put an input or an output on a span, if content is recorded."""
    runtime = _state.runtime
    if runtime is not None and runtime.settings.capture_content and span.is_recording():
        span.set_attribute(attribute, runtime.encoder.dumps(value))


INPUT, OUTPUT = semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT


def _fail(invocation: Any, fail: Callable[[Any], None], error: Any) -> None:
    if type(error).__name__ == "AbandonedStreamError" or is_control_flow(error):
        invocation.stop()
    else:
        fail(error)


def _as_messages(outcome: Any) -> list[list[Any]]:
    """Return the answers of a model that completes texts as those of a chat model."""
    from langchain_core.messages import AIMessage  # type: ignore[import-not-found, unused-ignore]
    from langchain_core.outputs import (  # type: ignore[import-not-found, unused-ignore]
        ChatGeneration,
    )

    counted = mapping(mapping(outcome.llm_output).get("token_usage"))
    tokens_in, tokens_out = counted.get("prompt_tokens"), counted.get("completion_tokens")
    usage = None
    if type(tokens_in) is int and type(tokens_out) is int:
        total = tokens_in + tokens_out
        usage = {"input_tokens": tokens_in, "output_tokens": tokens_out, "total_tokens": total}
    return [
        [
            ChatGeneration(
                message=AIMessage(content=one.text, usage_metadata=usage),
                generation_info=one.generation_info or {"finish_reason": "stop"},
            )
            for one in row
        ]
        for row in outcome.generations
    ]


def _messages_of(given: Any) -> Any:
    from opentelemetry.instrumentation.genai.langchain.utils import (  # type: ignore[import-not-found, unused-ignore]
        to_input_messages,
    )

    messages = [m for part in given for m in (part if isinstance(part, list) else [("user", part)])]
    return to_input_messages(messages)
