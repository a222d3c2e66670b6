"""Which counts of tokens repeat what other spans told: the rule, whoever applies it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

# Each is one request to a model; other work only repeats what such requests used.
MODEL_CALLS: Final = frozenset({"generation", "embedding", "reranker"})
_ANSWERLESS: Final = frozenset({"embedding", "reranker"})


class Counted(NamedTuple):
    """What a span told of tokens.

    Attributes:
        kind: of work that the span was.
        tokens: of the input, of the output, and in all, this last only where nothing else is said.
        is_ours: the program told it on a span of ours, and no instrumentor.
    """

    kind: str
    tokens: tuple[int, int, int]
    is_ours: bool


def is_sum(told: Counted, kinds: Collection[str]) -> bool:
    """Return whether the counts repeat those of such work below, whatever the numbers."""
    return not told.is_ours and (told.kind in MODEL_CALLS or not _ANSWERLESS.issuperset(kinds))


def is_within(tokens: Sequence[int], sums: Sequence[int]) -> bool:
    """Return whether the sums may include such tokens; what was told in all may be of any part."""
    asked, answered, total = tokens
    # The same question: some count what was thought into the answer, and some do not.
    if asked and asked == sums[0] and (sums[1] or not answered):
        return True
    return asked <= sums[0] + sums[2] and answered <= sums[1] + sums[2] and total <= sum(sums)


def repeats(told: Counted, below: Sequence[tuple[str, Sequence[int]]]) -> bool:
    """Return whether the counts repeat those of work below, given as kinds and their tokens."""
    if told.kind in MODEL_CALLS:
        below = [(kind, tokens) for kind, tokens in below if kind == told.kind]
    if not below:
        return False
    if is_sum(told, {kind for kind, _ in below}):
        return True
    sums = [sum(counts) for counts in zip(*(tokens for _, tokens in below), strict=True)]
    return is_within(told.tokens, sums)
