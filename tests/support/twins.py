"""The same calls on a tracer of OpenTelemetry's and on one of ours, and what there is to see of both.

Each side has its own clock and its own ids, which count alike: what differs is a difference.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest import mock

from opentelemetry import context as context_api
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON, Sampler
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)

from spanwise import _ids, _lean_spans
from spanwise._lean_spans import LeanSpan
from spanwise._provider import RandomIds, SpanwiseTracerProvider
from spanwise._samplers import LiveSampler

RESOURCE = Resource({"service.name": "twins"})
_FIRST_TIME_NS = 1_790_000_000_000_000_000


class Recorder(sdk.SpanProcessor):
    """Keeps what it is told, in order, and the spans that have ended."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.ended: list[sdk.ReadableSpan] = []

    def on_start(self, span: sdk.Span, parent_context: Any = None) -> None:
        state = (seen(span), parent_context is None)
        self.told.append(("start", *state))

    def _on_ending(self, span: sdk.Span) -> None:
        self.told.append(("ending", seen(span)))

    def on_end(self, span: sdk.ReadableSpan) -> None:
        self.told.append(("end", seen_of_ended(span)))
        self.ended.append(span)


class Words:
    """Counts up where ours takes 64 random bits from its pool."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, step: int) -> None:
        """Count from where no other step does: one that fails may have taken more on one side."""
        self._words = itertools.count((step + 1) << 32 | 1)

    def pop(self) -> int:
        return next(self._words)

    def extend(self, _: object) -> None:
        pass

    def clear(self) -> None:
        pass


class SdkIds(IdGenerator):
    """Takes as many words as ours does for an id."""

    def __init__(self) -> None:
        self.word = Words()

    def generate_span_id(self) -> int:
        return self.word.pop()

    def generate_trace_id(self) -> int:
        return self.word.pop() << 64 | self.word.pop()

    def is_trace_id_random(self) -> bool:
        return True


class Side:
    """A provider, its tracer, and the clock that it sees."""

    def __init__(self, provider: sdk.TracerProvider, word: Words, lean: bool) -> None:
        self.provider = provider
        self.recorder = Recorder()
        self.lean = lean
        self.tracer = provider.get_tracer("twins", "1", "https://schema", {"scope": "s"})
        self.spans: list[Any] = []
        self._word = word
        self._steps = itertools.count()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Take one step, in which time and ids are this side's."""
        step = next(self._steps)
        self._word.begin(step)
        clock = itertools.count(_FIRST_TIME_NS + step * 1_000_000_000, 1_000_000)

        def time_ns() -> int:
            return next(clock)

        with contextlib.ExitStack() as stack:
            for module in (sdk, _lean_spans):
                stack.enter_context(mock.patch.object(module, "time_ns", time_ns))
            stack.enter_context(mock.patch.object(_ids, "_pool", self._word))
            yield


class Lines(logging.Handler):
    """The lines that OpenTelemetry logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.name, record.levelname, record.getMessage()))

    def __enter__(self) -> Lines:
        logging.getLogger("opentelemetry").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("opentelemetry").removeHandler(self)


def sides(
    limits: Callable[[], sdk.SpanLimits] = sdk.SpanLimits,
    sampler: Callable[[], Sampler] | None = None,
    **more: Any,
) -> tuple[Side, Side]:
    """Return OpenTelemetry's side, and ours.

    Args:
        limits: makes those of spans, for each side.
        sampler: makes the sampler, for each side; by default the one that each has by itself.
        more: further arguments of the providers: a function of none each, which makes it.
    """
    ids = SdkIds()
    theirs = sdk.TracerProvider(
        sampler=DEFAULT_ON if sampler is None else sampler(),
        resource=RESOURCE,
        shutdown_on_exit=False,
        id_generator=ids,
        span_limits=limits(),
        **{name: make() for name, make in more.items()},
    )
    ours = SpanwiseTracerProvider(
        sampler=LiveSampler() if sampler is None else sampler(),
        resource=RESOURCE,
        shutdown_on_exit=False,
        id_generator=RandomIds(),
        span_limits=limits(),
        **{name: make() for name, make in more.items()},
    )
    return Side(theirs, ids.word, lean=False), Side(ours, Words(), lean=sampler is None)


def outcome(done: Callable[[], Any]) -> tuple[Any, ...]:
    """Return what a call gave, or raised, and the lines that were logged."""
    with Lines() as logged:
        try:
            result = ("returned", done())
        except Exception as error:
            result = ("raised", (type(error), str(error.args)))
    lines = logged.lines
    if result[0] == "raised":  # ours has tried before the SDK did, over the same
        lines = list(dict.fromkeys(lines))
    return (*result, lines)


def on_both(
    both: tuple[Side, Side], do: Callable[[Side], Any]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Return the outcome of the same thing on each side; neither finds the other's context."""
    outcomes = []
    for side in both:
        token = context_api.attach(context_api.Context())
        try:
            with side.at_work():
                outcomes.append(outcome(lambda side=side: do(side)))
        finally:
            context_api.detach(token)
    return outcomes[0], outcomes[1]


def seen(span: Any) -> tuple[Any, ...]:
    """Return what a span shows of itself, whether it has ended or not; without changing it."""
    context = span.get_span_context()
    shown = (tuple(context), type(context.trace_flags), span.is_recording())
    if not isinstance(span, sdk.Span):
        return (type(span), *shown)
    return (*shown, *seen_of_ended(span))


def seen_of_ended(span: sdk.ReadableSpan) -> tuple[Any, ...]:
    """Return what a span shows that does not change any more."""
    return (
        span.name,
        tuple(span.context),
        span.parent if span.parent is None else tuple(span.parent),
        span.kind,
        span.start_time,
        span.end_time,
        (span.status.status_code, span.status.description),
        repr(dict(span.attributes)),  # tells True from 1, and has nan equal itself
        [
            (e.name, e.timestamp, repr(dict(e.attributes)), e.dropped_attributes)
            for e in span.events
        ],
        [
            (tuple(li.context), repr(dict(li.attributes)), li.dropped_attributes)
            for li in span.links
        ],
        (span.dropped_attributes, span.dropped_events, span.dropped_links),
        span.resource is RESOURCE or dict(span.resource.attributes),
        span.instrumentation_scope,
    )


def sent(span: Any) -> tuple[Any, ...]:
    """Return what the stock encoder makes of a span, and its JSON."""
    if isinstance(span, sdk.Span):
        span = span._readable_span()
    return (
        outcome(lambda: encode_spans([span]).SerializeToString(deterministic=True)),
        outcome(span.to_json),
    )


def kinds(side: Side) -> set[type]:
    """Return of which classes the spans of a side are."""
    return {type(span) for span in side.spans if isinstance(span, sdk.Span)}


def is_of(side: Side) -> bool:
    """Return whether all spans of a side are of the class that it should make."""
    return kinds(side) <= {LeanSpan if side.lean else sdk._Span}


class Sent(SpanExporter):
    """What the stock encoder makes of what is exported."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.exported: list[Any] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.exported += spans
        self.spans += [(type(span), sent(span)) for span in spans]
        return SpanExportResult.SUCCESS


def some_of_everything(side: Side) -> None:
    """Make a trace with some of everything."""
    remote = SpanContext(7, 8, True, TraceFlags(1))
    context = set_span_in_context(NonRecordingSpan(remote), Context())
    link = Link(remote, {"l": [1]})
    with side.tracer.start_as_current_span(
        "root", context, SpanKind.SERVER, {"a": "b"}, [link]
    ) as root:
        side.spans.append(root)
        with side.tracer.start_as_current_span("plain", attributes={"a": 1}) as plain:
            side.spans.append(plain)
        root.set_attributes({"list": ["x"], "bytes": b"y", "a": 2.5})
        root.add_event("event", {"e": True})
        try:
            with side.tracer.start_as_current_span("fails") as fails:
                side.spans.append(fails)
                raise ValueError("wrong")
        except ValueError:
            pass
    side.tracer.start_span("unsampled", not_sampled()).end()


def not_sampled() -> Context:
    return set_span_in_context(NonRecordingSpan(SpanContext(7, 8, True, TraceFlags(0))), Context())


def compared(processors: Sequence[sdk.SpanProcessor]) -> None:
    """Have each side tell its processor of a trace with some of everything, and flush it."""
    both = sides()
    for side, processor in zip(both, processors, strict=True):
        side.provider.add_span_processor(processor)
    theirs, ours = on_both(both, some_of_everything)
    assert theirs == ours
    assert is_of(both[1])
    for side in both:
        assert side.provider.force_flush()
        side.provider.shutdown()
