"""The automaton that looks for hints of secrets answers as a search for each of them does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spanwise import _secret_hints, _secret_patterns
from spanwise._masking import Masker
from spanwise._secret_hints import Hints

# The fixtures of conftest.py set up nothing that one example could leave to the next.
quick = settings(
    max_examples=400,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NAMES = Masker().names.hints
OWN_NAMES = Masker(["Kunden-Nr.", "geheimnİs", "ключ", "a b", "wifi"]).names.hints
KINDS = [NAMES, OWN_NAMES]

known = [
    *(hint for hint, _ in _secret_patterns.VALUE_SHAPES),
    *OWN_NAMES,
    *_secret_hints._PROGRAMS,
    *("://", "-----", "\\u0061", "\\\\u0041", "\\u00", "\\u003d"),
    *("pass", "requirepass", "password", "pass phrase", "pass-code", "pass \t=", "pass    :"),
    *("pass     :", "pw", "pw=", "pw  :", "pw'", "\\", "-", "passport", "spw="),
]
# What becomes an ASCII letter in small letters, and what looks as if it did.
near_letters = "\u212a\u0130\u017f\u0131\u00df\u01f0"
odd_case = st.sampled_from(known).flatmap(
    lambda hint: st.sampled_from(
        [
            hint,
            hint.upper(),
            hint.title(),
            hint.replace("k", "\u212a").replace("i", "\u0130"),
            hint.replace("s", "\u017f"),
            hint[1:],
            hint[:-1],
        ]
    )
)
filling = st.text(st.characters(codec=None, exclude_categories=()), max_size=3) | st.text(
    f'abkiwps-_.=:> \t\n"\\{near_letters}', max_size=4
)
texts = st.lists(odd_case | filling, max_size=6).map("".join)


@quick
@example("\u212aEY", NAMES)
@example("to\u212aen", NAMES)
@example("\ud800 token", NAMES)
@example("\ud800 plain", NAMES)
@example("КЛЮЧ", OWN_NAMES)
@example("GEHEIMNİS", OWN_NAMES)
@example("WIF\u0130", OWN_NAMES)
@example("a\npw=", NAMES)
@example("\u212apw=", NAMES)
@example("curl\n\n -u", NAMES)
@given(texts, st.sampled_from(KINDS))
def test_one_automaton_finds_what_a_search_for_each_hint_finds(
    text: str, names: tuple[str, ...]
) -> None:
    """In any alphabet and case, with lone surrogates, for names of the program's own too."""
    hints = Hints(names)
    hints.prepare()
    assert hints.search != hints.occur_one_by_one
    assert hints.occur_one_by_one(text) == hints.occur_in(text)
    padded = f"{'a ' * 1500}{text}{' b' * 1500}"
    assert hints.occur_one_by_one(padded) == hints.occur_in(padded)


MASKERS = [Masker(), Masker(strict=True), Masker(["kunde"])]
parts = st.sampled_from(
    sorted(
        {
            *_secret_patterns.NAME_HINTS,
            *_secret_patterns.SECRET_WORDS,
            *_secret_patterns.HARMLESS_WORDS,
            *_secret_patterns.COUNTING_WORDS,
            *_secret_patterns.RELATIVE_NAMES,
            *_secret_patterns.LABEL_NAMES,
            *_secret_patterns.USER_NAMES,
            *("kunde", "pass", "pw", "db", "x", "1"),
        }
    )
)
words = st.builds(
    lambda some, between, write: between.join(map(write, some)),
    st.lists(parts, min_size=1, max_size=3),
    st.sampled_from(["", "_", "-", " ", ".", "\n"]),
    st.sampled_from([str, str.title, str.upper]),
)
entries = st.dictionaries(
    words | parts, words | st.sampled_from(["Secret", "x1y2z3", 5, {"a": "b"}]), max_size=4
)
items = st.lists(words | st.sampled_from(["-p", "-x", "--api-key", 5]), max_size=3)


@quick
@given(entries | items, st.sampled_from(MASKERS))
def test_the_text_of_a_value_tells_of_every_name_that_hides_something(
    value: dict[str, Any] | list[Any], masker: Masker
) -> None:
    """Alone, beside others, as a pair, among the arguments of a command."""
    if type(value) is dict:
        hidden: Any = masker.hidden_entries(list(value.items()))
    else:
        hidden = masker.hidden_items(value)
    masker.hints.prepare()
    assert masker.hints.tells_something is not None
    assert not hidden or masker.hints.tells_something(orjson.dumps(value).decode())


def test_only_two_letters_of_other_alphabets_become_ascii_in_small_letters() -> None:
    """The dotted I has a dot behind it then: only the last letter of a name can be one."""
    found = [c for c in map(chr, range(0x80, 0x110000)) if any(map(str.isascii, c.lower()))]
    assert ["\u0130", "\u212a"] == found
    assert "i\u0307" == "\u0130".lower()


@pytest.mark.parametrize("text", [*known, "plain text", "", "\ud800", "日本語"])
def test_without_the_automaton_the_answers_are_the_same(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where pydantic's validator cannot be had, each hint is looked for."""
    fast = Hints(NAMES)
    expected = fast.occur_in(text)
    monkeypatch.setitem(sys.modules, "pydantic_core", None)
    slow = Hints(NAMES)
    slow.prepare()
    assert expected == slow.occur_in(text)
    assert slow.search == slow.occur_one_by_one
    assert slow.tells_something is None


def test_more_names_than_an_automaton_holds_are_looked_for_all_the_same() -> None:
    """A program may name thousands of its own, of any length."""
    names = tuple(f"{number:x}" * 2000 for number in range(0x10000, 0x10100))
    hints = Hints(names)
    assert hints.occur_in(f"a {names[-1].upper()} b")
    assert not hints.occur_in("a b")


@pytest.mark.parametrize(("texts", "is_made"), [(0, False), (20, False), (500, True)])
def test_the_automaton_is_made_for_many_texts_only(texts: int, is_made: bool) -> None:
    """An import and a few calls stay light; the answers are the same before and after."""
    script = (
        "import sys, spanwise\n"
        "from spanwise._masking import Masker\n"
        "masker = Masker()\n"
        f"for number in range({texts}):\n"
        "    assert not masker.suspects(f'plain {number}')\n"
        "    assert masker.suspects(f'token {number}')\n"
        "print('pydantic_core' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert str(is_made) == done.stdout.strip()
