"""The functions that every contender decorates, and what they are called with."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from typing import Any

QUESTION = "Which of the two contracts may be ended before March?"
FILTERS = {"customer": "acme", "year": 2024, "open": True}


def answer(question: str, limit: int, filters: dict[str, Any]) -> dict[str, Any]:
    """Do what a small tool does: take a few arguments, return a few values."""
    return {"text": question, "hits": limit, "score": 0.5}


async def answer_later(question: str, limit: int, filters: dict[str, Any]) -> dict[str, Any]:
    """Do the same, as a coroutine."""
    return {"text": question, "hits": limit, "score": 0.5}


def stream(steps: int) -> Iterator[str]:
    """Yield that many short pieces, as a model does."""
    for _ in range(steps):
        yield "piece"


async def stream_later(steps: int) -> AsyncIterator[str]:
    """Yield the same from an async generator."""
    for _ in range(steps):
        yield "piece"


def take(value: Any) -> None:
    """Take one argument, which may be large."""


@dataclasses.dataclass
class Passage:
    """A value as programs make them."""

    title: str
    text: str
    page: int
    score: float
    tags: list[str]


def payloads() -> dict[str, Any]:
    """Return the large arguments, by what they are called in the results."""
    sentence = "The quick brown fox asks 17 lazy dogs about the weather in Oslo. "
    text = (sentence * (1_000_000 // len(sentence) + 1))[:1_000_000]
    leaves = {f"row {row}": {f"c{cell}": row * cell for cell in range(10)} for row in range(1000)}
    return {
        "text and leaves": {"text": text, "rows": leaves},
        "text": text,
        "leaves": leaves,
        "words": [f"word {number}" for number in range(10_000)],
        "messages": [
            {"role": ("user", "assistant")[number % 2], "content": sentence * 8}
            for number in range(2000)
        ],
        "objects": [
            Passage(f"t{number}", sentence, number, 0.5, ["a", "b"]) for number in range(2000)
        ],
        "bytes": text.encode(),
        "base64": "iVBORw0KGgoAAAANSUhEUgAA" * 41_667,
    }
