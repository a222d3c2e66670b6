"""A question-answering agent over Python's own documentation, traced, with nothing to sign up for.

    python examples/quickstart.py [FOLDER]

It searches the language reference that comes with every Python, looks facts up with a tool,
streams an answer made of the reference's own sentences, and fails at one question. Several users
of two accounts ask. At the end it prints the traces and where the files are.
"""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

import spanwise

WORD = re.compile(r"[a-z_]{3,}")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")

PAGES = {name: Counter(WORD.findall(text.lower())) for name, text in topics.items()}
SEEN_IN = Counter(word for words in PAGES.values() for word in words)


@spanwise.retrieval
def search(question: str, limit: int = 3) -> list[dict[str, object]]:
    """Rank the pages of the reference by the question's rarer words."""
    words = set(WORD.findall(question.lower())) & SEEN_IN.keys()

    def score(name: str) -> float:
        page = PAGES[name]
        length = 1 + math.log(1 + page.total())
        return sum(
            (1 + math.log(page[word])) * math.log(len(PAGES) / SEEN_IN[word]) / length
            for word in words
            if page[word]
        )

    best = sorted(PAGES, key=score, reverse=True)[:limit]
    return [{"page": name, "score": round(score(name), 2)} for name in best if score(name) > 0]


@spanwise.tool(description="Count the words and sentences of a page of the reference")
def page_facts(page: str) -> dict[str, int]:
    """Return how long a page is; an unknown page is a KeyError."""
    text = topics[page]
    return {"words": len(text.split()), "sentences": len(SENTENCE.split(text))}


@spanwise.generation(model="extractive-1", provider="quickstart")
def write_answer(question: str, pages: list[str]) -> Iterator[str]:
    """Stream the sentences of the pages that have most in common with the question."""
    wanted = set(WORD.findall(question.lower()))
    sentences = [
        " ".join(sentence.split())
        for page in pages
        for sentence in SENTENCE.split(topics[page])
        if 40 < len(sentence) < 400
    ]
    ranked = sorted(sentences, key=lambda s: -len(wanted & set(WORD.findall(s.lower()))))
    answer = ranked[:3]
    spanwise.current().update(
        usage={
            "input_tokens": sum(len(sentence.split()) for sentence in sentences),
            "output_tokens": sum(len(sentence.split()) for sentence in answer),
        }
    )
    for sentence in answer:
        yield sentence + " "


@spanwise.agent(name="Reference", version="1")
def answer_question(question: str) -> str:
    """Search, look up, and write."""
    found = search(question)
    pages = [str(hit["page"]) for hit in found]
    for page in pages[:1] or ["no such page"]:
        page_facts(page)
    with spanwise.observe("order passages", type="reranker") as observation:
        pages.sort(key=lambda page: PAGES[page].total())
        observation.update(output=pages, metadata={"by": "length"})
    return "".join(write_answer(question, pages)).strip()


@spanwise.interaction("Ask the reference")
def handle(question: str) -> str:
    """One question, one answer."""
    try:
        return answer_question(question)
    except KeyError:
        spanwise.current().update(level="warning", metadata={"answered": False})
        return "The reference says nothing about that."


QUESTIONS = (
    ("jane@acme.com", "ACME", "What does the with statement do when an exception is raised?"),
    ("jane@acme.com", "ACME", "How are generator expressions evaluated?"),
    ("lee@globex.com", "Globex", "How does import find a module?"),
    ("lee@globex.com", "Globex", "Zxqv wkrp?"),
)


def main(folder: Path) -> None:
    """Ask the questions and show what was traced."""
    spanwise.configure(
        service_name="quickstart",
        environment="demo",
        traces_dir=folder,
        record=folder / "calls.jsonl",
    )
    for user, account, question in QUESTIONS:
        with spanwise.identify(user=user, account=account, session_id=f"visit of {user}"):
            print(f"{user} asks: {question}")
            print(f"    {handle(question)[:90]}")
    spanwise.shutdown()

    from spanwise.cli import commands

    print("\nWhat happened, as `spanwise show` prints it:\n", flush=True)
    commands(["show", str(folder), "--limit", str(len(QUESTIONS))], standalone_mode=False)
    print("\nThe files:")
    for path in sorted(folder.glob("*.jsonl")):
        print(f"    {path}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "traces"))
