"""The examples run, offline, and leave what they say they leave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.files import Files

pytestmark = pytest.mark.programs
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


def test_the_tenants_of_a_service_are_told_apart_in_every_span(tmp_path):
    """Each span carries its tenant and no other one: coroutines, threads, streams, later tasks."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", EXAMPLES / "fastapi_tenants.py", tmp_path / "traces"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    unexpected = [x for x in done.stderr.splitlines() if "older traces not shown" not in x]
    assert [] == unexpected
    accounts = {"jane@acme.com": "ACME", "june@acme.com": "ACME", "lee@globex.com": "Globex"}
    files = Files(tmp_path / "traces")
    observations = files.observations()
    # Newer releases of FastAPI make spans as well; that of the request begins before any middleware.
    for line in [o for o in observations if o.get("kind") != "server"]:
        user = line["user_id"]
        assert (accounts[user], f"visit of {user}") == (line["account_id"], line["session_id"])
        strangers = [u for u in accounts if accounts[u] != accounts[user]]
        assert [] == [stranger for stranger in strangers if stranger in json.dumps(line)]
    ours = [o for o in observations if o.get("scope") != "fastapi"]
    expected = {
        ("Ask", "interaction"): 2,
        ("Stream", "interaction"): 1,
        ("Notes", "interaction"): 1,
        ("Notes", "agent"): 3,
        ("search", "retrieval"): 4,
        ("write", "generation"): 3,
        ("remember", "tool"): 2,
    }
    for user in accounts:
        of_user = [(o["name"], o["type"]) for o in ours if o["user_id"] == user]
        assert expected == {what: of_user.count(what) for what in of_user}
    assert "a stranger is told: unknown key" in done.stdout
    assert "For Globex, as `spanwise show --account Globex` prints it:" in done.stdout


def run_example(name: str, folder: Path) -> tuple[str, list[dict[str, object]]]:
    """Run an example, and return what it printed and the observations that it left."""
    done = subprocess.run(
        # Third parties warn of what they deprecate among themselves.
        [sys.executable, "-W", "ignore", EXAMPLES / f"{name}.py", folder / "traces"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    assert (0, "") == (done.returncode, done.stderr)
    return done.stdout, Files(folder / "traces").observations()


def test_a_langchain_agent_is_traced_without_a_decorator(tmp_path):
    """Two customers' runs, each with model calls, tokens, a tool, and what the tool calls."""
    pytest.importorskip("langchain", reason="the langchain extra is not installed")
    pytest.importorskip("opentelemetry.instrumentation.genai.langchain")
    printed, observations = run_example("langchain_agent", tmp_path)
    for user, tokens in (("jane@acme.com", 13), ("lee@globex.com", 11)):
        lines = [line for line in observations if line["user_id"] == user]
        assert {f"chat of {user}"} == {line["session_id"] for line in lines}
        by_id = {line["id"]: line for line in lines}
        (found,) = (line for line in lines if line["name"] == "find_order")
        assert "execute_tool order_status" == by_id[found["parent_id"]]["name"]
        generations = [line for line in lines if line["type"] == "generation"]
        assert tokens == sum(line["prompt_tokens"] for line in generations)
        assert all("order" in str(line["input"]) for line in generations)
    assert "lee@globex.com: Here is what I found: a kettle, delivered." in printed
    assert "execute_tool order_status  tool" in printed


def test_a_langgraph_graph_is_whole_and_resumes_in_its_session(tmp_path):
    """Every node, both branches and the sub-graph, in two traces of one session."""
    pytest.importorskip("langgraph", reason="the langchain extra is not installed")
    pytest.importorskip("opentelemetry.instrumentation.genai.langchain")
    printed, observations = run_example("langgraph_graph", tmp_path)
    names = [line["name"] for line in observations]
    assert {
        "invoke_workflow Trip": 2,
        "choose": 1,
        "branch": 1,
        "look": 2,
        "distance_km": 2,
        "summary": 1,
        "Summary": 1,
        "nearest": 1,
        "approve": 2,
    } == {name: names.count(name) for name in names}
    assert [] == [line["name"] for line in observations if "error" in line]
    assert {("jane@acme.com", "trip of jane")} == {
        (line["user_id"], line["session_id"]) for line in observations
    }
    assert "Shall I book Lille?\nLille: yes, please\n" in printed


def test_openais_client_is_traced_without_a_decorator(tmp_path):
    """An answer, a stream and a refusal, each below the decorated function that asked."""
    pytest.importorskip("openai", reason="the openai extra is not installed")
    pytest.importorskip("opentelemetry.instrumentation.genai.openai")
    printed, observations = run_example("openai_client", tmp_path)
    by_id = {line["id"]: line for line in observations}
    generations = [line for line in observations if line["type"] == "generation"]
    assert ["answer", "answer", "answer_in_parts"] == sorted(
        by_id[line["parent_id"]]["name"] for line in generations
    )
    answered = [line for line in generations if "error" not in line]
    assert [(9, 3), (9, 3)] == [(g["prompt_tokens"], g["completion_tokens"]) for g in answered]
    assert all("It is Paris." in str(line["output"]) for line in answered)
    assert all("capital of France" in str(line["input"]) for line in generations)
    assert "sk-not-a-real-key" not in Files(tmp_path / "traces").text()
    assert "refused: 404" in printed
