"""The role's defaults, its argument specs and its checks of the input know the same variables."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets, settings
from ansible_collections.proven.go_service.plugins.plugin_utils import units, variables

ENTRY_POINTS = ["main", "build", "verify", "deploy", "rollback", "receive", "keep", "publish", "remove"]
# Those of playbooks/fleet.yml, which look at hosts and not at a service.
OF_A_FLEET = ["fleet_look", "fleet_platforms", "fleet_say", "fleet_seen"]
# Type of the specs -> type of the setting; and the types of settings that are read further.
TYPES = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "list of str": "tuple[str, ...]",
    "dict": "Mapping[str, str]",
}
READ = ("Endpoint | None", "tuple[Publication, ...]", "tuple[File, ...]", "int | None", "Budget", "Mapping[str, Mapping[str, str]]")
MODULES = ["prepare", "deploy", "unlock", "remove"]


@pytest.fixture(scope="module")
def specs(role: Path) -> Mapping[str, Any]:
    """Return the argument specs by entry point."""
    return yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]


def test_every_entry_point_has_its_spec_and_its_tasks(role: Path, specs: Mapping[str, Any]) -> None:
    known = sorted([*ENTRY_POINTS, *OF_A_FLEET, "services", "machine"])
    assert sorted(specs) == known
    assert sorted(path.stem for path in (role / "tasks").glob("*.yml")) == known
    assert all(spec["short_description"].strip() for spec in specs.values())


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_defaults_equal_the_specs(specs: Mapping[str, Any], defaults: Mapping[str, Any], entry_point: str) -> None:
    options = specs[entry_point]["options"]
    alone = sorted(set(options) ^ set(defaults))
    assert not alone, f"in one of meta/argument_specs.yml and defaults/main.yml alone: {alone}"
    differing = {
        name: (option["default"], defaults[name]) for name, option in options.items() if repr(option["default"]) != repr(defaults[name])
    }
    assert not differing, f"one default in meta/argument_specs.yml, another in defaults/main.yml: {differing}"


def test_several_services_have_the_options_of_one_and_every_entry_point(specs: Mapping[str, Any]) -> None:
    options = dict(specs["services"]["options"])
    assert options.pop("go_services")["default"] == []
    assert options.pop("go_services_entry_point")["choices"] == ENTRY_POINTS
    assert options == specs["main"]["options"]
    assert specs["machine"]["options"] == specs["services"]["options"]


@pytest.mark.parametrize("entry_point", OF_A_FLEET)
def test_what_belongs_to_a_fleet_is_known_as_no_variable_of_a_service(specs: Mapping[str, Any], entry_point: str) -> None:
    assert sorted(specs[entry_point]["options"]) == sorted(variables.PREFIX + name for name in variables.FLEET)
    assert variables.unknown_names(specs[entry_point]["options"]) == []


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
def test_the_defaults_pass_the_specs(specs: Mapping[str, Any], defaults: Mapping[str, Any], entry_point: str) -> None:
    checked = ArgumentSpecValidator(specs[entry_point]["options"]).validate(defaults)
    assert checked.error_messages == []
    assert checked.validated_parameters == defaults


def test_whatever_lists_the_variables_has_those_of_the_specs_in_their_order(defaults: Mapping[str, Any], specs: Mapping[str, Any]) -> None:
    declared = list(specs["main"]["options"])
    fields = [field.name for field in dataclasses.fields(settings.Settings)]
    lists = {
        "roles/go_service/defaults/main.yml": list(defaults),
        "Settings of common/settings.py": [variables.PREFIX + name for name in fields],
        "FIELDS of plugin_utils/variables.py": [variables.PREFIX + name for name in variables.FIELDS],
    }
    for where, found in lists.items():
        assert not set(declared) - set(found), f"{where} lacks {sorted(set(declared) - set(found))}"
        assert not set(found) - set(declared), f"meta/argument_specs.yml does not declare {sorted(set(found) - set(declared))} of {where}"
        assert found == declared, f"{where} has another order than meta/argument_specs.yml"


@pytest.mark.parametrize("field", dataclasses.fields(settings.Settings), ids=lambda field: field.name)
def test_a_setting_has_the_type_that_the_specs_declare(specs: Mapping[str, Any], field: dataclasses.Field) -> None:
    """What a user writes as a text may be a number, or an address and a port, afterwards."""
    option = specs["main"]["options"][variables.PREFIX + field.name]
    declared = f"{option['type']} of {option['elements']}" if "elements" in option else option["type"]
    if field.name in settings.DURATIONS or field.name in settings.SIZES:
        expected = "float" if field.name in settings.DURATIONS else "int"
        assert declared == "str", f"{field.name} is written as Docker writes a time or a size, which is a text"
    elif field.type in READ or declared not in TYPES:
        return  # A type of its own; tests/unit/plugin_utils/test_variables.py holds the values to it.
    else:
        expected = TYPES[declared]
    assert field.type == expected, (
        f"Settings.{field.name} is {field.type}, but {declared} of meta/argument_specs.yml becomes {expected} "
        "(a time or a size, which is a number here, has its name in DURATIONS or SIZES of common/settings.py)"
    )


@pytest.mark.parametrize("field", dataclasses.fields(settings.Budget), ids=lambda field: field.name)
def test_a_budget_is_a_number_whose_default_is_the_one_of_the_specs(specs: Mapping[str, Any], field: dataclasses.Field) -> None:
    declared = specs["main"]["options"]["go_service_budget"]["default"]
    assert list(declared) == list(settings.BUDGETS)
    assert field.default == declared[field.name]
    assert field.type == ("int | None" if field.name.startswith("max_") else "float | None")


@pytest.mark.parametrize("name", [variables.PREFIX + name for name in variables.FIELDS])
def test_every_variable_is_described(specs: Mapping[str, Any], name: str) -> None:
    description = specs["main"]["options"][name]["description"].strip()
    assert len(description) > 15
    assert description.endswith(".") and (description[0].isupper() or description[0] == '"')


@pytest.mark.parametrize(
    ("name", "choices"),
    [("source_type", variables.SOURCE_TYPES), ("builder", variables.BUILDERS), ("restart_policy", variables.RESTART_POLICIES)],
)
def test_specs_and_checks_allow_the_same_choices(specs: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> None:
    assert tuple(specs["main"]["options"][variables.PREFIX + name]["choices"]) == choices, (
        f"meta/argument_specs.yml and plugin_utils/variables.py allow other choices of go_service_{name}"
    )


def test_each_builder_has_a_file_with_what_the_action_asks_of_it(plugin: Callable[[str], ModuleType]) -> None:
    files = Path(variables.__file__).with_name("builders").glob("*.py")
    assert sorted(path.stem for path in files if path.stem != "__init__") == sorted(variables.BUILDERS), (
        "BUILDERS of plugin_utils/variables.py and the files of plugin_utils/builders/ are not the same"
    )
    told = plugin("modules.build").DOCUMENTATION
    for name in variables.BUILDERS:
        lacking = {"MODULE", "arguments", "log", "was_cached", "stage", "failure"} - vars(plugin(f"plugin_utils.builders.{name}")).keys()
        assert not lacking, f"plugin_utils/builders/{name}.py lacks {sorted(lacking)}"
        assert f"V({name})" in told, f"the documentation of plugins/modules/build.py does not name V({name})"


def test_each_type_of_source_has_a_directory_and_no_file_is_of_another_type(role: Path) -> None:
    directories = yaml.safe_load((role / "vars/main.yml").read_text())["__go_service_source_directories"]
    assert tuple(directories) == variables.SOURCE_TYPES, (
        "__go_service_source_directories of roles/go_service/vars/main.yml and SOURCE_TYPES of plugin_utils/variables.py are not the same"
    )
    brought = {path.stem for path in (role / "tasks/sources").glob("*.yml")}
    unknown = brought - set(variables.SOURCE_TYPES)
    assert not unknown, (
        f"roles/go_service/tasks/sources has {sorted(unknown)}, which SOURCE_TYPES of plugin_utils/variables.py does not name"
    )
    for name, directory in directories.items():
        assert ("work_dir" in directory) == (name in brought), (
            f"a source is brought to the service's own directory (work_dir) by roles/go_service/tasks/sources/{name}.yml, and to no other: "
            f"write that file, or correct {name} of __go_service_source_directories in roles/go_service/vars/main.yml"
        )


def test_what_brings_a_source_tells_a_check_whether_it_is_there(role: Path) -> None:
    for path in (role / "tasks/sources").glob("*.yml"):
        registered = [task["register"] for task in yaml.safe_load(path.read_text()) if "register" in task]
        assert registered.count("__go_service_fetched") == 1, (
            f"one task of roles/go_service/tasks/sources/{path.name} registers __go_service_fetched: the one that is changed in a check "
            "where the source on the host is not the one that a run would see"
        )


@pytest.mark.parametrize("name", ["source_type", "builder", "restart_policy"])
def test_what_a_choice_means_is_said_in_the_specs_and_in_the_defaults(role: Path, specs: Mapping[str, Any], name: str) -> None:
    option = specs["main"]["options"][variables.PREFIX + name]
    comment = (role / "defaults/main.yml").read_text().partition(f"\n{variables.PREFIX}{name}:")[0].rpartition("\n\n")[2]
    texts = {
        "the description in meta/argument_specs.yml": option["description"],
        "the comment in defaults/main.yml": comment,
    }
    for where, text in texts.items():
        lacking = [choice for choice in option["choices"] if f'"{choice}"' not in text]
        assert not lacking, f"{where} of {variables.PREFIX}{name} does not say what these mean: {lacking}"


@pytest.mark.parametrize("name", variables.FIELDS)
def test_a_variable_whose_values_are_not_shown_is_known_as_a_secret_one_and_the_other_way_round(name: str) -> None:
    shown = True
    try:
        variables.FIELDS[name]({"A": ["canary"]})
    except units.Rejected as rejected:
        shown = "(not shown)" not in str(rejected.args)
    assert shown or name in secrets.SECRET, (
        f"{name} has secret=True in FIELDS of plugin_utils/variables.py, but is not in SECRET of common/secrets.py"
    )
    assert not shown or name not in secrets.SECRET, (
        f"{name} is in SECRET of common/secrets.py, but FIELDS of plugin_utils/variables.py shows a wrong value of it: give its _mapping_of secret=True"
    )


def test_every_default_is_explained_where_it_stands(role: Path, defaults: Mapping[str, Any]) -> None:
    """A comment stands above each variable, or above the group of variables without a blank line between them."""
    for paragraph in (role / "defaults/main.yml").read_text().split("\n\n"):
        if any(line.startswith(variables.PREFIX) for line in paragraph.splitlines()):
            assert paragraph.splitlines()[0].startswith("# "), paragraph
    examples = re.findall(r"^# Example: (.*)$", (role / "defaults/main.yml").read_text(), re.M)
    assert len(examples) > 8
    for example in examples:
        ((name, value),) = yaml.safe_load(example).items()
        assert name in defaults
        variables.FIELDS[name[len(variables.PREFIX) :]](value)


@pytest.mark.parametrize("name", MODULES)
def test_modules_document_their_options(plugin: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    module = plugin(f"modules.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    begun = Mock(side_effect=InterruptedError)
    monkeypatch.setattr(module, "AnsibleModule", begun)
    with pytest.raises(InterruptedError):
        module.main()
    assert set(documentation["options"]) == set(begun.call_args.kwargs["argument_spec"])
    assert documentation["module"] == name
    assert yaml.safe_load(module.EXAMPLES) and yaml.safe_load(module.RETURN)
    assert set(documentation["attributes"]) == {"check_mode", "diff_mode", "idempotent"}


def test_the_secrets_of_the_variables_are_taken_out_of_failures(role: Path) -> None:
    masked = set(yaml.safe_load((role / "vars/main.yml").read_text())["__go_service_secrets"])
    lacking = set(secrets.SECRET) - masked
    assert not lacking, f"__go_service_secrets of roles/go_service/vars/main.yml lacks {sorted(lacking)} of SECRET in common/secrets.py"


def _named_by_tasks(content: Any) -> Iterator[str]:
    """Yield the names that the tasks of a file register or set as facts."""
    if isinstance(content, Mapping):
        if "register" in content:
            yield content["register"]
        yield from content.get("ansible.builtin.set_fact", {})
        for value in content.values():
            yield from _named_by_tasks(value)
    elif isinstance(content, list):
        for entry in content:
            yield from _named_by_tasks(entry)


@pytest.mark.parametrize("name", ["base_images", "bundle", "docker_engine", "go_service", "pull"])
def test_no_task_takes_the_name_of_a_variable_of_its_role(role: Path, name: str) -> None:
    """What a task registers goes before vars/ and defaults/, so that the variable of that name would be lost."""
    files = {kind: sorted((role.parent / name).glob(f"{kind}/**/*.yml")) for kind in ("vars", "defaults", "tasks")}
    variables_of_role = {key for path in files["vars"] + files["defaults"] for key in yaml.safe_load(path.read_text()) or {}}
    named = {key for path in files["tasks"] for key in _named_by_tasks(yaml.safe_load(path.read_text()))}
    assert named
    assert named & variables_of_role == set()
