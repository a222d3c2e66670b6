"""The current context is asked for where it is kept, in whichever store that is."""

from __future__ import annotations

import subprocess
import sys

from opentelemetry import context as context_api

from spanwise import _contexts

OTHER_STORE = """
import opentelemetry.context as api
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

class Store(ContextVarsRuntimeContext):
    attached = detached = 0

    def attach(self, context):
        self.attached += 1
        return super().attach(context)

    def detach(self, token):
        self.detached += 1
        super().detach(token)

api._RUNTIME_CONTEXT = store = Store()
import spanwise
from opentelemetry import trace

@spanwise.tool
def look_up():
    return trace.get_current_span().get_span_context().is_valid

spanwise.configure(traces_dir=None)
print(look_up(), store.attached, store.detached, len(api.get_current()))
"""


def test_it_is_the_context_of_opentelemetry() -> None:
    """What is attached by one is seen by the other."""
    mine = context_api.set_value("a", 1)
    token = _contexts.attach(mine)
    assert context_api.get_current() is _contexts.get_current() is mine
    context_api.detach(token)
    token = context_api.attach(mine)
    assert _contexts.get_current() is mine
    _contexts.detach(token)
    assert "a" not in context_api.get_current()


def test_another_store_is_asked_by_its_methods() -> None:
    """As a program may choose one with `OTEL_PYTHON_CONTEXT`."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER_STORE], capture_output=True, text=True, check=True, timeout=60
    )
    assert ["True", "1", "1", "0"] == done.stdout.split()
