"""What the doctor says of installed packages."""

from __future__ import annotations

import platform

import pytest

from spanwise import __version__


@pytest.mark.parametrize("name", ["brixo", "fluxloop"])
def test_an_original_beside_our_facade_is_a_problem(examined, install, name):
    """With the command that the facade itself would log."""
    install(name, "0.9.9")
    (finding,) = examined("packages", "problem")
    assert f"the package {name} 0.9.9 is installed beside spanwise" in finding.text
    assert finding.command.startswith(f"pip uninstall -y {name} && pip install")


def test_opentelemetry_packages_that_do_not_fit_are_a_problem(examined, install):
    """Of another release, or missing; prereleases count, and extras do not."""
    install(
        "opentelemetry-instrumentation-made-up",
        "0.1b0",
        requires=(
            "opentelemetry-api==1.2.3",
            "opentelemetry-nosuch>=1",
            "opentelemetry-sdk>=1.0b0",
            "made-up-library>=3; extra == 'instruments'",
            "grpcio>=1; python_version < '3'",
            "this is no requirement",
        ),
    )
    first, second = examined("packages", "problem")
    assert "opentelemetry-instrumentation-made-up 0.1b0 needs opentelemetry-api==1.2.3, and" in (
        first.text
    )
    assert first.command == (
        'pip install "opentelemetry-api==1.2.3" opentelemetry-instrumentation-made-up'
    )
    assert second.text.endswith(
        "needs opentelemetry-nosuch>=1, and opentelemetry-nosuch is not installed"
    )


def test_packages_that_fit_are_told_as_such(examined):
    """Those of this environment do."""
    assert ["the OpenTelemetry packages fit each other"] == [
        finding.text for finding in examined("packages", "ok")
    ]


@pytest.mark.parametrize("name", ["langfuse", "logfire", "traceloop-sdk", "opentelemetry-distro"])
def test_who_else_makes_a_provider_is_noted(examined, install, name):
    """It is nothing wrong, and explains much."""
    install(name, "9.9.9")
    assert [(name, "9.9.9")] == [
        (finding.facts["package"], finding.facts["version"])
        for finding in examined("packages", "note")
    ]


def test_versions_are_told(examined):
    """Of Python, of Spanwise and of what it stands on."""
    (finding,) = examined("packages", "fact")
    versions = finding.facts["versions"]
    assert __version__ == versions["spanwise"]
    assert versions["Python"].startswith(platform.python_version())
    assert {"opentelemetry-api", "opentelemetry-sdk", "grpcio"} <= versions.keys()
