"""An exception is described by its frames and its text, and by nothing else of its own."""

from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

import spanwise
from spanwise._exceptions import message_of, stacktrace_of, type_of
from spanwise._masking import Masker

SECRET = "hunter2-horse9"


def unmasked(text: str) -> str:
    return text


def raised(function: Callable[..., Any], *args: Any) -> BaseException:
    """Return what the function raises, with its traceback."""
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


class DomainError(Exception):
    pass


class Unreadable(Exception):
    """An exception of which nothing but its class can be used."""

    def __init__(self, ran: list[str], fault: BaseException) -> None:
        super().__init__("kept")
        object.__setattr__(self, "ran", ran)
        object.__setattr__(self, "fault", fault)

    def __str__(self) -> str:
        raise object.__getattribute__(self, "fault")

    def _note(self, *args: Any) -> Any:
        object.__getattribute__(self, "ran").append("ran")
        raise RuntimeError("was run")

    __repr__ = __format__ = __dir__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = _note  # type: ignore[assignment]
    __reduce__ = __reduce_ex__ = __getattr__ = _note  # type: ignore[assignment]
    __cause__ = __context__ = __traceback__ = args = __notes__ = property(_note)  # type: ignore[assignment]


def fail(message: str = "no such order") -> None:
    raise DomainError(message)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ValueError("x"), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (DomainError(), f"{__name__}.DomainError"),
    ],
)
def test_the_type_is_named_with_its_module_unless_it_is_built_in(
    error: BaseException, name: str
) -> None:
    """As `error.type` of the semantic convention has it."""
    assert name == type_of(error)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no"), "no"),
        (ValueError(), ""),
        (KeyError("name"), "'name'"),
        (ValueError("a", 1), "('a', 1)"),
        (OSError(2, "No such file"), "[Errno 2] No such file"),
        (ValueError("naïve ☃ 🎉"), "naïve ☃ 🎉"),
        (ValueError("half \ud83d of a pair"), "half \\ud83d of a pair"),
    ],
    ids=repr,
)
def test_the_message_is_the_exceptions_text(error: BaseException, message: str) -> None:
    """What cannot be UTF-8 is escaped."""
    found = message_of(error, unmasked)
    assert message == found
    found.encode()


@pytest.mark.parametrize(
    "fault", [RuntimeError("in str"), RecursionError(), AttributeError("__str__")], ids=repr
)
def test_an_exception_whose_text_cannot_be_read_is_still_described(fault: BaseException) -> None:
    """Whatever `str` raises; and besides `str` nothing of the exception is run."""
    ran: list[str] = []

    def call() -> None:
        raise Unreadable(ran, fault)

    error = raised(call)
    assert "<the exception's text cannot be read>" == message_of(error, unmasked)
    text = stacktrace_of(error, unmasked)
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith(f"{__name__}.Unreadable: <the exception's text cannot be read>\n")
    assert [] == ran


def test_a_text_of_a_class_of_its_own_is_copied() -> None:
    """`str` may return a subclass with methods that raise."""

    class Text(str):
        __slots__ = ()

        def __len__(self) -> int:
            raise RuntimeError("was run")

        encode = __getitem__ = __str__ = __len__  # type: ignore[assignment]

    class Odd(Exception):
        def __str__(self) -> str:
            return Text("odd")

    assert "odd" == message_of(Odd(), unmasked)


def test_a_text_that_is_none_is_said_so() -> None:
    """`__str__` may return something else than a string."""

    class Odd(Exception):
        def __str__(self) -> str:
            return 5  # type: ignore[return-value]

    assert "<the exception's text cannot be read>" == message_of(Odd(), unmasked)


@pytest.mark.parametrize("length", [8_193, 100_000, 3_000_000])
def test_a_long_message_keeps_its_head_and_tail(length: int) -> None:
    """And says how long it was."""
    message = message_of(ValueError("HEAD" + "m" * (length - 8) + "TAIL"), unmasked)
    assert message.startswith("HEAD")
    assert message.endswith("TAIL")
    assert f"…[$truncated: {length} characters]…" in message
    assert len(message) < 8_300


def test_the_message_is_masked_before_it_is_cut() -> None:
    """No half of a key is left at the cut."""
    key = "sk-" + "abcdefgh12" * 5
    for position in range(4_040, 4_110, 7):
        error = ValueError("a " * (position // 2) + key + " b" * 5_000)
        assert "abcdefgh12" not in message_of(error, Masker().text)


def test_the_traceback_is_in_pythons_form() -> None:
    """The innermost call last, each frame with its file, line, function and source."""
    error = raised(fail)
    lines = stacktrace_of(error, unmasked).splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-3:] == [
        f'  File "{__file__}", line {fail.__code__.co_firstlineno + 1}, in fail',
        "    raise DomainError(message)",
        f"{__name__}.DomainError: no such order",
    ]
    assert f'"{__file__}", line {raised.__code__.co_firstlineno + 3}, in raised' in lines[1]


def test_an_exception_without_a_traceback_or_a_text_is_its_type() -> None:
    """One that was made and never raised."""
    assert "ValueError\n" == stacktrace_of(ValueError(), unmasked)
    assert "ValueError: no\n" == stacktrace_of(ValueError("no"), unmasked)


def test_frames_of_spanwise_are_left_out() -> None:
    """The wrapper between caller and callee is not the program's."""
    spanwise.configure(traces_dir=None)

    @spanwise.agent
    def outer() -> None:
        with spanwise.observe("block"):
            inner()

    @spanwise.tool(name="inner")
    def inner() -> None:
        fail()

    error = raised(outer)
    text = stacktrace_of(error, unmasked)
    names = [
        line.rpartition(" in ")[2].rpartition(".")[2]
        for line in text.splitlines()
        if line.startswith("  File")
    ]
    assert names == ["raised", "outer", "inner", "fail"]
    assert "_shells.py" not in text
    assert "_operation.py" not in text


def test_causes_and_contexts_come_first_with_pythons_words_between() -> None:
    """As Python prints them, and only those that Python would print."""

    def with_cause() -> None:
        try:
            fail("first")
        except DomainError as error:
            raise ValueError("second") from error

    def with_context() -> None:
        try:
            fail("first")
        except DomainError:
            raise ValueError("second")  # noqa: B904 - the context is what is tested

    def with_neither() -> None:
        try:
            fail("first")
        except DomainError:
            raise ValueError("second") from None

    caused = "\nThe above exception was the direct cause of the following exception:\n\n"
    handled = "\nDuring handling of the above exception, another exception occurred:\n\n"
    for function, link in ((with_cause, caused), (with_context, handled)):
        first, found, second = stacktrace_of(raised(function), unmasked).partition(link)
        assert found
        assert first.endswith("DomainError: first\n")
        assert second.startswith("Traceback (most recent call last):\n")
        assert second.endswith("ValueError: second\n")
    text = stacktrace_of(raised(with_neither), unmasked)
    assert "DomainError" not in text
    assert text.count("Traceback") == 1


def test_a_cycle_of_causes_ends() -> None:
    """Each exception is described once."""
    first, second, third = ValueError("1"), ValueError("2"), ValueError("3")
    first.__cause__, second.__cause__, third.__cause__ = second, third, first
    text = stacktrace_of(first, unmasked)
    assert [text.count(f"ValueError: {n}\n") for n in (1, 2, 3)] == [1, 1, 1]
    itself = ValueError("alone")
    itself.__cause__ = itself
    assert "ValueError: alone\n" == stacktrace_of(itself, unmasked)


def test_a_long_chain_of_causes_is_bounded() -> None:
    """The last ones, those nearest to the error, are described."""
    error = ValueError("0")
    for n in range(1, 1000):
        following = ValueError(str(n))
        following.__context__ = error
        error = following
    text = stacktrace_of(error, unmasked)
    assert text.endswith("ValueError: 999\n")
    assert 2 <= text.count("ValueError") <= 10


@pytest.mark.parametrize("error_type", [RecursionError, DomainError])
def test_the_traceback_of_a_deep_recursion_is_bounded(error_type: type[Exception]) -> None:
    """Its head and its tail are kept, and how many frames are missing is said."""

    def descend(depth: int) -> None:
        if depth == 0:
            raise error_type("deep")
        descend(depth - 1)

    depth = 5_000 if error_type is RecursionError else 400
    text = stacktrace_of(raised(descend, depth), unmasked)
    assert " frames are left out]\n" in text
    assert len(text) < 32_768
    assert text.count("  File ") == 60
    assert text.splitlines()[1].endswith("in raised")


def test_a_long_line_of_source_is_cut() -> None:
    """A generated file may have all of its code on one line."""
    source = "x = '" + "y" * 100_000 + "'; fail()"
    linecache.cache["<generated>"] = (len(source), None, [source], "<generated>")
    try:
        error = raised(exec, compile(source, "<generated>", "exec"), {"fail": fail})
        assert len(stacktrace_of(error, unmasked)) < 5_000
    finally:
        del linecache.cache["<generated>"]


def test_a_loader_that_cannot_give_the_source_is_survived() -> None:
    """The frame is named all the same."""

    class Loader:
        def get_source(self, name: str) -> str:
            raise RuntimeError("no source today")

    namespace = {"fail": fail, "__name__": "strange", "__loader__": Loader()}
    error = raised(exec, compile("fail()", "strange-file.py", "exec"), namespace)
    text = stacktrace_of(error, unmasked)
    assert 'File "strange-file.py", line 1, in <module>\n' in text
    assert text.endswith("DomainError: no such order\n")


def test_messages_and_source_lines_of_a_traceback_are_masked() -> None:
    """Those of its causes and members too."""

    def call() -> None:
        try:
            fail(f"password={SECRET}")
        except DomainError as error:
            raise ValueError(f"api_key='{SECRET}'") from error

    mask = Masker().text
    text = mask(stacktrace_of(raised(call), mask))
    assert SECRET not in text
    assert text.count("***") >= 2


def test_a_lone_surrogate_in_a_traceback_is_escaped() -> None:
    """In a message or the name of a file."""
    error = raised(exec, compile("fail(chr(0xd800))", "odd-\udcff.py", "exec"), {"fail": fail})
    text = stacktrace_of(error, unmasked)
    assert "odd-\\udcff.py" in text
    assert "DomainError: \\ud800\n" in text
    assert text.encode()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_the_members_of_an_exception_group_are_listed() -> None:
    """The first few of them, each with its type and text."""

    class Group(ExceptionGroup):  # noqa: F821 - see the version above
        @property
        def exceptions(self) -> Any:  # type: ignore[override]
            raise RuntimeError("was run")

    members: list[Exception] = [
        ValueError("one"),
        DomainError("two"),
        *[KeyError(n) for n in range(100)],
    ]
    for kind in (ExceptionGroup, Group):  # noqa: F821
        text = stacktrace_of(kind("several", members), unmasked)
        lines = text.splitlines()
        assert lines[0].endswith("Group: several (102 sub-exceptions)")
        assert lines[1] == "  [1] ValueError: one"
        assert lines[2] == f"  [2] {__name__}.DomainError: two"
        assert 3 <= len(lines) < 20
    nested = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("x")])])  # noqa: F821
    assert "[1] ExceptionGroup: inner (1 sub-exception)" in stacktrace_of(nested, unmasked)


def test_a_traceback_made_by_hand_is_read() -> None:
    """Frames may come from another program's idea of a stack."""
    error = raised(fail)
    assert error.__traceback__ is not None
    frame = error.__traceback__.tb_frame
    chained = types.TracebackType(error.__traceback__, frame, 0, 1)
    text = stacktrace_of(error.with_traceback(chained), unmasked)
    assert text.count("  File ") == 3
