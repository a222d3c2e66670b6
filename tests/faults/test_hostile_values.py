"""Capture that cannot hurt: every hostile value goes through every way in, in a process of its own.

A server process imports what the values are made with, and forks one child for each value. The
child makes the value, captures it in every way, and reports on a pipe what went wrong; the server
kills a child that makes no progress. Run as a script, this module is that server.
"""

from __future__ import annotations

import contextlib
import contextvars
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace as trace_api
from opentelemetry.sdk.trace import SpanProcessor

import spanwise
from data.hostile_values import CASES, HALF, SECRET, Case, Unavailable, ran, trapped
from spanwise import _encoding, _guard, _masking, semconv
from spanwise._value_kinds import MARGIN

# Of one way of capturing; what is captured in less than a millisecond has plenty.
WATCHDOG_S = 4.0
MAKING_S = 60.0  # importing and building may take long; nothing of ours runs meanwhile
BYTES = 65_536

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")


# --- in the tests' process ---------------------------------------------------------------------


class Server:
    """The process that forks a child for each value."""

    def __init__(self, folder: Path) -> None:
        paths = [str(Path(spanwise.__file__).parents[1]), str(Path(__file__).parents[1])]
        ours = ("SPANWISE_", "OTEL_", "BRIXO_", "FLUXLOOP_")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}
        self._log = (folder / "log").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            cwd=folder,
            env=environment,
        )

    def outcome(self, name: str) -> dict[str, Any]:
        """Return what the child that captured this value reported."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{name}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._log.seek(0)
            raise AssertionError(f"the server ended: {self._log.read()[-5000:]}")
        outcome: dict[str, Any] = json.loads(answer)
        return outcome

    def close(self) -> None:
        """End the server; it has no child by then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)
        self._log.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of this worker."""
    made = Server(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


@pytest.mark.parametrize("name", CASES)
def test_capture_of_a_hostile_value_disturbs_nothing(server: Server, name: str) -> None:
    """The call returns the same object, nothing of it was run, the captured texts are JSON."""
    outcome = server.outcome(name)
    if "unavailable" in outcome:
        pytest.skip(outcome["unavailable"])
    assert outcome == {"faults": [], "ways": outcome["ways"]}
    assert outcome["ways"] >= 4


@pytest.mark.parametrize(
    "name", ["~hang", "~exit", "~other", "~ran", "~json", "~large", "~work", "~swallowed"]
)
def test_the_runner_itself_reports_what_goes_wrong(server: Server, name: str) -> None:
    """A child that hangs, ends early, or finds a fault does not pass for one that is well."""
    assert {
        "~hang": f"call: no progress for {WATCHDOG_S} s",
        "~exit": "call: the child ended with status 93",
        "~other": "call: AssertionError: not the same object",
        "~ran": "call: ['__repr__']",
        "~json": "captured: JSONDecodeError",
        "~large": "captured: AssertionError: observation.input is too large",
        "~work": "call: ['100000 values were looked at'",
        "~swallowed": "call: {'failures.test': 1}",
    }[name] in server.outcome(name)["faults"][0]


def test_a_block_lets_a_hostile_exception_out_as_it_is(tmp_path: Path) -> None:
    """The very same exception comes out of a block, and nothing of it was run."""
    spanwise.configure(traces_dir=tmp_path / "traces", instrument=False)
    error: Any = Exception.__new__(trapped(Exception, lambda: [][0]))

    def leave() -> None:
        with spanwise.observe("block"):
            raise error

    ran.clear()
    with pytest.raises(BaseException) as raised:
        contextvars.copy_context().run(leave)
    assert raised.value is error


def test_a_call_of_an_oddly_named_function_is_recorded(tmp_path: Path) -> None:
    """The recording names the function as far as UTF-8 can."""

    def take(value: Any) -> Any:
        return value

    take.__qualname__ = f"odd{HALF}"
    spanwise.configure(record=tmp_path / "calls.jsonl", instrument=False)
    try:
        spanwise.tool(take)(1)
        assert strict((tmp_path / "calls.jsonl").read_bytes())
    finally:
        spanwise.shutdown()
        spanwise._state.reset()  # the fault that is expected here


# --- in the child: ways in ---------------------------------------------------------------------

WAYS: dict[str, Callable[[Any, Case], None]] = {}


def way(function: Callable[[Any, Case], None]) -> Callable[[Any, Case], None]:
    WAYS[function.__name__] = function
    return function


def same(found: Any, value: Any) -> None:
    assert found is value, "not the same object"


@way
def call(value: Any, case: Case) -> None:
    """As argument, default and result of a function whose token counts are looked for."""

    @spanwise.generation
    def take(first: Any, *rest: Any, default: Any = value, **named: Any) -> Any:
        return default

    same(take(value), value)


@way
def nested(value: Any, case: Case) -> None:
    """Inside of other arguments, and inside of the result."""

    @spanwise.generation
    def take(*rest: Any, **named: Any) -> Any:
        return {"usage": value, "messages": [value, (value, 1)]}

    found = take(1, value, key=value, **{f"odd{HALF}": [value], "options": {"v": {"v": value}}})
    same(found["usage"], value)
    same(found["messages"][1][0], value)


@way
def parts(value: Any, case: Case) -> None:
    """Each value of a list of values by itself."""

    @spanwise.generation
    def take(part: Any) -> Any:
        return part

    if type(value) is list:
        for part in value[:40]:
            same(take(part), part)


@way
def method(value: Any, case: Case) -> None:
    """Through a method of the class."""

    class Holder:
        @spanwise.chain
        def take(self, value: Any) -> Any:
            return value

        @classmethod
        @spanwise.retrieval
        def take_too(cls, value: Any) -> Any:
            return value

    same(Holder().take(value), value)
    same(Holder.take_too(value), value)


@way
def oddly_named(value: Any, case: Case) -> None:
    """Through a function whose names hold half of a surrogate pair."""

    def take(value: Any) -> Any:
        return value

    take.__name__ = take.__qualname__ = take.__module__ = take.__doc__ = f"odd{HALF}"
    same(spanwise.chain(take, version=HALF)(value), value)


@way
def coroutine(value: Any, case: Case) -> None:
    """Through a coroutine function."""

    @spanwise.generation
    async def take(value: Any) -> Any:
        return value

    try:
        take(value).send(None)
    except StopIteration as stop:
        same(stop.value, value)


@way
def stream(value: Any, case: Case) -> None:
    """As chunks of a generator, what it is sent, and what it returns."""

    @spanwise.generation
    def take(value: Any) -> Any:
        same((yield value), value)
        yield "text"
        yield value
        return value

    steps = take(value)
    same(next(steps), value)
    assert steps.send(value) == "text"
    same(next(steps), value)
    try:
        next(steps)
    except StopIteration as stop:
        same(stop.value, value)
    take(value).close()
    early = take(value)
    same(next(early), value)
    early.close()


@way
def async_stream(value: Any, case: Case) -> None:
    """As chunks of an async generator."""

    @spanwise.generation
    async def take(value: Any) -> Any:
        yield value
        yield value

    steps = take(value)
    for _ in range(2):
        try:
            steps.__anext__().send(None)
        except StopIteration as stop:
            same(stop.value, value)
    with contextlib.suppress(StopIteration):
        steps.aclose().send(None)


@way
def block(value: Any, case: Case) -> None:
    """As the input of a block, and in its update."""
    with spanwise.observe("block", input=value) as observation:
        observation.update(output=value, metadata={"k": value, "more": {"v": value}})
        observation.update(input_messages=[value], output_messages=value, usage={"input": value})
    with spanwise.observe(f"block {HALF}", type="chain", metadata={"k": [value]}):
        pass
    spanwise.event("event", k=value)


@way
def identity(value: Any, case: Case) -> None:
    """In what is said of whom a call is for."""

    @spanwise.interaction
    def take() -> Any:
        spanwise.current().identify(user={"id": value, "plan": value}, account={"k": value})
        return value

    with spanwise.identify(metadata={"k": value, "more": [value]}, user={"id": "u", "k": value}):
        same(take(), value)


@way
def raised(value: Any, case: Case) -> None:
    """Raised from a function, a block and a generator, thrown into one, or in what is raised."""
    if not case.is_quiet:
        return  # the text of an exception is read, and shows what the exception holds
    error = value if issubclass(type(value), BaseException) else ValueError("no", value)

    @spanwise.generation
    def fail(error: Any) -> Any:
        raise error

    @spanwise.generation
    def steps() -> Any:
        try:
            yield 1
        except BaseException as caught:
            same(caught, error)
            raise

    @spanwise.generation
    def swallows() -> Any:
        try:
            yield 1
        except BaseException as caught:
            yield caught

    def in_a_block() -> None:
        with spanwise.observe("block"):
            raise error

    def in_a_generator() -> None:
        running = steps()
        next(running)
        running.throw(error)

    attempts: list[Callable[[], Any]] = [lambda: fail(error)]
    if not issubclass(type(error), StopIteration):  # which may not leave a generator
        attempts.append(in_a_generator)
    if error is not value:  # a block asks an exception for its class: see below
        attempts.append(in_a_block)
    for attempt in attempts:
        try:
            attempt()
        except BaseException as caught:
            same(caught, error)
        else:
            raise AssertionError("nothing was raised")
    running = swallows()
    next(running)
    same(running.throw(error), error)
    running.close()
    forgive_texts(is_exception=error is value)


@way
def recorded(value: Any, case: Case) -> None:
    """As argument of a call that is recorded; where its repr may be called."""

    @spanwise.tool
    def take(value: Any) -> Any:
        return value

    if case.is_quiet:
        same(take(value), value)
        forgive_texts(is_exception=False)


def forgive_texts(*, is_exception: bool) -> None:
    """Forget what reading the text of a value ran: of an exception it is one method."""
    ran[:] = [name for name in ran if is_exception and name not in ("__str__", "__repr__")]


# --- in the child: what is looked at ------------------------------------------------------------


class Work:
    """Counts what each encoding looks at, and notes the ones that look at too much."""

    def __init__(self, progress: Callable[[], None]) -> None:
        self.encoded = self.characters = 0
        self.excess: list[str] = []
        dumps, encode = _encoding.Encoder.dumps, _encoding.Walk.encode
        mask, suspects = _masking.Masker.text, _masking.Masker.suspects

        def counted_dumps(encoder: Any, value: Any) -> str:
            progress()
            before = self.encoded, self.characters
            text = dumps(encoder, value)
            self._judge(self.encoded - before[0], self.characters - before[1], encoder.limits)
            return text

        def counted_encode(walk: Any, value: Any, depth: int) -> Any:
            self.encoded += 1
            return encode(walk, value, depth)

        def counted_mask(masker: Any, text: str) -> str:
            self.characters += len(text)
            return mask(masker, text)

        def counted_suspects(masker: Any, text: str) -> bool:
            self.characters += len(text)
            return suspects(masker, text)

        _encoding.Encoder.dumps = counted_dumps  # type: ignore[method-assign]
        _encoding.Walk.encode = counted_encode  # type: ignore[method-assign]
        _masking.Masker.text = counted_mask  # type: ignore[method-assign]
        _masking.Masker.suspects = counted_suspects  # type: ignore[method-assign]

    def _judge(self, encoded: int, characters: int, limits: Any) -> None:
        if encoded > 4 * limits.nodes:
            self.excess.append(f"{encoded} values were looked at")
        if characters > 4 * (limits.bytes + limits.nodes * 2 * MARGIN):
            self.excess.append(f"{characters} characters were read")


class Kept(SpanProcessor):
    """Keeps the attributes of spans as they were set."""

    def __init__(self) -> None:
        self.attributes: list[dict[str, Any]] = []

    def on_end(self, span: Any) -> None:
        self.attributes.append(dict(span.attributes))


_JSON_ATTRIBUTES = (semconv.OBSERVATION_INPUT, semconv.OBSERVATION_OUTPUT)


def strict(text: str | bytes) -> Any:
    """Return what a JSON text says; NaN and half of a surrogate pair are no JSON."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    if isinstance(text, str):
        text = text.encode()
    return json.loads(text.decode(), parse_constant=refuse)


def check(kept: Kept, folder: Path) -> None:
    """Assert that all that was captured is JSON of bounded size, in spans and in files."""
    for attributes in kept.attributes:
        for name in _JSON_ATTRIBUTES:
            if name in attributes:
                assert len(attributes[name].encode()) <= BYTES, f"{name} is too large"
                strict(attributes[name])
        for name, value in attributes.items():
            assert len(str(value)) <= 2 * BYTES, f"{name} is too large"
    found = list(folder.rglob("*.jsonl"))
    ended = len(kept.attributes)
    lines = [strict(line) for path in found for line in path.read_bytes().splitlines()]
    observations = [line for line in lines if "observation_type" in line or "parent_id" in line]
    assert len(observations) >= ended > 0, f"{ended} spans are {len(observations)} lines"
    assert all(SECRET.encode() not in path.read_bytes() for path in found), "a secret is shown"


def capture(name: str, report: Callable[..., None]) -> None:
    """Make the value of this name, capture it in every way, and report what is wrong."""
    case = CASES[name]
    folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
    try:
        value = case.make()
    except Unavailable as reason:
        report(unavailable=str(reason))
        return
    ran.clear()
    spanwise.configure(traces_dir=folder, record=folder / "calls.jsonl", instrument=False)
    kept = Kept()
    trace_api.get_tracer_provider().add_span_processor(kept)  # type: ignore[attr-defined]
    work = Work(lambda: report(progress=True))
    for name, enter in WAYS.items():
        if case.is_heavy and name not in ("call", "stream", "recorded"):
            continue
        report(at=name)
        try:
            enter(value, case)
            fault = None
        except BaseException as error:
            fault = "".join(traceback.format_exception_only(type(error), error)).strip()
            where = traceback.extract_tb(error.__traceback__)[-3:]
            fault += f" {[(Path(f.filename).name, f.lineno) for f in where]}"
        swallowed = {k: v for k, v in spanwise.stats().items() if k.startswith("failures.")}
        for found in (fault, swallowed, list(ran), work.excess):
            if found:
                report(fault=f"{name}: {str(found)[:1500]}")
                ran.clear()
                work.excess = []
                if found == swallowed:
                    return
    report(at="afterwards")
    harm = case.harm(value)
    if harm:
        report(fault=f"the value was changed: {harm!r:.300}")
    try:
        check(kept, folder)
    except BaseException as error:
        report(fault=f"captured: {type(error).__name__}: {str(error)[:300]}")
    report(done=True)


def _hang() -> None:
    while True:
        time.sleep(1)


def _captured(text: str) -> Callable[[Any, Case], Any]:
    def enter(value: Any, case: Case) -> None:
        with spanwise.observe("block") as observation:
            observation.span.set_attribute(semconv.OBSERVATION_INPUT, text)

    return enter


def _looks_at_much(value: Any, case: Case) -> None:
    encode = _encoding.Walk.encode

    def dive(walk: Any, value: Any, depth: int) -> Any:
        for _ in range(100_000):
            encode(walk, 1, depth)
        return 1

    _encoding.Walk.encode = dive  # type: ignore[method-assign]
    call(object(), case)  # a plain value would be written without a walk


# Ways in that break one promise each, so that the runner can be seen to tell.
BROKEN: dict[str, Callable[[Any, Case], Any]] = {
    "~hang": lambda value, case: _hang(),
    "~exit": lambda value, case: os._exit(93),
    "~other": lambda value, case: same([], []),
    "~ran": lambda value, case: ran.append("__repr__"),
    "~json": _captured('{"a": '),
    "~large": _captured('"' + "x" * BYTES + '"'),
    "~work": _looks_at_much,
    "~swallowed": lambda value, case: _guard.swallow("test", ValueError()),
}


# --- in the server -----------------------------------------------------------------------------


def child(name: str, pipe: int) -> None:
    """Capture one value and report on the pipe; never returns."""
    status = 1
    try:

        def report(**message: Any) -> None:
            os.write(pipe, json.dumps(message).encode() + b"\n")

        if name in BROKEN:
            WAYS.clear()
            WAYS["call"] = BROKEN[name]
            CASES[name] = Case(lambda: None)
        capture(name, report)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def is_starved(pid: int, allowed_s: float) -> bool:
    """Whether the child would run, but had less of a busy machine than it was allowed."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # no Linux: the clock on the wall decides
        return False
    return state == "R" and processor_time(pid) < allowed_s


def processor_time(pid: int) -> float:
    """Return the seconds of processor that a process used so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def supervise(name: str) -> dict[str, Any]:
    """Fork a child for one value, and return what became of it."""
    near, far = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(near)
        child(name, far)
    os.close(far)
    faults: list[str] = []
    unavailable: dict[str, str] = {}
    at, ways, is_done, held = "making", 0, False, b""
    waits, used_s = 0, 0.0
    while True:
        allowed = MAKING_S if at == "making" else WATCHDOG_S
        if not select.select([near], [], [], allowed)[0]:
            waits += 1
            if waits < 10 and is_starved(pid, used_s + allowed):
                continue
            faults.append(f"{at}: no progress for {allowed} s")
            os.kill(pid, signal.SIGKILL)
            is_done = True
        data = os.read(near, 65_536)
        if not data:
            break
        waits, used_s = 0, processor_time(pid)
        *lines, held = (held + data).split(b"\n")
        for line in map(json.loads, lines):
            if "unavailable" in line:
                is_done = True
                unavailable = line
            elif "fault" in line:
                faults.append(line["fault"])
            elif "at" in line:
                at, ways = line["at"], ways + 1
            elif "done" in line:
                is_done = True
    os.close(near)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not is_done:
        faults.append(f"{at}: the child ended with status {status}")
    return {"faults": faults, "ways": ways, **unavailable}


def serve() -> None:
    """Answer each name on the standard input with one line."""
    for name in ("attrs", "msgspec", "numpy", "numpy.ma", "pandas", "pydantic", "django.db.models"):
        with contextlib.suppress(ImportError):  # the value says so
            importlib.import_module(name)
    for name in ("sqlalchemy.orm", "werkzeug.wrappers", "pydantic.v1", "django.utils.translation"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        print(json.dumps(supervise(line.rstrip("\n"))), file=answers, flush=True)


if __name__ == "__main__":
    serve()
