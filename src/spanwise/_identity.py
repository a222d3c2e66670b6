"""Who a call is for: user, account, session, message, tags and metadata.

A scope is referenced from the OpenTelemetry Context, so it follows the call through tasks and
(where threads are propagated) threads, and every span started below it is stamped, those of
third-party instrumentors too. The scope of an interaction is mutable: what is said of it later,
from any depth, holds for all that starts below it afterwards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry.context import Context

from spanwise import _contexts, _guard, _state, semconv
from spanwise._raw_fields import mro_of

if TYPE_CHECKING:
    from spanwise._encoding import Encoder
    from spanwise._masking import Masker
    from spanwise._observation import Observation

SCOPE = context_api.create_key("spanwise-identity")
_MOST = 128  # entries of one part of an identity, which every span below carries

AttributeValue = str | bool | int | float | tuple[str, ...]


# Imported when something is said of somebody: an import of Spanwise is to stay light.
@functools.cache
def _default_encoder() -> Encoder:
    from spanwise._encoding import Encoder

    return Encoder()


@functools.cache
def _attribute_masking() -> Callable[[Mapping[str, Any], Masker], dict[str, Any]]:
    from spanwise._masked_attributes import masked_attributes

    return masked_attributes


class Identity(dict[str, Any]):
    """Who something is for, as masked attributes that are not changed any more.

    Attributes:
        texts: what sinks remember of it, each by a key of its own.
    """

    __slots__ = ("texts",)

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        super().__init__(attributes)
        self.texts: dict[str, Any] = {}


class Scope:
    """One level of identity, over that of its parent.

    Attributes:
        own: the attributes set at this level.
        interaction: the observation whose scope this is, or the nearest one above.
    """

    __slots__ = ("_masked", "_merged", "_parent", "interaction", "own")
    # Another object each time that something more is said in any scope.
    _version = object()

    def __init__(
        self,
        parent: Scope | None,
        own: Mapping[str, AttributeValue] | None = None,
        interaction: Observation | None = None,
    ) -> None:
        self._parent = parent
        self._merged: tuple[Any, dict[str, AttributeValue]] | None = None
        self._masked: tuple[Any, Masker, Identity] | None = None
        self.own: dict[str, AttributeValue] = dict(own or {})
        self.interaction: Observation | None = interaction
        if interaction is None and parent is not None:
            self.interaction = parent.interaction

    def attributes(self) -> dict[str, AttributeValue]:
        """Return the attributes that a span below this scope is stamped with; not to be changed."""
        if self._parent is None:
            return self.own
        version, known = Scope._version, self._merged
        if known is not None and known[0] is version:
            return known[1]
        # From the outside in, and no further out than to one that is up to date: not by calls of
        # itself, since scopes may lie in each other without end.
        stale: list[Scope] = []
        scope: Scope | None = self
        merged: dict[str, AttributeValue] = {}
        while scope is not None:
            known = scope._merged
            if known is not None and known[0] is version:
                merged = known[1]
                break
            stale.append(scope)
            scope = scope._parent
        for scope in reversed(stale):
            merged = merge(merged, scope.own) if scope.own else merged
            known = scope._merged
            if known is not None and known[1] == merged:
                merged = known[1]  # which is known masked already
            scope._merged = version, merged
        return merged

    def masked(self, masker: Masker) -> Identity:
        """Return those attributes as they may be written."""
        said, known = self.attributes(), self._masked
        if known is None or known[0] is not said or known[1] is not masker:
            known = self._masked = (said, masker, Identity(_attribute_masking()(said, masker)))
        return known[2]

    def update(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes for all that starts below from now on."""
        # A new dictionary: another thread may be reading the old one.
        self.own = {**self.own, **attributes}
        Scope._version = object()


def merge(above: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes over those of what is above: the own ones win, tags are added."""
    merged = {**above, **own}
    inherited, added = above.get(semconv.OBSERVATION_TAGS), own.get(semconv.OBSERVATION_TAGS)
    if inherited and added:
        merged[semconv.OBSERVATION_TAGS] = tuple(dict.fromkeys((*inherited, *added)))
    return merged


def current_scope(context: Context) -> Scope | None:
    """Return the innermost scope of the context."""
    scope = context.get(SCOPE)
    return scope if isinstance(scope, Scope) else None


def with_scope(scope: Scope, context: Context) -> Context:
    """Return the context with this scope as the innermost."""
    return context_api.set_value(SCOPE, scope, context)


def leave(token: Any, key: str, entered: object) -> None:
    """Give back the context from before a block.

    Args:
        token: as `attach` returned it.
        key: of the context, at which the block put what tells it from others.
        entered: what it put there.
    """
    try:
        # Not context.detach(): that logs an error before it could be caught.
        _contexts.detach(token)
    except Exception:  # noqa: BLE001 - the block was entered in another contextvars.Context
        # As where every step of a generator is a task of its own. Its shell brought the block's
        # context here, so the one from before the block is the right one here as well.
        before = getattr(token, "old_value", None)
        if _contexts.get_current().get(key) is entered:
            _contexts.attach(before if isinstance(before, Context) else Context())
        else:
            _state.count("contexts_not_detached")


def give_back(token: Any) -> None:
    """Give back the context from before a block that could not be left as it should."""
    try:
        _contexts.detach(token)
    except Exception:  # noqa: BLE001, S110 - it had been given back already
        pass


class identify:  # noqa: N801 - reads as `with spanwise.identify(user=...):`
    """Stamp every span that starts inside the `with` block, third-party ones too.

    Args:
        user: an id, or a mapping with `id`, `name`, `email`; other keys are kept.
        account: an id, or a mapping with `id`, `name`; other keys are kept.
        session_id: ties several interactions together.
        message_id: the message that the interaction answers.
        tags: labels, added to those of an outer `identify`.
        metadata: facts, each an attribute `observation.metadata.<key>`.
    """

    __slots__ = ("_attributes", "_entered")

    def __init__(
        self,
        *,
        user: str | Mapping[str, Any] | None = None,
        account: str | Mapping[str, Any] | None = None,
        session_id: str | None = None,
        message_id: str | None = None,
        tags: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._attributes: dict[str, AttributeValue] = {}
        try:
            self._attributes = identity_attributes(
                user=user,
                account=account,
                session_id=session_id,
                message_id=message_id,
                tags=tags,
                metadata=metadata,
            )
        except Exception as fault:  # noqa: BLE001 - ours: the block runs as without us
            _guard.swallow("identify", fault)
        # By scope: tasks and threads may be inside the same block at once.
        self._entered: dict[Scope | None, Any] = {}

    def __enter__(self) -> identify:
        try:
            context = _contexts.get_current()
            scope = Scope(current_scope(context), self._attributes)
            self._entered[scope] = _contexts.attach(with_scope(scope, context))
        except Exception as fault:  # noqa: BLE001 - ours: the block runs as without us
            _guard.swallow("identify", fault)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        token = None
        try:
            scope = current_scope(_contexts.get_current())
            token = self._entered.pop(scope, None)
            if token is None and self._entered:  # something inside was entered and never left
                scope, token = self._entered.popitem()
            if token is not None:
                leave(token, SCOPE, scope)
        except Exception as fault:  # noqa: BLE001 - ours: the caller's context comes back
            if token is None and self._entered:
                _, token = self._entered.popitem()
            give_back(token)
            _guard.swallow("identify", fault)


def identity_attributes(
    *,
    user: str | Mapping[str, Any] | None = None,
    account: str | Mapping[str, Any] | None = None,
    session_id: str | None = None,
    message_id: str | None = None,
    tags: Iterable[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dict[str, AttributeValue]:
    """Return identity as attributes, masked; what cannot be read is left out, logged and counted."""
    attributes: dict[str, AttributeValue] = {}
    parts = (user, account, session_id, message_id, tags, metadata)
    for read, value in zip(_READERS, parts, strict=True):
        if value is not None:
            with _guard.guard("identify"):
                attributes |= read(value)
    return attributes


def metadata_attributes(metadata: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return `observation.metadata.<key>` attributes, values that are no scalars as JSON text."""
    return _family(semconv.OBSERVATION_METADATA, metadata)


def attribute_value(key: str, value: object) -> AttributeValue:
    """Return a value as an attribute can hold it: scalars as they are, all else as JSON text."""
    runtime = _state.runtime
    encoder = runtime.encoder if runtime is not None else _default_encoder()
    if encoder.masker.hides(key, value):
        return "***"
    kind = type(value)
    if kind is str:
        return encoder.text(value)  # type: ignore[arg-type]
    if kind is bool or kind is float or (kind is int and -(2**63) <= value < 2**63):  # type: ignore[operator]
        return value  # type: ignore[return-value]
    text = encoder.dumps(value)
    # What is a string in JSON reads better without its quotes.
    return text[1:-1] if text.startswith('"') and "\\" not in text else text


def _user(user: Any) -> dict[str, AttributeValue]:
    return _party(semconv.USER, user)


def _account(account: Any) -> dict[str, AttributeValue]:
    return _party(semconv.ACCOUNT, account)


def _session(session_id: Any) -> dict[str, AttributeValue]:
    session = str(attribute_value("session_id", session_id))
    return {semconv.SESSION_ID: session, semconv.GEN_AI_CONVERSATION_ID: session}


def _message(message_id: Any) -> dict[str, AttributeValue]:
    return {semconv.MESSAGE_ID: str(attribute_value("message_id", message_id))}


def _tags(tags: Any) -> dict[str, AttributeValue]:
    names = (tags,) if issubclass(type(tags), str) else islice(tags, _MOST)
    return {
        semconv.OBSERVATION_TAGS: tuple(str(attribute_value("tag", name)) for name in names),
    }


def _party(prefix: str, party: str | Mapping[str, Any]) -> dict[str, AttributeValue]:
    if not _is_mapping(party):
        return {f"{prefix}.id": str(attribute_value("id", party))}
    return _family(prefix, party)  # type: ignore[arg-type]


def _family(prefix: str, values: Mapping[Any, Any]) -> dict[str, AttributeValue]:
    """Return one attribute for each key below the prefix; None says nothing."""
    attributes: dict[str, AttributeValue] = {}
    for key, value in islice(values.items(), _MOST):
        if value is not None:
            name = str(attribute_value("", key))
            attributes[f"{prefix}.{name}"] = attribute_value(name, value)
    return attributes


def _is_mapping(value: object) -> bool:
    # By the type's own record of what it extends: `isinstance` asks a lazy object for its
    # `__class__`, which loads it, and an abstract class asks a metaclass, which may be anyone's.
    known = (dict, Mapping, MappingProxyType)
    return any(base is kind for base in mro_of(type(value)) for kind in known)


# In the order of the parts that `identity_attributes` is given.
_READERS: tuple[Callable[[Any], dict[str, AttributeValue]], ...] = (
    _user,
    _account,
    _session,
    _message,
    _tags,
    metadata_attributes,
)
