"""Every test of the face begins as if `Brixo.init` had never been called."""

from __future__ import annotations

import pytest

from brixo import _once


@pytest.fixture(autouse=True)
def never_initialised():
    """Forget the arguments of `init`."""
    _once.reset()
    yield
    _once.reset()
