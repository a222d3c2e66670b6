"""All examinations together: each goes on when another fails, and none changes anything."""

from __future__ import annotations

import pytest

from spanwise.doctor import examination, files, packages
from spanwise.doctor.findings import Finding, Level, Report, masked


def test_every_part_is_examined(examined):
    """In the order in which things are asked."""
    report = examination.examine(is_offline=True)
    assert [
        *("settings", "variables", "destinations", "spool", "files"),
        *("distro", "instrumentors", "packages"),
    ] == list(report.sections)
    assert report.is_well


def test_an_examination_that_fails_is_told_and_the_others_go_on(monkeypatch):
    """A fault of ours is no reason to say nothing."""

    def fail(*arguments):
        raise LookupError("password=hunter2")

    monkeypatch.setattr(files, "examine", fail)
    report = examination.examine(is_offline=True)
    (finding,) = report.sections["files"]
    assert "files could not be examined: LookupError: password=***" == finding.text
    assert report.sections["packages"]


def test_nothing_is_made_by_looking(examined, tmp_path):
    """No traces folder, no spool, no salt."""
    for section in ("settings", "spool", "files"):
        examined(section)
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("level", list(Level))
def test_only_a_problem_makes_it_unwell(level):
    """The status for machines tells warnings apart."""
    report = Report({"one": [Finding(level, "x")], "two": []})
    assert (level is not Level.PROBLEM) == report.is_well
    expected = level.value if level in (Level.PROBLEM, Level.WARNING) else "ok"
    assert expected == report.as_json()["status"]


def test_facts_are_masked_at_every_depth():
    """Whatever an examination puts there."""
    secret = "sk-" + "a1B2" * 12
    (finding,) = masked(
        [
            Finding(
                Level.OK, secret, secret, secret, {"a": [{"b": secret}], "c": (1, None, object())}
            )
        ]
    )
    assert secret not in repr(finding.as_json())
    assert (1, None) == tuple(finding.facts["c"][:2])


def test_the_first_distribution_of_a_name_is_the_one_in_use(install):
    """As with imports."""
    install("opentelemetry-api", "99.0")
    assert "99.0" == packages._installed()["opentelemetry-api"].version
