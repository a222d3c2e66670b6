"""What Spanwise raises, and only where the program is being set up.

    SpanwiseError
    ├── ConfigurationError (also a ValueError)    configure() was given something it cannot use
    │   ├── UnknownSettingError                   no setting has this name
    │   └── InvalidSettingError                   the setting's value is at fault
    └── DecorationError (also a TypeError)        a decorator's target or option is at fault

Nothing is raised into a decorated call: a fault there is counted and logged.
"""

from __future__ import annotations

from collections.abc import Iterable


class SpanwiseError(Exception):
    """The root of every error that Spanwise raises."""


class ConfigurationError(SpanwiseError, ValueError):
    """`configure()` was given something that it cannot use."""


class UnknownSettingError(ConfigurationError):
    """No setting has this name; the message names the nearest one."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        super().__init__(f"unknown setting {name!r}{nearest(name, known)}")


class InvalidSettingError(ConfigurationError):
    """A setting's value cannot be used; the message says where it came from and what is wrong."""

    def __init__(self, name: str, fault: str, *, source: str | None = None) -> None:
        self.name = name
        self.fault = fault
        self.source = source
        origin = f" (from {source})" if source and source != name else ""
        super().__init__(f"{name}{origin} {fault}")


class DecorationError(SpanwiseError, TypeError):
    """A decorator was put on something that it cannot wrap, or was given a wrong option."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?`, or the known names where none is near."""
    import difflib  # only where something is wrong

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}"


def nearest_of_all(name: str, known: Iterable[str]) -> str:
    """Return what `nearest` does, and the known names in any case: where they are few."""
    hint = nearest(name, known)
    return f"{hint} Known are {', '.join(sorted(known))}" if hint.endswith("?") else hint
