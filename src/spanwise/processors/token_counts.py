"""Count the tokens of one model call once, however many spans tell of it.

A framework's instrumentor and a provider's both record the call, and an agent's span may repeat
what its calls used. Spans end from the inside out, and what has ended is written at once, so the
first to end keeps its counts:

- a span below or above which the same kind of work told its tokens repeats them: a generation
  those of generations, any work that is no model call those of all kinds. Embeddings and rerankers
  alone answer nothing, so work with more tokens than they told is no repetition of them;
- what the program told itself may be of a call that nobody else knows of: it repeats others only
  where they add up to as much;
- a model call repeats one, not above or below it, that another instrumentor told of with the same
  numbers, in the same trace, while both were open: some instrumentors do not make their span
  the current one, and the other's is then a sibling of it, or the root of a trace of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import get_ident
from typing import Any, Final

from spanwise import _guard, semconv
from spanwise._token_sums import MODEL_CALLS, Counted, is_sum, is_within, repeats
from spanwise.export.record import SCOPE_NAME, Record
from spanwise.instrumentation.vocabulary import COUNTS
from spanwise.processors.open_spans import OpenSpan

_TYPE: Final = semconv.OBSERVATION_TYPE
_INPUT: Final = semconv.GEN_AI_USAGE_INPUT_TOKENS
_OUTPUT: Final = semconv.GEN_AI_USAGE_OUTPUT_TOKENS
_TOTAL: Final = semconv.OBSERVATION_USAGE_TOTAL_TOKENS
_TOLD_IN: Final = frozenset((_INPUT, _OUTPUT, _TOTAL))
_BELOW: Final = tuple(f"{name}." for name in COUNTS)
_REQUEST_MODEL: Final = semconv.GEN_AI_REQUEST_MODEL
_RESPONSE_MODEL: Final = semconv.GEN_AI_RESPONSE_MODEL
_RESPONSE_ID: Final = semconv.GEN_AI_RESPONSE_ID

_REMEMBERED: Final = 1024
_MOST_ALIKE: Final = 64

_Key = tuple[int, str, Any, Any]


@dataclass(slots=True)
class _Call:
    """A model call that was told of.

    Attributes:
        scopes: of the instrumentors that told of it; each does so once.
        models: the name by which it was asked for, and the one that answered; None for none.
        response_id: the provider's id of the answer, where it was told.
    """

    scopes: set[str]
    models: tuple[Any, Any]
    response_id: Any
    start_ns: int
    end_ns: int

    def may_be(self, other: _Call) -> bool:
        """Return whether both may be the same call, of the same counts, the other ending first."""
        if other.start_ns >= self.end_ns or self.scopes & other.scopes:
            return False
        if self.response_id and other.response_id and self.response_id != other.response_id:
            return False
        mine, others = self._named(), other._named()
        return (
            not mine
            or not others
            or any(_are_alike(str(one), str(two)) for one in mine for two in others)
        )

    def _named(self) -> list[Any]:
        return [model for model in self.models if model is not None]


class TokenCounts:
    """What was told of tokens lately; safe with threads, since every step is atomic."""

    def __init__(self) -> None:
        self._told: OrderedDict[_Key, list[_Call]] = OrderedDict()

    def once(self, record: Record, opened: OpenSpan | None) -> Record:
        """Return the record of a span that has ended, without counts that were told before."""
        try:
            if _TOLD_IN.isdisjoint(record.attributes):  # as of most spans
                return record
            return self._once(record, opened)
        except Exception as error:  # noqa: BLE001 - the span is written as it is
            _guard.swallow("token_counts", error)
            return record

    def _once(self, record: Record, opened: OpenSpan | None) -> Record:
        attributes = record.attributes
        counts = (attributes.get(_INPUT), attributes.get(_OUTPUT))
        if counts == (None, None):  # some tell the sum alone, others no sum
            counts = (None, attributes.get(_TOTAL))
        if not (counts[0] or counts[1] or attributes.get(_TOTAL)):
            return record
        told = _counted(record)
        is_known = opened is not None and _is_told(opened, told)
        is_repeated = is_known or (
            told.kind in MODEL_CALLS and self._is_told_beside(record, told.kind, counts)
        )
        if opened is not None and not is_known:
            _tell(opened, told)
            if not is_repeated:
                opened.counted = told
        return replace(record, attributes=_moved(attributes)) if is_repeated else record

    def _is_told_beside(self, record: Record, kind: str, counts: tuple[Any, Any]) -> bool:
        span = record.span
        # Roots are compared with each other: which of them belong together nobody says.
        trace_id = span.context.trace_id if span.parent is not None and span.context else 0
        get = record.attributes.get
        call = _Call(
            {record.scope.name if record.scope is not None else ""},
            (get(_REQUEST_MODEL), get(_RESPONSE_MODEL)),
            get(_RESPONSE_ID),
            span.start_time or 0,
            span.end_time or 0,
        )
        key = (trace_id, kind, *counts)
        alike = self._told.setdefault(key, [])
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        for other in reversed(alike):
            if other.end_ns <= call.start_ns:
                break  # and so had those before it
            if call.may_be(other):
                other.scopes |= call.scopes
                return True
        alike.append(call)
        if len(alike) > _MOST_ALIKE:
            del alike[:-_MOST_ALIKE]
        return False


def _are_alike(one: str, two: str) -> bool:
    """Return whether both names may be of one model, which answers by a dated form of its name."""
    one, two = one.rpartition("/")[2], two.rpartition("/")[2]
    return one.startswith(two) or two.startswith(one)


def hand_on(opened: OpenSpan) -> None:
    """Let all spans above know what work below the span told, where its parent was found late."""
    for (kind, _), tokens in list(opened.told.items()):
        _tell(opened, Counted(kind, (tokens[0], tokens[1], tokens[2]), is_ours=False))


def _counted(record: Record) -> Counted:
    get = record.attributes.get
    asked, answered, total = get(_INPUT), get(_OUTPUT), get(_TOTAL)
    asked = asked if type(asked) is int else 0
    answered = answered if type(answered) is int else 0
    return Counted(
        str(get(_TYPE, "span")),
        (asked, answered, total if not (asked or answered) and type(total) is int else 0),
        record.scope is not None and record.scope.name == SCOPE_NAME,
    )


def _is_told(opened: OpenSpan, told: Counted) -> bool:
    """Return whether work below, or an ended span above, told the tokens of such a span."""
    if opened.told and repeats(
        told, [(kind, tokens) for (kind, _), tokens in list(opened.told.items())]
    ):
        return True
    if opened.above is None:
        return False
    for above in opened.all_above():
        outer = above.counted
        if outer is None or (outer.kind in MODEL_CALLS and outer.kind != told.kind):
            continue
        if is_sum(outer, {told.kind}) and not told.is_ours:
            return True
        if is_within(told.tokens, outer.tokens):
            return True
    return False


def _tell(opened: OpenSpan, told: Counted) -> None:
    """Let all spans above know that such tokens have been told."""
    if opened.above is None:
        return
    key = (told.kind, get_ident())
    for above in opened.all_above():
        sums = above.told.setdefault(key, [0, 0, 0])
        for part, count in enumerate(told.tokens):
            sums[part] += count


def _moved(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes with every count under the name that says it is repeated."""
    return {
        f"{semconv.OBSERVATION_REPEATED}.{name}"
        if name in COUNTS or name.startswith(_BELOW)
        else name: value
        for name, value in attributes.items()
    }
