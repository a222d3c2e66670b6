"""Of images, audio and other big binary content it is said what they are; they can be kept."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import stat
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace

import spanwise
from spanwise import _media
from spanwise._encoding import Encoder
from spanwise.export.media_files import MediaFiles


def content(head: bytes, size: int = 5000) -> bytes:
    return head + random.Random(1).randbytes(size - len(head))


PNG = content(b"\x89PNG\r\n\x1a\n")
FORMATS = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/gif": b"GIF89a",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBP",
    "image/avif": b"\x00\x00\x00\x1cftypavif",
    "audio/wav": b"RIFF\x00\x00\x00\x00WAVE",
    "audio/mpeg": b"ID3\x04",
    "audio/ogg": b"OggS",
    "audio/flac": b"fLaC",
    "video/mp4": b"\x00\x00\x00\x1cftypisom",
    "video/webm": b"\x1aE\xdf\xa3",
    "application/pdf": b"%PDF-1.7",
    "application/octet-stream": b"\x00\x01\x02",
}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def marker(data: bytes, media_type: str, kind: str = "base64") -> dict:
    digest = hashlib.sha256(data).hexdigest()
    return {"$type": kind, "media_type": media_type, "bytes": len(data), "sha256": digest}


def encoded(value, **options):
    return json.loads(Encoder(**options).dumps(value))


@pytest.mark.parametrize("media_type", FORMATS)
@pytest.mark.parametrize("size", [1024, 1025, 1026, 200_000])
def test_base64_and_bytes_are_described_alike(media_type, size):
    """With type, size and hash of what they hold, however they came."""
    data = content(FORMATS[media_type], size)
    expected = marker(data, media_type)
    assert expected == encoded(b64(data))
    assert expected == encoded(base64.urlsafe_b64encode(data).decode().rstrip("="))
    assert expected == encoded(base64.encodebytes(data).decode())
    assert {**expected, "$type": "bytes"} == encoded(data)
    assert {**expected, "$type": "bytearray"} == encoded(bytearray(data))


MESSAGES = {
    "openai image": lambda d: {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{d}", "detail": "low"},
    },
    "openai responses": lambda d: {
        "type": "input_image",
        "image_url": f"data:image/png;charset=utf-8;base64,{d}",
    },
    "openai audio": lambda d: {"type": "input_audio", "input_audio": {"data": d, "format": "wav"}},
    "anthropic": lambda d: {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": d},
    },
    "google": lambda d: {"inline_data": {"mime_type": "image/png", "data": base64.b64decode(d)}},
    "bedrock": lambda d: {"image": {"format": "png", "source": {"bytes": base64.b64decode(d)}}},
    "langchain": lambda d: {"type": "image", "base64": d, "mime_type": "image/png"},
    "mcp": lambda d: {"type": "image", "data": d, "mimeType": "image/png"},
    "semantic convention": lambda d: {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "content": d,
    },
    "markdown": lambda d: f"look: ![x](data:image/png;base64,{d}) and say",
}


@pytest.mark.parametrize("shape", MESSAGES)
def test_content_in_a_message_is_described_whatever_its_shape(files, shape):
    """What stands beside it is shown."""
    message = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}]}]
    message[0]["content"].append(MESSAGES[shape](b64(PNG)))
    with spanwise.observe("chat", type="generation", input=message):
        pass
    shown = files.text()
    assert b64(PNG)[100:150] not in shown
    assert hashlib.sha256(PNG).hexdigest() in shown
    assert "image/png" in shown
    assert "what is it?" in shown


HARMLESS = {
    "prose": "the quick brown fox " * 200,
    "one letter": "a" * 5000,
    "hexadecimal": "0123456789abcdef" * 200,
    "upper case hexadecimal": "0123456789ABCDEF" * 200,
    "identifier": "someVeryLongCamelCaseName" * 100,
    "path": "/usr/local/lib/python3/site" * 60,
    "digits": "0123456789" * 300,
    "lines": "\n".join(string.ascii_letters for _ in range(40)),
    "url": "data:image/png;utf8," + "<svg>" * 400,
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_text_that_is_no_content_stays(name):
    """Long words, digits and paths are shown as they are."""
    assert HARMLESS[name] == encoded(HARMLESS[name])
    assert HARMLESS[name] == _media.in_text(HARMLESS[name], None, _media.Allowance())


def test_short_base64_stays_a_text():
    """It may be an id, a cursor, or a key, which is the masker's to judge."""
    text = b64(PNG[:600])
    assert text == encoded(text)
    assert {"$type": "bytes", "bytes": 600} == encoded(PNG[:600])


@pytest.mark.parametrize("size", [10_000, 300_000, 800_000, 2_000_000])
def test_base64_in_lines_is_described_whatever_its_length(size):
    """As it stands in a mail; the size is that of what it holds."""
    data = content(b"\x89PNG\r\n\x1a\n", size)
    lines = base64.encodebytes(data).decode()
    for text in (lines, lines.replace("\n", "\r\n"), f"data:image/png;base64,\n{lines}"):
        found = encoded(text)
        assert ("image/png", size) == (found["media_type"], found["bytes"])
        if size <= 256 * 1024:
            assert hashlib.sha256(data).hexdigest() == found["sha256"]


@pytest.mark.parametrize(
    "middle", ["   ", "\ud800", "é", "\x00", "=", "====", "-----BEGIN-----", "{}"]
)
@pytest.mark.parametrize("size", [3_000, 900_000])
def test_what_only_begins_and_ends_like_base64_loses_nothing(files, middle, size):
    """The call is seen, with its input, whatever is in between."""

    @spanwise.tool
    def take(value):
        return value

    text = b64(content(b"\x89PNG\r\n\x1a\n", size))
    value = f"{text[: len(text) // 2 + 1]}{middle}{text[len(text) // 2 :]}"
    assert value == take(value)
    assert files.observation("take")["input"]


def test_many_contents_are_hashed_within_one_allowance():
    """The work does not grow with their number; each still says what it is."""
    text = b64(content(b"GIF89a", 200_000))
    found = encoded([[text] * 100] * 3)
    flat = [marker for row in found for marker in row if "$truncated" not in marker]
    assert all("image/gif" == marker["media_type"] for marker in flat)
    whole = [marker for marker in flat if "sha256" in marker]
    assert 0 < len(whole) * 200_000 <= _media.ALLOWANCE + 200_000
    assert len(flat) > 2 * len(whole)


def test_chunks_and_recordings_keep_content_too(tmp_path):
    """A call with an image can be run again only with the image."""
    spanwise.configure(
        traces_dir=tmp_path / "t", media_dir=tmp_path / "m", record=tmp_path / "calls.jsonl"
    )

    @spanwise.generation
    def stream():
        yield {"image": b64(PNG)}

    @spanwise.tool
    def look(image):
        return None

    other = content(b"GIF89a")
    list(stream())
    look(b64(other))
    digests = {hashlib.sha256(data).hexdigest() for data in (PNG, other)}
    assert digests == {path.stem for path in (tmp_path / "m").iterdir()}
    assert hashlib.sha256(other).hexdigest() in (tmp_path / "calls.jsonl").read_text()


def test_of_large_content_the_ends_are_hashed():
    """The work does not grow with the content, and the marker says what was hashed."""
    data = content(b"\x89PNG\r\n\x1a\n", 3_000_001)
    found, of_bytes = encoded(b64(data)), encoded(data)
    assert ("image/png", 3_000_001) == (found["media_type"], found["bytes"])
    assert "sha256" not in found
    assert found["sha256_of_ends"] == of_bytes["sha256_of_ends"]
    changed = bytes([*data[:-1], data[-1] ^ 1])
    assert found["sha256_of_ends"] != encoded(b64(changed))["sha256_of_ends"]


@given(st.binary(min_size=1024, max_size=4000))
def test_any_bytes_are_described_by_their_own_size_and_hash(data):
    """Whatever they hold; as base64 too, where it is recognised."""
    found = encoded(data)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (found["bytes"], found["sha256"])
    text = encoded(f"data:;base64,{b64(data)}")
    assert (len(data), hashlib.sha256(data).hexdigest()) == (text["bytes"], text["sha256"])


@pytest.mark.parametrize(
    "unit", ["A", "aB3", "data:", ";base64,", "data:image/png;base64,", "=", "/"]
)
def test_the_search_is_linear(unit):
    """Work is counted in characters by the regular expression engine: twice as long, twice as much."""
    import time

    def cost(size):
        text = (unit * size)[:size] + " "
        best = float("inf")
        for _ in range(5):
            started = time.perf_counter()
            _media.in_text(text, None, _media.Allowance())
            best = min(best, time.perf_counter() - started)
        return best

    assert cost(1_600_000) < 60 * cost(100_000) + 0.01


def test_a_third_partys_content_is_described_too(files, tmp_path):
    """In JSON texts, in values by themselves, in lists, bytes and events."""
    chat = json.dumps([{"content": [{"data": b64(PNG)}], "role": "user"}])
    with trace.get_tracer("third").start_as_current_span("theirs") as span:
        span.set_attribute("gen_ai.input.messages", chat)
        span.set_attribute("image", f"data:image/png;base64,{b64(PNG)}")
        span.set_attribute("images", [b64(PNG), "small"])
        span.set_attribute("raw", PNG)
        span.add_event("gen_ai.user.message", {"content": b64(PNG)})
    shown = files.text()
    for n in range(0, 3000, 500):
        assert b64(PNG)[n : n + 60] not in shown
        assert PNG[n : n + 30].hex() not in shown
    assert 5 <= shown.count(hashlib.sha256(PNG).hexdigest())
    assert "small" in shown
    assert "user" == files.observation("theirs")["input"][0]["role"]


def test_content_is_kept_once_beside_the_traces(tmp_path):
    """Under its hash, readable by its owner only; the marker names the file."""
    folder = tmp_path / "t" / "media"
    spanwise.configure(traces_dir=tmp_path / "t", media_dir=folder)
    with spanwise.observe("one", input={"a": PNG, "b": b64(PNG), "c": f"data:;base64,{b64(PNG)}"}):
        pass
    with trace.get_tracer("third").start_as_current_span("theirs") as span:
        span.set_attribute("image", b64(PNG))
    (path,) = folder.iterdir()
    assert f"{hashlib.sha256(PNG).hexdigest()}.png" == path.name
    assert PNG == path.read_bytes()
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 4 == (tmp_path / "t").glob("obs*").__next__().read_text().count(path.name)
    assert 1 == spanwise.stats()["written.media"]


def test_what_is_no_known_format_is_not_kept(tmp_path):
    """It could be a secret in a form that cannot be masked."""
    spanwise.configure(traces_dir=tmp_path / "t", media_dir=tmp_path / "m")
    unknown = random.Random(2).randbytes(4000)
    with spanwise.observe("one", input=[unknown, b64(unknown), b64(content(b"PK\x03\x04"))]):
        pass
    assert not (tmp_path / "m").exists()


def test_the_oldest_media_go_above_the_cap(tmp_path):
    """Counted, and the new content is there."""
    files = MediaFiles(tmp_path / "m", max_bytes=12_000)
    for n in range(4):
        data = content(b"GIF89a", 5000 - n)
        digest = hashlib.sha256(data).hexdigest()
        assert f"{digest}.gif" == files.keep(data, "image/gif", digest)
        os.utime(tmp_path / "m" / f"{digest}.gif", (n, n))
    assert {4998, 4997} == {path.stat().st_size for path in (tmp_path / "m").iterdir()}
    assert 2 == spanwise.stats()["deleted.media"]
    assert files.keep(b"x" * 20_000, "image/gif", "f" * 64) is None


def test_media_that_cannot_be_written_are_counted(tmp_path, caplog):
    """The marker is there all the same, without a file."""
    (tmp_path / "m").mkdir()
    spanwise.configure(traces_dir=tmp_path / "t", media_dir=tmp_path / "m")
    (tmp_path / "m").rmdir()
    (tmp_path / "m").write_text("in the way")
    with spanwise.observe("one", input=PNG):
        pass
    line = next((tmp_path / "t").glob("obs*")).read_text()
    assert hashlib.sha256(PNG).hexdigest() in line
    assert "file" not in json.loads(line)["input"]
    assert 1 == spanwise.stats()["lost.media"]
    assert "cannot keep media" in caplog.text
