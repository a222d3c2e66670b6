"""Where our files differ from the published SDK's, each with its reason."""

from __future__ import annotations

from cli_compat.differences import ABSENT, Meant, Place

_OBSERVATIONS = "*/observations.jsonl"
_TIMELINE = "*/per_trace.jsonl"
_MARKDOWN = "*/per_trace_analysis/*.md"
_OBJECT = '"<agents.* object at <address>>"'
_GENERATOR = '"<async_generator object stream_* at <address>>"'
_FUNCTION = '"<function ArgBinder*>"'
_MARKER = '"<builtin:collector.*>"'

MEANT: tuple[Meant, ...] = (
    Meant(
        "The object that a method is called on is no argument of it.",
        (
            Place(_OBSERVATIONS, "*.input.self", _OBJECT, ABSENT),
            Place(_TIMELINE, "*.input.self", _OBJECT, ABSENT),
            Place("collector/*.jsonl", "*.input.self", _OBJECT, ABSENT),
            Place(_MARKDOWN, "line", f'  "self": {_OBJECT},', ""),
        ),
    ),
    Meant(
        "A callback is written as in recordings: no address, no inside of the CLI.",
        (
            Place(_OBSERVATIONS, "*.input.send_*_callback", _FUNCTION, _MARKER),
            Place(_TIMELINE, "*.input.send_*_callback", _FUNCTION, _MARKER),
            Place(_MARKDOWN, "line", f'  "send_message_callback": {_FUNCTION}', f"*{_MARKER}"),
        ),
    ),
    Meant(
        "What a generator yields is its output: a text where it yields texts, else nothing, "
        "for the CLI joins the parts itself. The published SDK writes the generator's repr.",
        (
            Place("*/strings/*/observations.jsonl", "*.output", _GENERATOR, '"one two *"'),
            Place("*/strings/*/per_trace.jsonl", "*.output", _GENERATOR, '"one two *"'),
            Place("*/strings/*.md", "line", _GENERATOR, '"one two *"'),
            Place("*/mappings/*/observations.jsonl", "*.output", _GENERATOR, ABSENT),
            Place("*/mappings/*/per_trace.jsonl", "*.timeline.0.output", _GENERATOR, "null"),
            Place("*/mappings/*/per_trace.jsonl", "*.raw.output", _GENERATOR, ABSENT),
            Place("*/mappings/*.md", "line", f"*{_GENERATOR}*", "*"),
        ),
    ),
    Meant(
        "An observation that ended in an error says so in its level too.",
        (Place("*/failing/*/observations.jsonl", "*.level", '"info"', '"error"'),),
    ),
    Meant(
        "A block inside a block is a part of the same trace. So the CLI sees the observations "
        "in it, which the published SDK puts into traces that the CLI knows nothing of.",
        (
            Place("*/blocks/*/artifacts/traces.jsonl", "*.id"),
            Place("*/blocks/*/artifacts/observations.jsonl", "*.trace_id"),
            Place("*/blocks/*/exp_<time>/traces.jsonl", "*.observation_count", "4", "7"),
            Place("*/blocks/*/exp_<time>/trace*.jsonl", "*.actions*"),
            Place("*/blocks/*/exp_<time>/observations.jsonl", "*"),
            Place("*/blocks/*/per_trace.jsonl", "*"),
            Place("*/blocks/*.md", "line"),
            Place("output/blocks/run.txt", "line", "*Saved 8 *", "*Saved 14 *"),
        ),
    ),
    Meant(
        "A decorated call outside every block is recorded too, in the documents' files. The "
        "published SDK has nothing of it but the block that `run single` makes, in a store that "
        "the program did not ask for.",
        (
            Place("*/replay_own/traces/*.jsonl", "file", ABSENT, "(present)"),
            Place("*/replay_ours/traces/*.jsonl", "file", ABSENT, "(present)"),
            Place("*/function/traces/*.jsonl", "file", ABSENT, "(present)"),
            Place("*/function/*/artifacts/traces.jsonl", "length", "3", "2"),
        ),
    ),
    Meant(
        "Where recording is on, an agent is recorded by its decorator as well as by the program. "
        "Times say that they are UTC.",
        (
            Place("*/replay_own/recordings/*.jsonl", "length", "1", "2"),
            Place("*/replay_own/recordings/*.jsonl", "0.timestamp", '"<time>"', '"<time>+00:00"'),
            # Only we can make this one: the published SDK records what it is told to.
            Place("output/replay_ours/record_by_itself.txt", "file", ABSENT, "(present)"),
        ),
    ),
    Meant(
        "FLUXLOOP_COLLECTOR_URL of the project's .env counts, as documented; the published SDK "
        "does not read it.",
        (Place("output/as_initialised/status.txt", "line", "*URL: None*", "*localhost:8000*"),),
    ),
    Meant(
        "The CLI asks for a store, and gets one also where a collector takes everything. The "
        "published SDK writes it only for what could not be sent, so that the CLI finds nothing.",
        (
            Place("*/collected/*/artifacts/*.jsonl", "file", ABSENT, "(present)"),
            Place("*/collected/*/observations.jsonl", "file", ABSENT, "(present)"),
            Place("*/collected/*.jsonl", "*.metadata.actions", ABSENT),
            Place("*/collected/*.jsonl", "*.token_usage", ABSENT),
            Place("*/collected/*.jsonl", "*token_usage", "null"),
            Place("*/collected/*/traces.jsonl", "*.observation_count", ABSENT, "4"),
            Place("*/collected/*/per_trace.jsonl", "*.observation_count", "0", "4"),
            Place("*/collected/*/per_trace.jsonl", "*.timeline.length", "0", "4"),
            Place("*/collected/*.md", "line", "*(source=agent)*", "*actions=*"),
            Place("*/collected/*.md", "line", "(no observations recorded)"),
            Place("output/collected/parse.txt", "line", "No observations.jsonl found.*", ""),
            Place("output/collected/run.txt", "line", "", "* Saved 8 observations*"),
        ),
    ),
    Meant(
        "A server that has no /api/traces is asked once, with what ended first, and sent OTLP from "
        "then on.",
        (
            Place("collector/refused.jsonl", "length", "10", "?"),
            Place("collector/refused.jsonl", "0.*"),
        ),
    ),
    Meant(
        "What is sent to a collector is spooled first, and waits there while it is away.",
        (Place("home/.local/state/spanwise/*", "file", ABSENT, "(present)"),),
    ),
    Meant(
        "That a collector is away is said once, and where its traces are meanwhile. The published "
        "SDK says nothing.",
        (
            Place(
                "output/dead/run.txt",
                "line",
                "",
                "traces are kept in <folder>/*http://<loopback> is away, what is sent there waits*",
            ),
        ),
    ),
)
