"""A value that is written without a walk has the text that the walk makes of it."""

from __future__ import annotations

import base64
import random
import sys
import threading
import uuid
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spanwise._encoding import Encoder
from spanwise._limits import Limits
from spanwise._masking import Masker
from spanwise._plain_values import PlainValues
from spanwise._secret_names import Verdict
from spanwise._small_values import SmallValues

# The fixtures of conftest.py set up nothing that one example could leave to the next.
quick = settings(
    max_examples=300,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

IMAGE = base64.b64encode(random.Random(1).randbytes(1500)).decode()
LONG = "The quick brown fox. "
texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=8) | st.sampled_from(
    [
        *(
            "",
            "-",
            "-p",
            "- a point",
            "x",
            "hunter2",
            "Authorization",
            "password=x",
            "sk-a1b2c3d4e5f6g7",
        ),
        *("\ud800", "\u212aey", "pass\t=x", "<callable:send_it>", "<callable:f>" + "x" * 300),
        *(LONG * 12, LONG * 13, LONG * 60, LONG * 900, "é" * 300, '"' * 300, "\x00" * 300),
        *("x" * 1024, "ab" * 600, IMAGE, f"see {IMAGE}", f"data:image/png;base64,{IMAGE}"),
        *(f"DATA:image/png;BASE64,{IMAGE}", f"{LONG} data:a/b;base64,{IMAGE} {LONG}"),
    ]
)
names_of_many = [f"field{number}" for number in range(50)]
names = st.text(max_size=4) | st.sampled_from(
    [
        *("a", "question", "role", "content", "tool_call_id", "name", "key", "value", "values"),
        *("data", "kind", "pass", "user", "token", "max_tokens", "tokens", "password", "on_send"),
        *("send_message", "k" * 256, "k" * 257, "\ud800", "é", "Kunde", "-p", "$truncated"),
        *('quo"ted', "back\\slash", "db_pass_1", "sql pw", 'k"' * 150, "label", "stringData"),
    ]
)
leaves = (
    texts
    | st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64 - 1, 10**400])
    | st.sampled_from([10**18 - 1, 10**18, -(10**18)])
    | st.floats()
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=7)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(names, inner, max_size=7)
        | st.tuples(texts, inner)
        | st.builds(lambda item, count: [item] * count, inner, st.integers(0, 260))
        | st.builds(
            lambda item, count: {str(n): item for n in range(count)}, inner, st.integers(0, 60)
        )
        | st.sampled_from([{1: 2}, {"a": {1}}, {"a": b"x"}, {"a": Limits}])
    ),
    max_leaves=25,
)
all_limits = st.just(Limits()) | st.builds(
    Limits,
    bytes=st.integers(1, 5000),
    characters=st.none() | st.integers(1, 3000),
    string=st.integers(1, 2000),
    items=st.integers(1, 50),
    nodes=st.integers(1, 300),
    depth=st.integers(1, 12),
)
MASKERS = [
    Masker(),
    Masker(["Kunde", "content"]),
    Masker(strict=True),
    Masker(['quo"ted', "back\\slash"]),
]
for each in MASKERS:
    each.hints.prepare()
maskers = st.sampled_from(MASKERS)


@quick
@example({"a": ["y" * 250] * 200}, Limits(), Masker())
@example({str(n): ["y" * 200] for n in range(100)}, Limits(), Masker())
@example([[[["y" * 200] * 5] * 5] * 5] * 5, Limits(), Masker())
@example({"content": "x", "a": 1}, Limits(), Masker(["content"]))
@example({"content": "x", "role": "user"}, Limits(), Masker(["content"]))
@example({"send_it": "<callable:f>" + "x" * 300}, Limits(), Masker())
@example({str(j): {str(i): i for i in range(100)} for j in range(100)}, Limits(), Masker())
@example([[n * 0.5 for n in range(150)], [float("nan")] * 20, ["-p", "x"] * 9], Limits(), Masker())
@example({"a": [{"name": "password", "value": "x"}] * 9, "b": {"value": 1}}, Limits(), Masker())
@example([{"value": "x", **dict.fromkeys(names_of_many, 1), "name": "token"}], Limits(), Masker())
@given(values, all_limits, maskers)
def test_a_value_has_the_text_that_the_walk_makes(
    value: Any, limits: Limits, masker: Masker
) -> None:
    """Whatever is in it, with any limits, before and after its names are known."""
    walking = Encoder(masker, limits)
    walking.plain = None
    expected = walking.dumps(value)
    for _ in range(2):
        encoder = Encoder(masker, limits)
        found = encoder.dumps(value)
        assert encoder.plain is not None
        small = encoder.small.text_of(value)
        assert small is None or expected == small
        # What is plain is as it was; what has plain parts may be cut elsewhere, if it is cut.
        if encoder.plain.text_of(value) is not None or not (is_cut(expected) or is_cut(found)):
            assert expected == found
        masker.names.harmless.clear()


def is_cut(text: str) -> bool:
    """Return whether something does not fit, and says so or is said by the smallest texts."""
    return "$truncated" in text or len(text) <= 2


def test_what_does_not_fit_may_say_of_what_does_that_it_is_secret() -> None:
    """A description's name counts, too, where there is no more room for it."""
    described = {"value": "hunter2", **dict.fromkeys(names_of_many, 1), "name": "password"}
    text = Encoder(limits=Limits(nodes=20)).dumps([described])
    assert '"value":"***"' in text
    assert "password" not in text


@pytest.mark.parametrize(
    "value",
    [
        None,
        "fine, thanks",
        {"question": "why?", "k": 2},
        {"messages": [{"role": "user", "content": "hello"}] * 10, "model": "m", "t": 0.5},
        {"prompt": LONG * 400},
        [1, 2.5, True, {"a": (1, 2)}],
    ],
    ids=repr,
)
def test_an_ordinary_value_is_not_walked(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages, prompts, numbers and answers are written as they are."""
    monkeypatch.setattr(Encoder, "_walked", None)
    monkeypatch.setattr(SmallValues, "text_of", lambda self, value: None)
    assert orjson.dumps(value).decode() == Encoder().dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "fine, thanks",
        "schön",
        {},
        {"question": "why?", "limit": 5, "filters": {"year": 2024, "open": True}},
        {"text": LONG * 12, "hits": [{"id": 1, "score": 0.5}, {"id": 2, "score": 0.25}]},
        [1, 2.5, False, {"a": ("b", None)}],
        {"k" * 256: 1},
    ],
    ids=repr,
)
def test_a_few_short_values_are_not_copied(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are what most calls take and return."""
    monkeypatch.setattr(PlainValues, "text_of", None)
    assert orjson.dumps(value).decode() == Encoder(MASKERS[0]).dumps(value)


class SecretStr(str):
    """Hidden for what it is called."""


@pytest.mark.parametrize(
    "value",
    [
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": 2**63},
        {"a": "sk-a1b2c3d4e5f6g7h8i9j0"},
        {"password": "x"},
        {"db_pass_1": "hunter2"},
        {"name": "token", "value": "hunter2"},
        ["password", "hunter2"],
        {"argv": ["-p", "hunter2"]},
        {"k" * 257: 1},
        {"a": {"k" * 257: 1}},
        {"a": Verdict.SAFE},
        {"a": uuid.UUID(int=1)},
        {"a": b"x"},
        {1: 2},
        {"a": "x" * 257},
        {"a": [[[[1]]]]},
        {"a": [1] * 300},
        {"a": "\ud800"},
        {"a": SecretStr("hunter2")},
        {SecretStr("a"): 1},
        {SecretStr("a"): {"b": 1}},
    ],
    ids=lambda value: repr(value)[:60],
)
def test_whatever_needs_a_look_is_not_small(value: Any) -> None:
    """What may be secret, is cut, or is of a type of its own."""
    encoder = Encoder(MASKERS[0])
    assert encoder.small.text_of(value) is None
    walking = Encoder(MASKERS[0])
    walking.plain = None
    assert walking.dumps(value) == encoder.dumps(value)


def test_nothing_is_small_that_a_name_of_the_program_s_may_be_in_unseen() -> None:
    """A name that JSON writes otherwise is not found in the text."""
    for name in ('quo"ted', "back\\slash", "geheimnİs", "tab\t"):
        encoder = Encoder(Masker([name]))
        encoder.masker.hints.prepare()
        assert encoder.small.text_of({"a": 1}) is None
        assert "hunter2" not in encoder.dumps({f"my {name}": "hunter2"})


def test_a_value_that_another_thread_changes_is_written_within_the_limits() -> None:
    """What is looked at is what is written, and nothing is raised."""
    inner: list[Any] = ["a"]
    value: dict[str, Any] = {"a": inner, "b": {"c": 1}}  # small, now and then
    limits = Limits(bytes=4000, items=50)
    is_done = threading.Event()

    def change() -> None:
        chosen = random.Random(2)
        while not is_done.is_set():
            inner[:] = [{"x": "y" * 5}] * chosen.randrange(400)
            value[f"k{chosen.randrange(60)}"] = chosen.choice(
                [1, "x" * 3000, inner, {1, 2}, object()]
            )
            value["b"][chosen.randrange(90)] = 2**70
            value["b"].clear()
            value.pop(f"k{chosen.randrange(60)}", None)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        encoder = Encoder(MASKERS[0], limits)
        for _ in range(300):
            text = encoder.dumps(value)
            assert len(text.encode()) <= limits.bytes
            orjson.loads(text)
    finally:
        is_done.set()
        thread.join()


def test_what_another_thread_puts_there_is_not_written_unseen() -> None:
    """What is written is what was looked at, whenever the value changes."""
    inner = {f"field{number}": "v" * 200 for number in range(14)}
    value: dict[str, Any] = {"a": "plain", "b": dict.fromkeys("cdefghij", 1), "inner": inner}
    encoder = Encoder(MASKERS[0])
    is_done = threading.Event()

    def change() -> None:
        while not is_done.is_set():
            value["a"] = SecretStr("hunter2")
            inner["extra"] = 1
            str(1)  # where threads take turns
            value["a"] = "plain"
            str(1)
            inner.pop("extra")

    thread = threading.Thread(target=change)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        texts = [encoder.dumps(value) for _ in range(5000)]
    finally:
        sys.setswitchinterval(before)
        is_done.set()
        thread.join()
    assert not [text for text in texts if "hunter2" in text]
    assert 2 <= len({*texts}), "it changed"
