"""From settings to what runs: a provider with one processor of ours, and its sinks.

Imported by the first `configure()`: importing it imports the SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import sampling as sdk_sampling
from opentelemetry.trace import ProxyTracerProvider

from spanwise import _declared, _destinations, _guard, _settings, _state, _version
from spanwise._encoding import Encoder
from spanwise._environment import CONFIG_FILE, Environment
from spanwise._lean_opener import LeanOpener
from spanwise._lean_spans import LeanSpan
from spanwise._lean_tracer import LeanTracer, opens_lean_spans
from spanwise._limits import Limits
from spanwise._masked_attributes import masked_attributes
from spanwise._masking import Masker
from spanwise._provider import (
    PLACED,
    SpanwiseTracerProvider,
    described_resource,
    make_provider,
)
from spanwise._samplers import sampling_of
from spanwise._settings import Settings
from spanwise._state import Runtime
from spanwise.errors import InvalidSettingError
from spanwise.export import exporters
from spanwise.export.call_recordings import CallRecordings, recordings_at
from spanwise.export.exporters import ExporterSink
from spanwise.export.jsonl_files import JsonlFiles
from spanwise.export.media_files import MediaFiles
from spanwise.export.record import SCOPE_NAME
from spanwise.export.unsent import UnsentSink
from spanwise.processors.delegating import DelegatingSpanProcessor, Sink, Wiring


def build(
    settings: Settings,
    environment: Environment,
    previous: Runtime | None,
    *,
    private: bool = False,
    resource: Mapping[str, Any] | None = None,
) -> Runtime:
    """Build what the settings ask for, keeping of the previous runtime what has not changed.

    Args:
        settings: the settings in force.
        environment: for OpenTelemetry's own variables.
        previous: what is in force now.
        private: do not make a provider of ours the global one, so that the application can
            still set its own.
        resource: further attributes of the resource of a provider that is made now.

    Raises:
        InvalidSettingError: something named by the settings cannot be used.
    """
    sampling, sampler = sampling_of(settings, environment)
    destinations = _destinations.resolve(settings, environment)
    if settings.spool_only and destinations:
        targets = ", ".join(_guard.masked(destination.endpoint) for destination in destinations)
        _guard.warn("spool_only", f"nothing is sent to {targets}, since spool_only is set")
        destinations = ()
    provider = _provider(settings, environment, previous, private=private, resource=resource)
    owns = isinstance(provider, SpanwiseTracerProvider)
    if owns:
        provider.makes_lean_spans = settings.lean_spans
    masker = Masker(settings.mask, settings.unmask, strict=settings.strict_masking)
    keeper = _keeper(settings, previous)
    processor = _placed(provider)
    folder = _traces_dir(settings, environment, bool(destinations) or settings.spool_only)
    sinks = _sinks(settings, folder, destinations, processor.wiring)
    if owns:  # on another's provider the variable was its maker's to follow
        sinks += _named_exporters(environment, processor.wiring)
    sinks += tuple(_state.sinks.values())
    recordings = _recordings(settings, masker, keeper)
    before = processor.wiring
    processor.rewire(
        Wiring(
            sinks=sinks,
            masker=masker,
            capture_content=settings.capture_content,
            resource=masked_attributes(described_resource(settings), masker),
            filtering=None if owns else sampling,
            recordings=recordings,
            keeper=keeper,
            live=settings.live,
        )
    )
    for sink in before.sinks if before is not None else ():
        if sink not in sinks:
            with _guard.guard("sink.close"):
                sink.close(timeout_s=1.0)
    if previous is not None and previous.processor is not processor:
        previous.processor.shutdown()
    tracer = provider.get_tracer(SCOPE_NAME, _version.__version__)
    return Runtime(
        settings=settings,
        tracer=tracer,
        encoder=Encoder(masker, _limits(provider), keeper=keeper),
        sampling=sampling,
        sampler=sampler,
        processor=processor,
        provider=provider,
        owns_provider=owns,
        open=_opener(tracer, settings, sampler),
        lean=LeanSpan,
    )


def _opener(
    tracer: Any, settings: Settings, sampler: sdk_sampling.Sampler | None
) -> Callable[..., Any] | None:
    """Return what opens the spans of operations, if not the tracer alone."""
    if not settings.lean_spans:
        return None
    if isinstance(tracer, LeanTracer):
        return tracer.open if sampler is None and opens_lean_spans(tracer) else None
    return LeanOpener(tracer).open if LeanOpener.fits(tracer) else None


def _provider(
    settings: Settings,
    environment: Environment,
    previous: Runtime | None,
    *,
    private: bool,
    resource: Mapping[str, Any] | None,
) -> Any:
    if settings.tracer_provider is not None:
        return settings.tracer_provider
    found = trace_api.get_tracer_provider()
    if isinstance(found, ProxyTracerProvider) and not private:
        described = environment.get(CONFIG_FILE)
        if described is not None:
            _declared.set_up(described)
            found = trace_api.get_tracer_provider()
    if hasattr(found, "add_span_processor"):
        return found
    ours = (
        previous.provider
        if previous is not None and previous.owns_provider
        else make_provider(settings, environment, resource)
    )
    if not private:
        if isinstance(found, ProxyTracerProvider):
            trace_api.set_tracer_provider(ours)
        else:
            name = type(found).__qualname__
            _guard.warn(
                "tracer_provider",
                f"the TracerProvider in place ({name}) takes no span processors: "
                "only spans of Spanwise's own decorators are seen",
            )
    return ours


def _placed(provider: Any) -> DelegatingSpanProcessor:
    processor = getattr(provider, PLACED, None)
    if not isinstance(processor, DelegatingSpanProcessor):
        processor = DelegatingSpanProcessor()
        try:
            setattr(provider, PLACED, processor)
        except AttributeError:
            name = type(provider).__qualname__
            raise InvalidSettingError(
                "tracer_provider", f"({name}) takes no attribute, so it cannot be found again"
            ) from None
        provider.add_span_processor(processor)
    return processor


def _sinks(
    settings: Settings,
    folder: Path | None,
    destinations: tuple[_destinations.Destination, ...],
    before: Wiring | None,
) -> tuple[Sink, ...]:
    """Return a sink for each place to write to, the one that is there where there is one."""
    existing = before.sinks if before is not None else ()
    sinks: list[Sink] = []
    if folder is not None:
        folder = folder.absolute()
        wanted = (folder, settings.traces_max_bytes)
        files = next(
            (
                s
                for s in existing
                if isinstance(s, JsonlFiles) and (s.folder, s.max_bytes) == wanted
            ),
            None,
        )
        sinks.append(files or JsonlFiles(*wanted))
    if settings.spool_only:
        made_of = (settings.spool_dir, settings.spool_max_bytes, settings.dialects)
        unsent = (s for s in existing if isinstance(s, UnsentSink) and s.made_of == made_of)
        sinks.append(next(unsent, None) or UnsentSink(*made_of))
    if not destinations:
        return tuple(sinks)
    # Imported here: it imports HTTP and TLS, and not everybody sends something.
    from spanwise.export.otlp import OtlpSink

    for destination in destinations:
        spooled = (destination, settings.spool_dir, settings.spool_max_bytes)
        sent = next(
            (
                s
                for s in existing
                if isinstance(s, OtlpSink)
                and (s.destination, s.spool_dir, s.spool_max_bytes) == spooled
            ),
            None,
        )
        sinks.append(sent or OtlpSink(*spooled))
    return tuple(sinks)


def _named_exporters(environment: Environment, before: Wiring | None) -> tuple[Sink, ...]:
    existing = {s.name: s for s in before.sinks if isinstance(s, ExporterSink)} if before else {}
    return tuple(existing.get(sink.name, sink) for sink in exporters.sinks(environment))


def _traces_dir(settings: Settings, environment: Environment, is_sent: bool) -> Path | None:
    if "traces_dir" in settings.sources:
        return settings.traces_dir
    exporters = _destinations.exporter_names(environment)
    if _destinations.FILES_EXPORTER not in exporters and (is_sent or exporters == ("none",)):
        return None
    fault = _settings.why_not_writable(_settings.DEFAULT_TRACES_DIR)
    if fault:
        _guard.warn("traces_dir", f"no files are written: ./traces cannot be made: {fault}")
        return None
    return _settings.DEFAULT_TRACES_DIR


def _keeper(settings: Settings, previous: Runtime | None) -> MediaFiles | None:
    if settings.media_dir is None:
        return None
    wanted = (settings.media_dir.absolute(), settings.traces_max_bytes)
    keeper = previous.encoder.keeper if previous is not None else None
    if isinstance(keeper, MediaFiles) and (keeper.folder, keeper.max_bytes) == wanted:
        return keeper
    return MediaFiles(*wanted)


def _recordings(
    settings: Settings, masker: Masker, keeper: MediaFiles | None
) -> CallRecordings | None:
    if settings.record is None:
        return None
    recordings = recordings_at(settings.record)
    recordings.use(masker, keeper)
    return recordings


def _limits(provider: Any) -> Limits:
    limits = getattr(provider, "_span_limits", None)
    longest = getattr(limits, "max_span_attribute_length", None)
    return Limits(characters=longest)
