"""A call that goes on in another process stays one trace, and says who it is for when asked."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import context as context_api
from opentelemetry import trace

import spanwise
from spanwise import _propagation
from support.files import Files

CHILD = """
import spanwise
from opentelemetry import trace
spanwise.configure(traces_dir="traces")

@spanwise.agent
def child():
    with trace.get_tracer("third").start_as_current_span("theirs"):
        pass

{call}
spanwise.shutdown()
"""


def run_child(tmp_path, call, environment):
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(call=call)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    assert "" == done.stderr


def worker(carrier, folder, identity):
    """What a process pool runs."""
    spanwise.configure(traces_dir=folder)
    with spanwise.extract(carrier, identity=identity), spanwise.observe("in the pool"):
        spanwise.current().update(output=os.getpid())
    spanwise.flush()
    return os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("identity", [True, False])
def test_a_process_pool_carries_the_parent_through_when_asked(files, method, identity):
    """The span in the worker is a child of the submitter's, however the worker was made."""
    context = multiprocessing.get_context(method)
    with (
        concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool,
        spanwise.identify(
            user={"id": "007", "name": "Jäne, =;"}, tags=["a", "b,c"], metadata={"n": 1}
        ),
        spanwise.observe("parent") as parent,
    ):
        carrier = spanwise.inject({}, identity=identity)
        pid = pool.submit(worker, carrier, str(files.folder), identity).result(60)
    assert pid != os.getpid()
    line = files.observation("in the pool")
    assert (parent.id, parent.trace_id) == (line["parent_id"], line["trace_id"])
    assert pid == line["output"]
    if identity:
        assert "007" == line["user_id"]
        assert ["a", "b,c"] == line["tags"]
        (root,) = [t for t in files.traces() if t["name"] == "in the pool"]
        assert {"id": "007", "name": "Jäne, =;"} == root["user"]
        assert 1 == line["metadata"]["n"]
    elif method != "fork":  # there the parent itself is known, and who it is for
        assert "user_id" not in line


def who(_):
    with spanwise.observe("task"):
        return spanwise.current().identity().get("user.id"), spanwise.current().trace_id


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.parametrize("kind", ["executor", "pool"])
def test_a_forked_worker_does_not_keep_the_tenant_it_was_made_for(files, kind):
    """It outlives the request in which the pool was made."""
    context = multiprocessing.get_context("fork")
    with spanwise.identify(user="first"), spanwise.observe("request") as request:
        if kind == "executor":
            pool = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
            found = [pool.submit(who, 1).result(60)]
        else:
            pool = context.Pool(1)
            found = [pool.apply(who, (1,))]
        assert "first" == spanwise.current().identity()["user.id"]
    if kind == "executor":
        found.append(pool.submit(who, 2).result(60))
        pool.shutdown()
    else:
        found.append(pool.apply(who, (2,)))
        pool.close()
        pool.join()
    assert [None, None] == [user for user, _ in found]
    assert 3 == len({request.trace_id, *(trace_id for _, trace_id in found)})


def test_a_process_that_is_forked_for_one_job_goes_on_with_the_trace(files):
    """It has the context of the code that starts it, as a thread has."""
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    with spanwise.identify(user="jane"), spanwise.observe("parent") as parent:
        process = context.Process(target=lambda: queue.put(who(1)))
        process.start()
        process.join(60)
    assert ("jane", parent.trace_id) == queue.get()


def test_a_subprocess_goes_on_with_the_trace_by_its_environment(files, tmp_path):
    """Nothing needs to be written in it: configure() finds its parent."""
    with spanwise.observe("parent") as parent:
        run_child(tmp_path, "child()", dict(spanwise.inject()))
    line = files.observation("child")
    assert (parent.id, parent.trace_id) == (line["parent_id"], line["trace_id"])
    assert line["id"] == files.observation("theirs")["parent_id"]


def test_an_environment_can_be_read_by_the_subprocess_itself(files, tmp_path):
    """As other tools set it, in upper case; what is done outside the block is a trace of its own."""
    with spanwise.observe("parent") as parent:
        environment = dict(spanwise.inject())
        del environment["SPANWISE_TRACEPARENT"]
        assert environment["TRACEPARENT"].startswith(f"00-{parent.trace_id}-{parent.id}-")
        run_child(
            tmp_path,
            "with spanwise.extract(): child()\nwith spanwise.observe('alone'): pass",
            environment,
        )
    assert parent.id == files.observation("child")["parent_id"]
    assert files.observation("alone")["parent_id"] is None


def test_without_an_open_span_a_subprocess_begins_a_trace(files, tmp_path, monkeypatch):
    """A parent that this process itself was given is not handed on in the place of none."""
    monkeypatch.setenv("SPANWISE_TRACEPARENT", f"00-{'1' * 32}-{'2' * 16}-01")
    environment = dict(spanwise.inject())
    assert "SPANWISE_TRACEPARENT" not in environment
    run_child(tmp_path, "child()", environment)
    assert files.observation("child")["parent_id"] is None


def test_a_subprocess_follows_the_decision_to_leave_a_trace_out(tmp_path):
    """What is sampled out here is not begun anew there."""
    spanwise.configure(traces_dir=tmp_path / "traces", sample_rate=0.0)
    with spanwise.observe("parent"):
        run_child(tmp_path, "child()", dict(spanwise.inject()))
    assert [] == Files(tmp_path / "traces").observations()


@pytest.mark.parametrize(
    "text", ["", "nonsense", "00-0-0-01", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"]
)
def test_a_parent_that_cannot_be_read_is_ignored(tmp_path, text):
    """The process begins traces of its own."""
    environment = {**os.environ, "SPANWISE_TRACEPARENT": text}
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(call="child()")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 0 == done.returncode
    assert ("is no traceparent" in done.stderr) is bool(text)
    assert Files(tmp_path / "traces").observation("child")["parent_id"] is None


def test_headers_are_read_in_any_case_and_the_context_comes_back(files):
    """As servers hand them over."""
    with spanwise.observe("parent") as parent:
        headers = spanwise.inject({"accept": "*/*"})
    before = context_api.get_current()
    shouted = {name.upper(): value for name, value in headers.items()}
    for carrier in (headers, shouted):
        with spanwise.extract(carrier), spanwise.observe("served"):
            pass
        assert before == context_api.get_current()
    assert {parent.id} == {o["parent_id"] for o in files.observations() if o["name"] == "served"}
    assert {"accept", "traceparent"} == set(headers)


def test_identity_is_carried_only_when_both_ask(files):
    """It may be personal, and whoever sends it says who the call is for."""
    with spanwise.identify(user="jane", session_id="s-1"), spanwise.observe("parent"):
        assert "jane" not in json.dumps(spanwise.inject({}))
        carrier = spanwise.inject({}, identity=True)
    with spanwise.extract(carrier), spanwise.observe("not asked"):
        pass
    with spanwise.extract(carrier, identity=True), spanwise.observe("asked"):
        pass
    assert "user_id" not in files.observation("not asked")
    assert ("jane", "s-1") == (
        files.observation("asked")["user_id"],
        files.observation("asked")["session_id"],
    )


def test_identity_that_is_no_identity_is_left_out(files):
    """A stranger's baggage sets no other attribute, and what it sets is masked."""
    carrier = {
        "baggage": "observation.type=agent,user.password=hidden-1,user.id=sk-a1b2c3d4e5f6a7b8,x=y"
    }
    with spanwise.extract(carrier, identity=True), spanwise.observe("x"):
        pass
    text = files.text()
    assert "hidden-1" not in text
    assert "sk-a1b2" not in text
    assert "span" == files.observation("x")["type"]


@given(st.text(max_size=40) | st.integers(-(2**40), 2**40) | st.booleans())
def test_a_value_arrives_as_it_was_sent(value):
    """A text stays a text, even one that reads like a number."""
    assert value == _propagation._json(_propagation._text(value)) or isinstance(value, str)
    if isinstance(value, str) and "\ud800" not in value:
        assert isinstance(_propagation._json(_propagation._text(value)), str)


def test_baggage_of_the_program_goes_with_it(files):
    """What other propagators carry is carried too."""
    from opentelemetry import baggage

    token = context_api.attach(baggage.set_baggage("k", "v"))
    carrier = spanwise.inject({}, identity=True)
    context_api.detach(token)
    with spanwise.extract(carrier):
        assert "v" == baggage.get_baggage("k")


@pytest.mark.parametrize("bad", [5, "traceparent", [("a", "b")]])
def test_a_carrier_that_is_none_is_an_error(bad):
    """It says what it must be."""
    with pytest.raises(TypeError, match="carrier must be a mutable mapping"):
        spanwise.inject(bad)
    with pytest.raises(TypeError, match="carrier must be a mapping"):
        spanwise.extract(bad)


def test_unconfigured_it_carries_what_others_trace(tmp_path):
    """The functions need no configuration, and a carrier without a span changes nothing."""
    assert {} == spanwise.inject({})
    span = trace.NonRecordingSpan(trace.SpanContext(5, 6, True, trace.TraceFlags(1)))
    with trace.use_span(span):
        assert f"00-{5:032x}-{6:016x}-01" == spanwise.inject({})["traceparent"]
    with spanwise.extract({}):
        assert not trace.get_current_span().get_span_context().is_valid


def test_a_fault_of_a_propagator_is_swallowed(monkeypatch, swallowed):
    """The other process begins a trace of its own."""

    def failing():
        raise ValueError("no")

    monkeypatch.setattr(_propagation, "_trace_context", failing)
    assert {} == spanwise.inject({})
    with spanwise.extract({}):
        pass
    assert {"failures.inject": 1, "failures.extract": 1} == swallowed()
