"""All vocabularies together: what each attribute of others may say, and what of it is content.

The words stand in `vocabularies`, as data; `translation` says a span in ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import orjson

from spanwise import semconv
from spanwise.instrumentation.vocabularies import SPAN_NAME, Source
from spanwise.instrumentation.vocabularies.gen_ai import VOCABULARY as GEN_AI
from spanwise.instrumentation.vocabularies.langfuse import VOCABULARY as LANGFUSE
from spanwise.instrumentation.vocabularies.openinference import VOCABULARY as OPENINFERENCE
from spanwise.instrumentation.vocabularies.traceloop import VOCABULARY as TRACELOOP

# A span may speak several: the first that has a word for something is asked first.
VOCABULARIES: Final = (GEN_AI, OPENINFERENCE, LANGFUSE, TRACELOOP)

INPUT: Final = semconv.OBSERVATION_INPUT
OUTPUT: Final = semconv.OBSERVATION_OUTPUT
CONTENT: Final = (INPUT, OUTPUT)

_CLEARLY_JSON: Final = ("{", "[", '"')

Found = tuple[str, int, Source]  # our name, how soon it is asked, where the value is found
# Our names, each with what is asked for it; see `plan_of`.
Plan = tuple[tuple[str, tuple[tuple[str | None, Source], ...]], ...]


def _sources(kind: str) -> dict[str, tuple[Source, ...]]:
    """Return where the value of each of our attributes is found, for spans of one type."""
    found: dict[str, tuple[Source, ...]] = {}
    tables = (
        *(vocabulary.named.get(kind, {}) for vocabulary in VOCABULARIES),
        *(vocabulary.attributes for vocabulary in VOCABULARIES),
    )
    for table in tables:
        for ours, sources in table.items():
            found[ours] = (*found.get(ours, ()), *sources)
    return found


def _attribute(source: Source) -> str:
    """Return the attribute that a source reads; of one that is spread, what they begin with."""
    return (source if isinstance(source, str) else source[0]).removesuffix("*")


def _index(kind: str) -> dict[str, tuple[Found, ...]]:
    """Return what each attribute of others may say, for spans of one type."""
    found: dict[str, tuple[Found, ...]] = {}
    for ours, sources in _sources(kind).items():
        for place, source in enumerate(sources):
            # The name of a span is asked last.
            rank = len(sources) if source == SPAN_NAME else place
            name = _attribute(source)
            found[name] = (*found.get(name, ()), (ours, rank, source))
    return found


TYPES: Final = tuple(
    (attribute, types)
    for vocabulary in VOCABULARIES
    for attribute, types in vocabulary.types.items()
)
_KINDS: Final = (*semconv.OBSERVATION_TYPE_VALUES, "")
INDEX: Final = {kind: _index(kind) for kind in _KINDS}
SPREAD: Final = tuple({name for index in INDEX.values() for name in index if name[-1:] == "."})
METADATA: Final = tuple(name for vocabulary in VOCABULARIES for name in vocabulary.metadata)
# What tells the type of a span, whatever else it tells.
TELLING: Final = frozenset(
    (semconv.OBSERVATION_TYPE, semconv.GEN_AI_REQUEST_MODEL, *(name for name, _ in TYPES))
)
REMEMBERED: Final = 4096
_LONGEST_REMEMBERED: Final = 128


def is_remembered(name: str) -> bool:
    """Return whether what an attribute's name says may be remembered under it."""
    return type(name) is str and len(name) <= _LONGEST_REMEMBERED


@dataclass(frozen=True, slots=True)
class Word:
    """What an attribute of others may say.

    Attributes:
        is_read: it has an entry in the index of the spans' type.
        is_fact: it holds facts that the caller attached.
        fact: what the one that it holds is called; None where it may hold several.
        spread: what its name begins with, where it is a part of what is spread over several.
    """

    is_read: bool
    is_fact: bool
    fact: str | None
    spread: str | None


class _Words(dict[str, Word | None]):
    """What attributes may say in spans of one type, by name; None of those that say nothing."""

    def __init__(self, index: Mapping[str, tuple[Found, ...]]) -> None:
        super().__init__()
        self._index = index

    def __missing__(self, name: str) -> Word | None:
        spread = next((prefix for prefix in SPREAD if name.startswith(prefix)), None)
        holder = next((held for held in METADATA if name.startswith(held)), None)
        fact = None if holder is None else _fact(name.removeprefix(holder), holder)
        said = Word(name in self._index, holder is not None, fact, spread)
        word = said if said.is_read or said.is_fact or spread is not None else None
        if is_remembered(name):
            if len(self) >= REMEMBERED:
                self.clear()
            self[name] = word
        return word


def _fact(key: str, holder: str) -> str | None:
    is_below = key[:1] == "." or (key and holder[-1] == ".")
    return key.removeprefix(".") or None if is_below else None


WORDS: Final[Mapping[str, Mapping[str, Word | None]]] = {
    kind: _Words(index) for kind, index in INDEX.items()
}


@lru_cache(1024)
def plan_of(kind: str, names: tuple[str, ...]) -> Plan:
    """Return where to look for the value of each of our attributes, in the order of asking.

    Args:
        kind: the spans' type.
        names: of the attributes that they have, and what those that are spread begin with.

    Returns:
        Our names, each with the sources of its value; before one that is a whole attribute stands
        its name, before any other None.
    """
    found: dict[str, list[tuple[int, Source]]] = {}
    for name in (*names, SPAN_NAME):
        for ours, rank, source in INDEX[kind].get(name, ()):
            found.setdefault(ours, []).append((rank, source))
    return tuple(
        (ours, tuple((_whole(s), s) for _, s in sorted(sources, key=itemgetter(0))))
        for ours, sources in found.items()
    )


def _whole(source: Source) -> str | None:
    is_whole = isinstance(source, str) and source != SPAN_NAME and not source.endswith(".*")
    return str(source) if is_whole else None


# Attributes that say nothing in spans of no type, and give them none.
_silent: Final[set[str]] = set()


def are_silent(attributes: Mapping[str, Any]) -> bool:
    """Return whether no attribute of a third party's span says anything in these vocabularies."""
    if _silent.issuperset(attributes):
        return True
    words = WORDS[""]
    for name in attributes:
        if name in TELLING or words[name] is not None:
            return False
    if len(_silent) >= REMEMBERED:
        _silent.clear()
    _silent.update([name for name in attributes if is_remembered(name)])
    return True


EVENTS: Final = {
    name: said for vocabulary in VOCABULARIES for name, said in vocabulary.events.items()
}
DETAILS: Final = frozenset(name for vocabulary in VOCABULARIES for name in vocabulary.details)


def _content() -> frozenset[str]:
    read = (
        name.removesuffix(".")
        for index in INDEX.values()
        for name, found in index.items()
        if any(ours in CONTENT for ours, _, _ in found)
    )
    told = (said.attribute for said in EVENTS.values() if said.attribute)
    named = (name for vocabulary in VOCABULARIES for name in vocabulary.content)
    return frozenset((*CONTENT, semconv.FEEDBACK_COMMENT, *read, *told, *named))


# What `capture_content=False` leaves out: these attributes, and those below them.
CONTENT_ATTRIBUTES: Final = _content()
CONTENT_PREFIXES: Final = tuple(f"{name}." for name in sorted(CONTENT_ATTRIBUTES))
# Events that hold nothing but content.
CONTENT_EVENTS: Final = ("gen_ai.content.", *EVENTS, *DETAILS)
# What counts tokens, or what they cost, in any vocabulary.
COUNTS: Final = (
    semconv.OBSERVATION_USAGE_TOTAL_TOKENS,
    *(name for vocabulary in VOCABULARIES for name in vocabulary.counts),
)


@dataclass(frozen=True)
class Meaning:
    """What a span says in our vocabulary.

    Attributes:
        type: the observation type.
        input: what went in, decoded from JSON where it was JSON.
        output: what came out.
        model: the model that was asked, else the one that answered.
        input_tokens: tokens in the prompt.
        output_tokens: tokens in the answer.
        session_id: the session or conversation.
        user_id: the user.
    """

    type: str = "span"
    input: Any = None
    output: Any = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    session_id: str | None = None
    user_id: str | None = None


def read(attributes: Mapping[str, Any]) -> Meaning:
    """Return what the attributes say, which are ours or have been translated."""
    get = attributes.get
    kind = get(semconv.OBSERVATION_TYPE)
    return Meaning(
        type=kind if kind in semconv.OBSERVATION_TYPE_VALUES else "span",
        input=_json(get(INPUT)),
        output=_json(get(OUTPUT)),
        model=_text(get(semconv.GEN_AI_REQUEST_MODEL, get(semconv.GEN_AI_RESPONSE_MODEL))),
        input_tokens=_count(get(semconv.GEN_AI_USAGE_INPUT_TOKENS)),
        output_tokens=_count(get(semconv.GEN_AI_USAGE_OUTPUT_TOKENS)),
        session_id=_text(get(semconv.SESSION_ID)),
        user_id=_text(get(semconv.USER_ID)),
    )


def decoded(value: Any) -> Any:
    """Return what a text says that is clearly JSON, or the value itself.

    A text of digits, or `true`, stays one: it may be an id, a commit, or what somebody wrote.
    """
    return _json(value) if isinstance(value, str) and value.startswith(_CLEARLY_JSON) else value


def _json(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _count(value: Any) -> int | None:
    return value if type(value) is int else None
