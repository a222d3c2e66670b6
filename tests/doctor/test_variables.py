"""What the doctor says of OpenTelemetry's variables."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest
from opentelemetry import environment_variables as of_the_api
from opentelemetry import trace
from opentelemetry.sdk import environment_variables as of_the_sdk

from spanwise.doctor.variables import FATES, fate_of


def test_each_variable_of_the_api_and_the_sdk_has_a_fate():
    """A new release that brings a variable makes this fail: say what becomes of it."""
    names = {n for m in (of_the_api, of_the_sdk) for n in vars(m) if n.startswith("OTEL_")}
    assert set() == {name for name in names if fate_of(name) is None}


def test_no_fate_is_hidden_behind_another():
    """What an entry of the table names is not caught by an earlier one."""
    names = [(fate, name) for fate in FATES for name in fate.names]
    assert [] == [name for fate, name in names if fate_of(name.rstrip("*")) not in (fate, None)]
    every = list(itertools.chain.from_iterable(fate.names for fate in FATES))
    assert len(set(every)) == len(every)


@pytest.mark.parametrize(
    ("name", "value", "level", "says"),
    [
        ("OTEL_SERVICE_NAME", "bot", "fact", "is the service_name"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "9", "note", "is ignored"),
        ("OTEL_BSP_SCHEDULE_DELAY", "9", "fact", "how long a span may wait"),
        ("OTEL_METRICS_EXPORTER", "none", "note", "is not about spans"),
        ("OTEL_PYTHON_FLASK_EXCLUDED_URLS", "x", "fact", "its instrumentors"),
        ("OTEL_FOR_SOMEBODY_ELSE", "x", "note", "is not read by Spanwise"),
        ("OTEL_SERVICE_NAMES", "x", "warning", "did you mean 'OTEL_SERVICE_NAME'?"),
        ("OTEL_EXPORTER_OTLP_ENDPIONT", "x", "warning", "'OTEL_EXPORTER_OTLP_ENDPOINT'?"),
        ("OTEL_PROPAGATORS", "nosuch", "problem", "no installed package offers"),
        ("OTEL_TRACES_SAMPLER", "nosuch", "problem", "no installed package offers"),
    ],
)
def test_what_becomes_of_a_variable_is_told(examined, monkeypatch, name, value, level, says):
    """Honoured, read by others, ignored with the reason, or misspelt."""
    monkeypatch.setenv(name, value)
    findings = examined("variables", level)
    assert [name] == [finding.facts["variable"] for finding in findings]
    assert says in findings[0].text


def test_a_variable_below_one_of_ours_is_told_as_not_used(examined, monkeypatch):
    """The one that stands above it is named."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("SPANWISE_OTLP_ENDPOINT", "http://127.0.0.1:10")
    (finding,) = examined("variables")
    expected = "OTEL_EXPORTER_OTLP_ENDPOINT is not used: SPANWISE_OTLP_ENDPOINT stands above it"
    assert expected == finding.text
    assert finding.facts["used"] is False


def test_a_line_of_dotenv_that_nobody_looks_for_is_told(examined):
    """OpenTelemetry itself reads the environment only."""
    Path(".env").write_text("OTEL_PROPAGATORS=baggage\nOTEL_SERVICE_NAME=bot\n")
    found = {finding.facts["variable"]: finding for finding in examined("variables")}
    assert "warning" == found["OTEL_PROPAGATORS"].level.value
    assert "OTEL_SERVICE_NAME in .env is the service_name" == found["OTEL_SERVICE_NAME"].text


@pytest.fixture
def described(monkeypatch):
    """Name a file that describes the SDK, with this content."""

    def put(text):
        Path("sdk.yaml").write_text(text)
        monkeypatch.setenv("OTEL_CONFIG_FILE", "sdk.yaml")

    return put


def test_beside_a_configuration_file_the_other_variables_are_told_as_not_looked_at(
    examined, monkeypatch, described
):
    """The file says what they would say."""
    described("file_format: '1.0'\n")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "bot")
    found = {finding.facts["variable"]: finding.text for finding in examined("variables", "note")}
    assert "OTEL_CONFIG_FILE names a file" in found["OTEL_SERVICE_NAME"]
    (fact,) = examined("variables", "fact")
    assert "OTEL_CONFIG_FILE is read instead" in fact.text


def test_a_configuration_file_is_read_and_nothing_is_set_up_by_it(examined, described):
    """One that can be used is nothing to tell of."""
    pytest.importorskip("opentelemetry.configuration")
    before = trace.get_tracer_provider()
    described(
        "file_format: '1.0'\ntracer_provider:\n  processors: [{simple: {exporter: {console: {}}}}]\n"
    )
    assert [] == examined("variables", "problem")
    assert before is trace.get_tracer_provider()


@pytest.mark.parametrize("text", ["- [", "file_format: 7\n"])
def test_a_configuration_file_that_cannot_be_used_is_a_problem(examined, described, text):
    """The program would fail at its start."""
    pytest.importorskip("opentelemetry.configuration")
    described(text)
    (finding,) = examined("variables", "problem")
    assert finding.text.startswith("the file that OTEL_CONFIG_FILE names cannot be used: ")


def test_without_the_package_that_reads_such_files_that_is_the_problem(
    examined, described, monkeypatch
):
    """The command that installs it is told."""
    monkeypatch.setitem(sys.modules, "opentelemetry.configuration", None)
    described("file_format: '1.0'\n")
    (finding,) = examined("variables", "problem")
    assert "pip install opentelemetry-configuration" == finding.command
