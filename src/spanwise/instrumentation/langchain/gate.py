"""A gate before an instrumentor's callback handler: the same tree, whoever's handler it is.

LangChain tells every handler of the same runs. The gate says which of them are observations,
below what each belongs, what it is called, and that an interrupt is no error; the handler makes
the spans and fills them in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final
from uuid import UUID

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.trace import Span

from spanwise import _contexts, _guard, _identity, semconv
from spanwise.instrumentation.langchain import details, runs
from spanwise.instrumentation.langchain.handlers import INPUT, OUTPUT, Handler, write_content

_RUN: Final = context_api.create_key("spanwise-langchain-run")
_SESSION: Final = context_api.create_key("spanwise-langchain-session")
_MOST_OPEN: Final = 100_000

_STARTS: Final = (
    "on_chain_start",
    "on_chat_model_start",
    "on_llm_start",
    "on_tool_start",
    "on_retriever_start",
)
# The callback of an error, and that of an end in its place.
_ENDS: Final = {
    "on_chain_error": "on_chain_end",
    "on_llm_error": "on_llm_end",
    "on_tool_error": "on_tool_end",
    "on_retriever_error": "on_retriever_end",
}
_CHUNK: Final = "on_llm_new_token"
# OpenTelemetry's handler writes nothing for chains, and of documents no text.
_CONTENT_BY_US: Final = frozenset({"chain", "retrieval"})
# Told by LangGraph to every handler, and missing in some: each time a warning is logged.
_OF_GRAPHS: Final = ("on_interrupt", "on_resume")


class _Open:
    """A run that has started and not ended."""

    __slots__ = ("above", "below", "context", "forwarded_id", "has_own_content", "said", "span")

    def __init__(
        self,
        above: _Open | None,
        context: Context,
        forwarded_id: UUID | None,
        said: Mapping[str, Any],
    ) -> None:
        self.above = above
        self.below: set[UUID] = set()
        self.context = context
        self.span: Span | None = None
        self.forwarded_id = (
            forwarded_id  # what the handler knows it as; of a hidden run, its parent
        )
        self.has_own_content = False
        self.said = said


class Gate:
    """Stands before one handler, from `place` to `remove`.

    Args:
        handler: the instrumentor's callback handler.
        known: where it keeps its spans.
    """

    def __init__(self, handler: Any, known: Handler) -> None:
        self._handler = handler
        self._known = known
        self._open: dict[UUID, _Open] = {}
        self._originals: dict[str, Callable[..., Any]] = {}

    def place(self) -> None:
        """Have what LangChain tells the handler come here first."""
        for event in (*_STARTS, *_ENDS, *_ENDS.values(), _CHUNK):
            self._originals[event] = getattr(self._handler, event)
        for event in _STARTS:
            setattr(self._handler, event, partial(self._started, event))
        for event, end in _ENDS.items():
            setattr(self._handler, end, partial(self._ended, end))
            setattr(self._handler, event, partial(self._failed, event))

        setattr(self._handler, _CHUNK, self._went_on)
        for event in _OF_GRAPHS:
            if not hasattr(self._handler, event):
                setattr(self._handler, event, _ignore)
                self._originals[event] = _ignore

    def remove(self) -> None:
        """Let the handler hear for itself again."""
        for event in self._originals:
            vars(self._handler).pop(event, None)

    def context_of(self, run_id: UUID | None) -> Context | None:
        """Return the context for what runs inside a run."""
        opened = self._open.get(run_id) if run_id is not None else None
        return opened.context if opened is not None else None

    def cut(self, run_id: UUID, error: BaseException) -> None:
        """End a retriever's run of whose end LangChain does not tell."""
        if run_id in self._open:
            self._failed("on_retriever_error", error, run_id=run_id)

    def _started(self, event: str, *args: Any, **given: Any) -> Any:
        original = self._originals[event]
        token = run = opened = None
        try:
            run_id = given["run_id"]
            parent_id = given.get("parent_run_id")
            above = self._open.get(parent_id) if parent_id is not None else None
            current = _contexts.get_current()
            # In a thread or a task that LangChain lost sight of, the context still knows.
            is_root = above is None and current.get(_RUN) is None
            run = runs.read(event, args[0], given, is_root=is_root)
            said = details.said(given, above.said if above is not None else {})
            given["metadata"] = runs.handed_on(given.get("metadata"))
            within = current if above is None or _is_between(current, above) else above.context
            if above is not None:
                given["parent_run_id"] = None if within is current else above.forwarded_id
            elif parent_id is not None and (not is_root or self._known.span(parent_id) is None):
                given["parent_run_id"] = None  # it has ended, and some handlers miss it
            within = _with_session(within, run.session)
            opened = _Open(above, within, run_id, said)
            self._remember(run_id, opened)
            if run.is_hidden:
                opened.forwarded_id = above.forwarded_id if above is not None else None
                return None
            token = _contexts.attach(within)
        except Exception as error:  # noqa: BLE001 - ours: the handler hears of the run as without us
            _guard.swallow("langchain.start", error)
        try:
            return original(*args, **given)
        finally:
            try:
                if run is not None and opened is not None and token is not None:
                    self._describe(run, opened, args, given)
            except Exception as error:  # noqa: BLE001 - ours: the span is as the handler made it
                _guard.swallow("langchain.start", error)
            finally:
                if token is not None:
                    _identity.give_back(token)

    def _describe(self, run: runs.Run, opened: _Open, args: tuple[Any, ...], given: Any) -> None:
        run_id = given["run_id"]
        span = self._known.span(run_id)
        if span is None:
            span = self._known.start(run_id, run, args, given)
        if span is None:  # left out by the instrumentor: what is below belongs to what is above
            return
        opened.span = span
        session = _session_of(opened.context)
        context = self._known.context(run_id, span, opened.context)
        opened.context = context_api.set_value(_RUN, opened, context)
        self._known.place(run_id, opened.context, session)
        span.update_name(run.span_name)
        span.set_attribute(semconv.OBSERVATION_TYPE, run.type)
        if session is not None:
            span.set_attribute(semconv.SESSION_ID, session)
            span.set_attribute(semconv.GEN_AI_CONVERSATION_ID, session)
        details.add_said(span, opened.said, opened.above.said if opened.above is not None else {})
        if self._known.attaches and run.type in _CONTENT_BY_US:
            opened.has_own_content = True
            write_content(span, INPUT, args[1])
        elif self._known.attaches and run.type == "agent" and not runs.has_messages(args[1]):
            write_content(span, INPUT, args[1])  # resumed: what the person said

    def _went_on(self, *args: Any, **given: Any) -> Any:
        with _guard.guard("langchain.token"):
            if self._known.span(given["run_id"]) is None:
                return None  # ended already, with what it belonged to
        return self._originals[_CHUNK](*args, **given)

    def _ended(self, event: str, *args: Any, **given: Any) -> Any:
        opened = self._closed(given.get("run_id"))
        if opened is not None and opened.forwarded_id != given["run_id"]:
            return None  # hidden
        if opened is not None and opened.span is not None:
            with _guard.guard("langchain.end"):
                if opened.has_own_content:
                    write_content(opened.span, OUTPUT, args[0])
                session = _session_of(opened.context)
                args = (self._known.outcome(given["run_id"], args[0], session), *args[1:])
        return self._forward(event, args, given, is_known=opened is not None)

    def _failed(self, event: str, *args: Any, **given: Any) -> Any:
        if args:
            self._end_below(given.get("run_id"), args[0])
        if args and runs.is_control_flow(args[0]):
            outcome: Any = runs.interrupts(args[0])
            if event == "on_llm_error":
                outcome = given.pop("response", None)
                outcome = _no_answer() if outcome is None else outcome
            elif event == "on_retriever_error":
                outcome = []
            return self._ended(_ENDS[event], outcome, **given)
        opened = self._closed(given.get("run_id"))
        if opened is not None and opened.forwarded_id != given["run_id"]:
            return None  # hidden
        if opened is not None:
            with _guard.guard("langchain.end"):
                if self._known.attaches and opened.span is not None:
                    details.add_error(opened.span, args[0])
                self._known.outcome(given["run_id"], None, _session_of(opened.context))
        return self._forward(event, args, given, is_known=opened is not None)

    def _forward(
        self, event: str, args: tuple[Any, ...], given: dict[str, Any], *, is_known: bool
    ) -> Any:
        with _guard.guard("langchain.end"):
            if not is_known and self._known.span(given["run_id"]) is None:
                return None  # ended already, with what it belonged to
        # What the handler attaches or detaches is none of the caller's business.
        token = _contexts.attach(_contexts.get_current())
        try:
            return self._originals[event](*args, **given)
        finally:
            _identity.give_back(token)

    def _remember(self, run_id: UUID, opened: _Open) -> None:
        if len(self._open) >= _MOST_OPEN:  # those whose end nobody told of
            oldest = next(iter(self._open))
            self._closed(oldest)
            self._known.forget(oldest)
        self._open[run_id] = opened
        if opened.above is not None:
            opened.above.below.add(run_id)

    def _closed(self, run_id: UUID | None) -> _Open | None:
        """Forget an open run; what is open below it may go on, and is told of when it ends."""
        opened = self._open.pop(run_id, None) if run_id is not None else None
        if opened is not None and opened.above is not None and run_id is not None:
            opened.above.below.discard(run_id)
        return opened

    @_guard.guard("langchain.end")
    def _end_below(self, run_id: UUID | None, error: BaseException) -> None:
        """End what is open below a run that was closed or cancelled: nobody may tell of it."""
        if issubclass(type(error), Exception) or run_id is None:
            return
        waiting = [self._open.get(run_id)]
        while waiting:
            opened = waiting.pop()
            for child_id in () if opened is None else tuple(opened.below):
                waiting.append(self._open.pop(child_id, None))
                self._known.forget(child_id)


def _ignore(event: Any) -> None:
    """Take what is no news: that a graph was interrupted is seen in its runs."""


def _is_between(current: Context, above: _Open) -> bool:
    """Return whether the caller is inside the run above, and in a span of its own there."""
    if current.get(_RUN) is not above:
        return False
    return trace_api.get_current_span(current) is not above.span


def _with_session(context: Context, thread: str | None) -> Context:
    """Return the context with the thread as the session, unless the program gave one."""
    if thread is None:
        return context
    scope = _identity.current_scope(context)
    session = scope.attributes().get(semconv.SESSION_ID) if scope is not None else None
    if session is not None and session != context.get(_SESSION):
        return context
    own = _identity.identity_attributes(session_id=thread)
    if session == own.get(semconv.SESSION_ID):
        return context
    context = _identity.with_scope(_identity.Scope(scope, own), context)
    return context_api.set_value(_SESSION, own.get(semconv.SESSION_ID), context)


def _session_of(context: Context) -> str | None:
    scope = _identity.current_scope(context)
    session = scope.attributes().get(semconv.SESSION_ID) if scope is not None else None
    return None if session is None else str(session)


def _no_answer() -> Any:
    from langchain_core.outputs import LLMResult  # type: ignore[import-not-found, unused-ignore]

    return LLMResult(generations=[])
