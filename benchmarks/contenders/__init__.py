"""Who is compared: each is a package in an environment of its own, set up in one way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

# What each environment has. A release is named where the comparison is with that release.
ENVIRONMENTS: Mapping[str, Sequence[str]] = {
    "stock": ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
    "spanwise": ("-e", ".", "opentelemetry-exporter-otlp-proto-http"),
    # Nothing but what `pip install` brings: for its size.
    "alone": (".",),
    # Both pipelines with a real instrumentor.
    "instrumentor": (
        "-e",
        ".",
        "opentelemetry-exporter-otlp-proto-http",
        "openai==3.57.0",
        "opentelemetry-instrumentation-genai-openai",
    ),
    "fluxloop": ("fluxloop==0.1.8",),
    # Its instrumentors import httpx, and do not require it: the list has it.
    "brixo": ("-r", "tests/compat/brixo_requirements.txt"),
    # Left to itself, pip finds no releases of its instrumentors that go together.
    "traceloop": ("traceloop-sdk==0.62.4", "httpx", "-c", "tests/compat/brixo_requirements.txt"),
    "langfuse": ("langfuse==5.0.4",),
    "logfire": ("logfire==5.4.0",),
    "openinference": (
        "openinference-instrumentation==0.1.72",
        "opentelemetry-exporter-otlp-proto-http",
    ),
    "opik": ("opik==2.2.122",),
    "mlflow": ("mlflow-tracing==3.17.2", "opentelemetry-exporter-otlp-proto-http"),
}
# What a package is called where it is installed from.
PACKAGES: Mapping[str, str] = {
    "stock": "opentelemetry-sdk",
    "spanwise": "spanwise",
    "fluxloop": "fluxloop",
    "brixo": "brixo",
    "traceloop": "traceloop-sdk",
    "langfuse": "langfuse",
    "logfire": "logfire",
    "openinference": "openinference-instrumentation",
    "opik": "opik",
    "mlflow": "mlflow-tracing",
}


@dataclasses.dataclass(frozen=True)
class Contender:
    """One row of a table.

    Attributes:
        name: in the results.
        module: of this package, which sets it up.
        variant: how it is set up; the module knows what that means.
        how: the same for readers, as a sentence.
        environment: a key of ENVIRONMENTS; the module's name by default.
        is_quick: takes part where there is little time.
    """

    name: str
    module: str
    variant: str
    how: str = ""
    environment: str = ""
    is_quick: bool = False

    @property
    def home(self) -> str:
        """The environment that it runs in."""
        named = {"ours": "spanwise"}
        return self.environment or named.get(self.module, self.module)


HAND = Contender(
    "hand",
    "stock",
    "hand",
    "a decorator written by hand: `start_as_current_span`, four attributes, two `json.dumps`; "
    "`TracerProvider` and `BatchSpanProcessor` with an exporter that does nothing",
    is_quick=True,
)
SDK_SPAN = Contender(
    "sdk-span",
    "stock",
    "span",
    "`start_span` and `end` around the call, and nothing else; the same provider",
    is_quick=True,
)
YARDSTICKS = (HAND, SDK_SPAN)

OURS = (
    Contender("Spanwise, no sink", "ours", "no sink", "`traces_dir=None`", is_quick=True),
    Contender("Spanwise, files", "ours", "files", "`traces_dir=...`", is_quick=True),
    Contender(
        "Spanwise, spool",
        "ours",
        "spool",
        "`otlp_endpoint=` an address where nobody listens",
        is_quick=True,
    ),
    Contender(
        "Spanwise, files and spool", "ours", "files and spool", "both of these", is_quick=True
    ),
    Contender(
        "Spanwise on a foreign provider",
        "ours",
        "foreign provider",
        "`tracer_provider=TracerProvider()`, `traces_dir=None`",
        is_quick=True,
    ),
    Contender(
        "Spanwise, SDK spans",
        "ours",
        "SDK spans",
        "`lean_spans=False`, `traces_dir=None`",
    ),
)

_NOWHERE = "the stock batch processor with an exporter that does nothing"
PEERS = (
    Contender(
        "fluxloop",
        "fluxloop",
        "on",
        "`use_collector=False` and no store of its own; `@agent` in an `instrument` block at the "
        "root, `@trace` below; it does not follow generators",
    ),
    Contender(
        "fluxloop, files",
        "fluxloop",
        "files",
        "the same with its offline store",
    ),
    Contender(
        "brixo",
        "brixo",
        "on",
        "`Brixo.init`, its own exporter to an address where nobody listens; `@Brixo.interaction`",
    ),
    Contender(
        "traceloop-sdk",
        "traceloop",
        "on",
        f"`Traceloop.init` with {_NOWHERE}; `@workflow`, `@task`",
    ),
    Contender(
        "langfuse", "langfuse", "on", "a client with an exporter that does nothing; `@observe`"
    ),
    Contender(
        "logfire",
        "logfire",
        "on",
        f"`send_to_logfire=False`, {_NOWHERE}; `@instrument(record_return=True)`, which follows no "
        "generators",
    ),
    Contender(
        "openinference",
        "openinference",
        "on",
        f"its `TracerProvider` with {_NOWHERE}; `@tracer.chain`, `@tracer.tool`, which follow no "
        "generators",
    ),
    Contender("opik", "opik", "on", "a server's address where nobody listens; `@track`"),
    Contender(
        "mlflow-tracing",
        "mlflow",
        "on",
        "OTLP to an address where nobody listens; `@mlflow.trace`",
    ),
)

OFF = (
    Contender("Spanwise", "ours", "off", "`enabled=False`", is_quick=True),
    Contender("fluxloop", "fluxloop", "off", "`enabled=False`"),
    Contender("brixo", "brixo", "off", "`OTEL_SDK_DISABLED=true`; it has no switch"),
    Contender("traceloop-sdk", "traceloop", "off", "`TRACELOOP_TRACING_ENABLED=false`"),
    Contender("langfuse", "langfuse", "off", "`tracing_enabled=False`"),
    Contender("opik", "opik", "off", "`OPIK_TRACK_DISABLE=true`"),
    Contender("mlflow-tracing", "mlflow", "off", "`mlflow.tracing.disable()`"),
)
UNCONFIGURED = (
    Contender("Spanwise", "ours", "unconfigured", is_quick=True),
    Contender("hand-written", "stock", "unconfigured"),
    Contender("langfuse", "langfuse", "unconfigured"),
    Contender("logfire", "logfire", "unconfigured"),
    Contender("openinference", "openinference", "unconfigured"),
)
SAMPLED_OUT = (
    Contender("Spanwise", "ours", "sampled out", "`sample_rate=0`", is_quick=True),
    Contender("hand-written", "stock", "sampled out", "`ALWAYS_OFF`"),
    Contender("fluxloop", "fluxloop", "sampled out", "`sample_rate=0`"),
    Contender("traceloop-sdk", "traceloop", "sampled out", "`sampler=ALWAYS_OFF`"),
    Contender("langfuse", "langfuse", "sampled out", "`sample_rate=0`"),
    Contender("logfire", "logfire", "sampled out", "`SamplingOptions(head=0)`"),
    Contender("openinference", "openinference", "sampled out", "`ALWAYS_OFF`"),
    Contender("mlflow-tracing", "mlflow", "sampled out", "`MLFLOW_TRACE_SAMPLING_RATIO=0`"),
)
