"""Record the spans of real instrumentors: `python -m foreign_spans` in tests/, see `record-spans`.

python -m foreign_spans              each program in a process of its own, into tests/data/
python -m foreign_spans openai-gen_ai   only this one
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from foreign_spans import instrumentors, programs
from foreign_spans.recording import Recorder
from foreign_spans.standin import StandIn

FOLDER = Path(__file__).resolve().parents[1] / "data" / "foreign_spans"
# Where things lie on the machine that records is nobody's business.
_PLACES = {sys.prefix: "<env>", sys.base_prefix: "<python>", str(FOLDER.parents[2]): "<repository>"}
_LONGEST = 300
_RECORDED = ("openinference-", "opentelemetry-instrumentation-", "langfuse", "langchain", "openai")


def names(*, earlier: bool = False) -> list[str]:
    """Return what is recorded: `<library>-<vocabulary>`, or two vocabularies for a pair."""
    if earlier:
        return [
            f"{library}-{name}" for library, held in instrumentors.EARLIER.items() for name in held
        ]
    frameworks = [*instrumentors.CLASSES["langchain"], "langfuse"]
    providers = list(instrumentors.CLASSES["openai"])
    return [
        *(f"langchain-{name}" for name in frameworks),
        *(f"openai-{name}" for name in providers),
        "langfuse-langfuse",
        *(f"pair-{framework}-{provider}" for framework in frameworks for provider in providers),
    ]


def record(name: str) -> None:
    """Run one program in this process and store what its spans were."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider

    program, *vocabularies = name.split("-")
    provider = TracerProvider(
        resource=Resource({}), span_limits=SpanLimits(max_span_attributes=1024)
    )
    trace.set_tracer_provider(provider)
    recorder = Recorder()
    provider.add_span_processor(recorder)
    handlers: list[Any] = []
    if program == "pair":
        handlers += instrumentors.turn_on("langchain", vocabularies[0], provider)
        handlers += instrumentors.turn_on("openai", vocabularies[1], provider)
    elif program == "langfuse":
        instrumentors.langfuse_client(provider)
    else:
        handlers += instrumentors.turn_on(program, vocabularies[0], provider)
    standin = StandIn()
    getattr(programs, program)(provider.get_tracer("program"), standin, handlers)
    standin.close()
    header = {"served": standin.served, "versions": _versions()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    steps = _cut(recorder.steps) if program == "pair" else recorder.steps
    text = "".join(json.dumps(line) + "\n" for line in (header, *steps))
    for path, said in _PLACES.items():
        text = text.replace(path, said)
    address = standin.url.partition("//")[2].partition("/")[0]
    port = address.partition(":")[2]
    text = text.replace(address, "127.0.0.1:1").replace(f": {port},", ": 1,")
    (FOLDER / f"{name}.jsonl").write_text(text)
    # What an instrumentor left running, and Langfuse's attempts to send, end here.
    sys.stdout.flush()
    os._exit(0)


def _cut(value: Any) -> Any:
    """Return the value with long texts cut: of a pair it matters what was counted."""
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cut(item) for item in value]
    return value[:_LONGEST] if isinstance(value, str) else value


def _versions() -> dict[str, str]:
    found = {dist.name: dist.version for dist in importlib.metadata.distributions()}
    return {name: found[name] for name in sorted(found) if name.startswith(_RECORDED)}


def main() -> int:
    """Record what is named, or everything; return the exit code."""
    earlier = sys.argv[1:] == ["--earlier"]
    if sys.argv[1:] and not earlier:
        record(sys.argv[1])
    variables = (
        instrumentors.VARIABLES if earlier else instrumentors.VARIABLES | instrumentors.TODAY
    )
    failed = []
    for name in names(earlier=earlier):
        done = subprocess.run(
            [sys.executable, "-m", "foreign_spans", name],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=180,
        )
        print("failed" if done.returncode else "ok", name, flush=True)
        if done.returncode:
            failed.append(name)
            print(done.stderr[-3000:], file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main())
