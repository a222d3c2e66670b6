"""Instrumentors are loaded once for each library, and none of them can stop the program."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import spanwise
from spanwise import _state
from spanwise.instrumentation import choosing, loading
from support.distributions import Distributions, installed_in

BOTH_GROUPS = choosing.GROUPS
BEFORE = (
    "import sys\n\nhappened = []\n\nfrom opentelemetry.instrumentation.instrumentor import "
    "BaseInstrumentor\n\n\n"
)


@pytest.fixture
def distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distributions]:
    yield from installed_in(tmp_path / "site", monkeypatch)


def broken(where: str, how: str) -> str:
    """The code of an instrumentor that does something when it is imported, or turned on or off."""
    methods = {"_instrument": "pass", "_uninstrument": "pass", where: how}
    return (
        BEFORE
        + (f"{how}\n\n" if where == "import" else "")
        + "class Instrumentor(BaseInstrumentor):\n"
        + "    def instrumentation_dependencies(self):\n        return ()\n"
        + "".join(
            f"    def {name}(self, **kwargs):\n        {body}\n"
            for name, body in methods.items()
            if name != "import"
        )
    )


def configure(**settings):
    return spanwise.configure(traces_dir=None, **settings)


def test_one_in_both_groups_is_turned_on_once(distributions):
    """OpenInference registers each of its instrumentors twice."""
    module = distributions.install("openinference-acme", ("acme",), groups=BOTH_GROUPS)
    configure(instrument=["acme"])
    assert ["on"] == distributions.happened(module)


def test_one_is_given_the_provider_in_use(distributions):
    """Its spans come to us."""
    module = distributions.install("opentelemetry-instrumentation-acme", ("acme",))
    configure(instrument=["acme"])
    assert [("on", _state.runtime.provider)] == sys.modules[module].happened


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("acme", "acme", "acme"), "opentelemetry-instrumentation-genai-acme"),
        (("acme-v2", "acme", "Acme"), "opentelemetry-instrumentation-genai-acme"),
    ],
    ids=["one name", "names of their own"],
)
def test_of_several_for_a_library_one_is_turned_on(distributions, names, expected):
    """OpenTelemetry's GenAI instrumentor comes first, OpenInference's next, then all others."""
    installed = (
        "opentelemetry-instrumentation-genai-acme",
        "openinference-instrumentation-acme",
        "opentelemetry-instrumentation-acme",
    )
    modules = [
        distributions.install(distribution, (name,))
        for distribution, name in zip(installed, names, strict=True)
    ]
    configure(instrument=["acme"])
    assert [expected.replace("-", "_")] == [m for m in modules if distributions.happened(m)]


def test_the_preferred_one_is_turned_on_and_the_line_says_so(distributions, caplog):
    """One debug line names what is used and what is left out."""
    caplog.set_level(logging.DEBUG, logger="spanwise")
    distributions.install("opentelemetry-instrumentation-genai-acme", ("acme",), version="1.0")
    wanted = distributions.install("openinference-instrumentation-acme", ("acme",), version="2.0")
    configure(instrument=["acme"], instrumentor_preference=["OpenInference"])
    assert ["on"] == distributions.happened(wanted)
    line = (
        "acme is instrumented by openinference-instrumentation-acme 2.0; "
        "left out: opentelemetry-instrumentation-genai-acme 1.0"
    )
    assert [line] == [text for text in caplog.messages if text.startswith("acme is")]


def test_another_preference_later_turns_the_other_one_on(distributions):
    """A later configure() changes what it names."""
    first = distributions.install("opentelemetry-instrumentation-genai-acme", ("acme",))
    second = distributions.install("openinference-instrumentation-acme", ("acme",))
    configure(instrument=["acme"])
    configure(instrumentor_preference=["openinference"])
    assert (["on", "off"], ["on"]) == (
        distributions.happened(first),
        distributions.happened(second),
    )


def test_a_preference_for_what_is_not_installed_is_told(distributions, caplog):
    """A slip of the pen would otherwise go unnoticed."""
    distributions.install("openinference-instrumentation-acme", ("acme",))
    configure(instrument=["acme"], instrumentor_preference=["openinfrence"])
    assert "instrumentor_preference names 'openinfrence'" in caplog.text


def test_the_preference_is_a_variable_as_well(distributions, monkeypatch):
    """As every setting is."""
    distributions.install("opentelemetry-instrumentation-genai-acme", ("acme",))
    wanted = distributions.install("openinference-instrumentation-acme", ("acme",))
    monkeypatch.setenv("SPANWISE_INSTRUMENTOR_PREFERENCE", "openinference-")
    configure(instrument=["acme"])
    assert ["on"] == distributions.happened(wanted)


@pytest.mark.parametrize("names", ["acme", "other , acme", "*"])
@pytest.mark.parametrize("place", ["environment", ".env"])
def test_one_that_is_disabled_is_not_turned_on(distributions, monkeypatch, names, place):
    """OpenTelemetry's own variable says so, in the environment or in .env."""
    module = distributions.install("opentelemetry-instrumentation-acme", ("acme",))
    if place == "environment":
        monkeypatch.setenv(loading.DISABLED, names)
    else:
        Path(".env").write_text(f"{loading.DISABLED}={names}\n", encoding="utf-8")
    configure(instrument=["acme"])
    assert [] == distributions.happened(module)


def test_a_version_that_does_not_fit_is_told_in_one_line(distributions, caplog):
    """It says which versions are wanted and which are there; the instrumentor is not imported."""
    distributions.install_library("acme", "3.1")
    module = distributions.install(
        "opentelemetry-instrumentation-acme",
        ("acme",),
        requires=('acme<3,>=2; extra == "instruments"',),
    )
    configure(instrument=["acme"])
    line = (
        "acme is instrumented by nothing: opentelemetry-instrumentation-acme 1.0 wants "
        "acme<3,>=2, and acme 3.1 is installed"
    )
    assert [line] == caplog.messages
    assert module not in sys.modules


def test_where_the_preferred_one_does_not_fit_the_next_one_is_used(distributions, caplog):
    """The library is seen all the same."""
    distributions.install_library("acme", "3.1")
    distributions.install(
        "opentelemetry-instrumentation-genai-acme",
        ("acme",),
        requires=('acme<3; extra == "instruments"',),
    )
    fits = distributions.install(
        "openinference-instrumentation-acme",
        ("acme",),
        requires=('acme>=3; extra == "instruments"',),
    )
    configure(instrument=["acme"])
    assert ["on"] == distributions.happened(fits)
    assert ["acme is instrumented by openinference-instrumentation-acme 1.0"] == [
        text.partition(":")[0] for text in caplog.messages
    ]


@pytest.mark.parametrize(
    ("installed", "happened"), [((), []), (("acme-b",), ["on"]), (("acme-a", "acme-b"), ["on"])]
)
def test_one_of_several_libraries_is_enough_where_any_will_do(distributions, installed, happened):
    """As of drivers for one database, of which a program has one."""
    for name in installed:
        distributions.install_library(name, "1.0")
    module = distributions.install(
        "opentelemetry-instrumentation-acme",
        ("acme",),
        requires=(
            'acme-a>=1; extra == "instruments-any"',
            'acme-b>=1; extra == "instruments-any"',
        ),
    )
    configure(instrument=["acme"])
    assert happened == distributions.happened(module)


@pytest.mark.parametrize("wanted", [True, ["acme"]])
def test_a_library_that_is_missing_is_told_only_where_it_was_named(distributions, caplog, wanted):
    """Many instrumentors are installed in one go, for few libraries."""
    distributions.install(
        "opentelemetry-instrumentation-acme",
        ("acme",),
        requires=('acme>=1; extra == "instruments"',),
    )
    configure(instrument=wanted)
    told = [text for text in caplog.messages if "acme" in text]
    line = (
        "acme is instrumented by nothing: opentelemetry-instrumentation-acme 1.0 wants acme>=1, "
        "and none is installed"
    )
    assert ([] if wanted is True else [line]) == told


def test_langchain_core_is_enough_of_langchain(distributions, monkeypatch):
    """LangGraph needs no more, and the instrumentor does what it does all the same."""
    there = {"langchain-core": "1.4.0"}

    def version(name):
        if name in there:
            return there[name]
        raise choosing.PackageNotFoundError(name)

    monkeypatch.setattr(choosing, "version", version)
    distributions.install(
        "acme-of-langchain", ("acme",), requires=('langchain<2; extra == "instruments"',)
    )
    (point,) = choosing.installed()["acme"]
    assert None is choosing.conflict_of(point)
    there.clear()
    assert choosing.Conflict(("langchain<2",), ()) == choosing.conflict_of(point)


FAULTS = {
    "raises": "raise RuntimeError('half installed')",
    "exits": "sys.exit(3)",
    "panics": "raise type('PanicException', (BaseException,), {})('index out of range')",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("where", ["import", "_instrument", "_uninstrument"])
def test_a_broken_one_does_not_stop_the_program(distributions, swallowed, caplog, where, fault):
    """Whatever it raises is counted and logged, and the others are turned on and off."""
    distributions.install("acme-broken", ("broken",), code=broken(where, FAULTS[fault]))
    module = distributions.install("opentelemetry-instrumentation-acme", ("acme",))
    configure(instrument=["broken", "acme"])
    configure(instrument=False)
    assert {"failures.instrument.broken": 1} == swallowed()
    assert 1 == caplog.text.count("instrument.broken failed")
    assert ["on", "off"] == distributions.happened(module)


def test_an_interrupt_while_one_is_loaded_is_the_programs(distributions):
    """Somebody wants the program to end."""
    distributions.install("acme-slow", ("slow",), code=broken("import", "raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        configure(instrument=["slow"])


@pytest.mark.parametrize("named", ["acne", "wholly different"])
def test_an_unknown_name_is_an_error_that_lists_the_known_ones(distributions, named):
    """The nearest is named, if there is one, and all that are installed are listed."""
    distributions.install("opentelemetry-instrumentation-acme", ("acme",))
    with pytest.raises(spanwise.InvalidSettingError) as raised:
        configure(instrument=[named])
    text = str(raised.value)
    assert f"instrument names {named!r}, which is not installed" in text
    assert ("did you mean 'acme'?" in text) == (named == "acne")
    assert all(name in text for name in loading.installed())


@pytest.mark.parametrize("preferred", ["opentelemetry-", "openinference-"])
def test_one_that_the_program_turned_on_is_left_alone(distributions, preferred):
    """It has the provider of the program's choice; another one would see all once more."""
    other = distributions.install("openinference-instrumentation-acme", ("acme",))
    module = distributions.install("opentelemetry-instrumentation-acme", ("acme",))
    instrumentor = __import__(module).Instrumentor()
    instrumentor.instrument(tracer_provider=None)
    configure(instrument=["acme"], instrumentor_preference=[preferred])
    spanwise.shutdown()
    assert (["on"], []) == (distributions.happened(module), distributions.happened(other))


@pytest.mark.parametrize("spelled", ["ac-me", "ac_me", "AcMe"])
def test_a_name_may_be_spelled_as_its_maker_does_not(distributions, spelled):
    """Makers do not agree on hyphens."""
    module = distributions.install("opentelemetry-instrumentation-acme", ("ac_me",))
    configure(instrument=[spelled])
    assert ["on"] == distributions.happened(module)


def test_the_same_again_turns_nothing_off_and_on(distributions):
    """A later configure() about something else leaves instrumentors as they are."""
    module = distributions.install("opentelemetry-instrumentation-acme", ("acme",))
    configure(instrument=["acme"])
    configure(service_name="other")
    assert ["on"] == distributions.happened(module)


def test_the_environment_is_left_alone(distributions):
    """What instrumentors read there is answered without it."""
    distributions.install("opentelemetry-instrumentation-acme", ("acme",))
    before = dict(os.environ)
    configure(instrument=["acme"])
    assert before == dict(os.environ)
