"""Examine OpenTelemetry's variables: what becomes of each that is set."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Final

from spanwise import _guard
from spanwise._environment import CONFIG_FILE
from spanwise.doctor import findings
from spanwise.doctor.findings import Finding
from spanwise.doctor.surroundings import IN_DOTENV, Surroundings
from spanwise.errors import nearest

_PREFIX = "OTEL_"
_GROUP = "opentelemetry_environment_variables"
# (variable, group of entry points that its names are of, further names, what else happens)
_OFFERED: Final = (
    (
        "OTEL_PROPAGATORS",
        "opentelemetry_propagator",
        frozenset({"none"}),
        "opentelemetry.propagate, and what imports it, fails",
    ),
    (
        "OTEL_TRACES_SAMPLER",
        "opentelemetry_traces_sampler",
        frozenset(
            parent + name
            for parent in ("", "parentbased_")
            for name in ("always_on", "always_off", "traceidratio")
        ),
        "it is not followed",
    ),
)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of variables.

    Attributes:
        names: of the variables; one that ends in `*` stands for all that begin so.
        is_used: it has an effect on spans that Spanwise handles.
        text: what it does, or why it does nothing.
        setting: of ours that it stands below, if any.
        in_dotenv: it is looked for in `./.env` as well.
    """

    names: tuple[str, ...]
    is_used: bool
    text: str
    setting: str = ""
    in_dotenv: bool = True


# The first one that has a name says what becomes of it.
FATES: Final = (
    Fate(("OTEL_SERVICE_NAME",), True, "is the service_name", "service_name"),
    Fate(("OTEL_RESOURCE_ATTRIBUTES",), True, "is part of the resource of every span"),
    Fate(("OTEL_SDK_DISABLED",), True, "switches everything off where it is true"),
    Fate(
        (CONFIG_FILE,),
        True,
        "is read instead of OpenTelemetry's other variables, which are not looked at",
    ),
    Fate(
        ("OTEL_EXPORTER_OTLP_METRICS_*", "OTEL_EXPORTER_OTLP_LOGS_*"),
        False,
        "is not about spans; OpenTelemetry's own pipelines read it",
        in_dotenv=False,
    ),
    Fate(
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        True,
        "says where spans are sent",
        "otlp_endpoint",
    ),
    Fate(
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
        True,
        "says what headers are sent with them",
        "otlp_headers",
    ),
    Fate(
        tuple(
            f"OTEL_EXPORTER_OTLP_{signal}{name}"
            for signal in ("TRACES_", "")
            for name in (
                *("PROTOCOL", "TIMEOUT", "COMPRESSION", "INSECURE"),
                *("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"),
            )
        ),
        True,
        "says how spans are sent to otlp_endpoint",
    ),
    Fate(
        ("OTEL_TRACES_EXPORTER",),
        True,
        "otlp is a destination of Spanwise; others are handed what is masked; none sends nothing",
    ),
    Fate(
        ("OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
        True,
        "decides which traces are kept",
        "sample_rate",
    ),
    Fate(
        (
            *("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
            *("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
            *("OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT"),
            *("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"),
        ),
        True,
        "bounds what a span holds",
    ),
    Fate(
        ("OTEL_BSP_MAX_QUEUE_SIZE",),
        False,
        "sizes a queue that is not there: spans wait on the disk, up to spool_max_bytes",
    ),
    Fate(("OTEL_BSP_SCHEDULE_DELAY",), True, "says how long a span may wait for others"),
    Fate(("OTEL_BSP_EXPORT_TIMEOUT",), True, "bounds the time of one request"),
    Fate(("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",), True, "bounds the spans of one request"),
    Fate(
        ("OTEL_PROPAGATORS", "OTEL_PYTHON_CONTEXT"),
        True,
        "is followed by OpenTelemetry itself",
        in_dotenv=False,
    ),
    Fate(
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",),
        True,
        "is the capture_content, for instrumentors as well",
        "capture_content",
    ),
    Fate(("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",), True, "leaves instrumentors out"),
    Fate(
        ("OTEL_PYTHON_DISTRO", "OTEL_PYTHON_CONFIGURATOR"),
        True,
        "chooses who sets up a program under opentelemetry-instrument",
        in_dotenv=False,
    ),
    Fate(
        ("OTEL_PYTHON_TRACER_PROVIDER",),
        True,
        "names the TracerProvider that Spanwise then adds its processor to",
        in_dotenv=False,
    ),
    Fate(("OTEL_PYTHON_ID_GENERATOR",), True, "names what makes the ids"),
    Fate(("OTEL_PYTHON_TRACER_CONFIGURATOR",), True, "names what switches tracers off"),
    Fate(
        ("OTEL_EXPORTER_ZIPKIN_*", "OTEL_EXPORTER_JAEGER_*", "OTEL_EXPORTER_CONSOLE_*"),
        True,
        "is read by the exporter that OTEL_TRACES_EXPORTER names, if it is this one",
        in_dotenv=False,
    ),
    Fate(
        (
            *("OTEL_METRIC*", "OTEL_LOG*", "OTEL_BLRP_*", "OTEL_EXPORTER_PROMETHEUS_*"),
            *("OTEL_PYTHON_LOG*", "OTEL_PYTHON_METER_*"),
        ),
        False,
        "is not about spans; OpenTelemetry's own pipelines read it",
        in_dotenv=False,
    ),
    Fate(
        ("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",),
        True,
        "adds to the resource of every span",
        in_dotenv=False,
    ),
    Fate(
        (
            *("OTEL_PYTHON_*", "OTEL_INSTRUMENTATION_*", "OTEL_SEMCONV_STABILITY_OPT_IN"),
            "OTEL_EXPERIMENTAL_*",
        ),
        True,
        "is read by OpenTelemetry or its instrumentors, not by Spanwise",
        in_dotenv=False,
    ),
)


def examine(found: Surroundings) -> Iterator[Finding]:
    """Yield what becomes of each of OpenTelemetry's variables that is set."""
    yield from _not_offered(found)
    yield from _unreadable_file(found)
    known = _known()
    declared = found.environment.first(CONFIG_FILE)
    for name, origin in sorted(found.environment.origins(_PREFIX).items()):
        fate = fate_of(name)
        facts: dict[str, object] = {"variable": name, "source": origin}
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.9)
        if name not in known and close:
            yield findings.warning(
                f"{origin} is not known to OpenTelemetry; did you mean {close[0]!r}?",
                mend=f"rename or unset {name}",
                facts=facts,
            )
            continue
        if fate is None:
            yield findings.note(f"{origin} is not read by Spanwise", facts=facts)
            continue
        facts["used"] = fate.is_used
        above = found.settings.sources.get(fate.setting)
        if origin.endswith(IN_DOTENV) and not fate.in_dotenv:
            yield findings.warning(
                f"{origin} is not looked for there",
                mend=f"set {name} in the environment",
                facts={**facts, "used": False},
            )
        elif declared is not None and found.environment.first(name) is None:
            yield findings.note(
                f"{origin} is not looked at: {declared[1]} names a file that says all of that",
                facts={**facts, "used": False},
            )
        elif above is not None and above.startswith("SPANWISE_"):
            yield findings.note(
                f"{origin} is not used: {above} stands above it", facts={**facts, "used": False}
            )
        elif fate.is_used:
            yield findings.fact(f"{origin} {fate.text}", facts=facts)
        else:
            yield findings.note(f"{origin} is ignored: it {fate.text}", facts=facts)


def _not_offered(found: Surroundings) -> Iterator[Finding]:
    for variable, group, further, otherwise in _OFFERED:
        offered = {point.name for point in entry_points(group=group)} | further
        for name in found.variables.get(variable, "").split(","):
            if name.strip() and name.strip().lower() not in offered:
                known = nearest(name.strip(), offered)
                yield findings.problem(
                    f"{variable} names {name.strip()!r}, which no installed package offers: "
                    f"{otherwise}{known}",
                    mend=f"correct or unset {variable}",
                    facts={"variable": variable},
                )


def _unreadable_file(found: Surroundings) -> Iterator[Finding]:
    named = found.environment.first(CONFIG_FILE)
    if named is None:
        return
    path, origin = named
    try:
        from opentelemetry.configuration import (  # type: ignore[import-not-found,unused-ignore]
            load_config_file,
        )
    except ImportError:
        yield findings.problem(
            f"{origin} names a file, and the package that reads such files is not installed",
            command="pip install opentelemetry-configuration",
            facts={"variable": CONFIG_FILE},
        )
        return
    try:
        load_config_file(path)
    except Exception as error:  # noqa: BLE001 - of whatever kind, the program would fail of it
        yield findings.problem(
            f"the file that {origin} names cannot be used: {_guard.describe(error)}",
            mend=f"correct the file, or unset {CONFIG_FILE}",
            facts={"variable": CONFIG_FILE},
        )


def fate_of(name: str) -> Fate | None:
    """Return what becomes of a variable, or None where nobody is known to read it."""
    for fate in FATES:
        for each in fate.names:
            if name == each or (each.endswith("*") and name.startswith(each[:-1])):
                return fate
    return None


def _known() -> set[str]:
    """Return the variables that the installed OpenTelemetry packages say they read."""
    known = {name for fate in FATES for name in fate.names if not name.endswith("*")}
    for point in entry_points(group=_GROUP):
        with _guard.guard("doctor.variables"):
            module = importlib.import_module(point.value.partition(":")[0])
            known |= {name for name in vars(module) if name.startswith(_PREFIX)}
    return known
