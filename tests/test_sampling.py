"""Which traces are kept: a share of them, whole, as OpenTelemetry would decide."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

import spanwise
from spanwise._sampling import Sampling
from support.files import Files

SPANS_OF_A_TRACE = 4


@spanwise.tool
def leaf(n):
    with trace_api.get_tracer("other").start_as_current_span("third party's leaf"):
        return n


@spanwise.agent
def ours_at_the_root(n):
    """Make a trace of four spans."""
    with trace_api.get_tracer("other").start_as_current_span("third party's"):
        return leaf(n)


def theirs_at_the_root(n):
    """Make a trace of four spans, of which a third party starts the first."""
    with (
        trace_api.get_tracer("other").start_as_current_span("third party's root"),
        spanwise.observe("ours"),
    ):
        return leaf(n)


ROOTS = {"ours": ours_at_the_root, "a third party's": theirs_at_the_root}
every_root = pytest.mark.parametrize("root", ROOTS)


def spans_by_trace(files: Files) -> Counter[str]:
    """Return how many spans each trace in the files has."""
    return Counter(line["trace_id"] for line in files.observations())


def make_traces(n: int) -> None:
    """Make traces, begun by us and by third parties in turn."""
    for number in range(n):
        list(ROOTS.values())[number % 2](number)


def remote_parent(*, sampled: bool, trace_id: int = 0xA1) -> Context:
    """Return a context as a propagator makes it of an incoming request."""
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    parent = SpanContext(trace_id, 0xB2, is_remote=True, trace_flags=flags)
    return trace_api.set_span_in_context(NonRecordingSpan(parent), Context())


# --- a share of the traces --------------------------------------------------------------------


@every_root
@pytest.mark.parametrize(("rate", "kept"), [(1, 20), (1.0, 20), (0, 0), (0.0, 0)])
def test_all_or_none_of_the_traces_are_kept(files, root, rate, kept):
    """At rate 1 every span of every trace, at rate 0 nothing."""
    spanwise.configure(sample_rate=rate)
    for n in range(20):
        assert ROOTS[root](n) == n
    assert list(spans_by_trace(files).values()) == [SPANS_OF_A_TRACE] * kept
    assert len(files.traces()) == kept


@pytest.mark.parametrize("owns_provider", [True, False])
def test_about_half_of_the_traces_are_kept_and_those_whole(tmp_path, owns_provider):
    """Of 2,000 traces; either all spans of a trace are there, third parties' too, or none."""
    if not owns_provider:
        trace_api.set_tracer_provider(TracerProvider())
    spanwise.configure(traces_dir=tmp_path / "traces", sample_rate=0.5)
    make_traces(2_000)
    files = Files(tmp_path / "traces")
    traces = spans_by_trace(files)
    assert 850 < len(traces) < 1_150  # six standard deviations on each side
    assert set(traces.values()) == {SPANS_OF_A_TRACE}
    assert {trace["trace_id"] for trace in files.traces()} == set(traces)
    as_opentelemetry = TraceIdRatioBased(0.5)
    for trace_id in traces:
        result = as_opentelemetry.should_sample(None, int(trace_id, 16), "x")
        assert result.decision.is_sampled()


@every_root
def test_the_rate_can_be_changed_between_calls(files, root):
    """`configure(sample_rate=...)` takes effect at the next trace, and keeps the rest."""
    for rate, expected in ((0, 0), (1, 3), (0, 3), (1, 6)):
        spanwise.configure(sample_rate=rate)
        for n in range(3):
            ROOTS[root](n)
        assert len(files.traces()) == expected


def test_a_trace_that_is_open_while_the_rate_changes_stays_as_it_was_decided(files):
    """What began as kept is kept to its end, and the other way round."""
    with spanwise.observe("kept"):
        spanwise.configure(sample_rate=0)
        leaf(1)
    with spanwise.observe("left out"):
        spanwise.configure(sample_rate=1)
        leaf(2)
    assert [line["name"] for line in files.observations()] == [
        "third party's leaf",
        "leaf",
        "kept",
    ]


rates = st.one_of(st.sampled_from([0.0, 1.0, 0.5, 0.1, 1e-9, 1 - 1e-9]), st.floats(0, 1))


@given(trace_id=st.integers(1, 2**128 - 1), rate=rates)
def test_a_trace_is_kept_where_opentelemetry_would_keep_it(trace_id, rate):
    """Services that share a trace and a rate agree, whichever of both decides."""
    theirs = TraceIdRatioBased(rate).should_sample(None, trace_id, "x").decision.is_sampled()
    assert Sampling(rate).keeps(trace_id, Context()) is theirs


@given(low=st.integers(-2, 2), high=st.integers(0, 2**64 - 1), rate=rates)
def test_at_the_border_a_trace_is_kept_where_opentelemetry_would_keep_it(low, high, rate):
    """The ids next to the bound are decided alike, whatever the upper half of the id says."""
    sampler = TraceIdRatioBased(rate)
    lower_half = min(max(sampler.bound + low, 0), 2**64 - 1)
    trace_id = (high << 64) | lower_half
    theirs = sampler.should_sample(None, trace_id, "x").decision.is_sampled()
    assert Sampling(rate).keeps(trace_id, Context()) is theirs


@given(rate=rates)
def test_what_keeps_all_keeps_every_trace(rate):
    """The short cut is taken at rate 1 only."""
    sampling = Sampling(rate)
    if sampling.keeps_all(Context()):
        assert sampling.keeps(2**128 - 1, Context())
    assert Sampling(1.0).keeps_all(Context())


def test_a_trace_that_is_left_out_costs_no_encoding(files, monkeypatch):
    """It is decided before anything is captured or a span is made."""
    spanwise.configure(sample_rate=0)
    monkeypatch.setattr("spanwise._encoding.Encoder.dumps", lambda *_: pytest.fail("encoded"))
    assert ours_at_the_root(1) == 1
    assert list(_streamed()) == ["a"]


@spanwise.generation
def _streamed():
    yield "a"


def test_a_trace_that_is_left_out_tells_others_so(files):
    """Its context is valid and unsampled: a service that is called leaves it out as well."""
    spanwise.configure(sample_rate=0)
    with spanwise.observe("left out") as observation:
        context = trace_api.get_current_span().get_span_context()
        assert context.is_valid
        assert not context.trace_flags.sampled
        assert not observation.is_recording()
        assert observation.trace_id == format(context.trace_id, "032x")
        observation.update(output="nobody reads it")
        observation.identify(user="nobody")
    assert files.observations() == []


# --- forcing a trace in or out ----------------------------------------------------------------


@every_root
@pytest.mark.parametrize("keep", [True, False])
def test_sampled_forces_the_traces_that_start_inside(files, root, keep):
    """Against the rate, of us and of third parties; outside the rate holds."""
    spanwise.configure(sample_rate=0 if keep else 1)
    ROOTS[root](1)
    with spanwise.sampled(keep):
        ROOTS[root](2)
    ROOTS[root](3)
    kept = [line["input"]["n"] for line in files.observations() if line["name"] == "leaf"]
    assert kept == ([2] if keep else [1, 3])
    assert set(spans_by_trace(files).values()) == {SPANS_OF_A_TRACE}


def test_the_innermost_sampled_counts(files):
    """And the outer one again when it is left."""
    with spanwise.sampled(False):
        with spanwise.sampled(True):
            leaf(1)
        leaf(2)
    assert [line["input"]["n"] for line in files.observations() if line["name"] == "leaf"] == [1]


@pytest.mark.parametrize("owns_provider", [True, False])
def test_sampled_changes_nothing_inside_an_open_trace(tmp_path, owns_provider):
    """A kept trace stays whole, and one that is left out stays out."""
    if not owns_provider:
        trace_api.set_tracer_provider(TracerProvider())
    spanwise.configure(traces_dir=tmp_path / "traces")
    with spanwise.observe("kept"), spanwise.sampled(False):
        ours_at_the_root(1)
        theirs_at_the_root(2)
    with spanwise.sampled(False), spanwise.observe("left out"), spanwise.sampled(True):
        ours_at_the_root(3)
        theirs_at_the_root(4)
    files = Files(tmp_path / "traces")
    assert list(spans_by_trace(files).values()) == [1 + 2 * SPANS_OF_A_TRACE]
    assert [trace["name"] for trace in files.traces()] == ["kept"]


def test_sampled_gives_the_callers_context_back(files):
    """The very context from before, after an exception too."""
    before = context_api.get_current()
    with pytest.raises(KeyError), spanwise.sampled(True):
        raise KeyError
    assert context_api.get_current() is before


async def test_one_sampled_may_be_entered_by_many_tasks_at_once(files):
    """Made once and shared: each task gives back its own context."""
    left_out = spanwise.sampled(False)

    async def work(n):
        with left_out:
            for _ in range(n % 3):
                await asyncio.sleep(0)
            leaf(-1)
        await asyncio.sleep(0)
        leaf(n)
        return dict(context_api.get_current())

    assert await asyncio.gather(*(work(n) for n in range(9))) == [{}] * 9
    kept = [line["input"]["n"] for line in files.observations() if line["name"] == "leaf"]
    assert sorted(kept) == list(range(9))


async def test_tasks_started_inside_are_forced_as_well(files):
    """A task that outlives the block begins its traces as it was inside."""
    with spanwise.sampled(False):
        inside = asyncio.create_task(asyncio.to_thread(leaf, 1))
    outside = asyncio.create_task(asyncio.to_thread(leaf, 2))
    await asyncio.gather(inside, outside)
    assert [line["input"]["n"] for line in files.observations() if line["name"] == "leaf"] == [2]


# --- traces that began elsewhere --------------------------------------------------------------


@every_root
@pytest.mark.parametrize(("rate", "sampled"), [(0, True), (1, False)])
def test_the_decision_of_a_remote_parent_is_followed(files, root, rate, sampled):
    """A service that is called keeps what its caller keeps, against its own rate."""
    spanwise.configure(sample_rate=rate)
    token = context_api.attach(remote_parent(sampled=sampled))
    ROOTS[root](1)
    context_api.detach(token)
    expected = {format(0xA1, "032x"): SPANS_OF_A_TRACE} if sampled else {}
    assert spans_by_trace(files) == expected


# --- providers that are not ours --------------------------------------------------------------


def test_on_a_foreign_provider_the_users_exporter_gets_everything(tmp_path):
    """Our files get the share that is kept, of whole traces; what they do not get is counted."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_api.set_tracer_provider(provider)
    spanwise.configure(traces_dir=tmp_path / "traces", sample_rate=0.25)
    make_traces(400)
    exported = Counter(
        format(span.context.trace_id, "032x") for span in exporter.get_finished_spans()
    )
    written = spans_by_trace(Files(tmp_path / "traces"))
    assert list(exported.values()) == [SPANS_OF_A_TRACE] * 400
    assert 50 < len(written) < 150
    assert set(written.values()) == {SPANS_OF_A_TRACE}
    assert written.keys() < exported.keys()
    left_out = SPANS_OF_A_TRACE * (400 - len(written))
    assert spanwise.stats()["dropped.sampled_out"] == left_out


@every_root
@pytest.mark.parametrize("keep", [True, False])
def test_on_a_foreign_provider_sampled_forces_what_our_files_get(tmp_path, root, keep):
    """The user's own exporter is none of its business."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_api.set_tracer_provider(provider)
    spanwise.configure(traces_dir=tmp_path / "traces", sample_rate=0 if keep else 1)
    with spanwise.sampled(keep):
        ROOTS[root](1)
    assert sum(spans_by_trace(Files(tmp_path / "traces")).values()) == keep * SPANS_OF_A_TRACE
    assert len(exporter.get_finished_spans()) == SPANS_OF_A_TRACE


@pytest.mark.parametrize("keep", [True, False])
def test_on_a_foreign_provider_a_late_span_follows_its_trace(tmp_path, keep):
    """Begun when its parent has ended, outside the block that forced the trace: still whole."""
    provider = TracerProvider()
    spanwise.configure(
        traces_dir=tmp_path / "traces", sample_rate=0 if keep else 1, tracer_provider=provider
    )
    tracer = provider.get_tracer("other")
    with spanwise.sampled(keep):
        root = tracer.start_span("root")
    root.end()
    tracer.start_span("late", context=trace_api.set_span_in_context(root, Context())).end()
    names = [line["name"] for line in Files(tmp_path / "traces").observations()]
    assert names == (["root", "late"] if keep else [])


@pytest.mark.parametrize(("rate", "sampled"), [(0, True), (1, False)])
def test_on_a_foreign_provider_our_files_follow_a_remote_parent(tmp_path, rate, sampled):
    """The caller's decision holds for the whole trace, here as on a provider of ours."""
    provider = TracerProvider()
    spanwise.configure(traces_dir=tmp_path / "traces", sample_rate=rate, tracer_provider=provider)
    token = context_api.attach(remote_parent(sampled=sampled))
    leaf(1)
    context_api.detach(token)
    names = [line["name"] for line in Files(tmp_path / "traces").observations()]
    assert ("leaf" in names) is sampled


# --- OpenTelemetry's variables ----------------------------------------------------------------


@every_root
@pytest.mark.parametrize(
    ("sampler", "argument", "is_kept"),
    [
        ("always_on", None, True),
        ("parentbased_always_on", None, True),
        ("always_off", None, False),
        ("parentbased_always_off", None, False),
        ("parentbased_traceidratio", "0", False),
        ("parentbased_traceidratio", "1", True),
        ("parentbased_traceidratio", None, True),
        ("traceidratio", "0.0", False),
        ("Always_Off", None, False),
    ],
)
def test_opentelemetrys_sampler_variables_are_honoured(
    tmp_path, monkeypatch, root, sampler, argument, is_kept
):
    """Where nothing else is said, `OTEL_TRACES_SAMPLER` decides."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    if argument is not None:
        monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    spanwise.configure(traces_dir=tmp_path / "traces")
    for n in range(5):
        assert ROOTS[root](n) == n
    expected = [SPANS_OF_A_TRACE] * 5 * is_kept
    assert list(spans_by_trace(Files(tmp_path / "traces")).values()) == expected


@every_root
@pytest.mark.parametrize("sampler", ["always_off", "parentbased_always_off", "traceidratio"])
def test_sampled_forces_a_trace_against_opentelemetrys_variable(
    tmp_path, monkeypatch, root, sampler
):
    """The word in the code is the nearest."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    spanwise.configure(traces_dir=tmp_path / "traces")
    with spanwise.sampled(True):
        ROOTS[root](1)
    ROOTS[root](2)
    assert len(Files(tmp_path / "traces").traces()) == 1


@pytest.mark.parametrize("sampler", ["parentbased_traceidratio", "traceidratio"])
def test_opentelemetrys_ratio_keeps_what_its_own_sampler_keeps(tmp_path, monkeypatch, sampler):
    """A quarter of the traces, whole, by their ids."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    spanwise.configure(traces_dir=tmp_path / "traces")
    seen: list[int] = []

    @spanwise.tool
    def note():
        seen.append(trace_api.get_current_span().get_span_context().trace_id)

    for _ in range(400):
        note()
    files = Files(tmp_path / "traces")
    theirs = TraceIdRatioBased(0.25)
    expected = {
        format(trace_id, "032x")
        for trace_id in seen
        if theirs.should_sample(None, trace_id, "x").decision.is_sampled()
    }
    assert set(spans_by_trace(files)) == expected
    assert 50 < len(expected) < 150


@pytest.mark.parametrize("argument", ["half", "2", "-1", "nan"])
def test_a_ratio_that_is_none_is_told_by_the_name_of_its_variable(tmp_path, monkeypatch, argument):
    """configure() raises, and says where the value came from."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    with pytest.raises(spanwise.InvalidSettingError, match="OTEL_TRACES_SAMPLER_ARG"):
        spanwise.configure(traces_dir=tmp_path / "traces")


@pytest.mark.parametrize("sampler", ["always_off", "parentbased_always_off"])
def test_a_rate_that_is_given_stands_against_opentelemetrys_variable(
    tmp_path, monkeypatch, sampler
):
    """A keyword, or a variable of ours, is the nearer word."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    spanwise.configure(traces_dir=tmp_path / "traces", sample_rate=1)
    leaf(1)
    assert len(Files(tmp_path / "traces").traces()) == 1


@every_root
@pytest.mark.parametrize(
    "sampler",
    [
        "parentbased_always_off",
        "always_off",
    ],
)
def test_a_rate_that_is_given_later_stands_against_opentelemetrys_variable(
    tmp_path, monkeypatch, root, sampler
):
    """`configure(sample_rate=1)` takes effect at once, whatever was in force."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    spanwise.configure(traces_dir=tmp_path / "traces")
    ROOTS[root](1)
    spanwise.configure(sample_rate=1)
    ROOTS[root](2)
    assert len(Files(tmp_path / "traces").traces()) == 1


def test_our_own_variable_sets_the_rate(tmp_path, monkeypatch):
    """`SPANWISE_SAMPLE_RATE=0` leaves everything out."""
    monkeypatch.setenv("SPANWISE_SAMPLE_RATE", "0")
    spanwise.configure(traces_dir=tmp_path / "traces")
    leaf(1)
    assert Files(tmp_path / "traces").observations() == []


# --- ids --------------------------------------------------------------------------------------


def test_seeding_the_random_generator_repeats_no_ids(files):
    """Experiments seed it; two runs are two traces all the same."""
    for _ in range(3):
        random.seed(1234)
        make_traces(100)  # enough for several helpings of randomness
    lines = files.observations()
    assert len({line["trace_id"] for line in lines}) == 300
    assert len({line["id"] for line in lines}) == 300 * SPANS_OF_A_TRACE


@pytest.mark.parametrize("rate", [1, 0.5, 0])
def test_the_programs_random_numbers_are_the_same_with_tracing(files, rate):
    """Nothing is drawn from `random`: a seeded program draws what it would draw without us."""
    spanwise.configure(sample_rate=rate)
    random.seed(1234)
    expected = [random.random() for _ in range(400)]
    random.seed(1234)
    drawn: list[Any] = []
    for n in range(200):
        drawn.append(random.random())
        ours_at_the_root(n)
        drawn.append(random.random())
        list(_streamed())
    assert drawn == expected


def test_ids_are_valid(files):
    """Of the right length, and not zero."""
    make_traces(100)
    lines = files.observations()
    assert all(len(line["id"]) == 16 and int(line["id"], 16) for line in lines)
    trace_ids = {line["trace_id"] for line in lines}
    assert all(len(trace_id) == 32 and int(trace_id, 16) for trace_id in trace_ids)
