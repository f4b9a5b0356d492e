"""The tests mirror what they test: tests/unit/<room>/test_<x>.py tests plugins/<room>/<x>.py, and needs no other test file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from plays import PROJECT

TESTS, PLUGINS = PROJECT / "tests", PROJECT / "plugins"
MIRRORED = ("module_utils", "plugin_utils", "modules", "action", "filter", "callback")
FILES = sorted(path for path in TESTS.rglob("test_*.py") if path.is_file())
# What has no test file of its own, and why.
WITHOUT = {
    "module_utils/common/interruption.py": "signals, which end modules: modules/test_deploy.py, runs/test_crash.py",
    "module_utils/common/names.py": "names alone, which every test of a deploy looks for",
    "module_utils/common/stages.py": "words alone; runs/test_failures.py walks all of them",
    "module_utils/contract/names.py": "words alone",
    "module_utils/contract/rules.py": "words alone; test_registry.py holds the checks to them",
    "module_utils/contract/checks/belongings.py": "asked by the checks of files.py, binary.py and budgets.py, whose violations are its tests",
    "module_utils/contract/evidence/model.py": "records; test_collect.py tests what they say of an image",
    "module_utils/image/errors.py": "messages; test_manifest.py and test_transfer.py look for them",
    "module_utils/record/verification.py": "puts together what the rooms below it do, on a real Engine: runs/",
    "module_utils/source/errors.py": "messages, which every test of a wrong source looks for",
    "module_utils/source/model.py": "records",
    "module_utils/plan/comparison.py": "what module prepare does first: modules/test_prepare.py, runs/",
    "plugin_utils/base_images.py": "roles/test_base_images.py",
    "plugin_utils/description.py": "needs Ansible's templates: roles/test_templates.py, runs/test_look.py",
    "plugin_utils/report/writing.py": "what action report does: action/test_report.py",
    "plugin_utils/transfer_action.py": "lives within a run of Ansible: tests/test_fleet.py",
}


def subject(path: Path) -> Path:
    """Return the plugin file that a test file is called after."""
    return PLUGINS / path.parent.relative_to(TESTS / "unit") / path.name.removeprefix("test_")


@pytest.mark.parametrize("room", MIRRORED)
def test_each_test_file_is_called_after_what_it_tests(room: str) -> None:
    files = [path for path in FILES if path.is_relative_to(TESTS / "unit" / room)]
    assert [str(path.relative_to(PROJECT)) for path in files if not subject(path).exists()] == []


def test_each_plugin_file_has_its_tests() -> None:
    known = {subject(path) for path in FILES if path.parts[len(TESTS.parts) :][1:2] and path.parts[len(TESTS.parts) + 1] in MIRRORED}
    files = [path for room in MIRRORED[:2] for path in (PLUGINS / room).rglob("*.py") if path.stem != "__init__"]
    without = {str(path.relative_to(PLUGINS)) for path in files if path not in known}
    untested, tested = sorted(without - set(WITHOUT)), sorted(set(WITHOUT) - without)
    assert not untested, f"Write tests/unit/<room>/test_<file>.py, or say in WITHOUT of this file why there is none: {untested}"
    assert not tested, f"These have tests, or are gone; take them out of WITHOUT of this file: {tested}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_file_imports_another_one(path: Path) -> None:
    """What several share lies in a module of its own, so that each can be run alone."""
    imported = {
        name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported & {other.stem for other in FILES} == set()
