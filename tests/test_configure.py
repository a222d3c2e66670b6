"""The life of what configure() builds: own and foreign providers, merging, shutting down."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import spanwise
from spanwise.processors.identity import IdentitySpanProcessor
from spanwise.processors.jsonl import JsonlSpanProcessor
from spanwise.processors.otlp import OtlpSpanProcessor
from spanwise.processors.recording import RecordingSpanProcessor
from support.files import Files


@spanwise.tool
def work(n: int = 1, password: str = "hunter2") -> int:
    return n


def test_with_no_provider_one_is_made_and_becomes_the_global_one(tmp_path):
    """Third-party tracers write to our files from then on."""
    spanwise.configure(traces_dir=tmp_path / "t")
    assert isinstance(trace.get_tracer_provider(), TracerProvider)
    with trace.get_tracer("third.party").start_as_current_span("theirs"):
        work()
    theirs, ours = (
        Files(tmp_path / "t").observation("theirs"),
        Files(tmp_path / "t").observation("work"),
    )
    assert (None, theirs["id"]) == (theirs["parent_id"], ours["parent_id"])
    assert ("span", "third.party") == (theirs["type"], theirs["scope"])


@pytest.fixture
def foreign():
    provider = TracerProvider(resource=Resource({"service.name": "theirs", "team": "a"}))
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider, exporter
    provider.shutdown()


def test_to_a_provider_that_is_there_one_processor_is_added(tmp_path, foreign):
    """However often configure() is called, and the user's exporter goes on getting everything."""
    provider, exporter = foreign
    trace.set_tracer_provider(provider)
    for _ in range(3):
        spanwise.configure(traces_dir=tmp_path / "t")
    assert 2 == len(provider._active_span_processor._span_processors)
    work()
    assert ["work"] == [span.name for span in exporter.get_finished_spans()]
    assert ["work"] == [line["name"] for line in Files(tmp_path / "t").observations()]


def test_on_a_foreign_provider_its_resource_is_merged_with_ours(tmp_path, foreign):
    """What configure() names is ours, all else is theirs."""
    provider, _ = foreign
    spanwise.configure(tracer_provider=provider, traces_dir=tmp_path / "t", environment="test")
    work()
    resource = Files(tmp_path / "t").traces()[0]["resource"]
    assert ("theirs", "a", "test") == (
        resource["service.name"],
        resource["team"],
        resource["deployment.environment.name"],
    )


def test_on_a_foreign_provider_the_users_exporter_sees_no_captured_secret(foreign, tmp_path):
    """Arguments are masked before they become an attribute."""
    provider, exporter = foreign
    spanwise.configure(tracer_provider=provider, traces_dir=tmp_path / "t")
    work()
    (span,) = exporter.get_finished_spans()
    assert '{"n":1,"password":"***"}' == span.attributes["observation.input"]


def test_after_shutdown_the_processor_is_inert_and_functions_run_undecorated(tmp_path, foreign):
    """A provider cannot be rid of a processor, but ours does nothing any more."""
    provider, exporter = foreign
    spanwise.configure(tracer_provider=provider, traces_dir=tmp_path / "t")
    spanwise.shutdown()
    assert 1 == work()
    provider.get_tracer("x").start_span("y").end()
    assert ["y"] == [span.name for span in exporter.get_finished_spans()]
    assert not (tmp_path / "t").exists()


def test_configure_after_shutdown_starts_again(tmp_path):
    """The provider that is in place is used again, with the processor that is on it."""
    spanwise.configure(traces_dir=tmp_path / "one")
    spanwise.shutdown()
    spanwise.configure(traces_dir=tmp_path / "two")
    work()
    assert not (tmp_path / "one").exists()
    assert ["work"] == [line["name"] for line in Files(tmp_path / "two").observations()]


def test_a_second_configure_merges_what_it_names(tmp_path):
    """Settings of the first call stay unless the second names them."""
    spanwise.configure(traces_dir=tmp_path / "t", service_name="first", environment="test")
    work()
    settings = spanwise.configure(service_name="second")
    work()
    assert ("second", "test", tmp_path / "t") == (
        settings.service_name,
        settings.environment,
        settings.traces_dir,
    )
    resources = [line["resource"] for line in Files(tmp_path / "t").traces()]
    assert ["first", "second"] == [resource["service.name"] for resource in resources]


def test_a_configure_that_fails_changes_nothing(tmp_path):
    """A bad value leaves what was configured before in force."""
    spanwise.configure(traces_dir=tmp_path / "t")
    with pytest.raises(spanwise.InvalidSettingError, match="sample_rate"):
        spanwise.configure(traces_dir=tmp_path / "other", sample_rate=2)
    work()
    assert 1 == len(Files(tmp_path / "t").observations())
    assert not (tmp_path / "other").exists()


def test_the_default_is_files_in_traces(tmp_path):
    """configure() without anything writes to ./traces."""
    spanwise.configure()
    work()
    assert 1 == len(Files(tmp_path / "traces").observations())


def test_no_files_when_asked_for_none(tmp_path):
    """traces_dir=None writes nothing and everything else works."""
    spanwise.configure(traces_dir=None)
    assert 1 == work()
    assert [] == list(tmp_path.iterdir())
    assert spanwise.flush() is True


def test_disabled_does_nothing(tmp_path, monkeypatch):
    """enabled=False, SPANWISE_ENABLED and OTEL_SDK_DISABLED each switch everything off."""
    spanwise.configure(enabled=False)
    work()
    spanwise.shutdown()
    monkeypatch.setenv("SPANWISE_ENABLED", "false")
    spanwise.configure()
    work()
    monkeypatch.setenv("SPANWISE_ENABLED", "true")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    spanwise.configure()
    work()
    assert [] == list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_by_configure(tmp_path):
    """The error names the setting and the fault."""
    (tmp_path / "file").write_text("")
    with pytest.raises(spanwise.InvalidSettingError, match=r"traces_dir .*is not a folder"):
        spanwise.configure(traces_dir=tmp_path / "file" / "traces")


def test_a_fault_that_shows_later_is_one_log_line(tmp_path, caplog):
    """A folder that becomes unusable costs the program nothing, and once mended has all lines."""
    spanwise.configure(traces_dir=tmp_path / "t")
    (tmp_path / "t").write_text("in the way")
    for _ in range(5):
        assert 1 == work()
    assert 1 == len([record for record in caplog.records if record.name == "spanwise"])
    assert 10 == spanwise.stats()["delayed.jsonl"]
    (tmp_path / "t").unlink()
    assert spanwise.flush(30) is True
    assert 10 == spanwise.stats()["written.jsonl"]


def test_os_environ_is_left_alone(tmp_path, monkeypatch):
    """Neither configure() nor .env changes the environment."""
    import os

    (tmp_path / ".env").write_text("SPANWISE_SERVICE_NAME=from-file\nOTHER=1\n")
    before = dict(os.environ)
    settings = spanwise.configure(instrument=True)
    assert "from-file" == settings.service_name
    assert before == dict(os.environ)


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: JsonlSpanProcessor(folder / "t"),
        lambda folder: RecordingSpanProcessor(folder / "calls.jsonl"),
        lambda folder: OtlpSpanProcessor(spanwise.Destination(endpoint="http://127.0.0.1:9")),
        lambda folder: IdentitySpanProcessor(),
    ],
    ids=["jsonl", "recording", "otlp", "identity"],
)
def test_each_processor_works_alone_on_any_provider(tmp_path, make):
    """It can be added, sees spans, is flushed and shut down, and is inert afterwards."""
    provider = TracerProvider()
    processor = make(tmp_path)
    provider.add_span_processor(processor)
    with (
        spanwise.identify(user="jane"),
        provider.get_tracer("x").start_as_current_span("y") as span,
    ):
        assert "jane" == span.attributes["user.id"]
    if isinstance(processor, JsonlSpanProcessor):
        assert "jane" == Files(tmp_path / "t").observation("y")["user_id"]
    provider.shutdown()
    provider.get_tracer("x").start_span("z").end()
    if isinstance(processor, JsonlSpanProcessor):
        assert 1 == len(Files(tmp_path / "t").observations())
    spanwise._state._counters.pop("failures.otlp.export", None)


def test_a_recording_processor_alone_records_decorated_calls(tmp_path):
    """On a provider of the application's, beside whatever else is configured."""
    import json

    provider = TracerProvider()
    provider.add_span_processor(RecordingSpanProcessor(tmp_path / "calls.jsonl"))
    spanwise.configure(tracer_provider=provider, traces_dir=None)
    work(7)
    (line,) = map(json.loads, (tmp_path / "calls.jsonl").read_text().splitlines())
    assert {"n": 7, "password": "***"} == line["kwargs"]
    assert f"{__name__}:work" == line["target"]
    provider.shutdown()


def test_a_program_that_ends_without_shutdown_loses_nothing(tmp_path, receiver):
    """The exit flushes, also of a program that ends with an exception or sys.exit."""
    body = """
        import sys, spanwise
        spanwise.configure(otlp_endpoint=sys.argv[1])
        @spanwise.tool
        def work(): ...
        for _ in range(50): work()
        sys.exit(3)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body), receiver.url], timeout=60, check=False
    )
    assert 3 == done.returncode
    assert 50 == len(receiver.spans())


def test_a_provider_that_takes_no_processors_is_said_and_worked_around(tmp_path, caplog):
    """Our own spans are still written, with a provider of our own."""

    class Odd(trace.NoOpTracerProvider):
        pass

    trace.set_tracer_provider(Odd())
    spanwise.configure(traces_dir=tmp_path / "t")
    work()
    assert ["work"] == [line["name"] for line in Files(tmp_path / "t").observations()]
    assert "takes no span processors" in caplog.text


def test_threads_and_pools_carry_the_span(tmp_path):
    """Spans in workers are children of the submitter's span; a pool's worker keeps no tenant."""
    import threading
    from concurrent.futures import ThreadPoolExecutor

    spanwise.configure(traces_dir=tmp_path / "t")
    with ThreadPoolExecutor(1) as pool:
        for tenant in ("a", "b"):
            with spanwise.identify(account=tenant), spanwise.observe(f"outer {tenant}"):
                pool.submit(work, 1).result()
                list(pool.map(work, [2]))
                thread = threading.Thread(target=work, args=(3,))
                thread.start()
                thread.join()
        pool.submit(work, 4).result()
    files = Files(tmp_path / "t")
    outer = {tenant: files.observation(f"outer {tenant}")["id"] for tenant in "ab"}
    works = [line for line in files.observations() if line["name"] == "work"]
    found = [(line["input"]["n"], line.get("account_id"), line["parent_id"]) for line in works]
    assert [
        *((n, tenant, outer[tenant]) for tenant in "ab" for n in (1, 2, 3)),
        (4, None, None),
    ] == found


def test_threads_are_left_alone_when_asked(tmp_path):
    """propagate_threads=False and shutdown() take the patches away again."""
    import threading

    plain = threading.Thread.__dict__["start"]
    spanwise.configure(traces_dir=None)
    assert threading.Thread.__dict__["start"] is not plain
    spanwise.configure(propagate_threads=False)
    assert threading.Thread.__dict__["start"] is plain
    spanwise.configure(propagate_threads=True)
    spanwise.shutdown()
    assert threading.Thread.__dict__["start"] is plain


def test_an_interrupt_that_arrives_in_our_code_reaches_the_program(tmp_path):
    """The span has ended, the context is back, and KeyboardInterrupt is the program's."""
    spanwise.configure(traces_dir=tmp_path / "t")
    processor = spanwise._state.runtime.processor

    class Interrupting:
        def write(self, record):
            raise KeyboardInterrupt

        def wake(self): ...

        def flush(self, timeout_s):
            return True

        def close(self, timeout_s): ...

    import dataclasses

    wiring = processor.wiring
    processor.rewire(dataclasses.replace(wiring, sinks=(*wiring.sinks, Interrupting())))
    with pytest.raises(KeyboardInterrupt):
        work()
    assert "" == spanwise.current().name
    assert ["work"] == [line["name"] for line in Files(tmp_path / "t").observations()]
    processor.rewire(wiring)


def test_what_configure_was_given_once_is_remembered_as_it_was_understood(tmp_path):
    """A generator of names can be read only once, and a list may be changed later."""
    names = ["iban"]
    spanwise.configure(traces_dir=tmp_path / "t", mask=(name for name in ["ssn"]), unmask=names)
    names.clear()
    settings = spanwise.configure(service_name="x")
    assert (("ssn",), ("iban",)) == (settings.mask, settings.unmask)


def test_a_cap_that_is_changed_later_is_in_force(tmp_path):
    """The files of the folder are kept below it from then on."""
    spanwise.configure(traces_dir=tmp_path / "t")
    spanwise.configure(traces_max_bytes=12345)
    (sink,) = spanwise._state.runtime.processor.wiring.sinks
    assert 12345 == sink.max_bytes


def test_the_resource_of_our_own_provider_says_what_configure_was_told(tmp_path):
    """Exporters that the application adds to it see the service, too."""
    spanwise.configure(traces_dir=None, service_name="bot", environment="test")
    resource = trace.get_tracer_provider().resource.attributes
    assert ("bot", "test", "spanwise") == (
        resource["service.name"],
        resource["deployment.environment.name"],
        resource["telemetry.distro.name"],
    )


def test_credentials_of_the_environments_collector_go_to_no_other(monkeypatch, receiver):
    """OTEL_EXPORTER_OTLP_HEADERS belong to the address that the environment names."""
    from support.receiver import Receiver

    other = Receiver()
    try:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20of-a,x-a=1")
        spanwise.configure(destinations=[{"endpoint": other.url, "headers": {"x-b": "2"}}])
        work()
        assert spanwise.flush(10) is True
        ours, theirs = receiver.requests[0][1], other.requests[0][1]
        assert ("Bearer of-a", "1", None) == (
            ours["authorization"],
            ours["x-a"],
            ours.get("x-b"),
        )
        assert (None, None, "2") == (
            theirs.get("authorization"),
            theirs.get("x-a"),
            theirs["x-b"],
        )
    finally:
        other.close()


def test_an_interaction_is_sent_when_it_ends_not_when_a_timer_says_so(receiver, monkeypatch):
    """The sender is woken, and the caller does not wait for it."""
    import time

    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    spanwise.configure(otlp_endpoint=receiver.url)
    spanwise.interaction(lambda: work())()
    until = time.monotonic() + 20
    while len(receiver.spans()) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert 2 == len(receiver.spans())


def test_flush_is_false_when_a_line_was_lost(tmp_path):
    """It tells the truth of files as of collectors."""
    spanwise.configure(traces_dir=tmp_path / "t")
    (tmp_path / "t").write_text("in the way")
    work()
    assert spanwise.flush() is False


@pytest.mark.parametrize("timeout", [0, -1, 10**400, float("inf")])
def test_flush_takes_any_number_of_seconds(files, timeout):
    """And refuses what is none."""
    assert spanwise.flush(timeout) is True
    with pytest.raises(TypeError, match="timeout must be a number of seconds"):
        spanwise.flush("soon")


def test_spans_that_are_never_ended_are_forgotten_and_counted(files, monkeypatch):
    """Memory does not grow with them."""
    from spanwise.processors import open_spans

    monkeypatch.setattr(open_spans, "_MOST_OPEN", 100)
    for _ in range(150):
        trace.get_tracer("x").start_span("never ended")
    assert 50 == spanwise.stats()["forgotten.open_spans"]


def test_a_span_that_ends_after_shutdown_is_counted(files):
    """What is not written any more is told."""
    with spanwise.observe("late"):
        spanwise.shutdown()
    assert 1 == spanwise.stats()["dropped.after_shutdown"]
