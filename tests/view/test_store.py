"""What a folder of JSONL files is read back as, whoever wrote it and however that ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

import spanwise
from spanwise.view.lines import Observation
from spanwise.view.store import Store, Trace, Traces

TRACE = "0af7651916cd43dd8448eb211c80319c"
OTHER = "1bf7651916cd43dd8448eb211c80319d"

Write = Callable[..., None]


def at(second: float) -> str:
    return datetime.fromtimestamp(1_700_000_000 + second, timezone.utc).isoformat()


def observation(id: str, parent_id: str | None = None, **fields: Any) -> dict[str, Any]:
    line = {
        "id": id,
        "trace_id": TRACE,
        "parent_id": parent_id,
        "type": "span",
        "name": id,
        "start_time": at(0),
        "end_time": at(1),
        "input": None,
        "output": None,
        "metadata": {},
    }
    return {**line, **fields}


def trace_line(**fields: Any) -> dict[str, Any]:
    line = {
        "trace_id": TRACE,
        "name": "main",
        "session_id": None,
        "start_time": at(0),
        "end_time": at(1),
        "metadata": {},
        "tags": [],
        "status": "success",
    }
    return {**line, **fields}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Append lines (mappings, or text as it is) to a file of the folder."""

    def append(name: str, *lines: dict[str, Any] | str | bytes) -> None:
        with (tmp_path / name).open("ab") as file:
            for line in lines:
                data = orjson.dumps(line) if isinstance(line, dict) else line
                file.write((data.encode() if isinstance(data, str) else data) + b"\n")

    return append


@pytest.fixture
def read(tmp_path: Path) -> Callable[[], Traces]:
    """Read the folder."""
    return Store(tmp_path).read


@pytest.fixture
def only(read: Callable[[], Traces]) -> Callable[[], Trace]:
    """Read the folder, which holds one trace and no torn line."""

    def one() -> Trace:
        found = read()
        assert found.torn_lines == 0
        (trace,) = found.traces
        return trace

    return one


def shape(trace: Trace) -> list[tuple[int, str]]:
    return [(depth, node.id) for depth, node in trace.walk()]


def nodes(trace: Trace) -> dict[str, Observation]:
    return {node.id: node for _, node in trace.walk()}


def test_what_spanwise_writes_is_read_back(tmp_path: Path) -> None:
    """The store reads what the processors of this very version write."""
    spanwise.configure(traces_dir=tmp_path / "traces", service_name="bot")

    @spanwise.generation(model="gpt-4o")
    def ask(prompt: str) -> str:
        spanwise.current().update(usage={"input_tokens": 3, "output_tokens": 4})
        return "four"

    @spanwise.agent
    def answer(question: str) -> str:
        return ask(question)

    with spanwise.identify(user="jane", account="acme", session_id="s-1"):
        answer("2+2?")
    spanwise.flush()

    (trace,) = Store(tmp_path / "traces").read().traces

    assert [(depth, node.type, node.name) for depth, node in trace.walk()] == [
        (0, "agent", "answer"),
        (1, "generation", "ask"),
    ]
    assert (trace.name, trace.status, trace.service) == ("answer", "success", "bot")
    assert trace.user_ids == ("jane",)
    assert trace.account_ids == ("acme",)
    assert trace.session_ids == ("s-1",)
    assert (trace.prompt_tokens, trace.completion_tokens, trace.total_tokens) == (3, 4, 7)
    generation = trace.roots[0].children[0]
    assert generation.input == {"prompt": "2+2?"}
    assert generation.output == "four"
    assert generation.model == "gpt-4o"
    assert generation.attributes["gen_ai.operation.name"] == "chat"


def test_every_field_of_an_observation_is_read(write: Write, only: Callable[[], Trace]) -> None:
    """An observation has what its line says, with times in UTC."""
    write(
        "observations_20261120.jsonl",
        observation(
            "a",
            type="tool",
            name="search",
            start_time="2026-11-20T10:00:00.250000+02:00",
            end_time="2026-11-20T08:00:01+00:00",
            input={"q": 1},
            output=[2],
            metadata={"k": 5},
            error="boom",
            level="error",
            model="m",
            prompt_tokens=1,
            completion_tokens=2,
            total_tokens=3,
            tags=["x", "y"],
            user_id="u",
            account_id="acc",
            session_id="s",
            attributes={"a.b": 1},
        ),
    )

    (found,) = only().roots

    assert found.trace_id == TRACE
    assert (found.type, found.name, found.parent_id) == ("tool", "search", None)
    assert found.start == datetime(2026, 11, 20, 8, 0, 0, 250_000, timezone.utc)
    assert found.end == datetime(2026, 11, 20, 8, 0, 1, 0, timezone.utc)
    assert (found.input, found.output, found.metadata) == ({"q": 1}, [2], {"k": 5})
    assert (found.error, found.level, found.failed) == ("boom", "error", True)
    assert (found.prompt_tokens, found.completion_tokens, found.total_tokens) == (1, 2, 3)
    assert (found.model, found.tags) == ("m", ("x", "y"))
    assert (found.user_id, found.account_id, found.session_id) == ("u", "acc", "s")
    assert found.attributes == {"a.b": 1}


def test_files_are_read_in_the_order_they_were_written(
    write: Write, read: Callable[[], Traces]
) -> None:
    """Days come in order, and a day's tenth file comes after its second."""
    for name in (
        "observations_20261121.jsonl",
        "observations_20261120_10.jsonl",
        "observations_20261120_2.jsonl",
        "observations_20261120.jsonl",
        "observations.jsonl",
    ):
        write(name, observation("a", name=name))

    found = read()

    assert [path.name for path in found.files] == [
        "observations.jsonl",
        "observations_20261120.jsonl",
        "observations_20261120_2.jsonl",
        "observations_20261120_10.jsonl",
        "observations_20261121.jsonl",
    ]
    assert found.traces[0].roots[0].name == "observations_20261121.jsonl"


def test_other_files_are_left_alone(
    write: Write, read: Callable[[], Traces], tmp_path: Path
) -> None:
    """Recordings, half-named files and folders are none of the store's."""
    write("calls.jsonl", observation("a"))
    write("observations_x.jsonl", observation("a"))
    write("observations_20261120.jsonl.bak", observation("a"))
    (tmp_path / "traces_20261120.jsonl").mkdir()

    assert read() == Traces()


def test_a_folder_that_does_not_exist_holds_no_traces(tmp_path: Path) -> None:
    """Nothing was written yet, which is no error here."""
    assert Store(tmp_path / "none").read() == Traces()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_of_that_name_does_not_block(read: Callable[[], Traces], tmp_path: Path) -> None:
    """Only regular files are opened."""
    os.mkfifo(tmp_path / "traces_20261120.jsonl")

    assert read() == Traces()


@pytest.mark.parametrize(
    ("fault", "unreadable"),
    [
        (
            PermissionError(13, "Permission denied"),
            {"observations_20261120.jsonl": "Permission denied"},
        ),
        (FileNotFoundError(2, "No such file or directory"), {}),
    ],
)
def test_a_file_that_cannot_be_read_is_named_unless_it_went(
    fault: OSError,
    unreadable: dict[str, str],
    write: Write,
    read: Callable[[], Traces],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another user's file is told of, one that a size cap took is not, and the rest is read."""
    write("observations_20261120.jsonl", observation("a"))
    write("observations_20261121.jsonl", observation("b"))
    opened = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == "observations_20261120.jsonl":
            raise fault
        return opened(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        found = read()

    assert found.unreadable == unreadable
    assert [path.name for path in found.files] == ["observations_20261121.jsonl"]
    assert [shape(trace) for trace in found.traces] == [[(0, "b")]]


def test_a_torn_line_is_skipped_and_counted(write: Write, read: Callable[[], Traces]) -> None:
    """A line that was cut short costs itself only."""
    write("observations_20261120.jsonl", '{"id":"x","tra', observation("a"))
    write("traces_20261120.jsonl", '{"trace_id":"' + TRACE, trace_line())

    found = read()

    assert found.torn_lines == 2
    assert [(trace.name, shape(trace)) for trace in found.traces] == [("main", [(0, "a")])]


@pytest.mark.parametrize(
    "line",
    [
        "[1,2]",
        '"text"',
        "7",
        "null",
        "{}",
        '{"id":"a"}',
        '{"trace_id":"t"}',
        '{"id":7,"trace_id":"t"}',
        '{"id":"a","trace_id":["t"]}',
        '{"id":"a","trace_id":""}',
        b"\xff\xfe\x00",
        b"\x00" * 512,
        '{"id":"a","trace_id":"t","input":1e999}',
        "[" * 100_000,
        '{"id":"a","trace_id":"t","input":' + "[" * 5000 + "]" * 5000 + "}",
        '{"id":"a","trace_id":"t","input":' + "9" * 5000 + "e}",
    ],
    ids=range(16),
)
def test_a_line_that_is_none_of_ours_is_counted(
    line: str | bytes, write: Write, read: Callable[[], Traces]
) -> None:
    """Neither other JSON nor garbage raises, whatever its depth."""
    write("observations_20261120.jsonl", line)

    assert (read().torn_lines, read().traces) == (1, [])


def test_an_empty_line_is_not_a_torn_one(write: Write, read: Callable[[], Traces]) -> None:
    """Writers end a neighbour's line with a newline that may not have been needed."""
    write("observations_20261120.jsonl", "", observation("a"), "  ")

    assert (read().torn_lines, len(read().traces)) == (0, 1)


def test_a_last_line_without_its_newline_is_read(
    read: Callable[[], Traces], tmp_path: Path
) -> None:
    """A whole line counts, ended or not."""
    (tmp_path / "observations.jsonl").write_bytes(orjson.dumps(observation("a")))

    assert (read().torn_lines, len(read().traces)) == (0, 1)


def test_what_the_standard_library_writes_is_read(write: Write, only: Callable[[], Trace]) -> None:
    """NaN and half a surrogate pair are not JSON, but json.dumps writes them."""
    line = observation("a", input=[float("nan"), float("-inf")], name="half \ud83d")
    write("observations.jsonl", json.dumps(line))

    (found,) = only().roots

    assert (found.input, found.name) == (["NaN", "-Infinity"], "half ?")


def test_the_older_layout_is_read(write: Write, only: Callable[[], Trace]) -> None:
    """Parents under their older name, UUIDs and upper-case types mean what they mean today."""
    dashed = "0AF76519-16cd-43dd-8448-eb211c80319c"
    write(
        "observations.jsonl",
        {"id": "a", "trace_id": dashed, "type": "AGENT", "name": "a", "start_time": at(0)},
        {
            "id": "11111111-2222-3333-4444-555555555555",
            "trace_id": TRACE,
            "type": "Tool",
            "name": "t",
            "parent_observation_id": "a",
            "start_time": at(1),
        },
    )
    write("traces.jsonl", {"id": dashed, "name": "run", "user_id": "u", "start_time": at(0)})

    trace = only()

    assert (trace.id, trace.name, trace.status, trace.user_ids) == (TRACE, "run", "success", ("u",))
    assert shape(trace) == [(0, "a"), (1, "11111111222233334444555555555555")]
    assert [node.type for _, node in trace.walk()] == ["agent", "tool"]
    document = json.loads(trace.to_json())
    assert (document["trace_id"], "id" in document) == (TRACE, False)
    assert document["children"][0]["children"] == [
        {
            "id": "11111111222233334444555555555555",
            "trace_id": TRACE,
            "type": "tool",
            "name": "t",
            "parent_id": "a",
            "start_time": at(1),
            "children": [],
        }
    ]


def test_a_trace_line_without_a_status_leaves_it_to_the_roots(
    write: Write, only: Callable[[], Trace]
) -> None:
    """The older layout does not say how a trace ended."""
    write("observations.jsonl", observation("a", error="boom"))
    write("traces.jsonl", {"id": TRACE, "name": "run"})

    assert only().status == "error"


def test_children_are_ordered_by_their_start(write: Write, only: Callable[[], Trace]) -> None:
    """Lines are written when spans end; the tree is in the order in which they began."""
    write(
        "observations_20261120.jsonl",
        observation("late", "root", start_time=at(3)),
        observation("unknown", "root", start_time=None),
        observation("early", "root", start_time=at(1)),
        observation("root"),
    )

    assert shape(only()) == [(0, "root"), (1, "early"), (1, "late"), (1, "unknown")]


def test_an_observation_without_its_parent_is_a_root(
    write: Write, only: Callable[[], Trace]
) -> None:
    """What a killed process left is shown, below nothing."""
    write("observations_20261120.jsonl", observation("b", "a"), observation("c", "b"))

    assert shape(only()) == [(0, "b"), (1, "c")]


def test_the_same_id_in_another_trace_is_another_observation(
    write: Write, read: Callable[[], Traces]
) -> None:
    """Parents are looked up within their trace."""
    write(
        "observations_20261120.jsonl",
        observation("a"),
        observation("b", "a", trace_id=OTHER, start_time=at(5)),
    )

    assert [shape(trace) for trace in read().traces] == [[(0, "a")], [(0, "b")]]


def test_of_an_id_that_occurs_twice_the_last_line_wins(
    write: Write, only: Callable[[], Trace]
) -> None:
    """An observation that was written again replaces the former one, its place included."""
    write(
        "observations_20261120.jsonl",
        observation("a"),
        observation("b", "a", name="first"),
        observation("b", name="second", start_time=at(1)),
    )
    write("traces_20261120.jsonl", trace_line(status="error"), trace_line(name="again"))

    trace = only()

    assert [(depth, node.name) for depth, node in trace.walk()] == [(0, "a"), (0, "second")]
    assert (trace.name, trace.status) == ("again", "success")


def test_parents_in_a_cycle_do_not_hang(write: Write, only: Callable[[], Trace]) -> None:
    """A cycle is cut at one of its members, and everything is shown once."""
    write(
        "observations_20261120.jsonl",
        observation("self", "self"),
        observation("tail", "x", start_time=at(0)),
        observation("x", "z", start_time=at(1)),
        observation("y", "x", start_time=at(2)),
        observation("z", "y", start_time=at(3)),
        observation("root", start_time=at(4)),
    )

    assert shape(only()) == [
        (0, "self"),
        (0, "x"),
        (1, "tail"),
        (1, "y"),
        (2, "z"),
        (0, "root"),
    ]


def test_a_trace_without_its_line_is_named_by_its_root(
    write: Write, only: Callable[[], Trace]
) -> None:
    """A process that was killed wrote observations only; they say what they can."""
    write(
        "observations_20261120.jsonl",
        observation("b", "a", start_time=at(1), end_time=at(9), user_id="u2", error="inner"),
        observation("a", user_id="u1", session_id="s", tags=["t"], metadata={"k": 1}),
    )

    trace = only()

    assert (trace.name, trace.status, trace.service) == ("a", "success", None)
    assert (trace.user_ids, trace.session_ids) == (("u1", "u2"), ("s",))
    assert (trace.tags, trace.metadata) == (("t",), {"k": 1})
    assert trace.start is not None
    assert trace.start.isoformat() == at(0)
    assert trace.end is not None
    assert trace.end.isoformat() == at(9)


def test_a_trace_without_its_line_failed_if_a_root_did(
    write: Write, only: Callable[[], Trace]
) -> None:
    """The root's error is the trace's."""
    write("observations_20261120.jsonl", observation("a", error="boom"))

    assert only().status == "error"


def test_a_trace_without_observations_is_there(write: Write, only: Callable[[], Trace]) -> None:
    """Its line alone says what happened."""
    write(
        "traces_20261120.jsonl",
        trace_line(
            status="error",
            error="boom",
            user_id="u",
            account_id="a",
            session_id="s",
            tags=["x"],
            metadata={"k": 1},
            resource={"service.name": "bot"},
        ),
    )

    trace = only()

    assert (trace.roots, trace.status, trace.error) == ([], "error", "boom")
    assert (trace.user_ids, trace.account_ids, trace.session_ids) == (("u",), ("a",), ("s",))
    assert (trace.tags, trace.metadata, trace.service) == (("x",), {"k": 1}, "bot")


def test_the_callers_line_speaks_for_the_trace(write: Write, only: Callable[[], Trace]) -> None:
    """Of several processes the one that began it says its name and how it ended."""
    write(
        "observations_20261120.jsonl",
        observation("a", user_id="u1"),
        observation("b", "a", user_id="u2", error="retried"),
    )
    write(
        "traces_20261120.jsonl",
        trace_line(
            name="called",
            root_id="b",
            status="error",
            user_id="u2",
            tags=["y"],
            # Its clock is behind.
            start_time=at(-5),
            resource={"service.name": "search"},
        ),
        trace_line(name="caller", root_id="a", user_id="u1", tags=["x"], metadata={"k": 1}),
    )

    trace = only()

    assert (trace.name, trace.status, trace.metadata) == ("caller", "success", {"k": 1})
    assert (trace.user_ids, trace.tags, trace.service) == (("u1", "u2"), ("x", "y"), "search")
    assert trace.start is not None
    assert trace.start.isoformat() == at(-5)


def test_any_of_several_roots_makes_the_trace_an_error(
    write: Write, only: Callable[[], Trace]
) -> None:
    """Two turns under one trace id are equals, and the first one names it."""
    write("observations_20261120.jsonl", observation("a"), observation("b", start_time=at(2)))
    write(
        "traces_20261120.jsonl",
        trace_line(name="second", root_id="b", status="error", start_time=at(2)),
        trace_line(name="first", root_id="a"),
    )

    assert (only().name, only().status) == ("first", "error")


def test_a_parent_that_repeats_its_descendants_tokens_is_not_counted(
    write: Write, only: Callable[[], Trace]
) -> None:
    """Tokens count where they were spent: at the lowest observation that has any."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    write(
        "observations_20261120.jsonl",
        observation("agent", **{key: 2 * value for key, value in usage.items()}),
        observation("step", "agent"),
        observation("g1", "step", **usage),
        observation("g2", "step", **usage),
        observation("tool", "g2", total_tokens=0),
        observation("alone", prompt_tokens=1),
    )

    trace = only()

    assert (trace.prompt_tokens, trace.completion_tokens, trace.total_tokens) == (21, 10, 31)


@pytest.mark.parametrize("value", ["7", True, -1, [7], None, 1e300])
def test_what_is_no_count_of_tokens_is_none(
    value: Any, write: Write, only: Callable[[], Trace]
) -> None:
    """A count is a number from 0 up."""
    write("observations_20261120.jsonl", observation("a", prompt_tokens=value))

    assert (only().roots[0].prompt_tokens, only().total_tokens) == (None, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-20T08:00:00Z", datetime(2026, 11, 20, 8, tzinfo=timezone.utc)),
        ("2026-11-20T08:00:00", datetime(2026, 11, 20, 8, tzinfo=timezone.utc)),
        (
            "2026-11-20T08:00:00.123456789Z",
            datetime(2026, 11, 20, 8, 0, 0, 123_456, timezone.utc),
        ),
        ("2026-11-20T08:00:00.5+01:00", datetime(2026, 11, 20, 7, 0, 0, 500_000, timezone.utc)),
        ("0001-01-01T00:00:00+23:00", None),
        ("yesterday", None),
        ("2026-99-99T08:00:00Z", None),
        (1_700_000_000, None),
    ],
)
def test_times_are_read_in_every_usual_spelling(
    text: Any, expected: datetime | None, write: Write, only: Callable[[], Trace]
) -> None:
    """ISO 8601, taken for UTC where it does not say; anything else is no time."""
    write("observations_20261120.jsonl", observation("a", start_time=text))

    assert only().roots[0].start == expected


def test_fields_of_an_unexpected_kind_do_not_raise(write: Write, only: Callable[[], Trace]) -> None:
    """A foreign writer's idea of a field is shown as text, or not at all."""
    write(
        "observations_20261120.jsonl",
        observation(
            "a", name={"n": 1}, type=None, error=["e"], tags="x", metadata=[1], user_id=7, level=3
        ),
    )
    write(
        "traces_20261120.jsonl", trace_line(name=5, tags=7, metadata="m", resource=[], status=None)
    )

    trace = only()
    (found,) = trace.roots

    assert (found.name, found.type, found.error, found.tags) == ('{"n":1}', "span", '["e"]', ())
    assert (found.metadata, found.user_id, found.level) == ({}, "7", "3")
    assert (trace.name, trace.tags, trace.metadata, trace.status) == ("5", (), {}, "error")
    assert trace.user_ids == ("7",)


def test_traces_are_ordered_by_their_start(write: Write, read: Callable[[], Traces]) -> None:
    """The oldest comes first; one that does not say when is taken for older."""
    write(
        "traces_20261120.jsonl",
        trace_line(trace_id="t3", start_time=at(3)),
        trace_line(trace_id="t1", start_time=at(1)),
        trace_line(trace_id="t0", start_time=None, end_time=None),
        trace_line(trace_id="t2", start_time=at(2)),
    )

    assert [trace.id for trace in read().traces] == ["t0", "t1", "t2", "t3"]


def test_json_has_the_keys_of_the_files_and_children(
    write: Write, only: Callable[[], Trace]
) -> None:
    """Nothing that a line says is lost, and the trace says what was gathered for it."""
    root = observation("a", user_id="u", events=[{"name": "e"}], scope="spanwise")
    child = observation("b", "a", start_time=at(1))
    second = observation("c", start_time=at(2))
    write("observations_20261120.jsonl", root, child, second)
    line = trace_line(message_id="m", resource={"service.name": "bot"})
    write("traces_20261120.jsonl", line)

    assert json.loads(only().to_json()) == {
        **line,
        "user_id": "u",
        "end_time": at(1),
        "children": [
            {**root, "children": [{**child, "children": []}]},
            {**second, "children": []},
        ],
    }


def test_a_value_deeper_than_the_encoder_goes_is_kept(
    write: Write, only: Callable[[], Trace]
) -> None:
    """Reading goes deeper than writing does, which neither loses the value nor raises."""
    deep = "[" * 600 + "]" * 600
    line = json.dumps(observation("a", type="TOOL", input="DEEP")).replace('"DEEP"', deep)
    write("observations_20261120.jsonl", line)
    write("traces_20261120.jsonl", json.dumps(trace_line(input="DEEP")).replace('"DEEP"', deep))

    assert only().to_json().replace(b" ", b"").count(deep.encode()) == 2


def test_a_chain_of_5000_is_read_without_recursion(write: Write, only: Callable[[], Trace]) -> None:
    """Depth costs neither a stack nor much time."""
    chain = [observation(f"{n}", f"{n - 1}" if n else None) for n in range(5000)]
    write("observations_20261120.jsonl", *chain)

    trace = only()

    assert [depth for depth, _ in trace.walk()] == list(range(5000))
    assert trace.to_json().endswith(b'"children":[' + b"]}" * 5001)


def test_20000_observations_are_read_quickly(write: Write, only: Callable[[], Trace]) -> None:
    """A large trace is a matter of moments, in one list or in one tree."""
    write(
        "observations_20261120.jsonl",
        *(observation(f"{n}", f"{n // 3}" if n else None, total_tokens=1) for n in range(20_000)),
    )

    started = time.perf_counter()
    document = json.loads(only().to_json())
    took_s = time.perf_counter() - started

    assert len(nodes(only())) == 20_000
    assert len(document["children"]) == 1
    assert took_s < 5


def test_the_store_imports_no_sdk() -> None:
    """Reading files needs neither the SDK nor the code that wrote them."""
    code = (
        "import sys, spanwise.view.store;"
        "print(sorted(m for m in sys.modules if m.startswith(('opentelemetry.sdk',"
        " 'spanwise.export', 'spanwise.processors', 'click', 'rich'))))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
