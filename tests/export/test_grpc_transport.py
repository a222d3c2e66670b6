"""A request over gRPC ends in one answer, in time, and a fork in the middle disturbs nobody."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from spanwise import _version
from spanwise._destinations import Destination
from spanwise.export.grpc_transport import GrpcTransport
from spanwise.export.policy import Action, Answer, verdict
from support.certificates import make_certificates

TIMEOUT_S = 0.5
BOUND_S = 10
WATCHDOG_S = 120
CODES = (
    "CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ABORTED PERMISSION_DENIED"
    " RESOURCE_EXHAUSTED UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
)

# It does what a request says. A process of its own: a server does not survive the forks of others.
SERVER = textwrap.dedent(
    """
    import json, os, pathlib, sys, time
    from concurrent import futures
    import grpc
    from google.protobuf.any_pb2 import Any
    from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
    from google.rpc.status_pb2 import Status

    def export(body, context):
        asked = json.loads(body.rstrip(b" "))
        time.sleep(asked.get("sleep_s", 0))
        if "delay" in asked:
            info, other, status = Any(), Any(), Status(code=14)
            seconds, nanos = asked["delay"]
            retry = RetryInfo()
            retry.retry_delay.seconds, retry.retry_delay.nanos = seconds, nanos
            other.Pack(ErrorInfo(reason="x"))
            info.Pack(retry)
            status.details.extend([other, info])
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        if "raw" in asked:
            context.set_trailing_metadata([("grpc-status-details-bin", asked["raw"].encode())])
        if "code" in asked:
            context.abort(grpc.StatusCode[asked["code"]], asked.get("details", ""))
        metadata = [(k, v if isinstance(v, str) else v.decode("latin-1"))
                    for k, v in context.invocation_metadata()]
        told = json.dumps({"metadata": metadata, "peer": context.peer()}).encode()
        return told + b" " * asked.get("size", 0)

    handler = grpc.unary_unary_rpc_method_handler(export)
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"Export": handler}),)
    )
    if len(sys.argv) > 1:
        folder = pathlib.Path(sys.argv[1])
        read = lambda name: (folder / name).read_bytes()
        credentials = grpc.ssl_server_credentials(
            [(read("server.key"), read("server.pem"))], read("ca.pem"), True
        )
        print(server.add_secure_port("127.0.0.1:0", credentials), flush=True)
    else:
        print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    os._exit(0)  # calls may still sleep
    """
)


def started(*words):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, int(process.stdout.readline())


def stopped(process):
    process.communicate("", timeout=WATCHDOG_S)


@pytest.fixture(scope="module")
def server():
    """The port of a server."""
    process, port = started()
    yield port
    stopped(process)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """The port of a server that asks for a certificate, and the folder of those."""
    folder = make_certificates(tmp_path_factory.mktemp("certificates"))
    process, port = started(str(folder))
    yield port, folder
    stopped(process)


@pytest.fixture
def transport(monkeypatch):
    """Make a transport; it is closed at the end."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    made = []

    def make(port, scheme="http", **options):
        destination = Destination(
            endpoint=f"{scheme}://127.0.0.1:{port}",
            protocol="grpc",
            **{"timeout_s": BOUND_S} | options,
        )
        made.append(GrpcTransport(destination))
        return made[-1]

    yield make
    for one in made:
        one.close()


def asking(**what):
    return json.dumps(what).encode()


def told(answer):
    assert "OK" == answer.grpc, answer
    return json.loads(answer.body)


def timed(function):
    began = time.monotonic()
    answer = function()
    assert time.monotonic() - began < BOUND_S
    return answer


def wait_until(condition):
    until = time.monotonic() + BOUND_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)
    assert condition()


# What is sent, and what comes back


@pytest.mark.parametrize("compression", ["none", "gzip", "deflate"])
def test_headers_are_sent_as_metadata(server, transport, compression):
    """With names in lower case; what is binary is sent as the bytes that it is."""
    headers = {"API-Key": " k ", "x-some-bin": "\xe9ba"}
    sender = transport(server, headers=headers, compression=compression)
    metadata = dict(told(sender.post(asking()))["metadata"])
    assert ("k", "\xe9ba") == (metadata["api-key"], metadata["x-some-bin"])
    assert metadata["user-agent"].startswith(f"spanwise/{_version.__version__} ")


@pytest.mark.parametrize("code", CODES.split())
def test_an_error_is_what_the_server_said(server, transport, code):
    """Its code, and its details."""
    sender = transport(server)
    assert Answer(grpc=code, body=b"why") == sender.post(asking(code=code, details="why"))
    assert "OK" == sender.post(asking()).grpc


@pytest.mark.parametrize(
    ("delay", "pause_s"),
    [((3, 0), 3.0), ((0, 250_000_000), 0.25), ((-1, 0), 0.0), ((9_999, 0), None)],
)
def test_a_retry_info_asks_for_a_pause(server, transport, delay, pause_s):
    """Among other details."""
    answer = transport(server).post(asking(code="UNAVAILABLE", delay=delay))
    assert (Action.RETRY, pause_s) == (verdict(answer).action, verdict(answer).pause_s)


def test_malformed_details_ask_for_nothing(server, transport):
    """The code counts all the same."""
    answer = transport(server).post(asking(code="UNAVAILABLE", raw="\x1a\xff nonsense"))
    assert Answer(grpc="UNAVAILABLE") == answer


def test_a_message_that_is_too_large_is_to_be_split(server, transport):
    """The server takes four megabytes."""
    answer = transport(server).post(asking() + b" " * 5_000_000)
    assert ("RESOURCE_EXHAUSTED", Action.SPLIT) == (answer.grpc, verdict(answer).action)


def test_of_a_large_answer_the_beginning_is_kept(server, transport):
    """More than gRPC would take by itself."""
    answer = transport(server).post(asking(size=6_000_000))
    assert ("OK", 65_536) == (answer.grpc, len(answer.body))


def test_metadata_that_cannot_be_sent_is_for_a_person_to_mend(server, transport):
    """gRPC takes ASCII only; nothing is raised."""
    told = verdict(transport(server, headers={"a": "\xe9"}).post(asking()))
    assert (Action.PARK, "it answered INTERNAL: Invalid metadata") == (told.action, told.reason)


# Connections


def test_a_channel_is_used_again(server, transport):
    """Until it is closed."""
    sender = transport(server)
    peers = [told(sender.post(asking()))["peer"] for _ in range(3)]
    assert 1 == len(set(peers))
    sender.close()
    assert told(sender.post(asking()))["peer"] not in peers


def test_a_server_that_is_away_is_found_again_at_once(transport):
    """gRPC by itself would wait longer and longer before it connects again."""
    process, port = started()
    sender = transport(port)
    assert "OK" == sender.post(asking()).grpc
    stopped(process)
    for _ in range(8):
        answer = timed(lambda: sender.post(asking()))
        assert "UNAVAILABLE" == answer.grpc
    reason = verdict(answer).reason
    assert "\n" not in reason
    assert "refused" in reason
    assert len(reason) < 300
    back = SERVER.replace("127.0.0.1:0", f"127.0.0.1:{port}")
    process = subprocess.Popen(
        [sys.executable, "-c", back], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    try:
        wait_until(lambda: sender.post(asking()).grpc == "OK")
    finally:
        stopped(process)


def test_a_slow_server_holds_nobody_longer_than_the_timeout(server, transport):
    """And the next request gets through."""
    sender = transport(server)
    answer = timed(lambda: sender.post(asking(sleep_s=BOUND_S), TIMEOUT_S))
    assert "DEADLINE_EXCEEDED" == answer.grpc
    assert "OK" == sender.post(asking()).grpc


def test_a_server_that_says_nothing_is_not_waited_for(transport):
    """Not even for its first word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = transport(silent.getsockname()[1])
        answer = timed(lambda: sender.post(asking(), TIMEOUT_S))
    assert Action.RETRY is verdict(answer).action
    assert answer.grpc in ("DEADLINE_EXCEEDED", "UNAVAILABLE")


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_without_time_nothing_is_sent(server, transport, timeout_s):
    """As at an exit."""
    fault = Answer(fault="there was no time left for it")
    assert fault == transport(server).post(asking(), timeout_s)


def test_closing_cuts_a_call_short(server, transport):
    """And takes no longer than a moment."""
    sender = transport(server)
    assert "OK" == sender.post(asking()).grpc
    answers = []
    call = threading.Thread(target=lambda: answers.append(sender.post(asking(sleep_s=BOUND_S))))
    call.start()
    time.sleep(0.2)
    began = time.monotonic()
    sender.close()
    assert time.monotonic() - began < 3
    call.join(BOUND_S)
    assert ["CANCELLED"] == [answer.grpc for answer in answers]
    assert "OK" == sender.post(asking()).grpc


# TLS


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_both_sides_show_certificates(tls, host):
    """As the files of the destination say."""
    port, folder = tls
    sender = GrpcTransport(
        Destination(
            endpoint=f"https://{host}:{port}/",
            protocol="grpc",
            certificate=str(folder / "ca.pem"),
            client_certificate=str(folder / "client.pem"),
            client_key=str(folder / "client.key"),
        )
    )
    try:
        assert "OK" == sender.post(asking()).grpc
    finally:
        sender.close()


def test_a_server_that_nobody_vouches_for_is_sent_nothing(tls, transport):
    """It is as if it were away."""
    port, folder = tls
    answer = transport(port, "https", certificate=str(folder / "other.pem")).post(asking(), 3)
    assert Action.RETRY is verdict(answer).action
    assert None is verdict(answer).pause_s


def test_a_file_that_is_not_there_is_a_fault(tls, transport):
    """Its name is told."""
    port, _ = tls
    assert "/nowhere.pem" in transport(port, "https", certificate="/nowhere.pem").post(b"x").fault


# Forks, in a process of its own each

FORKS = textwrap.dedent(
    """
    import json, os, sys, threading, time
    from spanwise._destinations import Destination
    from spanwise.export.grpc_transport import GrpcTransport

    port, what = sys.argv[1:]
    sender = GrpcTransport(
        Destination(endpoint=f"http://127.0.0.1:{port}", protocol="grpc", timeout_s=20)
    )

    def post(timeout_s=20, **asked):
        answer = sender.post(json.dumps(asked).encode(), timeout_s)
        return answer.grpc or answer.fault

    def forked(child):
        reading, writing = os.pipe()
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.write(writing, json.dumps(child()).encode())
            if what == "exit":
                sys.exit(0)
            os._exit(0)
        took_s = time.monotonic() - began
        os.close(writing)
        with os.fdopen(reading) as stream:
            said = stream.read()
        _, status = os.waitpid(pid, 0)
        return json.loads(said or "null"), status, took_s
    """
)
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def fork_in(port, script, what="", support=None):
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_ENABLE_FORK_SUPPORT"}
    if support is not None:
        environment["GRPC_ENABLE_FORK_SUPPORT"] = support
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS + textwrap.dedent(script), str(port), what],
        env=environment,
        capture_output=True,
        text=True,
        timeout=WATCHDOG_S,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    return json.loads(done.stdout)


@forks
@pytest.mark.parametrize("support", [None, "1"])
@pytest.mark.parametrize("what", ["", "exit"])
def test_a_forked_child_sends_over_a_channel_of_its_own(server, support, what):
    """And so does its own child; the parent's goes on."""
    script = """
        first = post()
        def child():
            mine = post()
            return [mine, forked(post)[:2], post()]
        print(json.dumps([first, forked(child)[:2], post(), forked(post)[:2]]))
    """
    said = fork_in(server, script, what, support)
    assert ["OK", [["OK", ["OK", 0], "OK"], 0], "OK", ["OK", 0]] == said


@forks
@pytest.mark.parametrize("support", [None, "1"])
def test_forks_between_calls_of_a_busy_thread_disturb_nobody(server, support):
    """No child crashes or hangs, and no call is lost."""
    script = """
        answers = set()
        def busy():
            while not done:
                answers.add(post())
        done = False
        post()
        thread = threading.Thread(target=busy)
        thread.start()
        outcomes = []
        for _ in range(25):
            time.sleep(0.005)
            outcomes.append(forked(post)[:2])
        done = True
        thread.join()
        print(json.dumps([outcomes, sorted(answers)]))
    """
    outcomes, answers = fork_in(server, script, support=support)
    assert [["OK", 0]] * 25 == outcomes
    assert set(answers) <= {"OK", "CANCELLED"}


@forks
@pytest.mark.parametrize("support", [None, "1"])
def test_a_fork_cuts_a_call_short_that_hangs(server, support):
    """It waits for a moment only; the call is tried again, as after any lost connection."""
    script = """
        outcomes = []
        for _ in range(6):
            answers = [post()]
            call = threading.Thread(target=lambda: answers.append(post(sleep_s=7)))
            call.start()
            time.sleep(0.1)
            said, status, took_s = forked(post)
            call.join()
            outcomes.append([said, status, took_s < 5, *answers])
        print(json.dumps([*outcomes, post()]))
    """
    outcome = ["OK", 0, True, "OK", "CANCELLED"]
    assert [*[outcome] * 6, "OK"] == fork_in(server, script, support=support)


@forks
def test_without_fork_support_a_child_hangs_nowhere(server):
    """gRPC does not answer in it; the child hears so in time, and only one thread is lost."""
    script = """
        post()
        def child():
            said = [post(0.5), post(0.5), post(0.5)]
            sender.close()
            return [said, threading.active_count()]
        print(json.dumps([*forked(child), post()]))
    """
    (said, threads), status, _, after = fork_in(server, script, support="0")
    again = "the request before it has not ended"
    assert (["timed out after 0.5 s", again, again], 0, "OK") == (said, status, after)
    assert threads <= 4
