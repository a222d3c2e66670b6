"""A span processor that only stamps identity, for a provider whose exporters are the user's."""

from __future__ import annotations

from spanwise.processors.delegating import DelegatingSpanProcessor, Wiring


class IdentitySpanProcessor(DelegatingSpanProcessor):
    """Stamp every span with the user, account and session of the context that it starts in."""

    def __init__(self) -> None:
        super().__init__(Wiring())
