"""The vocabulary that the Brixo backend reads (docs.brixo.com, Python quickstart)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from spanwise import _version, semconv

if TYPE_CHECKING:
    from spanwise.export.record import Record

_RESOURCE = {
    semconv.SERVICE_NAME: "brixo.app_name",
    semconv.DEPLOYMENT_ENVIRONMENT_NAME: "brixo.environment",
    semconv.SERVICE_VERSION: "brixo.agent_version",
}
_EXACT = {
    semconv.SESSION_ID: "brixo.session_id",
    semconv.MESSAGE_ID: "brixo.message_id",
}
_FAMILIES = {
    f"{semconv.USER}.": "brixo.user.",
    f"{semconv.ACCOUNT}.": "brixo.account.",
    f"{semconv.OBSERVATION_METADATA}.": "brixo.metadata.",
}
# What is captured of a function that takes or returns nothing: the backend is told nothing.
_NOTHING = ("{}", "null")


def translate(record: Record) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return what Brixo reads of an interaction's span, and of the resource of every span."""
    resource = {
        theirs: record.resource[ours]
        for ours, theirs in _RESOURCE.items()
        if ours in record.resource
    }
    resource["brixo.sdk.version"] = _version.__version__
    if record.attributes.get(semconv.OBSERVATION_TYPE) != "interaction":
        return {}, resource
    added: dict[str, Any] = {"brixo.span.kind": "ROOT"}
    for key, value in record.attributes.items():
        if key in _EXACT:
            added[_EXACT[key]] = value
            continue
        for ours, theirs in _FAMILIES.items():
            if key.startswith(ours):
                added[theirs + key[len(ours) :]] = value
    texts = {
        "brixo.input": (semconv.OBSERVATION_INPUT, record.input_text()),
        "brixo.output": (semconv.OBSERVATION_OUTPUT, record.output_text()),
    }
    added |= {
        theirs: text
        for theirs, (ours, text) in texts.items()
        if text is not None and record.attributes[ours] not in _NOTHING
    }
    return added, resource
