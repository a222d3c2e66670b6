"""The provider that Spanwise makes: limits and ids as variables say."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from opentelemetry import trace as trace_api

import spanwise
from spanwise.errors import InvalidSettingError


def limits_of(monkeypatch, **variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    spanwise.configure()
    return trace_api.get_tracer_provider()._span_limits


@pytest.mark.parametrize(
    ("variables", "of_spans", "of_events"),
    [
        ({}, 1024, 128),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": "5"}, 5, 5),
        ({"OTEL_ATTRIBUTE_COUNT_LIMIT": "5", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "9"}, 9, 5),
        ({"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0"}, 0, 128),
    ],
)
def test_attributes_are_limited_by_their_own_variable_then_the_general_one(
    monkeypatch, variables, of_spans, of_events
):
    """Where neither says something, a span may have more than OpenTelemetry's 128."""
    limits = limits_of(monkeypatch, **variables)
    assert (of_spans, of_events) == (limits.max_span_attributes, limits.max_event_attributes)


@pytest.mark.parametrize("value", ["many", "-1", "1.5"])
def test_a_limit_that_is_no_number_is_told_with_its_variable(monkeypatch, value):
    """And nothing is set up then."""
    with pytest.raises(InvalidSettingError) as told:
        limits_of(monkeypatch, OTEL_SPAN_LINK_COUNT_LIMIT=value)
    assert str(told.value) == (
        "a limit of spans (from OTEL_SPAN_LINK_COUNT_LIMIT) must be a number that is not "
        f"negative, not {value!r}"
    )


def test_an_id_generator_that_nobody_offers_is_told_with_its_variable(monkeypatch):
    """The nearest that is offered is named."""
    monkeypatch.setenv("OTEL_PYTHON_ID_GENERATOR", "randon")
    with pytest.raises(
        InvalidSettingError, match=r"OTEL_PYTHON_ID_GENERATOR\) 'randon' .*'random'"
    ):
        spanwise.configure()


def test_a_tracer_configurator_that_nobody_offers_is_told_with_its_variable(monkeypatch):
    """And nothing is set up then."""
    monkeypatch.setenv("OTEL_PYTHON_TRACER_CONFIGURATOR", "quiet")
    with pytest.raises(
        InvalidSettingError, match=r"OTEL_PYTHON_TRACER_CONFIGURATOR\) 'quiet' is offered by no"
    ):
        spanwise.configure()


def test_a_variable_over_which_the_sdk_itself_fails_is_an_error_of_the_configuration(tmp_path):
    """It reads some of them when it is imported, which the first `configure()` does."""
    program = (
        "import spanwise\ntry:\n  spanwise.configure()\nexcept ValueError as e:\n  print(repr(e))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "OTEL_SPAN_LINK_COUNT_LIMIT": "many"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("InvalidSettingError(")
    assert "OTEL_SPAN_LINK_COUNT_LIMIT" in done.stdout
