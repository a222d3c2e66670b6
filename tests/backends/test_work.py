"""The comparison with what a backend shows finds what is missing, too much, or otherwise."""

from __future__ import annotations

from backends.work import WORK, differences, numbered


def test_what_is_shown_as_it_was_done_is_no_difference():
    """A backend may show more of a span than what is asked for."""
    assert [] == differences("x", {"a": {"kind": "TOOL"}}, {"a": {"kind": "TOOL", "more": 1}})


def test_each_kind_of_difference_is_told():
    """By the name of the work, with both values."""
    expected = {"a": {"kind": "TOOL", "ids": ...}, "b": {}}
    shown = {"a": {"kind": "LLM", "ids": "7f"}, "c": {}}
    assert [
        "x: b is not shown",
        "x: c is shown, too",
        "x: a: kind is 'LLM', not 'TOOL'",
    ] == differences("x", expected, shown)


def test_spans_of_one_name_are_told_apart_by_their_order():
    """The first keeps its name."""
    assert ["a", "b", "a 2", "a 3"] == numbered(["a", "b", "a", "a"])


def test_every_piece_of_work_lies_in_one_that_is_expected():
    """Else its parent could not be shown."""
    assert {work.parent for work in WORK.values()} <= {None, *WORK}
