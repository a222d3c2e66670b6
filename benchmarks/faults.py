"""What arrives when things go wrong: OpenTelemetry's own pipeline and Spanwise's, side by side.

    python benchmarks/faults.py           # all of it, about six minutes; writes docs/delivery.md
    python benchmarks/faults.py --quick   # small numbers, printed only
    python benchmarks/faults.py --quick --only SIGKILL

Each scenario runs once for each pipeline, in processes of their own and with a collector of their
own: a process that makes spans while something goes wrong, and then, with the fault mended, the
next process of the same program, which makes one span, flushes and exits, as after any restart.
The process reports the id of each span after its end, by one `write` (of a burst, when it is over);
the collector keeps the ids of those it accepted. Both pipelines get the same spans from the same code, with their defaults.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import dataclasses
import json
import multiprocessing
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import trace

if TYPE_CHECKING:
    from support.faulty_collector import CollectorProcess

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "delivery.md"
BEGIN = "<!-- begin: benchmarks/faults.py -->"
END = "<!-- end -->"
PIPELINES = ("stock", "Spanwise")
POISON = "poison"

# --- the child: one process of a program that makes spans ---------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What one process has to do.

    Attributes:
        pipeline: one of PIPELINES.
        work: name in WORKS.
        spans: how many, where the work is not to go on until it is stopped.
        over_s: seconds to spread them over; 0 for as fast as they can be made.
        endpoint: base address of the collector.
        spool: folder for what Spanwise keeps.
        produced: file for the ids of the spans that ended, one a line.
        finished: file for the moment at which the work was done, on the monotonic clock.
    """

    pipeline: str
    work: str
    spans: int
    over_s: float
    endpoint: str
    spool: str
    produced: str
    finished: str


class Program:
    """A process with its pipeline set up as its documentation says.

    Attributes:
        job: what it has to do.
        flush: wait until what ended has been sent.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._produced = os.open(job.produced, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.flush = _set_up_stock(job) if job.pipeline == "stock" else _set_up_spanwise(job)
        self._tracer = trace.get_tracer("benchmarks.faults")

    def span(self, number: int, name: str = "work") -> int:
        """Make one span, and return its id."""
        attributes: dict[str, str | int] = {"number": number, "text": "what a tool was asked to do"}
        with self._tracer.start_as_current_span(name, attributes=attributes) as span:
            pass
        return span.get_span_context().span_id

    def report(self, *ids: int) -> None:
        """Say that these spans ended."""
        os.write(self._produced, b"".join([b"%016x\n" % span_id for span_id in ids]))

    def many(self, spans: int) -> None:
        """Make and report so many one by one, spread over the time that the job gives."""
        began = time.monotonic()
        for number in range(spans):
            self.report(self.span(number))
            if self.job.over_s:
                due = began + self.job.over_s * (number + 1) / spans
                time.sleep(max(0.0, due - time.monotonic()))

    def burst(self, spans: int) -> None:
        """Make so many in a tight loop, and report them after it.

        A write after each would let the thread that sends have a turn, which nothing in a burst
        does.
        """
        self.report(*[self.span(number) for number in range(spans)])


def _set_up_stock(job: Job) -> Callable[[], object]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{job.endpoint}/v1/traces"))
    )
    trace.set_tracer_provider(provider)
    return provider.force_flush


def _set_up_spanwise(job: Job) -> Callable[[], object]:
    import spanwise

    spanwise.configure(otlp_endpoint=job.endpoint, spool_dir=job.spool)
    return spanwise.flush


def in_one_thread(program: Program) -> None:
    """Make the spans one after the other."""
    program.many(program.job.spans)


def in_a_burst(program: Program) -> None:
    """Make the spans as fast as they can be made."""
    program.burst(program.job.spans)


def in_eight_threads(program: Program) -> None:
    """Make an eighth of the spans in each of eight threads, as fast as they can be made."""
    share = program.job.spans // 8
    threads = [threading.Thread(target=program.burst, args=(share,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def in_tasks(program: Program) -> None:
    """Make the spans in a hundred tasks that take turns."""

    async def task(share: int) -> None:
        ids = []
        for number in range(share):
            ids.append(program.span(number))
            await asyncio.sleep(0)
        program.report(*ids)

    async def tasks() -> None:
        await asyncio.gather(*[task(program.job.spans // 100) for _ in range(100)])

    asyncio.run(tasks())


def with_a_poison_span(program: Program) -> None:
    """Make the spans, one of which, in the middle, has a name that the collector refuses."""
    program.many(program.job.spans // 2)
    program.report(program.span(0, POISON))
    program.many(program.job.spans - program.job.spans // 2 - 1)


def then_os_exit(program: Program) -> None:
    """Make the spans, and leave without any of what Python does at an exit."""
    program.many(program.job.spans)
    os._exit(0)


def then_segmentation_fault(program: Program) -> None:
    """Make the spans, and read the memory at address 0."""
    program.many(program.job.spans)
    ctypes.string_at(0)


def in_daemon_threads(program: Program) -> None:
    """Leave while four daemon threads are still making spans."""
    for _ in range(4):
        threading.Thread(target=program.many, args=(program.job.spans // 4,), daemon=True).start()
    time.sleep(program.job.over_s / 8)


def in_forked_children(program: Program) -> None:
    """Fork three children once the connection to the collector is open; all four make spans."""
    share = program.job.spans // 4
    program.report(program.span(0))
    program.flush()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            program.many(share)
            return  # to the usual exit of a process
        children.append(child)
    program.many(share - 1)
    for child in children:
        os.waitpid(child, 0)


_worker: Program | None = None  # of a process of a pool, which is handed functions only


def in_a_forking_pool(program: Program) -> None:
    """Make the spans in the four processes of a Pool."""
    _in_a_pool(program, "fork")


def in_a_spawning_pool(program: Program) -> None:
    """Make the spans in the four processes of a Pool, which set up the pipeline themselves."""
    _in_a_pool(program, "spawn")


def _in_a_pool(program: Program, method: str) -> None:
    global _worker
    _worker = program
    jobs = 40
    with multiprocessing.get_context(method).Pool(4, _start_worker, (program.job,)) as pool:
        pool.map(_work, [program.job.spans // jobs] * jobs)


def _start_worker(job: Job) -> None:
    global _worker
    if _worker is None:
        _worker = Program(job)


def _work(spans: int) -> None:
    cast("Program", _worker).many(spans)


def then_flush(program: Program) -> None:
    """Make the spans and flush: what the next process does, with one."""
    program.many(program.job.spans)
    program.flush()


WORKS: Mapping[str, Callable[[Program], None]] = {
    function.__name__: function
    for function in (
        in_one_thread,
        in_a_burst,
        in_eight_threads,
        in_tasks,
        with_a_poison_span,
        then_os_exit,
        then_segmentation_fault,
        in_daemon_threads,
        in_forked_children,
        in_a_forking_pool,
        in_a_spawning_pool,
        then_flush,
    )
}


def child(job: Job) -> None:
    """Be a process of the program."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    WORKS[job.work](Program(job))
    Path(job.finished).write_text(str(time.monotonic()), encoding="ascii")


# --- the scenarios ------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Situation:
    """What a step of a scenario can act on."""

    collector: CollectorProcess
    process: subprocess.Popen[bytes]


Step = tuple[float, Callable[[Situation], object]]


def kill_collector(situation: Situation) -> None:
    """Take the collector away."""
    situation.collector.kill()


def start_collector(situation: Situation) -> None:
    """Bring the collector back."""
    situation.collector.start()


def restart_collector(situation: Situation) -> None:
    """Take the collector away for a moment."""
    situation.collector.kill()
    situation.collector.start()


def mend(situation: Situation) -> None:
    """Have the collector accept what comes."""
    from support.faulty_collector import Behaviour

    situation.collector.behaviour = Behaviour()


def sends(number: signal.Signals) -> Callable[[Situation], None]:
    """Return the step that sends the process a signal."""
    return lambda situation: situation.process.send_signal(number)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row of the table.

    Attributes:
        fault: what goes wrong.
        work: what the process does.
        spans: how many it makes.
        over_s: seconds that it spreads them over.
        behaviour: keywords of the collector's Behaviour; None where it is dead at first.
        steps: what happens so many seconds after the first span.
        ends_with: return code that the process has to end with.
        is_mended: the collector accepts everything from the end of the process on.
        shows_exit: the row says how long the process took to end once its work was done.
        limit_s: seconds after which the process is killed.
    """

    fault: str
    work: Callable[[Program], None] = in_one_thread
    spans: int = 1000
    over_s: float = 0
    behaviour: Mapping[str, Any] | None = dataclasses.field(default_factory=dict)
    steps: Sequence[Step] = ()
    ends_with: int = 0
    is_mended: bool = True
    shows_exit: bool = False
    limit_s: float = 60


SCENARIOS = (
    Scenario(fault="none: a burst from one thread", work=in_a_burst, spans=50_000),
    Scenario(fault="none: a burst from 8 threads", work=in_eight_threads, spans=50_000),
    Scenario(fault="none: a burst from 100 asyncio tasks", work=in_tasks, spans=50_000),
    Scenario(
        fault="SIGTERM",
        spans=2000,
        over_s=4,
        steps=[(2, sends(signal.SIGTERM))],
        ends_with=-signal.SIGTERM,
    ),
    Scenario(
        fault="SIGKILL",
        spans=2000,
        over_s=4,
        steps=[(2, sends(signal.SIGKILL))],
        ends_with=-signal.SIGKILL,
    ),
    Scenario(fault="`os._exit`", work=then_os_exit, over_s=1),
    Scenario(
        fault="a fatal signal (SIGSEGV)",
        work=then_segmentation_fault,
        over_s=1,
        ends_with=-signal.SIGSEGV,
    ),
    Scenario(
        fault="exit while daemon threads make spans",
        work=in_daemon_threads,
        spans=16_000,
        over_s=8,
        shows_exit=True,
    ),
    Scenario(fault="`os.fork` with a warm connection", work=in_forked_children, spans=8000),
    Scenario(fault="`multiprocessing.Pool` (fork)", work=in_a_forking_pool),
    Scenario(fault="`multiprocessing.Pool` (spawn)", work=in_a_spawning_pool),
    Scenario(
        fault="collector dead until the next process",
        behaviour=None,
        shows_exit=True,
    ),
    Scenario(
        fault="collector dead for 9 s of 12",
        spans=6000,
        over_s=12,
        behaviour={},
        steps=[(1, kill_collector), (10, start_collector)],
    ),
    Scenario(
        fault="collector killed and restarted, three times",
        spans=6000,
        over_s=6,
        steps=[(1.5, restart_collector), (3, restart_collector), (4.5, restart_collector)],
    ),
    Scenario(
        fault="collector takes requests and never answers",
        behaviour={"fault": "hang"},
        shows_exit=True,
    ),
    Scenario(
        fault="collector does not even read",
        behaviour={"fault": "hang_before_reading"},
        shows_exit=True,
    ),
    Scenario(
        fault="collector resets every connection",
        behaviour={"fault": "reset"},
        shows_exit=True,
    ),
    Scenario(
        fault="collector's acknowledgements are lost, three times",
        spans=3000,
        over_s=3,
        behaviour={"fault": "lose_ack", "times": 3},
    ),
    Scenario(
        fault="collector answers one byte every 0.2 s",
        behaviour={"fault": "drip"},
        shows_exit=True,
    ),
    Scenario(
        fault="503, to be retried after 3 s, six times",
        spans=6000,
        over_s=6,
        behaviour={"status": 503, "retry_after": "3", "times": 6},
        shows_exit=True,
    ),
    Scenario(
        fault="500 for 3 s of 6",
        spans=6000,
        over_s=6,
        behaviour={"status": 500},
        steps=[(3, mend)],
    ),
    Scenario(
        fault="401 for 3 s of 6",
        spans=6000,
        over_s=6,
        behaviour={"status": 401},
        steps=[(3, mend)],
    ),
    Scenario(
        fault="400 for any request with one certain span, which cannot arrive",
        work=with_a_poison_span,
        behaviour={"refuse_names": [POISON]},
        is_mended=False,
    ),
    Scenario(
        fault="413 for requests above 50 kB",
        behaviour={"max_bytes": 50_000},
        is_mended=False,
    ),
    Scenario(
        fault="302 to elsewhere until the next process",
        behaviour={"status": 302, "location": "http://127.0.0.1:9/v1/traces"},
    ),
)

# --- the runner ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the spans of one scenario in one pipeline.

    Attributes:
        produced: spans that ended, as the process said.
        arrived: those of them that the collector accepted.
        doubled: how many times more than once.
        exit_s: seconds from the end of the work to that of the process, if it ended by itself.
        problem: why the scenario could not be carried out as it should.
    """

    produced: int = 0
    arrived: int = 0
    doubled: int = 0
    exit_s: float | None = None
    problem: str | None = None


def run(scenario: Scenario, pipeline: str, fewer: int) -> Outcome:
    """Run one scenario in one pipeline; what goes wrong with that is a part of the outcome.

    Args:
        scenario: what happens.
        pipeline: one of PIPELINES.
        fewer: divides the number of spans.
    """
    try:
        return _run(scenario, pipeline, fewer)
    except Exception as error:  # noqa: BLE001 - the table says it, and the other rows are made
        return Outcome(problem=f"could not be run: {error!r}")


def _run(scenario: Scenario, pipeline: str, fewer: int) -> Outcome:
    from support.faulty_collector import Behaviour, CollectorProcess

    with tempfile.TemporaryDirectory() as name, CollectorProcess(Path(name, "record")) as collector:
        if scenario.behaviour is not None:
            collector.start(Behaviour(**scenario.behaviour))
        first = Job(
            pipeline=pipeline,
            work=scenario.work.__name__,
            spans=scenario.spans // fewer,
            over_s=scenario.over_s,
            endpoint=collector.url,
            spool=str(Path(name, "spool")),
            produced=str(Path(name, "produced")),
            finished=str(Path(name, "finished")),
        )
        following = dataclasses.replace(
            first,
            work=then_flush.__name__,
            spans=1,
            over_s=0,
            produced=str(Path(name, "produced-next")),
            finished=str(Path(name, "finished-next")),
        )
        exit_s, problem = _process(first, collector, scenario, Path(name))
        collector.start()
        if scenario.is_mended:
            collector.behaviour = Behaviour()
        _, next_problem = _process(following, collector, Scenario(fault="next"), Path(name))
        if problem is None and next_problem is not None:
            problem = f"the next process {next_problem}"
        produced = set(_lines(Path(first.produced)))
        received = Counter(collector.spans)
        return Outcome(
            produced=len(produced),
            arrived=len(produced & received.keys()),
            doubled=sum(received[span_id] - 1 for span_id in produced & received.keys()),
            exit_s=exit_s,
            problem=problem,
        )


def _process(
    job: Job, collector: CollectorProcess, scenario: Scenario, folder: Path
) -> tuple[float | None, str | None]:
    """Run one process of the program; return how long its exit took, and what went wrong."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "SPANWISE_"))
    }
    log = folder / "log"
    began = time.monotonic()
    with open(log, "wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, __file__, "--child", json.dumps(dataclasses.asdict(job))],
            cwd=folder,
            env=environment,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        _take_steps(scenario.steps, Situation(collector, process), job)
        code = process.wait(max(0.1, began + scenario.limit_s - time.monotonic()))
        ended = time.monotonic()
    except subprocess.TimeoutExpired:
        return None, f"did not end within {scenario.limit_s:.0f} s"
    finally:
        _end_all(process)
    if code != scenario.ends_with:
        said = (_lines(log) or ["nothing"])[-1]
        return None, f"ended with {code}, not {scenario.ends_with}; it said: {said}"
    if not Path(job.finished).exists():
        return None, None
    return ended - float(Path(job.finished).read_text(encoding="ascii")), None


def _take_steps(steps: Sequence[Step], situation: Situation, job: Job) -> None:
    """Do what is to happen, each step so long after the process made its first span."""
    until = time.monotonic() + 30
    produced = Path(job.produced)
    while not (produced.exists() and produced.stat().st_size):
        if situation.process.poll() is not None or time.monotonic() > until:
            return
        time.sleep(0.01)
    began = time.monotonic()
    for after_s, act in steps:
        time.sleep(max(0.0, began + after_s - time.monotonic()))
        act(situation)


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End the process and its children, if there are any left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait(30)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


# --- the table ----------------------------------------------------------------------------------

HEADER = (
    "| fault | produced | stock arrived | stock doubled "
    "| Spanwise arrived | Spanwise doubled | exit, stock / Spanwise |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def row(scenario: Scenario, outcomes: Sequence[Outcome]) -> str:
    """Return the line of a scenario; what failed says so in its cells."""
    produced = list(dict.fromkeys(f"{outcome.produced:,}" for outcome in outcomes))
    cells = [scenario.fault, " / ".join(produced)]
    for outcome in outcomes:
        if outcome.problem is None:
            cells += [_arrived(outcome), f"{outcome.doubled:,}"]
        else:
            cells += [f"{_arrived(outcome)}; FAILED: {outcome.problem.replace('|', '/')}", ""]
    exits = [
        "?" if outcome.exit_s is None else f"{outcome.exit_s:.1f} s"
        for outcome in outcomes
        if scenario.shows_exit
    ]
    return f"| {' | '.join([*cells, ' / '.join(exits)])} |"


def _arrived(outcome: Outcome) -> str:
    if outcome.arrived == outcome.produced:
        return f"{outcome.arrived:,}"
    return f"{outcome.arrived:,} ({100 * outcome.arrived / max(1, outcome.produced):.1f} %)"


def notes() -> str:
    """Return what the numbers are of, and what they were measured with."""
    return (
        "Stock is `TracerProvider`, `BatchSpanProcessor` and `OTLPSpanExporter` (HTTP), and both "
        "pipelines have their defaults. Arrived is what the collector had accepted when the next "
        "process of the same program had ended. A burst is a tight loop that does nothing but "
        "make spans.\n\n"
        f"OpenTelemetry SDK {metadata.version('opentelemetry-sdk')}, "
        f"Spanwise {metadata.version('spanwise')}, Python {platform.python_version()}, "
        f"{platform.system()} on {platform.machine()} with {os.cpu_count()} cores. "
        "Made by `python benchmarks/faults.py`."
    )


def write(table: str) -> None:
    """Put the table between the markers of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE.relative_to(ROOT)} does not have the markers {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Run the scenarios, show the table, and write it to the documentation."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="small numbers; nothing is written")
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios with this text")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(Job(**json.loads(arguments.child)))
        return
    sys.path.insert(0, str(ROOT / "tests"))
    lines = [HEADER]
    print(HEADER, flush=True)
    for scenario in SCENARIOS:
        if arguments.only.lower() in scenario.fault.lower():
            outcomes = [run(scenario, name, 5 if arguments.quick else 1) for name in PIPELINES]
            lines.append(row(scenario, outcomes))
            print(lines[-1], flush=True)
    lines += ["", notes()]
    print("\n".join(lines[-2:]))
    if not arguments.quick and not arguments.only:
        write("\n".join(lines))


if __name__ == "__main__":
    main()
