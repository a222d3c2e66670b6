"""Every place in which two runs differ is found, and judged by the list of those that are meant."""

from __future__ import annotations

import pytest

from cli_compat.differences import ABSENT, Difference, Meant, Place, differences, judged


def found(published, ours, file="a.jsonl"):
    """Return the differences of one file as tuples."""
    return [(d.field, d.published, d.ours) for d in differences({file: published}, {file: ours})]


def test_equal_files_do_not_differ():
    """Values, lines and nothing at all."""
    files = {"a.jsonl": [{"a": [1, None]}], "b.md": ["one"], "c.jsonl": []}
    assert differences(files, files) == []


def test_a_value_is_found_by_its_path():
    """The path tells the line and the keys; what is missing is said to be."""
    published = [{"a": {"b": [1, 2]}, "gone": None}]
    ours = [{"a": {"b": [1, 3]}, "new": "x"}]
    assert found(published, ours) == [
        ("0.a.b.1", "2", "3"),
        ("0.gone", "null", ABSENT),
        ("0.new", ABSENT, '"x"'),
    ]


@pytest.mark.parametrize(("published", "ours"), [(1, True), (1, 1.0), (0, False), ("1", 1)])
def test_values_that_are_equal_in_python_only_differ(published, ours):
    """In a file, 1 is neither true nor 1.0."""
    assert len(found([published], [ours])) == 1


def test_a_list_of_another_length_differs():
    """Lines that only one of the files has are counted."""
    assert found([{"a": 1}, {"a": 2}], [{"a": 1}]) == [("length", "2", "1")]


def test_a_file_that_only_one_run_wrote_differs():
    """An empty file is not the same as none."""
    assert differences({"a.md": []}, {"b.jsonl": []}) == [
        Difference("a.md", "file", "(present)", ABSENT),
        Difference("b.jsonl", "file", ABSENT, "(present)"),
    ]


def test_texts_differ_by_their_lines():
    """A line that was changed, and one that was added."""
    assert found(["one", "two"], ["ONE", "two", "three"], "a.txt") == [
        ("line", "one", "ONE"),
        ("line", "", "three"),
    ]


def test_a_difference_is_meant_where_the_list_says_so():
    """File, field and both values must fit; an entry that fits nothing is told of."""
    level = Difference("x/observations.jsonl", "2.level", '"info"', '"error"')
    other = Difference("x/observations.jsonl", "2.level", '"info"', '"fatal"')
    place = Place("*/observations.jsonl", "*.level", '"info"', '"error"')
    idle = Place("*/observations.jsonl", "*.name")
    assert judged([level, other], [Meant("so", (place, idle))]) == ([other], [idle])
