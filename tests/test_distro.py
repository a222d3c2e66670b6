"""A program that knows nothing of Spanwise, under `opentelemetry-instrument`."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from spanwise import _settings, environment_variables
from support.certificates import make_certificates
from support.faulty_collector import Behaviour, FaultyCollector, FaultyGrpcCollector
from support.files import Files
from support.receiver import Receiver

pytestmark = pytest.mark.programs
INSTRUMENT = str(Path(sys.executable).parent / "opentelemetry-instrument")
SPANWISE = [sys.executable, "-m", "spanwise", "run"]
# Two spans of OpenTelemetry's own making, and a line that says what the program saw.
PROGRAM = """
import json, os, sys
from opentelemetry import metrics, propagate, trace
from opentelemetry._logs import get_logger_provider

tracer = trace.get_tracer("theirs")
carrier = {}
with tracer.start_as_current_span("outer") as outer:
    propagate.inject(carrier)
    with tracer.start_as_current_span("inner", attributes={"api_key": "sk-1234567890abcdef1234567890"}):
        pass
print(json.dumps({
    "tracer_provider": type(trace.get_tracer_provider()).__module__,
    "meter_provider": type(metrics.get_meter_provider()).__name__,
    "logger_provider": type(get_logger_provider()).__name__,
    "recording": outer.is_recording() or outer.get_span_context().trace_flags.sampled,
    "carrier": sorted(carrier),
    "trace_id": format(outer.get_span_context().trace_id, "032x"),
    "otel": {k: v for k, v in os.environ.items() if k.startswith("OTEL_")},
    "arguments": sys.argv[1:],
}))
"""

Run = Callable[..., Any]


class Done:
    """What a program did.

    Attributes:
        saw: what it printed of itself.
        stderr: its log.
        files: what it left in ./traces.
    """

    def __init__(self, process: subprocess.CompletedProcess[str], folder: Path) -> None:
        self.code = process.returncode
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.files = Files(folder / "traces")
        self.has_files = (folder / "traces").exists()

    @property
    def saw(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout.splitlines()[-1])
        return found

    def names(self) -> list[str]:
        return sorted(line["name"] for line in self.files.observations())


@pytest.fixture
def run(tmp_path) -> Run:
    """Run a program under `opentelemetry-instrument`, in an empty folder."""

    def do(
        program: str = PROGRAM,
        variables: Mapping[str, str] | None = None,
        *,
        command: list[str] | None = None,
        path: Path | None = None,
    ) -> Done:
        (tmp_path / "app.py").write_text(textwrap.dedent(program))
        environment = {**os.environ, **(variables or {})}
        if path is not None:
            environment["PYTHONPATH"] = str(path)
        process = subprocess.run(
            command or [INSTRUMENT, sys.executable, "app.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in process.stderr, process.stderr
        return Done(process, tmp_path)

    return do


def test_a_program_with_no_line_of_spanwise_leaves_files(run):
    """Masked like everything, with the provider that Spanwise makes, and its environment as it was."""
    done = run()
    assert ["inner", "outer"] == done.names()
    assert "***" == done.files.observation("inner")["attributes"]["api_key"]
    assert "spanwise._provider" == done.saw["tracer_provider"]
    assert {} == done.saw["otel"]
    assert "" == done.stderr


def test_with_an_endpoint_the_collector_is_fed_and_no_files_are_written(run, receiver):
    """The base address is enough: HTTP is spoken unless another protocol is named."""
    done = run(variables={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    assert ["inner", "outer"] == sorted(span.name for span in receiver.spans())
    assert not done.has_files
    (resource,) = receiver.resources()
    assert "spanwise" == resource["telemetry.distro.name"]
    assert resource["telemetry.auto.version"]


def test_metrics_and_logs_are_set_up_as_opentelemetry_does_it(run):
    """Their exporters are those that the variables name."""
    program = f"""{PROGRAM}
metrics.get_meter("theirs").create_counter("asked").add(3)
from opentelemetry._logs import get_logger, SeverityNumber
get_logger("theirs").emit(body="a line of theirs", severity_number=SeverityNumber.INFO)
"""
    done = run(program, {"OTEL_METRICS_EXPORTER": "console", "OTEL_LOGS_EXPORTER": "console"})
    seen = json.loads(next(line for line in done.stdout.splitlines() if '"carrier"' in line))
    assert ("MeterProvider", "LoggerProvider") == (seen["meter_provider"], seen["logger_provider"])
    assert "asked" in done.stdout
    assert "a line of theirs" in done.stdout
    assert ["inner", "outer"] == done.names()


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_opentelemetrys_own_switch_beats_all(run, receiver, tmp_path, place):
    """Nothing is written, nothing is sent, and no span is made."""
    variables = {"OTEL_SDK_DISABLED": "true", "SPANWISE_ENABLED": "true"}
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
    if place == ".env":
        del variables["OTEL_SDK_DISABLED"]
        (tmp_path / ".env").write_text("OTEL_SDK_DISABLED=true\n")
    done = run(variables=variables)
    assert not done.saw["recording"]
    assert not done.has_files
    assert [] == receiver.requests


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_SERVICE_NAME": "shop"}, {"service.name": "shop"}),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop,service.version=2,team=a%20b"},
            {"service.name": "shop", "service.version": "2", "team": "a b"},
        ),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=shop", "OTEL_SERVICE_NAME": "till"},
            {"service.name": "till"},
        ),
        (
            {"OTEL_SERVICE_NAME": "shop", "SPANWISE_SERVICE_NAME": "till"},
            {"service.name": "till"},
        ),
    ],
)
def test_the_resource_is_what_the_variables_say(run, receiver, variables, expected):
    """Its own variable beats the list, and Spanwise's beats both."""
    run(variables={**variables, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    (resource,) = receiver.resources()
    assert expected == {name: resource[name] for name in expected}


@pytest.mark.parametrize(
    ("exporters", "is_sent", "has_files"),
    [
        ("otlp", True, False),
        ("none", False, False),
        ("spanwise_jsonl", False, True),
        ("otlp, spanwise_jsonl", True, True),
        ("otlp_proto_http", True, False),
    ],
)
def test_the_exporters_of_spans_are_those_that_are_listed(
    run, receiver, exporters, is_sent, has_files
):
    """OTLP by Spanwise's own way, and once; `spanwise_jsonl` is the files."""
    variables = {"OTEL_TRACES_EXPORTER": exporters, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    done = run(variables=variables)
    assert (["inner", "outer"] if is_sent else []) == sorted(s.name for s in receiver.spans())
    assert has_files == done.has_files
    assert "" == done.stderr


def test_a_third_exporter_gets_masked_spans(run):
    """The console's, among others."""
    done = run(variables={"OTEL_TRACES_EXPORTER": "console,spanwise_jsonl"})
    assert '"name": "inner"' in done.stdout
    assert "sk-1234567890abcdef" not in done.stdout
    assert ["inner", "outer"] == done.names()


def test_an_exporter_that_nobody_offers_is_told_by_its_name(tmp_path):
    """In one line; the program runs all the same."""
    (tmp_path / "app.py").write_text("print('ran')")
    done = subprocess.run(
        [INSTRUMENT, sys.executable, "app.py"],
        cwd=tmp_path,
        env={**os.environ, "OTEL_TRACES_EXPORTER": "zipkni"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (0, "ran\n") == (done.returncode, done.stdout)
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "nothing is traced: the exporter (from OTEL_TRACES_EXPORTER) 'zipkni' is"
    )
    assert line.endswith("(`spanwise doctor` tells more)")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ["traceparent"]),
        ({"OTEL_PROPAGATORS": "baggage"}, []),
        ({"OTEL_PROPAGATORS": "tracecontext"}, ["traceparent"]),
    ],
)
def test_contexts_are_carried_as_the_propagators_say(run, variables, expected):
    """Spanwise puts no propagator in the place of those that were chosen."""
    assert expected == run(variables=variables).saw["carrier"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_EXPORTER_OTLP_HEADERS": "x-team=a"}, ("/v1/traces", "a", None)),
        (
            {
                "OTEL_EXPORTER_OTLP_HEADERS": "x-team=a",
                "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-team=b",
                "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            },
            ("/v1/traces", "b", "gzip"),
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "{url}/mine"},
            ("/mine", None, None),
        ),
    ],
)
def test_the_exporters_variables_are_followed(run, receiver, variables, expected):
    """Those of spans above those of all signals."""
    given = {name: value.format(url=receiver.url) for name, value in variables.items()}
    run(variables={"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, **given})
    path, headers, _ = receiver.requests[0]
    assert expected == (path, headers.get("x-team"), headers.get("content-encoding"))


@pytest.mark.parametrize(
    ("variables", "is_kept"),
    [
        ({"OTEL_TRACES_SAMPLER": "always_off"}, False),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0"}, False),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "1"}, True),
        ({"OTEL_TRACES_SAMPLER": "ALWAYS_OFF", "SPANWISE_SAMPLE_RATE": "1"}, True),
    ],
)
def test_the_sampler_is_the_one_that_is_named(run, variables, is_kept):
    """A third party's spans are sampled by it as well."""
    done = run(variables=variables)
    assert is_kept == done.saw["recording"] == bool(done.names() if done.has_files else [])
    assert "" == done.stderr


BURST = """
from opentelemetry import trace
tracer = trace.get_tracer("theirs")
for number in range(90):
    tracer.start_span(str(number)).end()
"""


def test_batches_are_as_large_as_the_batch_processors_variable_says(run, receiver):
    """Each request has at most so many spans."""
    variables = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "40", "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    done = run(BURST, {**variables, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    sizes = [
        sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
        for _, _, request in receiver.requests
    ]
    assert [40, 40, 10] == sizes
    assert "" == done.stderr


def test_a_queue_that_is_not_there_is_said_to_have_no_size(run, receiver):
    """Nothing is dropped by its number: one line says what bounds it instead."""
    variables = {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    done = run(BURST, variables)
    assert 90 == len(receiver.spans())
    (line,) = done.stderr.splitlines()
    assert "OTEL_BSP_MAX_QUEUE_SIZE has no effect" in line
    assert "SPANWISE_SPOOL_MAX_BYTES" in line


LIMITED = """
from opentelemetry import trace
from opentelemetry.trace import Link, SpanContext
tracer = trace.get_tracer("theirs")
link = Link(SpanContext(1, 1, False), {"a": 1, "b": 2, "c": 3})
span = tracer.start_span("limited", attributes={"a": "12345678", "b": 2, "c": 3}, links=[link] * 3)
for _ in range(3):
    span.add_event("event", {"a": 1, "b": 2, "c": 3})
span.end()
"""


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_the_limits_of_spans_are_those_of_the_variables(run, receiver, tmp_path, place):
    """Of attributes, of their length, of events and links and of what these have."""
    limits = {
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "2",
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "4",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "2",
        "OTEL_SPAN_LINK_COUNT_LIMIT": "1",
        "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": "1",
        "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": "2",
    }
    if place == ".env":
        (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in limits.items()))
    variables = {**(limits if place == "environment" else {})}
    run(LIMITED, {**variables, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    (span,) = receiver.spans()
    assert (2, 1) == (len(span.attributes), span.dropped_attributes_count)
    assert all(len(a.value.string_value) <= 4 for a in span.attributes)
    assert (2, 1) == (len(span.events), span.dropped_events_count)
    assert (1, 2) == (len(span.links), span.dropped_links_count)
    assert {1} == {len(event.attributes) for event in span.events}
    assert {2} == {len(link.attributes) for link in span.links}


@pytest.mark.parametrize(
    ("variables", "kept", "longest"),
    [
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "3"}, 1, 3),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": "1", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "5"}, 3, 8),
    ],
)
def test_the_limit_of_spans_beats_that_of_everything(run, receiver, variables, kept, longest):
    """Where nothing is said of spans, what is said of everything holds for them."""
    program = """
        from opentelemetry import trace
        given = {"b": 2, "c": 3, "a": "12345678"}
        trace.get_tracer("theirs").start_span("limited", attributes=given).end()
    """
    run(program, {**variables, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url})
    (span,) = receiver.spans()
    assert kept == len(span.attributes)
    assert longest == max(len(a.value.string_value) for a in span.attributes)


def test_grpc_is_spoken_where_the_protocol_says_so(run):
    """To an address without a scheme, where it is said to be insecure."""
    with FaultyGrpcCollector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"127.0.0.1:{collector.port}",
            "OTEL_EXPORTER_OTLP_INSECURE": "true",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "30",
        }
        run(variables=variables)
        assert 2 == len(collector.accepted)


@pytest.mark.parametrize("shows", [True, False])
def test_certificates_are_those_of_the_variables(run, tmp_path, shows):
    """Whom to trust, and who the client is; without them nothing is taken, and nothing lost."""
    folder = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "ca.pem")
    receiver = Receiver(context)
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(folder / "ca.pem"),
        "SPANWISE_SPOOL_DIR": str(tmp_path / "spool"),
    }
    if shows:
        variables["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"] = str(folder / "client.pem")
        variables["OTEL_EXPORTER_OTLP_CLIENT_KEY"] = str(folder / "client.key")
    run(variables=variables)
    receiver.close()
    assert (["inner", "outer"] if shows else []) == sorted(s.name for s in receiver.spans())
    assert shows != bool(list((tmp_path / "spool").glob("*/*.000001.jsonl")))


@pytest.mark.parametrize(
    "timeout",
    [
        {"OTEL_BSP_EXPORT_TIMEOUT": "150"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.15", "OTEL_BSP_EXPORT_TIMEOUT": "60000"},
        {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "0.15", "OTEL_EXPORTER_OTLP_TIMEOUT": "60"},
    ],
    ids=["batches", "requests", "requests of spans"],
)
def test_a_request_ends_after_the_shorter_timeout(run, timeout):
    """The batch processor's, in milliseconds, or OTLP's, in seconds; what was sent waits."""
    with FaultyCollector() as collector:
        collector.behaviour = Behaviour(fault="hang")
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "0",
            **timeout,
        }
        program = f"import spanwise\n{PROGRAM}\nassert not spanwise.flush(8)"
        done = run(program, variables)
        assert len(collector.requests) > 1
        assert "is away" in done.stderr


CONFIGURATION = """
file_format: "1.0"
resource:
  attributes:
    - name: service.name
      value: described
tracer_provider:
  processors:
    - simple:
        exporter:
          console: {}
"""


def test_a_configuration_file_is_what_counts(run, receiver, tmp_path):
    """Its provider is used, with ours added; OpenTelemetry's other variables are not looked at."""
    pytest.importorskip("opentelemetry.configuration", reason="it needs the newest OpenTelemetry")
    (tmp_path / "otel.yaml").write_text(CONFIGURATION)
    done = run(
        variables={
            "OTEL_CONFIG_FILE": "otel.yaml",
            "OTEL_SERVICE_NAME": "overruled",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        }
    )
    assert "opentelemetry.sdk.trace" == done.saw["tracer_provider"]
    assert '"service.name": "described"' in done.stdout
    assert ["inner", "outer"] == done.names()
    assert [] == receiver.requests
    program = "import spanwise\nspanwise.configure()\n" + PROGRAM
    by_code = run(program, {"OTEL_CONFIG_FILE": "otel.yaml"}, command=[sys.executable, "app.py"])
    assert "opentelemetry.sdk.trace" == by_code.saw["tracer_provider"]
    assert '"service.name": "described"' in by_code.stdout


def test_a_configuration_file_that_is_not_there_is_told_by_its_variable(tmp_path):
    """As an error of the configuration that names what was wrong."""
    program = "import spanwise\ntry:\n  spanwise.configure()\nexcept ValueError as e:\n  print(e)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "OTEL_CONFIG_FILE": "missing.yaml"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith("the configuration file (from OTEL_CONFIG_FILE) ")


INSTRUMENTED = """
import httpx_like
print(*sorted(httpx_like.STATE), sep=", ")
"""


@pytest.fixture
def packages(tmp_path) -> Path:
    """A library with an instrumentor, and another vendor's distro, configurator and id generator."""
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "httpx_like.py").write_text("STATE = []\n")
    (folder / "vendor.py").write_text(
        textwrap.dedent(
            """
            from opentelemetry.instrumentation.distro import BaseDistro
            from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
            from opentelemetry.sdk._configuration import _OTelSDKConfigurator
            from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
            import httpx_like

            class Instrumentor(BaseInstrumentor):
                def instrumentation_dependencies(self): return ()
                def _instrument(self, **kwargs): httpx_like.STATE.append("on")
                def _uninstrument(self, **kwargs): httpx_like.STATE.append("off")

            class Second(Instrumentor):
                def _instrument(self, **kwargs): httpx_like.STATE.append("on twice")

            class Distro(BaseDistro):
                def _configure(self, **kwargs): httpx_like.STATE.append("vendor's distro")

            class Configurator(_OTelSDKConfigurator): pass

            def quiet(scope):
                from opentelemetry.sdk.trace import _TracerConfig
                return _TracerConfig(is_enabled=scope.name != "theirs")

            class Ids(RandomIdGenerator):
                def generate_trace_id(self):
                    return 0xABCD << 112 | super().generate_trace_id() >> 16
            """
        )
    )
    # Found before Spanwise's: the path is looked through in its order.
    metadata = folder / "aaa_vendor-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: aaa-vendor\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_distro]\nvendor = vendor:Distro\n"
        "[opentelemetry_configurator]\nvendor = vendor:Configurator\n"
        "[opentelemetry_instrumentor]\nhttpx_like = vendor:Instrumentor\n"
        "[opentelemetry_id_generator]\nvendor = vendor:Ids\n"
        "[_opentelemetry_tracer_configurator]\nquiet = vendor:quiet\n"
    )
    # Another instrumentor of the same library, which comes later in the order of preference.
    metadata = folder / "zzz_second-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: zzz-second\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[opentelemetry_instrumentor]\nhttpx_like = vendor:Second\n"
    )
    return folder


OURS = {"OTEL_PYTHON_DISTRO": "spanwise", "OTEL_PYTHON_CONFIGURATOR": "spanwise"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (OURS, "on"),
        ({**OURS, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, httpx_like"}, ""),
        ({**OURS, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "*"}, ""),
        ({**OURS, "SPANWISE_INSTRUMENT": "false"}, ""),
        ({}, "on, on twice, vendor's distro"),
        ({"OTEL_PYTHON_CONFIGURATOR": "spanwise"}, "on, on twice, vendor's distro"),
        ({"OTEL_PYTHON_DISTRO": "spanwise"}, "on"),
        ({"OTEL_PYTHON_DISTRO": "spanwise", "SPANWISE_INSTRUMENT": "false"}, ""),
        (
            {"OTEL_PYTHON_DISTRO": "spanwise", "SPANWISE_INSTRUMENTOR_PREFERENCE": "zzz"},
            "on twice",
        ),
    ],
)
def test_one_instrumentor_is_loaded_for_a_library_where_our_distro_is_in_force(
    run, packages, variables, expected
):
    """Unless it was disabled, and whoever's configurator it is; another distro loads as it does."""
    done = run(INSTRUMENTED, variables, path=packages)
    assert expected == done.stdout.strip()


def test_code_that_configures_later_keeps_what_the_distro_loaded(run, packages):
    """And changes what it names, on the provider that is there."""
    program = """
        import httpx_like, spanwise
        from opentelemetry import trace
        before = trace.get_tracer_provider()
        spanwise.configure(service_name="named later")
        print(httpx_like.STATE, trace.get_tracer_provider() is before)
    """
    assert "['on'] True" == run(program, OURS, path=packages).stdout.strip()


def test_ids_come_from_the_generator_that_is_named(run, packages):
    """Of decorated calls as well as of a third party's spans, sampled or not."""
    program = """
        import spanwise
        from opentelemetry import trace
        @spanwise.span
        def ours():
            return trace.get_current_span().get_span_context().trace_id
        theirs = trace.get_tracer("theirs").start_span("x").get_span_context().trace_id
        print({hex(trace_id)[:6] for trace_id in [theirs, *(ours() for _ in range(20))] if trace_id})
    """
    variables = {**OURS, "OTEL_PYTHON_ID_GENERATOR": "vendor", "SPANWISE_SAMPLE_RATE": "0.5"}
    assert "{'0xabcd'}" == run(program, variables, path=packages).stdout.strip()


def test_a_tracer_is_off_where_the_configurator_that_is_named_says_so(run, packages):
    """All others are on, ours among them."""
    program = """
        import spanwise
        from opentelemetry import trace
        @spanwise.span
        def ours(): return trace.get_tracer("theirs").start_span("x").is_recording()
        with trace.get_tracer("others").start_as_current_span("around"):
            print(ours())
    """
    done = run(program, {**OURS, "OTEL_PYTHON_TRACER_CONFIGURATOR": "quiet"}, path=packages)
    assert "False" == done.stdout.strip()
    assert ["around", "ours"] == sorted(done.names())


def test_content_is_left_out_where_opentelemetrys_variable_says_so(run):
    """Of decorated functions, too."""
    program = """
        import spanwise
        @spanwise.tool
        def look(what): return "found " + what
        look("needle")
    """
    name = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
    assert "needle" in run(program).files.text()
    for path in run(program).files.folder.iterdir():
        path.unlink()
    done = run(program, {name: "NO_CONTENT"})
    assert ["look"] == done.names()
    assert "needle" not in done.files.text()


def test_the_files_exporter_serves_another_pipeline(run, packages):
    """Another vendor's configurator, the stock batch processor, and our masked files."""
    variables = {"OTEL_TRACES_EXPORTER": "spanwise_jsonl", "SPANWISE_TRACES_DIR": "traces"}
    done = run(variables=variables, path=packages)
    assert "opentelemetry.sdk.trace" == done.saw["tracer_provider"]
    assert ["inner", "outer"] == done.names()
    assert "***" == done.files.observation("inner")["attributes"]["api_key"]
    assert done.files.observation("outer")["id"] == done.files.observation("inner")["parent_id"]


@pytest.mark.parametrize(
    "command",
    [
        [*SPANWISE, "app.py", "-x", "--trace", "y"],
        [*SPANWISE, "-m", "app", "-x", "--trace", "y"],
        [*SPANWISE, "-c", PROGRAM, "-x", "--trace", "y"],
        [*SPANWISE, sys.executable, "app.py", "-x", "--trace", "y"],
    ],
)
def test_run_is_the_short_way_to_say_it(run, packages, command):
    """A file, a module, a text or a command, with its arguments, whatever other distro there is."""
    done = run(command=command, path=packages)
    assert ["-x", "--trace", "y"] == done.saw["arguments"]
    assert "spanwise._provider" == done.saw["tracer_provider"]
    assert ["inner", "outer"] == done.names()


@pytest.mark.parametrize(
    ("program", "code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 15)", -15)]
)
def test_run_ends_as_the_program_does(run, program, code):
    """With its exit code, or by its signal."""
    assert signal.SIGTERM == 15
    assert code == run(program, command=[*SPANWISE, "app.py"]).code


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.py"], "there is no file missing.py"),
        (["no-such-command"], "no-such-command is neither a Python file nor a command"),
        (["-m"], "-m needs an argument"),
        (["--trace", "x.py"], "no such option: --trace"),
        ([], "Missing argument"),
    ],
)
def test_run_says_what_it_cannot_run(run, arguments, told):
    """In one line, with exit code 2."""
    done = run(command=[*SPANWISE, *arguments])
    assert 2 == done.code
    assert told in done.stderr


def test_the_variables_are_there_for_whoever_looks_for_them():
    """One for each setting; what is none is no attribute."""
    assert set(_settings.VARIABLES) <= set(dir(environment_variables))
    assert "SPANWISE_TRACES_DIR" == environment_variables.SPANWISE_TRACES_DIR
    with pytest.raises(AttributeError):
        _ = environment_variables.SPANWISE_NOTHING
