"""Arguments are named as Python itself would bind them."""

from __future__ import annotations

import inspect

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


def test_a_typo_in_a_parameters_name_is_told_with_the_nearest():
    """When the function is decorated, not when it is called."""
    with pytest.raises(DecorationError, match="has no parameter 'capital'; known are a, b, c"):
        Binder(plain, ["capital"])
    with pytest.raises(DecorationError, match="'restt'; did you mean 'rest'"):
        Binder(everything, ["restt"])
