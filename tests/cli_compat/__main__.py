"""Run the published FluxLoop CLI on the published SDK and on this project, and compare the files.

    PYTHONPATH=tests python -m cli_compat [--twice]

The same projects are run in two environments below `.venvs/`, both at once. Every file that comes
of it must be equal, but for the list in `meant.py`; besides, our run must hold by itself. With
`--twice` the published SDK is compared with itself, which must give no difference at all.
"""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from cli_compat.checks import complaints, complaints_of_ours
from cli_compat.differences import differences, judged
from cli_compat.environments import ENVIRONMENTS, environment
from cli_compat.meant import MEANT
from cli_compat.normal import normalised
from cli_compat.runs import Run
from cli_compat.standins import standins

FOLDER = ENVIRONMENTS / "cli-runs"


def main(arguments: list[str]) -> int:
    """Run both and say what is wrong."""
    twice = arguments == ["--twice"]
    ours = "published" if twice else "ours"
    programs = {label: environment(label) for label in dict.fromkeys(("published", ours))}
    shutil.rmtree(FOLDER, ignore_errors=True)
    with ExitStack() as stack:
        runs = [
            Run(programs[label], FOLDER / name, stack.enter_context(standins()))
            for label, name in (("published", "published"), (ours, "ours"))
        ]
        _run(runs, by_itself=not twice)
    wrong = list(complaints(runs[1]))
    if not twice:
        wrong += complaints_of_ours(runs[1])
    found = differences(*(normalised(run.folder) for run in runs))
    unmeant, idle = judged(found, () if twice else MEANT)
    wrong += [str(difference) for difference in unmeant]
    wrong += [f"in the list, but does not occur: {place}" for place in idle]
    print("\n".join(wrong))
    print(f"{len(found)} differences, {len(wrong)} things wrong; everything is in {FOLDER}")
    return 1 if wrong else 0


def _run(runs: list[Run], by_itself: bool) -> None:
    _published, ours = runs
    with ThreadPoolExecutor(len(runs)) as pool:
        list(pool.map(Run.make_projects, runs))
        by_hand = list(pool.map(lambda run: run.record("replay_own", "record_by_hand"), runs))
        # The published SDK records what a program tells it to, and nothing by itself.
        if by_itself:
            alone = ours.record("replay_ours", "record_by_itself")
        else:
            alone = by_hand[1].replace("Handler", "Clerk")
        recordings = {"published": by_hand[0], "ours": alone}
        list(pool.map(lambda run: run.everything(recordings), runs))
    for run in runs:
        run.write_what_was_collected()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
