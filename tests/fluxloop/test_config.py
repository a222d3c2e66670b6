"""FluxLoop's settings: where they come from, what they may be, and what they do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import fluxloop
import fluxloop.config
import spanwise
from fluxloop.config import SDKConfig
from support.files import Files

# Field, variable, default, what the variable is set to in the test, and what comes of it.
TABLE = [
    ("enabled", "ENABLED", True, "false", False),
    ("debug", "DEBUG", False, "true", True),
    ("collector_url", "COLLECTOR_URL", None, "http://localhost:8000/", "http://localhost:8000"),
    ("api_key", "API_KEY", None, "k", "k"),
    ("use_collector", "USE_COLLECTOR", True, "no", False),
    ("offline_store_enabled", "OFFLINE_ENABLED", True, "0", False),
    ("offline_store_dir", "OFFLINE_DIR", "./experiments/artifacts", "x/y", "x/y"),
    ("record_args", "RECORD_ARGS", False, "True", True),
    ("recording_file", "RECORDING_FILE", None, "r.jsonl", "r.jsonl"),
    ("batch_size", "BATCH_SIZE", 10, "100", 100),
    ("flush_interval", "FLUSH_INTERVAL", 5.0, "0.5", 0.5),
    ("max_queue_size", "MAX_QUEUE_SIZE", 1000, "7", 7),
    ("timeout", "TIMEOUT", 10.0, "3", 3.0),
    ("sample_rate", "SAMPLE_RATE", 1.0, "0.25", 0.25),
    ("service_name", "SERVICE_NAME", None, "svc", "svc"),
    ("environment", "ENVIRONMENT", "development", "production", "production"),
    ("storage", "STORAGE", "file", "memory", "memory"),
    ("base_path", "BASE_PATH", "./traces", "elsewhere", "elsewhere"),
    ("project_name", "PROJECT_NAME", None, "project", "project"),
    ("auto_flush", "AUTO_FLUSH", True, "off", False),
    ("buffer_size", "BUFFER_SIZE", 100, "5", 5),
]


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(fluxloop.config, "_config", None)


def messages_of(error: ValidationError) -> dict[str, str]:
    return {str(e["loc"][0]): e["msg"] for e in error.errors()}


def test_every_setting_is_in_the_table():
    """None is untested."""
    assert [row[0] for row in TABLE] == list(SDKConfig().model_dump())


@pytest.mark.parametrize(("field", "variable", "default", "text", "value"), TABLE)
def test_a_variable_sets_its_field(field, variable, default, text, value, monkeypatch):
    """Read when the configuration is made; an empty one is as if it were not set."""
    assert default == getattr(SDKConfig(), field)
    monkeypatch.setenv(f"FLUXLOOP_{variable}", " ")
    assert default == getattr(SDKConfig(), field)
    monkeypatch.setenv(f"FLUXLOOP_{variable}", text)
    found = getattr(SDKConfig(), field)
    assert (type(value), value) == (type(found), found)


@pytest.mark.parametrize(
    ("field", "given", "value"),
    [
        ("enabled", "no", False),
        ("use_collector", "off", False),
        ("offline_store_enabled", 0, False),
        ("auto_flush", "f", False),
        ("batch_size", "7", 7),
        ("batch_size", 7.0, 7),
        ("max_queue_size", "9", 9),
        ("buffer_size", "9", 9),
        ("timeout", "2", 2.0),
        ("timeout", 5, 5.0),
        ("flush_interval", "0.5", 0.5),
        ("sample_rate", "0.5", 0.5),
        ("sample_rate", 1, 1.0),
        ("environment", None, None),
        ("offline_store_dir", Path("x") / "y", str(Path("x") / "y")),
        ("base_path", Path("x"), "x"),
        ("recording_file", Path("x"), "x"),
        ("collector_url", "http://h/base//", "http://h/base"),
    ],
)
def test_a_value_is_made_what_its_setting_is(field, given, value):
    """Numbers and booleans from text, text from paths."""
    found = getattr(fluxloop.configure(**{field: given}), field)
    assert (type(value), value) == (type(found), found)


@pytest.mark.parametrize(
    ("field", "given", "message"),
    [
        ("enabled", "banana", "Input should be a valid boolean, unable to interpret input"),
        ("offline_store_enabled", None, "Input should be a valid boolean"),
        ("timeout", "x", "Input should be a valid number, unable to parse string as a number"),
        ("sample_rate", None, "Input should be a valid number"),
        (
            "batch_size",
            7.5,
            "Input should be a valid integer, got a number with a fractional part",
        ),
        ("max_queue_size", None, "Input should be a valid integer"),
        ("service_name", 5, "Input should be a valid string"),
        ("api_key", 5, "Input should be a valid string"),
        ("offline_store_dir", 3, "Input should be a valid string"),
        ("collector_url", 7, "Input should be a valid string"),
        (
            "collector_url",
            "nonsense",
            "Value error, Invalid collector URL: it needs a scheme and a host",
        ),
        ("collector_url", "", "Value error, Invalid collector URL: it needs a scheme and a host"),
        (
            "collector_url",
            "http://[",
            "Value error, Invalid collector URL: Invalid IPv6 URL",
        ),
        ("sample_rate", 1.5, "Value error, sample_rate must be between 0 and 1"),
        ("sample_rate", float("nan"), "Value error, sample_rate must be between 0 and 1"),
        ("batch_size", 0, "Value error, batch_size must be at least 1"),
        ("batch_size", "101", "Value error, batch_size must not exceed 100"),
        ("storage", "tape", "Value error, storage must be one of file, http, memory, not 'tape'"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(field, given, message):
    """The error names the field, is a ValueError too, and the configuration is as before."""
    before = fluxloop.configure(debug=True)
    with pytest.raises(ValueError, match=field) as caught:
        fluxloop.configure(**{field: given})
    assert isinstance(caught.value, ValidationError)
    assert {field: message} == messages_of(caught.value)
    assert before is fluxloop.get_config()
    assert fluxloop.configure(timeout=1).debug


def test_all_that_is_wrong_is_told_at_once():
    """Without showing what was given, which may be a secret."""
    with pytest.raises(ValidationError, match="3 validation errors for SDKConfig") as caught:
        fluxloop.configure(api_key=b"\xffsecret", collector_url="secret", batch_size=0)
    assert {"api_key", "collector_url", "batch_size"} == set(messages_of(caught.value))
    assert "secret" not in str(caught.value)


def test_an_unknown_parameter_is_refused():
    """By its name, before anything is changed."""
    with pytest.raises(ValueError, match=r"^Unknown configuration parameter: nonsense$"):
        fluxloop.configure(debug=True, nonsense=1)
    assert not fluxloop.get_config().debug


def test_a_configuration_is_dumped_and_copied_like_a_pydantic_model():
    """The methods that programs call on the published one."""
    config = SDKConfig(batch_size=3)
    assert config.model_dump() == config.model_dump(mode="json")
    assert {"batch_size": 3} == config.model_dump(include={"batch_size"})
    assert "api_key" not in config.model_dump(exclude_none=True)
    assert {"batch_size": 3} == config.model_dump(exclude_defaults=True)
    copied = config.model_copy(update={"batch_size": 4})
    assert (3, 4) == (config.batch_size, copied.batch_size)
    assert config == config.model_copy(deep=True)
    assert 5 == SDKConfig.model_validate({"batch_size": "5", "unknown": 1}).batch_size
    assert "hidden" not in repr(SDKConfig(api_key="hidden"))


def test_values_of_the_right_type_cost_no_import_of_pydantic():
    """Configuring by hand and a first use are as light as the import."""
    script = (
        "import sys, fluxloop\n"
        "fluxloop.configure(storage='memory', batch_size=5, debug=True, sample_rate=0.5)\n"
        "fluxloop.agent()(lambda: 1)()\n"
        "assert 'pydantic' not in sys.modules\n"
        "assert not any(name.startswith('pydantic') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_modules_can_be_reached_after_importing_the_package_alone():
    """As programs that write out `fluxloop.models.ObservationData` do."""
    script = (
        "import fluxloop\n"
        "for name in ('config', 'context', 'decorators', 'models', 'recording', 'schemas',\n"
        "             'serialization'):\n"
        "    assert getattr(fluxloop, name).__name__ == f'fluxloop.{name}'"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_bad_variable_is_told_in_one_line(monkeypatch, caplog):
    """The program goes on without it."""
    monkeypatch.setenv("FLUXLOOP_SAMPLE_RATE", "7")
    monkeypatch.setenv("FLUXLOOP_BATCH_SIZE", "0")
    assert 1 == fluxloop.agent()(lambda: 1)()
    assert [
        "batch_size: Value error, batch_size must be at least 1; "
        "sample_rate: Value error, sample_rate must be between 0 and 1"
    ] == caplog.messages


def test_the_projects_name_is_the_services_where_it_has_none():
    """What the documents call a project shows in backends."""
    fluxloop.configure(project_name="project", storage="memory")
    assert "project" == spanwise._state.runtime.settings.service_name
    fluxloop.configure(service_name="svc")
    assert "svc" == spanwise._state.runtime.settings.service_name


def test_the_documents_settings_are_taken_together(tmp_path):
    """Storage, folder, project, flushing and buffer."""
    config = fluxloop.configure(
        storage="file",
        base_path=str(tmp_path / "t"),
        project_name="p",
        auto_flush=False,
        buffer_size=50,
    )
    fluxloop.agent(name="a")(lambda: 1)()
    assert "a" == Files(tmp_path / "t").observations()[0]["name"]
    assert ("p", False, 50) == (config.project_name, config.auto_flush, config.buffer_size)


def test_load_env_takes_the_published_keyword(tmp_path):
    """By either name, but not by both."""
    (tmp_path / "my.env").write_text("FLUXLOOP_BATCH_SIZE=9\n")
    assert fluxloop.load_env(dotenv_path=str(tmp_path / "my.env")) is True
    assert 9 == fluxloop.get_config().batch_size
    with pytest.raises(TypeError, match="not both"):
        fluxloop.load_env("a", dotenv_path="b")
    del os.environ["FLUXLOOP_BATCH_SIZE"]


def test_load_env_reads_the_configuration_anew(tmp_path, monkeypatch):
    """Also from a given file that holds nothing; not where it was told not to."""
    (tmp_path / "empty.env").write_text("")
    monkeypatch.setenv("FLUXLOOP_BATCH_SIZE", "8")
    fluxloop.configure(batch_size=3)
    assert fluxloop.load_env(tmp_path / "empty.env", refresh_config=False) is False
    assert 3 == fluxloop.get_config().batch_size
    assert fluxloop.load_env() is False
    assert 3 == fluxloop.get_config().batch_size
    assert fluxloop.load_env(tmp_path / "empty.env") is False
    assert 8 == fluxloop.get_config().batch_size


def test_a_configuration_of_wrong_types_in_the_environment_names_the_variable(monkeypatch):
    """A number that is none."""
    monkeypatch.setenv("FLUXLOOP_TIMEOUT", "soon")
    with pytest.raises(ValueError, match=r"^FLUXLOOP_TIMEOUT: "):
        SDKConfig()
