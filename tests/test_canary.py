"""A secret put anywhere that can carry one is in nothing that is written, sent, logged or shown."""

from __future__ import annotations

import base64
import builtins
import contextlib
import dataclasses
import inspect
import json
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pydantic
import pytest
from click.testing import CliRunner
from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.trace import Link, SpanContext, StatusCode, TraceFlags, TraceState

import fluxloop
import spanwise
from brixo import Brixo, _once
from data.masking_cases import made_up
from fluxloop.models import ObservationData, ObservationType
from spanwise.cli import commands
from support.receiver import Receiver

NEIGHBOUR = "harmless-neighbour"
_tracer = trace.get_tracer


class Canary:
    """A secret of its own for one place, and what it looks like in each form."""

    def __init__(self, number: int) -> None:
        # Digits of a number in base 36 make it unlike any other canary.
        self.plain = f"canary{number:03d}x{made_up(18)}"
        self.key = f"sk-{self.plain}"

    def forms(self) -> Iterator[bytes]:
        """Yield every form in which the secret could have been written."""
        raw = self.plain.encode()
        yield raw
        yield raw.hex().encode()
        yield raw.hex().upper().encode()
        for shift in range(3):  # base64 depends on where in a text the secret begins
            encoded = base64.b64encode(b"x" * shift + raw)
            yield encoded[4 * (shift > 0) + 4 : -8]


@dataclasses.dataclass
class Plain:
    api_key: str
    note: str


class Model(pydantic.BaseModel):
    api_key: str
    note: str


@attrs.define
class Attrs:
    api_key: str
    note: str


Plant = Callable[[Canary], None]
PLACES: dict[str, Plant] = {}


def place(name: str) -> Callable[[Plant], Plant]:
    def register(plant: Plant) -> Plant:
        PLACES[name] = plant
        return plant

    return register


def forms_of(c: Canary) -> dict[str, Any]:
    """Return a value in each form in which a secret may come."""
    return {
        "a provider's key": f"use {c.key} please",
        "a web token": f"eyJhbGciOiJIUzI1NiJ9.{c.plain}.{made_up(20)}",
        "a private key": f"-----BEGIN PRIVATE KEY-----\n{c.plain}\n-----END PRIVATE KEY-----",
        "a name": {"db": {"password": c.plain, "a": 1}},
        "a plural": {"api_keys": [c.plain]},
        "an address": f"postgres://jane:{c.plain}@acme.com/app",
        "a query": f"https://acme.com/?api_key={c.plain}&page=1",
        "an encoded query": f"https://acme.com/?next=%2F%3Ftoken%3D{c.plain}",
        "a header pair": [("Authorization", f"Custom {c.plain}"), ("accept", "*/*")],
        "a header": {"headers": {"X-Api-Key": c.plain}},
        "a header description": {"name": "Authorization", "value": c.plain},
        "a parameter's description": [{"parameter": "password", "values": [c.plain]}],
        "a password of a user": {"user": "jane", "pass": c.plain},
        "Markdown": f"- **Password:** {c.plain}\n\n| API key | {c.plain} |\n",
        "an inserted row": f"INSERT INTO u (name, password) VALUES ('j', '{c.plain}')",
        "escaped letters": f'{{"\\u0070assword": "{c.plain}"}}',
        "a request": f"GET / HTTP/1.1\r\nAuthorization: Custom {c.plain}\r\nHost: acme.com",
        "JSON in JSON": json.dumps({"a": json.dumps({"b": json.dumps({"secret": c.plain})})}),
        "a dataclass": Plain(c.plain, "note"),
        "a model": Model(api_key=c.plain, note="note"),
        "an attrs object": Attrs(c.plain, "note"),
        "bytes": f"password={c.plain}".encode(),
        "XML": f"<password>{c.plain}</password>",
        "YAML": f"user: jane\npassword: {c.plain}\n",
        "a command": f"mysql --password {c.plain} app",
        "a list of arguments": ["mysql", "--password", c.plain, "app"],
        "a secret of Kubernetes": {"kind": "Secret", "stringData": {"user": c.plain}},
        "SQL": f"ALTER USER jane PASSWORD '{c.plain}'",
        "a representation": f"Client(api_key='{c.plain}', n=1)",
        "a key of a mapping": {c.key: 1},
        "a set": {c.key},
        "an exception": ValueError(f"password={c.plain}"),
    }


def _plant_form(form: str) -> Plant:
    def plant(c: Canary) -> None:
        value = forms_of(c)[form]

        @spanwise.tool
        def captured(value: Any, nested: Any = None) -> Any:
            return {"result": value}

        captured(value, nested=[{"deep": value}])

    return plant


for _form in forms_of(Canary(0)):
    PLACES[f"{_form}, as argument and result"] = _plant_form(_form)


@place("a parameter's default")
def _default(c: Canary) -> None:
    def call(question: str, api_key: str = c.plain, url: str = f"https://u:{c.plain}@h/") -> str:
        return question

    spanwise.agent(call)("hello")


@place("fields of an observation")
def _fields(c: Canary) -> None:
    with spanwise.observe(f"name {c.key}", type="chain", metadata={"token": c.plain}) as o:
        o.update(
            input={"password": c.plain},
            output=f"Bearer {c.plain}",
            metadata={c.key: c.key, "deep": {"secret": [c.plain]}},
            model=c.key,
        )
    spanwise.event(f"event {c.key}", api_key=c.plain)


@place("identity")
def _identity(c: Canary) -> None:
    with (
        spanwise.identify(
            user={"id": c.key, "name": f"password={c.plain}", "token": c.plain},
            account={"id": "org", "secret": c.plain, c.key: 1},
            session_id=c.key,
            message_id=c.key,
            tags=[c.key, f"api_key={c.plain}"],
            metadata={"api_key": c.plain, "list": [c.key]},
        ),
        _tracer("third").start_as_current_span("stamped"),
    ):
        pass


@place("a third party's span")
def _third_party(c: Canary) -> None:
    state = TraceState([("v", c.key)])
    flags = TraceFlags(1)
    remote = SpanContext(7, 8, is_remote=True, trace_flags=flags, trace_state=state)
    parent = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    tracer = _tracer(f"scope {c.key}", attributes={"api_key": c.plain, "x": c.key})
    linked = SpanContext(9, 10, is_remote=False, trace_flags=flags, trace_state=state)
    links = [Link(linked, {"y": c.key, "token": c.plain})]
    with tracer.start_as_current_span(f"call {c.key}", parent, links=links) as span:
        span.set_attribute("text", f"password={c.plain}")
        span.set_attribute("list", [c.key, f"api_key={c.plain}"])
        span.set_attribute("bytes", c.key.encode())
        span.set_attribute(c.key, 1)
        span.set_attribute("http.request.header.authorization", [c.plain])
        span.set_attribute("process.command_args", ["mysql", "--password", c.plain])
        span.set_attribute("url.full", f"https://jane:{c.plain}@acme.com/?token={c.plain}")
        span.add_event(f"event {c.key}", {"z": c.key, "secret": c.plain})
        span.set_status(StatusCode.ERROR, f"failed with password={c.plain}")


@place("baggage")
def _baggage(c: Canary) -> None:
    token = context_api.attach(baggage.set_baggage("api_key", c.plain))
    try:
        with spanwise.observe("with baggage"):
            pass
    finally:
        context_api.detach(token)


@place("an exception's message, arguments, cause and notes")
def _exception(c: Canary) -> None:
    @spanwise.agent
    def fails() -> None:
        try:
            raise KeyError(c.key)
        except KeyError as cause:
            error = RuntimeError(f"cannot reach https://jane:{c.plain}@acme.com", c.key)
            if sys.version_info >= (3, 11):
                error.add_note(f"password={c.plain}")
            raise error from cause

    with contextlib.suppress(RuntimeError):
        fails()


@place("an exception in a group")
def _group(c: Canary) -> None:
    if sys.version_info < (3, 11):
        return  # there are no groups
    with contextlib.suppress(BaseException), spanwise.observe("group"):
        raise builtins.ExceptionGroup(
            f"api_key={c.plain}", [ValueError(c.key), KeyError({"a": c.key})]
        )


@place("a third party's recorded exception")
def _recorded(c: Canary) -> None:
    with contextlib.suppress(ValueError), _tracer("third").start_as_current_span("raises"):
        raise ValueError(f"token='{c.plain}'")


@place("a line of source in a traceback")
def _source(c: Canary) -> None:
    path = Path("module.py")
    padding = "x" * 500
    path.write_text(
        f'def connect(**options):\n    raise OSError("no")\n'
        f'def call():\n    connect(api_key="{c.plain}")\n'
        f'def long():\n    connect(a="{padding}", api_key="{c.plain}")\n'
    )
    names: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path.absolute()), "exec"), names)
    for name in ("call", "long"):
        with contextlib.suppress(OSError), spanwise.observe("source"):
            names[name]()
        with contextlib.suppress(OSError), _tracer("third").start_as_current_span("source"):
            names[name]()


@place("the chunks of a stream of text")
def _stream(c: Canary) -> None:
    @spanwise.generation
    def stream(pieces: int) -> Iterator[str]:
        text = f"the key is {c.key}, and password='{c.plain}' too"
        for start in range(0, len(text), pieces):
            yield text[start : start + pieces]

    for pieces in (1, 7, 15, 40):
        list(stream(pieces))


@place("a function's name")
def _function(c: Canary) -> None:
    def call() -> None:
        pass

    call.__name__ = call.__qualname__ = c.key
    spanwise.tool(call)()
    spanwise.tool(name=f"tool {c.key}", description=f"password={c.plain}")(call)()


@place("the Brixo facade")
def _brixo(c: Canary) -> None:
    @Brixo.interaction("Main")
    def handle(text: str) -> str:
        party = {"id": "jane", "name": f"api_key={c.plain}", "password": c.plain}
        Brixo.begin_context(
            account=party, user=party, session_id=c.key, metadata={"secret": c.plain}, input=c.key
        )
        Brixo.update_context(metadata={"list": [c.key]}, message_id=c.key)
        Brixo.end_context(output=f"Bearer {c.plain}")
        return text

    handle(f"password={c.plain}")


@place("the FluxLoop facade")
def _fluxloop(c: Canary) -> None:
    with fluxloop.instrument("flow", user_id=c.key, tags=[c.key], metadata={"key": c.plain}) as ctx:
        ctx.add_metadata("api_key", c.plain)
        ctx.add_metadata(c.key, c.key)
        ctx.add_tag(c.key)
        observation = ObservationData(type=ObservationType.TOOL, name=f"by hand {c.key}")
        ctx.push_observation(observation)
        observation.input = {"password": c.plain}
        observation.output = c.key
        observation.metadata["secret"] = c.plain
        observation.error = f"token={c.plain}"
        ctx.pop_observation()
    fluxloop.record_call_args("m:f", api_key=c.plain, options={"url": f"redis://:{c.plain}@h"})


@place("a recorded call")
def _recording(c: Canary) -> None:
    @spanwise.agent
    def call(question: str, client: Any, **options: Any) -> str:
        return question

    class Shown:
        def __repr__(self) -> str:
            return f"Client(api_key='{c.plain}')"

    call(f"use {c.key}", Shown(), password=c.plain, headers=[("Authorization", c.plain)])


# --- where to look ---------------------------------------------------------------------------


class Watch:
    """Everything that leaves the process while canaries are planted."""

    def __init__(
        self,
        folder: Path,
        receiver: Receiver,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self.folder = folder
        self.receiver = receiver
        self._caplog = caplog
        self._capsys = capsys

    def found(self) -> dict[str, bytes]:
        """Return all that was written, sent, logged, printed and shown, by where it was."""
        assert spanwise.flush(10) is True
        shown = [self._shown("--io"), self._shown("--json")]
        requests = [request for _, _, request in self.receiver.requests]
        printed = self._capsys.readouterr()
        logged = [record.getMessage() + str(record.args) for record in self._caplog.records]
        files = {
            f"file {path.relative_to(self.folder)}": path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file() and path.suffix not in (".py", ".pyc")
        }
        return {
            **files,
            "bytes sent": b"".join(request.SerializeToString() for request in requests),
            "text sent": "".join(map(str, requests)).encode(),
            "log": "\n".join([self._caplog.text, *logged]).encode("utf-8", "replace"),
            "printed": (printed.out + printed.err).encode(),
            "shown": "".join(shown).encode(),
        }

    def assert_nothing_of(self, canary: Canary) -> None:
        """Fail if the secret is anywhere, or if nothing was there to be found in."""
        everything = self.found()
        for where, content in everything.items():
            for form in canary.forms():
                at = content.find(form)
                assert at < 0, f"{where}: {content[max(0, at - 200) : at + 80]!r}"
        for where in ("bytes sent", "text sent", "shown"):
            assert NEIGHBOUR.encode() in everything[where], where
        kinds = ("observations", "traces", "calls")
        for kind in kinds:
            held = b"".join(text for where, text in everything.items() if kind in where)
            assert NEIGHBOUR.encode() in held, kind

    def _shown(self, *options: str) -> str:
        is_mixed = "mix_stderr" in inspect.signature(CliRunner).parameters
        runner = CliRunner(**({"mix_stderr": False} if is_mixed else {}))
        result = runner.invoke(
            commands, ["show", str(self.folder / "traces"), "--limit", "0", *options]
        )
        assert result.exit_code == 0, result.output
        return result.output


@pytest.fixture
def watch(
    tmp_path: Path,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Watch]:
    """Files, a collector, a recording and every log line, with something harmless in each."""
    caplog.set_level(logging.DEBUG)
    _once.reset()
    spanwise.configure(
        traces_dir=tmp_path / "traces",
        otlp_endpoint=receiver.url,
        record=tmp_path / "calls.jsonl",
    )

    @spanwise.agent(name=NEIGHBOUR)
    def neighbour(question: str) -> str:
        return question

    neighbour(NEIGHBOUR)
    yield Watch(tmp_path, receiver, caplog, capsys)
    _once.reset()
    fluxloop.reset_config()


@pytest.mark.parametrize("name", PLACES)
def test_no_secret_leaves_the_process(name: str, watch: Watch) -> None:
    """Whatever the place: neither file, nor collector, nor log, nor terminal has it."""
    canary = Canary(list(PLACES).index(name))
    PLACES[name](canary)
    watch.assert_nothing_of(canary)


def test_no_secret_leaves_where_all_are_there_at_once(watch: Watch) -> None:
    """One masked place does not uncover another."""
    canaries = [Canary(number) for number in range(len(PLACES))]
    for plant, canary in zip(PLACES.values(), canaries, strict=True):
        plant(canary)
    for canary in canaries:
        watch.assert_nothing_of(canary)


def test_what_stands_beside_a_secret_is_kept(watch: Watch) -> None:
    """The harmless parts of what held a secret reach the file and the collector."""
    canary = Canary(900)
    for plant in PLACES.values():
        plant(canary)
    everything = watch.found()
    written = b"".join(text for where, text in everything.items() if "observations" in where)
    for kept in (b"jane", b"acme.com", b"note", b"by hand", b"mysql", b"stamped", b"the key is"):
        assert kept in written, kept
        assert kept in everything["bytes sent"], kept


def test_a_canary_that_is_no_secret_is_found(watch: Watch) -> None:
    """The search finds what is there, so that finding nothing says something."""
    canary = Canary(901)
    with spanwise.observe("open", input=f"a plain {canary.plain} in a sentence"):
        pass
    with pytest.raises(AssertionError, match="canary901"):
        watch.assert_nothing_of(canary)


def test_no_secret_of_the_resource_leaves(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attributes named by the environment are masked like any other."""
    canary = Canary(902)
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES",
        f"api_key={canary.plain},note={canary.key},team={NEIGHBOUR}",
    )
    spanwise.configure(traces_dir=tmp_path / "traces", otlp_endpoint=receiver.url)
    with spanwise.observe("x"):
        pass
    assert spanwise.flush(10) is True
    sent = b"".join(request.SerializeToString() for _, _, request in receiver.requests)
    assert NEIGHBOUR.encode() in sent
    for path in (tmp_path / "traces").iterdir():
        sent += path.read_bytes()
    assert [] == [form for form in canary.forms() if form in sent]


def test_no_secret_of_the_settings_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the address's password nor a header is logged, shown or written when export fails."""
    caplog.set_level(logging.DEBUG)
    canary = Canary(903)
    settings = spanwise.configure(
        traces_dir=tmp_path / "traces",
        otlp_endpoint=f"http://jane:{canary.plain}@127.0.0.1:9",
        otlp_headers={"x-api-key": canary.plain, "authorization": f"Bearer {canary.plain}"},
    )
    with spanwise.observe(NEIGHBOUR):
        pass
    spanwise.flush(0.1)
    spanwise.shutdown()
    printed = capsys.readouterr()
    told = caplog.text + repr(settings) + str(settings) + printed.out + printed.err
    written = b"".join(path.read_bytes() for path in (tmp_path / "traces").iterdir())
    assert NEIGHBOUR.encode() in written
    assert "127.0.0.1" in told
    assert [] == [form for form in canary.forms() if form in told.encode() + written]


@dataclasses.dataclass
class Delta:
    text: str


SHAPES: dict[str, Callable[[str], Any]] = {
    "OpenAI": lambda t: {"choices": [{"index": 0, "delta": {"content": t}}]},
    "Anthropic": lambda t: {
        "type": "content_block_delta",
        "delta": {"type": "text_delta", "text": t},
    },
    "LangChain": lambda t: {"type": "AIMessageChunk", "content": t},
    "dataclass": Delta,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [7, 15])
def test_no_secret_leaves_in_the_pieces_of_objects(shape: str, size: int, watch: Watch) -> None:
    """No piece of it may be there either."""
    canary = Canary(950)
    text = f"the key is {canary.key}, and password='{canary.plain}' too"

    @spanwise.generation
    def stream() -> Iterator[Any]:
        for start in range(0, len(text), size):
            yield SHAPES[shape](text[start : start + size])

    list(stream())
    everything = b"".join(watch.found().values())
    for start in range(10, len(canary.plain) - 6):  # "canary" itself is in this file's name
        assert canary.plain[start : start + 6].encode() not in everything
