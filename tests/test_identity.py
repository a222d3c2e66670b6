"""Who a call is for: what `identify` says is on every span below, whoever made it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spanwise
from spanwise import semconv


def third_party_span(name: str, **options: Any) -> None:
    """Make a span as an instrumentor would."""
    with trace_api.get_tracer("other").start_as_current_span(name, **options):
        pass


def identity_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the attributes of a line say of user, account, session and message."""
    prefixes = ("user.", "account.", "session.", "message.", "gen_ai.conversation.")
    return {k: v for k, v in line["attributes"].items() if k.startswith(prefixes)}


EVERYTHING = {
    "user": {"id": "jane@acme.com", "name": "Jane", "email": "jane@acme.com", "role": "owner"},
    "account": {"id": "org_7", "name": "ACME", "plan": "pro"},
    "session_id": "s-1",
    "message_id": "m-1",
}
AS_ATTRIBUTES = {
    "user.id": "jane@acme.com",
    "user.name": "Jane",
    "user.email": "jane@acme.com",
    "user.role": "owner",
    "account.id": "org_7",
    "account.name": "ACME",
    "account.plan": "pro",
    "session.id": "s-1",
    "gen_ai.conversation.id": "s-1",
    "message.id": "m-1",
}


@spanwise.tool
def call(x=1):
    return x


# --- what is stamped --------------------------------------------------------------------------


def test_every_span_below_is_stamped_and_none_beside(files):
    """Decorated calls, blocks, events and third-party spans, at every depth."""
    with spanwise.identify(**EVERYTHING), spanwise.observe("block"):
        call()
        third_party_span("third party's")
        spanwise.event("event")
    with spanwise.observe("after"):
        pass
    lines = {line["name"]: identity_of(line) for line in files.observations()}
    stamped = dict.fromkeys(("block", "call", "third party's", "event"), AS_ATTRIBUTES)
    assert lines == {**stamped, "after": {}}


def test_the_fields_of_the_lines_say_who(files):
    """User, account and session have fields of their own in both files."""
    with spanwise.identify(**EVERYTHING):
        call()
    (line,), (trace,) = files.observations(), files.traces()
    for holder in (line, trace):
        assert holder["user_id"] == "jane@acme.com"
        assert holder["account_id"] == "org_7"
        assert holder["session_id"] == "s-1"
    assert trace["user"] == EVERYTHING["user"]
    assert trace["account"] == EVERYTHING["account"]
    assert trace["message_id"] == "m-1"


def test_plain_ids_are_taken_as_ids(files):
    """`user="jane"` is `user={"id": "jane"}`; other scalars become text."""
    with spanwise.identify(user="jane", account=7, session_id=12, message_id=uuid.UUID(int=5)):
        call()
    assert identity_of(files.observation("call")) == {
        "user.id": "jane",
        "account.id": "7",
        "session.id": "12",
        "gen_ai.conversation.id": "12",
        "message.id": "00000000-0000-0000-0000-000000000005",
    }


def test_unknown_keys_are_kept_as_they_can_be(files):
    """Scalars as they are, structures as JSON text, None not at all."""
    user = {"id": "u", "age": 30, "active": True, "score": 0.5, "teams": ["a", "b"], "nick": None}
    with spanwise.identify(user=user, account={"id": "a", "logo": {"url": "https://x/y.png"}}):
        call()
    assert identity_of(files.observation("call")) == {
        "user.id": "u",
        "user.age": 30,
        "user.active": True,
        "user.score": 0.5,
        "user.teams": '["a","b"]',
        "account.id": "a",
        "account.logo": '{"url":"https://x/y.png"}',
    }
    assert files.traces()[0]["user"] == {
        "id": "u",
        "age": 30,
        "active": True,
        "score": 0.5,
        "teams": ["a", "b"],
    }


def test_tags_and_metadata_are_stamped_too(files):
    """On spans of ours and of third parties."""
    with spanwise.identify(tags=["beta"], metadata={"plan": "pro", "limits": {"calls": 5}}):
        call()
        third_party_span("third party's")
    for line in files.observations():
        assert line["tags"] == ["beta"]
        assert line["metadata"] == {"plan": "pro", "limits": {"calls": 5}}
    assert files.traces()[0]["tags"] == ["beta"]


def test_a_nested_identify_adds_to_the_outer_one(files):
    """What it names replaces, what it does not name is inherited, tags are added."""
    with spanwise.identify(user="outer", account="org", tags=["a", "b"], metadata={"k": 1, "l": 1}):
        with spanwise.identify(user="inner", session_id="s", tags=["b", "c"], metadata={"l": 2}):
            call()
        third_party_span("after")
    inner, after = files.observation("call"), files.observation("after")
    assert (inner["user_id"], inner["account_id"], inner["session_id"]) == ("inner", "org", "s")
    assert (inner["tags"], inner["metadata"]) == (["a", "b", "c"], {"k": 1, "l": 2})
    assert (after["user_id"], after["account_id"]) == ("outer", "org")
    assert (after["tags"], after["metadata"]) == (["a", "b"], {"k": 1, "l": 1})
    assert "session_id" not in after


def test_a_single_tag_may_be_given_as_it_is(files):
    """A string is one tag, not many of one character."""
    with spanwise.identify(tags="beta"):
        call()
    assert files.observation("call")["tags"] == ["beta"]


def test_what_an_observation_says_of_itself_stands_against_its_surroundings(files):
    """Its own metadata win over inherited ones of the same name, its own tags are added."""
    decorated = spanwise.tool(name="own", tags=["mine"], metadata={"k": "mine"})(lambda: None)
    with spanwise.identify(tags=["beta"], metadata={"k": "theirs", "l": "theirs"}):
        decorated()
        with spanwise.observe("updated") as observation:
            observation.update(tags=["later"], metadata={"k": "later"})
        third_party_span("third", attributes={"observation.metadata.k": "its own"})
    own, updated, third = (files.observation(name) for name in ("own", "updated", "third"))
    assert (own["tags"], own["metadata"]) == (["beta", "mine"], {"k": "mine", "l": "theirs"})
    assert updated["tags"] == ["beta", "later"]
    assert updated["metadata"] == {"k": "later", "l": "theirs"}
    assert third["metadata"] == {"k": "its own", "l": "theirs"}


def test_a_third_partys_own_session_stands(files):
    """What an instrumentor says of its span is not overwritten."""
    with spanwise.identify(session_id="ours", user="jane"):
        third_party_span("third", attributes={"session.id": "theirs"})
    line = files.observation("third")
    assert (line["session_id"], line["user_id"]) == ("theirs", "jane")


# --- how it gets there ------------------------------------------------------------------------


def test_a_third_party_span_with_a_context_of_its_own_making_is_stamped(files):
    """`set_span_in_context(parent)` alone carries no identity; the parent knows it."""
    tracer = trace_api.get_tracer("other")
    with spanwise.identify(user="jane", session_id="s"):
        parent = tracer.start_span("parent")
    for depth in range(3):
        context = trace_api.set_span_in_context(parent, Context())
        child = tracer.start_span(f"child {depth}", context=context)
        parent.end()
        parent = child
        parent.set_attribute("depth", depth)
        if depth < 2:
            continue
        parent.end()
    for line in files.observations():
        assert (line["user_id"], line["session_id"]) == ("jane", "s"), line["name"]


def test_the_first_span_of_a_request_is_stamped_by_what_is_around_it(files):
    """A web framework's instrumentor attaches what the request's headers hold, which begins empty."""
    inside = spanwise.span(name="inside")(lambda: None)
    with spanwise.identify(user="jane"):
        server = trace_api.get_tracer("framework").start_span("GET /", context=Context())
        token = context_api.attach(trace_api.set_span_in_context(server, Context()))
        inside()
        third_party_span("query")
        context_api.detach(token)
        server.end()
    third_party_span("later")
    said = {line["name"]: identity_of(line) for line in files.observations()}
    jane = {"user.id": "jane"}
    assert {"GET /": jane, "inside": jane, "query": jane, "later": {}} == said


def test_a_decorated_call_below_a_hand_made_context_is_stamped(files):
    """The context has the parent only; what is decorated is identified all the same."""
    with spanwise.identify(user="jane"):
        parent = trace_api.get_tracer("other").start_span("parent")
    token = context_api.attach(trace_api.set_span_in_context(parent, Context()))
    call()
    context_api.detach(token)
    parent.end()
    assert files.observation("call")["user_id"] == "jane"


async def test_tasks_inherit_and_do_not_mix(files):
    """A task is for whom it was made for; what it says itself is not seen by its neighbours."""

    async def work(n):
        await asyncio.sleep(0)
        with spanwise.identify(session_id=f"s-{n}"):
            await asyncio.sleep(0)
            call(n)
            await asyncio.sleep(0)
        third_party_span(f"after {n}")

    with spanwise.identify(user="jane"):
        await asyncio.gather(*(work(n) for n in range(10)))
    for line in files.observations():
        assert line["user_id"] == "jane"
        if line["name"] == "call":
            assert line["session_id"] == f"s-{line['input']['x']}"
        else:
            assert "session_id" not in line


async def test_one_identify_may_be_entered_by_many_tasks_at_once(files):
    """Made once and shared: each task gives back its own context."""
    beta = spanwise.identify(tags=["beta"])

    async def work(n):
        with beta:
            for _ in range(n % 3):
                await asyncio.sleep(0)
            call(n)
        await asyncio.sleep(0)
        third_party_span(f"after {n}")
        return dict(context_api.get_current())

    assert await asyncio.gather(*(work(n) for n in range(9))) == [{}] * 9
    for line in files.observations():
        assert line.get("tags") == (["beta"] if line["name"] == "call" else None)


def test_one_identify_may_be_entered_inside_itself(files):
    """The outer one holds until it is left."""
    beta = spanwise.identify(tags=["beta"])
    before = context_api.get_current()
    with beta:
        with beta:
            pass
        call()
    assert context_api.get_current() is before
    assert files.observation("call")["tags"] == ["beta"]


def test_an_identify_left_in_another_context_disturbs_nothing(files, caplog):
    """Entered in one contextvars.Context and left in another: no log line, no exception."""
    block = spanwise.identify(user="jane")
    contextvars.copy_context().run(block.__enter__)
    before = context_api.get_current()
    block.__exit__(None, None, None)
    assert context_api.get_current() is before
    assert caplog.records == []
    call()
    assert "user_id" not in files.observation("call")


def test_a_thread_started_below_is_identified(files):
    """Where threads are propagated, as they are by default."""
    with spanwise.identify(user="jane"), spanwise.observe("open") as observation:
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    line = files.observation("call")
    assert (line["user_id"], line["parent_id"]) == ("jane", observation.id)


def test_identify_works_before_configure(files):
    """What was said before Spanwise was configured holds for what starts after."""
    spanwise.shutdown()
    with spanwise.identify(user="jane", metadata={"password": "hidden"}):
        spanwise.configure(traces_dir=files.folder)
        call()
    line = files.observation("call")
    assert (line["user_id"], line["metadata"]) == ("jane", {"password": "***"})


# --- interactions -----------------------------------------------------------------------------


def test_what_is_said_of_an_interaction_later_reaches_all_that_is_open_and_starts(files):
    """From any depth: spans open at that time get it when they end, later ones when they start."""

    @spanwise.tool
    def look_up():
        spanwise.current_interaction().identify(
            user={"id": "jane", "name": "Jane"}, session_id="s", account="org", message_id="m"
        )

    @spanwise.interaction("Main")
    def handle():
        third_party = trace_api.get_tracer("other").start_as_current_span("open third party's")
        with third_party, spanwise.observe("open"), spanwise.identify(tags=["t"]):
            look_up()
            third_party_span("later third party's")
            with spanwise.observe("later"):
                pass
        call()

    handle()
    names = {line["name"] for line in files.observations()}
    assert len(names) == 7
    for line in files.observations():
        assert (line["user_id"], line["session_id"], line["account_id"]) == ("jane", "s", "org")
        assert line["attributes"]["user.name"] == "Jane"
        assert line["attributes"]["message.id"] == "m"
        assert line["attributes"]["gen_ai.conversation.id"] == "s"
    (trace,) = files.traces()
    assert (trace["user"], trace["message_id"]) == ({"id": "jane", "name": "Jane"}, "m")


def test_what_is_said_of_an_interaction_ends_with_it(files):
    """The next interaction knows nothing of it."""
    with spanwise.interaction("first") as first:
        first.identify(user="jane")
    with spanwise.interaction("second"):
        pass
    call()
    users = {line["name"]: line.get("user_id") for line in files.observations()}
    assert users == {"first": "jane", "second": None, "call": None}


def test_two_interactions_at_once_do_not_mix(files):
    """Each task's interaction is identified on its own."""

    @spanwise.interaction("Main")
    async def handle(n):
        await asyncio.sleep(0)
        spanwise.current_interaction().identify(user=f"user {n}")
        await asyncio.sleep(0)
        call(n)

    async def main():
        await asyncio.gather(*(handle(n) for n in range(8)))

    asyncio.run(main())
    by_trace: dict[str, set[Any]] = {}
    for line in files.observations():
        by_trace.setdefault(line["trace_id"], set()).add(line["user_id"])
    assert sorted(len(users) for users in by_trace.values()) == [1] * 8


def test_what_is_said_of_an_observation_is_said_of_it_alone(files):
    """Only an interaction speaks for what is below it."""
    with spanwise.agent("agent") as agent:
        agent.identify(user="jane")
        call()
    assert files.observation("agent")["user_id"] == "jane"
    assert "user_id" not in files.observation("call")


def test_an_interaction_inherits_from_an_outer_identify(files):
    """And what it is told itself stands against it, inside."""
    with spanwise.identify(user="outer", account="org"):
        with spanwise.interaction("Main") as main:
            main.identify(user="inner")
            call()
        third_party_span("after")
    line, after = files.observation("call"), files.observation("after")
    assert (line["user_id"], line["account_id"]) == ("inner", "org")
    assert (after["user_id"], after["account_id"]) == ("outer", "org")


# --- providers that are not ours --------------------------------------------------------------


def foreign(tmp_path: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    """Configure Spanwise on a provider that the application made, with an exporter of its own."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spanwise.configure(traces_dir=tmp_path / "traces", tracer_provider=provider)
    return provider, exporter


def test_spans_of_a_foreign_provider_are_stamped_for_its_own_exporter(tmp_path):
    """The user's exporter sees who a span is for, on spans of all libraries."""
    provider, exporter = foreign(tmp_path)
    with spanwise.identify(user="jane", session_id="s"):
        provider.get_tracer("other").start_span("third").end()
        call()
    for span in exporter.get_finished_spans():
        attributes = dict(span.attributes or {})
        assert (attributes["user.id"], attributes["session.id"]) == ("jane", "s")
        assert attributes["gen_ai.conversation.id"] == "s"


def test_what_is_said_later_reaches_open_spans_of_ours_in_a_foreign_exporter_too(tmp_path):
    """It is set on the span when it ends; what the span says of itself stands."""
    _, exporter = foreign(tmp_path)
    with spanwise.interaction("Main"), spanwise.agent("open") as agent:
        agent.identify(session_id="its own")
        spanwise.current_interaction().identify(user="jane", session_id="s")
    for span in exporter.get_finished_spans():
        attributes = dict(span.attributes or {})
        assert attributes["user.id"] == "jane"
        assert attributes["session.id"] == ("its own" if span.name == "open" else "s")


@pytest.mark.parametrize("own", [128, 127, 120])
def test_a_full_span_of_a_third_party_loses_none_of_its_own(tmp_path, own):
    """OpenTelemetry would evict the oldest; the record of ours has the identity all the same."""
    provider, exporter = foreign(tmp_path)
    attributes = {f"own.{n}": n for n in range(own)}
    with spanwise.identify(user="jane", account="org", session_id="s"):
        provider.get_tracer("other").start_span("full", attributes=attributes).end()
    (span,) = exporter.get_finished_spans()
    assert {k: v for k, v in (span.attributes or {}).items() if k in attributes} == attributes
    text = "".join(path.read_text() for path in (tmp_path / "traces").glob("observations*"))
    assert '"user.id":"jane"' in text
    assert '"own.0":0' in text


@pytest.mark.parametrize("at_start", [10, 124])
def test_a_span_of_a_third_party_that_fills_up_later_loses_none_of_its_own(tmp_path, at_start):
    """Where there is no room in the end, it is the stamp that has to go."""
    provider, exporter = foreign(tmp_path)
    attributes = {f"own.{n}": n for n in range(128)}
    with spanwise.identify(user="jane", account="org", session_id="s"):
        items = list(attributes.items())
        span = provider.get_tracer("other").start_span("full", attributes=dict(items[:at_start]))
        span.set_attributes(dict(items[at_start:]))
        span.end()
    (ended,) = exporter.get_finished_spans()
    assert {k: v for k, v in (ended.attributes or {}).items() if k in attributes} == attributes


# --- what is wrong or secret ------------------------------------------------------------------


class Hostile:
    """An object that fails at everything it is asked."""

    def fail(self, *args: Any) -> Any:
        raise RuntimeError("hostile")

    __str__ = __repr__ = __format__ = __iter__ = __eq__ = __bool__ = __len__ = fail  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


class HostileMapping(Mapping):  # type: ignore[type-arg]
    """A mapping that fails when it is read."""

    def fail(self, *args: Any) -> Any:
        raise RuntimeError("hostile")

    __getitem__ = __iter__ = __len__ = items = fail  # type: ignore[assignment]


WRONG = [5, 0.5, True, b"bytes", object(), [1], {1: 2}, {None: None}, Hostile(), HostileMapping()]


@pytest.mark.parametrize(
    "part", ["user", "account", "session_id", "message_id", "tags", "metadata"]
)
@pytest.mark.parametrize("wrong", WRONG, ids=[type(value).__name__ for value in WRONG])
def test_a_wrong_value_never_raises_and_costs_no_more_than_itself(files, swallowed, part, wrong):
    """What cannot be read is left out; the rest of what was said stands."""
    good: dict[str, Any] = {
        "user": "jane",
        "account": "org",
        "session_id": "s",
        "message_id": "m",
        "tags": ["t"],
        "metadata": {"k": 1},
    }
    expected = {
        "user": ("user_id", "jane"),
        "account": ("account_id", "org"),
        "session_id": ("session_id", "s"),
        "tags": ("tags", ["t"]),
        "metadata": ("metadata", {"k": 1}),
    }
    with spanwise.identify(**{**good, part: wrong}), spanwise.observe("span") as observation:
        observation.identify(user=wrong)
        third_party_span("third")
    for name in ("third", "span"):
        line = files.observation(name)
        for other, (field, value) in expected.items():
            if other != part and (name, other) != ("span", "user"):
                assert line[field] == value
    assert set(swallowed()) <= {"failures.identify"}


def test_keys_of_every_kind_are_told_apart_by_their_text(files):
    """A key that is no string is its text."""
    with spanwise.identify(user={"id": "u", 5: "five"}, metadata={5: "five"}):
        call()
    line = files.observation("call")
    assert line["attributes"]["user.5"] == "five"
    assert line["metadata"] == {"5": "five"}


def test_text_that_is_no_utf8_becomes_valid(files):
    """A lone surrogate would lose the line, or the batch that it is sent in."""
    with spanwise.identify(user="a\ud800b", metadata={"k": "c\udfff"}):
        call()
        third_party_span("third")
    assert [line["user_id"] for line in files.observations()] == ["a\\ud800b"] * 2


SECRET = "sk-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKL"


def test_secrets_in_identity_are_masked_before_they_are_attributes(tmp_path):
    """Under a secret's name or by their shape, in files and in the user's own exporter."""
    provider, exporter = foreign(tmp_path)
    with spanwise.identify(
        user={"id": "u", "api_key": "hidden-1", "settings": {"password": "hidden-2"}},
        account={"id": SECRET, "note": f"uses {SECRET}"},
        session_id=f"session {SECRET}",
        message_id=SECRET,
        tags=[SECRET, "fine"],
        metadata={"client_secret": "hidden-3", "nested": {"deep": {"token": "hidden-4"}}, "n": 1},
    ):
        call()
        provider.get_tracer("other").start_span("third").end()
    seen = "".join(path.read_text() for path in (tmp_path / "traces").glob("*.jsonl"))
    seen += repr([dict(span.attributes or {}) for span in exporter.get_finished_spans()])
    for secret in (SECRET, "hidden-1", "hidden-2", "hidden-3", "hidden-4"):
        assert secret not in seen
    for span in exporter.get_finished_spans():
        attributes = dict(span.attributes or {})
        assert attributes["user.api_key"] == "***"
        assert attributes["observation.metadata.client_secret"] == "***"
        assert attributes["observation.metadata.n"] == 1
        assert attributes[semconv.OBSERVATION_TAGS] == ("***", "fine")


def test_useful_identity_survives_the_masking(files):
    """Names that only look secret, and counts, are kept."""
    metadata = {"author": "Jane", "max_tokens": 5, "keyword": "x", "primary_key": 7}
    with spanwise.identify(user={"id": "u", "monkey": "yes"}, metadata=metadata):
        call()
    line = files.observation("call")
    assert line["metadata"] == metadata
    assert line["attributes"]["user.monkey"] == "yes"
