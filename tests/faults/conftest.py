"""The fault matrix is marked, so that it need not run on every Python."""

from __future__ import annotations

from pathlib import Path

import pytest

# What takes processes, kills and collectors that misbehave; each row runs on one Python in full.
MATRIX = frozenset(
    {
        "test_bursts",
        "test_collector_away",
        "test_crash_model",
        "test_faulty_collector",
        "test_forks",
        "test_kills",
        "test_large_spans",
        "test_responses",
        "test_servers",
        "test_several_destinations",
        "test_spool_only",
    }
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of these modules."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem in MATRIX:
            item.add_marker(pytest.mark.faults)
