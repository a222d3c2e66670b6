"""What `spanwise send` delivers, and what it says."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner
from opentelemetry import trace

import spanwise
from spanwise.cli import commands
from support.receiver import Receiver, attributes

ROOT = Path(__file__).parents[2]
AWAY = "http://127.0.0.1:9"
WRITER = """
import os, sys, spanwise
spanwise.configure(otlp_endpoint=sys.argv[1], service_name="writer")
@spanwise.tool
def work(n):
    return n
for n in range(int(sys.argv[2])):
    work(n)
os._exit(0)
"""


def send(*arguments):
    is_mixed = "mix_stderr" in inspect.signature(CliRunner).parameters
    runner = CliRunner(**({"mix_stderr": False} if is_mixed else {}))
    return runner.invoke(commands, ["send", *map(str, arguments)])


def leave(spans, address=AWAY, **environment):
    """Have a process end at once, with this many spans that did not arrive."""
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WRITER), address, str(spans)],
        check=True,
        timeout=60,
        env={**os.environ, **environment},
    )


def numbers(receiver):
    return sorted(orjson.loads(attributes(s)["observation.input"])["n"] for s in receiver.spans())


def test_what_a_dead_process_left_is_delivered(receiver, tmp_path):
    """Everything in the spool goes to where it is told, and nothing is left of it."""
    leave(7)
    done = send("--to", receiver.url)
    assert (0, f"7 spans sent to {receiver.url}/v1/traces\n", "") == (
        done.exit_code,
        done.stdout,
        done.stderr,
    )
    assert [0, 1, 2, 3, 4, 5, 6] == numbers(receiver)
    assert [] == list((tmp_path / "state").rglob("*.0*.jsonl"))
    assert ["writer"] == [resource["service.name"] for resource in receiver.resources()]


def test_without_an_address_what_waits_for_the_configured_one_is_delivered(monkeypatch, receiver):
    """What is meant for another destination is not touched."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=t1")
    leave(2, receiver.url, SPANWISE_SPOOL_DIR="spool")
    leave(3, AWAY, SPANWISE_SPOOL_DIR="spool")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    done = send("--spool", "spool")
    assert 0 == done.exit_code, done.stderr
    assert {0, 1} == set(numbers(receiver))
    assert {"t1"} == {headers["x-tenant"] for _, headers, _ in receiver.requests}
    left = "".join(path.read_text() for path in Path("spool").rglob("*.0*.jsonl"))
    assert 3 == left.count("resourceSpans")


def test_a_destinations_folder_can_be_named(receiver):
    """Only what is in it is delivered."""
    leave(2, AWAY, SPANWISE_SPOOL_DIR="spool")
    leave(3, "http://127.0.0.1:10", SPANWISE_SPOOL_DIR="spool")
    folders = [path for path in Path("spool").iterdir() if path.is_dir()]
    (folder,) = [path for path in folders if '"http://127.0.0.1:10/' in _about(path)]
    done = send("--spool", folder, "--to", receiver.url)
    assert 0 == done.exit_code, done.stderr
    assert [0, 1, 2] == numbers(receiver)


def _about(folder):
    return (folder / "destination.json").read_text()


def test_what_a_running_process_spooled_is_left_to_it(receiver):
    """It is said how many there are."""
    spanwise.configure(otlp_endpoint=AWAY)
    with spanwise.observe("mine"):
        pass
    done = send("--to", receiver.url)
    assert (0, "0 spans sent") == (done.exit_code, done.stdout[:12])
    assert "1 running process" in done.stderr
    assert [] == receiver.spans()


def test_an_address_that_takes_nothing_is_told_and_nothing_is_lost(receiver):
    """The exit code is 1; what waited waits on."""
    leave(4)
    done = send("--to", AWAY, "--patience", "0.5")
    assert 1 == done.exit_code
    assert "takes nothing" in done.stderr
    receiver.status = 401
    done = send("--to", receiver.url)
    assert 1 == done.exit_code
    assert "the credentials were refused (401)" in done.stderr
    receiver.status = 200
    assert 0 == send("--to", receiver.url, "--header", "authorization=Bearer x").exit_code
    assert [0, 1, 2, 3] == numbers(receiver)
    assert "Bearer x" == receiver.requests[0][1]["authorization"]


def test_what_is_no_span_is_left_for_its_own_program(receiver, tmp_path):
    """Feedback that waits for an API of another kind is neither sent to a collector nor lost."""
    program = """
        import os
        from brixo import Brixo
        Brixo.init(app_name="a", environment="e", api_key="k")
        Brixo.feedback(message_id="m-1", value="thumbs_up")
        os._exit(0)
    """
    variables = {"BRIXO_API_URL": AWAY, "BRIXO_OTLP_TRACES_ENDPOINT": AWAY}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        check=True,
        timeout=60,
        env={**os.environ, **variables},
    )
    spool = tmp_path / "state/spanwise/spool"

    def waiting():
        return {path: path.read_bytes() for path in spool.glob("*/*.0*.jsonl")}

    letters = {path: data for path, data in waiting().items() if b'"letters"' in data}
    assert letters
    leave(2)
    done = send("--to", receiver.url)
    assert 0 == done.exit_code
    assert "what 1 processes left is no spans, and waits for their program" in done.stderr
    assert 2 == sum(span.name == "work" for span in receiver.spans())
    assert letters == waiting()


def test_what_is_refused_is_kept_and_told(receiver, tmp_path):
    """The exit code says that not all was taken."""
    leave(2)
    receiver.status = 400
    done = send("--to", receiver.url)
    assert (1, "2 spans refused and kept\n") == (done.exit_code, done.stderr)
    (kept,) = (tmp_path / "state").rglob("*.kept.jsonl")
    receiver.status = 200
    assert 0 == send(kept, "--to", receiver.url).exit_code
    assert [0, 1] == numbers(receiver)


def test_jsonl_files_are_sent_once_more(receiver, files):
    """Ids, parents, times, attributes, events and the resource are those of the spans."""
    other = Receiver()
    try:
        spanwise.configure(
            service_name="bot", destinations=[other.url], traces_dir=files.folder, environment="e"
        )
        with (
            spanwise.identify(user="jane", session_id="s-1", tags=["a"], metadata={"k": {"x": 1}}),
            pytest.raises(LookupError),
            spanwise.observe("outer", type="agent") as outer,
        ):
            outer.update(input={"q": "ä"}, output=[1, None], level="warning")
            with trace.get_tracer("third").start_as_current_span(
                "inner", kind=trace.SpanKind.CLIENT, attributes={"n": 1, "f": 0.5, "l": [True]}
            ) as inner:
                inner.add_event("e", {"size": 3})
            raise LookupError("none")
        assert spanwise.flush(30) is True
        done = send(files.folder, "--to", receiver.url)
        assert (0, f"2 spans sent to {receiver.url}/v1/traces\n") == (done.exit_code, done.stdout)
        sent = {span.name: span for span in other.spans()}
        again = {span.name: span for span in receiver.spans()}
        assert sent.keys() == again.keys()
        for name, span in sent.items():
            found = again[name]
            assert (span.trace_id, span.span_id, span.parent_span_id, span.kind) == (
                found.trace_id,
                found.span_id,
                found.parent_span_id,
                found.kind,
            )
            assert span.start_time_unix_nano // 1000 == found.start_time_unix_nano // 1000
            assert span.end_time_unix_nano // 1000 == found.end_time_unix_nano // 1000
            assert span.status == found.status
            expected, had = attributes(span), attributes(found)
            assert expected == {key: had[key] for key in expected}
            assert [event.name for event in span.events] == [event.name for event in found.events]
        assert other.resources()[0].items() <= receiver.resources()[0].items()
    finally:
        other.close()


def test_otlp_json_files_are_sent_once_more(receiver, tmp_path):
    """One document a line as collectors write them, or one printed over many lines."""
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": "eee19b7ec3c1b174",
        "name": "one",
        "kind": 2,
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "1544712661000000000",
    }
    two = {**span, "spanId": "eee19b7ec3c1b175", "name": "two"}
    document = {"resourceSpans": [{"scopeSpans": [{"spans": [span, two]}]}]}
    (tmp_path / "lines.jsonl").write_text(json.dumps(document) + "\nno json\n\n")
    (tmp_path / "pretty.json").write_text(json.dumps(document, indent=2))
    done = send(tmp_path / "lines.jsonl", tmp_path / "pretty.json", "--to", receiver.url)
    assert (0, "1 lines hold no span\n") == (done.exit_code, done.stderr)
    assert ["one", "one", "two", "two"] == sorted(span.name for span in receiver.spans())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no destination is configured: say where to with --to URL"),
        (["--to", "localhost"], "--to must be an http(s) address"),
        (["--to", AWAY, "--spool", "nowhere"], "there is no folder nowhere"),
        (["none.jsonl", "--to", AWAY], "there is no file none.jsonl"),
        (["f", "--spool", "s", "--to", AWAY], "either FILES or --spool, not both"),
        ([".", "--to", AWAY], "there are no .jsonl or .json files in ."),
        (["--to", AWAY, "--header", "x"], "--to must be a list like name=value"),
        (["--header", "x=1"], "--header goes with --to"),
        (["--to", AWAY, "--protocol", "http"], "Invalid value for '--protocol'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments, says):
    """The exit code is 2."""
    done = send(*arguments)
    assert 2 == done.exit_code
    assert says in done.stderr


def test_the_pages_commands_work(receiver, tmp_path, monkeypatch):
    """Each line of the console block on the page of delivery, as it is printed."""
    page = (ROOT / "docs" / "delivery.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```console\n(.*?)^```", page, re.M | re.S)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    leave(1, AWAY, SPANWISE_SPOOL_DIR="here")
    leave(1, AWAY)
    (tmp_path / "traces").mkdir()
    for name in ("traces/observations_20260101.jsonl", "kept.jsonl"):
        line = {"id": "a" * 16, "trace_id": "b" * 32, "name": "x", "type": "span"}
        (tmp_path / name).write_text(json.dumps(line) + "\n")
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        assert ["spanwise", "send"] == words[:2]
        words = [
            {"http://localhost:4318": receiver.url, "/var/spool/agent": "here"}.get(word, word)
            for word in words[2:]
        ]
        done = send(*words)
        assert 0 == done.exit_code, (line, done.stderr)
    assert 4 == len(receiver.spans())


def test_what_is_left_to_another_program_is_sent_only_where_its_folder_is_named(receiver, tmp_path):
    """A collector reads these files, and has perhaps done so."""
    leave(2, SPANWISE_SPOOL_ONLY="true", SPANWISE_SPOOL_DIR="spool")
    leave(1, SPANWISE_SPOOL_DIR="spool")
    done = send("--spool", "spool", "--to", receiver.url)
    assert (0, [0]) == (done.exit_code, numbers(receiver)), done.stderr
    done = send("--spool", "spool/unsent", "--to", receiver.url)
    assert (0, [0, 0, 1]) == (done.exit_code, numbers(receiver)), done.stderr
