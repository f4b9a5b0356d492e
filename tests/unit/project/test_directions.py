"""Imports point one way: a room knows what is below it and nothing else, and what it knows does not depend on what else was imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from plays import PROJECT

PLUGINS = PROJECT / "plugins"
OURS = "ansible_collections.proven"
# What the controller may know of the target's side: what both must know, and the names of the checks.
SHARED = {"common", "source", "image", "contract.names", "contract.rules", "contract.judge"}
# Room -> what it may import beside itself.
MAY_IMPORT: dict[str, set[str]] = {
    "common": set(),
    "source": {"common"},
    "image": {"common", "source"},
    "engine": {"common"},
    "alpine": {"common"},
    "deploy": {"common", "engine"},
    "contract": {"common", "engine"},
    "record": {"common", "engine", "contract"},
    "plan": {"common", "image", "engine", "deploy"},
    "plugin_utils": SHARED,
    "action": {"plugin_utils", *SHARED},
    "filter": {"plugin_utils", *SHARED},
    "callback": {"plugin_utils", *SHARED},
    "modules": {"common", "source", "image", "alpine", "engine", "deploy", "contract", "record", "plan"},
}
FILES = sorted(path for path in PLUGINS.rglob("*.py") if path.stem != "__init__")


def place(parts: tuple[str, ...]) -> tuple[str, str]:
    """Return (room, name of the module within it) of a module below plugins/."""
    inside = parts[1:] if parts[0] == "module_utils" else parts
    return inside[0], ".".join(inside[1:])


def imported(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield what a file imports of the collection, as parts below plugins/; of `from . import x` the x as well."""
    package = path.relative_to(PLUGINS).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = (
                (*package[: len(package) - node.level + 1], *(node.module or "").split("."))
                if node.module
                else package[: len(package) - node.level + 1]
            )
            for alias in node.names:
                found = (*base, alias.name)
                is_module = PLUGINS.joinpath(*found).with_suffix(".py").exists() or PLUGINS.joinpath(*found).is_dir()
                yield found if is_module else base
        elif isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith(OURS), f"{path}: import relatively"
        elif isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.startswith(OURS)], f"{path}: import relatively"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            # The room at least has to be spelled out: what stands before the first placeholder.
            named = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
            assert isinstance(named, ast.Constant), f"{path}: the room of {ast.unparse(node)} is not to be seen"
            dots = len(named.value) - len(named.value.lstrip("."))
            assert dots or not named.value.startswith(OURS), f"{path}: import relatively"
            if dots:
                yield (*package[: len(package) - dots + 1], *filter(None, named.value.strip(".").split(".")))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_imports_point_one_way(path: Path) -> None:
    room, _name = place(path.relative_to(PLUGINS).parts)
    for parts in imported(path):
        other, name = place(parts)
        allowed = MAY_IMPORT[room]
        assert other == room or other in allowed or f"{other}.{name}" in allowed, f"{room} may not import {other}.{name}"


def test_no_room_is_left_out() -> None:
    rooms = {place(path.relative_to(PLUGINS).parts)[0] for path in FILES}
    assert not rooms - set(MAY_IMPORT), f"say in MAY_IMPORT of this file what may be imported by {sorted(rooms - set(MAY_IMPORT))}"
    assert not set(MAY_IMPORT) - rooms, f"no rooms any more: {sorted(set(MAY_IMPORT) - rooms)}"


def test_importing_a_part_never_changes_what_another_part_knows() -> None:
    count = "from ansible_collections.proven.go_service.plugins.module_utils.contract import judge; print(len(judge.CHECKS))"
    before = "from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import limits; "
    answers = {
        subprocess.run([sys.executable, "-c", code], cwd=PLUGINS.parent / "collections", capture_output=True, text=True, check=True).stdout
        for code in (count, before + count)
    }
    assert len(answers) == 1
