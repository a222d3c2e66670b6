"""Documents are found in what retrievals return and rerankers are given."""

from __future__ import annotations

import pytest

from spanwise.dialects.documents import MOST_DOCUMENTS, Document, documents_in


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a", "b"], [Document("a"), Document("b")]),
        (
            [{"id": "d1", "content": "a", "score": 0.5, "metadata": {"page": 3}}],
            [Document("a", "d1", 0.5, {"page": 3})],
        ),
        (
            [{"page_content": "a", "metadata": {"source": "x"}, "id": None, "type": "Document"}],
            [Document("a", metadata={"source": "x"})],
        ),
        (
            [["a", 0.5], [0.25, {"text": "b"}]],
            [Document("a", score=0.5), Document("b", score=0.25)],
        ),
        (
            {"matches": [{"_id": 7, "similarity": 1, "text": "a", "lang": "de"}], "took": [1]},
            [Document("a", "7", 1.0, {"lang": "de"})],
        ),
        (
            [{"document": {"content": "a", "id": "d1"}, "relevance_score": 0.5}],
            [Document("a", "d1", 0.5)],
        ),
        ({"query": "q", "candidates": ["a"]}, [Document("a")]),
        ({"content": "a"}, [Document("a")]),
        ([{"title": "no text"}], [Document(None, metadata={"title": "no text"})]),
        ({"query": "q"}, []),
        ("a", []),
        (7, []),
        (None, []),
        ([1, None, ["a", "b"]], []),
    ],
)
def test_documents_are_found_in_what_libraries_return(value, expected):
    """Texts, mappings, pairs with a score, hits with a document inside, and lists under a name."""
    assert expected == documents_in(value)


def test_the_number_of_documents_is_bounded():
    """The rest is in the output."""
    assert MOST_DOCUMENTS == len(documents_in(["a"] * 1000))
