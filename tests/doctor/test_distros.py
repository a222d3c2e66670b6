"""What the doctor says of who sets a program up under `opentelemetry-instrument`."""

from __future__ import annotations

OTHERS = """
[opentelemetry_distro]
other_distro = other:Distro
[opentelemetry_configurator]
other_configurator = other:Configurator
"""


def test_ours_is_in_force_where_it_is_alone(examined):
    """The environment of these tests holds no other."""
    findings = examined("distro", "ok")
    assert ["spanwise", "spanwise"] == [finding.facts["in_force"] for finding in findings]
    assert [] == examined("distro", "warning", "problem")


def test_another_that_comes_first_is_told_with_the_variable_that_chooses_ours(
    examined, install, monkeypatch
):
    """The first one that is found goes, and the variable says otherwise."""
    install("other-distro", "3.1", OTHERS)
    findings = examined("distro", "warning")
    assert ["other_distro", "other_configurator"] == [one.facts["in_force"] for one in findings]
    assert ["OTEL_PYTHON_DISTRO=spanwise", "OTEL_PYTHON_CONFIGURATOR=spanwise"] == [
        one.mend.rpartition(" ")[2] for one in findings
    ]
    assert "other_distro (other-distro 3.1)" in findings[0].text
    for mend in (finding.mend.rpartition(" ")[2] for finding in findings):
        monkeypatch.setenv(*mend.split("="))
    assert 2 == len(examined("distro", "ok"))
    assert [] == examined("distro", "warning", "problem")


def test_a_name_that_nobody_has_is_a_problem(examined, monkeypatch):
    """OpenTelemetry would quietly set up nothing."""
    monkeypatch.setenv("OTEL_PYTHON_CONFIGURATOR", "nosuch")
    (finding,) = examined("distro", "problem")
    assert "names the configurator 'nosuch', which is not installed" in finding.text
    assert "OTEL_PYTHON_CONFIGURATOR=spanwise" in finding.mend


def test_exporters_attached_by_hand_are_told_of(examined):
    """What they see of third parties is not masked."""
    (finding,) = examined("distro", "note")
    assert "unmasked" in finding.text
