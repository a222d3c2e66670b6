"""FluxLoop's trace: `instrument()`, the context that it yields, and observations made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID, uuid4

import orjson
from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.trace import StatusCode

from fluxloop.config import SDKConfig, config_for_use, first_use
from fluxloop.enums import ObservationType, checked_type
from spanwise import _guard, _operation, semconv
from spanwise._observation import NO_OBSERVATION, OBSERVATION, Observation, Plan
from spanwise._observe import decorate
from spanwise._plans import make_plan

if TYPE_CHECKING:
    from fluxloop.models import ObservationData, TraceData

F = TypeVar("F", bound=Callable[..., Any])

_MOST_LISTED = 10_000
_CURRENT = context_api.create_key("fluxloop-context")


class FluxLoopContext:
    """A trace, and the observations pushed onto it by hand.

    Args:
        trace_name: name of the trace.
        trace_id: id of the trace; a new one by default.
        session_id: groups traces.
        user_id: who the trace is for.
        metadata: facts of the trace.
        tags: labels.
        trace_id_override: as `trace_id`, also as text; it wins.

    Attributes:
        trace: what is known of the trace; what is set here until the end is recorded.
        observations: those of decorated calls and those that were pushed, open and ended, in
            start order; of very many the first.
        observation_stack: those that are open.
        is_sampled: whether the trace is kept.
    """

    def __init__(
        self,
        trace_name: str,
        trace_id: UUID | None = None,
        session_id: UUID | str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: list[str] | None = None,
        trace_id_override: UUID | str | None = None,
        _observation: Observation | None = None,
    ) -> None:
        # pydantic is slow to import: paid for by the first trace, not by `import fluxloop`.
        from fluxloop.models import TraceData, TraceId

        self.config: SDKConfig = config_for_use()
        self.observation_stack: list[ObservationData] = []
        self.observations: list[ObservationData] = []
        self._open: list[Observation | None] = []
        self._decorated: dict[str, ObservationData] = {}
        self._is_final = False
        wanted = _uuid(trace_id_override) or trace_id
        if _observation is None:
            plan = make_plan("span", trace_name, is_trace=True, first_use=first_use)
            _observation = _operation.begin(plan, trace_id=wanted.int if wanted else None)
        self._observation = _observation or NO_OBSERVATION
        self.is_sampled = self._observation.is_recording()
        known_id = int(self._observation.trace_id, 16) or (wanted or uuid4()).int
        self.trace: TraceData = TraceData(
            id=TraceId(int=known_id),
            name=trace_name,
            session_id=session_id,
            user_id=user_id,
            metadata=dict(metadata or {}),
            tags=list(tags or []),
        )
        self._observation.identify(
            user=user_id, session_id=str(session_id) if session_id is not None else None
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """The trace's metadata."""
        return self.trace.metadata

    @property
    def tags(self) -> list[str]:
        """The trace's tags."""
        return self.trace.tags

    def is_enabled(self) -> bool:
        """Return whether what is done with the context is recorded."""
        return self.config.enabled and self.is_sampled and not self._is_final

    def add_metadata(self, key: str, value: Any) -> None:
        """Add a fact to the trace."""
        if self.is_enabled():
            self.trace.metadata[key] = value

    def add_tag(self, tag: str) -> None:
        """Add a label to the trace, once."""
        if self.is_enabled() and tag not in self.trace.tags:
            self.trace.tags.append(tag)

    def set_user(self, user_id: str) -> None:
        """Say who the trace is for; what starts below it from now on is marked too."""
        if self.is_enabled():
            self.trace.user_id = user_id
            self._observation.identify(user=user_id)

    def push_observation(self, observation: ObservationData) -> None:
        """Begin an observation; what is set on it until it is popped is recorded."""
        if not self.is_enabled():
            return
        plan = make_plan(str(observation.type.value), observation.name)
        started = self._begin(plan, _ns(observation.start_time))
        if started is not None:
            observation.id = started.id
            observation.trace_id = self.trace.id
            if self.observation_stack:
                observation.parent_observation_id = self.observation_stack[-1].id
        self._open.append(started)
        self.observation_stack.append(observation)
        self._list(observation)

    @property
    def buffer(self) -> Any:
        """The buffer of what programs hand over by themselves."""
        from fluxloop.buffer import EventBuffer

        return EventBuffer.get_instance()

    def _list(self, observation: ObservationData) -> None:
        if len(self.observations) < _MOST_LISTED:
            self.observations.append(observation)

    def _joined_by(self, observation: Observation, parent_id: str | None) -> None:
        """List the observation of a decorated call that begins."""
        from fluxloop.models import ObservationData

        if not self.is_enabled() or not observation.is_recording():
            return
        data = ObservationData(
            id=observation.id,
            type=ObservationType(observation.type),
            name=observation.name,
            trace_id=self.trace.id,
            parent_observation_id=parent_id,
        )
        self._decorated[observation.id] = data
        self._list(data)

    def _left_by(self, observation: Observation) -> None:
        """Fill in what became of a decorated call."""
        data = self._decorated.pop(observation.id, None)
        if data is None:
            return
        data.end_time = datetime.now(timezone.utc)
        attributes = getattr(observation.span, "attributes", None) or {}
        data.input = _from_json(attributes.get(semconv.OBSERVATION_INPUT))
        data.output = _from_json(attributes.get(semconv.OBSERVATION_OUTPUT))
        data.model = attributes.get(semconv.GEN_AI_REQUEST_MODEL)
        data.prompt_tokens = attributes.get(semconv.GEN_AI_USAGE_INPUT_TOKENS)
        data.completion_tokens = attributes.get(semconv.GEN_AI_USAGE_OUTPUT_TOKENS)
        if (data.prompt_tokens, data.completion_tokens) != (None, None):
            data.total_tokens = (data.prompt_tokens or 0) + (data.completion_tokens or 0)
        status = getattr(observation.span, "status", None)
        if status is not None and status.status_code is StatusCode.ERROR:
            data.error = status.description

    def _begin(self, plan: Plan, start_time_ns: int) -> Observation | None:
        """Start an observation below what is open here, also where the trace is not current."""
        if get_current_context() is self:
            return _operation.start(plan, start_time_ns=start_time_ns)
        outer = next((o for o in reversed(self._open) if o is not None), self._observation)
        outer.attach()
        started = _operation.begin(plan, start_time_ns=start_time_ns)
        outer.detach()
        if started is not None:
            started.attach()
        return started

    def pop_observation(self) -> ObservationData | None:
        """End the observation pushed last and return it; None where there is none."""
        if not self.observation_stack:
            return None
        observation = self.observation_stack.pop()
        started = self._open.pop()
        if observation.end_time is None:
            observation.end_time = datetime.now(timezone.utc)
        if started is not None:
            with _guard.guard("fluxloop.pop_observation"):
                _fill(started, observation)
            _operation.finish(started, keep_output=False, end_time_ns=_ns(observation.end_time))
        return observation

    def finalize(self) -> None:
        """End the trace, and what is still open on it."""
        if self._is_final:
            return
        self._close()
        _operation.finish(self._observation, keep_output=False)

    def _close(self) -> None:
        """Take over what was set on the trace; its span is ended by the caller."""
        while self.observation_stack:
            self.pop_observation()
        self._is_final = True
        trace = self.trace
        if trace.end_time is None:
            trace.end_time = datetime.now(timezone.utc)
        self._observation.identify(
            user=trace.user_id,
            session_id=str(trace.session_id) if trace.session_id is not None else None,
        )
        self._observation.update(metadata=trace.metadata, tags=trace.tags or None)
        if trace.input is not None:
            self._observation.update(input=trace.input)
        if trace.output is not None:
            self._observation.update(output=trace.output)


def join_context(observation: Observation, context: Context) -> Context:
    """List the observation of a decorated call on the trace that it is part of."""
    current = context.get(_CURRENT)
    if isinstance(current, FluxLoopContext):
        above = context.get(OBSERVATION)
        parent_id = None
        if isinstance(above, Observation) and above is not current._observation:
            parent_id = above.id
        current._joined_by(observation, parent_id)
    return context


def end_observation(observation: Observation) -> None:
    """Fill in, on the trace that it is part of, what became of a decorated call."""
    current = observation._context.get(_CURRENT) if observation._context is not None else None
    if isinstance(current, FluxLoopContext):
        current._left_by(observation)


def get_current_context() -> FluxLoopContext | None:
    """Return the context of the innermost `instrument()`, or None outside one."""
    found = context_api.get_current().get(_CURRENT)
    return found if isinstance(found, FluxLoopContext) else None


def get_current_trace() -> TraceData | None:
    """Return the trace of the innermost `instrument()`, or None outside one."""
    current = get_current_context()
    return current.trace if current is not None else None


class instrument:  # noqa: N801 - reads as `with fluxloop.instrument(...) as ctx:`
    """A trace around a block, or around every call of a decorated function.

    Args:
        name: of the trace.
        session_id: groups traces.
        user_id: who the trace is for.
        metadata: facts of the trace.
        tags: labels.
        trace_id: id of the trace; a new one by default.
        observation_type: for a decorated function: record the call as an observation of this
            type as well.
    """

    def __init__(
        self,
        name: str,
        session_id: UUID | str | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: list[str] | None = None,
        trace_id: UUID | str | None = None,
        *,
        observation_type: ObservationType | str | None = None,
    ) -> None:
        self._name = name
        self._of_trace: dict[str, Any] = {
            "session_id": session_id,
            "user_id": user_id,
            "metadata": metadata,
            "tags": tags,
        }
        self._trace_id = trace_id
        self._type = checked_type(observation_type) if observation_type is not None else None
        self._entered: list[tuple[FluxLoopContext, Any]] = []

    def __enter__(self) -> FluxLoopContext:
        made = FluxLoopContext(self._name, trace_id_override=self._trace_id, **self._of_trace)
        observation = made._observation
        inner = observation._context if observation._context is not None else None
        inner = context_api.set_value(_CURRENT, made, inner)
        self._entered.append((made, context_api.attach(inner)))
        return made

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        made, token = self._entered.pop()
        made._close()
        if error is None:
            _operation.finish(made._observation, keep_output=False)
        else:
            _operation.fail(made._observation, error)
        context_api.detach(token)

    def __call__(self, function: F) -> F:
        """Return the function with a trace around every call of it."""

        def enter(observation: Observation, context: Context) -> Context:
            made = FluxLoopContext(self._name, _observation=observation, **self._of_trace)
            return context_api.set_value(_CURRENT, made, context)

        def end(observation: Observation) -> None:
            made = observation._context.get(_CURRENT) if observation._context else None
            if isinstance(made, FluxLoopContext):
                made._close()

        def build(inner: Callable[..., Any]) -> Plan:
            return make_plan(
                self._type or "span",
                self._name,
                function=inner,
                is_trace=self._type is None,
                first_use=first_use,
                enter=enter,
                on_end=end,
            )

        wrapped: F = decorate(function, build)
        return wrapped


def _fill(started: Observation, observation: ObservationData) -> None:
    """Put what was set on the data onto the observation that stands for it."""
    usage = {
        "input_tokens": observation.prompt_tokens,
        "output_tokens": observation.completion_tokens,
        "total_tokens": observation.total_tokens,
    }
    started.span.update_name(observation.name)
    started.update(
        metadata=observation.metadata,
        level=str(getattr(observation.level, "value", observation.level)),
        model=observation.model,
        status_message=observation.status_message,
        usage={name: count for name, count in usage.items() if count is not None},
    )
    if observation.input is not None:
        started.update(input=observation.input)
    if observation.output is not None:
        started.update(output=observation.output)
    if observation.llm_parameters is not None:
        started.update(metadata={"llm_parameters": observation.llm_parameters})
    if observation.error is not None:
        started.record_error(observation.error)


def _from_json(text: Any) -> Any:
    try:
        return orjson.loads(text) if isinstance(text, str) else None
    except ValueError:
        return text


def _ns(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _uuid(value: UUID | str | None) -> UUID | None:
    if value is None or isinstance(value, UUID):
        return value
    try:
        return UUID(str(value))
    except ValueError:
        return None
