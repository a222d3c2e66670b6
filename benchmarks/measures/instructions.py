"""Instructions of a call, counted by callgrind: no neighbour on the machine changes them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.contenders import HAND, OURS, Contender
from benchmarks.plan import Plan, say
from benchmarks.processes import FailedError, Process

_FEW, _MANY = 400, 1200
_TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.M)


def measure(plan: Plan) -> dict[str, Any]:
    """Return thousands of instructions of a call at the root, and how they relate to by hand."""
    if shutil.which("valgrind") is None:
        return {"skipped": "valgrind is not installed here"}
    if not plan.peers:
        return {"skipped": "counted in a whole run only"}
    results: dict[str, Any] = {}
    for contender in (HAND, OURS[0], OURS[2]):
        say(f"instructions, {contender.name}")
        try:
            more = _counted(contender, _MANY) - _counted(contender, _FEW)
            results[contender.name] = {"thousands": more / (_MANY - _FEW) / 1000}
        except FailedError as error:
            results[contender.name] = {"failed": str(error)}
    for result in results.values():
        if "thousands" in result and "thousands" in results["hand"]:
            result["hand"] = result["thousands"] / results["hand"]["thousands"]
    return results


def _counted(contender: Contender, calls: int) -> int:
    """Return the instructions of a process that makes that many calls."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind"
        prefix = ("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}")
        with Process(contender, prefix=prefix) as process:
            process.ask("count", shape="root", calls=calls)
            process.end(120)
        found = _TOTAL.search(out.read_text(encoding="utf-8", errors="replace"))
    if found is None:
        raise FailedError("callgrind wrote no total")
    return int(found.group(1))
