"""Lines on their way to a destination: each is settled once, whatever is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import spanwise
from spanwise import _state
from spanwise.export import policy
from spanwise.export.delivery import AwayError, Delivery, Parcel
from spanwise.export.policy import Action, Answer
from spanwise.export.segments import Line

OK = Answer(status=200)
BAD = Answer(status=400)
LARGE = Answer(status=413)
BUSY = Answer(status=503, retry_after="7")
FORBIDDEN = Answer(status=403)

SMALLEST = 10


def line(number, size=1, kind="good"):
    return Line(b"%d %d %s" % (number, size, kind.encode()), number=1, end=number)


def number_of(each):
    return int(each.data.split()[0])


def size_of(each):
    return int(each.data.split()[1])


class FakeCourier:
    """Answers as a function says, and remembers what it was sent.

    Args:
        answers: given the sizes of lines by their numbers, returns the answer.
    """

    kind = "fake"
    target = "the place"

    def __init__(self, answers=lambda sent: OK, most_lines=100, most_bytes=1_000):
        self.answers = answers
        self.most_lines = most_lines
        self.most_bytes = most_bytes
        self.requests = []
        self.told = []
        self.arrived = []

    def pack(self, each):
        if each.data.endswith(b"bad"):
            return Parcel(each, None, 0)
        return Parcel(each, each.data, size_of(each))

    def shorten(self, each, most_bytes):
        if most_bytes < SMALLEST or each.data.endswith(b"stiff"):
            return None
        kind = "bad" if each.data.endswith(b"brittle") else "good"
        return replace(each, data=line(number_of(each), most_bytes, kind).data)

    def send(self, parcels):
        sent = {number_of(parcel.line): parcel.size for parcel in parcels}
        assert len(sent) == len(parcels)
        assert all(parcel.content is not None for parcel in parcels)
        self.requests.append(sent)
        answer = self.answers(sent)
        if answer is OK:
            self.arrived += sent
        return answer

    def judge(self, answer):
        return policy.verdict(answer)

    def rejected(self, answer):
        count, _, why = answer.body.decode().partition(" ")
        return int(count or 0), why

    def refused(self, each, answer, verdict):
        self.told.append((number_of(each), answer.status, verdict.action))

    def close(self):
        pass


class Sent:
    """What became of lines that were delivered, by one try after another."""

    def __init__(self, courier, lines):
        self.courier = courier
        self.left = list(lines)
        self.kept = []
        self.settled = []
        self.delivery = Delivery(courier)

    def deliver(self):
        """Deliver what is left; return the verdict where the destination is away."""

        def settle(each, count):
            assert count > 0
            assert number_of(self.left[count - 1]) == number_of(each)
            self.settled += [number_of(x) for x in self.left[:count]]
            del self.left[:count]

        try:
            self.delivery.deliver(list(self.left), self.kept.append, settle)
        except AwayError as away:
            return away.verdict
        assert [] == self.left
        return None


def counted(name):
    return spanwise.stats().get(f"{name}.fake", 0)


def test_nothing_is_delivered_without_a_request():
    """No line, no request."""
    sent = Sent(FakeCourier(), [])
    assert sent.deliver() is None
    assert [] == sent.courier.requests


def test_lines_are_sent_in_their_order_in_requests_of_bounded_number():
    """Each request is settled when it was answered."""
    sent = Sent(FakeCourier(most_lines=4), [line(n) for n in range(10)])
    assert sent.deliver() is None
    assert [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]] == [list(x) for x in sent.courier.requests]
    assert list(range(10)) == sent.settled
    assert 10 == counted("exported")
    assert [] == sent.kept


def test_requests_are_of_bounded_size():
    """One more line would be too much; one that fills a request has one of its own."""
    sizes = [400, 400, 400, 1_000, 1, 999, 1]
    sent = Sent(FakeCourier(), [line(n, size) for n, size in enumerate(sizes)])
    assert sent.deliver() is None
    assert [[0, 1], [2], [3], [4, 5], [6]] == [list(x) for x in sent.courier.requests]
    assert all(sum(x.values()) <= 1_000 for x in sent.courier.requests)
    assert 7 == counted("exported")


@pytest.mark.parametrize("poison", [{0}, {99}, {37}, {0, 99}, {5, 6, 7}, set(range(0, 100, 9))])
def test_poison_is_found_and_its_neighbours_are_delivered(poison):
    """It is kept and told of; all else arrives once, and all is settled in order."""
    courier = FakeCourier(lambda sent: BAD if poison & set(sent) else OK)
    sent = Sent(courier, [line(n) for n in range(100)])
    assert sent.deliver() is None
    assert [n for n in range(100) if n not in poison] == courier.arrived
    assert sorted(poison) == [number_of(each) for each in sent.kept]
    assert [(n, 400, Action.BISECT) for n in sorted(poison)] == courier.told
    assert list(range(100)) == sent.settled
    assert (100 - len(poison), len(poison)) == (counted("exported"), counted("refused"))
    assert len(courier.requests) <= 2 * len(poison) * 8


def test_where_everything_is_poison_everything_is_kept():
    """And the search for it ends."""
    sent = Sent(FakeCourier(lambda sent: BAD), [line(n) for n in range(16)])
    assert sent.deliver() is None
    assert list(range(16)) == [number_of(each) for each in sent.kept] == sent.settled
    assert 31 == len(sent.courier.requests)
    assert 0 == counted("exported")


def test_a_request_that_is_too_large_is_split_until_it_is_not():
    """Nothing is cut for that."""
    courier = FakeCourier(lambda sent: LARGE if sum(sent.values()) > 120 else OK)
    sent = Sent(courier, [line(n, 50) for n in range(16)])
    assert sent.deliver() is None
    assert list(range(16)) == courier.arrived == sent.settled
    assert [] == sent.kept
    assert 0 == counted("cut")


def test_a_line_that_is_too_large_alone_is_cut_until_it_is_not():
    """The whole of it is kept once; its neighbours are as they were."""
    courier = FakeCourier(lambda sent: LARGE if sum(sent.values()) > 100 else OK)
    sent = Sent(courier, [line(0, 60), line(1, 900), line(2, 60)])
    assert sent.deliver() is None
    assert [{0: 60}, {1: 56}, {2: 60}] == [x for x in courier.requests if sum(x.values()) <= 100]
    assert [900, 450, 225, 112, 56] == [x[1] for x in courier.requests if list(x) == [1]]
    assert [line(1, 900).data] == [each.data for each in sent.kept]
    assert [0, 1, 2] == sent.settled
    assert (3, 1, 0) == (counted("exported"), counted("cut"), counted("refused"))


def test_a_line_that_is_never_small_enough_is_given_up_and_kept():
    """Once it is as small as it gets."""
    courier = FakeCourier(lambda sent: LARGE if 1 in sent else OK)
    sent = Sent(courier, [line(0), line(1, 900), line(2)])
    assert sent.deliver() is None
    assert [0, 2] == courier.arrived
    assert [line(1, 900).data] == [each.data for each in sent.kept]
    assert [(1, 413, Action.SPLIT)] == courier.told
    assert [0, 1, 2] == sent.settled
    assert (2, 0, 1) == (counted("exported"), counted("cut"), counted("refused"))


def test_a_cut_line_that_turns_out_to_be_poison_is_kept_once():
    """As it was before it was cut."""
    courier = FakeCourier(lambda sent: LARGE if sum(sent.values()) > 500 else BAD)
    sent = Sent(courier, [line(1, 900)])
    assert sent.deliver() is None
    assert [line(1, 900).data] == [each.data for each in sent.kept]
    assert (0, 0, 1) == (counted("exported"), counted("cut"), counted("refused"))


def test_a_line_too_large_for_any_request_is_cut_before_it_is_sent():
    """The collector never sees the whole of it."""
    sent = Sent(FakeCourier(), [line(0), line(1, 5_000), line(2)])
    assert sent.deliver() is None
    assert {1: 1_000} == {n: size for x in sent.courier.requests for n, size in x.items() if n == 1}
    assert [line(1, 5_000).data] == [each.data for each in sent.kept]
    assert [0, 1, 2] == sent.settled == sent.courier.arrived
    assert (3, 1, 0) == (counted("exported"), counted("cut"), counted("refused"))


@pytest.mark.parametrize("kind", ["stiff", "brittle"])
def test_a_line_too_large_that_cannot_be_cut_is_given_up_and_kept(kind):
    """As when its texts are short and many, or nothing is left that means something."""
    sent = Sent(FakeCourier(), [line(0), line(1, 5_000, kind), line(2)])
    assert sent.deliver() is None
    assert [0, 2] == sent.courier.arrived
    assert [line(1, 5_000, kind).data] == [each.data for each in sent.kept]
    assert [0, 1, 2] == sent.settled
    assert (2, 1) == (counted("exported"), counted("refused"))
    assert 0 == counted("unreadable")


def test_lines_that_mean_nothing_are_settled_with_their_neighbours():
    """They are counted, and neither sent nor kept."""
    lines = [line(n, 1, "bad" if n in (0, 3, 4, 9) else "good") for n in range(10)]
    sent = Sent(FakeCourier(), lines)
    assert sent.deliver() is None
    assert [1, 2, 5, 6, 7, 8] == sent.courier.arrived
    assert list(range(10)) == sent.settled
    assert (6, 4) == (counted("exported"), counted("unreadable"))
    sent = Sent(FakeCourier(), [line(n, 1, "bad") for n in range(3)])
    assert sent.deliver() is None
    assert [] == sent.courier.requests
    assert [0, 1, 2] == sent.settled
    assert 7 == counted("unreadable")


def test_lines_that_mean_nothing_do_not_hide_the_poison_among_them():
    """Halving goes on until one line is left, whether it can be sent or not."""
    lines = [line(n, 1, "good" if n == 5 else "bad") for n in range(9)]
    sent = Sent(FakeCourier(lambda _: BAD), lines)
    assert sent.deliver() is None
    assert [5] == [number_of(each) for each in sent.kept]
    assert list(range(9)) == sent.settled
    assert (8, 1) == (counted("unreadable"), counted("refused"))


@pytest.mark.parametrize(
    ("answer", "action", "pause_s"), [(BUSY, Action.RETRY, 7), (FORBIDDEN, Action.PARK, None)]
)
def test_a_destination_that_goes_away_in_the_midst_gets_the_rest_later(answer, action, pause_s):
    """What it had taken is settled, and not sent again."""
    courier = FakeCourier(most_lines=3)
    courier.answers = lambda sent: answer if len(courier.requests) == 3 else OK
    sent = Sent(courier, [line(n) for n in range(10)])
    verdict = sent.deliver()
    assert (action, pause_s) == (verdict.action, verdict.pause_s)
    assert list(range(6)) == sent.settled
    assert sent.deliver() is None
    assert list(range(10)) == courier.arrived == sent.settled
    assert 10 == counted("exported")


def test_a_destination_that_goes_away_while_poison_is_searched_loses_nothing():
    """Whenever that is: what was delivered, kept and told of stays so."""
    for step in range(1, 40):
        _state._counters.clear()
        courier = FakeCourier()
        courier.answers = lambda sent, courier=courier, step=step: (
            BUSY if len(courier.requests) == step else BAD if {3, 11} & set(sent) else OK
        )
        sent = Sent(courier, [line(n) for n in range(16)])
        was_away = sent.deliver() is not None
        if was_away:
            assert sent.deliver() is None
        assert [n for n in range(16) if n not in (3, 11)] == courier.arrived
        assert [3, 11] == [number_of(each) for each in sent.kept]
        assert [3, 11] == [number for number, _, _ in courier.told]
        assert list(range(16)) == sent.settled
        assert (14, 2) == (counted("exported"), counted("refused"))
        if not was_away:
            break
    assert 10 < step < 39


def test_what_is_put_aside_is_so_once_however_long_the_destination_is_away():
    """A large line is kept, and counted, when it is settled: each try has to cut it anew."""
    courier = FakeCourier(lambda _: BUSY)
    sent = Sent(
        courier, [line(0), line(1, 5_000), line(2, 5_000, "stiff"), line(3, 1, "bad"), line(4)]
    )
    for _ in range(10):
        assert sent.deliver() is not None
    assert [] == sent.kept
    assert {} == spanwise.stats()
    courier.answers = lambda sent: OK
    assert sent.deliver() is None
    assert [1, 2] == [number_of(each) for each in sent.kept]
    assert {
        "cut.fake": 1,
        "exported.fake": 3,
        "refused.fake": 1,
        "unreadable.fake": 1,
    } == spanwise.stats()


@pytest.mark.parametrize(
    ("body", "rejected"),
    [(b"", 0), (b"0 beware", 0), (b"2 bad", 2), (b"99 bad", 5), (b"-3 bad", 0)],
)
def test_what_a_destination_took_but_rejected_in_part_is_counted(body, rejected, caplog):
    """And never sent again."""
    answer = Answer(status=200, body=body)
    sent = Sent(FakeCourier(lambda _: answer), [line(n) for n in range(5)])
    assert sent.deliver() is None
    assert 1 == len(sent.courier.requests)
    assert list(range(5)) == sent.settled
    assert (5 - rejected, rejected) == (counted("exported"), counted("rejected"))
    assert [] == sent.kept
    assert bool(body) == any("took a request, but" in r.message for r in caplog.records)


def test_a_fault_in_telling_of_a_refusal_stops_nothing(swallowed):
    """It is ours, and is guarded."""
    courier = FakeCourier(lambda sent: BAD if 1 in sent else OK)

    def failing(*args):
        raise ZeroDivisionError("ours")

    courier.refused = failing
    sent = Sent(courier, [line(n) for n in range(3)])
    assert sent.deliver() is None
    assert [0, 1, 2] == sent.settled
    assert [0, 2] == courier.arrived
    assert {"failures.courier.refused": 1} == swallowed()


@settings(deadline=None, max_examples=200)
@given(
    kinds=st.lists(
        st.sampled_from(["good", "good", "good", "poison", "bad", "large", "stiff", "brittle"]),
        max_size=24,
    ),
    most_lines=st.integers(1, 10),
    most_bytes=st.integers(60, 400),
    accepts=st.integers(15, 500),
    away=st.sets(st.integers(1, 60), max_size=20),
)
def test_whatever_is_answered_each_line_has_one_end(kinds, most_lines, most_bytes, accepts, away):
    """Delivered once, or kept once, or unreadable; in order, each counted once."""
    _state._counters.clear()
    sizes = {"large": 700, "stiff": 600, "brittle": 500}
    lines = [line(n, sizes.get(kind, 30), kind) for n, kind in enumerate(kinds)]
    poison = {n for n, kind in enumerate(kinds) if kind == "poison"}

    def answers(sent):
        assert len(sent) <= most_lines
        assert sum(sent.values()) <= most_bytes
        if len(courier.requests) in away:
            return BUSY
        if sum(sent.values()) > accepts:
            return LARGE
        return BAD if poison & set(sent) else OK

    courier = FakeCourier(answers, most_lines, most_bytes)
    sent = Sent(courier, lines)
    for _ in range(len(away) + 1):
        if sent.deliver() is None:
            break
    assert list(range(len(lines))) == sent.settled
    assert sorted(set(courier.arrived)) == courier.arrived
    kept = [number_of(each) for each in sent.kept]
    assert sorted(set(kept)) == kept
    assert {line_.data for line_ in sent.kept} <= {line_.data for line_ in lines}
    unreadable = {n for n, kind in enumerate(kinds) if kind == "bad"}
    assert set(courier.arrived) | set(kept) | unreadable == set(range(len(lines)))
    assert not unreadable & (set(courier.arrived) | set(kept))
    assert poison <= set(kept)
    both = set(courier.arrived) & set(kept)  # cut, and the whole of it kept
    assert counted("exported") == len(courier.arrived)
    assert counted("unreadable") == len(unreadable)
    assert counted("refused") == len(kept) - len(both)
    assert counted("cut") == len(both)
