"""What differs from run to run gets one name; what a program could tell apart stays."""

from __future__ import annotations

import json

import pytest

from cli_compat.normal import normalised

UUID = "6740b5d7-5608-495c-a2af-026af6b0e641"
TRACE = "ee9985dcb1bf3ee752033f07eac4be37"
SPAN = "f4e7542323dff852"


@pytest.fixture
def written(tmp_path):
    """Write files below one project of a run, and return what they are compared by."""

    def write(files: dict[str, str]):
        for name, text in files.items():
            path = tmp_path / "run" / "fluxloop" / "desk" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        found = normalised(tmp_path / "run")
        return {name.removeprefix("fluxloop/desk/"): content for name, content in found.items()}

    return write


def lines(*values):
    """Return the text of a file with a line for each value."""
    return "".join(json.dumps(value) + "\n" for value in values)


def observed(identifier: str, trace: str, name: str):
    """Return an observation as the store has it."""
    return {"id": identifier, "trace_id": trace, "name": name}


@pytest.mark.parametrize(("trace", "span"), [(TRACE, SPAN), (UUID, UUID.replace("6", "7"))])
def test_ids_of_both_spellings_are_numbered_by_appearance(written, trace, span):
    """UUIDs and hex ids of the same things get the same names, in names of files too."""
    found = written(
        {
            "observations.jsonl": lines(observed(span, trace, "look")),
            f"analysis/00_{trace}.md": f"- Trace ID: `{trace}`",
        }
    )
    assert found == {
        "observations.jsonl": [
            {"id": "<desk look 1>", "trace_id": "<desk trace 1>", "name": "look"}
        ],
        "analysis/00_<desk trace 1>.md": ["- Trace ID: `<desk trace 1>`"],
    }


@pytest.mark.parametrize("shown", [UUID[:8], UUID[:12] + "...", UUID.replace("-", "")[:12] + "..."])
def test_an_id_that_is_cut_is_known_by_its_beginning(written, shown):
    """The console shows eight characters of an id, the report twelve."""
    found = written(
        {"traces.jsonl": lines({"trace_id": UUID}), "report.html": f"<b>{shown}</b> {'0' * 8}"}
    )
    assert found["report.html"] == ["<b><desk trace 1></b> 00000000"]


def test_the_same_id_twice_is_not_two_ids(written):
    """A second id where one was meant is a difference, and so is one id for two."""
    found = written(
        {
            "observations.jsonl": lines(
                observed(SPAN, TRACE, "look"), observed(SPAN[::-1], TRACE, "look")
            )
        }
    )
    assert [line["id"] for line in found["observations.jsonl"]] == [
        "<desk look 1>",
        "<desk look 2>",
    ]


def test_what_only_a_collector_got_is_named_like_what_is_in_a_file(written):
    """The published SDK keeps no observations of a run that a collector took."""
    request = {"path": f"/api/traces/{TRACE}/observations", "body": observed(SPAN, TRACE, "look")}
    found = written({"sent.jsonl": lines(request)})
    assert found["sent.jsonl"] == [
        {
            "path": "/api/traces/<desk trace 1>/observations",
            "body": observed("<desk look 1>", "<desk trace 1>", "look"),
        }
    ]


def test_times_lose_their_moment_and_keep_their_offset(written):
    """A reader takes a time without an offset for another moment."""
    found = written(
        {
            "traces.jsonl": lines(
                {
                    "a": "2026-11-21T00:22:27.794276+00:00",
                    "b": "2026-11-21T00:22:27",
                    "c": "2026-11-21",
                }
            )
        }
    )
    assert found["traces.jsonl"] == [{"a": "<time>+00:00", "b": "<time>", "c": "<date>"}]


def test_durations_are_left_out_and_counts_are_not(written):
    """Only a number that is said to be a duration is one."""
    found = written(
        {
            "summary.json": json.dumps(
                {"avg_duration_ms": 1.5, "total_runs": 4, "duration_ms": None}
            ),
            "trace.md": "duration_ms: 2.77\n- Duration: `0.39 ms`\n- Tokens: 12",
        }
    )
    assert found == {
        "summary.json": {"avg_duration_ms": "<duration>", "total_runs": 4, "duration_ms": None},
        "trace.md": ["duration_ms: <duration>", "- Duration: `<duration>`", "- Tokens: 12"],
    }


def test_of_a_traceback_the_error_stays(written):
    """The frames are those of whoever ran the function."""
    traceback = "Traceback (most recent call last):\n  File ...\nRuntimeError: no answer\n"
    found = written({"observations.jsonl": lines({"metadata": {"traceback": traceback}})})
    assert found["observations.jsonl"] == [
        {"metadata": {"traceback": "<traceback> RuntimeError: no answer"}}
    ]


def test_the_data_of_a_report_is_in_one_order(written):
    """The report sorts its data by ids that are random."""

    def report(first: str, second: str):
        data = json.dumps({first: {"turns": 1}, second: {"turns": 2}}, sort_keys=True)
        return written(
            {
                "trace_summary.jsonl": lines({"trace_id": first}, {"trace_id": second}),
                "report.html": f"    const data = {data};\n",
            }
        )["report.html"]

    assert report(UUID, TRACE) == report(TRACE, UUID)


def test_what_a_report_says_of_latency_is_left_out(written):
    """Which runs were slow differs each time; what comes after that card does not."""

    def report(latency: str):
        card = '<h3 class="metric-card-title">{}</h3>\n{}\n'
        cards = card.format("Latency", latency) + card.format("Output Tokens", "12")
        return written({"report.html": cards})["report.html"]

    assert report("<i>0.3</i>") == report("<i>0.4</i>\n<i>slow</i>")
    assert report("0.3")[-1] == "12"


def test_a_table_is_as_wide_as_one_likes(written, tmp_path):
    """The sides of a printed table are as long as the folder's name."""
    found = written({"status.txt": f"┌──────┐\n│ {tmp_path / 'run'}  │ at 0x7f16 127.0.0.1:8123\n"})
    assert found["status.txt"] == ["┌─┐", "│ <folder> │ at <address> <loopback>"]
