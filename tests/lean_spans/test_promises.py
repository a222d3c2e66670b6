"""What OpenTelemetry promises of its spans one by one, kept by lean ones as well."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time
import weakref
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags, TraceState

import spanwise
from spanwise import _state
from spanwise._lean_spans import LeanSpan
from support.forks import in_child
from support.twins import Recorder, Side, is_of, on_both, seen, sent, sides

VALID = {"trace_id": 7, "span_id": 8, "is_remote": True}


def started_below(parent: SpanContext, side: Side) -> Any:
    context = trace_api.set_span_in_context(NonRecordingSpan(parent), Context())
    side.spans.append(side.tracer.start_span("child", context))
    return seen(side.spans[-1])


@pytest.mark.parametrize("is_remote", [True, False])
@pytest.mark.parametrize("state", [None, TraceState([("vendor", "1")])])
def test_a_span_below_any_flags_has_what_the_sdks_span_has(state, is_remote):
    """Sampled or not, with bits that nobody has defined yet, with a trace state or without."""
    both = sides()
    for flags in range(256):
        parent = SpanContext(7, 8, is_remote, TraceFlags(flags), state)
        theirs, ours = on_both(both, lambda side, parent=parent: started_below(parent, side))
        assert theirs == ours
    assert is_of(both[1])


@pytest.mark.parametrize("ids", [(0, 0), (0, 8), (7, 0), (2**128, 8), (7, 2**64)])
@pytest.mark.parametrize("on", [True, False])
def test_a_span_below_an_invalid_parent_is_a_root_and_nothing_where_the_tracer_is_off(ids, on):
    """A tracer that is off hands the parent's context on, whatever that is."""
    both = sides()
    for side in both:
        side.provider._set_tracer_configurator(
            tracer_configurator=lambda scope: sdk._TracerConfig(is_enabled=on)
        )
    parent = SpanContext(*ids, is_remote=True, trace_flags=TraceFlags(1))
    theirs, ours = on_both(both, lambda side: started_below(parent, side))
    assert theirs == ours


def test_a_tracer_can_be_switched_off_and_on():
    """Those that were handed out before follow, too."""
    spanwise.configure(traces_dir=None, spool_only=False)
    provider: Any = trace_api.get_tracer_provider()
    tracer = provider.get_tracer("switched")
    kinds = []
    for on in (True, False, True):
        provider._set_tracer_configurator(
            tracer_configurator=lambda scope, on=on: sdk._TracerConfig(is_enabled=on)
        )
        kinds.append(type(tracer.start_span("one")))
    assert [LeanSpan, NonRecordingSpan, LeanSpan] == kinds


class OthersIds(IdGenerator):
    """Ids as some backends want them; the last ones are no ids."""

    def __init__(self) -> None:
        self.ids = iter([0xABC, 0xD, 0xABC, 0xE, 0, 0xF, 2**128, 2**64])

    def generate_trace_id(self) -> int:
        return next(self.ids)

    def generate_span_id(self) -> int:
        return next(self.ids)


def test_ids_of_others_are_taken_as_the_sdk_takes_them():
    """And what is no id makes no valid context."""
    theirs, ours = sides()
    theirs.provider.id_generator = OthersIds()
    theirs.tracer = theirs.provider.get_tracer("others")
    _state.id_generator = OthersIds()
    found = [
        [(context.trace_id, context.span_id, context.is_valid) for context in contexts]
        for contexts in (
            [side.tracer.start_span("root", Context()).get_span_context() for _ in range(4)]
            for side in (theirs, ours)
        )
    ]
    assert found[0] == found[1]
    assert [True, True, False, False] == [is_valid for _, _, is_valid in found[1]]


def test_the_sdk_counts_lean_spans_as_its_own(monkeypatch):
    """Those that are started, by where their parent is and what was decided, and those that live."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    waiting = [MeterProvider([reader], shutdown_on_exit=False) for reader in readers]
    both = sides(meter_provider=lambda: waiting.pop(0))

    def work(side: Side) -> None:
        with side.tracer.start_as_current_span("root"):
            side.tracer.start_span("open")
            side.tracer.start_span("ended").end()
        for flags in (0, 1):
            started_below(SpanContext(7, 8, True, TraceFlags(flags)), side)
        side.spans[-1].end()
        side.spans[-1].end()
        side.provider._set_tracer_configurator(
            tracer_configurator=lambda scope: sdk._TracerConfig(is_enabled=False)
        )
        side.tracer.start_span("nothing").end()

    theirs, ours = on_both(both, work)
    assert theirs == ours
    assert is_of(both[1])
    counted = [points(reader) for reader in readers]
    assert counted[0] == counted[1]
    assert counted[0] != {}


def points(reader: InMemoryMetricReader) -> dict[Any, Any]:
    data = reader.get_metrics_data()
    return {
        (metric.name, tuple(sorted((point.attributes or {}).items()))): point.value
        for of_resource in (data.resource_metrics if data is not None else ())
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        for point in metric.data.data_points
    }


def test_a_context_is_pickled_and_copied_as_any():
    """It is the SDK's class, with its types inside."""
    context = sides()[1].tracer.start_span("one").get_span_context()
    for other in (pickle.loads(pickle.dumps(context)), copy.copy(context), copy.deepcopy(context)):
        assert context == other
        assert tuple(context) == tuple(other)
        assert (SpanContext, TraceFlags) == (type(other), type(other.trace_flags))
    assert repr(context) == repr(SpanContext(*context[:5]))


class Meddling(sdk.SpanProcessor):
    """Does with a span that is ending, and one that has ended, what processors of others do."""

    def __init__(self) -> None:
        self.refused = 0

    def _on_ending(self, span: Any) -> None:
        span._name = "renamed"
        span._attributes = {**span.attributes, "more": 1}

    def on_end(self, span: Any) -> None:
        span._links = []
        try:
            span._attributes["late"] = 2
        except TypeError:
            self.refused += 1


class MeddlingAtEnd(Meddling):
    def _on_ending(self, span: Any) -> None:
        pass


@pytest.mark.parametrize("meddling", [Meddling, MeddlingAtEnd])
@pytest.mark.parametrize("attributes", [{}, {"a": "b"}, {"a": [1, 2]}])
def test_a_processor_of_others_can_change_what_it_can_change_of_the_sdks(meddling, attributes):
    """Which it should not; some do, and those after them see it."""
    both = sides()
    meddlers = []
    for side in both:
        meddlers.append(meddling())
        side.provider.add_span_processor(meddlers[-1])
        side.provider.add_span_processor(side.recorder)

    def work(side: Side) -> None:
        side.tracer.start_span("one", attributes=attributes).end()

    theirs, ours = on_both(both, work)
    assert theirs == ours
    assert [sent(span) for span in both[0].recorder.ended] == [
        sent(span) for span in both[1].recorder.ended
    ]
    assert meddlers[0].refused == meddlers[1].refused


class Writing(sdk.SpanProcessor):
    """Writes to a span that has ended, as one known package does it: it takes the end back first."""

    def __init__(self) -> None:
        self.open: Any = None

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.open = span

    def on_end(self, span: Any) -> None:
        ended, attributes = self.open._end_time, self.open._attributes
        sealed = getattr(attributes, "_immutable", None)
        self.open._end_time = None
        attributes._immutable = False
        self.open.set_attribute("late", 1)
        self.open.set_attribute("more", [1, 2])
        self.open._end_time = ended
        attributes._immutable = sealed


@pytest.mark.parametrize("attributes", [{}, {"a": "b"}, {"a": [1, 2]}])
def test_what_a_processor_writes_to_the_span_at_its_end_those_after_it_see(attributes):
    """The span and what the processors get of it have the same attributes."""
    both = sides()
    for side in both:
        side.provider.add_span_processor(Writing())
        side.provider.add_span_processor(side.recorder)

    def work(side: Side) -> None:
        side.spans.append(side.tracer.start_span("one", attributes=attributes))
        side.spans[-1].end()
        side.spans[-1].set_attribute("too late", 1)

    theirs, ours = on_both(both, work)
    assert theirs == ours
    assert seen(both[0].spans[0]) == seen(both[1].spans[0])
    assert sent(both[0].recorder.ended[0]) == sent(both[1].recorder.ended[0])
    assert {**attributes, "late": 1}.keys() <= both[1].recorder.ended[0].attributes.keys()


def test_a_copy_of_a_lean_span_says_the_same():
    """Packages take one, to change it before they send it."""
    both = sides()

    def work(side: Side) -> Any:
        span = side.tracer.start_span("one", attributes={"a": 1})
        other = copy.copy(span)
        other._name = "other"
        return seen(span), seen(other), sent(other)

    theirs, ours = on_both(both, work)
    assert theirs == ours


def test_a_processor_that_is_added_while_a_span_is_open_is_told_of_its_end():
    """Also where ours was the only one at its start."""
    spanwise.configure(traces_dir="traces")
    provider: Any = trace_api.get_tracer_provider()
    recorder = Recorder()
    span = provider.get_tracer("t").start_span("open")
    provider.add_span_processor(recorder)
    span.end()
    assert ["open"] == [ended.name for ended in recorder.ended]
    assert type(recorder.ended[0]) is sdk.ReadableSpan


def test_a_lean_span_is_what_others_look_for():
    """An API span, an SDK span and a readable one, which can be referred to weakly."""
    span = sides()[1].tracer.start_span("one")
    assert all(isinstance(span, kind) for kind in (Span, sdk.Span, sdk._Span, sdk.ReadableSpan))
    assert span is weakref.ref(span)()
    span.hung_on_it = "by others"  # type: ignore[attr-defined]
    assert "by others" == vars(span)["hung_on_it"]


def test_a_lean_span_that_nobody_ends_is_collected(files):
    """Neither the span nor what was hung on it stays, and nothing is written."""

    class Hung:
        pass

    hung = Hung()
    span: Any = trace_api.get_tracer("t").start_span("never ended")
    span.hung = hung
    gone = [weakref.ref(span), weakref.ref(hung)]
    del span, hung
    gc.collect()
    assert [None, None] == [ref() for ref in gone]


def test_suppressed_instrumentation_is_seen_around_a_lean_span():
    """A span started there is started all the same, as the SDK's is: instrumentors look first."""
    tracer = sides()[1].tracer
    with suppress_instrumentation(), tracer.start_as_current_span("one") as span:
        assert not is_instrumentation_enabled()
        assert span is trace_api.get_current_span()
        assert type(span) is LeanSpan
    assert is_instrumentation_enabled()
    assert context_api.get_current() == {}


@pytest.mark.parametrize("name", ["always_on", "always_off", "traceidratio"])
def test_a_sampler_that_a_variable_names_has_the_sdks_spans_made(monkeypatch, name):
    """It is asked for each span, not only for roots."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", name)
    spanwise.configure(traces_dir="traces")
    parent = SpanContext(7, 8, True, TraceFlags(0))
    context = trace_api.set_span_in_context(NonRecordingSpan(parent), Context())
    span = trace_api.get_tracer("t").start_span("one", context)
    expected = NonRecordingSpan if name == "always_off" else sdk._Span
    assert expected is type(span)


def test_a_fork_may_come_while_lean_spans_are_open(files):
    """The child's copy can be used, and ended; a span of its own has ids of its own."""
    tracer = trace_api.get_tracer("t")
    span: Any = tracer.start_span("open", attributes={"a": 1})

    def child() -> Any:
        span.set_attribute("b", 2)
        span.add_event("in the child")
        own: Any = tracer.start_span("own")
        told = (dict(span.attributes), own.get_span_context().span_id, type(own).__name__)
        own.end()
        span.end()
        return told

    attributes, child_id, kind = in_child(child)
    assert ({"a": 1, "b": 2}, "LeanSpan") == (attributes, kind)
    assert {"a": 1} == dict(span.attributes)
    assert child_id != tracer.start_span("own").get_span_context().span_id
    span.end()


# --- threads ----------------------------------------------------------------------------------

ATTRIBUTES_EACH = 200


@pytest.mark.parametrize("most", [None, 50])
def test_many_threads_may_work_on_a_span_while_it_ends(most):
    """What was set before the end is there, in order; after it nothing changes, and nobody fails."""
    limits = sdk.SpanLimits(max_span_attributes=most or sdk.SpanLimits.UNSET)
    for round_ in range(10):
        side = sides(lambda: limits)[1]
        side.provider.add_span_processor(side.recorder)
        span: Any = side.tracer.start_span("shared")
        ready = threading.Barrier(5)
        surely: dict[str, int] = {}
        failed: list[BaseException] = []

        def work(which: int, span: Any = span, ready: Any = ready, failed: Any = failed) -> None:
            try:
                ready.wait()
                for number in range(ATTRIBUTES_EACH):
                    name = f"{which}.{number}"
                    if number % 50 == 49:
                        span.set_attribute(name, [number])  # the SDK's container has to clean it
                    elif number % 2:
                        span.set_attribute(name, number)
                    else:
                        span.set_attributes({name: number})
                    if span.is_recording():
                        surely[name] = number  # noqa: B023 - read after all are done
                    if number % 20 == 0:
                        span.add_event(name)
                        span.attributes.get(name)
                        list(span._attributes)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(which,)) for which in range(4)]
        for thread in threads:
            thread.start()
        ready.wait()
        while len(surely) < round_ * 60 and not failed:
            time.sleep(0)
        span.end()
        at_end = dict(span.attributes), len(span.events)
        for thread in threads:
            thread.join()
        assert [] == failed
        assert at_end == (dict(span.attributes), len(span.events))
        (ended,) = side.recorder.ended
        assert at_end == (dict(ended.attributes), len(ended.events))
        if most is None:
            assert surely.keys() <= at_end[0].keys()
        else:
            assert most >= len(at_end[0])
        for which in range(4):
            mine = [int(name.partition(".")[2]) for name in at_end[0] if name[0] == str(which)]
            assert sorted(mine) == mine


def test_of_many_threads_that_end_a_span_one_ends_it():
    """The processors are told once."""
    side = sides()[1]
    side.provider.add_span_processor(side.recorder)
    for number in range(50):
        span = side.tracer.start_span(str(number))
        threads = [threading.Thread(target=span.end) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert 50 == len(side.recorder.ended)
