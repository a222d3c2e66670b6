"""The registry is sound, and what is generated from it is up to date."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import yaml

from spanwise import semconv

ROOT = Path(__file__).resolve().parents[1]
MODEL = ROOT / "semconv" / "model"
GENERATOR = ROOT / "semconv" / "generate.py"
# Changes one file of a copy of the registry, and returns where the copy is.
Edit = Callable[[str, Callable[[Any], None]], Path]
GENERATED = ["src/spanwise/semconv.py", "docs/semantic-conventions.md"]


def _generator() -> ModuleType:
    # semconv/ is no package, so that it is neither installed nor importable by name.
    spec = importlib.util.spec_from_file_location("semconv_generator", GENERATOR)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()
registry = generate.load(MODEL)
ENUMERATIONS = [entry for entry in registry.attributes if generate.members(entry)]


def _constant(key: str) -> str:
    return key.upper().replace(".", "_")


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    """Copy the registry, and return the function that edits the copy."""
    copy = tmp_path / "semconv" / "model"
    shutil.copytree(MODEL, copy)

    def apply(name: str, change: Callable[[Any], None]) -> Path:
        content = yaml.safe_load((copy / name).read_text(encoding="utf-8"))
        change(content)
        (copy / name).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return copy

    return apply


def _attribute(content: Any, key: str) -> Any:
    return next(entry for entry in content["attributes"] if entry["key"] == key)


def test_the_generated_files_are_up_to_date() -> None:
    """The module and the page in the tree are what the registry in the tree produces."""
    assert generate.stale(ROOT, MODEL) == []


def test_a_registry_that_lost_an_attribute_makes_both_files_stale(edit: Edit) -> None:
    """An attribute that is gone from the YAML is noticed in the module and in the page."""

    def drop(content: Any) -> None:
        for section in content.values():
            if not isinstance(section, list):
                continue
            section[:] = [e for e in section if e.get("key") != "observation.score"]
            for entry in section:
                if references := entry.get("attributes"):
                    references[:] = [r for r in references if r.get("ref") != "observation.score"]

    edit("spans.yaml", drop)
    assert generate.stale(ROOT, edit("registry.yaml", drop)) == GENERATED


def test_a_reworded_brief_makes_both_files_stale(edit: Edit) -> None:
    """A change of words alone is noticed too."""

    def reword(content: Any) -> None:
        _attribute(content, "user.id")["brief"] = "Somebody."

    assert generate.stale(ROOT, edit("registry.yaml", reword)) == GENERATED


def test_check_names_the_stale_file_and_exits_with_1(tmp_path: Path) -> None:
    """The command writes both files, accepts them, and refuses one that was edited by hand."""
    shutil.copytree(ROOT / "semconv", tmp_path / "semconv")
    for name in GENERATED:
        (tmp_path / name).parent.mkdir(parents=True)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(tmp_path / "semconv" / "generate.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("--check").returncode == 1
    assert run().returncode == 0
    assert run("--check").returncode == 0
    with (tmp_path / GENERATED[0]).open("a", encoding="utf-8") as module:
        module.write("# by hand\n")
    outcome = run("--check")
    assert outcome.returncode == 1
    assert GENERATED[0] in outcome.stderr
    assert GENERATED[1] not in outcome.stderr


@pytest.mark.parametrize("field", ["type", "brief", "stability"])
def test_an_attribute_that_lacks_a_field_is_an_error_that_names_both(
    edit: Edit, field: str
) -> None:
    """Whoever forgets a field is told which, and of which attribute."""

    def forget(content: Any) -> None:
        del _attribute(content, "account.id")[field]

    with pytest.raises(generate.RegistryError, match=rf"account\.id: `{field}` is missing"):
        generate.load(edit("registry.yaml", forget))


def test_a_reference_without_a_requirement_level_is_an_error_that_names_it(edit: Edit) -> None:
    """Every reference has to say how much the attribute is wanted."""

    def forget(content: Any) -> None:
        del content["spans"][0]["attributes"][0]["requirement_level"]

    with pytest.raises(generate.RegistryError, match=r"spanwise\.trace: .* lacks `requi"):
        generate.load(edit("spans.yaml", forget))


@pytest.mark.parametrize("field", ["ref", "ref_group"])
def test_a_reference_to_nothing_is_an_error_that_names_it(edit: Edit, field: str) -> None:
    """A span cannot refer to an attribute or group that nobody defined."""

    def misspell(content: Any) -> None:
        content["spans"][1]["attributes"].append({field: "user.nmae"})

    with pytest.raises(generate.RegistryError, match=r"spanwise\.agent: .*user\.nmae"):
        generate.load(edit("spans.yaml", misspell))


def test_a_key_defined_twice_is_an_error_that_names_it(edit: Edit) -> None:
    """One key has one meaning."""
    model = edit("registry.yaml", lambda c: c["attributes"].append(c["attributes"][0]))
    with pytest.raises(generate.RegistryError, match=r"user\.id: defined twice"):
        generate.load(model)


def test_every_reference_of_a_group_or_span_is_defined() -> None:
    """Each `ref` is an attribute and each `ref_group` a group, read from the YAML afresh."""
    keys = {
        entry["key"]
        for entry in yaml.safe_load((MODEL / "registry.yaml").read_text("utf-8"))["attributes"]
    }
    content = yaml.safe_load((MODEL / "spans.yaml").read_text("utf-8"))
    groups = {group["id"] for group in content["attribute_groups"]}
    undefined = [
        (owner.get("id") or owner["type"], reference)
        for owner in content["attribute_groups"] + content["spans"]
        for reference in owner["attributes"]
        if reference.get("ref") not in keys and reference.get("ref_group") not in groups
    ]
    assert undefined == []


def test_no_span_takes_one_attribute_from_two_groups() -> None:
    """Weaver cannot resolve a span whose groups overlap, so none of them does."""
    groups = {g["id"]: [r["ref"] for r in g["attributes"]] for g in registry.groups}
    for span in registry.spans:
        inherited = [
            key for r in span["attributes"] if "ref_group" in r for key in groups[r["ref_group"]]
        ]
        assert sorted(set(inherited)) == sorted(inherited), span["type"]


def test_every_attribute_belongs_to_a_span_or_a_group() -> None:
    """No attribute is defined that nothing carries."""
    owners = (*registry.groups, *registry.spans)
    carried = {r["ref"] for owner in owners for r in owner["attributes"] if "ref" in r}
    assert {entry["key"] for entry in registry.attributes} == carried


def test_every_observation_type_has_a_span() -> None:
    """There is one span definition for each observation type, and one for the trace."""
    expected = {f"spanwise.{value}" for value in (*semconv.OBSERVATION_TYPE_VALUES, "trace")}
    assert {span["type"] for span in registry.spans} == expected


def test_every_constant_is_its_key() -> None:
    """Each attribute has a constant named after its key, and nothing else claims to be one."""
    for entry in registry.attributes:
        assert getattr(semconv, _constant(entry["key"])) == entry["key"]
    templates = {e["key"] for e in registry.attributes if str(e["type"]).startswith("template[")}
    assert set(semconv.TEMPLATES) == templates
    assert {entry["key"] for entry in registry.attributes} - templates == semconv.ATTRIBUTES


@pytest.mark.parametrize("entry", ENUMERATIONS, ids=lambda entry: entry["key"])
def test_an_enumeration_lists_its_values_as_a_type_and_as_a_tuple(entry: dict[str, Any]) -> None:
    """The Literal and the tuple of an enumeration hold the registered values in their order."""
    expected = tuple(member["value"] for member in entry["type"]["members"])
    alias = "".join(part.capitalize() for part in _constant(entry["key"]).split("_")) + "Value"
    assert expected == getattr(semconv, f"{_constant(entry['key'])}_VALUES")
    assert expected == get_args(getattr(semconv, alias))


@pytest.mark.parametrize(
    "key",
    ["user.id", "user.locale", "account.logo_url", "observation.metadata.plan", "gen_ai.tool.name"],
)
def test_a_key_or_anything_below_a_template_is_registered(key: str) -> None:
    """Exact keys are registered, and so is every key that a template leaves open."""
    assert semconv.is_registered(key)


@pytest.mark.parametrize(
    "key",
    ["", "user", "user.", "username", "observation.metadata", "observation.metadatum.plan", "foo"],
)
def test_a_template_without_a_key_of_its_own_is_not_registered(key: str) -> None:
    """Neither a bare prefix nor a key that merely begins like one is registered."""
    assert not semconv.is_registered(key)
