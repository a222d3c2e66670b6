"""The examples run, offline, and leave what they say they leave."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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
