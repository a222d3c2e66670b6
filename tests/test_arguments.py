"""Arguments are named as Python itself would bind them."""

from __future__ import annotations

import functools
import inspect
import itertools
from unittest import mock

import pytest

from spanwise import DecorationError
from spanwise._arguments import Binder


def plain(a, b, c=3): ...


def positional_only(a, b=2, /, c=3): ...


def keyword_only(a, *, b, c=3): ...


def everything(a, /, b, *rest, c, d=4, **more): ...


def only_rest(*rest, **more): ...


def nothing(): ...


CALLS = [
    (plain, (1, 2), {}),
    (plain, (1,), {"b": 2, "c": 4}),
    (plain, (), {"c": 1, "b": 2, "a": 3}),
    (positional_only, (1,), {}),
    (positional_only, (1, 5), {"c": 6}),
    (keyword_only, (1,), {"b": 2}),
    (keyword_only, (), {"a": 1, "b": 2, "c": 9}),
    (everything, (1, 2, 3, 4), {"c": 5, "e": 6}),
    (everything, (1,), {"b": 2, "c": 3, "a": "also a keyword"}),
    (only_rest, (1, 2), {"x": 3}),
    (only_rest, (), {}),
    (nothing, (), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_a_call_is_bound_as_the_signature_binds_it(function, args, kwargs):
    """Names, order and defaults are those of inspect, but for empty *args and **kwargs."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    catching = {"rest": (), "more": {}}
    expected = {
        name: value
        for name, value in bound.arguments.items()
        if name not in catching or value != catching[name]
    }
    found = Binder(function).bind(args, kwargs)
    assert expected == found
    assert list(expected) == list(found)


SIGNATURES = [
    "",
    "a",
    "a, b",
    "a=1, b=2",
    "a, b=2, *rest",
    "a, /",
    "a, /, b",
    "a, b=2, /",
    "a, /, b, *, c",
    "*, a, b=2",
    "*rest",
    "**more",
    "*rest, **more",
    "a, *rest, b, **more",
    "a, /, **more",
    "a, b=2, /, c=3, *rest, d, e=5, **more",
    "self, a",
    "cls, a=1",
]
KEYWORDS = [
    dict.fromkeys(names, "keyword")
    for size in range(4)
    for names in itertools.combinations(("a", "b", "c", "d", "rest", "more", "z"), size)
]


@pytest.mark.parametrize("signature", SIGNATURES)
def test_every_call_of_every_signature_is_bound_as_inspect_binds_it(signature):
    """And one that does not fit raises nothing, and gives no argument a name it has not."""
    namespace = {}
    exec(f"def function({signature}): ...", namespace)
    function = namespace["function"]
    binder = Binder(function)
    parameters = inspect.signature(function)
    fitting = 0
    for count, kwargs in itertools.product(range(5), KEYWORDS):
        args = tuple(range(count))
        found = binder.bind(args, kwargs)
        assert set(found) <= set(parameters.parameters)
        try:
            bound = parameters.bind(*args, **kwargs)
        except TypeError:
            continue
        fitting += 1
        given = list(bound.arguments)
        bound.apply_defaults()
        catching = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        expected = [
            (name, value)
            for name, value in bound.arguments.items()
            if name in given or parameters.parameters[name].kind not in catching
        ]
        assert expected == list(found.items())
    assert fitting > 0


@pytest.mark.parametrize("signature", [s for s in SIGNATURES if s])
def test_what_is_left_out_is_bound_as_the_rest_is(signature):
    """Each subset of the parameters holds, of any call, what all of them would, in their order."""
    namespace = {}
    exec(f"def function({signature}): ...", namespace)
    function = namespace["function"]
    whole = Binder(function)
    names = list(inspect.signature(function).parameters)
    for ignored in itertools.chain.from_iterable(
        itertools.combinations(names, size) for size in range(1, len(names) + 1)
    ):
        part = Binder(function, ignore=ignored)
        for count, kwargs in itertools.product(range(5), KEYWORDS):
            args = tuple(range(count))
            expected = [
                (name, value)
                for name, value in whole.bind(args, kwargs).items()
                if name not in ignored
            ]
            assert expected == list(part.bind(args, kwargs).items())


def test_defaults_are_those_of_the_function_and_no_copies():
    """The very object that the function will see."""
    default = object()

    def function(a, b=default): ...

    assert Binder(function).bind((1,), {})["b"] is default


@pytest.mark.parametrize(
    ("make", "args", "kwargs", "found"),
    [
        (lambda: functools.partial(plain, 1), (2,), {}, {"b": 2, "c": 3}),
        (lambda: functools.partial(plain, c=9), (1, 2), {}, {"a": 1, "b": 2, "c": 9}),
        (
            lambda: functools.wraps(plain)(lambda *args, **kwargs: None),
            (1, 2),
            {},
            {"a": 1, "b": 2, "c": 3},
        ),
        (lambda: len, ([],), {}, {"obj": []}),
        (
            lambda: sorted,
            ([2],),
            {"reverse": True},
            {"iterable": [2], "key": None, "reverse": True},
        ),
        (lambda: dict, ((),), {"a": 1}, {"args": ((),), "kwargs": {"a": 1}}),
        (lambda: Called(), (1,), {}, {"x": 1}),
        (lambda: Called().bound, (1,), {}, {"x": 1}),
        (lambda: Called.of_class, (1,), {}, {"x": 1}),
        (lambda: Called, (), {"size": 2}, {"size": 2}),
        (lambda: mock.MagicMock(), (1,), {"a": 2}, {"args": (1,), "kwargs": {"a": 2}}),
    ],
)
def test_whatever_can_be_called_can_be_bound(make, args, kwargs, found):
    """Partials, wrappers, builtins, classes, callable objects, bound methods and mocks."""
    assert found == Binder(make()).bind(args, kwargs)


class Called:
    def __init__(self, size=1): ...

    def __call__(self, x): ...

    def bound(self, x): ...

    @classmethod
    def of_class(cls, x): ...


def test_the_callers_arguments_are_not_touched():
    """Neither the keywords nor what is bound is the caller's own mapping."""
    kwargs = {"c": 3, "x": 1}
    found = Binder(everything).bind((1, 2), kwargs)
    found["more"]["added"] = 1
    assert {"c": 3, "x": 1} == kwargs


@pytest.mark.parametrize(
    ("args", "kwargs", "found"),
    [
        ((1, 2, 3, 4), {}, {"a": 1, "b": 2, "c": 3}),
        ((1,), {"nonsense": 2}, {"a": 1, "c": 3}),
        ((), {}, {"c": 3}),
    ],
)
def test_a_call_that_does_not_fit_is_bound_as_far_as_it_goes(args, kwargs, found):
    """The function itself raises the error."""
    assert found == Binder(plain).bind(args, kwargs)


def test_the_object_of_a_method_is_left_out():
    """self and cls are no arguments of the caller's."""

    class Service:
        def method(self, x): ...

        @classmethod
        def of_class(cls, x): ...

        @staticmethod
        def static(self_like, x): ...

    assert {"x": 1} == Binder(Service.method).bind((Service(), 1), {})
    assert {"x": 1} == Binder(Service.of_class.__func__).bind((Service, 1), {})
    assert {"self_like": 0, "x": 1} == Binder(Service.static).bind((0, 1), {})


def test_a_plain_functions_parameter_called_self_is_kept():
    """Only a function made in a class has an object."""

    def function(self, x): ...

    assert {"self": 1, "x": 2} == Binder(function).bind((1, 2), {})


def test_a_callable_without_signature_gives_args_and_kwargs():
    """What cannot be named is still kept."""
    assert {"args": (1, 2)} == Binder(max).bind((1, 2), {})
    assert {"args": (1,), "kwargs": {"key": len}} == Binder(max).bind((1,), {"key": len})


def test_the_wanted_parameters_alone_are_kept():
    """In the signature's order, self too if it is named."""
    assert {"a": 1, "c": 3} == Binder(plain, ["c", "a"]).bind((1, 2), {})
    assert {} == Binder(plain, []).bind((1, 2), {})
    assert ["a", "c"] == list(Binder(plain, iter(["c", "a"])).bind((1, 2), {}))
    assert {"rest": (3,), "more": {"x": 1}} == Binder(everything, ["rest", "more"]).bind(
        (1, 2, 3), {"c": 4, "x": 1}
    )
    called = Called()
    assert {"self": called} == Binder(Called.bound, ["self"]).bind((called, 1), {})
    assert {"args": (1,)} == Binder(max, ["args"]).bind((1,), {"key": len})


def test_a_typo_in_a_parameters_name_is_told_with_the_nearest():
    """When the function is decorated, not when it is called."""
    with pytest.raises(DecorationError, match="has no parameter 'capital'; known are a, b, c"):
        Binder(plain, ["capital"])
    with pytest.raises(DecorationError, match="'restt'; did you mean 'rest'"):
        Binder(everything, ["restt"])
    with pytest.raises(
        DecorationError, match=r"^Called\.bound has no parameter 'xx'; did you mean 'x'"
    ):
        Binder(Called.bound, ["xx"])
    with pytest.raises(DecorationError, match="no parameter 'kwarg'; did you mean 'kwargs'"):
        Binder(max, ["kwarg"])
    with pytest.raises(TypeError):
        Binder(nothing, ["anything"])
