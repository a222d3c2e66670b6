"""The page of the benchmark: made from the results, and from nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from benchmarks import __main__ as runner
from benchmarks import charts, report
from benchmarks.contenders import PEERS
from benchmarks.measures.latency import SHARES

RESULTS = {
    "calls": {
        "decorated": {
            shape: {
                "hand": {"median": 26.0, "hand": 1.0, "sdk-span": 2.5},
                "Spanwise, no sink": {"median": 6.5, "spread": 0.03, "hand": 0.25, "sdk-span": 0.6},
                "opik": {"failed": "pip failed"},
            }
            for shape in ("root", "nested", "root_async", "nested_async", "steps", "steps_async")
        },
    },
    "payloads": {
        "text and leaves": {"hand": {"median": 5000.0}, "opik": {"failed": "slow"}},
        "leaves": {"hand": {"median": 2000.0}},
    },
    "throughput": {
        "stock, API spans": {
            "produced": 1000,
            "delivered": 700,
            "delivered_per_s": 11_000.0,
            "loop_us": 20.0,
            "cpu_us": 60.0,
            "peak_mb": 50.0,
            "more_mb": 10.0,
        },
        "brixo": {"failed": "its process has ended"},
    },
    "latency": {"hand": dict.fromkeys(SHARES, 12.0)},
    "exits": {
        "dead": {"hand": {"exit_s": 10.0, "arrived": 0, "produced": 1000}},
        "hanging": {"hand": {"exit_s": 9.0, "arrived": 0, "produced": 1000}},
    },
    "imports": {"Spanwise": {"median": 50.0, "over_api_ms": 9.0}},
    "sizes": {"alone": {"mb": 40.0}, "brixo": {"mb": 90.0}},
    "instructions": {"skipped": "valgrind is not installed here"},
    "curves": {"depth": {"x": "depth", "xs": [1, 2], "lines": {"hand": [1.0, 2.0]}, "failed": {}}},
    "machine": {
        "cpu": "a processor",
        "cores": 2,
        "system": "Linux",
        "python": "3.11.7",
        "versions": {"spanwise": "0.1"},
    },
}


@pytest.fixture
def page(tmp_path):
    """The page of the small results."""
    report.write(RESULTS, tmp_path / "performance.md")
    return tmp_path / "performance.md"


def test_every_placeholder_of_the_page_is_filled(page):
    """Each section of the template is known, and each known one is in the template."""
    assert "{{" not in page.read_text(encoding="utf-8")
    template = report.TEMPLATE.read_text(encoding="utf-8")
    assert [] == [name for name in report.SECTIONS if "{{" + name + "}}" not in template]


def test_numbers_of_the_page_are_those_of_the_results(page):
    """A ratio, a share and a size stand in the tables as they were measured."""
    text = page.read_text(encoding="utf-8")
    assert "| **Spanwise, no sink** | 6.50 | 3 % | 0.250 |" in text
    assert "| stock, API spans | 1,000 | 700 (70 %) | 11,000 |" in text
    assert "| call at the root, Spanwise, no sink, by hand = 1 | ≤ 0.3 | 0.250 | yes |" in text


def test_the_page_is_the_same_from_results_that_were_stored(page, tmp_path, monkeypatch):
    """Rows and columns keep the order in which they were measured."""
    text = page.read_text(encoding="utf-8")
    stored = tmp_path / "stored.json"
    runner._store(stored, RESULTS)
    monkeypatch.setattr(runner.environments, "prepare", lambda names: pytest.fail("it measures"))
    assert 0 == runner.main(["--page", "--results", str(stored)])
    assert text == stored.with_suffix(".md").read_text(encoding="utf-8")


def test_what_failed_says_why(page):
    """A package that could not be run keeps its row."""
    text = page.read_text(encoding="utf-8")
    assert "failed: pip failed" in text
    assert "Not counted: valgrind is not installed here." in text


def test_what_was_not_measured_is_said_to_be_missing(page):
    """A run of some measures gives a whole page."""
    assert report.NOT_MEASURED in page.read_text(encoding="utf-8")


def test_every_picture_of_the_page_is_there(page):
    """A chart that the page shows has been drawn, and can be parsed."""
    drawn = {path.stem: path for path in page.with_suffix("").glob("*.svg")}
    assert {"calls", "payloads", "throughput", "imports", "curve-depth"} == set(drawn)
    for path in drawn.values():
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_every_peer_says_how_it_was_set_up(page):
    """The comparison can be judged by who knows the package."""
    text = page.read_text(encoding="utf-8")
    assert [] == [peer.name for peer in PEERS if f"- **{peer.name}**: " not in text]


def test_names_in_a_chart_are_text_whatever_they_contain():
    """No name is taken for markup."""
    root = ET.fromstring(charts.bars("<title> & co", {"a<b": 1.0, "zero": 0.0}, mark=1.0))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "<title> & co" in texts
    assert "a<b" in texts


def test_longer_bars_are_larger_values():
    """Lengths are in proportion, or by their logarithm in order."""
    for is_log in (False, True):
        svg = charts.bars("t", {"a": 1.0, "b": 2.0, "c": 4.0}, is_log=is_log)
        found = ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}rect")
        widths = [float(rect.attrib["width"]) for rect in found]
        assert sorted(widths) == widths
        assert is_log or widths[2] == pytest.approx(4 * widths[0], abs=0.2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (0.01234, "0.012"), (0.25, "0.250"), (7.891, "7.89"), (12_345.6, "12,346")],
)
def test_a_number_has_about_three_digits(value, expected):
    """No table claims to know more."""
    assert expected == charts.number(value)
