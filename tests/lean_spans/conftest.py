"""Tests of lean spans, which there may be none of."""

from __future__ import annotations

import os

import pytest

from spanwise._settings import boolean


@pytest.fixture(autouse=True)
def there_are_lean_spans(clean_slate: None) -> None:
    """Skip the test where the whole suite runs with OpenTelemetry's own spans."""
    if not boolean(os.environ.get("SPANWISE_LEAN_SPANS", "true")):
        pytest.skip("SPANWISE_LEAN_SPANS has none made")
