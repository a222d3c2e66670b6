"""Far more spans at once than any queue would hold: all of them arrive, none of them twice."""

from __future__ import annotations

import pytest

from support.faulty_collector import FaultyCollector
from support.programs import Outcome, Programs, outcome

PROGRAM = """
import asyncio, sys, threading
import spanwise
from support.producer import work_async, works

def in_one_thread(spans):
    works(spans)

def in_eight_threads(spans):
    threads = [threading.Thread(target=works, args=(spans // 8,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

def in_tasks(spans):
    async def task():
        for _ in range(spans // 50):
            await work_async()

    async def tasks():
        await asyncio.gather(*[task() for _ in range(50)])

    asyncio.run(tasks())

spanwise.configure()
globals()[sys.argv[1]](int(sys.argv[2]))
sys.exit(not spanwise.flush(150))
"""


@pytest.mark.parametrize("spans", [5_000, pytest.param(50_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("way", ["in_one_thread", "in_eight_threads", "in_tasks"])
def test_all_spans_of_a_burst_arrive_once(tmp_path, way, spans):
    """A flush waits for them, and leaves nothing in the spool."""
    with FaultyCollector() as collector, Programs(tmp_path, collector.url) as programs:
        assert 0 == programs.run(PROGRAM, way, spans)
        assert spans == len(set(programs.reported()))
        assert Outcome(arrived=spans) == outcome(collector, programs)
        assert [] == programs.files("*.jsonl")
