"""A secret that no chunk holds whole is masked in the chunks that hold its parts."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import spanwise
from spanwise._masking import Masker
from spanwise._straddling import mask_across

KEY = "sk-" + "a1B2c3D4e5F6g7H8" * 2


@dataclasses.dataclass
class Delta:
    content: str


def openai(text):
    return {"id": "c-1", "choices": [{"index": 0, "delta": {"content": text}}]}


def anthropic(text):
    delta = {"type": "input_json_delta", "partial_json": text}
    return {"type": "content_block_delta", "index": 1, "delta": delta}


SHAPES = {
    "openai": openai,
    "anthropic": anthropic,
    "dataclass": Delta,
    "object": lambda text: SimpleNamespace(delta=SimpleNamespace(text=text)),
    "tuple": lambda text: ("messages", {"content": text}),
}
TEXTS = {
    "key": (f"use {KEY} now", KEY),
    "assignment": ("set password=hunter2hunter2 now", "hunter2hunter2"),
    "json": ('{"q": "x", "api_key": "plainvalue77"}', "plainvalue77"),
    "bearer": ("Authorization: Bearer abcdef123456zz then", "abcdef123456zz"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 3, 7, 11])
def test_a_secret_over_the_chunks_of_a_stream_is_masked(files, shape, text, size):
    """Whatever the shape of the chunks and wherever they are cut."""
    whole, secret = TEXTS[text]

    @spanwise.generation
    def stream():
        for start in range(0, len(whole), size):
            yield SHAPES[shape](whole[start : start + size])

    list(stream())
    line = json.dumps(files.observation("stream")["output"])
    leaves = "".join(texts_of(json.loads(line)))
    assert secret not in leaves
    assert "***" in leaves
    if text != "json":  # of it a JSON text is made anew
        assert leaves.count(whole[:4]) == 1 or size < 4


@pytest.mark.parametrize(
    "hooks",
    [
        {"process_output": lambda chunks: chunks},
        {"reduce": list},
        {"reduce": lambda chunks: [chunk["delta"] for chunk in chunks]},
        {"process_chunk": lambda chunk: {"kept": chunk["delta"]}},
    ],
    ids=["output", "reduce", "texts", "chunk"],
)
def test_a_hook_does_not_lead_around_it(files, hooks):
    """What a hook leaves in pieces is read as one, too."""

    @spanwise.generation(**hooks)
    def stream():
        for piece in ("password=", "hunter22S", "Secret99x and more"):
            yield {"delta": piece}

    list(stream())
    text = files.text()
    assert "hunter22S" not in text
    assert "Secret99x" not in text
    assert 1 == spanwise.stats()["masked"]
    assert "password=" in text


def choice(n, text):
    return {"choices": [{"index": n, "delta": {"content": text}}]}


def changing(n, text):
    return {"content": text if n else [{"text": text}]}


@pytest.mark.parametrize(
    "chunks",
    [
        [choice(n % 2, p) for p in ("password=", KEY[:9], KEY[9:]) for n in (0, 1)],
        [choice(0, "password="), choice(1, "hello "), choice(0, KEY[:9]), choice(0, KEY[9:])],
        [["password=", KEY[:20]], [KEY[20:]]],
        [{"content": "password="}, {"content": [{"text": KEY[:20]}]}, {"text": KEY[20:]}],
        [{"parts": [{"text": "password="}, {"text": KEY[:9]}, {"text": KEY[9:]}]}],
    ],
    ids=["parallel", "interleaved", "lists", "changing form", "one chunk"],
)
def test_pieces_are_found_where_streams_are_told_apart_or_change(files, chunks):
    """By an index beside them, and by what they are called."""

    @spanwise.generation
    def stream():
        yield from chunks

    list(stream())
    text = files.text()
    assert KEY[9:] not in text
    assert KEY[3:9] not in text or "sk-" not in text
    assert "password=" in text


def test_two_secrets_leave_what_is_between_them(files):
    """Only the parts that are secret change."""
    pieces = [f"a {KEY[:9]}", f"{KEY[9:]} hello ", "world ", f"b {KEY[:5]}", f"{KEY[5:]} end"]
    chunks = [{"t": piece} for piece in pieces]
    mask_across(chunks, None, Masker())
    assert ["a ***", " hello ", "world ", "b ***", " end"] == [c["t"] for c in chunks]


def test_ids_and_types_of_a_long_stream_stay(files):
    """They are no text, whatever was left out between them."""

    @spanwise.generation
    def stream():
        for n in range(2000):
            yield {"type": "delta" if n else "created", "id": f"evt_{n}", "delta": f"word{n} "}

    list(stream())
    output = files.observation("stream")["output"]
    kept = [item for item in output if "$truncated" not in item]
    assert all(item["type"] and item["id"].startswith("evt_") for item in kept)
    assert len(kept) > 50


def texts_of(value):
    if isinstance(value, dict):
        for key, item in value.items():
            if key not in ("id", "type"):
                yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str) and value != "messages":
        yield value


def test_chunks_without_a_secret_are_left_as_they_are():
    """Ids and labels that repeat in every chunk are no text to be joined."""
    chunks = [openai(word) for word in ("the ", "key ", "point", ": none")]
    expected = json.loads(json.dumps(chunks))
    mask_across(chunks, None, Masker())
    assert expected == chunks


def test_a_word_beside_chunks_that_were_left_out_is_dropped():
    """It may be a part of a secret, of which the rest is not there to tell."""
    chunks = [openai("see sk-a1"), openai("b2c3"), openai("d4e5 and"), openai(" more")]
    mask_across(chunks, 2, Masker())
    texts = [chunk["choices"][0]["delta"]["content"] for chunk in chunks]
    assert ["see ", "", " and", " more"] == texts


@given(
    st.lists(st.text("ab -=s", max_size=6), min_size=2, max_size=12),
    st.integers(0, 5),
    st.none() | st.integers(0, 12),
)
def test_what_is_left_reads_as_the_joined_text_masked(parts, place, gap):
    """Where no chunk was left out, joining and masking give the same in either order."""
    parts = [*parts[:place], " " + KEY[:9], KEY[9:] + " ", *parts[place:]]
    chunks = [{"t": part} for part in parts]
    mask_across(chunks, gap, Masker())
    joined = "".join(chunk["t"] for chunk in chunks)
    assert len(chunks) == len(parts)
    assert KEY not in joined
    if gap is None:
        assert Masker().text("".join(parts)) == joined


def test_a_long_stream_of_chunks_hides_a_secret_at_its_cut(files):
    """The middle is left out, and what lies beside it is no longer whole."""
    whole = "word " * 40 + KEY

    @spanwise.generation
    def stream():
        for _ in range(300):
            for start in range(0, len(whole), 5):
                yield {"content": whole[start : start + 5], "pad": "x" * 40}

    list(stream())
    output = files.observation("stream")["output"]
    cut = next(i for i, item in enumerate(output) if "$truncated" in item)
    assert 0 < cut < len(output) - 1
    for side in (output[:cut], output[cut + 1 :]):
        joined = "".join(item["content"] for item in side)
        for n in range(len(KEY) - 7):
            assert KEY[n : n + 8] not in joined
