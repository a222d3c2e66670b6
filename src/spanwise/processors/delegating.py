"""The one span processor that Spanwise adds to a provider; every other one is made of it.

It stamps identity on spans as they start, makes one masked record of each that ends, and hands
it to the sinks. OpenTelemetry can add a processor but not remove it: what this one does can be
changed while it is in place, and after `shutdown` it does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol, runtime_checkable

from opentelemetry import trace as trace_api
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanContext, TraceFlags

from spanwise import _contexts, _guard, _state, semconv
from spanwise._calls import call_of
from spanwise._identity import Scope, current_scope
from spanwise._lean_spans import LeanSpan
from spanwise._masked_attributes import masked_attributes
from spanwise._masking import Masker
from spanwise._media import Keeper
from spanwise._sampling import Sampling
from spanwise.export.call_recordings import CallRecordings
from spanwise.export.making import make_record, masked_scope, record_of_masked
from spanwise.export.record import SCOPE_NAME, Record
from spanwise.processors.open_spans import OpenSpan, OpenSpans
from spanwise.processors.token_counts import TokenCounts

# Of two seconds: what is left of them is the interpreter's, to end in.
EXIT_TIMEOUT_S = 1.7
_SAMPLED = int(TraceFlags.SAMPLED)


class Sink(Protocol):
    """Where records go."""

    def write(self, record: Record) -> None:
        """Take one record; must not block for long."""

    def wake(self) -> None:
        """Send what is held, without being waited for."""

    def flush(self, timeout_s: float) -> bool:
        """Return whether all that was taken has arrived, or was finally refused."""
        ...

    def close(self, timeout_s: float) -> None:
        """Flush as far as the time allows, and let resources go."""


@runtime_checkable
class LiveSink(Sink, Protocol):
    """A sink that is told of spans when they start, too."""

    def begin(self, record: Record) -> None:
        """Take the record of a span that has started and not ended."""


@dataclass(frozen=True)
class Wiring:
    """What the processor does with spans; replaced as a whole.

    Attributes:
        sinks: get every record.
        masker: says what is secret.
        capture_content: False leaves inputs and outputs out.
        resource: attributes over those of the spans' resource.
        filtering: drops what a provider that is not ours started in traces we leave out.
        recordings: gets the arguments of calls.
        keeper: where images and the like, of which spans only say what they are, are kept.
        live: tell sinks of spans when they start, too.
    """

    sinks: Sequence[Sink] = ()
    masker: Masker = field(default_factory=Masker)
    capture_content: bool = True
    resource: Mapping[str, Any] = field(default_factory=dict)
    filtering: Sampling | None = None
    recordings: CallRecordings | None = None
    keeper: Keeper | None = None
    live: bool = False


class DelegatingSpanProcessor(SpanProcessor):
    """Stamp, mask, and hand on to sinks; never raises into the code that starts or ends spans.

    Attributes:
        stamps: put identity on spans of third parties as they start, where other processors see
            it too; the records have it in any case.
    """

    # A lean span is handed over as it is; it does not change any more, and nobody keeps it.
    takes_lean_spans = True

    def __init__(self, wiring: Wiring | None = None) -> None:
        self.stamps = True
        self._wiring: Wiring | None = None
        self._has_lost = False
        self._open = OpenSpans()
        self._counts = TokenCounts()
        self._resource: tuple[Resource, Wiring, Mapping[str, Any]] | None = None
        # Resource, scope and wiring of the last masked span, and what a record has of the first two.
        self._of_masked: tuple[Any, Any, Any, Any, Any] = (None, None, None, None, None)
        if wiring is not None:
            self.rewire(wiring)

    @property
    def wiring(self) -> Wiring | None:
        """What the processor does now; None after `shutdown`."""
        return self._wiring

    def rewire(self, wiring: Wiring) -> None:
        """Replace what the processor does; the sinks of before are not closed."""
        before = self._wiring
        self._wiring = wiring
        was_listening = before is not None and before.recordings is not None
        _state.call_listeners += (wiring.recordings is not None) - was_listening

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp the span with the identity of its context, and remember it as open."""
        wiring = self._wiring
        if wiring is None:
            return
        try:
            self._started(span, parent_context, wiring)
        except Exception as error:  # noqa: BLE001 - the guard, inline: this is the hot path
            _guard.swallow("processor.on_start", error)

    def operation_started(
        self, span: LeanSpan, context: Context, scope: Scope | None, is_trace: bool
    ) -> None:
        """Take note of an operation's span, as `on_start` does of any.

        Args:
            span: of a tracer of ours, which has stamped it.
            context: in which it starts.
            scope: the identity of that context.
            is_trace: it stands for its trace.
        """
        wiring = self._wiring
        if wiring is None:
            return
        try:
            next(_state.spans_started)
            opened = self._open.begin(span._context, span._parent, scope, is_trace=is_trace)
            if wiring.live or wiring.recordings is not None:
                self._tell_of_start(span, opened, context, wiring)
        except Exception as error:  # noqa: BLE001 - the guard, inline: this is the hot path
            _guard.swallow("processor.on_start", error)

    def on_end(self, span: ReadableSpan) -> None:
        """Make the record and hand it to every sink; one that fails does not stop the others."""
        try:
            wiring = self._wiring
            if wiring is None:
                _state.count("dropped.after_shutdown")
                return
            try:
                record = self._ended(span, wiring)
            except Exception:
                _state.count("dropped.unrecordable")
                raise
            if record is not None:
                self._hand_on(record, wiring)
        except Exception as error:  # noqa: BLE001 - the guard, inline: this is the hot path
            _guard.swallow("processor.on_end", error)

    def _hand_on(self, record: Record, wiring: Wiring) -> None:
        raised: BaseException | None = None
        for sink in wiring.sinks:
            try:
                try:
                    sink.write(record)
                except Exception as error:  # noqa: BLE001 - the next sink gets it all the same
                    _guard.swallow(f"sink.{type(sink).__name__}", error)
                    self._has_lost = True
                    _state.count("lost.sink")
            except BaseException as error:  # noqa: BLE001 - the program's: it gets it afterwards
                raised = error
        if raised is not None:
            raise raised

    def wake(self) -> None:
        """Have the sinks send what they hold; does not wait for it."""
        wiring = self._wiring
        for sink in wiring.sinks if wiring is not None else ():
            with _guard.guard("sink.wake"):
                sink.wake()

    def shutdown(self) -> None:
        """Close the sinks, within two seconds together, and do nothing from now on."""
        wiring, self._wiring = self._wiring, None
        if wiring is not None:
            _state.call_listeners -= wiring.recordings is not None
            _close(wiring)

    def finish(self) -> None:
        """Close the sinks as `shutdown` does, and go on: a span that ends later is written, too."""
        wiring = self._wiring
        if wiring is not None:
            _close(wiring)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Return True only if every sink's records arrived, or were refused, in that time."""
        wiring = self._wiring
        if wiring is None:
            return True
        until = monotonic() + timeout_millis / 1000
        arrived = not self._has_lost
        self.wake()
        if wiring.recordings is not None:
            arrived = wiring.recordings.flush(timeout_millis / 1000) and arrived
        for sink in wiring.sinks:
            try:
                arrived = sink.flush(max(0.0, until - monotonic())) and arrived
            except Exception as error:  # noqa: BLE001 - flush tells the truth, it does not raise
                _guard.swallow("sink.flush", error)
                arrived = False
        return arrived

    def _started(self, span: Span, parent_context: Context | None, wiring: Wiring) -> None:
        next(_state.spans_started)
        context = parent_context if parent_context is not None else _contexts.get_current()
        instrumentation = span.instrumentation_scope
        is_ours = instrumentation is not None and instrumentation.name == SCOPE_NAME
        above: SpanContext | None
        if type(span) is LeanSpan:
            own, above = span._context, span._parent
            attributes: Any = span.values() if is_ours else None
        else:
            own = span.get_span_context()
            above = trace_api.get_current_span(context).get_span_context()
            above = above if above.is_valid else None
            attributes = span.attributes if is_ours else None
        scope = current_scope(context)
        if scope is None and parent_context is not None:
            # Started with a context of its own making, which may begin empty: of a request's first
            # span whoever is around its start knows who it is for, of all others their parent.
            around = current_scope(_contexts.get_current())
            scope = around if above is None or self._open.get(above.span_id) is None else None
        is_trace = attributes is not None and attributes.get(semconv.OBSERVATION_IS_TRACE) is True
        kept = True
        if wiring.filtering is not None:
            kept = self._keeps(wiring.filtering, above, own, context)
        opened = self._open.begin(own, above, scope, is_trace=is_trace, kept=kept)
        if not is_ours and opened.scope is not None and self.stamps:
            _stamp(span, opened.scope)
        if wiring.live or (wiring.recordings is not None and is_ours):
            self._tell_of_start(span, opened, parent_context if is_ours else None, wiring)

    def _tell_of_start(
        self, span: Span, opened: OpenSpan, context: Context | None, wiring: Wiring
    ) -> None:
        if wiring.live and opened.kept and span.get_span_context().trace_flags.sampled:
            self._begin(span, opened, wiring)
        call = call_of(context)
        if wiring.recordings is not None and call is not None:
            wiring.recordings.write(call.target, call.arguments)

    def _keeps(
        self,
        sampling: Sampling,
        above: SpanContext | None,
        span: SpanContext,
        context: Context,
    ) -> bool:
        """Decide for a trace once, on a provider that makes the spans in any case."""
        parent = self._open.get(above.span_id) if above is not None else None
        if parent is not None:
            return parent.kept
        decided = self._open.decision(span.trace_id)
        if decided is None:
            if above is not None and above.is_remote:
                decided = above.trace_flags.sampled
            else:
                decided = sampling.keeps(span.trace_id, context)
            self._open.decide(span.trace_id, decided)
        return decided

    def _ended(self, span: ReadableSpan, wiring: Wiring) -> Record | None:
        context = span._context
        if context is None:
            return None
        opened = self._open.end(context[1])
        if opened is not None:
            if opened.pid != os.getpid():
                _state.count("dropped.forked_copies")
                return None
            if not opened.kept:
                _state.count("dropped.sampled_out")
                return None
        if not context[3] & _SAMPLED:
            return None
        next(_state.spans_ended)
        if not wiring.sinks:
            return None
        return self._counts.once(self._recorded(span, opened, wiring), opened)

    def _begin(self, span: Span, opened: OpenSpan, wiring: Wiring) -> None:
        live = [sink for sink in wiring.sinks if isinstance(sink, LiveSink)]
        if live:
            record = self._recorded(span, opened, wiring)
            for sink in live:
                with _guard.guard("sink.begin"):
                    sink.begin(record)

    def _recorded(self, span: ReadableSpan, opened: OpenSpan | None, wiring: Wiring) -> Record:
        scope = opened.scope if opened is not None else None
        if opened is not None:
            above = opened.observation_above
        else:
            above = span.parent.span_id if span.parent is not None else None
        masker = wiring.masker
        lean = span if type(span) is LeanSpan else None
        prepared = lean.prepared if lean is not None else None
        if (
            lean is not None
            and prepared is not None
            and prepared.masker is masker
            and wiring.capture_content
            and lean._bounded is None  # else others may have a hand in it
        ):
            resource = span._resource
            instrumentation: Any = span._instrumentation_scope
            known = self._of_masked
            if (
                known[0] is not resource
                or known[1] is not instrumentation
                or known[2] is not wiring
            ):
                # The same for almost all of them: one tracer makes them.
                described = self._described(resource, wiring)
                made = masked_scope(instrumentation, masker)
                known = self._of_masked = (resource, instrumentation, wiring, described, made)
            identity = scope.masked(masker) if scope is not None else None
            return record_of_masked(
                lean, prepared, identity, known[4], known[3], above, wiring.keeper
            )
        return make_record(
            span,
            masker,
            capture_content=wiring.capture_content,
            identity=scope.attributes() if scope is not None else None,
            resource=self._described(span.resource, wiring),
            observation_above=above,
            keeper=wiring.keeper,
        )

    def _described(self, resource: Resource, wiring: Wiring) -> Mapping[str, Any]:
        """Return the masked attributes of a span's resource, under what `configure()` says."""
        known = self._resource
        # By the object: after a fork the provider has another one.
        if known is None or known[0] is not resource or known[1] is not wiring:
            masked = masked_attributes(resource.attributes, wiring.masker)
            known = self._resource = (resource, wiring, {**masked, **wiring.resource})
        return known[2]


def _close(wiring: Wiring) -> None:
    until = monotonic() + EXIT_TIMEOUT_S
    if _state.is_exiting:
        # An exit has that time once: an application's provider shuts its processors down as well.
        _state.exit_until_s = until = min(until, _state.exit_until_s)
    if wiring.recordings is not None:
        wiring.recordings.close()
    for sink in wiring.sinks:
        with _guard.guard("sink.wake"):
            sink.wake()
    for number, sink in enumerate(wiring.sinks):
        # A destination that is away leaves the others their share of the time.
        left_s = max(0.0, until - monotonic())
        with _guard.guard("sink.close"):
            sink.close(left_s / (len(wiring.sinks) - number))


def _stamp(span: Span, scope: Scope) -> None:
    """Put identity on a third party's span, without evicting an attribute of its own."""
    stamped = scope.attributes()
    if type(span) is LeanSpan and span.put_in_front(stamped):
        return
    have = span.attributes or {}
    missing = {key: value for key, value in stamped.items() if key not in have}
    held = getattr(span, "_attributes", None)
    if not isinstance(held, BoundedAttributes):
        span.set_attributes(missing)
    elif held.maxlen is None:
        held._set_items(missing)
    elif held.maxlen >= len(have) + len(missing):
        # In front: when the span is full, OpenTelemetry evicts the oldest, and that must be
        # ours. The record still gets them, from the scope, when the span ends.
        stamps = BoundedAttributes(None, missing, True, held.max_value_len)
        with held._lock:
            held._dict = {**stamps, **held._dict}
