"""What recorded spans come out as, in short: the observations of the files and their attributes.

python -m foreign_spans.meanings     write tests/data/foreign_meanings.json, to be looked at
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import spanwise
from foreign_spans.recording import replay
from spanwise import _state
from support.files import Files

DATA = Path(__file__).resolve().parents[1] / "data"
GOLDEN = DATA / "foreign_meanings.json"
_FIELDS = (
    *("name", "type", "model", "prompt_tokens", "completion_tokens", "total_tokens"),
    *("session_id", "user_id", "tags", "level", "status_message"),
)
_LONGEST = 200


def recordings(*, pairs: bool) -> list[str]:
    """Return the names of the recordings, of one instrumentor each or of two."""
    found = sorted(path.stem for path in (DATA / "foreign_spans").glob("*.jsonl"))
    return [name for name in found if name.startswith("pair-") == pairs]


def recorded(name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the head of a recording and its steps."""
    lines = (DATA / "foreign_spans" / f"{name}.jsonl").read_text().splitlines()
    head, *steps = map(json.loads, lines)
    return head, steps


def observations(name: str, folder: Path, **settings: Any) -> list[dict[str, Any]]:
    """Return the lines of the files that the recorded spans make."""
    spanwise.configure(traces_dir=folder, **settings)
    assert _state.runtime is not None
    replay(recorded(name)[1], _state.runtime.provider)
    spanwise.flush(10)
    return Files(folder).observations()


def in_short(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what of the lines does not differ from run to run, with long values cut."""
    names = {line["id"]: line["name"] for line in lines}
    short = []
    for line in lines:
        said = {key: line[key] for key in _FIELDS if key in line}
        said["parent"] = names.get(line["parent_id"])
        said |= {key: _cut(line[key]) for key in ("input", "output") if line[key] is not None}
        said["metadata"] = sorted(line["metadata"])
        said["gen_ai"] = {
            key: _cut(value)
            for key, value in sorted(line["attributes"].items())
            if key.startswith("gen_ai.") and "messages" not in key and "first_chunk" not in key
        }
        short.append(said)
    return short


def _cut(value: Any) -> Any:
    text = json.dumps(value)
    return value if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)})"


if __name__ == "__main__":
    found = {}
    for recording in recordings(pairs=False):
        with tempfile.TemporaryDirectory() as folder:
            found[recording] = in_short(observations(recording, Path(folder)))
            spanwise.shutdown()
            _state.reset()
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n")
