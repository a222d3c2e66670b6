"""What the `langfuse` dialect sends for one program, beside what Langfuse's SDK 5.0.4 sends.

`make test-langfuse` runs the published package and checks that the stored facts are still true.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.published import difference, flat

HERE = Path(__file__).parent

# Every way in which they differ: where, and why.
DIFFERENCES = {
    r"resource/(service|deployment)\.\S+": "OpenTelemetry's names of the same facts go along",
    r"spans/[^/]+/scope": "the spans are made by Spanwise",
    r"spans/fail/events": "an exception is an event of its span, with its traceback",
    r"spans/[^/]+/attributes/(observation|gen_ai|code|error)\.\S+": "what the span says in Spanwise's own vocabulary goes along",
    r"spans/[^/]+/attributes/langfuse\.observation\.input": "arguments go by the names of the parameters; where there are none, nothing went in",
    r"spans/Support/attributes/langfuse\.trace\.(name|input|output)": "servers that do not take them from the root are told",
    r"spans/[^/]+/attributes/langfuse\.trace\.metadata\.(plan|seats)": "the trace's metadata is said once, on its root, and texts are sent as they are: they are read as JSON only of Langfuse's own SDK",
    r"spans/[^/]+/attributes/langfuse\.observation\.metadata\.(plan|seats)": "what identify() was told is each observation's metadata, too",
    r"spans/answer/attributes/langfuse\.observation\.metadata\.text": "texts are sent as they are",
    r"spans/stream/attributes/langfuse\.observation\.completion_start_time": "when the first chunk came is known, and said",
}


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return flat(
        json.loads((HERE / "langfuse_published.json").read_text(encoding="utf-8")), said=said
    )


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    command = [sys.executable, HERE / "langfuse_facts.py", "spanwise"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return flat(json.loads(done.stdout), said=said)


def said(value: Any) -> Any:
    """Return what a mapping or a list in JSON says, however it is spaced."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        return json.loads(value)
    return value


def test_every_difference_has_a_reason(published, ours):
    """What is not listed is the same: address, headers, every langfuse.* attribute, the tree."""
    unexplained = {
        path: (published.get(path), ours.get(path))
        for path in difference(published, ours)
        if not any(re.match(f"{where}(?:$|(?<=/))", path) for where in DIFFERENCES)
    }
    assert {} == unexplained


@pytest.mark.parametrize("where", DIFFERENCES)
def test_every_listed_difference_is_there(published, ours, where):
    """One that has gone is taken off the list."""
    assert any(re.match(where, path) for path in difference(published, ours))


def test_each_observation_has_the_type_that_langfuse_gives_it(published, ours):
    """Of every kind of work there is."""
    types = {p: v for p, v in published.items() if p.endswith("/langfuse.observation.type")}
    assert types == {path: ours.get(path) for path in types}
    assert {
        *("agent", "tool", "generation", "retriever", "embedding", "chain", "evaluator"),
        *("guardrail", "span", "event"),
    } == set(types.values())
