"""Names of test cases that are the same in every process: no object's address is in them."""

from __future__ import annotations


def plain(value: object) -> str | None:
    """Return the text of a scalar; None lets pytest number anything else."""
    return str(value)[:40] if isinstance(value, str | int | float | bytes) else None
