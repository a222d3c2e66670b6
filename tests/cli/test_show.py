"""What `spanwise show` prints, and where."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result

import spanwise
from spanwise.cli import commands

FIRST = "0af7651916cd43dd8448eb211c80319c"
SECOND = "1bf7651916cd43dd8448eb211c80319d"

Show = Callable[..., Result]


def runner() -> CliRunner:
    # Before click 8.2 the two streams are one unless that is declined.
    is_mixed = "mix_stderr" in inspect.signature(CliRunner).parameters
    return CliRunner(**({"mix_stderr": False} if is_mixed else {}))


def at(second: float) -> str:
    return datetime.fromtimestamp(1_795_600_000 + second, timezone.utc).isoformat()


def observation(id: str, parent_id: str | None = None, **fields: Any) -> dict[str, Any]:
    line = {
        "id": id,
        "trace_id": FIRST,
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
        "trace_id": FIRST,
        "name": "main",
        "session_id": None,
        "start_time": at(0),
        "end_time": at(1),
        "metadata": {},
        "tags": [],
        "status": "success",
    }
    return {**line, **fields}


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC, 100 columns, and nothing in the environment that would bring colours."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")
    set_zone()
    yield
    monkeypatch.undo()
    set_zone()


def set_zone() -> None:
    if hasattr(time, "tzset"):
        time.tzset()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is read by default."""
    made = tmp_path / "traces"
    made.mkdir()
    return made


@pytest.fixture
def write(folder: Path) -> Callable[..., None]:
    """Append lines to the folder: those with an id are observations, the others traces."""

    def append(*lines: dict[str, Any] | str) -> None:
        for line in lines:
            is_trace = isinstance(line, dict) and "id" not in line
            name = f"{'traces' if is_trace else 'observations'}_20261125.jsonl"
            with (folder / name).open("ab") as file:
                data = orjson.dumps(line) if isinstance(line, dict) else line.encode()
                file.write(data + b"\n")

    return append


@pytest.fixture
def show(folder: Path) -> Show:
    """Run `spanwise show` in the folder's parent."""

    def run(*arguments: str) -> Result:
        return runner().invoke(commands, ["show", *arguments])

    return run


@pytest.fixture
def support_bot(write: Callable[..., None]) -> None:
    """One trace of an agent: nested, with tokens, a model, an error and content."""
    write(
        observation(
            "d",
            "b",
            type="tool",
            name="search",
            start_time=at(0.2),
            end_time=at(0.2 + 0.000_250),
            input={"query": "refund policy", "key": "***"},
            error="no such index: policies\nhint: create it first",
            level="error",
        ),
        observation(
            "b",
            "a",
            type="agent",
            name="Support",
            start_time=at(0.1),
            end_time=at(1.4),
            input={"question": "May I return it?"},
            output="Yes,\nwithin 30 days.",
        ),
        observation(
            "c",
            "a",
            type="generation",
            name="summarise",
            start_time=at(1.5),
            end_time=at(1.512),
            model="gpt-4o",
            prompt_tokens=12,
            completion_tokens=34,
            total_tokens=46,
        ),
        observation(
            "a",
            type="interaction",
            name="Main Agent Execution",
            end_time=at(125),
            prompt_tokens=12,
            completion_tokens=34,
            total_tokens=46,
            user_id="jane@acme.com",
        ),
        trace_line(
            name="Main Agent Execution",
            end_time=at(125),
            user_id="jane@acme.com",
            account_id="org_7",
            session_id="s-1",
            resource={"service.name": "support-bot"},
        ),
    )


@pytest.mark.usefixtures("support_bot")
def test_a_trace_is_printed_as_a_tree(show: Show) -> None:
    """A heading says who, when and how much; a line per observation says what."""
    result = show()

    assert result.stderr == ""
    assert (
        result.stdout
        == """\
Main Agent Execution  0af76519  2026-11-25 09:46:40  2 m 05 s  12→34 tok  user jane@acme.com  \
account org_7  session s-1  service support-bot
└── Main Agent Execution  interaction  2 m 05 s  12→34 tok
    ├── Support  agent  1.3 s
    │   └── search  tool  250 µs  no such index: policies
    └── summarise  generation  gpt-4o  12 ms  12→34 tok
"""
    )
    assert result.exit_code == 0


@pytest.mark.usefixtures("support_bot")
def test_io_is_printed_below_each_observation(show: Show, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inputs and outputs are JSON on one line, cut to the width."""
    monkeypatch.setenv("COLUMNS", "60")

    assert (
        show("--io").stdout.partition("\n")[2]
        == """\
└── Main Agent Execution  interaction  2 m 05 s  12→34 tok
    ├── Support  agent  1.3 s
    │   │   in   {"question":"May I return it?"}
    │   │   out  "Yes,\\nwithin 30 days."
    │   └── search  tool  250 µs  no such index: policies
    │           in   {"query":"refund policy","key":"***"}
    └── summarise  generation  gpt-4o  12 ms  12→34 tok
"""
    )


@pytest.mark.usefixtures("support_bot")
def test_a_narrow_terminal_cuts_the_lines_below_the_heading(
    show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too long ends in an ellipsis; the heading's ids stay searchable."""
    monkeypatch.setenv("COLUMNS", "30")

    heading, *rest = show().stdout.splitlines()

    assert "session s-1  service support-bot" in heading
    assert rest == [
        "└── Main Agent Exe…  interact…",
        "    ├── Support  agent  1.3 s",
        "    │   └── search  tool  250…",
        "    └── summarise  generation…",
    ]


def test_a_failed_trace_is_marked_and_its_text_is_told_once(
    show: Show, write: Callable[..., None]
) -> None:
    """The root tells what went wrong; a trace without one tells it in its heading."""
    write(
        observation("a", error="boom"),
        trace_line(status="error", error="boom"),
        trace_line(trace_id=SECOND, status="error", error="bang\nmore", start_time=at(0.5)),
    )

    assert (
        show().stdout
        == """\
main  0af76519  2026-11-25 09:46:40  1.0 s  ✗ error
└── a  span  1.0 s  boom

main  1bf76519  2026-11-25 09:46:40  500 ms  ✗ bang
"""
    )


@pytest.mark.parametrize(
    ("error", "error_type", "expected"),
    [
        ("'no such page'\nin any book", "KeyError", "KeyError: 'no such page'"),
        ("KeyError: 'no such page'", "KeyError", "KeyError: 'no such page'"),
        ("", "KeyError", "KeyError"),
        ("boom", "", "boom"),
        ("boom", None, "boom"),
        ("boom", ["KeyError"], "boom"),
        ("boom", "\x1b[31mKeyError\x07", "KeyError: boom"),
    ],
)
def test_an_error_is_shown_behind_its_type(
    error: str, error_type: Any, expected: str, show: Show, write: Callable[..., None]
) -> None:
    """A text such as 'no such page' says little without it; it is not said twice."""
    write(observation("a", error=error, metadata={"error_type": error_type}))

    assert show().stdout.splitlines()[1] == f"└── a  span  1.0 s  {expected}"


def test_the_type_of_an_error_that_did_not_fail_anything_is_not_shown(
    show: Show, write: Callable[..., None]
) -> None:
    """Metadata alone makes no observation a failed one."""
    write(observation("a", metadata={"error_type": "KeyError"}))

    assert show().stdout.splitlines()[1] == "└── a  span  1.0 s"


def test_colours_are_for_terminals(
    show: Show, write: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal sees red where something failed; a pipe sees the same text without."""
    write(observation("a", error="boom"))
    plain = show().stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    coloured = show().stdout

    assert "\x1b[31mboom\x1b[0m" in coloured
    assert "\x1b" not in plain


@pytest.mark.parametrize(
    ("duration_s", "expected"),
    [
        (0.0, "0 µs"),
        (0.000_999, "999 µs"),
        (0.012, "12 ms"),
        (0.999_4, "999 ms"),
        (0.999_6, "1.0 s"),
        (1.3, "1.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1 m 00 s"),
        (125, "2 m 05 s"),
        (3599.6, "1 h 00 m"),
        (93_784, "26 h 03 m"),
    ],
)
def test_durations_are_rounded_for_people(
    duration_s: float, expected: str, show: Show, write: Callable[..., None]
) -> None:
    """Two or three digits, in the unit that suits."""
    write(observation("a", end_time=at(duration_s)))

    assert show().stdout.splitlines()[1] == f"└── a  span  {expected}"


def test_what_is_not_known_is_left_out(show: Show, write: Callable[..., None]) -> None:
    """No time, no duration, one sum of tokens: a line says what there is to say."""
    write(
        observation("a", start_time=None, total_tokens=46, name="", error=""),
        observation("b", end_time=None, prompt_tokens=12),
        observation("c", start_time=at(2)),
        trace_line(resource={"service.name": "unknown_service:python"}, name=""),
    )

    assert (
        show().stdout
        == """\
b  0af76519  2026-11-25 09:46:40  1.0 s  58 tok
├── b  span  12 tok
├── c  span
└── (no name)  span  46 tok  error
"""
    )


def test_several_users_are_counted(show: Show, write: Callable[..., None]) -> None:
    """The heading names the first one."""
    write(observation("a", user_id="jane"), observation("b", "a", user_id="bob"))

    assert "  user jane +1" in show().stdout


def test_text_is_shown_literally(show: Show, write: Callable[..., None]) -> None:
    """Markup, emoji codes and links in a name are text."""
    write(observation("a", name="[red]x[/red] :smile: [link=http://e.vil]y[/link]"))

    assert "└── [red]x[/red] :smile: [link=http://e.vil]y[/link]  span" in show().stdout


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        ("a\x1b[2Jb\x1b[31mc", "abc"),
        ("a\x1b]0;title\x07b\x1b]8;;http://e.vil\x1b\\c", "abc"),
        ("a\x9b31mb\x9d0;t\x9cc", "abc"),
        ("a\x1bPdcs\x1b\\b", "ab"),
        ("a\x1bcb", "acb"),
        ("a\r\nb\tc\x85d\u2028e", "a  b c d e"),
        ("a\x00\x07\x08\x7fb", "ab"),
        ("a\u202eb\u2066c\u200f", "abc"),
        ("\x1b[", "["),
        ("\x1b]8;;unterminated", "]8;;unterminated"),
    ],
)
def test_a_hostile_name_cannot_drive_the_terminal(
    hostile: str, expected: str, show: Show, write: Callable[..., None]
) -> None:
    """Escape sequences and control characters are taken out wherever text is shown."""
    write(
        observation(
            "a",
            name=hostile,
            type=f"x{hostile}",
            model=hostile,
            error=hostile,
            output={"k": hostile},
            user_id=hostile,
        ),
        trace_line(name=hostile, resource={"service.name": hostile}, session_id=hostile),
    )

    result = show("--io")

    assert f"\n└── {expected}  x" in result.stdout
    kept = {character for character in result.stdout if not character.isprintable()}
    assert kept == {"\n"}


def test_json_cannot_drive_the_terminal_and_loses_nothing(
    show: Show, write: Callable[..., None]
) -> None:
    """Control characters that JSON allows as they are, are escaped."""
    write(observation("a", name="a\x1b[2J\x7f\x9b31m"))

    result = show("--json")

    assert json.loads(result.stdout)[0]["children"][0]["name"] == "a\x1b[2J\x7f\x9b31m"
    assert {c for c in result.stdout if not c.isprintable()} == {"\n"}


@pytest.mark.usefixtures("support_bot")
def test_json_is_one_array_of_traces(show: Show, write: Callable[..., None]) -> None:
    """Machines get the keys of the files, observations nested in `children`."""
    write(observation("x", trace_id=SECOND, start_time=at(500), end_time=at(501)))

    result = show("--json")

    first, second = json.loads(result.stdout)
    assert result.stderr == ""
    assert (first["trace_id"], first["status"], first["user_id"]) == (
        FIRST,
        "success",
        "jane@acme.com",
    )
    (root,) = first["children"]
    assert [child["name"] for child in root["children"]] == ["Support", "summarise"]
    assert second == {
        "trace_id": SECOND,
        "name": "x",
        "session_id": None,
        "start_time": at(500),
        "end_time": at(501),
        "metadata": {},
        "tags": [],
        "status": "success",
        "children": [
            {
                **observation("x", trace_id=SECOND, start_time=at(500), end_time=at(501)),
                "children": [],
            }
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--user", "jane"], ["t1"]),
        (["--user", "inner"], ["t2"]),
        (["--user", "jan"], []),
        (["--account", "acme"], ["t2", "t3"]),
        (["--session", "s"], ["t3"]),
        (["--type", "tool"], ["t2"]),
        (["--type", "TOOL"], ["t2"]),
        (["--status", "error"], ["t3"]),
        (["--status", "success"], ["t1", "t2"]),
        (["--account", "acme", "--status", "error"], ["t3"]),
        (["--trace", "t"], ["t1", "t2", "t3"]),
        (["--trace", "t2"], ["t2"]),
        (["--limit", "1"], ["t3"]),
        (["--limit", "1", "--status", "success"], ["t2"]),
        (["--limit", "0"], ["t1", "t2", "t3"]),
    ],
)
def test_filters_narrow_what_is_shown(
    arguments: list[str], expected: list[str], show: Show, write: Callable[..., None]
) -> None:
    """A trace is shown if all filters match; an id matches wherever in the trace it was said."""
    write(
        trace_line(trace_id="t1", user_id="jane"),
        trace_line(trace_id="t2", start_time=at(0.1)),
        observation("a", trace_id="t2", start_time=at(0.1)),
        observation(
            "b",
            "a",
            trace_id="t2",
            type="tool",
            start_time=at(0.2),
            user_id="inner",
            account_id="acme",
        ),
        trace_line(
            trace_id="t3", start_time=at(0.3), account_id="acme", session_id="s", status="error"
        ),
    )

    result = show("--json", *arguments)

    assert [trace["trace_id"] for trace in json.loads(result.stdout)] == expected
    assert result.exit_code == 0


def test_a_trace_is_found_by_its_id_spelled_as_a_uuid(
    show: Show, write: Callable[..., None]
) -> None:
    """An id may be pasted from where it has dashes and capitals."""
    write(trace_line())

    assert "0af76519" in show("--trace", "0AF76519-16CD-43").stdout


def test_older_traces_that_are_not_shown_are_told(show: Show, write: Callable[..., None]) -> None:
    """The last twenty are shown, and how many there are besides."""
    write(*(trace_line(trace_id=f"t{n:02}", start_time=at(n / 100)) for n in range(22)))

    result = show()

    headings = [line for line in result.stdout.splitlines() if line]
    assert [line.split()[1] for line in headings] == [f"t{n:02}" for n in range(2, 22)]
    assert result.stderr == "2 older traces not shown; --limit 0 shows all\n"
    assert show("--limit", "22").stderr == ""


def test_torn_lines_are_told_on_stderr(show: Show, write: Callable[..., None]) -> None:
    """What could not be read is counted, in one line, beside the output."""
    write(observation("a"), '{"id":"b","tra')

    result = show("--json")

    assert result.stderr == "1 torn line skipped\n"
    assert len(json.loads(result.stdout)) == 1


def test_an_empty_folder_is_not_an_error(show: Show) -> None:
    """It is said on stderr; machines get an empty array."""
    assert (show().stdout, show().stderr) == ("", "no traces in traces\n")
    assert (show("--json").stdout, show("--json").exit_code) == ("[]\n", 0)


def test_filters_that_match_nothing_are_not_an_error(
    show: Show, write: Callable[..., None]
) -> None:
    """It is said on stderr that there would have been others."""
    write(observation("a"))

    result = show("--user", "nobody")

    assert (result.stdout, result.exit_code) == ("", 0)
    assert result.stderr == "none of 1 trace in traces match\n"


def test_a_missing_folder_is_one_line_and_exit_code_2(show: Show) -> None:
    """The hint says when there will be one."""
    result = show("elsewhere")

    assert (result.stdout, result.exit_code) == ("", 2)
    assert result.stderr == (
        "Error: there is no folder elsewhere: "
        "spans are written there once `spanwise.configure()` was called, and where they are sent "
        "to a collector only if SPANWISE_TRACES_DIR names it\n"
    )


@pytest.mark.parametrize("named", ["elsewhere", "~/elsewhere"])
def test_without_a_folder_the_one_that_the_variable_names_is_shown(
    named: str, show: Show, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names a folder for a program finds its traces without naming it again."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "traces.jsonl").write_bytes(orjson.dumps(trace_line()))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("SPANWISE_TRACES_DIR", named)

    assert "0af76519" in show().stdout
    assert show("traces").stderr == "no traces in traces\n"
    assert "SPANWISE_TRACES_DIR" in show("--help").stdout


def test_without_a_folder_the_one_in_the_dotenv_file_is_shown(show: Show, tmp_path: Path) -> None:
    """The variable is read wherever `configure()` reads it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".env").write_text("SPANWISE_TRACES_DIR=elsewhere\n")

    assert show().stderr == "no traces in elsewhere\n"


@pytest.mark.parametrize("named", ["", " ", "none", "None"])
def test_a_variable_that_names_no_folder_leaves_the_default(
    named: str, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that was told to write no files has named none."""
    monkeypatch.setenv("SPANWISE_TRACES_DIR", named)

    assert show().stderr == "no traces in traces\n"


def test_a_file_is_not_a_folder(show: Show, tmp_path: Path) -> None:
    """A wrong kind of path is said to be one."""
    (tmp_path / "a.jsonl").touch()

    assert (show("a.jsonl").stderr, show("a.jsonl").exit_code) == (
        "Error: a.jsonl is not a folder\n",
        2,
    )


@pytest.mark.parametrize(
    "arguments", [["--limit", "-1"], ["--limit", "x"], ["--status", "maybe"], ["--colour"]]
)
def test_a_wrong_option_is_exit_code_2(arguments: list[str], show: Show) -> None:
    """What was wrong with it stands on stderr."""
    result = show(*arguments)

    assert (result.stdout, result.exit_code) == ("", 2)
    assert arguments[0] in result.stderr.splitlines()[-1]


def test_deep_trees_stay_readable(show: Show, write: Callable[..., None]) -> None:
    """A chain 5,000 deep is shown without recursion; its outermost indents give way."""
    write(*(observation(f"n{n}", f"n{n - 1}" if n else None) for n in range(5000)))

    lines = show().stdout.splitlines()

    assert len(lines) == 5001
    assert lines[2] == "    └── n1  span  1.0 s"
    assert lines[-1] == f"⋯{' ' * 47}└── n4999  span  1.0 s"
    assert show("--json").stdout.count('"children":[') == 5001


def test_the_time_to_show_observations_grows_with_their_number(
    show: Show, write: Callable[..., None]
) -> None:
    """A large trace is a matter of moments, as JSON and as a tree."""
    took_s = []
    for begin, end in ((0, 2_000), (2_000, 20_000)):
        write(*(observation(f"{n}", f"{n // 3}" if n else None) for n in range(begin, end)))
        started = time.perf_counter()
        as_json = show("--json").stdout
        as_tree = show().stdout
        took_s.append(time.perf_counter() - started)
        assert as_json.count('"children":[') == end + 1
        assert as_tree.count("\n") == end + 1
    assert took_s[1] < 100 * took_s[0]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "spanwise", *arguments],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        stdin=subprocess.DEVNULL,
    )


def test_python_m_spanwise_shows_what_a_pipe_can_take(write: Callable[..., None]) -> None:
    """The module is the command, and without a terminal it is a hundred columns wide."""
    write(observation("a", error="x" * 200))

    done = run("show", COLUMNS="")

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == f"""\
a  0af76519  2026-11-25 09:46:40  1.0 s  ✗ error
└── a  span  1.0 s  {"x" * 79}…
"""
    )


def test_an_encoding_without_lines_gets_plain_ones(write: Callable[..., None]) -> None:
    """What cannot be encoded is replaced, never a traceback."""
    write(
        observation("é", prompt_tokens=1, completion_tokens=2),
        observation("b", "é", end_time=at(0.000_5)),
    )

    done = run("show", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout
        == """\
?  0af76519  2026-11-25 09:46:40  1.0 s  1->2 tok
`-- ?  span  1.0 s  1->2 tok
    `-- b  span  500 us
"""
    )


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise there")
@pytest.mark.parametrize("option", ["--io", "--json"])
def test_a_closed_pipe_is_not_an_error(option: str, write: Callable[..., None]) -> None:
    """`spanwise show | head -1` ends quietly, with as many traces as there may be left."""
    for number in range(100):
        write(*(observation(f"{n}", input="x" * 500, trace_id=f"t{number}") for n in range(20)))
    command = [sys.executable, "-m", "spanwise", "show", "--limit", "0", option]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_the_command_says_its_version_and_its_commands() -> None:
    """Help lists what there is."""
    version = runner().invoke(commands, ["--version"])
    usage = runner().invoke(commands, ["--help"])

    assert version.stdout == f"spanwise, version {spanwise.__version__}\n"
    assert usage.stdout.partition("Commands:\n")[2] == (
        "  doctor  Tell what is set up, what waits and what is wrong.\n"
        "  run     Run a program with every installed instrumentor loaded, and no...\n"
        "  send    Deliver spans that wait in spools, or send those in FILES once more.\n"
        "  show    Show the traces in a folder as trees, newest last.\n"
    )


def test_an_unknown_command_is_exit_code_2() -> None:
    """It is said on stderr which one is meant."""
    result = runner().invoke(commands, ["shwo"])

    assert result.exit_code == 2
    assert "No such command 'shwo'" in result.stderr


def test_the_command_line_imports_rich_only_to_print_trees() -> None:
    """Help and JSON do without it, and without the SDK."""
    code = (
        "import sys; from spanwise.cli import commands;"
        "commands(['show', '--json', '.'], standalone_mode=False);"
        "print(sorted(m for m in sys.modules if m.startswith(('rich', 'opentelemetry.sdk'))))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n[]\n"
