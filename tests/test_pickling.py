"""Decorated functions travel to other processes as plain ones do, by pickle and by cloudpickle."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import spanwise
from support.files import Files

# Run as a program, so that what it defines is in `__main__`: cloudpickle sends it by value.
SENDER = """
import asyncio, functools, json, sys
import cloudpickle
import spanwise

if sys.argv[2] == "configured":
    spanwise.configure(traces_dir=sys.argv[1] + "/sent")
FACTOR = 3

def plainly(function=None, **options):
    return function if function is not None else plainly

@spanwise.tool
def of_main(x):
    return x * FACTOR

def make(dec, agent, generation, interaction):
    offset = 10
    held = {"list": [1]}

    @dec(name="add", tags=["t"], metadata={"plan": "pro"})
    def add(x, *, by=offset):
        "Add."
        return x + by

    @agent
    def calls_others(x):
        held["list"].append(x)
        return add(x), of_main(x), list(held["list"])

    @dec
    def factorial(n):
        return 1 if n < 2 else n * factorial(n - 1)

    @generation(model="m")
    def generator(n):
        got = yield add(n)
        yield got
        return "returned"

    @agent
    async def coroutine(x):
        await asyncio.sleep(0)
        return add(x)

    @generation
    async def agenerator(n):
        for i in range(n):
            await asyncio.sleep(0)
            yield add(i)

    @interaction
    def request(x):
        with spanwise.identify(user="jane"), spanwise.observe("inside"):
            return add(x)

    class Outer:
        @dec
        def method(self, x):
            return type(self).__name__, add(x)

        @dec
        @classmethod
        def above(cls, x):
            return cls.__name__, x

        @staticmethod
        @dec
        def static(x):
            return x

        class Nested:
            @dec
            def method(self, x):
                return type(self).__qualname__.rpartition(".")[2], x

    @agent
    class Called:
        def __call__(self, x):
            return add(x)

    return dict(
        add=add, calls_others=calls_others, factorial=factorial, generator=generator,
        coroutine=coroutine, agenerator=agenerator, request=request,
        outer=Outer(), nested=Outer.Nested(), above=Outer.above, bound=Outer().method,
        static=Outer.static, called=Called(), partial=functools.partial(add, by=1),
        decorated_partial=dec(functools.partial(add, by=2)),
        decorates=lambda x: dec(lambda y: y + offset)(x), lambda_=dec(lambda x: x + offset),
        of_main=of_main,
    )

def use(things):
    async def everything(stream):
        return [item async for item in stream]

    made = things["generator"](1)
    steps = [next(made), made.send("sent")]
    try:
        next(made)
    except StopIteration as stop:
        steps.append(stop.value)
    one = lambda name: things[name](4)
    return [
        steps, one("add"), one("calls_others"), one("factorial"), asyncio.run(one("coroutine")),
        asyncio.run(everything(one("agenerator"))), one("request"), things["outer"].method(4),
        things["outer"].above(4), things["outer"].static(4), things["nested"].method(4),
        one("above"), one("bound"), one("static"), one("called"), one("partial"),
        one("decorated_partial"), one("decorates"), one("lambda_"), one("of_main"),
        things["add"].__name__, things["add"].__doc__,
    ]

decorated = make(spanwise.tool, spanwise.agent, spanwise.generation, spanwise.interaction)
plain = make(plainly, plainly, plainly, plainly)
together = cloudpickle.loads(cloudpickle.dumps(decorated))  # in this very process
expected = use(plain)
assert json.dumps(use(together)) == json.dumps(expected)
with open(sys.argv[1] + "/sent.pickle", "wb") as file:
    cloudpickle.dump((use, expected, decorated), file)
"""

RECEIVER = """
import json, pickle, sys

if sys.argv[2] == "configured":
    import spanwise
    spanwise.configure(traces_dir=sys.argv[1] + "/received")
with open(sys.argv[1] + "/sent.pickle", "rb") as file:
    use, expected, things = pickle.load(file)
assert json.dumps(use(things)) == json.dumps(expected), use(things)
import spanwise
print(json.dumps(spanwise.stats()))
"""


def run(program: Path, text: str, *arguments: str) -> str:
    program.write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, "-W", "error", program, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=program.parent,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("sender", ["configured", "unconfigured"])
def test_what_cloudpickle_carries_to_another_process_works_there(tmp_path, sender):
    """Whatever the function is and closes over, with either process configured or not."""
    pytest.importorskip("cloudpickle")
    run(tmp_path / "sender.py", SENDER, str(tmp_path), sender)
    for receiver in ("configured", "unconfigured"):
        stats = json.loads(run(tmp_path / "receiver.py", RECEIVER, str(tmp_path), receiver))
        assert {key for key in stats if key.startswith("failures")} == set()
    files = Files(tmp_path / "received")
    lines = files.observations()
    (request,) = [line for line in lines if line["type"] == "interaction"]
    (inside,) = [line for line in lines if line["name"] == "inside"]
    below = [line for line in lines if line["parent_id"] == inside["id"]]
    assert (inside["parent_id"], inside["user_id"]) == (request["id"], "jane")
    assert [(line["name"], line["tags"], line["output"]) for line in below] == [("add", ["t"], 14)]
    assert len([line for line in lines if line["name"] == "factorial"]) == 4


@spanwise.tool
def of_a_module(x):
    return x + 1


class Owner:
    @spanwise.tool
    def method(self, x):
        return x + 2

    @classmethod
    @spanwise.tool
    def in_class(cls, x):
        return x + 3

    class Nested:
        @spanwise.tool
        @staticmethod
        def static(x):
            return x + 4


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_finds_functions_and_methods_by_their_names(protocol, monkeypatch):
    """The very function comes back; a bound method comes back bound."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())

    def again(thing: Any) -> Any:
        return pickle.loads(pickle.dumps(thing, protocol))

    assert again(of_a_module) is of_a_module
    assert again(Owner.method) is Owner.method
    assert again(Owner().method)(1) == 3
    assert again(Owner.in_class)(1) == 4
    assert again(Owner.Nested.static) is Owner.Nested.static


def _this_module() -> Any:
    module = type(sys)(__name__)
    vars(module).update(globals())
    return module


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_functions_are_copied_as_themselves(copied):
    """Alone, in a container, and as an attribute of an object that is copied."""
    assert copied(of_a_module) is of_a_module
    assert copied([of_a_module]) == [of_a_module]
    owner = Owner()
    owner.callback = of_a_module
    assert copied(owner).callback is of_a_module
    assert copied(owner.method).__func__ is Owner.method


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_what_has_no_name_to_be_found_by_fails_as_undecorated(protocol):
    """A lambda and a local function: pickle's own error."""

    def local(x):
        return x

    for function in (local, lambda x: x):
        errors = []
        for thing in (function, spanwise.tool(function)):
            with pytest.raises((pickle.PicklingError, AttributeError)) as raised:
                pickle.dumps(thing, protocol)
            errors.append((type(raised.value), str(raised.value).split(" at ")[0]))
        assert errors[0] == errors[1]
