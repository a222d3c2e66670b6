"""Spans that are large, alone or together: what a collector can take arrives, the rest is kept."""

from __future__ import annotations

import orjson
import pytest

import spanwise
from spanwise import semconv
from spanwise.export import segments
from support.faulty_collector import Behaviour, FaultyCollector
from support.programs import Outcome, Programs, outcome
from support.receiver import attributes
from support.work import Work

# gRPC's limit for one message, and what collectors take by default.
LIMIT = 4 << 20
SENTENCE = "what the agent was told, "
PROGRAM = """
import sys
from opentelemetry import trace
import spanwise
from support.producer import append, report

spanwise.configure()
tracer = trace.get_tracer("program")

def block(name, text):
    # Set by hand: the decorators bound what they record.
    with tracer.start_as_current_span(name, attributes={"text": text}) as span:
        pass
    report(f"{span.get_span_context().span_id:016x}")

def note_memory():
    # Not getrusage: its maximum is that of the process which started this one, too.
    status = open("/proc/self/status").read() if sys.platform == "linux" else "VmHWM: 0 kB"
    append(sys.argv[1], status.partition("VmHWM:")[2].split()[0] + " ")

for _ in range(100):
    block("small", "word")
assert spanwise.flush(60) is True
note_memory()
for _ in range(int(sys.argv[2])):
    block("large", "what the agent was told, " * int(sys.argv[3]))
for _ in range(100):
    block("small", "word")
assert spanwise.flush(60) is True
note_memory()
"""


class Collector(FaultyCollector):
    """A collector that keeps the spans that are called large, and takes what collectors take."""

    def __init__(self, most_bytes=LIMIT):
        self.large = []
        super().__init__()
        self.behaviour = Behaviour(max_bytes=most_bytes)

    def accept(self, spans):
        self.large += [attributes(span) for span in spans if span.name == "large"]
        super().accept(spans)


@pytest.fixture
def collector():
    with Collector() as made:
        yield made


@pytest.fixture
def said(caplog):
    def find(word):
        return [record.message for record in caplog.records if word in record.message]

    return find


def kept(folder):
    """Return the attributes of the spans that were kept under a folder, by their ids."""
    found = {}
    for path in sorted(folder.rglob("*.kept.jsonl")):
        for line in segments.lines_of(path):
            span = orjson.loads(line.data)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
            assert span["spanId"] not in found
            found[span["spanId"]] = {
                one["key"]: one["value"].get("stringValue") for one in span["attributes"]
            }
    return found


@pytest.mark.parametrize(
    ("spans", "sentences", "is_cut", "most_grown_bytes"),
    [
        pytest.param(1, 200_000, True, 80e6, id="one of 5 MB"),
        pytest.param(1, 2_800_000, True, 800e6, id="one of 70 MB", marks=pytest.mark.slow),
        pytest.param(60, 6_000, False, 80e6, id="60 of 150 kB"),
        pytest.param(500, 6_000, False, 80e6, id="500 of 150 kB", marks=pytest.mark.slow),
    ],
)
def test_large_spans_arrive_with_the_small_ones_beside_them(
    tmp_path, collector, spans, sentences, is_cut, most_grown_bytes
):
    """One that no collector takes is cut, and its whole is on the disk; memory is bounded."""
    told = tmp_path / "told"
    with Programs(tmp_path, collector.url) as programs:
        assert 0 == programs.run(PROGRAM, told, spans, sentences)
        assert Outcome(200 + spans) == outcome(collector, programs)
    assert {200} == {request.status for request in collector.requests}
    assert max(int(request.headers["content-length"]) for request in collector.requests) < LIMIT
    text = SENTENCE * sentences
    whole = list(kept(programs.spool).values())
    if is_cut:
        for arrived in collector.large:
            left = len(text) - arrived[semconv.OBSERVATION_CUT_BYTES]
            assert left == pytest.approx(len(arrived["text"]), abs=200)
            assert arrived["text"].startswith(SENTENCE)
            assert arrived["text"].endswith(SENTENCE)
        assert [text] * spans == [one["text"] for one in whole]
    else:
        assert [text] * spans == [one["text"] for one in collector.large]
        assert [] == whole
    calm, peak = map(int, told.read_text().split())
    assert (peak - calm) * 1024 < most_grown_bytes


def test_a_large_span_is_kept_once_however_often_it_is_tried(collector, tmp_path, said):
    """The collector is away for several tries; they leave nothing on the disk."""
    collector.down()
    spanwise.configure(otlp_endpoint=collector.url)
    work = Work()
    work.block("large", text=SENTENCE * 200_000)
    work.do(10)
    assert spanwise.flush(1.2) is False
    assert spanwise.stats()["retried.otlp"] >= 2
    assert {} == kept(tmp_path)
    collector.up()
    assert spanwise.flush(30) is True
    assert Outcome(11) == work.outcome(collector)
    assert [SENTENCE * 200_000] == [one["text"] for one in kept(tmp_path).values()]
    assert work.ids[:1] == list(kept(tmp_path))
    stats = spanwise.stats()
    assert (1, 1) == (stats["cut.otlp"], stats["kept.spool"])
    assert 1 == len(said("is cut; the whole of it is kept"))


def test_a_collector_that_takes_less_gets_less(tmp_path):
    """A span is cut until it fits, and one for which there is no room at all is kept."""
    with Collector(50_000) as collector:
        spanwise.configure(otlp_endpoint=collector.url)
        work = Work()
        work.block("large", text=SENTENCE * 6_000)
        work.do(50)
        assert spanwise.flush(30) is True
        assert Outcome(51) == work.outcome(collector)
        (arrived,) = collector.large
        assert 6_000 * len(SENTENCE) - len(arrived["text"]) > 100_000
        assert arrived[semconv.OBSERVATION_CUT_BYTES] > 100_000
        assert [work.ids[0]] == list(kept(tmp_path))
        collector.behaviour = Behaviour(max_bytes=10)
        work.do(5)
        assert spanwise.flush(30) is True
        assert Outcome(51, lost=5) == work.outcome(collector)
        assert [work.ids[0], *work.ids[-5:]] == list(kept(tmp_path))
        assert 5 == spanwise.stats()["refused.otlp"]


def test_large_spans_that_wait_are_sent_by_the_next_process(tmp_path, collector):
    """They are cut by whoever sends them."""
    told = tmp_path / "told"
    with Programs(tmp_path, collector.url) as programs:
        collector.down()
        program = PROGRAM.replace("assert spanwise.flush(60) is True", "")
        assert 0 == programs.run(program, told, 2, 200_000)
        assert {} == kept(programs.spool)
        collector.up()
        assert 0 == programs.run_next_process()
        assert Outcome(202) == outcome(collector, programs)
        assert [SENTENCE * 200_000] * 2 == [one["text"] for one in kept(programs.spool).values()]
        assert [] == programs.files("*.[0-9]*.jsonl")
