"""The documents that a retrieval found, or a reranker was given and put in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from spanwise.dialects.said import text_of

MOST_DOCUMENTS: Final = 100

_CONTENTS: Final = ("content", "page_content", "text", "document", "body", "snippet", "passage")
_SCORES: Final = ("score", "relevance_score", "similarity", "_score")
_IDS: Final = ("id", "document_id", "doc_id", "_id")
_LISTS: Final = ("documents", "results", "matches", "hits", "passages", "docs", "nodes")


@dataclass(frozen=True)
class Document:
    """One document.

    Attributes:
        content: its text.
        id: of it.
        score: how well it fits.
        metadata: what else is said of it.
    """

    content: str | None
    id: str | None = None
    score: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def documents_in(value: Any) -> list[Document]:
    """Return the documents in a value: a list of them, or a mapping that has one."""
    if isinstance(value, Mapping):
        named = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
        lists = named or [part for part in value.values() if isinstance(part, list)]
        value = lists[0] if lists else [value] if _first(value, _CONTENTS) is not None else []
    if not isinstance(value, list):
        return []
    return list(_documents(value[:MOST_DOCUMENTS]))


def _documents(values: list[Any]) -> Iterator[Document]:
    for value in values:
        if isinstance(value, str):
            yield Document(value)
        elif isinstance(value, Mapping):
            yield _document(value)
        elif isinstance(value, list) and len(value) == 2:  # (document, score), in either order
            found = list(_documents([part for part in value if not _is_number(part)]))
            scores = [float(part) for part in value if _is_number(part)]
            if len(found) == len(scores) == 1:
                yield Document(found[0].content, found[0].id, scores[0], found[0].metadata)


def _document(value: Mapping[str, Any]) -> Document:
    name = _first(value, _CONTENTS)
    content = value[name] if name is not None else None
    if isinstance(content, Mapping):  # a hit, with the document inside
        inner = _document(content)
        return Document(inner.content, inner.id or _id(value), _score(value), inner.metadata)
    known = {*_CONTENTS, *_SCORES, *_IDS, "metadata", "type"}
    given = value.get("metadata")
    metadata = dict(given) if isinstance(given, Mapping) else {}
    metadata |= {key: part for key, part in value.items() if key not in known and part is not None}
    return Document(text_of(content), _id(value), _score(value), metadata)


def _score(value: Mapping[str, Any]) -> float | None:
    name = _first(value, _SCORES)
    return float(value[name]) if name is not None and _is_number(value[name]) else None


def _id(value: Mapping[str, Any]) -> str | None:
    name = _first(value, _IDS)
    return str(value[name]) if name is not None else None


def _first(value: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if value.get(name) is not None), None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
