"""What the doctor says of settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from spanwise import Settings
from spanwise.doctor.settings import address


def test_each_setting_is_told_with_where_it_came_from(examined, monkeypatch):
    """A variable, OpenTelemetry's own variable, a line of .env, or nothing of these."""
    monkeypatch.delenv("SPANWISE_LEAN_SPANS", raising=False)
    monkeypatch.setenv("SPANWISE_ENVIRONMENT", "production")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "bot")
    Path(".env").write_text("SPANWISE_SAMPLE_RATE=0.5\nSPANWISE_ENVIRONMENT=other\n")
    facts = [finding.facts for finding in examined("settings", "fact")]
    assert {
        "environment": ("production", "SPANWISE_ENVIRONMENT"),
        "service_name": ("bot", "OTEL_SERVICE_NAME"),
        "sample_rate": ("0.5", "SPANWISE_SAMPLE_RATE in .env"),
    } == {one["setting"]: (one["value"], one["source"]) for one in facts if "setting" in one}
    (defaults,) = [one["defaults"] for one in facts if "defaults" in one]
    names = {f.name for f in dataclasses.fields(Settings)} - {"sources", "tracer_provider"}
    assert names == {*defaults, "environment", "service_name", "sample_rate"}
    assert "true" == defaults["capture_content"]


def test_all_settings_that_cannot_be_used_are_told_at_once(examined, monkeypatch):
    """One fault hides no other, and the settings that can be used are told all the same."""
    for name, value in {
        "SPANWISE_SAMPLE_RATE": "7",
        "SPANWISE_OTLP_ENDPOINT": "localhost",
        "SPANWISE_INSTRUMENT": "nosuch",
        "SPANWISE_DIALECTS": "opnlangfuse",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon",
        "OTEL_TRACES_EXPORTER": "nosuch",
        "OTEL_SPAN_EVENT_COUNT_LIMIT": "many",
        "SPANWISE_SERVICE_NAME": "bot",
    }.items():
        monkeypatch.setenv(name, value)
    problems = examined("settings", "problem")
    assert {
        *("SPANWISE_SAMPLE_RATE", "SPANWISE_OTLP_ENDPOINT", "SPANWISE_INSTRUMENT"),
        *("SPANWISE_DIALECTS", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_TRACES_EXPORTER"),
        "OTEL_SPAN_EVENT_COUNT_LIMIT",
    } == {finding.facts["source"] for finding in problems}
    texts = {finding.facts["source"]: finding for finding in problems}
    fault = texts["SPANWISE_SAMPLE_RATE"]
    assert "must be a number between 0 and 1, not '7'" in fault.text
    assert fault.mend.startswith("correct or unset SPANWISE_SAMPLE_RATE")
    assert "service_name = bot  (SPANWISE_SERVICE_NAME)" in [
        finding.text for finding in examined("settings", "fact")
    ]


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("SPANWISE_OTLP_ENDPONT", "SPANWISE_OTLP_ENDPOINT"),
        ("SPANWISE_SERVICENAME", "SPANWISE_SERVICE_NAME"),
    ],
)
def test_a_misspelt_variable_is_a_problem_with_the_nearest_one_named(
    examined, monkeypatch, variable, meant
):
    """It would be ignored without a word."""
    monkeypatch.setenv(variable, "x")
    (finding,) = examined("settings", "problem")
    assert finding.text == f"{variable} is no setting; did you mean {meant!r}?"
    assert variable in finding.mend


def test_what_spanwise_hands_to_subprocesses_is_no_misspelt_setting(examined, monkeypatch):
    """The variable that carries a trace into a child is Spanwise's own."""
    monkeypatch.setenv("SPANWISE_TRACEPARENT", "00-" + "1" * 32 + "-" + "2" * 16 + "-01")
    assert [] == examined("settings", "problem")


@pytest.mark.parametrize(
    ("variable", "value"), [("SPANWISE_ENABLED", "false"), ("OTEL_SDK_DISABLED", "true")]
)
def test_what_switches_everything_off_is_named(examined, monkeypatch, variable, value):
    """Nothing else would explain why there are no spans."""
    monkeypatch.setenv(variable, value)
    (finding,) = examined("settings", "warning")
    assert finding.text == f"everything is switched off by {variable}"


def test_what_is_logged_at_the_start_of_a_program_is_told(examined, caplog):
    """A bad line of .env is found here, and not in the log."""
    Path(".env").write_text("SPANWISE_SERVICE_NAME=bot\nno line of such a file = =\n")
    (finding,) = examined("settings", "warning")
    assert "cannot read line 2" in finding.text
    assert [] == caplog.records


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
        ("https://bob:hunter2@host/v1", "https://***@host/v1"),
        ("https://host/v1?key=hunter2", "https://host/v1?***"),
        ("https://host/v1#hunter2", "https://host/v1?***"),
        ("http://[hunter2", "***"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(endpoint, shown):
    """User, password and query stand for themselves nowhere."""
    assert shown == address(endpoint)
