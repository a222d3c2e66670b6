"""What of an operation is the same at every call, as one runtime has it: masked, and ready to use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spanwise._encoding import Encoder
    from spanwise._masking import Masker
    from spanwise._state import Runtime


@dataclasses.dataclass(eq=False)
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
        keeps_no_roots: none of them is kept, unless it is forced in.
        decides: whether such a trace is kept is decided before there is a span.
        enters: something more than the span is made current.
        texts: what sinks remember of it, each by a key of its own.
    """

    runtime: Runtime
    encoder: Encoder
    masker: Masker
    open: Callable[..., Any] | None
    lean: Any
    attributes: dict[str, Any]
    name: str
    masked_name: str
    captures: bool
    captures_as_bound: bool
    keeps_result: bool
    is_trace: bool
    keeps_roots: bool
    keeps_no_roots: bool
    decides: bool
    enters: bool
    texts: dict[str, Any] = dataclasses.field(default_factory=dict)
