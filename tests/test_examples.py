"""The examples run, offline, and leave what they say they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.files import Files

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_quickstart_traces_a_real_agent(tmp_path):
    """Four questions of two users: four traces with retrieval, tool, stream and one failure."""
    done = subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / "quickstart.py", tmp_path / "traces"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "" == done.stderr
    files = Files(tmp_path / "traces")
    traces = files.traces()
    assert [
        ("jane@acme.com", "ACME"),
        ("jane@acme.com", "ACME"),
        ("lee@globex.com", "Globex"),
        ("lee@globex.com", "Globex"),
    ] == [(trace["user_id"], trace["account_id"]) for trace in traces]
    observations = files.observations()
    by_type = {
        kind: [o for o in observations if o["type"] == kind]
        for kind in {o["type"] for o in observations}
    }
    assert {
        "interaction": 4,
        "agent": 4,
        "retrieval": 4,
        "tool": 4,
        "reranker": 3,
        "generation": 3,
    } == {kind: len(found) for kind, found in by_type.items()}
    for generation in by_type["generation"]:
        assert generation["output"].strip()
        assert generation["completion_tokens"] > 0
        assert generation["attributes"]["observation.stream.chunks"] == 3
    failed = [o["name"] for o in observations if "error" in o]
    assert ["page_facts", "Reference"] == failed
    recorded = [json.loads(x) for x in (tmp_path / "traces/calls.jsonl").read_text().splitlines()]
    assert 12 == len(recorded)
    assert {"__main__:handle", "__main__:answer_question", "__main__:page_facts"} == {
        line["target"] for line in recorded
    }
    assert "└── write_answer  generation  extractive-1" in done.stdout
    assert str(tmp_path / "traces") in done.stdout


def test_a_plain_script_under_opentelemetry_instrument_is_traced(tmp_path):
    """Its agent, the model's two calls and the tool, in one trace, with what was asked and said."""
    pytest.importorskip(
        "opentelemetry.instrumentation.genai.langchain", reason="it needs the newest OpenTelemetry"
    )
    instrument = Path(sys.executable).parent / "opentelemetry-instrument"
    done = subprocess.run(
        [instrument, sys.executable, EXAMPLES / "zero_code.py"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={
            **os.environ,
            "OTEL_PYTHON_DISTRO": "spanwise",
            "OTEL_PYTHON_CONFIGURATOR": "spanwise",
        },
    )
    assert (0, "Closed on Sundays.\n") == (done.returncode, done.stdout), done.stderr
    observations = Files(tmp_path / "traces").observations()
    types = [line["type"] for line in observations]
    assert {"agent": 1, "generation": 2, "tool": 1} == {
        kind: types.count(kind) for kind in ("agent", "generation", "tool")
    }
    assert 1 == len({line["trace_id"] for line in observations})
    (tool,) = (line for line in observations if line["type"] == "tool")
    assert ({"day": "Sunday"}, "closed") == (tool["input"], tool["output"])
