"""OpenTelemetry's SDK, used by hand: the two yardsticks."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.contenders.kit import Kit, Place


class Nowhere(SpanExporter):
    """Takes spans, and does nothing with them."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Take them."""
        return SpanExportResult.SUCCESS


def batched(place: Place) -> BatchSpanProcessor:
    """Return the stock processor: with nowhere to go, or with the stock exporter."""
    if not place.sends:
        return BatchSpanProcessor(Nowhere())
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{place.endpoint}/v1/traces"))


def set_up(variant: str, place: Place) -> Kit:
    """Set the SDK up as its documentation says, and return what decorates."""
    if variant == "unconfigured":
        return Kit(by_hand)
    sampler = sampling.ALWAYS_OFF if variant == "sampled out" else None
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(batched(place))
    trace.set_tracer_provider(provider)
    flush = functools.partial(provider.force_flush, 60_000)
    return Kit(bare_span if variant == "span" else by_hand, flush=flush)


def by_hand(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorate as one does who is careful, and has OpenTelemetry only."""
    tracer = trace.get_tracer("by_hand")
    name = function.__qualname__

    def begin(span: trace.Span, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if span.is_recording():
            span.set_attribute("observation.type", "tool")
            span.set_attribute("code.function.name", name)
            text = json.dumps({"args": args, "kwargs": kwargs}, default=str)
            span.set_attribute("observation.input", text)

    def end(span: trace.Span, result: Any) -> None:
        if span.is_recording():
            span.set_attribute("observation.output", json.dumps(result, default=str))

    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def stepping_later(*args: Any, **kwargs: Any) -> Any:
            with tracer.start_as_current_span(name) as span:
                begin(span, args, kwargs)
                pieces = []
                async for piece in function(*args, **kwargs):
                    pieces.append(piece)
                    yield piece
                end(span, pieces)

        return stepping_later
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def stepping(*args: Any, **kwargs: Any) -> Any:
            with tracer.start_as_current_span(name) as span:
                begin(span, args, kwargs)
                pieces = []
                for piece in function(*args, **kwargs):
                    pieces.append(piece)
                    yield piece
                end(span, pieces)

        return stepping
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            with tracer.start_as_current_span(name) as span:
                begin(span, args, kwargs)
                result = await function(*args, **kwargs)
                end(span, result)
                return result

        return later

    @functools.wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        with tracer.start_as_current_span(name) as span:
            begin(span, args, kwargs)
            result = function(*args, **kwargs)
            end(span, result)
            return result

    return now


def bare_span(function: Callable[..., Any]) -> Callable[..., Any]:
    """Put nothing but a span of the SDK around the call: no content, and not the current one."""
    tracer = trace.get_tracer("bare_span")
    name = function.__qualname__
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def later(*args: Any, **kwargs: Any) -> Any:
            span = tracer.start_span(name)
            try:
                return await function(*args, **kwargs)
            finally:
                span.end()

        return later
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return function

    @functools.wraps(function)
    def now(*args: Any, **kwargs: Any) -> Any:
        span = tracer.start_span(name)
        try:
            return function(*args, **kwargs)
        finally:
            span.end()

    return now
