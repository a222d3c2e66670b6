"""Run the CLI's commands in one environment, each for a bounded time, all below one folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from cli_compat.scenarios import DRY, INPUTS, REFUSED, Scenario, scenarios
from cli_compat.standins import StandIns

STEP_TIMEOUT_S = 60
AGENTS = Path(__file__).with_name("agents.py")
RECORDING = Path("recordings") / "args_recording.jsonl"


@dataclass
class Run:
    """One environment's run.

    Attributes:
        programs: The folder of the environment's programs.
        folder: Where everything is written: projects, homes, what the commands print.
    """

    programs: Path
    folder: Path
    standins: StandIns

    @property
    def scenarios(self) -> list[Scenario]:
        """Return the projects of this run."""
        ends = self.standins
        return scenarios(ends.collector_url, ends.otlp_url, ends.dead_url)

    def project(self, name: str) -> Path:
        """Return the folder of a project."""
        return self.folder / "fluxloop" / name

    def experiments(self, name: str) -> list[Path]:
        """Return the folders of a project's experiments: one, if all went well."""
        return sorted((self.project(name) / "experiments").glob("exp_*"))

    def make_projects(self) -> None:
        """Let the CLI make one project, and make the others after it."""
        for name in ("home", "tmp", "output", "collector"):
            (self.folder / name).mkdir(parents=True)
        self.command(
            "init",
            "init",
            "fluxloop",
            "init",
            "project",
            str(self.folder / "fluxloop"),
            "--name",
            "as_initialised",
            typed="y\n",
        )
        self.command("init", "version", "fluxloop", "--version")
        for scenario in self.scenarios:
            self._make_project(scenario.name, scenario.simulation)
        for name, simulation in {**REFUSED, "dry": DRY}.items():
            self._make_project(name, simulation)

    def record(self, name: str, function: str) -> str:
        """Run one of the agents by itself with recording on; return what it recorded."""
        script = f"import agents; agents.{function}()"
        self.command(name, function, "python", "-c", script, importable=True)
        recorded = self.project(name) / RECORDING
        return recorded.read_text(encoding="utf-8") if recorded.exists() else ""

    def everything(self, recordings: dict[str, str]) -> None:
        """Run every command over every project."""
        fluxloop = ("fluxloop",)
        self.command("as_initialised", "status", *fluxloop, "status", "check", "--verbose")
        self.command("as_initialised", "validate", *fluxloop, "config", "validate")
        self.command("as_initialised", "env", *fluxloop, "config", "env")
        self.command("dry", "run", *fluxloop, "run", "experiment", "--dry-run")
        for scenario in self.scenarios:
            self._experiment(scenario, recordings)
        for name in REFUSED:
            self.command(name, "run", *fluxloop, "run", "experiment", "--yes", "--no-display")
        # Without a collector in its configuration, this command would look for one on port 8000.
        self.command(
            "function",
            "single",
            *fluxloop,
            "run",
            "single",
            "agents",
            "by itself",
            "--function",
            "function",
            importable=True,
            variables={"FLUXLOOP_USE_COLLECTOR": "false"},
        )
        for verb in ("enable", "status", "disable"):
            self.command(
                "function",
                f"record-{verb}",
                *fluxloop,
                "record",
                verb,
                "--root",
                str(self.folder / "fluxloop"),
                "--project",
                "function",
            )

    def _experiment(self, scenario: Scenario, recordings: dict[str, str]) -> None:
        if scenario.recording in recordings:
            target = self.project(scenario.name) / RECORDING
            target.write_text(recordings[scenario.recording], encoding="utf-8")
        asked = ("fluxloop", "run", "experiment", "--yes", "--no-display", *scenario.arguments)
        self.command(scenario.name, "run", *asked, importable=scenario.importable)
        found = [str(path) for path in self.experiments(scenario.name)]
        self.command(scenario.name, "parse", "fluxloop", "parse", "experiment", *found)
        if scenario.evaluated:
            self.command(scenario.name, "evaluate", "fluxloop", "evaluate", "experiment", *found)

    def write_what_was_collected(self) -> None:
        """Put the requests to the FluxLoop collectors beside the other files."""
        for name in ("collected", "refused"):
            requests = sorted(getattr(self.standins, name), key=_place)
            lines = "".join(json.dumps(request) + "\n" for request in requests)
            (self.folder / "collector" / f"{name}.jsonl").write_text(lines, encoding="utf-8")

    def command(
        self,
        project: str,
        step: str,
        *command: str,
        importable: bool = False,
        typed: str = "",
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Run one command in a project's folder and keep what it printed, and how it ended."""
        where = self.project(project)
        done = subprocess.run(
            [str(self.programs / command[0]), *command[1:]],
            cwd=where if where.exists() else self.folder,
            env={**self._environment(where if importable else None), **variables},
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=STEP_TIMEOUT_S,
        )
        printed = self.folder / "output" / project / f"{step}.txt"
        printed.parent.mkdir(exist_ok=True)
        printed.write_text(f"{done.stdout}[exit {done.returncode}]\n", encoding="utf-8")

    def _environment(self, importable: Path | None) -> dict[str, str]:
        """Return an environment in which nothing of this machine's user is seen or written."""
        variables = {
            "PATH": os.pathsep.join((str(self.programs), os.defpath)),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "TERM": "dumb",
            # Wide enough that no line is broken where the folder's name happens to end.
            "COLUMNS": "400",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OPENAI_BASE_URL": self.standins.model_url,
            "FLUXLOOP_LLM_API_KEY": "sk-stand-in",
        }
        return variables | ({"PYTHONPATH": str(importable)} if importable else {})

    def _make_project(self, name: str, simulation: dict[str, Any] | None) -> None:
        folder = self.project(name)
        if simulation is not None:
            shutil.copytree(self.project("as_initialised"), folder)
            text = yaml.safe_dump(simulation, sort_keys=False)
            (folder / "configs" / "simulation.yaml").write_text(text, encoding="utf-8")
        shutil.copy(AGENTS, folder)
        (folder / "inputs").mkdir(exist_ok=True)
        text = yaml.safe_dump(INPUTS, sort_keys=False)
        (folder / "inputs" / "generated.yaml").write_text(text, encoding="utf-8")


def _place(request: dict[str, Any]) -> Sequence[str]:
    body = request["body"]
    return (body["start_time"], request["path"]) if isinstance(body, dict) else ("", "")
