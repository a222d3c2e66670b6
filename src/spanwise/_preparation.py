"""Make of a plan what every call of its function uses."""

from __future__ import annotations

from opentelemetry.context import Context

from spanwise import semconv
from spanwise._observation import Plan
from spanwise._prepared import Prepared
from spanwise._state import Runtime


def prepared(plan: Plan, runtime: Runtime) -> Prepared:
    """Return the plan as this runtime has it; made once for all calls of a decorated function."""
    known = plan.prepared
    if known is None or known.runtime is not runtime:
        known = _made(plan, runtime)
        object.__setattr__(plan, "prepared", known)
    return known


def _made(plan: Plan, runtime: Runtime) -> Prepared:
    # Imported by now: the runtime has a masker.
    from spanwise._masked_attributes import masked_attributes, valid

    masker, hooks = runtime.encoder.masker, plan.hooks
    keeps = runtime.settings.capture_content
    captures = keeps and (plan.binder is not None or plan.call_binder is not None)
    keeps_output = keeps and plan.capture_output
    return Prepared(
        runtime=runtime,
        encoder=runtime.encoder,
        masker=masker,
        open=runtime.open,
        lean=runtime.lean,
        attributes=masked_attributes(plan.attributes, masker),
        name=plan.name,
        masked_name=masker.text(valid(plan.name)),
        captures=captures,
        captures_as_bound=captures and plan.binder is not None and hooks.process_input is None,
        keeps_result=keeps_output and hooks.process_output is None and not plan.capture_usage,
        is_trace=plan.attributes.get(semconv.OBSERVATION_IS_TRACE) is True,
        keeps_roots=not runtime.owns_provider or runtime.sampling.keeps_all(Context()),
        keeps_no_roots=runtime.sampling.bound == 0,
        decides=runtime.owns_provider,
        enters=plan.opens_scope or plan.enter is not None,
    )
