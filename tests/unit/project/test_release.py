"""A tag becomes a release only where the tree says the same, and what is published is what was checked."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from plays import PROJECT

_SPEC = importlib.util.spec_from_file_location("release", PROJECT / "scripts/release.py")
assert _SPEC and _SPEC.loader
release = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(release)

WORKFLOWS = sorted((PROJECT / ".github/workflows").glob("*.yml"))
VERSION = str(yaml.safe_load((PROJECT / "galaxy.yml").read_text())["version"])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree that is ready for a release of its version: no fragment is left."""
    for name in ("galaxy.yml", "CHANGELOG.md", "requirements.txt", "changelogs/changelog.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "changelogs/fragments").mkdir()
    return tmp_path


def test_a_tree_that_is_ready_has_no_problem(tree: Path) -> None:
    assert release.problems(f"v{VERSION}", tree) == []


@pytest.mark.parametrize(
    ("tag", "words"),
    [("v9.9.9", ["galaxy.yml says", "CHANGELOG.md has no 9.9.9"]), ("1.0.0", ["is no version"]), ("v1.0", ["is no version"])],
)
def test_a_tag_that_the_tree_does_not_know_is_refused(tree: Path, tag: str, words: list[str]) -> None:
    told = " ".join(release.problems(tag, tree))
    assert [word in told for word in words] == [True] * len(words)


def test_a_fragment_that_is_in_no_release_holds_it_back(tree: Path) -> None:
    (tree / "changelogs/fragments/new.yml").touch()
    assert "new.yml" in " ".join(release.problems(f"v{VERSION}", tree))


def test_the_notes_are_those_of_the_version_alone(tree: Path) -> None:
    (tree / "CHANGELOG.md").write_text('# Notes\n<a id="v1-1-0"></a>\n## v1.1.0\nnew\n<a id="v1-0-0"></a>\n## v1.0.0\nold\n')
    assert (release.notes("1.1.0", tree), release.notes("1.0.0", tree), release.notes("0.9.0", tree)) == (
        "## v1.1.0\nnew",
        "## v1.0.0\nold",
        "",
    )


def test_the_bill_of_materials_is_valid_and_the_same_again(tree: Path) -> None:
    archive = tree / "a.tar.gz"
    archive.write_bytes(b"archive")
    moment = datetime(2026, 11, 29, tzinfo=timezone.utc)
    collections = {"community.docker": "4.8.5", "ansible.posix": "2.1.0"}
    text = release.bill(archive, moment, collections, tree)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert release.bill(archive, moment, collections, tree) == text
    found: dict[str, Any] = json.loads(text)
    required = {one["name"] for one in found["components"] if one.get("scope") == "required"}
    assert required == {"ansible-core", "docker", *collections}
    assert found["metadata"]["component"]["version"] == VERSION
    assert {one["name"]: one["version"] for one in found["components"]}["community.docker"] == "4.8.5"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_few_rights_and_runs_what_is_pinned(path: Path) -> None:
    text = path.read_text()
    workflow = yaml.safe_load(text)
    assert set(workflow["permissions"].values()) <= {"read"}
    assert workflow["jobs"]
    for name, job in workflow["jobs"].items():
        assert "timeout-minutes" in job
        steps = job["steps"]
        writes = "write" in (job.get("permissions") or {}).values()
        # What may write runs nothing that comes from the tree.
        assert not writes or not [step for step in steps if "checkout" in step.get("uses", "") or "make" in step.get("run", "")], name
        for step in steps:
            assert "${{" not in step.get("run", ""), "what is put into a script is read by the shell: give it in env"
    used = re.findall(r"uses: (\S+)(?: # (v\S+))?", text)
    assert used
    for action, version in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) and version
