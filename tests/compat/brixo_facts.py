"""What the `brixo` that is installed sends for one program, as facts that can be compared.

python brixo_facts.py                              print them
python brixo_facts.py --check brixo_published.json  fail where they are not those of the file
"""

from __future__ import annotations

import sys
from pathlib import Path

from otlp_facts import check, facts

PROGRAM = Path(__file__).with_name("brixo_program.py")
KEY = "bk-1"
# The rest of the headers says how HTTP was spoken, and the exporter's version.
_HEADERS = ("brixo-auth", "content-encoding", "content-type")


def _variables(address: str) -> dict[str, str]:
    return {
        "BRIXO_API_KEY": KEY,
        "BRIXO_OTLP_TRACES_ENDPOINT": f"{address}/v1/traces",
        "TRACELOOP_TELEMETRY": "false",  # which sends what is run to its maker
    }


if __name__ == "__main__":
    sys.exit(check(facts(PROGRAM, _variables, _HEADERS), sys.argv[1:]))
