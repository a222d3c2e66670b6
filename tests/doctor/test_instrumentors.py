"""What the doctor says of installed instrumentors."""

from __future__ import annotations

import pytest

from spanwise.instrumentation.choosing import GROUPS


def offering(name, group=GROUPS[0]):
    return f"[{group}]\n{name} = made_up.{name}:Instrumentor\n"


@pytest.fixture
def told(examined):
    """Return what is said of a library."""

    def find(name):
        (finding,) = [f for f in examined("instrumentors") if f.facts.get("name") == name]
        return finding

    return find


def test_one_of_several_for_a_library_is_chosen(install, told, monkeypatch):
    """Name, distribution and version of each are told; the user's preference counts."""
    install("openinference-instrumentation-madeup", "1.2", offering("madeup", GROUPS[1]))
    install("opentelemetry-instrumentation-madeup", "0.9", offering("madeup_v2"))
    expected = {
        "name": "madeup",
        "chosen": "openinference-instrumentation-madeup 1.2",
        "left": ["opentelemetry-instrumentation-madeup 0.9"],
        "skipped": {},
    }
    finding = told("madeup")
    assert ("ok", expected) == (finding.level.value, finding.facts)
    monkeypatch.setenv("SPANWISE_INSTRUMENTOR_PREFERENCE", "opentelemetry-instrumentation-madeup")
    assert "opentelemetry-instrumentation-madeup 0.9" == told("madeup_v2").facts["chosen"]


def test_a_disabled_one_is_noted(install, told, monkeypatch):
    """By OpenTelemetry's variable."""
    install("openinference-instrumentation-madeup", "1.2", offering("madeup"))
    monkeypatch.setenv("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "x, madeup")
    finding = told("madeup")
    assert "note" == finding.level.value
    assert finding.text.endswith("disabled by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")


def test_one_that_does_not_fit_its_library_is_a_warning_with_the_versions(install, told):
    """It would not be loaded."""
    install("madeup-library", "1.0")
    install(
        "opentelemetry-instrumentation-madeup",
        "0.9",
        offering("madeup"),
        requires=("madeup-library>=3; extra == 'instruments'",),
    )
    finding = told("madeup")
    assert "warning" == finding.level.value
    assert (
        "madeup: nothing is used; opentelemetry-instrumentation-madeup 0.9 wants "
        "madeup-library>=3, and madeup-library 1.0 is installed"
    ) == finding.text


def test_one_without_its_library_is_noted(install, told):
    """Nothing is wrong with that."""
    install(
        "opentelemetry-instrumentation-madeup",
        "0.9",
        offering("madeup"),
        requires=("madeup-library>=3; extra == 'instruments'",),
    )
    finding = told("madeup")
    assert "note" == finding.level.value
    assert "wants madeup-library>=3, and that is not installed" in finding.text


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("true", "configure() turns all of these on"),
        ("madeup", "configure() turns on: madeup"),
        ("", "configure() turns none of these on"),
    ],
)
def test_when_they_are_turned_on_is_told(install, examined, monkeypatch, value, says):
    """The setting says so."""
    install("openinference-instrumentation-madeup", "1.2", offering("madeup"))
    monkeypatch.setenv("SPANWISE_INSTRUMENT", value)
    assert says in examined("instrumentors", "fact")[0].text


def test_a_preference_that_nothing_matches_is_a_warning(install, examined, monkeypatch):
    """A misspelt one would be without effect."""
    install("openinference-instrumentation-madeup", "1.2", offering("madeup"))
    monkeypatch.setenv("SPANWISE_INSTRUMENTOR_PREFERENCE", "opneinference-")
    (finding,) = [f for f in examined("instrumentors", "warning") if "preference" in f.text]
    assert "'opneinference-'" in finding.text
    assert finding.mend == "correct SPANWISE_INSTRUMENTOR_PREFERENCE"
