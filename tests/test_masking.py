"""What is secret is masked, and what only looks like it is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.masking_cases import (
    BODY,
    HARMLESS_ARGUMENTS,
    HARMLESS_NAMES,
    HARMLESS_TEXTS,
    KEPT_VALUES,
    KEY_TEXTS,
    LINE_TEXTS,
    SECRET,
    SECRET_ARGUMENTS,
    SECRET_NAMES,
    SECRET_TEXTS,
    made_up,
    pem,
)
from spanwise._encoding import Encoder
from spanwise._masked_attributes import masked_value
from spanwise._masking import Masker
from spanwise._secret_names import Verdict
from spanwise._secret_patterns import MASK
from spanwise.export.call_recordings import RECORDING_LIMITS

MASKER = Masker()

# The places in which a text may stand.
CONTEXTS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "in a sentence": lambda text: f"He said so.\n{text}\nThat was all.",
    "as JSON": json.dumps,
    "in JSON in JSON": lambda text: json.dumps(json.dumps({"a": [text]})),
    "in JSON in a log line": lambda text: (
        "2026-01-31 [INFO] got " + json.dumps({"a": text, "n": 1})
    ),
    "in JSON in JSON in a log line": lambda text: (
        "got " + json.dumps({"m": json.dumps({"a": text, "n": 1})}) + " from acme.com"
    ),
}


def test_there_are_hundreds_of_cases() -> None:
    """The promise is checked against names and texts of real SDKs, not against a few."""
    assert len(set(SECRET_NAMES)) >= 150
    assert len(SECRET_TEXTS) >= 150
    assert len({name for name, _ in HARMLESS_NAMES}) >= 150
    assert len(set(HARMLESS_TEXTS)) >= 100


# --- by name ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_the_value_of_a_secret_name_is_masked_at_every_depth(name: str) -> None:
    """In mappings, lists, records and JSON texts, whatever kind the value has."""
    for secret in (SECRET, [SECRET], {"a": SECRET}, SECRET.encode(), ""):
        assert {name: MASK} == MASKER.tree({name: secret})
    value = {
        name: SECRET,
        "deep": [{"er": {name: SECRET, "a": 1}}],
        "json": json.dumps({name: SECRET}),
    }
    expected = {
        name: MASK,
        "deep": [{"er": {name: MASK, "a": 1}}],
        "json": orjson.dumps({name: MASK}).decode(),
    }
    assert expected == MASKER.tree(value)
    assert expected == orjson.loads(Encoder().dumps(value))


@pytest.mark.parametrize(
    ("name", "value"), HARMLESS_NAMES, ids=[name for name, _ in HARMLESS_NAMES]
)
def test_the_value_of_a_harmless_name_survives(name: str, value: Any) -> None:
    """Useful data whose name contains a pattern is kept unchanged, also by the encoder."""
    for shape in ({name: value}, {"a": [{name: value}]}, {"usage": {name: value}}):
        assert shape == MASKER.tree(shape)
        assert shape == orjson.loads(Encoder().dumps(shape))
        assert json.dumps(shape) == MASKER.text(json.dumps(shape))


@pytest.mark.parametrize("kept", KEPT_VALUES)
@pytest.mark.parametrize(
    "masker", [Masker(), Masker(mask=["name"]), Masker(strict=True)], ids=["", "mask", "strict"]
)
def test_none_and_booleans_are_kept_under_every_name(kept: bool | None, masker: Masker) -> None:
    """They say whether there is a secret, not which."""
    for name in (*SECRET_NAMES, "name"):
        assert {name: kept} == masker.tree({name: kept})


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        # 1. harmless words and phrases are set aside; what is left decides
        ("monkey", Verdict.SAFE),
        ("monkey_key", Verdict.SECRET),
        ("monkeykey", Verdict.SECRET),
        ("author", Verdict.SAFE),
        ("author_auth", Verdict.ALWAYS),
        ("primary_key", Verdict.SAFE),
        ("primaryKey", Verdict.SAFE),
        ("primary_key_secret", Verdict.ALWAYS),
        ("tokenizer_token", Verdict.SECRET),
        # 3. password, secret, credential and auth before any counting word
        ("password_count", Verdict.ALWAYS),
        ("max_auth", Verdict.ALWAYS),
        ("secret_key_total", Verdict.ALWAYS),
        ("num_credentials", Verdict.ALWAYS),
        ("session_cookie_limit", Verdict.ALWAYS),
        # 4. a token or key that counts something
        ("max_tokens", Verdict.COUNTS),
        ("tokens", Verdict.COUNTS),
        ("api_key_count", Verdict.COUNTS),
        ("token_usage", Verdict.COUNTS),
        # 5. names of the semantic conventions
        ("feature_flag.key", Verdict.SAFE),
        ("FEATURE_FLAG.KEY", Verdict.SAFE),
        ("gen_ai.usage.secret_tokens", Verdict.SAFE),
        ("gen_ai.usage", Verdict.SAFE),
        # 6. any other token or key
        ("token", Verdict.SECRET),
        ("next_page_token", Verdict.SECRET),
        ("keys", Verdict.SECRET),
        ("apikey", Verdict.SECRET),
        # names outside the promise, whole words only
        ("jwt", Verdict.ALWAYS),
        ("cookies", Verdict.ALWAYS),
        ("pwdx", Verdict.SAFE),
        ("", Verdict.SAFE),
        ("name", Verdict.SAFE),
    ],
)
def test_the_rules_are_tried_in_their_order(name: str, verdict: Verdict) -> None:
    """The first rule that speaks of a name decides, the second time too."""
    masker = Masker()
    assert verdict is masker.verdict(name)
    assert verdict is masker.verdict(name)


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        (5, False),
        (2.5, False),
        (0, False),
        ({"cached_tokens": 1}, False),
        (None, False),
        ("5", True),
        (SECRET, True),
        ([SECRET], True),
        ((SECRET,), True),
        ({SECRET}, True),
        (SECRET.encode(), True),
        (bytearray(SECRET.encode()), True),
    ],
    ids=repr,
)
def test_a_counting_name_keeps_numbers_and_is_looked_into(value: Any, hidden: bool) -> None:
    """A text or a list under `max_tokens` is no count."""
    assert hidden is MASKER.hides("max_tokens", value)


def test_below_a_counting_name_secrets_are_still_found() -> None:
    """What is looked into is judged by its own names."""
    assert MASKER.tree({"token_usage": {"prompt_tokens": 5, "api_key": SECRET}}) == {
        "token_usage": {"prompt_tokens": 5, "api_key": MASK}
    }


@pytest.mark.parametrize(
    "name", ["password", "secretKey", "db_password", "credentials", "auth", "token", "private_key"]
)
@pytest.mark.parametrize("number", [1234, 0, 12.5, 10**30])
def test_numbers_under_secret_names_are_masked(name: str, number: float) -> None:
    """A PIN is a password."""
    assert {name: MASK} == MASKER.tree({name: number})
    assert {name: MASK} == orjson.loads(Encoder().dumps({name: number}))


def test_more_names_can_be_masked() -> None:
    """A key that contains one of them, in any case, is secret."""
    masker = Masker(mask=["SSN", "iban"])
    assert masker.tree({"customer_ssn": "123", "IBAN": "DE00", "a": 1, "max_tokens": 5}) == {
        "customer_ssn": MASK,
        "IBAN": MASK,
        "a": 1,
        "max_tokens": 5,
    }
    assert masker.text('iban="DE00 1234"') == 'iban="***"'
    assert masker.text('{"iban": "DE00"}') == '{"iban":"***"}'


def test_names_can_be_unmasked() -> None:
    """A whole name, in any case, is never secret; longer ones that contain it are."""
    masker = Masker(unmask=["Key", "auth_state"])
    value = {"key": "a", "KEY": "b", "auth_state": "c", "api_key": "d", "auth_states": "e"}
    assert masker.tree(value) == {**value, "api_key": MASK, "auth_states": MASK}
    assert masker.tree(("key", "a")) == ["key", "a"]


def test_unmask_beats_mask_and_strict() -> None:
    """What the user calls harmless is harmless."""
    masker = Masker(mask=["plan"], unmask=["plan", "password"], strict=True)
    value = {"plan": "pro", "password": "x", "planned": "y"}
    assert masker.tree(value) == {**value, "planned": MASK}


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens",
        "primary_key",
        "author",
        "monkey",
        "keyboard",
        "feature_flag.key",
        "gen_ai.usage.input_tokens",
        "tokenizer",
        "key_points",
        "secretary",
    ],
)
def test_strict_masking_knows_no_exceptions(name: str) -> None:
    """Every key that contains one of the promised words is masked, numbers too."""
    masker = Masker(strict=True)
    for value in ("text", 5, {"a": 1}, [1]):
        assert {name: MASK} == masker.tree({name: value})
    assert masker.tree({"model": "gpt-4o", "user": "jane"}) == {"model": "gpt-4o", "user": "jane"}
    assert masker.verdict("jwt") is Verdict.ALWAYS


def test_the_verdicts_that_are_remembered_are_bounded() -> None:
    """A program that makes up names does not fill the memory."""
    masker = Masker()
    for number in range(5_500):
        masker.verdict(f"name{number}")
    assert len(masker.names._verdicts) <= 4096


# --- pairs and descriptions ------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Authorization", "authorization", "X-Api-Key", "cookie", "password", "api_key"]
)
def test_the_value_of_a_secret_pair_is_masked(name: str) -> None:
    """Headers come as pairs, alone and in lists, as tuples and as lists."""
    assert MASKER.tree((name, SECRET)) == [name, MASK]
    assert MASKER.tree([[name, SECRET], ["accept", "*/*"]]) == [[name, MASK], ["accept", "*/*"]]
    assert MASKER.hidden_items((name, SECRET.encode())) == {1: MASK}


@pytest.mark.parametrize(
    "pair",
    [
        ["accept", "*/*"],
        ["max_tokens", "5"],
        ["author", "Jane"],
        ["the key", "be brief"],
        ["Where is the key?", "Under the mat."],
        ["What is a token in authentication?", "A credential."],
        ["password" * 50, "long"],
        ["password", 5],
        ["password", None],
        [5, "password"],
        ["password"],
        ["password", "a", "b"],
        [],
    ],
    ids=str,
)
def test_what_is_no_secret_pair_survives(pair: list[Any]) -> None:
    """Two strings are a header only where the first is the name of one."""
    assert pair == MASKER.tree(pair)


@pytest.mark.parametrize("label", ["name", "key", "header", "Name", "Key", "Header"])
@pytest.mark.parametrize("value", ["value", "Value"])
@pytest.mark.parametrize("name", ["Authorization", "db_password", "API key"])
def test_a_described_secret_is_masked(label: str, value: str, name: str) -> None:
    """`{"name": "Authorization", "value": ...}`, as tools, tags and recordings of HTTP write it."""
    for held in (SECRET, 5, [SECRET]):
        described = {label: name, value: held, "enabled": True}
        for found in (MASKER.tree(described), orjson.loads(Encoder().dumps(described))):
            assert found[value] == MASK
            assert found["enabled"] is True


@pytest.mark.parametrize(
    "described",
    [
        {"name": "colour", "value": "red"},
        {"name": "max_tokens", "value": 5},
        {"name": "The Secret Garden", "value": 12},
        {"name": "author", "value": "Jane"},
        {"title": "password", "value": "x"},
        {"name": "Authorization", "enabled": True},
        {"name": 5, "value": "x"},
    ],
    ids=str,
)
def test_what_describes_no_secret_survives(described: dict[str, Any]) -> None:
    """The label has to name a secret, and there has to be a value."""
    assert described == MASKER.tree(described)
    assert described == orjson.loads(Encoder().dumps(described))


_DESCRIBED: list[Any] = [
    {"name": "password", "content": SECRET},
    {"name": "authorization", "values": [SECRET]},
    [{"key": "password", "val": SECRET}],
    {"field": "password", "value": SECRET},
    {"parameter": "api_key", "value": {"a": SECRET}},
    {"user": "jane", "pass": "x"},
    {"pass": SECRET},
    {"host": "acme.com", "port": 25, "pw": SECRET},
    {b"name": "password", "value": SECRET},
    [("Authorization", SECRET)],
    ["password", SECRET.encode()],
    ["password", b"x" * 2000],
    ["mysql", "--password", SECRET],
    {"kind": "Secret", "data": {"user": SECRET}},
    {"kind": "Secret", "stringData": {"user": SECRET}},
]


@pytest.mark.parametrize("value", _DESCRIBED, ids=str)
def test_every_stage_hides_the_same_parts(value: Any) -> None:
    """Captured values, JSON texts, third parties' attributes and recordings go by one rule."""

    def leaks(written: object) -> bool:
        text = str(written)
        return SECRET in text or "'x'" in text or '"x"' in text or "xxxx" in text

    assert leaks(value)
    assert not leaks(Encoder().dumps(value))
    assert not leaks(Encoder(limits=RECORDING_LIMITS).dumps({"a": value}))
    assert not leaks(MASKER.tree(value))
    assert not leaks(masked_value(value, MASKER))
    if "b'" not in str(value):
        assert not leaks(MASKER.text(json.dumps(value)))


@pytest.mark.parametrize(
    "value",
    [
        {"role": "user", "name": "search_keys", "content": "hello"},
        {"tool_call_id": "c1", "name": "get_token", "content": "hello"},
        {"name": "auth.py", "content": "hello"},
        {"pass": 12, "user": "jane"},
        {"pass": "all is well"},
        {"pass": "ok", "user": "jane"},
        {"kind": "ConfigMap", "data": {"user": "jane"}},
        {"name": "colour", "values": "red"},
        {"field": "age", "value": 3},
        {"parameter": "password", "value": None},
    ],
    ids=str,
)
def test_every_stage_keeps_what_describes_no_secret(value: dict[str, Any]) -> None:
    """A message's name is a tool's; a `pass` may count tests."""
    assert value == MASKER.tree(value)
    assert value == orjson.loads(Encoder().dumps(value))
    assert value == json.loads(json.dumps(masked_value(value, MASKER)))


def test_what_is_hidden_is_told_without_running_code() -> None:
    """Strings and bytes of other types are read by the base types' methods."""

    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise AssertionError("ran")

        __eq__ = lower = __str__  # type: ignore[assignment]
        __hash__ = None  # type: ignore[assignment]

    class Other:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError("ran")

    described = [(Text("name"), Text("password")), (Text("value"), Other()), (Other(), Other())]
    assert list(MASKER.hidden_entries(described)) == [1]
    assert MASKER.hidden_items([Text("password"), Text(SECRET)]) == {1: MASK}
    assert not MASKER.hidden_items([Other(), Text("--password"), Other()])


def test_escaped_letters_of_a_name_hide_nothing_from_the_encoder() -> None:
    """As an argument a JSON text is escaped once more."""
    text = '{"\\u0070assword": "' + SECRET + '", "caf\\u00e9": 1}'
    assert SECRET not in Encoder().dumps(text)
    assert SECRET not in Encoder().dumps({"body": [text]})


@pytest.mark.parametrize("arguments", SECRET_ARGUMENTS, ids=" ".join)
def test_a_secret_argument_of_a_command_is_masked(arguments: list[str]) -> None:
    """As a list and in a JSON text; a second look changes nothing, the other arguments stay."""
    masked = MASKER.tree(arguments)
    assert SECRET not in str(masked)
    assert masked == MASKER.tree(masked)
    assert len(masked) == len(arguments)
    assert masked[0] in (arguments[0], MASK)
    assert SECRET not in MASKER.text(json.dumps({"argv": arguments}))


@pytest.mark.parametrize("arguments", HARMLESS_ARGUMENTS, ids=str)
def test_harmless_arguments_of_a_command_survive(arguments: list[Any]) -> None:
    """Ports, groups, counts and switches are no secrets."""
    assert arguments == MASKER.tree(arguments)


def test_what_a_kubernetes_secret_holds_is_masked() -> None:
    """Whatever its entries are called; those of another kind are kept."""
    data = {"tls.crt": "LS0t", "user": "amFuZQ=="}
    held = {"kind": "Secret", "metadata": {"name": "db"}, "data": data}
    assert MASKER.tree(held) == {**held, "data": {"tls.crt": MASK, "user": MASK}}
    assert MASKER.tree({**held, "kind": "ConfigMap"}) == {**held, "kind": "ConfigMap"}


def test_a_plural_of_tokens_that_holds_texts_counts_nothing() -> None:
    """Numbers by name are kept, texts by name are not."""
    assert MASKER.tree({"tokens": {"ci": SECRET}}) == {"tokens": MASK}
    assert MASKER.tree({"tokens": {"input": 5}}) == {"tokens": {"input": 5}}
    assert MASKER.tree({"token_usage": {"model": "m"}}) == {"token_usage": {"model": "m"}}


# --- by value --------------------------------------------------------------------------------


@pytest.mark.parametrize("case", SECRET_TEXTS)
def test_a_secret_in_a_text_is_masked(case: str) -> None:
    """Wherever the text stands, the secret is gone, and a second look changes nothing."""
    text, secret = SECRET_TEXTS[case]
    assert secret in text
    for name, context in CONTEXTS.items():
        masked = MASKER.text(context(text))
        assert secret not in masked, name
        assert MASK in masked, name
        assert masked == MASKER.text(masked), name


@pytest.mark.parametrize("case", LINE_TEXTS)
def test_a_secret_on_several_lines_is_masked(case: str) -> None:
    """As it stands, among other lines, and in whole JSON texts."""
    text = LINE_TEXTS[case]
    for context in (text, f"before\n{text}\nafter", json.dumps({"a": text})):
        masked = MASKER.text(context)
        assert SECRET not in masked
        assert masked == MASKER.text(masked)
    assert SECRET not in Encoder().dumps([text])


@pytest.mark.parametrize("case", SECRET_TEXTS)
def test_the_encoder_masks_a_secret_in_a_text(case: str) -> None:
    """As a value, as a key, in a list, in the arguments of an exception, at the cut of a long text."""
    text, secret = SECRET_TEXTS[case]
    padded = "y " * 6000 + "\n" + text + "\n" + "z " * 6000
    encoded = Encoder().dumps([text, {"a": text, text: 1}, ValueError(text), padded, text.encode()])
    assert secret not in encoded
    assert MASK in encoded


@pytest.mark.parametrize("text", HARMLESS_TEXTS, ids=[repr(text[:40]) for text in HARMLESS_TEXTS])
def test_a_harmless_text_survives(text: str) -> None:
    """Prose, code, logs, addresses and counts are not changed by one character."""
    for context in CONTEXTS.values():
        shown = context(text)
        assert shown == MASKER.text(shown)
        assert shown == orjson.loads(Encoder().dumps(shown))


@pytest.mark.parametrize("case", KEY_TEXTS)
def test_a_providers_key_is_found_in_the_middle_of_a_text(case: str) -> None:
    """Between quotes, brackets, commas and slashes; the text around it is kept."""
    key = KEY_TEXTS[case][0]
    for before, after in (
        ("(", ")"),
        ("a ", ", b"),
        ("'", "'"),
        ('"', '"'),
        ("/", "?"),
        ("x=", "\n"),
        ("<", ">"),
    ):
        masked = MASKER.text(f"it is {before}{key}{after} here")
        assert masked == f"it is {before}{MASK}{after} here"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password='x', user='jane'", "password='***', user='jane'"),
        ('{"a": 1, "password": "x"}', '{"a":1,"password":"***"}'),
        ("https://jane:x@acme.com/a?b=1", "https://jane:***@acme.com/a?b=1"),
        ("?a=1&api_key=abc&b=2", "?a=1&api_key=***&b=2"),
        ("Authorization: Bearer abcdefgh\nAccept: */*", "Authorization: ***\nAccept: */*"),
        (
            "curl -H 'X-Api-Key: abc123' https://acme.com",
            "curl -H 'X-Api-Key: ***' https://acme.com",
        ),
        ("DB_PASSWORD=abc\nDEBUG=1", "DB_PASSWORD=***\nDEBUG=1"),
        ("called with Bearer abcdefgh1 today", "called with Bearer *** today"),
        (
            'x \\"password\\": \\"a\\", \\"b\\": \\"c\\"',
            'x \\"password\\": \\"***\\", \\"b\\": \\"c\\"',
        ),
        ("a " + pem() + "b", "a ***\nb"),
        ('api_key: str = "abc", limit: int = 5', 'api_key: str = "***", limit: int = 5'),
        ('before [1, {"password": "x"}] after', 'before [1, {"password":"***"}] after'),
        ("deploy --api-key=abc --region=eu", "deploy --api-key=*** --region=eu"),
    ],
)
def test_what_stands_around_a_secret_is_kept(text: str, masked: str) -> None:
    """Only the secret goes; its name, its quotes and its neighbours stay."""
    assert masked == MASKER.text(text)


def test_a_key_that_is_a_secret_is_masked() -> None:
    """Secrets can be the names in a mapping; two of them do not become one."""
    keys = [KEY_TEXTS["OpenAI"][0], KEY_TEXTS["GitHub personal"][0]]
    value = {key: number for number, key in enumerate(keys)}
    assert sorted(MASKER.tree(value).values()) == [0, 1]
    for text in (json.dumps(value), json.dumps(MASKER.tree(value)), Encoder().dumps(value)):
        masked = MASKER.text(text)
        assert all(key not in masked for key in keys)
        assert sorted(orjson.loads(masked).values()) == [0, 1]


def test_a_text_nested_too_deeply_to_be_parsed_is_scanned() -> None:
    """A thousand brackets cost no more than a regular expression's look."""
    for depth in (100, 500, 1000, 5000):
        text = "[" * depth + '{"password": "' + SECRET + '"}' + "]" * depth
        assert SECRET not in MASKER.text(text)
        assert SECRET not in Encoder().dumps(text)


def test_a_json_text_too_long_to_be_parsed_is_scanned() -> None:
    """A quarter of a megabyte of JSON is read as text."""
    text = json.dumps({"a": ["x" * 100] * 4000, "password": SECRET})
    assert len(text) > 262_144
    assert SECRET not in MASKER.text(text)


def test_a_text_without_secrets_is_returned_as_it_is() -> None:
    """The same object: nothing was copied."""
    text = "an ordinary sentence, with nothing in it"
    assert text is MASKER.text(text)


def test_a_text_that_cannot_be_utf_8_is_masked_too() -> None:
    """Lone surrogates do not hide a secret."""
    for text in (
        f"password={SECRET}\ud800",
        f"\udfff api_key='{SECRET}'",
        f'{{"token": "{SECRET}\ud800"}}',
    ):
        assert SECRET not in MASKER.text(text)


# --- again and again -------------------------------------------------------------------------

_pieces = st.sampled_from(
    [
        *(
            "password",
            "api_key",
            "token",
            "key",
            "max_tokens",
            "Authorization",
            "Cookie",
            "author",
            "auth",
        ),
        *(
            "=",
            ": ",
            ":",
            " ",
            "\n",
            ",",
            '"',
            "'",
            "\\",
            '\\"',
            '\\\\\\"',
            "{",
            "}",
            "[",
            "]",
            "://",
            "@",
            "?",
            "&",
        ),
        *(
            "Bearer ",
            "Basic ",
            "***",
            "*",
            "x",
            "hunter2",
            "5",
            "None",
            "str",
            " = ",
            "==",
            "=>",
            "b'",
            '"""',
            "(",
        ),
        *("-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "-----BEGIN ", "-----", "--"),
        *(
            "sk-" + BODY[:20],
            "eyJ" + BODY[:90],
            "ghp_" + BODY[:36],
            "abcdefghijkl1=",
            "é",
            "\ud800",
        ),
        *('{"password": "x"}', '{"a": ["b", 1]}', "value", "name", "\t", "\r\n"),
    ]
)
texts = st.lists(_pieces, max_size=25).map("".join) | st.text(max_size=60)
trees = st.recursive(
    texts
    | st.none()
    | st.booleans()
    | st.integers()
    | texts.map(lambda text: json.dumps({"a": text})),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
often = settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@often
@given(texts)
def test_masking_a_text_twice_changes_nothing(text: str) -> None:
    """What was masked once reads the same after any number of stages."""
    once = MASKER.text(text)
    assert once == MASKER.text(once)


@often
@given(trees)
def test_masking_a_tree_twice_changes_nothing(tree: Any) -> None:
    """The processors may mask what the operation masked."""
    once = MASKER.tree(tree)
    assert once == MASKER.tree(once)


@often
@given(
    texts,
    st.sampled_from(["password='{}'", 'api_key="{}"', "\nAuthorization: {}\n", '"token": "{}"']),
)
def test_no_surroundings_uncover_a_plain_secret(text: str, template: str) -> None:
    """A complete assignment on a line of its own is masked, whatever is before it and after it."""
    assert SECRET not in MASKER.text(f"{text}\n{template.format(SECRET)}\n{text}")


# --- linear time -----------------------------------------------------------------------------

ADVERSARIAL = [
    *(
        "a",
        " ",
        "\n",
        "\\",
        '"',
        "'",
        "{",
        "}",
        "[",
        "]",
        "(",
        "=",
        ":",
        "-",
        ".",
        "@",
        "_",
        "0",
        "\x00",
        "é",
    ),
    *(
        "eyJ",
        "eyJa.",
        "eyJaaaaaaaaaaaa",
        "://",
        "://a",
        "://a:",
        "://a:b",
        "://:",
        "a://b:c@",
        "key=",
        "key= ",
    ),
    *(
        "key:",
        'key="',
        "key='",
        'key=\\"',
        "key=\\\\",
        "key=a:",
        "key:a=",
        "a=key",
        "a:",
        "a: ",
        "a=b:",
        "key =  =",
    ),
    *(
        "password",
        "password=",
        "password: ",
        "password: str",
        "password: a[",
        "password: a | ",
        'password="""',
    ),
    *(
        "password='\\",
        'password="\\',
        'password=\\"\\\\',
        'password=\\\\\\"\\',
        "password=a(",
        'password=a("',
    ),
    *(
        "token_count=",
        "max_tokens=1",
        "tokens:1,",
        "-----BEGIN ",
        "-----END ",
        "-----BEGIN PRIVATE KEY-----",
    ),
    *(
        "-----END PRIVATE KEY-----",
        "-----BEGIN A",
        "-----",
        "sk-",
        "sk-a",
        "sk_live_",
        "pk-",
        "ghp_",
        "AKIA",
        "AIza",
    ),
    *(
        "xoxb-",
        "SG.",
        "SG.a",
        "SK0",
        "hf_",
        "npm_",
        "dop_v1_",
        "dapi0",
        "12345678:AA",
        "AccountKey=",
        "secret_",
    ),
    *(
        "bearer ",
        "bearer a",
        "basic ",
        "basic a",
        "basic aaaaaaaaaaaa ",
        "Authorization",
        "Authorization:",
    ),
    *(
        "Authorization: ",
        "authorization: '",
        "cookie: \\",
        "cookie:cookie",
        '"cookie: ',
        "\\nauthorization",
    ),
    *(
        '{"a":',
        '{"password":"x"}\n',
        '{"password":"x"},',
        '["password","x"]',
        "[{",
        "{}",
        "{\n",
        "}\n{",
        '[""',
        '"[", ',
    ),
    *(
        "--a --a ",
        "--password ",
        "--password a",
        "'--password', '",
        "curl -u ",
        "mysql -p",
        "<password>",
        "<password ",
        "<password><![CDATA[",
        "<a name='key' ",
        "&lt;key&gt;",
        "&lt;key ",
        "<key>",
        "<key>a</key><string>",
        "('key', '",
        "[b'key",
        'name="key"\r\n\r\n',
        'form-data; name="key"\n',
        "IDENTIFIED BY ",
        "PASSWORD '",
        "password is ",
        "%3Dkey",
        "key%3D%25",
        "%2525253D",
        "key: |\n ",
        "key:\n - a1",
        "key=[",
        'key=["',
        'key=["a"]',
        "key=(key=)",
        "KEY=a\n",
        "login a password ",
        "\nENV KEY ",
        'key=\\\\\\\\"',
    ),
    *(
        "--a",
        "a-",
        "a.",
        "--password=",
        "|key",
        "| key |",
        "|key|a1",
        "auth:\n ",
        "kind: Secret\ndata:\n a: b\n",
        "name: key\nvalue: ",
        "name='key', value=",
        "insert into a (key) values (",
        "insert into a (",
        "('key')",
        "setKey('",
        "Secret('a', ",
        "password='a'",
        "password='a\n",
        "password=<",
        "password=`",
        "**key**: ",
        "set key ",
        "pass=",
        "pw: ",
        "\\u0070",
        "https://a@github.",
        "://a:b/",
        "jdbc:oracle:thin:a/",
        "jdbc:oracle:",
        "hooks.slack.com/services/",
        "a: key = ",
        "?key=",
        "&token=a",
        "=>",
        "!=",
        ":=",
        "::",
        "\\n",
        "\\\\n",
        "\t=",
        "monkey key ",
    ),
]


def _seconds(text: str, runs: int = 3) -> float:
    """Return the least processor time of a few runs."""
    masker = Masker()
    least = float("inf")
    for _ in range(runs):
        start = time.process_time()
        masker.text(text)
        least = min(least, time.process_time() - start)
    return least


@pytest.mark.parametrize("unit", ADVERSARIAL, ids=repr)
@pytest.mark.parametrize("prefix", ["", "password "], ids=["", "behind a secret word"])
def test_the_time_grows_with_the_length_and_not_with_its_square(unit: str, prefix: str) -> None:
    """Four times the text costs at most about eight times as much."""
    size = 20_000
    short, long = (prefix + unit * (length // len(unit)) for length in (size, 4 * size))
    for _ in range(3):
        # The least that is told apart from the clock's own steps.
        ratio = _seconds(long) / max(_seconds(short), 1e-4)
        if ratio <= 8:
            return
    pytest.fail(f"four times the length took {ratio:.1f} times as long")


# One for each way through the code.
LONG = [
    *("a", " ", "\\", "[", "key=", "key=[", "key:(", 'key="', "password: ", "a=b:", "://a:b"),
    *("-----BEGIN ", "-----BEGIN PRIVATE KEY-----", "--a --a ", "--password a", "curl -u a:"),
    *("<password>", "<a name='key' ", "&lt;key&gt;", "('key', '", "PASSWORD '", "password is a1"),
    *("%3Dkey", "key: |\n ", "authorization: ", "bearer a", "eyJa.", "sk-a", '{"password":"x"}\n'),
]


def _assert_linear(unit: str, sizes: list[int]) -> None:
    """Fail if a size costs over three times what the smallest one lets expect."""
    texts = ["password " + unit * (size // len(unit)) for size in sizes]
    for _ in range(3):
        # Noise makes a run slower, never quicker: one run of a large text is enough if it is good.
        least = max(_seconds(texts[0]), 1e-3)
        factor = max(
            _seconds(text, runs=1) / least / (size / sizes[0])
            for text, size in zip(texts[1:], sizes[1:], strict=True)
        )
        if factor <= 3:
            return
    pytest.fail(f"it took {factor:.1f} times what is in proportion")


@pytest.mark.parametrize("unit", LONG[::3], ids=repr)
def test_a_long_hostile_text_costs_in_proportion(unit: str) -> None:
    """A quarter of a megabyte, a half, a whole."""
    _assert_linear(unit, [250_000, 500_000, 1_000_000])


@pytest.mark.slow
@pytest.mark.parametrize("unit", LONG, ids=repr)
def test_megabytes_of_hostile_text_cost_in_proportion(unit: str) -> None:
    """One megabyte, two, four, eight."""
    _assert_linear(unit, [1_000_000, 2_000_000, 4_000_000, 8_000_000])


@pytest.mark.parametrize("unit", ["a_", "aB", "key_", "monkey_", "primary_key_", "1", "é", " "])
def test_the_time_to_judge_a_name_grows_with_its_length(unit: str) -> None:
    """Names made up to be slow are not."""

    def seconds(length: int) -> float:
        name = unit * (length // len(unit))
        least = float("inf")
        for _ in range(3):
            masker = Masker()
            start = time.process_time()
            masker.verdict(name)
            least = min(least, time.process_time() - start)
        return least

    ratios = [seconds(16_000) / max(seconds(4_000), 1e-4) for _ in range(3)]
    assert min(ratios) <= 8


def test_keys_have_no_fixed_length() -> None:
    """Longer keys of a known form are masked to their end."""
    for length in (20, 48, 200, 2000):
        key = "sk-" + made_up(length)
        assert MASKER.text(f"a {key} b") == "a *** b"
