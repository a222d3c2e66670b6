"""The README and the docs tell the truth: their snippets run, their tables are complete."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spanwise import Settings
from spanwise.dialects import DIALECTS

pytestmark = pytest.mark.programs
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
THIRD_PARTIES = ("fastapi", "langchain", "langchain_core", "langgraph")


def blocks(language: str) -> list[object]:
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for number, match in enumerate(
            re.finditer(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
        ):
            found.append(pytest.param(match.group(1), id=f"{page.relative_to(ROOT)}-{number}"))
    return found


@pytest.mark.parametrize("snippet", blocks("python"))
def test_a_snippet_runs(snippet, tmp_path, receiver):
    """A snippet runs as a program of its own, and logs nothing but what it is about."""
    needed = [
        name for name in THIRD_PARTIES if re.search(rf"^(from|import) {name}\b", snippet, re.M)
    ]
    for name in needed:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name}, which the snippet is about, is not installed")
    program = tmp_path / "program.py"
    program.write_text(snippet.replace("http://localhost:4318", receiver.url), encoding="utf-8")
    done = subprocess.run(
        # Third parties warn of what they deprecate among themselves.
        [sys.executable, "-W", "ignore" if needed else "error", program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    unexpected = [
        line
        for line in done.stderr.splitlines()
        if "BRIXO_API_KEY is not set" not in line and "required attributes are missing" not in line
    ]
    assert [] == unexpected


@pytest.mark.parametrize("snippet", blocks("json"))
def test_a_json_example_is_json(snippet):
    """What is shown as a line of a file can be read as one."""
    assert all(json.loads(line) for line in snippet.splitlines())


def test_the_first_snippet_writes_what_the_readme_shows(tmp_path):
    """The three lines of the README give a trace that `spanwise show` prints."""
    snippet = blocks("python")[0].values[0]  # type: ignore[attr-defined]
    (tmp_path / "program.py").write_text(snippet, encoding="utf-8")
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True, timeout=60)
    shown = subprocess.run(
        [sys.executable, "-m", "spanwise", "show"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout
    pattern = r"answer  [0-9a-f]{8}  \S+ \S+  .*\n└── answer  agent  .*\n"
    assert re.fullmatch(pattern, shown), shown


def test_the_readme_lists_every_setting():
    """Each setting has a row in the README's table, and each row is a setting."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split("## Configuration")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    fields = {f.name for f in dataclasses.fields(Settings) if f.name != "sources"}
    assert fields == listed


def test_the_readme_lists_every_dialect():
    """The vocabularies that can be asked for are named."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| `dialects`"))
    assert set(DIALECTS) <= set(re.findall(r"`(\w+)`", row))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Links to files of the repository exist."""
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_headings(page):
    """What a link names behind the `#` is a heading of the page that it leads to."""
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", text):
        linked = (page.parent / target) if target else page
        headings = re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.M)
        known = {re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings}
        assert anchor in known, f"{target}#{anchor}"


def test_every_user_visible_change_has_a_fragment():
    """There is a changelog, and what it is made of."""
    assert (ROOT / "CHANGELOG.md").is_file()
    assert list((ROOT / "changelog.d").glob("*.md"))
