"""The projects that both environments run, and what comes out of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

# One entry names its persona at its top level, one in its metadata: the CLI takes both.
INPUTS = {
    "generation_config": {"provider": "openai", "strategies": ["rephrase", "concise"]},
    "inputs": [
        {"input": "How do I start?", "strategy": "rephrase", "persona": "novice_user"},
        {"input": "Show me", "metadata": {"persona": "expert_user", "strategy": "concise"}},
    ],
}


@dataclass(frozen=True)
class Scenario:
    """One project: how it is configured and run, and what its runs give.

    Attributes:
        simulation: What is written to `configs/simulation.yaml`; None keeps what `init` wrote.
        outputs: The final outputs of the runs, in their order; None where they are ids.
        observations: How many observations a run has; None where the two SDKs do not agree.
        failed: Whether every run fails.
        arguments: More arguments of `run experiment`.
        recording: Which recording is put into the project before it runs.
        importable: Whether the project's folder is on PYTHONPATH, as its target needs.
        evaluated: Whether `evaluate experiment` is run too.
    """

    name: str
    simulation: dict[str, Any] | None
    outputs: tuple[str, ...] | None
    observations: int | None
    failed: bool = False
    arguments: tuple[str, ...] = ()
    recording: str | None = None
    importable: bool = False
    evaluated: bool = False


def _project(name: str, target: str, **more: Any) -> dict[str, Any]:
    runner = {"target": target, "working_directory": ".", **more.pop("runner", {})}
    return {"name": name, "iterations": 1, "runner": runner, **more}


# The documents' file, as it stands in them.
DOCUMENTED = yaml.safe_load(
    """
runner:
  target: "agents:function"  # Your decorated function
  iterations: 10
"""
)


def _collected(name: str, url: str) -> dict[str, Any]:
    return _project(name, "agents:Desk.answer", collector_url=url, collector_api_key="ck-1")


def _replayed(name: str, target: str) -> dict[str, Any]:
    replay = {"enabled": True, "recording_file": "recordings/args_recording.jsonl"}
    return _project(name, target, replay_args=replay)


_TURNS = {
    "enabled": True,
    "max_turns": 3,
    "supervisor": {
        "provider": "mock",
        "metadata": {"scripted_questions": ["And then?", "Why?"], "mock_closing": "Thanks."},
    },
}
_DESK = ("4 words, run 0, for novice_user", "2 words, run 0, for expert_user")
_PIECES = ("one two How do I start?", "one two Show me")
_HEARD = ("heard: How do I start?", "heard: Show me")
# What was sent to the callback, which the CLI writes as it was called.
_SENT = ('["ws-1", {"text": "4: How do I start?"}]', '["ws-1", {"text": "2: Show me"}]')


def scenarios(collector_url: str, otlp_url: str, dead_url: str) -> list[Scenario]:
    """Return the projects, with the addresses of the stand-ins of this run."""
    return [
        Scenario(
            "as_initialised",
            None,
            (
                "I can assist you with various tasks. What would you like to know?",
                "I'm not sure I understand. Could you please rephrase?",
            ),
            3,
            evaluated=True,
        ),
        Scenario("function", _project("function", "agents:function"), _HEARD, 1),
        Scenario(
            "class",
            _project("class", "agents:Desk.answer", iterations=2),
            (*_DESK, *(text.replace("run 0", "run 1") for text in _DESK)),
            4,
            evaluated=True,
        ),
        Scenario(
            "factory",
            _project(
                "factory",
                "agents:Greeter.greet",
                runner={"factory": "agents:greeter", "factory_kwargs": {"greeting": "hello"}},
                input_template="{input} (asked)",
            ),
            ("hello: How do I start? (asked)", "hello: Show me (asked)"),
            1,
        ),
        Scenario("strings", _project("strings", "agents:stream_strings"), _PIECES, 1),
        Scenario("mappings", _project("mappings", "agents:stream_mappings"), _PIECES, 1),
        Scenario(
            "undecorated",
            _project(
                "undecorated",
                "agents:stream_undecorated",
                runner={"stream_output_path": "message.delta"},
            ),
            _PIECES,
            6,
        ),
        Scenario("failing", _project("failing", "agents:failing"), (), 3, failed=True),
        Scenario(
            "replay_own",
            _replayed("replay_own", "agents:Handler.handle"),
            _SENT,
            3,
            recording="own",
        ),
        Scenario(
            "replay_published",
            _replayed("replay_published", "agents:Handler.handle"),
            _SENT,
            3,
            recording="published",
        ),
        Scenario(
            "replay_ours",
            _replayed("replay_ours", "agents:Clerk.handle"),
            _SENT,
            3,
            recording="ours",
        ),
        Scenario("documented", DOCUMENTED, _HEARD * 10, 1, importable=True, evaluated=True),
        Scenario("blocks", _project("blocks", "agents:blocks"), ("4 and 4", "2 and 2"), None),
        Scenario("trace_id", _project("trace_id", "agents:trace_id"), None, 1),
        Scenario(
            "resetting",
            _project("resetting", "agents:resetting"),
            ("after a reset: 4", "after a reset: 2"),
            3,
        ),
        Scenario(
            "turns",
            _project("turns", "agents:turns", multi_turn=_TURNS),
            ("turn 5, approved True: Why?",) * 2,
            12,
        ),
        Scenario("collected", _collected("collected", collector_url), _DESK, None),
        Scenario("refused", _collected("refused", otlp_url), _DESK, 4),
        Scenario("dead", _collected("dead", dead_url), _DESK, 4),
        Scenario(
            "not_collected",
            _collected("not_collected", dead_url),
            _DESK,
            4,
            arguments=("--no-collector",),
        ),
    ]


# What the CLI says of a configuration that is wrong: the message comes from our models.
REFUSED = {
    "too_many": _project("too_many", "agents:function", iterations=5000),
    "no_runner": {"name": "no_runner"},
}

# Shown and not run: the CLI makes the experiment's folder all the same.
DRY = _project("dry", "agents:function")
