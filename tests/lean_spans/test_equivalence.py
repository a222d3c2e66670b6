"""Whatever is done with a lean span, it answers as OpenTelemetry's own span does."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from spanwise.processors.delegating import DelegatingSpanProcessor, Wiring
from support.twins import Side, is_of, on_both, seen, sent, sides

UNSET = sdk.SpanLimits.UNSET
KINDS = tuple(SpanKind)
CODES = tuple(StatusCode)


# --- what spans are given ---------------------------------------------------------------------


class Text(str):
    pass


class Number(enum.IntEnum):
    ONE = 1


class Shown:
    def __str__(self) -> str:
        return "shown"


class Unshown:
    def __str__(self) -> str:
        raise RuntimeError("not shown")


# Objects without a text of their own are not kept, or by their type only.
UNSHOWN = Unshown()
ODD = (Shown(), UNSHOWN, object(), Text("text"), Number.ONE, {1}, 1j, range(2))

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["", "\ud800", "x" * 5, "y" * 200]),
    st.binary(max_size=4),
    st.sampled_from(ODD),
)
keys = st.one_of(
    st.sampled_from("abc"),
    st.sampled_from("abc"),
    st.sampled_from(["", Text("a"), Text(""), 5, 0, None, b"a", Shown()]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=5,
)
simple = st.one_of(st.text(max_size=6), st.integers(0, 9), st.booleans(), st.floats())
plain = st.dictionaries(st.sampled_from("abcd"), simple, max_size=4)
mappings = st.one_of(plain, plain, st.dictionaries(keys, values, max_size=4))
mistakes = st.sampled_from([[("a", "b")], [], 7, 0])
given_attributes = st.one_of(mappings, mappings, mappings, st.none(), mistakes)
times = st.one_of(st.none(), st.integers(0, 2**63), st.just(0))
trace_states = st.sampled_from(
    [None, TraceState(), TraceState([("vendor", "1")]), TraceState([("a", "1"), ("b", "2")])]
)
contexts = st.builds(
    SpanContext,
    trace_id=st.sampled_from([0, 1, 2**127 + 5, 2**128]),
    span_id=st.sampled_from([0, 1, 2**64 - 1, 2**64]),
    is_remote=st.booleans(),
    trace_flags=st.integers(0, 7).map(TraceFlags) | st.just(TraceFlags(255)),
    trace_state=trace_states,
)
valid_contexts = contexts.filter(lambda context: context.is_valid)
links = st.lists(
    st.tuples(st.one_of(contexts, st.none()), st.one_of(mappings, st.none())), max_size=3
)
SMALL = st.sampled_from([UNSET, 0, 1, 2, 3])
limits = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"max_span_attributes": st.integers(0, 5)}),
    st.fixed_dictionaries({"max_span_attribute_length": st.integers(0, 5)}),
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            (
                "max_attributes",
                "max_events",
                "max_links",
                "max_span_attributes",
                "max_event_attributes",
                "max_link_attributes",
                "max_attribute_length",
                "max_span_attribute_length",
            ),
            SMALL,
        ),
    ),
)


# --- what is done -----------------------------------------------------------------------------
# Each is drawn as a function that is called once for each side, and makes anew what it gives away.


def link_of(made_of: tuple[Any, Any]) -> Link | None:
    context, attributes = made_of
    return None if context is None else Link(context, attributes)


def around(side: Side, parent: Any) -> Context | None:
    """Return the context in which a span is started: None for the current one."""
    if parent is None:
        return None
    if isinstance(parent, SpanContext):
        span = NonRecordingSpan(parent)
    elif parent == "root" or not side.spans:
        return Context()
    else:
        span = side.spans[parent % len(side.spans)]
    return trace_api.set_span_in_context(span, Context())


@st.composite
def starting(draw: Any, attributes: Any = given_attributes) -> tuple[Any, dict[str, Any], Any]:
    parent = draw(
        st.one_of(st.none(), st.just("root"), st.integers(0, 9), contexts, valid_contexts)
    )
    arguments = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "kind": st.sampled_from(KINDS),
                "attributes": attributes,
                "start_time": times,
                "record_exception": st.booleans(),
                "set_status_on_exception": st.booleans(),
            },
        )
    )
    some = st.lists(st.tuples(contexts, st.none())) if attributes is plain else links
    return parent, arguments, draw(st.one_of(st.none(), st.just(()), some))


def start_arguments(side: Side, how: tuple[Any, dict[str, Any], Any]) -> dict[str, Any]:
    parent, arguments, made_of = how
    made = None if made_of is None else [link_of(each) for each in made_of]
    return {"context": around(side, parent), "links": made, **arguments}


def start(name: str, how: tuple[Any, dict[str, Any], Any]) -> Callable[[Side], Any]:
    def do(side: Side) -> None:
        side.spans.append(side.tracer.start_span(name, **start_arguments(side, how)))

    return do


class Stop(BaseException):
    """No `Exception`: OpenTelemetry lets these pass in some places, and not in others."""


ERRORS: tuple[Callable[[], BaseException] | None, ...] = (
    None,
    lambda: ValueError("wrong"),
    lambda: KeyError(),
    lambda: ValueError("\ud800"),
    lambda: Stop("stop"),
    lambda: GeneratorExit(),
    lambda: ValueError(UNSHOWN),
)


def raised(error: Callable[[], BaseException] | None) -> None:
    if error is not None:
        raise error()


def start_as_current(
    name: str, how: tuple[Any, dict[str, Any], Any], inner: Any, error: Any, ends: bool
) -> Callable[[Side], Any]:
    def do(side: Side) -> None:
        arguments = start_arguments(side, how)
        with contextlib.suppress(Stop, GeneratorExit):  # noqa: SIM117 - reads better so
            with side.tracer.start_as_current_span(name, end_on_exit=ends, **arguments) as span:
                side.spans.append(span)
                assert trace_api.get_current_span() is span
                start("nested", inner)(side)
                raised(error)

    return do


def of_span(index: int, do: Callable[[Any], Any]) -> Callable[[Side], Any]:
    def done(side: Side) -> Any:
        return do(side.spans[index % len(side.spans)]) if side.spans else None

    return done


def within(index: int, error: Any) -> Callable[[Side], Any]:
    def do(span: Any) -> None:
        with contextlib.suppress(Stop, GeneratorExit), span:
            raised(error)

    return of_span(index, do)


def using(index: int, error: Any, options: dict[str, bool]) -> Callable[[Side], Any]:
    def do(span: Any) -> None:
        with contextlib.suppress(Stop, GeneratorExit), trace_api.use_span(span, **options):
            raised(error)

    return of_span(index, do)


def record(index: int, error: Any, arguments: dict[str, Any]) -> Callable[[Side], Any]:
    def do(span: Any) -> None:
        try:
            raised(error)
        except BaseException as caught:
            span.record_exception(caught, **arguments)

    return of_span(index, do)


def touched(what: str) -> Callable[[Any], Any]:
    """Look at what is the SDK's own, as processors of others do."""

    def do(span: Any) -> Any:
        if not isinstance(span, sdk.Span):
            return None
        if what == "json":
            return span.to_json()
        if what == "readable":
            return sent(span)
        if what == "start":
            return span.start(5)
        return [each if type(each) is str else type(each) for each in getattr(span, what)]

    return do


@dataclass(frozen=True)
class Step:
    """Something that is done on each side, and how it is told where the sides differ."""

    text: str
    do: Callable[[Side], Any] = field(repr=False)


@st.composite
def steps(draw: Any, of: str = "") -> Step:
    drawn: list[Any] = []

    def drawing(strategy: Any) -> Any:
        drawn.append(draw(strategy))
        return drawn[-1]

    what, do = doing(of or draw(st.sampled_from(WHAT)), drawing)
    return Step(f"{what} {drawn}", do)


WHAT = (
    "start start start_as_current set_attribute set_attribute set_attribute set_attributes"
    " set_attributes set_attributes event link record status name end within use touch switch"
    " processor"
).split()


def doing(what: str, draw: Callable[[Any], Any]) -> tuple[str, Callable[[Side], Any]]:
    index = draw(st.sampled_from([-1, -1, -1, 0, 1, 2]))
    error = draw(st.sampled_from(ERRORS)) if what in ("start_as_current", "within", "use") else None
    match what:
        case "start":
            return what, start(draw(st.sampled_from(["one", "", "\ud800"])), draw(starting()))
        case "start_as_current":
            # What fails inside is recorded with its frames, and they differ.
            of = (draw(starting()), draw(starting(plain)), error, draw(st.booleans()))
            return what, start_as_current("current", *of)
        case "set_attribute":
            key, value = draw(keys), draw(st.one_of(simple, values))
            return what, of_span(index, lambda span: span.set_attribute(key, value))
        case "set_attributes":
            attributes = draw(given_attributes)
            return what, of_span(index, lambda span: span.set_attributes(attributes))
        case "event":
            attributes, at = draw(given_attributes), draw(times)
            return what, of_span(index, lambda span: span.add_event("event", attributes, at))
        case "link":
            context, attributes = draw(contexts), draw(given_attributes)
            return what, of_span(index, lambda span: span.add_link(context, attributes))
        case "record":
            arguments = draw(
                st.fixed_dictionaries(
                    {},
                    optional={"attributes": mappings, "timestamp": times, "escaped": st.booleans()},
                )
            )
            return what, record(index, draw(st.sampled_from(ERRORS[1:])), arguments)
        case "status":
            code, text = draw(st.sampled_from(CODES)), draw(st.sampled_from([None, "", "said"]))
            whole, more = draw(st.booleans()), draw(st.sampled_from([None, "more"]))
            if whole:
                return what, of_span(index, lambda span: span.set_status(Status(code, text), more))
            return what, of_span(index, lambda span: span.set_status(code, text))
        case "name":
            name = draw(st.sampled_from(["other", "", "\ud800"]))
            return what, of_span(index, lambda span: span.update_name(name))
        case "end":
            at = draw(times)
            return what, of_span(index, lambda span: span.end(at))
        case "within":
            return what, within(index, error)
        case "use":
            names = ("end_on_exit", "record_exception", "set_status_on_exception")
            return what, using(index, error, {name: draw(st.booleans()) for name in names})
        case "touch":
            parts = "json readable start _attributes _events _links".split()
            return what, of_span(index, touched(draw(st.sampled_from(parts))))
        case "switch":
            on = draw(st.booleans())
            return what, lambda side: side.provider._set_tracer_configurator(
                tracer_configurator=lambda scope: sdk._TracerConfig(is_enabled=on)
            )
    return what, lambda side: side.provider.add_span_processor(side.recorder)


done = st.builds(
    lambda first, more: [first, *more], steps(of="start"), st.lists(steps(), max_size=12)
)


def check(both: tuple[Side, Side], done: list[Step]) -> None:
    for step in done:
        theirs, ours = on_both(both, step.do)
        assert theirs == ours
        assert [seen(span) for span in both[0].spans] == [seen(span) for span in both[1].spans]
        assert both[0].recorder.told == both[1].recorder.told
    for side in both:
        assert is_of(side)
    ends = on_both(both, lambda side: [span.end() for span in side.spans])
    assert ends[0] == ends[1]
    for theirs, ours in zip(both[0].spans, both[1].spans, strict=True):
        assert seen(theirs) == seen(ours)
        if isinstance(theirs, sdk.Span):
            assert sent(theirs) == sent(ours)
    assert both[0].recorder.told == both[1].recorder.told
    for ended in zip(both[0].recorder.ended, both[1].recorder.ended, strict=True):
        assert sent(ended[0]) == sent(ended[1])


quietly = settings(
    max_examples=250,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Chooses(Sampler):
    """Decides as it was told to, and adds to the span."""

    def __init__(self, decision: Decision, attributes: Any, state: Any) -> None:
        self._result = (decision, attributes, state)

    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        return SamplingResult(*self._result)

    def get_description(self) -> str:
        return "chooses"


def with_processors(both: tuple[Side, Side], who: str) -> tuple[Side, Side]:
    """Add the recorder to both sides, and to ours the processor of ours, as `who` says."""
    ours = both[1].provider
    if who in ("ours", "both", "concurrent"):
        wiring = Wiring() if who != "ours" else None
        ours.add_span_processor(DelegatingSpanProcessor(wiring))
    if who in ("both", "others", "concurrent"):
        for side in both:
            side.provider.add_span_processor(side.recorder)
    return both


@quietly
@given(limits, st.sampled_from(["none", "ours", "both", "others", "concurrent"]), done)
def test_whatever_is_done_with_a_lean_span_it_answers_as_the_sdks(swallowed, of, who, done):
    """After each step, and in what the stock encoder makes of it at the end."""
    more: dict[str, Any] = {}
    if who == "concurrent":
        more["active_span_processor"] = sdk.ConcurrentMultiSpanProcessor
    both = with_processors(sides(lambda: sdk.SpanLimits(**of), **more), who)
    try:
        check(both, done)
    finally:
        for side in both:
            side.provider.shutdown()
    # Over what is no mapping of attributes our sampler fails, too, and the SDK after it.
    assert swallowed().keys() <= {"failures.sampler"}


# Of one span's attributes only, with little to choose from: what is close together is met.
few_keys = st.sampled_from(["a", "a", "b", "b", "c", "d", "", Text("a"), 5])
few_values = st.sampled_from(
    [1, 1, True, 2.0, "", "abc", "abcd", "abc", b"abcd", None, [1], ["abcd"], Number.ONE, Text("t")]
)
few = st.one_of(
    st.dictionaries(st.sampled_from("abcd"), st.sampled_from([1, "abc", "abcd"]), max_size=4),
    st.dictionaries(few_keys, few_values, max_size=3),
)
setting = st.one_of(st.tuples(few_keys, few_values), st.tuples(few), st.tuples(few), st.just(()))


@settings(quietly, max_examples=400)
@given(
    st.sampled_from([None, None, 0, 1, 2, 3, 4]),
    st.sampled_from([None, None, 0, 3]),
    st.one_of(st.none(), few),
    st.lists(setting, max_size=6),
)
def test_attributes_are_kept_ordered_cut_and_dropped_as_the_sdk_does_it(most, longest, first, then):
    """One at a time or many at once, before the end and after it."""
    limits = {
        "max_span_attributes": UNSET if most is None else most,
        "max_span_attribute_length": UNSET if longest is None else longest,
    }
    both = sides(lambda: sdk.SpanLimits(**limits))

    def work(side: Side) -> Any:
        span = side.tracer.start_span("one", attributes=first)
        states = [seen(span)]
        for arguments in then:
            if len(arguments) == 2:
                span.set_attribute(*arguments)
            elif arguments:
                span.set_attributes(*arguments)
            else:
                span.end()
            states.append(seen(span))
        return states, sent(span)

    theirs, ours = on_both(both, work)
    assert theirs == ours


@settings(quietly, max_examples=60)
@given(
    st.sampled_from(Decision),
    st.one_of(st.none(), plain),
    trace_states,
    done,
)
def test_with_a_sampler_of_others_the_sdks_own_spans_are_made(decision, attributes, state, done):
    """It decides, adds attributes and a trace state, as it does there."""
    both = sides(sampler=lambda: Chooses(decision, attributes, state))
    check(with_processors(both, "both"), done)
