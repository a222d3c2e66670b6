"""What the programs of the fault tests and those who start them agree on."""

from __future__ import annotations

# Names the file to which ended spans are reported, `<id> <argument>` a line, one write each.
REPORT = "REPORT_OF_SPANS"
WATCHDOG_S = 200
