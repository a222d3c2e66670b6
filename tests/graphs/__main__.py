"""Write the trees down that the tests compare with: `python -m graphs` in tests/, then look at them."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import spanwise
from graphs import programs
from graphs.drawing import drawn
from support.files import Files

TREES = Path(__file__).parents[1] / "data" / "trees"


def main(preference: list[str]) -> None:
    """Run every program with the preferred instrumentor, and store its tree."""
    for mode in (*programs.OF_LANGGRAPH, *programs.OF_LANGCHAIN):
        with tempfile.TemporaryDirectory() as folder:
            spanwise.configure(
                traces_dir=folder, instrument=["langchain"], instrumentor_preference=preference
            )
            mode()
            spanwise.shutdown()
            tree = drawn(Files(Path(folder)).observations())
        (TREES / f"{mode.__name__}.txt").write_text(tree, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
