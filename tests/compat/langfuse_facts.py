"""What one program sends to Langfuse, with its SDK or with ours, as facts that can be compared.

python langfuse_facts.py langfuse                                  print them
python langfuse_facts.py langfuse --check langfuse_published.json  fail where they differ
python langfuse_facts.py spanwise                                  print ours
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

from otlp_facts import check, facts

KEYS = ("pk-lf-1", "sk-lf-1")
# The rest of the headers says how HTTP was spoken, and the exporter's version.
_HEADERS = ("authorization", "content-type", "x-langfuse-ingestion-version")


def _with_langfuse(address: str) -> dict[str, str]:
    return {
        "LANGFUSE_PUBLIC_KEY": KEYS[0],
        "LANGFUSE_SECRET_KEY": KEYS[1],
        "LANGFUSE_BASE_URL": address,
    }


def _with_ours(address: str) -> dict[str, str]:
    login = base64.b64encode(":".join(KEYS).encode()).decode()
    return {
        "SPANWISE_OTLP_ENDPOINT": f"{address}/api/public/otel",
        "SPANWISE_OTLP_HEADERS": f"Authorization=Basic {login},x-langfuse-ingestion-version=4",
    }


_VARIABLES = {"langfuse": _with_langfuse, "spanwise": _with_ours}


if __name__ == "__main__":
    sdk, *arguments = sys.argv[1:]
    program = Path(__file__).with_name(f"langfuse_program_{sdk}.py")
    sys.exit(check(facts(program, _VARIABLES[sdk], _HEADERS), arguments))
