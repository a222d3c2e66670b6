"""What the Brixo backend is told; that its SDK tells the same is in tests/compat."""

from __future__ import annotations

from spanwise import _version, dialects
from support.records import record_of

translate = dialects.load("brixo")

RESOURCE = {
    "service.name": "bot",
    "service.version": "7",
    "deployment.environment.name": "production",
}


def test_an_interaction_is_told_in_full():
    """Who it is for, what went in and came out, and what else is said of it."""
    added, _ = translate(
        record_of(
            {
                "observation.type": "interaction",
                "observation.input": '"hi"',
                "observation.output": '{"answer":42}',
                "observation.metadata.plan": "pro",
                "user.id": "jane",
                "account.name": "ACME",
                "session.id": "s-1",
                "message.id": "m-1",
            }
        )
    )
    assert {
        "brixo.span.kind": "ROOT",
        "brixo.input": "hi",
        "brixo.output": '{"answer":42}',
        "brixo.metadata.plan": "pro",
        "brixo.user.id": "jane",
        "brixo.account.name": "ACME",
        "brixo.session_id": "s-1",
        "brixo.message_id": "m-1",
    } == added


def test_other_work_is_sent_as_it_is():
    """Only interactions have words of their own."""
    added, _ = translate(record_of({"observation.type": "agent", "user.id": "jane"}))
    assert {} == added


def test_the_resource_names_the_agent():
    """Of the spans of third parties, too."""
    _, resource = translate(record_of({"http.route": "/"}, scope="http", resource=RESOURCE))
    assert {
        "brixo.app_name": "bot",
        "brixo.agent_version": "7",
        "brixo.environment": "production",
        "brixo.sdk.version": _version.__version__,
    } == resource
