"""What ours sends for one program, beside what the published `brixo` 0.1.6 sends for it.

`make test-brixo` runs the published package and checks that the stored facts are still true.
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
    r"spans/[^/]+/name": "the name that the program gave, without Traceloop's `.workflow`",
    r"spans/[^/]+/parent": "likewise",
    r"spans/[^/]+/scope": "the interaction is made by Spanwise, not by the Traceloop SDK",
    r"spans/[^/]+/attributes/traceloop\.\S+": "no vocabulary of a third vendor; the backend reads brixo.*",
    r"spans/[^/]+/attributes/(observation|gen_ai|code|error|interaction)\.\S+": "what the span says in Spanwise's own vocabulary goes along",
    r"spans/[^/]+/attributes/(user|account|session)\.\S+": "likewise; spans below say whom they are for, too",
    r"spans/own/": "the program's own spans are sent, so that no span lacks its parent",
    r"spans/[^/]+/attributes/brixo\.metadata\.(map|tools_used)": "the documents: metadata that is no scalar travels as JSON text",
    r"spans/answer_later/attributes/brixo\.(input|output)": "what was captured stands in where the program gave nothing",
    r"resource/brixo\.sdk\.version": "the version of the package that sends",
    r"resource/(service|deployment)\.\S+": "OpenTelemetry's names of the same facts go along",
}


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    return flat(
        json.loads((HERE / "brixo_published.json").read_text(encoding="utf-8")),
        lambda name: name.removesuffix(".workflow"),
    )


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, HERE / "brixo_facts.py"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return flat(json.loads(done.stdout), lambda name: name.removesuffix(".workflow"))


def test_every_difference_has_a_reason(published, ours):
    """What is not listed is the same: address, headers, every brixo.* attribute, the tree."""
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


def test_metadata_that_is_no_scalar_is_the_same_in_another_form(published, ours):
    """Lists and mappings arrive as JSON text of the same values."""
    for name in ("map", "tools_used"):
        path = f"spans/Main Agent Execution/attributes/brixo.metadata.{name}"
        assert published[path] == json.loads(ours[path])


def test_the_tree_is_the_same_with_the_programs_own_spans_in_it(published, ours):
    """Each span below the same one, by the names that the program gave."""

    def tree(facts):
        return {
            path: parent.removesuffix(".workflow") if parent else None
            for path, parent in facts.items()
            if path.endswith("/parent")
        }

    assert tree(published) | {"spans/own/parent": "Main Agent Execution"} == tree(ours)


def test_the_program_is_one_that_the_documents_would_print():
    """It is run by both as it is: nothing in it asks which package it has."""
    text = (HERE / "brixo_program.py").read_text(encoding="utf-8")
    assert "spanwise" not in text
    assert "traceloop" not in text
