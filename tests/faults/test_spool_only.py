"""Spans that are left to another program are in their files, however their process ends."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

import pytest

from support.faulty_collector import FaultyCollector
from support.programs import Programs, ended

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no such signals")

PROGRAM = """
import os, sys
import spanwise
from support.producer import in_background, work_forever, works

spanwise.configure()
in_background(work_forever)
works(300)
"""
ENDINGS = {
    "SIGKILL": ("work_forever()", signal.SIGKILL, -signal.SIGKILL),
    "SIGTERM": ("work_forever()", signal.SIGTERM, -signal.SIGTERM),
    "os._exit": ("os._exit(4)", None, 4),
    "an exit beside daemon threads": ("", None, 0),
    "a fork, and an end of both": ("os.fork(); works(100); os._exit(0)", None, 0),
}


def read(programs):
    """Return how often each span is there, and how many lines are torn, as a reader sees it."""
    ids, torn = Counter(), 0
    for path in (programs.spool / "unsent").glob("*.jsonl"):
        for line in path.read_bytes().split(b"\n"):
            try:
                document = json.loads(line or b'{"resourceSpans":[]}')
            except ValueError:
                torn += 1
                continue
            ids.update(
                span["spanId"]
                for of_resource in document["resourceSpans"]
                for of_scope in of_resource["scopeSpans"]
                for span in of_scope["spans"]
            )
    return ids, torn


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_ended_before_its_process_did_is_there_to_be_read(tmp_path, ending):
    """Once, and nobody takes it away: neither the next process nor one that sends."""
    last_line, number, exit_code = ENDINGS[ending]
    with (
        FaultyCollector() as collector,
        Programs(tmp_path, collector.url, SPANWISE_SPOOL_ONLY="true") as programs,
    ):
        process = programs.start(PROGRAM + last_line)
        if number is not None:
            programs.wait_for(600)
            process.send_signal(number)
        assert exit_code == ended(process)
        reported = set(programs.reported())
        assert len(reported) >= 300
        ids, torn = read(programs)
        assert torn <= 1
        assert set() == reported - set(ids)
        assert {1} == set(ids.values())

        assert 0 == programs.run_next_process()
        programs.environment["SPANWISE_SPOOL_ONLY"] = "false"
        assert 0 == programs.run_next_process()
        assert 0 == programs.run_send()
        assert (ids, torn) == read(programs)
        assert {} == dict(collector.accepted)
