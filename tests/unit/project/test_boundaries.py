"""Who may import what: nothing private of Ansible or of another collection, and the Engine's client only where its class is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import names
from plays import PROJECT

OURS = "ansible_collections.proven.go_service"
ENGINE = Path("plugins/module_utils/engine/client.py")
# What speaks to registries, by the library that the Engine's client is made with.
REGISTRY = Path("plugins/module_utils/engine/artifacts.py")
FILES = sorted(
    path.relative_to(PROJECT)
    for top in ("plugins", "roles", "scripts", "bench", "molecule", "tests")
    for path in (PROJECT / top).rglob("*.py")
)
CLIENTS = {"docker", "requests", "urllib3"}
NAMES = Path("plugins/module_utils/common/names.py")
LABELS = [value for name, value in vars(names).items() if name.startswith("LABEL_")]


def imported(source: str) -> Iterator[str]:
    """Yield the full name of everything that a file imports, also by its name as a string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
            yield from (value.value for value in node.args[:1] if isinstance(value, ast.Constant))


def private_imports(source: str) -> list[str]:
    """Return what a file imports of other collections' Python, or by a name with a leading underscore."""
    return [
        name
        for name in imported(source)
        if name.startswith(("ansible", *CLIENTS))
        and not name.startswith(OURS)
        and (re.search(r"\Aansible_collections\.\w+\.\w+\.", name) or re.search(r"\._(?!_)", name))
    ]


def touches_the_client(source: str) -> list[str]:
    """Return where a file speaks to the Engine by itself: a library that does, or the client of the class Engine."""
    libraries = [name for name in imported(source) if name.partition(".")[0] in CLIENTS]
    attributes = [ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute) and node.attr == "_client"]
    return libraries + [text for text in attributes if "." in text]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_nothing_private_is_imported(file: Path) -> None:
    assert private_imports((PROJECT / file).read_text()) == []


@pytest.mark.parametrize("file", [file for file in FILES if file.parts[0] in ("plugins", "roles", "scripts") and file != ENGINE], ids=str)
def test_the_engine_is_spoken_to_in_one_place(file: Path) -> None:
    found = touches_the_client((PROJECT / file).read_text())
    assert [name for name in found if file != REGISTRY or name.partition(".")[0] != "requests"] == []


def labels_by_hand(source: str) -> list[str]:
    """Return the texts of a file that spell a label of the role out."""
    texts = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text for text in texts if any(label in text for label in LABELS)]


@pytest.mark.parametrize("file", [file for file in FILES if file.parts[0] == "plugins" and file != NAMES], ids=str)
def test_labels_are_spelled_in_one_place(file: Path) -> None:
    assert labels_by_hand((PROJECT / file).read_text()) == []


def test_a_label_that_is_spelled_elsewhere_is_noticed() -> None:
    assert labels_by_hand('f"docker ps --filter label=go-service.name={name}"')
    assert len(LABELS) > 5


def test_documentation_is_not_borrowed() -> None:
    fragments = [
        re.findall(r"extends_documentation_fragment:((?:\s+- \S+)+)", path.read_text()) for path in (PROJECT / "plugins").rglob("*.py")
    ]
    assert [found for found in fragments if "community." in str(found)] == []


@pytest.mark.parametrize(
    "line",
    [
        "from ansible_collections.community.docker.plugins.module_utils.common_api import AnsibleDockerClientBase",
        "import ansible_collections.community.docker.plugins.module_utils._api.errors",
        "from ansible.module_utils._internal import x",
        "from docker.api import _x",
        "importlib.import_module('ansible_collections.community.docker.plugins.module_utils.util')",
    ],
)
def test_what_is_private_is_noticed(line: str) -> None:
    assert private_imports(line)


@pytest.mark.parametrize(
    "line", ["import docker", "from requests import get", "engine._client.containers()", "self._engine._client.info()"]
)
def test_a_client_elsewhere_is_noticed(line: str) -> None:
    assert touches_the_client(line)


def test_the_class_itself_speaks_to_the_engine() -> None:
    assert touches_the_client((PROJECT / ENGINE).read_text())
