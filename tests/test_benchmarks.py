"""The benchmark: how contenders take turns, what is made of their numbers, and a tiny run of it."""

from __future__ import annotations

import signal
import sys
import urllib.request
from pathlib import Path

import pytest
from benchmarks import environments, rounds, sink, targets
from benchmarks.contenders import HAND, OURS, Contender
from benchmarks.measures import calls, throughput
from benchmarks.plan import Plan
from benchmarks.processes import FailedError, Process, Sink

TINY = Plan(rounds=2, long_rounds=1, budget_s=0.005, burst=200, peers=False)
NO_SINK, FILES, SPOOL = OURS[:3]


@pytest.fixture
def this_environment(monkeypatch):
    """Contenders that are installed here run here, so that nothing is installed for a test."""
    if not hasattr(signal, "SIGSTOP"):
        pytest.skip("processes cannot be stopped here while another one is measured")
    monkeypatch.setattr(environments, "python_of", lambda name: Path(sys.executable))


def test_everyone_has_a_turn_in_each_round():
    """A round asks each contender once."""
    assert [["a", "b", "c"]] * 5 == [sorted(order) for order in rounds.turns("abc", 5)]


def test_the_order_of_the_turns_changes():
    """Nobody always comes after the same one."""
    assert len({tuple(order) for order in rounds.turns("abcdef", 10)}) > 5


def test_a_ratio_is_taken_within_each_round():
    """What slows the machine down for a round slows both, and leaves the ratio as it is."""
    by_name = {"ours": [1.0, 10.0, 2.0], "hand": [2.0, 20.0, 4.0]}
    assert 0.5 == rounds.ratio(by_name, "ours", "hand")


def test_a_single_slow_round_does_not_move_the_median():
    """The median is the value in the middle, and the spread is that of the quartiles."""
    assert 3.0 == rounds.summary([3.0, 3.0, 3.0, 3.0, 99.0])["median"]
    assert 0.0 == rounds.spread([3.0, 3.0, 3.0, 3.0])
    assert rounds.spread([3.0, 3.0, 3.0]) is None


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 99)])
def test_a_percentile_has_its_share_below_it(share, expected):
    """Of the numbers to 99, half lie below 50."""
    assert expected == rounds.percentile(range(100), share)


def test_the_price_of_a_bare_contender_is_taken_away():
    """What the call costs without anybody is nobody's, and who missed a round has no price."""
    answers = {
        "bare": [{"us": 1.0, "cpu_us": 1.0}] * 2,
        "hand": [{"us": 11.0, "cpu_us": 21.0}] * 2,
        "Spanwise": [{"us": 3.0, "cpu_us": 5.0}] * 2,
        "late": [{"us": 3.0, "cpu_us": 5.0}],
    }
    judged = calls._judged(answers, {"late": "its process has ended"}, "us")
    assert (2.0, 0.2, 0.2) == tuple(
        judged["Spanwise"][key] for key in ("median", "hand", "hand_cpu")
    )
    assert {"failed": "its process has ended"} == judged["late"]


def results(**hand: float) -> dict:
    """Return results of one shape, as a run stores them."""
    of_shape = {"hand": {"median": 52.0, "hand": 1.0}, "Spanwise, no sink": hand}
    off = {"root": {"Spanwise": {"median": 0.5}}}
    return {"calls": {"decorated": {"root": of_shape}, "off": off}}


def verdict(of: dict, beginning: str) -> targets.Verdict:
    """Return what became of the target whose name begins so."""
    return next(v for v in targets.verdicts(of) if v.target.what.startswith(beginning))


@pytest.mark.parametrize(
    ("ratio", "is_met", "is_far_off"), [(0.2, True, False), (0.4, False, False), (0.9, False, True)]
)
def test_a_missed_target_fails_a_quick_run_only_if_it_is_far_off(ratio, is_met, is_far_off):
    """Between the target and its quick bound lies what noise may do."""
    judged = verdict(results(hand=ratio, median=10.0), "call at the root, Spanwise, no sink")
    assert (is_met, is_far_off) == (judged.is_met, judged.is_far_off)


def test_a_time_is_scaled_by_what_the_yardstick_costs():
    """On a machine of half the speed half a microsecond stands for a quarter."""
    judged = verdict(results(hand=0.2, median=10.0), "switched off: a call")
    assert (0.5, 0.25) == (judged.measured, judged.scaled)
    assert (False, True) == (judged.is_met, judged.is_met_scaled)


def test_what_was_not_measured_is_not_judged():
    """A run of one measure says nothing of the others."""
    judged = verdict({}, "installed size")
    assert (None, None, False) == (judged.measured, judged.is_met, judged.is_far_off)


def test_every_target_of_a_ratio_has_a_quick_bound_that_is_wider():
    """The quick run never asks for more than the target does."""
    for target in targets.TARGETS:
        if target.quick is not None:
            assert target.quick <= target.bound if target.is_rate else target.quick >= target.bound


def test_the_sink_counts_a_span_once_however_often_it_comes(this_environment):
    """Requests of the stock exporter are read without protobuf."""
    from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

    spans = [{"spanId": "AAAAAAAAAAE=", "name": "a"}, {"spanId": "AAAAAAAAAAI=", "name": "b"}]
    body = TracesData()
    scope = body.resource_spans.add().scope_spans.add()
    for number, span in enumerate(spans, 1):
        scope.spans.add(
            span_id=number.to_bytes(8, "big"), name=span["name"], start_time_unix_nano=number
        )
    with Sink() as collector:
        for _ in range(2):
            data = body.SerializeToString()
            request = urllib.request.Request(f"{collector.url}/v1/traces", data)
            urllib.request.urlopen(request, timeout=30).close()
        counts = collector.counts()
    assert (2, 2, 4) == (counts["requests"], counts["spans"], counts["came"])


def test_what_peers_send_as_json_is_counted_too():
    """A request with one observation is one span, and a batch of spans is as many."""
    assert [b"1"] == list(sink.ids("/api/traces/t/observations", b'{"id": "1"}'))
    batch = b'{"spans": [{"id": "1"}, {"id": "2"}]}'
    assert [b"1", b"2"] == list(sink.ids("/v1/private/spans/batch", batch))
    assert [] == list(sink.ids("/api/traces", b'{"id": "1"}'))


def test_a_contender_that_cannot_be_set_up_says_why(this_environment):
    """A row of the table says what is the matter with a package."""
    with pytest.raises(FailedError, match="KeyError: 'no such variant'"):
        Process(Contender("x", "ours", "no such variant"))


def test_an_error_of_a_request_is_an_answer(this_environment):
    """The process lives on, and does what it is asked to next."""
    with Process(HAND) as process:
        with pytest.raises(FailedError, match="AttributeError"):
            process.ask("call", shape="no such shape", budget_s=0.001)
        assert process.ask("call", shape="root", budget_s=0.001)["us"] > 0


def test_ours_and_by_hand_are_measured_in_the_same_rounds(this_environment):
    """A tiny run gives each contender its price and its ratio, for every shape of a call."""
    asks = {shape: {"do": "call", "shape": shape} for shape in calls.SHAPES}
    found = calls.by_shape([HAND, NO_SINK, FILES, SPOOL], asks, TINY)
    assert list(calls.SHAPES) == list(found)
    for of_shape in found.values():
        assert {"hand", NO_SINK.name, FILES.name, SPOOL.name} == set(of_shape)
        assert all(2 == one["rounds"] for one in of_shape.values())
    assert 1.0 == found["root"]["hand"]["hand"]


def test_a_burst_is_counted_where_it_arrives(this_environment):
    """All that a tiny burst makes is delivered, by either pipeline."""
    found = throughput.measure(TINY)
    assert {"stock, API spans": 200, "Spanwise, API spans": 200} == {
        name: one["delivered"] for name, one in found.items() if "API" in name
    }
