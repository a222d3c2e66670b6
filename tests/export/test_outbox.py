"""Requests that are no spans: sent in order, tried again, and each with one end."""

from __future__ import annotations

import os
import random
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry import context as context_api

import spanwise
from spanwise.export import outbox as outbox_module
from spanwise.export.outbox import Answer, Letter, Outbox

WATCHDOG_S = 30


class Service:
    """Answers as it is told, by default with 204; remembers what it was sent."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.bodies = []
        self.contexts = []

    def __call__(self, letter, timeout_s):
        self.bodies.append(letter.body.decode())
        self.contexts.append(context_api.get_current())
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else Answer(answer)


class HangingService(Service):
    """Answers only once it is let go."""

    def __init__(self):
        super().__init__()
        self.let_go = threading.Event()
        self.is_asked = threading.Event()

    def __call__(self, letter, timeout_s):
        self.is_asked.set()
        self.let_go.wait(WATCHDOG_S)
        return super().__call__(letter, timeout_s)


def letter(body="a", **callbacks):
    return Letter("POST", "http://127.0.0.1:9/x", {}, body.encode(), **callbacks)


@pytest.fixture
def make():
    """Make an outbox that hardly pauses; it is closed at the end."""
    made = []

    def outbox(post, **options):
        made.append(Outbox("test", "the service", post=post, **{"first_pause_s": 0.001} | options))
        return made[-1]

    yield outbox
    for box in made:
        box.close(0.0)


def test_letters_arrive_in_their_order_and_are_counted(make):
    """The flush returns True once all of them are there."""
    service = Service()
    box = make(service)
    assert box.flush(0.0) is True
    for number in range(20):
        assert box.put(letter(str(number))) is True
    assert box.flush(WATCHDOG_S) is True
    assert [str(n) for n in range(20)] == service.bodies
    assert 20 == spanwise.stats()["sent.test"]


@pytest.mark.parametrize(
    "away", [ConnectionError("refused"), TimeoutError(), 429, 502, 503, 504], ids=str
)
def test_a_service_that_is_away_is_tried_again(make, away, caplog):
    """Connection errors, timeouts and the answers that mean `later`; one log line for all."""
    service = Service(away, away, away)
    box = make(service)
    box.put(letter("first"))
    box.put(letter("second"))
    assert box.flush(WATCHDOG_S) is True
    assert ["first"] * 4 + ["second"] == service.bodies
    assert (2, 3) == (spanwise.stats()["sent.test"], spanwise.stats()["retried.test"])
    assert 1 == caplog.text.count("the service is away, trying again")


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 500])
def test_another_answer_is_final_told_once_and_counted(make, status, caplog):
    """What is refused is not sent again, does not stop what follows, and is no loss."""
    service = Service(status, status)
    box = make(service)
    for body in "abc":
        box.put(letter(body))
    assert box.flush(WATCHDOG_S) is True
    assert ["a", "b", "c"] == service.bodies
    assert (2, 1) == (spanwise.stats()["refused.test"], spanwise.stats()["sent.test"])
    assert 1 == caplog.text.count(f"the service refused what it was sent ({status})")


def test_whoever_sent_it_is_told_of_a_refusal_instead_of_the_log(make, caplog):
    """The callback gets status, headers and body of the answer."""
    told = []
    box = make(Service(Answer(404, {"x": "y"}, b"unknown")))
    box.put(letter(on_refused=told.append))
    assert box.flush(WATCHDOG_S) is True
    assert [(404, {"x": "y"}, b"unknown")] == [(a.status, a.headers, a.body) for a in told]
    assert "refused" not in caplog.text


def test_a_callback_that_raises_is_swallowed(make, swallowed):
    """The next letter is sent all the same."""

    def fails(answer):
        raise ValueError

    service = Service(400)
    box = make(service)
    box.put(letter("a", on_refused=fails))
    box.put(letter("b"))
    assert box.flush(WATCHDOG_S) is True
    assert {"failures.outbox.on_refused": 1} == swallowed()
    assert ["a", "b"] == service.bodies


def test_the_service_says_when_to_try_again(make, monkeypatch):
    """`Retry-After` as seconds or as a date, capped; what is neither is not followed."""
    in_a_minute = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=60), usegmt=True)
    pauses = []
    monkeypatch.setattr(outbox_module._Carrier, "pause", lambda self, *pause: pauses.append(pause))
    texts = ["7", "86400", in_a_minute, "soon", ""]
    box = make(Service(*[Answer(429, {"retry-after": text}) for text in texts]))
    box.put(letter())
    assert box.flush(WATCHDOG_S) is True
    asked = [pause[1] for pause in pauses]
    assert [7.0, 300.0] == asked[:2]
    assert 0 < asked[2] <= 60
    assert [None, None] == asked[3:]


def test_pauses_grow_up_to_a_cap_and_are_spread(make, monkeypatch):
    """Each is half to all of twice the one before, and never above half a minute."""
    pauses = []
    monkeypatch.setattr(outbox_module._Carrier, "pause", lambda self, s, _: pauses.append(s))
    box = make(Service(*[503] * 12), first_pause_s=1.0)
    box.put(letter())
    assert box.flush(WATCHDOG_S) is True
    longest = [min(2.0**n, 30.0) for n in range(12)]
    assert all(most / 2 <= s <= most for s, most in zip(pauses, longest, strict=True))
    assert len(set(pauses)) > 1


def test_the_programs_random_numbers_are_left_alone(make):
    """A seeded program draws the same numbers."""
    random.seed(7)
    expected = random.random()
    random.seed(7)
    box = make(Service(503, 503))
    box.put(letter())
    assert box.flush(WATCHDOG_S) is True
    assert expected == random.random()


def test_a_full_queue_gives_up_the_newest(make, caplog):
    """It is counted, said in one line, and no later flush says that all arrived."""
    service = HangingService()
    box = make(service, most_waiting=2)
    assert [True, True, False, False] == [box.put(letter(body)) for body in "abcd"]
    service.let_go.set()
    assert box.flush(WATCHDOG_S) is False
    assert ["a", "b"] == service.bodies
    assert 2 == spanwise.stats()["lost.test"]
    assert 1 == caplog.text.count("did not reach the service: 2 others wait already")


def test_what_is_handed_back_is_no_loss(make):
    """With `on_given_up` the sender decides what becomes of it."""
    told = []
    box = make(Service(503, ConnectionError("refused")), most_attempts=2)
    box.put(letter(on_given_up=told.append))
    assert box.flush(WATCHDOG_S) is True
    assert ["ConnectionError: refused"] == told
    assert "lost.test" not in spanwise.stats()


def test_flush_does_not_wait_longer_than_it_may(make):
    """And says that not everything has arrived."""
    service = HangingService()
    box = make(service)
    box.put(letter())
    assert service.is_asked.wait(WATCHDOG_S)
    assert box.flush(0.01) is False
    service.let_go.set()
    assert box.flush(WATCHDOG_S) is True


def test_flush_does_not_wait_for_the_end_of_a_pause(make):
    """What waits for a service that was away is tried at once."""
    box = make(Service(503), first_pause_s=3600)
    box.put(letter())
    assert box.flush(WATCHDOG_S) is True


def test_close_tries_once_more_and_gives_up_the_rest(make, caplog):
    """A service that stays away does not hold up the exit."""
    service = Service(*[503] * 9)
    box = make(service, first_pause_s=3600)
    box.put(letter("a"))
    box.put(letter("b"))
    box.close(WATCHDOG_S)
    assert {"a", "b"} == set(service.bodies)
    assert 2 == spanwise.stats()["lost.test"]


def test_close_leaves_a_service_that_hangs(make):
    """What is on its way then is given up once, whatever is answered later."""
    service = HangingService()
    box = make(service)
    told = []
    box.put(letter("a", on_given_up=told.append))
    assert service.is_asked.wait(WATCHDOG_S)
    box.close(0.01)
    service.let_go.set()
    for thread in threading.enumerate():
        if thread.name.startswith("spanwise-outbox-test"):
            thread.join(WATCHDOG_S)
    assert ["there was no time left for it"] == told
    assert "sent.test" not in spanwise.stats()


def test_a_closed_outbox_starts_again(make):
    """As everything does after `shutdown()`."""
    service = Service()
    box = make(service)
    for body in "ab":
        box.put(letter(body))
        box.close(WATCHDOG_S)
    assert ["a", "b"] == service.bodies


def test_the_thread_ends_with_the_close(make):
    """And is a daemon, so that it never holds up the end of the program."""
    box = make(Service())
    before = set(threading.enumerate())
    box.put(letter())
    (thread,) = set(threading.enumerate()) - before
    assert "spanwise-outbox-test" == thread.name
    assert thread.daemon
    box.close(WATCHDOG_S)
    thread.join(WATCHDOG_S)
    assert not thread.is_alive()


def test_nothing_is_started_before_the_first_letter(make):
    """A program that sends nothing has no thread more."""
    before = set(threading.enumerate())
    assert make(Service()).flush(0.0) is True
    assert set() == set(threading.enumerate()) - before


def test_the_thread_is_in_no_span_and_makes_none(make, files):
    """Neither the span in which the first letter was put, nor spans of HTTP instrumentors."""
    service = Service()
    box = make(service)
    with spanwise.identify(user="jane"), spanwise.observe("outer"):
        box.put(letter())
        assert box.flush(WATCHDOG_S) is True
    (context,) = service.contexts
    assert {context_api._SUPPRESS_INSTRUMENTATION_KEY: True} == dict(context)


def test_letters_of_many_threads_all_arrive(make):
    """Each once."""
    service = Service()
    box = make(service)

    def put(start):
        for number in range(start, start + 50):
            box.put(letter(str(number)))

    threads = [threading.Thread(target=put, args=(n * 50,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WATCHDOG_S)
    assert box.flush(WATCHDOG_S) is True
    assert sorted(map(str, range(400))) == sorted(service.bodies)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_begins_anew(make):
    """It sends its own letters, and not those that waited in the parent."""
    service = HangingService()
    box = make(service)
    box.put(letter("parent"))
    assert service.is_asked.wait(WATCHDOG_S)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        service.let_go.set()
        box.put(letter("child"))
        arrived = box.flush(WATCHDOG_S)
        os.write(writing, f"{arrived} {service.bodies}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert "True ['child']" == pipe.read()
    os.waitpid(child, 0)
    service.let_go.set()
    assert box.flush(WATCHDOG_S) is True
    assert ["parent"] == service.bodies


def test_over_http_the_request_is_what_was_given(tmp_path, monkeypatch):
    """Method, path and headers; no redirect is followed, no other credentials are put in."""
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("default login other password other\n")
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.path, self.headers["Authorization"], body))
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"moved")

        def log_message(self, format, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    serving.start()
    told = []
    box = Outbox("test", "the service")
    try:
        headers = {"Authorization": "Bearer k"}
        url = f"http://127.0.0.1:{server.server_port}/v1/a%2Fb"
        box.put(Letter("POST", url, headers, b"{}", on_refused=told.append))
        assert box.flush(WATCHDOG_S) is True
    finally:
        box.close(1.0)
        server.shutdown()
        server.server_close()
        serving.join(WATCHDOG_S)
    assert [("/v1/a%2Fb", "Bearer k", b"{}")] == seen
    assert [(302, b"moved")] == [(a.status, a.body) for a in told]


def test_putting_never_waits_for_the_service(make):
    """However slow the service is, the caller goes on."""
    service = HangingService()
    box = make(service)
    before = time.monotonic()
    for _ in range(100):
        box.put(letter())
    assert time.monotonic() - before < WATCHDOG_S
    assert [] == service.bodies
    service.let_go.set()
