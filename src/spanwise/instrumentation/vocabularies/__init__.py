"""What instrumentors call things: one module of plain data for each vocabulary.

A new vocabulary is a new module with a `VOCABULARY`, listed in `spanwise.instrumentation.vocabulary`.
What its names stand for is said by our names, those of `spanwise.semconv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

# Where a value is found: an attribute; one key of the JSON object that an attribute holds, or with
# no key what its JSON says, or with `input_*` the sum of `input` and all that begins so; or, where
# the attribute ends in `.*`, what is spread over `llm.input_messages.0.message.content` and more.
Source = str | tuple[str, str]

SPAN_NAME: Final = "(the name of the span)"


@dataclass(frozen=True)
class Said:
    """What an event of a span says.

    Attributes:
        of: `observation.input` or `observation.output`.
        attribute: the attribute that holds it; None where the event's attributes are one message.
        role: who speaks in that message, where the event does not say.
    """

    of: str
    attribute: str | None = None
    role: str | None = None


@dataclass(frozen=True)
class Vocabulary:
    """How one family of instrumentors says what we say.

    Attributes:
        types: attributes that tell what kind of work it is, and what their values, in lower case,
            are called here. The first that tells is believed.
        named: for spans of one type, our name of an attribute, and where its value is found: the
            first that is there.
        attributes: the same for spans of every type, asked after `named`.
        counts: attributes that count tokens or what they cost, and stand for all below them.
        metadata: attributes that hold facts that the caller attached, or stand for one each below.
        events: names of events that tell what went in or came out.
        details: names of events whose attributes are what others put on the span itself.
        content: further attributes that hold content, and stand for all below them. What inputs,
            outputs and events are read from is content in any case.
    """

    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: Mapping[str, Mapping[str, tuple[Source, ...]]] = field(default_factory=dict)
    attributes: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)
    counts: tuple[str, ...] = ()
    metadata: tuple[str, ...] = ()
    events: Mapping[str, Said] = field(default_factory=dict)
    details: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
