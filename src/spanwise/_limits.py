"""How much of a value is kept."""

from __future__ import annotations

import dataclasses
from typing import Final


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much of a value is kept.

    Attributes:
        bytes: of the whole JSON text, in UTF-8.
        characters: of the whole JSON text; OpenTelemetry's attribute length limit, if any.
        string: characters of one string.
        items: entries of one sequence or mapping.
        nodes: values of all kinds.
        depth: containers inside each other.
    """

    bytes: int = 65_536
    characters: int | None = None
    string: int = 16_384
    items: int = 200
    nodes: int = 2_000
    depth: int = 10

    def scaled(self, factor: float, longest: int) -> Limits:
        """Return limits for a text smaller by the factor; `longest` is its length now."""
        return dataclasses.replace(
            self,
            bytes=max(1, int(min(self.bytes, longest) * factor)),
            string=max(8, int(min(self.string, longest) * factor)),
            items=max(1, int(min(self.items, longest) * factor)),
            nodes=max(1, int(min(self.nodes, longest) * factor)),
        )


OF_A_KEY: Final = Limits(bytes=256, string=128, items=8, nodes=16, depth=3)
