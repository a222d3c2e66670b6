"""Feedback over the documented HTTP API, and beside it in the local files."""

from __future__ import annotations

import json
import logging
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import spanwise
from brixo import Brixo
from brixo._signals import DEFAULT_BASE
from spanwise.export.spooled import SpooledLines
from support.files import Files

WATCHDOG_S = 30


class Api:
    """The HTTP API; answers what it is told to, by default 204."""

    def __init__(self):
        self.answers = []
        self.requests = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((self.path, headers, body))
                status, answer = outer.answers.pop(0) if outer.answers else (204, None)
                data = json.dumps(answer).encode() if answer is not None else b""
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def api(monkeypatch, receiver, tmp_path):
    """The API in place of Brixo's, with a key, spans sent to a receiver and kept in files."""
    made = Api()
    monkeypatch.setenv("BRIXO_API_URL", made.url)
    monkeypatch.setenv("BRIXO_OTLP_TRACES_ENDPOINT", f"{receiver.url}/v1/traces")
    monkeypatch.setenv("SPANWISE_TRACES_DIR", str(tmp_path / "traces"))
    Brixo.init("my-agent", "test", api_key="key-1")
    yield made
    spanwise.shutdown()
    made.close()


def errors(caplog):
    return [r.message for r in caplog.records if r.name == "brixo" and r.levelno == logging.ERROR]


def test_the_base_address_is_the_documented_one():
    """Tests alone replace it."""
    assert "https://api.brixo.com" == DEFAULT_BASE


def test_feedback_on_a_message_is_posted_as_documented_and_kept_in_its_trace(api, tmp_path, caplog):
    """Path, headers and body of the request; an event below the interaction."""

    @Brixo.interaction("Main")
    def handle():
        Brixo.begin_context(message_id="m/1 ü")

    handle()
    Brixo.feedback(
        message_id="m/1 ü",
        value="thumbs_up",
        user_message="solved it",
        occurred_at="2026-01-31T12:00:00Z",
    )
    assert spanwise.flush(WATCHDOG_S) is True
    ((path, headers, body),) = api.requests
    assert "/v1/messages/m%2F1%20%C3%BC/signals" == path
    assert ("Bearer key-1", "application/vnd.api+json") == (
        headers["authorization"],
        headers["content-type"],
    )
    attributes = {
        "name": "feedback",
        "value": "thumbs_up",
        "occurred_at": "2026-01-31T12:00:00Z",
        "user_message": "solved it",
    }
    assert {"data": {"type": "signals", "attributes": attributes}} == body
    files = Files(tmp_path / "traces")
    event = files.observation("feedback")
    assert files.observation("Main")["id"] == event["parent_id"]
    assert "thumbs_up" == event["attributes"]["feedback.value"]
    assert [] == errors(caplog)


def test_feedback_on_a_conversation_names_its_session(api, tmp_path):
    """Only what was given is in the body; a datetime is told as in RFC 3339."""
    moment = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
    Brixo.feedback(session_id="s-1", value="thumbs_down", occurred_at=moment)
    assert spanwise.flush(WATCHDOG_S) is True
    ((path, _, body),) = api.requests
    assert "/v1/conversations/s-1/signals" == path
    assert {
        "name": "feedback",
        "value": "thumbs_down",
        "occurred_at": "2026-01-31T12:00:00+00:00",
    } == body["data"]["attributes"]
    event = Files(tmp_path / "traces").observation("feedback")
    assert "s-1" == event["session_id"]


@pytest.mark.parametrize(
    ("ids", "status", "answer", "says"),
    [
        (
            {"message_id": "m-1"},
            400,
            {"errors": [{"detail": "no sk-proj-abcdefghij0123456789\nhere"}, {"title": "bad"}]},
            "Brixo refused the feedback: no *** here; bad (400)",
        ),
        (
            {"message_id": "m-1"},
            400,
            ["odd"],
            "Brixo refused the feedback: it gave no reason (400)",
        ),
        (
            {"message_id": "m-1"},
            401,
            {},
            "Brixo refused the feedback: check your BRIXO_API_KEY (401)",
        ),
        (
            {"message_id": "m-1"},
            404,
            {},
            "Brixo refused the feedback: it knows no message_id 'm-1' (404)",
        ),
        (
            {"session_id": "s-1"},
            404,
            {},
            "Brixo refused the feedback: it knows no session_id 's-1' (404)",
        ),
        (
            {"message_id": "m-1"},
            413,
            {},
            "Brixo refused the feedback: it is too large; shorten user_message (413)",
        ),
    ],
)
def test_what_brixo_refuses_is_one_clear_error(api, caplog, ids, status, answer, says):
    """Nothing is raised, nothing is sent again."""
    api.answers = [(status, answer)]
    Brixo.feedback(**ids, value="thumbs_up")
    assert spanwise.flush(WATCHDOG_S) is True
    assert [says] == errors(caplog)
    assert 1 == len(api.requests)


def test_a_refused_key_is_told_once_for_all_feedback(api, caplog):
    """It is the same key each time."""
    api.answers = [(401, {})] * 3
    for _ in range(3):
        Brixo.feedback(message_id="m-1", value="thumbs_up")
    assert spanwise.flush(WATCHDOG_S) is True
    assert 1 == len(errors(caplog))
    assert 3 == spanwise.stats()["refused.brixo.signals"]


def test_feedback_is_sent_again_while_brixo_is_away(api, caplog):
    """It arrives once the service is back; nobody waited for it."""
    api.answers = [(503, None)]
    Brixo.feedback(message_id="m-1", value="thumbs_up")
    assert spanwise.flush(WATCHDOG_S) is True
    assert ["/v1/messages/m-1/signals"] * 2 == [path for path, _, _ in api.requests]
    assert [] == errors(caplog)


def test_without_a_key_feedback_is_kept_in_files_and_sent_nowhere(tmp_path, monkeypatch, caplog):
    """Said in one log line."""
    monkeypatch.setattr(SpooledLines, "append", lambda *_: pytest.fail("something was sent"))
    Brixo.init("my-agent", "test")
    for _ in range(2):
        Brixo.feedback(message_id="m-1", value="thumbs_up", user_message="nice")
    first, _ = Files(tmp_path / "traces").observations()
    assert "nice" == first["attributes"]["feedback.comment"]
    assert 1 == caplog.text.count("feedback is kept in files only")


def test_a_program_that_gives_nothing_but_feedback_needs_no_init(api, tmp_path):
    """A key in the environment is enough, as where another process answers."""
    from brixo import _once

    spanwise.shutdown()
    _once.reset()
    spanwise._state.reset()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BRIXO_API_KEY", "key-2")
        Brixo.feedback(message_id="m-1", value="thumbs_up")
        assert spanwise.flush(WATCHDOG_S) is True
    ((_, headers, _),) = api.requests
    assert "Bearer key-2" == headers["authorization"]


def test_switched_off_nothing_is_sent(api, monkeypatch):
    """Neither after `shutdown()` nor where OpenTelemetry's switch says so."""
    spanwise.shutdown()
    Brixo.feedback(message_id="m-1", value="thumbs_up")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    spanwise.configure()
    Brixo.feedback(message_id="m-1", value="thumbs_up")
    assert [] == api.requests


def test_the_users_words_are_masked_and_left_out_where_content_is(api):
    """As everything that leaves the process."""
    Brixo.feedback(message_id="m", value="thumbs_up", user_message="sk-proj-abcdefghij0123456789")
    spanwise.configure(capture_content=False)
    Brixo.feedback(message_id="m", value="thumbs_up", user_message="I am Jane")
    assert spanwise.flush(WATCHDOG_S) is True
    first, second = (body["data"]["attributes"] for _, _, body in api.requests)
    assert "***" == first["user_message"]
    assert "user_message" not in second


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"value": "thumbs_up"}, ValueError, "either a message_id or a session_id"),
        (
            {"message_id": "m", "session_id": "s", "value": "thumbs_up"},
            ValueError,
            "either a message_id or a session_id",
        ),
        ({"message_id": "m"}, ValueError, "'thumbs_up' or 'thumbs_down', not None"),
        ({"message_id": "m", "value": "great"}, ValueError, "'thumbs_down', not 'great'"),
        ({"message_id": "m", "value": 1}, ValueError, "'thumbs_down', not 1"),
        ({"message_id": "m", "value": ["thumbs_up"]}, ValueError, "'thumbs_down', not"),
        ({"message_id": "", "value": "thumbs_up"}, ValueError, "must not be empty"),
        ({"message_id": "..", "value": "thumbs_up"}, ValueError, "nothing but dots"),
        ({"message_id": b"m", "value": "thumbs_up"}, TypeError, "must be a text, not bytes"),
        (
            {"message_id": "m", "value": "thumbs_up", "occurred_at": "yesterday"},
            ValueError,
            "RFC 3339",
        ),
        ({"message_id": "m", "value": "thumbs_up", "user_message": 7}, TypeError, "a text"),
    ],
)
def test_what_cannot_be_sent_is_told_where_it_is_given(api, arguments, error, says):
    """Before anything is kept or sent."""
    with pytest.raises(error, match=says):
        Brixo.feedback(**arguments)
    assert spanwise.flush(WATCHDOG_S) is True
    assert [] == api.requests


def test_what_brixo_does_not_take_before_the_exit_is_sent_by_the_next_process(api, receiver):
    """The exit does not wait for it, and nothing is lost."""
    api.answers = [(503, None)] * 50
    Brixo.feedback(message_id="m-1", value="thumbs_up")
    spanwise.shutdown()
    before = len(api.requests)
    api.answers = []
    spanwise.configure(otlp_endpoint=receiver.url)
    Brixo.feedback(message_id="m-2", value="thumbs_up")
    assert spanwise.flush(WATCHDOG_S) is True
    ids = [path.split("/")[3] for path, _, _ in api.requests[before:]]
    assert ["m-1", "m-2"] == sorted(ids)
