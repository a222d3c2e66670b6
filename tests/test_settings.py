"""Where a setting comes from, and what is said of a bad one."""

from __future__ import annotations

import dataclasses
import os

import pytest

import spanwise
from spanwise import Destination, InvalidSettingError, UnknownSettingError
from spanwise import _destinations as destinations
from spanwise._environment import Environment
from spanwise._settings import Settings, resolve
from support.forks import in_child
from support.ids import plain

NOTHING = Environment({}, {})


def settings(keywords=None, variables=None, dotenv=None):
    return resolve(keywords or {}, Environment(variables or {}, dotenv or {}))


def test_a_keyword_beats_a_variable_and_a_variable_beats_dotenv():
    """Keyword, then SPANWISE_, then OpenTelemetry's, then .env in the same order."""
    layers = [
        ({"service_name": "keyword"}, {}, {}),
        ({}, {"SPANWISE_SERVICE_NAME": "ours"}, {}),
        ({}, {"OTEL_SERVICE_NAME": "otel"}, {}),
        ({}, {}, {"SPANWISE_SERVICE_NAME": "file"}),
        ({}, {}, {"OTEL_SERVICE_NAME": "otel in file"}),
    ]
    found = []
    for start in range(len(layers)):
        merged = [{}, {}, {}]
        for layer in layers[start:]:
            for into, part in zip(merged, layer, strict=True):
                into.update(part)
        found.append(settings(*merged).service_name)
    assert ["keyword", "ours", "otel", "file", "otel in file"] == found


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("service_name", "bot", "bot"),
        ("service_version", "1.2", "1.2"),
        ("environment", "prod", "prod"),
        ("enabled", "no", False),
        ("sample_rate", "0.25", 0.25),
        ("traces_dir", "none", None),
        ("traces_max_bytes", "1000", 1000),
        ("otlp_endpoint", "http://collector:4318/", "http://collector:4318"),
        ("otlp_headers", "a=1, b=two%20words", (("a", "1"), ("b", "two words"))),
        ("spool_max_bytes", "5", 5),
        ("spool_only", "yes", True),
        ("live", "1", True),
        ("lean_spans", "false", False),
        ("destinations", "http://a:1,http://b:2", ("http://a:1", "http://b:2")),
        ("destinations", '[{"endpoint": "http://a:1"}]', ({"endpoint": "http://a:1"},)),
        ("dialects", "brixo, openinference", ("brixo", "openinference")),
        ("capture_content", "false", False),
        ("capture_content", "SPAN_ONLY", True),
        ("mask", "ssn,iban", ("ssn", "iban")),
        ("unmask", "public_key", ("public_key",)),
        ("strict_masking", "1", True),
        ("instrument", "true", True),
        ("instrument", "langchain, openai", ("langchain", "openai")),
        ("propagate_threads", "off", False),
    ],
)
def test_every_setting_has_its_variable(name, text, value):
    """SPANWISE_ and the field's name, in the environment and in .env alike."""
    variable = f"SPANWISE_{name.upper()}"
    assert value == getattr(settings(variables={variable: text}), name)
    from_file = settings(dotenv={variable: text})
    assert value == getattr(from_file, name)
    assert f"{variable} in .env" == from_file.sources[name]


@pytest.mark.parametrize(
    ("keyword", "value", "fault"),
    [
        ("service_name", "", "must be a non-empty string"),
        ("service_name", 7, "must be a non-empty string"),
        ("enabled", "maybe", "must be true or false, not 'maybe'"),
        ("sample_rate", 1.5, "must be a number between 0 and 1, not 1.5"),
        ("sample_rate", -0.1, "must be a number between 0 and 1"),
        ("sample_rate", float("nan"), "must be a number between 0 and 1"),
        ("sample_rate", "half", "must be a number between 0 and 1, not 'half'"),
        ("sample_rate", True, "must be a number between 0 and 1"),
        ("media_dir", 7, "must be a path, not 7"),
        ("traces_dir", 7, "must be a path, not 7"),
        ("traces_dir", "a\0b", "null character"),
        ("traces_max_bytes", 0, "must be a number of bytes above 0"),
        ("traces_max_bytes", "much", "must be a number of bytes"),
        ("otlp_endpoint", "collector:4318", "must be an http"),
        ("otlp_endpoint", "http://", "must be an http"),
        ("otlp_endpoint", "http://host:port", "must be an http"),
        ("otlp_endpoint", "ftp://host", "must be an http"),
        ("otlp_headers", "novalue", "must be a list like name=value"),
        ("otlp_headers", {"a": 1}, "both strings"),
        ("otlp_headers", {"a": "1\r\nX: y"}, "must not hold a line break"),
        ("destinations", {"endpoint": "http://a"}, "must be a list of destinations"),
        ("destinations", "[{", "must be addresses or a JSON list"),
        ("dialects", 7, "must be a list of names"),
        ("record", True, "must be the path of a file"),
        ("capture_content", "sometimes", "must be true or false"),
        ("mask", [1], "must be a list of names, all strings"),
        ("strict_masking", "very", "must be true or false"),
        ("instrument", 7, "must be a list of names"),
        ("propagate_threads", "x", "must be true or false"),
        ("spool_only", "perhaps", "must be true or false, not 'perhaps'"),
        ("live", "always", "must be true or false, not 'always'"),
        ("lean_spans", "fat", "must be true or false, not 'fat'"),
        ("tracer_provider", object(), "must be an OpenTelemetry SDK TracerProvider"),
        ("service_version", "   ", "must be a non-empty string"),
        ("environment", b"prod", "must be a non-empty string"),
        ("enabled", 1, "must be true or false, not 1"),
        ("sample_rate", float("inf"), "must be a number between 0 and 1"),
        ("sample_rate", 10**400, "must be a number between 0 and 1"),
        ("sample_rate", [0.5], "must be a number between 0 and 1, not [0.5]"),
        ("traces_dir", ["traces"], "must be a path, not ['traces']"),
        ("traces_dir", "/dev/null/traces", "is not a folder"),
        ("traces_dir", "x" * 5000, "too long"),
        ("traces_dir", "~no-such-user/traces", "a user's folder that is not known"),
        ("spool_dir", "/dev/null/spool", "is not a folder"),
        ("traces_max_bytes", float("inf"), "must be a number of bytes, not inf"),
        ("traces_max_bytes", float("nan"), "must be a number of bytes, not nan"),
        ("traces_max_bytes", True, "must be a number of bytes above 0"),
        ("spool_max_bytes", -1, "must be a number of bytes above 0, not -1"),
        ("spool_max_bytes", "1e9", "must be a number of bytes, not '1e9'"),
        ("otlp_endpoint", 7, "must be a non-empty string"),
        ("otlp_endpoint", "http://host:99999", "must be an http"),
        ("otlp_endpoint", "http://host:0", "must be an http"),
        ("otlp_endpoint", "http://[::1", "must be an http"),
        ("otlp_endpoint", "http://ho st", "without blanks"),
        ("otlp_headers", 7, "must be a mapping of header names to values"),
        ("otlp_headers", "=value", "must have header names"),
        ("otlp_headers", {"": "a"}, "must have header names"),
        ("otlp_headers", {"two words": "a"}, "must have header names of letters"),
        ("otlp_headers", {"a": "1\0"}, "must not hold a line break (header 'a')"),
        ("otlp_headers", "a=1%0D%0AX: y", "must not hold a line break (header 'a')"),
        ("otlp_headers", {"a": "☃"}, "must hold characters of Latin-1 only (header 'a')"),
        ("destinations", 7, "must be a list of destinations"),
        ("destinations", "[" * 100_000, "must be addresses or a JSON list"),
        ("dialects", [None], "must be a list of names, all strings"),
        ("record", "x" * 5000, "too long"),
        ("unmask", 7, "must be a list of names, not 7"),
        ("instrument", [True], "must be a list of names, all strings"),
        ("instrumentor_preference", 7, "must be a list of names, not 7"),
    ],
    ids=plain,
)
def test_a_bad_value_is_told_with_its_setting_and_its_fault(keyword, value, fault):
    """By keyword, and by variable where the value is text; the message says which."""
    with pytest.raises(InvalidSettingError) as told:
        settings({keyword: value})
    assert str(told.value).startswith(f"{keyword} ")
    assert fault in str(told.value)
    if isinstance(value, str) and value.strip():
        variable = f"SPANWISE_{keyword.upper()}"
        with pytest.raises(InvalidSettingError, match=rf"^{keyword} \(from {variable}\) "):
            settings(variables={variable: value})


def test_a_bad_value_of_every_setting_is_tried_above():
    """No setting takes whatever it is given."""
    (mark,) = [
        mark
        for mark in test_a_bad_value_is_told_with_its_setting_and_its_fault.pytestmark
        if mark.name == "parametrize"
    ]
    tried = {keyword for keyword, _, _ in mark.args[1]}
    assert tried == {field.name for field in dataclasses.fields(Settings)} - {"sources"}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("otlp_endpoint", "http://jane:hidden"),
        ("otlp_endpoint", "http://jane:hidden@host:port"),
        ("otlp_endpoint", "http://jane:hidden℀@host"),
        ("otlp_headers", "hidden"),
        ("otlp_headers", "authorization:Bearer hidden=="),
        ("otlp_headers", {"authorization": "Bearer hidden\r\n"}),
        ("otlp_headers", {"authorization": "Bearer hidden☃"}),
        ("otlp_headers", {"authorization": ["hidden"]}),
        ("otlp_headers", {"Bearer hidden\n": "x"}),
        ("otlp_headers", ["hidden"]),
        ("destinations", '[{"headers": {"authorization": "hidden"}'),
    ],
    ids=plain,
)
def test_what_is_said_of_a_bad_value_shows_no_secret(keyword, value):
    """Passwords of addresses, and headers in whatever form, stay out of messages and logs."""
    with pytest.raises(InvalidSettingError) as told:
        settings({keyword: value})
    assert "hidden" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_variable_is_none(blank):
    """As OpenTelemetry says: it is as if it were not set."""
    found = settings(
        variables={"SPANWISE_SERVICE_NAME": blank, "OTEL_SERVICE_NAME": "otel"},
        dotenv={"SPANWISE_ENVIRONMENT": blank},
    )
    assert ("otel", None) == (found.service_name, found.environment)
    assert {"service_name": "OTEL_SERVICE_NAME"} == dict(found.sources)


def test_a_keyword_that_is_none_is_not_given():
    """But for traces_dir, where None says: no files."""
    found = settings(
        {"service_name": None, "traces_dir": None}, {"SPANWISE_SERVICE_NAME": "variable"}
    )
    assert ("variable", None) == (found.service_name, found.traces_dir)
    assert "traces_dir" in found.sources


def test_a_bad_variable_below_a_good_keyword_is_not_looked_at():
    """Only the value that counts has to be right."""
    assert 0.5 == settings({"sample_rate": 0.5}, {"SPANWISE_SAMPLE_RATE": "half"}).sample_rate


def test_a_later_configure_changes_what_it_names_and_keeps_the_rest(monkeypatch):
    """Keywords add up; variables are read anew."""
    spanwise.configure(service_name="bot", sample_rate=0.5, traces_dir=None)
    monkeypatch.setenv("SPANWISE_ENVIRONMENT", "staging")
    found = spanwise.configure(sample_rate=0.25, mask=["ssn"])
    assert ("bot", "staging", 0.25, ("ssn",), None) == (
        found.service_name,
        found.environment,
        found.sample_rate,
        found.mask,
        found.traces_dir,
    )


def test_a_configure_that_fails_leaves_no_keyword_behind():
    """The next one does not know of it."""
    spanwise.configure(service_name="bot", traces_dir=None)
    with pytest.raises(InvalidSettingError):
        spanwise.configure(service_name="other", sample_rate=7)
    assert "bot" == spanwise.configure(environment="prod").service_name


@pytest.mark.parametrize(
    ("value", "runs"), [("true", False), ("TRUE", False), ("false", True), ("", True), ("1", True)]
)
def test_the_sdks_own_switch_beats_every_setting(monkeypatch, value, runs):
    """OTEL_SDK_DISABLED is true or it is not; OpenTelemetry knows no other word for it."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", value)
    spanwise.configure(enabled=True, traces_dir=None)
    assert runs is (spanwise._state.runtime is not None)


def test_an_unknown_setting_names_the_nearest():
    """A typo is told with what was probably meant, and nothing is configured."""
    with pytest.raises(UnknownSettingError, match="'sample_rat'; did you mean 'sample_rate'"):
        spanwise.configure(sample_rat=0.5)
    with pytest.raises(UnknownSettingError, match=r"known are .*traces_dir"):
        spanwise.configure(zzzz=1)
    assert spanwise._state.runtime is None


def test_errors_are_of_one_tree():
    """They can be caught as what they are: a wrong value."""
    assert issubclass(UnknownSettingError, spanwise.ConfigurationError)
    assert issubclass(InvalidSettingError, spanwise.ConfigurationError)
    for error, builtin in (
        (spanwise.ConfigurationError, ValueError),
        (spanwise.DecorationError, TypeError),
    ):
        assert issubclass(error, spanwise.SpanwiseError)
        assert issubclass(error, builtin)


def test_no_error_and_no_repr_shows_a_header(monkeypatch):
    """What is in headers is a secret."""
    with pytest.raises(InvalidSettingError) as told:
        settings({"otlp_headers": {"authorization": "Bearer hidden\n"}})
    assert "hidden" not in str(told.value)
    destination = Destination(endpoint="http://a", headers={"x-api-key": "hidden"})
    assert "hidden" not in repr(destination)


def test_a_recording_file_must_be_a_file(tmp_path):
    """Not a folder, and not below a file."""
    with pytest.raises(InvalidSettingError, match="is a folder"):
        settings({"record": tmp_path})
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettingError, match="is not a folder"):
        settings({"record": tmp_path / "file" / "calls.jsonl"})


def test_only_our_and_opentelemetrys_names_of_dotenv_are_read(tmp_path, monkeypatch):
    """And the environment stays as it is."""
    (tmp_path / ".env").write_text(
        "# comment\nexport SPANWISE_SERVICE_NAME='quoted name'\nAWS_SECRET=x\nOTEL_X=1\n"
    )
    before = dict(os.environ)
    environment = Environment.read(tmp_path)
    assert "quoted name" == environment.get("SPANWISE_SERVICE_NAME")
    assert "1" == environment.get("OTEL_X")
    assert environment.get("AWS_SECRET") is None
    assert before == dict(os.environ)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"SPANWISE_ENVIRONMENT=good\nthis is (not = a line\x00\n'\n", "bad line"),
        (b"SPANWISE_ENVIRONMENT=\xff\xfe\n", "undecodable"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_dotenv_is_one_log_line_and_the_program_goes_on(tmp_path, caplog, content, name):
    """The line says where, not what."""
    (tmp_path / ".env").write_bytes(content)
    spanwise.configure(traces_dir=None)
    lines = [record.message for record in caplog.records]
    assert 1 == len(lines)
    assert ".env" in lines[0]
    assert "not = a line" not in lines[0]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"SPANWISE_SERVICE_NAME=bot\nhidden (not = a line\nOTEL_X=1\n", 2),
        (b"SPANWISE_SERVICE_NAME=bot\nOTHER=hidden\xff\nOTEL_X=1\n", 2),
        (b"SPANWISE_SERVICE_NAME=bot\n\n# \xe9 hidden\nOTEL_X=1\n", 2),
        (b"\xef\xbb\xbfSPANWISE_SERVICE_NAME=bot\nOTEL_X=1\nX='hidden\n", 3),
        (b"SPANWISE_ENVIRONMENT=hidden\xff\nSPANWISE_SERVICE_NAME=bot\nOTEL_X=1\n", 1),
    ],
    ids=["bad line", "undecodable", "undecodable comment", "open quote", "undecodable value"],
)
def test_the_other_lines_of_a_bad_dotenv_are_used(tmp_path, caplog, content, line):
    """One warning says which line cannot be read, and not what it holds."""
    (tmp_path / ".env").write_bytes(content)
    environment = Environment.read(tmp_path)
    assert ("bot", "1", None) == tuple(
        map(environment.get, ("SPANWISE_SERVICE_NAME", "OTEL_X", "SPANWISE_ENVIRONMENT"))
    )
    (record,) = caplog.records
    assert f".env: cannot read line {line}; the other lines are used" == record.getMessage()
    assert "WARNING" == record.levelname


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SPANWISE_SERVICE_NAME=bot", "bot"),
        ("SPANWISE_SERVICE_NAME = bot # comment", "bot"),
        ("export SPANWISE_SERVICE_NAME=bot", "bot"),
        ("SPANWISE_SERVICE_NAME='a bot'", "a bot"),
        ('SPANWISE_SERVICE_NAME="a\\nbot"', "a\nbot"),
        ("SPANWISE_SERVICE_NAME=naïve ☃", "naïve ☃"),
        ("\ufeffSPANWISE_SERVICE_NAME=bot", "bot"),
        ("SPANWISE_SERVICE_NAME=bot\r\n", "bot"),
        ("SPANWISE_SERVICE_NAME=first\nSPANWISE_SERVICE_NAME=bot", "bot"),
        ("SPANWISE_SERVICE_NAME", None),
        ("spanwise_service_name=bot", None),
        ("", None),
    ],
    ids=plain,
)
def test_a_line_of_dotenv_is_read_as_shells_would(tmp_path, caplog, line, value):
    """With export, quotes, comments, and the marks that Windows adds."""
    (tmp_path / ".env").write_bytes(line.encode())
    assert value == Environment.read(tmp_path).get("SPANWISE_SERVICE_NAME")
    assert [] == caplog.records


def test_a_dotenv_that_cannot_be_read_is_ignored(tmp_path, caplog, monkeypatch):
    """One line says why."""
    (tmp_path / ".env").write_text("SPANWISE_SERVICE_NAME=bot")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert Environment.read(tmp_path).get("SPANWISE_SERVICE_NAME") is None
    (record,) = caplog.records
    assert "PermissionError" in record.getMessage()


def test_a_folder_called_dotenv_is_no_fault(tmp_path):
    """It is simply not a file."""
    (tmp_path / ".env").mkdir()
    spanwise.configure(traces_dir=None)


def where(keywords=None, variables=None):
    environment = Environment(variables or {}, {})
    return destinations.resolve(resolve(keywords or {}, environment), environment)


@pytest.mark.parametrize(
    ("keywords", "variables", "address"),
    [
        ({"otlp_endpoint": "http://c:4318"}, {}, "http://c:4318/v1/traces"),
        ({"otlp_endpoint": "http://c:4318/"}, {}, "http://c:4318/v1/traces"),
        ({"otlp_endpoint": "http://c/x/v1/traces"}, {}, "http://c/x/v1/traces"),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/base"}, "http://c/base/v1/traces"),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/as-is"}, "http://c/as-is"),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces/x",
            },
            "http://traces/x",
        ),
        (
            {"otlp_endpoint": "http://keyword"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://variable"},
            "http://keyword/v1/traces",
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "http://c:4317",
        ),
        (
            {},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "https://c:4317",
        ),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_INSECURE": "true",
            },
            "http://c:4317",
        ),
        ({"destinations": ["http://c:4318"]}, {}, "http://c:4318/v1/traces"),
        ({"destinations": ["http://c:4318/"]}, {}, "http://c:4318/v1/traces"),
        ({"destinations": [{"endpoint": "http://c/x/v1/traces/"}]}, {}, "http://c/x/v1/traces/"),
        (
            {"destinations": [{"endpoint": "http://c:4317", "protocol": "grpc"}]},
            {},
            "http://c:4317",
        ),
        ({"destinations": [Destination(endpoint="http://c/own/")]}, {}, "http://c/own/"),
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c/base/"}, "http://c/base/v1/traces"),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/as-is/"}, "http://c/as-is/"),
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318"}, "http://c:4318"),
        (
            {"otlp_endpoint": "https://c:4317"},
            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": " grpc "},
            "https://c:4317",
        ),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
            },
            "http://c/v1/traces",
        ),
    ],
)
def test_an_address_is_base_or_full(keywords, variables, address):
    """OpenTelemetry's rule for each way of saying it."""
    assert [address] == [found.endpoint for found in where(keywords, variables)]


def test_the_signals_own_variable_beats_the_general_one():
    """For headers, protocol, timeout, compression and certificates."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}
    for name, general, own in (
        ("HEADERS", "a=1", "b=2"),
        ("TIMEOUT", "3", "4.5"),
        ("COMPRESSION", "none", "gzip"),
        ("CERTIFICATE", "/all.pem", "/traces.pem"),
        ("CLIENT_KEY", "/all.key", "/traces.key"),
        ("CLIENT_CERTIFICATE", "/all.crt", "/traces.crt"),
    ):
        variables[f"OTEL_EXPORTER_OTLP_{name}"] = general
        variables[f"OTEL_EXPORTER_OTLP_TRACES_{name}"] = own
    (found,) = where(variables=variables)
    assert ((("b", "2"),), 4.5, "gzip", "/traces.pem", "/traces.key", "/traces.crt") == (
        found.headers,
        found.timeout_s,
        found.compression,
        found.certificate,
        found.client_key,
        found.client_certificate,
    )


def test_the_batch_processors_variables_are_those_of_the_main_destination():
    """In milliseconds; the shorter time counts for a request."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
        "OTEL_BSP_SCHEDULE_DELAY": "1500",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "7",
        "OTEL_BSP_EXPORT_TIMEOUT": "2500",
    }
    (found,) = where(variables=variables)
    assert (1.5, 7, 2.5) == (found.batch_delay_s, found.batch_spans, found.timeout_s)
    (found,) = where(variables={**variables, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"})
    assert 1.0 == found.timeout_s


@pytest.mark.parametrize(
    ("keywords", "variables", "message"),
    [
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "nonsense"}, "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ({}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (
            {"otlp_endpoint": "http://c"},
            {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
            "OTEL_EXPORTER_OTLP_TIMEOUT",
        ),
        (
            {"otlp_endpoint": "http://c"},
            {"OTEL_EXPORTER_OTLP_HEADERS": "novalue"},
            "OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (
            {"otlp_endpoint": "http://c", "dialects": ["brix"]},
            {},
            r"did you mean 'brixo'\? Known are brixo, langfuse, ",
        ),
        ({"destinations": [{"endpont": "http://c"}]}, {}, "'endpont'; did you mean 'endpoint'"),
        ({"destinations": [{"headers": {}}]}, {}, "must each have an endpoint"),
        ({"destinations": [7]}, {}, "must be addresses, mappings or Destination"),
        (
            {"otlp_endpoint": "http://c"},
            {"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"},
            r"compression \(from OTEL_EXPORTER_OTLP_COMPRESSION\) must be among none, gzip, deflate",
        ),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:port",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://good",
            },
            r"otlp_endpoint \(from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT\) must be an http",
        ),
        (
            {},
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
                "OTEL_EXPORTER_OTLP_INSECURE": "maybe",
            },
            "OTEL_EXPORTER_OTLP_INSECURE",
        ),
        *(
            (
                {"otlp_endpoint": "http://c"},
                {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": seconds},
                r"\(from OTEL_EXPORTER_OTLP_TRACES_TIMEOUT\) must be a number of seconds above 0",
            )
            for seconds in ("0", "-1", "nan", "inf", "1e999", "ten")
        ),
        *(
            (
                {"otlp_endpoint": "http://c"},
                {variable: value},
                rf"a batch \(from {variable}\) must be a number",
            )
            for variable, value in (
                ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
                ("OTEL_BSP_SCHEDULE_DELAY", "-5"),
                ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
                ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "many"),
            )
        ),
        *(
            ({"destinations": [{"endpoint": "http://c", **options}]}, {}, message)
            for options, message in (
                ({"timeout_s": "soon"}, "must be a number of seconds above 0, not 'soon'"),
                ({"timeout_s": 0}, "must be a number of seconds above 0, not 0"),
                ({"timeout_s": 10**400}, "must be a number of seconds above 0"),
                ({"timeout_s": None}, "must be a number of seconds above 0, not None"),
                ({"dialects": 7}, "must be a list of names, not 7"),
                ({"dialects": [["brixo"]]}, "must be a list of names, all strings"),
                ({"protocol": "smoke"}, "must have a protocol among http/protobuf, grpc"),
                ({"protocol": None}, "must have a protocol among"),
                ({"compression": "zip"}, "must have a compression among none, gzip, deflate"),
                ({"batch_spans": 0}, "must be a number above 0, not 0"),
                ({"batch_delay_s": -1}, "must be a number of seconds above 0, not -1"),
                ({"headers": "novalue"}, "must be a list like name=value"),
                ({"headers": {"a b": "c"}}, "must have header names"),
            )
        ),
        ({"destinations": [{"endpoint": ""}]}, {}, "must be an http|must have an endpoint"),
        ({"destinations": [{"endpoint": 7}]}, {}, "must be a non-empty string"),
        ({"destinations": ["ftp://c"]}, {}, "must be an http"),
        (
            {"destinations": [{"endpoint": "http://c", "dialects": ["x"]}]},
            {},
            "unknown dialect 'x'",
        ),
    ],
)
def test_a_bad_destination_is_told_with_where_it_came_from(keywords, variables, message):
    """Addresses, protocols, timeouts, headers, dialects and options."""
    with pytest.raises(InvalidSettingError, match=message):
        where(keywords, variables)


@pytest.mark.parametrize(
    ("variables", "headers"),
    [
        (
            {"HEADERS": "authorization=Bearer%20a%3Db,x=1"},
            {"authorization": "Bearer a=b", "x": "1"},
        ),
        ({"HEADERS": " a = 1 , b = 2 ,"}, {"a": "1", "b": "2"}),
        ({"HEADERS": "a=b=c=="}, {"a": "b=c=="}),
        ({"HEADERS": "a=1", "TRACES_HEADERS": "b=2"}, {"b": "2"}),
        ({"HEADERS": "a="}, {"a": ""}),
        ({}, {}),
    ],
    ids=plain,
)
def test_headers_of_the_environment_are_decoded(variables, headers):
    """Percent signs, blanks and equals signs as OpenTelemetry has them; the signal's own win."""
    (found,) = where(
        variables={
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
            **{f"OTEL_EXPORTER_OTLP_{name}": text for name, text in variables.items()},
        }
    )
    assert headers == dict(found.headers)


def test_headers_that_are_set_beat_those_of_the_environment():
    """They are not mixed."""
    (found,) = where(
        {"otlp_endpoint": "http://c", "otlp_headers": {"a": "1"}},
        {"OTEL_EXPORTER_OTLP_HEADERS": "b=2"},
    )
    assert (("a", "1"),) == found.headers


def test_a_destination_has_defaults_and_takes_every_option():
    """One dialect may be named alone, headers may be a mapping."""
    plain = Destination(endpoint=" http://c/v1/traces ")
    assert ("http://c/v1/traces", (), "http/protobuf", (), 10.0, "none") == (
        plain.endpoint,
        plain.headers,
        plain.protocol,
        plain.dialects,
        plain.timeout_s,
        plain.compression,
    )
    (full,) = where(
        {
            "destinations": [
                {
                    "endpoint": "https://c:4317",
                    "headers": {"x": "1"},
                    "protocol": "grpc",
                    "dialects": "brixo",
                    "timeout_s": 3,
                    "compression": "gzip",
                }
            ]
        }
    )
    assert full == Destination(
        endpoint="https://c:4317",
        headers=(("x", "1"),),
        protocol="grpc",
        dialects=("brixo",),
        timeout_s=3.0,
        compression="gzip",
    )


def test_nothing_named_is_no_destination():
    """Headers and timeouts alone name no place."""
    assert () == where(variables={"OTEL_EXPORTER_OTLP_HEADERS": "a=1"})


def test_headers_of_the_environment_go_to_no_other_destination():
    """They are credentials for the one address that the environment names."""
    found = where(
        {"destinations": ["http://other"]},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_EXPORTER_OTLP_HEADERS": "a=1"},
    )
    assert [("http://c/v1/traces", (("a", "1"),)), ("http://other/v1/traces", ())] == [
        (destination.endpoint, destination.headers) for destination in found
    ]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can change its user")
def test_a_spool_dir_that_is_another_users_is_no_error(tmp_path):
    """A worker that changes its user after its master has read it spools elsewhere."""
    folder = tmp_path / "roots"
    folder.mkdir(mode=0o700)

    def worker():
        os.setuid(65_534)
        return [str(settings({"spool_dir": path}).spool_dir) for path in (folder, folder / "below")]

    assert [str(folder), str(folder / "below")] == in_child(worker)


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_a_variable_that_is_no_setting_is_told_once(monkeypatch, tmp_path, caplog, place):
    """With the nearest that is one; the program is set up all the same."""
    if place == ".env":
        (tmp_path / ".env").write_text("SPANWISE_OTLP_ENDPONT=http://c\n")
    else:
        monkeypatch.setenv("SPANWISE_OTLP_ENDPONT", "http://c")
    monkeypatch.setenv("SPANWISE_TRACEPARENT", "")
    spanwise.configure()
    spanwise.configure()
    where = "" if place == "environment" else " in .env"
    hint = "is no setting; did you mean 'SPANWISE_OTLP_ENDPOINT'?"
    assert [f"SPANWISE_OTLP_ENDPONT{where} {hint}"] == [r.getMessage() for r in caplog.records]
