"""What of an operation is the same at every call, as one runtime has it: masked, and ready to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context

from spanwise import semconv

if TYPE_CHECKING:
    from spanwise._observation import Plan
    from spanwise._state import Runtime


class Prepared:
    """A plan as one runtime has it.

    Attributes:
        runtime: by whose settings it was prepared.
        encoder: makes the texts of what is captured.
        masker: by which this is masked.
        open: starts the span at once, where the tracer needs not be asked.
        lean: the class of the spans that it makes.
        attributes: those of the plan, masked; copied for each span.
        name: of the span, as it was given.
        masked_name: the same as it may be written.
        captures: the arguments are looked at.
        captures_as_bound: they are captured by their names, and nobody else has a say in it.
        keeps_result: it is captured as it is, and nothing else is looked for in it.
        is_trace: the span stands for its trace, and is no observation.
        keeps_roots: every trace that begins with it is kept, unless it is forced out.
        decides: whether such a trace is kept is decided before there is a span.
        enters: something more than the span is made current.
        texts: what sinks remember of it, each by a key of its own.
    """

    def __init__(self, plan: Plan, runtime: Runtime) -> None:
        # Imported by now: the runtime has a masker.
        from spanwise._masked_attributes import masked_attributes, valid

        self.runtime = runtime
        self.encoder = runtime.encoder
        self.masker = masker = runtime.encoder.masker
        self.open = runtime.open
        self.lean = runtime.lean
        self.attributes: dict[str, Any] = masked_attributes(plan.attributes, masker)
        self.name = plan.name
        self.masked_name = masker.text(valid(plan.name))
        has_binder = plan.binder is not None or plan.call_binder is not None
        self.captures = has_binder and runtime.settings.capture_content
        self.captures_as_bound = (
            self.captures and plan.binder is not None and plan.hooks.process_input is None
        )
        self.keeps_result = (
            plan.capture_output
            and runtime.settings.capture_content
            and plan.hooks.process_output is None
            and not plan.capture_usage
        )
        self.is_trace = plan.attributes.get(semconv.OBSERVATION_IS_TRACE) is True
        self.keeps_roots = not runtime.owns_provider or runtime.sampling.keeps_all(Context())
        self.decides = runtime.owns_provider
        self.texts: dict[Any, Any] = {}
        self.enters = plan.opens_scope or plan.enter is not None


def prepared(plan: Plan, runtime: Runtime) -> Prepared:
    """Return the plan as this runtime has it; made once for all calls of a decorated function."""
    known = plan.prepared
    if known is None or known.runtime is not runtime:
        known = Prepared(plan, runtime)
        object.__setattr__(plan, "prepared", known)
    return known
