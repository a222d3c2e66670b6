"""Who decides whether a trace is kept, where the SDK asks a sampler: the settings, or a variable."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
from opentelemetry.sdk.trace import sampling as sdk_sampling
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from spanwise import _guard, _state
from spanwise._environment import Environment
from spanwise._sampling import Sampling, forced_decision
from spanwise._settings import Settings
from spanwise.errors import InvalidSettingError


class LiveSampler(sdk_sampling.Sampler):
    """Follow the parent's decision; at a root, the settings in force at that moment.

    Where `OTEL_TRACES_SAMPLER` names a sampler of its own, that one decides.
    """

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes | None = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> sdk_sampling.SamplingResult:
        try:
            return self._decided(parent_context, trace_id, name, kind, attributes, links)
        except Exception as error:  # noqa: BLE001 - whoever starts the span must not see it
            _guard.swallow("sampler", error)
            return sdk_sampling.SamplingResult(
                sdk_sampling.Decision.RECORD_AND_SAMPLE, attributes, trace_state
            )

    def _decided(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None,
        attributes: Attributes | None,
        links: Sequence[Link] | None,
    ) -> sdk_sampling.SamplingResult:
        # The SDK passes None for the current context.
        context = parent_context if parent_context is not None else context_api.get_current()
        parent = trace_api.get_current_span(context).get_span_context()
        runtime = _state.runtime
        forced = None if parent.is_valid else forced_decision(context)
        if forced is not None:
            keep = forced
        elif runtime is not None and runtime.sampler is not None:
            decided: sdk_sampling.SamplingResult = runtime.sampler.should_sample(
                parent_context, trace_id, name, kind, attributes, links
            )
            return decided
        elif parent.is_valid:
            keep = parent.trace_flags.sampled
        else:
            keep = runtime is None or runtime.sampling.keeps(trace_id, context)
        decision = sdk_sampling.Decision.RECORD_AND_SAMPLE if keep else sdk_sampling.Decision.DROP
        return sdk_sampling.SamplingResult(
            decision, attributes if keep else None, parent.trace_state if parent.is_valid else None
        )

    def get_description(self) -> str:
        return "Spanwise"


def sampling_of(
    settings: Settings, environment: Environment
) -> tuple[Sampling, sdk_sampling.Sampler | None]:
    """Return the decision at roots, and the sampler that replaces it where a variable names one.

    Raises:
        InvalidSettingError: `OTEL_TRACES_SAMPLER_ARG` is no rate.
    """
    if settings.sample_rate is not None:
        return Sampling(settings.sample_rate), None
    name = environment.get(OTEL_TRACES_SAMPLER)
    if name is None:
        return Sampling(1.0), None
    name = name.strip().lower()
    if name == "parentbased_always_on":
        return Sampling(1.0), None
    if name == "always_on":
        return Sampling(1.0), sdk_sampling.ALWAYS_ON
    if name == "parentbased_always_off":
        return Sampling(0.0), None
    if name == "always_off":
        return Sampling(1.0), sdk_sampling.ALWAYS_OFF
    if name in ("parentbased_traceidratio", "traceidratio"):
        rate = _rate(environment)
        if name == "traceidratio":
            return Sampling(1.0), sdk_sampling.TraceIdRatioBased(rate)
        return Sampling(rate), None
    # A sampler from an entry point: the SDK knows how to find it, in the real environment.
    return Sampling(1.0), sdk_sampling._get_from_env_or_default()


def _rate(environment: Environment) -> float:
    text = environment.get(OTEL_TRACES_SAMPLER_ARG) or "1.0"
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise InvalidSettingError(
            "sample_rate",
            f"must be a number between 0 and 1, not {text!r}",
            source=OTEL_TRACES_SAMPLER_ARG,
        )
    return rate
