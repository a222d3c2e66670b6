"""The variables that Spanwise reads, for `opentelemetry-instrument` and whoever looks for them.

Each setting has one, `SPANWISE_<NAME>`, found here as an attribute; those named `OTEL_...` can be
options of `opentelemetry-instrument` too.
"""

from __future__ import annotations

from spanwise import _settings

OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT = (
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
)

_OF_SETTINGS = frozenset(_settings.VARIABLES)


def __getattr__(name: str) -> str:
    if name in _OF_SETTINGS:
        return name
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_SETTINGS})
