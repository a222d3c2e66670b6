"""Each pair of instrumentors at work under Spanwise: what the model used, and what is counted.

python -m foreign_spans.live                        every pair, each in a process of its own
python -m foreign_spans.live pair-gen_ai-traceloop  only this one
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from foreign_spans import instrumentors, programs
from foreign_spans.__main__ import names
from foreign_spans.standin import StandIn


def check(name: str) -> bool:
    """Run one pair in this process, and return whether its tokens are counted once."""
    import spanwise
    from spanwise.view.store import Store

    _, framework, provider = name.split("-")
    with tempfile.TemporaryDirectory() as folder:
        spanwise.configure(traces_dir=folder)
        from opentelemetry import trace

        made = trace.get_tracer_provider()
        handlers = instrumentors.turn_on("langchain", framework, made)
        handlers += instrumentors.turn_on("openai", provider, made)
        standin = StandIn()
        programs.pair(trace.get_tracer("program"), standin, handlers)
        standin.close()
        spanwise.flush(10)
        traces = Store(Path(folder)).read().traces
    counted = {
        "input": sum(found.prompt_tokens for found in traces),
        "output": sum(found.completion_tokens for found in traces),
    }
    print(f"{name}: {counted} counted, {standin.served} used", flush=True)
    return counted == standin.served != {"input": 0, "output": 0}


def main() -> int:
    """Check what is named, or every pair; return the exit code."""
    if sys.argv[1:]:
        is_right = check(sys.argv[1])
        sys.stdout.flush()
        os._exit(not is_right)  # whatever an instrumentor left running
    variables = instrumentors.VARIABLES | instrumentors.TODAY
    wrong = []
    for name in (name for name in names() if name.startswith("pair-")):
        done = subprocess.run(
            [sys.executable, "-m", "foreign_spans.live", name],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=180,
        )
        print(done.stdout, end="", flush=True)
        if done.returncode:
            wrong.append(name)
            print(done.stderr[-3000:], file=sys.stderr)
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
