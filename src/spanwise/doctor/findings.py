"""What an examination finds: one sentence each, how bad that is, and what mends it."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from spanwise import _guard


class Level(enum.Enum):
    """How bad a finding is.

    Attributes:
        PROBLEM: spans do not arrive, or something that was asked for does not happen.
        WARNING: something is left over, or will surprise.
        OK: it was tried, and works.
        NOTE: good to know.
        FACT: how things are.
    """

    PROBLEM = "problem"
    WARNING = "warning"
    OK = "ok"
    NOTE = "note"
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        level: how bad it is.
        text: what it is, in a sentence.
        mend: what to do about it, in words; may be empty.
        command: what to do about it, as a line for a shell; may be empty.
        facts: the same for machines.
    """

    level: Level
    text: str
    mend: str = ""
    command: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-safe values, without what is empty."""
        found = {
            "level": self.level.value,
            "text": self.text,
            "mend": self.mend,
            "command": self.command,
            "facts": dict(self.facts),
        }
        return {name: value for name, value in found.items() if value}


problem: Final = partial(Finding, Level.PROBLEM)
warning: Final = partial(Finding, Level.WARNING)
ok: Final = partial(Finding, Level.OK)
note: Final = partial(Finding, Level.NOTE)
fact: Final = partial(Finding, Level.FACT)


@dataclass(frozen=True, slots=True)
class Report:
    """What all examinations found.

    Attributes:
        sections: findings by what was examined.
    """

    sections: Mapping[str, Sequence[Finding]]

    def of(self, *levels: Level) -> list[tuple[str, Finding]]:
        """Return the findings of these levels, in their order, each with its section."""
        return [
            (section, finding)
            for level in levels
            for section, findings in self.sections.items()
            for finding in findings
            if finding.level is level
        ]

    @property
    def is_well(self) -> bool:
        """Return whether there is no problem."""
        return not self.of(Level.PROBLEM)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-safe values."""
        worst = next((level for level in Level if self.of(level)), Level.OK)
        return {
            "status": (worst if worst in (Level.PROBLEM, Level.WARNING) else Level.OK).value,
            "sections": {
                name: [finding.as_json() for finding in findings]
                for name, findings in self.sections.items()
            },
        }


def masked(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings as they may be shown: what looks like a secret is replaced."""
    return [
        Finding(
            finding.level,
            _guard.masked(finding.text),
            _guard.masked(finding.mend),
            _guard.masked(finding.command),
            _masked(finding.facts),
        )
        for finding in findings
    ]


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return _guard.masked(value)
    if isinstance(value, Mapping):
        return {_guard.masked(str(name)): _masked(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(each) for each in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return _guard.masked(str(value))
