"""What a run says beside its place in the tree: the program's tags and metadata, and its error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.trace import Span

from spanwise import _exceptions, _identity, _state
from spanwise.instrumentation.langchain import runs

_EXCEPTION: Final = "exception"
# How the frameworks mark what they put there themselves.
_THEIR_METADATA: Final = ("langgraph_", "ls_", "lc_", "checkpoint_", "__")
_THEIR_TAGS: Final = (runs.NODE_TAG, "seq:step:", "map:key:", "langsmith:")


def said(given: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return tags and metadata that the program's configuration gives a run, as attributes.

    Args:
        given: keyword arguments of the callback.
        above: what this returned for the run above, which hands its own on to those below.
    """
    metadata = {
        key: value
        for key, value in runs.mapping(given.get("metadata")).items()
        if type(key) is str and key not in runs.SESSION_KEYS and not key.startswith(_THEIR_METADATA)
    }
    tags: Any = given.get("tags") if type(given.get("tags")) in (list, tuple) else ()
    own = [tag for tag in tags if type(tag) is str and not tag.startswith(_THEIR_TAGS)]
    if not (metadata or own or above):
        return {}
    return _identity.identity_attributes(tags=own or None, metadata=metadata or None)


def add_said(span: Span, attributes: Mapping[str, Any], above: Mapping[str, Any]) -> None:
    """Put on a run's span what was said of it, and not already of the run above."""
    span.set_attributes({k: v for k, v in attributes.items() if above.get(k) != v})


def add_error(span: Span, error: BaseException) -> None:
    """Put the exception that a run was left by on its span, with its traceback."""
    runtime = _state.runtime
    if runtime is not None and span.is_recording():
        mask = runtime.encoder.masker.text
        span.add_event(_EXCEPTION, _exceptions.attributes_of(error, mask))
