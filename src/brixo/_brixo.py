"""`Brixo`: translation of the Brixo SDK's calls into Spanwise's, and nothing more."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import spanwise
from brixo import _once
from spanwise import _observe, _state, semconv
from spanwise._configure import apply, first_use
from spanwise._environment import Environment
from spanwise._observation import NO_OBSERVATION
from spanwise._settings import SettingsKeywords

if TYPE_CHECKING:
    from spanwise._observe import Block
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
            filter_openinference_spans: accepted for compatibility; no other exporter is fed here.
            filter_traceloop_spans: accepted for compatibility, likewise.

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
                _set_up(app_name, environment, api_key, agent_version)

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
        """Say what is known at the end, most of all `output`; the arguments are the same."""
        _add("end_context", account, user, session_id, metadata, input, output, message_id)


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
            )
        ]
    else:
        logger.error("BRIXO_API_KEY is not set: nothing is sent to Brixo, traces are kept in files")
    apply(settings, defaults=None if key else defaults)


def _first_use() -> Runtime | None:
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


def _tell_what_is_missing(interaction: spanwise.Observation) -> None:
    if not interaction.is_recording():
        return
    known = interaction.identity()
    missing = [label for key, label in _REQUIRED.items() if key not in known]
    missing += [name for name in ("input", "output") if not interaction.was_given(name)]
    if missing:
        logger.warning(
            "interaction %r ended without %s; set it with Brixo.begin_context(), "
            "update_context() or end_context()",
            interaction.name,
            ", ".join(missing),
        )
