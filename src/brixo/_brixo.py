"""`Brixo`: translation of the Brixo SDK's calls into Spanwise's, and nothing more."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import spanwise
from brixo import _once, _signals
from spanwise import _feedback, _guard, _observe, _originals, _state, semconv
from spanwise._configure import apply, first_use
from spanwise._environment import Environment
from spanwise._observation import NO_OBSERVATION

if TYPE_CHECKING:
    from spanwise._observe import Block
    from spanwise._settings import SettingsKeywords
    from spanwise._state import Runtime

logger = logging.getLogger("brixo")

DEFAULT_ENDPOINT = "https://otel.brixo.com:4318/v1/traces"
TRACES_DIR = "traces"

_REQUIRED = {
    semconv.ACCOUNT_ID: "account.id",
    semconv.ACCOUNT_NAME: "account.name",
    semconv.USER_ID: "user.id",
    semconv.USER_NAME: "user.name",
    semconv.SESSION_ID: "session_id",
}
_VALUES = ("thumbs_up", "thumbs_down")
# What each switch of `init` keeps from span processors that the program adds by itself. The
# interaction itself, of our own scope, goes with what the Traceloop SDK made of it.
_OPENINFERENCE_SCOPES = ("openinference.instrumentation",)
_TRACELOOP_SCOPES = ("opentelemetry.instrumentation", "traceloop.tracer", "spanwise")


class Brixo:
    """Entry point of the Brixo SDK; all of its methods are static."""

    @staticmethod
    def init(
        app_name: str,
        environment: str,
        api_key: str | None = None,
        agent_version: str | None = None,
        filter_openinference_spans: bool = True,
        filter_traceloop_spans: bool = True,
    ) -> None:
        """Set up tracing, once; a later call is ignored, with a warning if it differs.

        Args:
            app_name: name of the agent application.
            environment: where it runs, such as `production`.
            api_key: for the Brixo backend; by default `BRIXO_API_KEY`. Without one spans go to
                `./traces` only.
            agent_version: version of the agent.
            filter_openinference_spans: keep spans of OpenInference's instrumentors, which hold
                personal data, from span processors that the program itself adds later; what
                goes to Brixo and into files is not affected.
            filter_traceloop_spans: likewise those of OpenTelemetry's and Traceloop's
                instrumentors, and the interaction and all that Spanwise's decorators make.

        Raises:
            ConfigurationError: a value cannot be used; `init` may then be tried again.
        """
        arguments = (
            app_name,
            environment,
            api_key,
            agent_version,
            filter_openinference_spans,
            filter_traceloop_spans,
        )
        with _once.claim(arguments) as is_first:
            if is_first:
                _originals.tell_if_installed("brixo")
                _set_up(app_name, environment, api_key, agent_version)
                _withhold(
                    *(_OPENINFERENCE_SCOPES if filter_openinference_spans else ()),
                    *(_TRACELOOP_SCOPES if filter_traceloop_spans else ()),
                )

    @staticmethod
    def interaction(name: str | None = None) -> Block:
        """Mark a function as one user interaction: one request, one response, one trace.

        Args:
            name: of the interaction; the function's own name by default.
        """
        return _Interaction(name)

    @staticmethod
    def begin_context(
        account: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        input: str | None = None,
        output: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Say who the interaction is for and what it was given; from any depth inside it.

        Args:
            account: `id`, `name`, `logo_url`, `website_url` and what else is known of it.
            user: `id`, `name`, `email` and what else is known.
            session_id: ties interactions together.
            metadata: facts of the interaction.
            input: what the user asked.
            output: what the agent answered.
            message_id: id of the agent's message, to which feedback can refer.
        """
        _add("begin_context", account, user, session_id, metadata, input, output, message_id)

    @staticmethod
    def update_context(
        account: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        input: str | None = None,
        output: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Add to what `begin_context` said, or replace it; the arguments are the same."""
        _add("update_context", account, user, session_id, metadata, input, output, message_id)

    @staticmethod
    def end_context(
        account: Mapping[str, Any] | None = None,
        user: Mapping[str, Any] | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        input: str | None = None,
        output: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Say what is known at the end, most of all `output`; the arguments are the same.

        The interaction is marked as told; a later call still adds to it, and that is marked too.
        """
        _add("end_context", account, user, session_id, metadata, input, output, message_id)

    @staticmethod
    def feedback(
        message_id: str | int | UUID | None = None,
        session_id: str | int | UUID | None = None,
        value: Literal["thumbs_up", "thumbs_down"] | None = None,
        user_message: str | None = None,
        occurred_at: datetime | str | None = None,
    ) -> None:
        """Say what a user thought of a message, or of a conversation; never waits.

        It is kept in the local files, in the trace of the message, and with an API key sent to
        Brixo. What Brixo makes of it is logged where it is refused.

        Args:
            message_id: of the message, as it was given to the context calls.
            session_id: of the conversation; one of the two is needed, and not both.
            value: `thumbs_up` or `thumbs_down`.
            user_message: what the user said in their own words.
            occurred_at: when they said it: a datetime, or a text as in RFC 3339.

        Raises:
            ValueError: a value that cannot be used, or not exactly one of the ids.
            TypeError: a value of a type that cannot be used.
        """
        if (message_id is None) == (session_id is None):
            raise ValueError("Brixo.feedback() needs either a message_id or a session_id")
        if value not in _VALUES:
            raise ValueError(f"value must be {' or '.join(map(repr, _VALUES))}, not {value!r:.80}")
        message = _feedback.id_text("message_id", message_id)
        session = _feedback.id_text("session_id", session_id)
        if (message or session) in (".", ".."):
            raise ValueError("an id that is nothing but dots cannot be told to Brixo")
        moment = _feedback.rfc_3339(occurred_at)
        _feedback.keep(
            message, session, value, user_message, "feedback", moment, first_use=_first_use
        )
        with _guard.guard("brixo.feedback"):
            _send_feedback(message, session, value, user_message, moment)


class _Interaction(_observe.Block):
    """The decorator of `Brixo.interaction`."""

    __slots__ = ()

    def __init__(self, name: str | None) -> None:
        super().__init__(
            "interaction", name, {"first_use": _first_use, "on_end": _tell_what_is_missing}
        )


def _set_up(
    app_name: str, environment: str, api_key: str | None, agent_version: str | None
) -> None:
    variables = Environment.read()
    key = api_key or variables.get("BRIXO_API_KEY")
    defaults: dict[str, Any] = {"traces_dir": TRACES_DIR}
    settings: SettingsKeywords = {
        "service_name": app_name,
        "environment": environment,
        "instrument": True,
    }
    if agent_version is not None:
        settings["service_version"] = agent_version
    if key:
        settings["destinations"] = [
            spanwise.Destination(
                endpoint=variables.get("BRIXO_OTLP_TRACES_ENDPOINT") or DEFAULT_ENDPOINT,
                headers={"Brixo-Auth": f"Bearer {key}"},
                dialects=("brixo",),
                credential="BRIXO_API_KEY",
            )
        ]
    else:
        logger.error("BRIXO_API_KEY is not set: nothing is sent to Brixo, traces are kept in files")
    apply(settings, defaults=None if key else defaults)


def _withhold(*scopes: str) -> None:
    # A provider that the application made is fed as its maker wanted it.
    if _state.runtime is not None and _state.runtime.owns_provider:
        _state.runtime.provider.withhold(scopes)


def _send_feedback(
    message_id: str | None,
    session_id: str | None,
    value: str,
    user_message: str | None,
    occurred_at: str | None,
) -> None:
    runtime = _state.runtime
    if runtime is None:  # switched off, or shut down
        return
    signals = _signals.sender(_once.api_key())
    if signals is None:
        _guard.warn("brixo.feedback", "BRIXO_API_KEY is not set: feedback is kept in files only")
        return
    attributes: dict[str, Any] = {"name": "feedback", "value": value}
    if occurred_at is not None:
        attributes["occurred_at"] = occurred_at
    if user_message is not None and runtime.settings.capture_content:
        attributes["user_message"] = runtime.encoder.text(user_message)
    if message_id is not None:
        signals.send("message", message_id, attributes)
    else:
        signals.send("conversation", str(session_id), attributes)


def _first_use() -> Runtime | None:
    _originals.tell_if_installed("brixo")
    return first_use(defaults={"traces_dir": TRACES_DIR})


def _add(
    caller: str,
    account: Mapping[str, Any] | None,
    user: Mapping[str, Any] | None,
    session_id: str | None,
    metadata: Mapping[str, Any] | None,
    input: str | None,
    output: str | None,
    message_id: str | None,
) -> None:
    interaction = spanwise.current_interaction()
    if interaction is NO_OBSERVATION:
        if not _state.is_off:
            logger.error(
                "Brixo.%s() was called outside an interaction and is ignored; decorate the "
                "function that handles the request with @Brixo.interaction(...)",
                caller,
            )
        return
    interaction.identify(user=user, account=account, session_id=session_id, message_id=message_id)
    if input is not None:
        interaction.update(input=input)
    if output is not None:
        interaction.update(output=output)
    if metadata is not None:
        interaction.update(metadata=metadata)
    with _guard.guard("brixo.context"):
        _note_the_end(interaction, is_end=caller == "end_context")


def _note_the_end(interaction: spanwise.Observation, *, is_end: bool) -> None:
    """Mark that the program has told everything, or that it told more after that."""
    known = getattr(interaction.span, "attributes", None) or {}
    if semconv.INTERACTION_CONTEXT_CLOSED in known:
        mark = semconv.INTERACTION_CONTEXT_REOPENED
    elif is_end:
        mark = semconv.INTERACTION_CONTEXT_CLOSED
    else:
        return
    interaction.span.set_attribute(mark, True)


def _tell_what_is_missing(interaction: spanwise.Observation) -> None:
    if not interaction.is_recording():
        return
    known = interaction.identity()
    missing = [label for key, label in _REQUIRED.items() if key not in known]
    missing += [name for name in ("input", "output") if not interaction.was_given(name)]
    if missing:
        logger.warning(
            "The following required attributes are missing from your Brixo SDK traces: %s "
            "(of the interaction %r; set them with Brixo.begin_context(), update_context() or "
            "end_context())",
            ", ".join(missing),
            interaction.name,
        )
