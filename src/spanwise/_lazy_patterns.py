"""Regular expressions that are compiled when they are first used.

Masking has some two hundred of them, of which a program needs a few: to compile all took longer
than to import everything else.
"""

from __future__ import annotations

import re
from typing import Any, cast

_METHODS = ("finditer", "fullmatch", "match", "search", "sub")


class _Pattern:
    """Stands for a compiled expression; from its first use on its methods are found at once."""

    __slots__ = ("_expression", "_flags", *_METHODS)

    def __init__(self, expression: str, flags: int) -> None:
        self._expression = expression
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        # Two threads may both compile it: that is done twice then, to the same end.
        compiled = re.compile(self._expression, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def pattern(expression: str, flags: int = 0) -> re.Pattern[str]:
    """Return what stands for the compiled expression."""
    return cast("re.Pattern[str]", _Pattern(expression, flags))
