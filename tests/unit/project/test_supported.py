"""One range of versions: what is declared, what is installed and what was tested say the same."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from plays import PROJECT

PYTHONS = ("3.11", "3.12", "3.13")
REQUIRES = SpecifierSet(yaml.safe_load((PROJECT / "meta/runtime.yml").read_text())["requires_ansible"])
OLDEST = next(Version(spec.version) for spec in REQUIRES if spec.operator == ">=")
DEPENDENCIES = yaml.safe_load((PROJECT / "galaxy.yml").read_text())["dependencies"]


def pins(python: str) -> Mapping[str, Version]:
    """Return what requirements.txt installs on a Python: package -> version."""
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    chosen = [
        one for one in found if one.marker is None or one.marker.evaluate({"python_version": python, "python_full_version": f"{python}.0"})
    ]
    assert all(re.fullmatch(r"==[^*]+", str(one.specifier)) for one in chosen)
    assert len({one.name for one in chosen}) == len(chosen)
    return {one.name: Version(str(one.specifier)[2:]) for one in chosen}


def table() -> list[dict[str, str]]:
    """Return the rows of the README's table of what was tested."""
    text = (PROJECT / "README.md").read_text().partition("<!-- BEGIN MATRIX -->")[2].partition("<!-- END MATRIX -->")[0]
    head, _rule, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [dict(zip(head, row)) for row in rows]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_python_has_its_line(python: str) -> None:
    """It is in the range, and both packages are pinned to the same release."""
    installed = pins(python)
    assert installed["ansible-core"] in REQUIRES
    # ansible 12 is ansible-core 2.19, 13 is 2.20, and so on.
    assert installed["ansible-core"].minor == installed["ansible"].major + 7


def test_the_oldest_line_is_where_the_range_begins() -> None:
    oldest = min(pins(python)["ansible-core"] for python in PYTHONS)
    assert oldest.release[:2] == OLDEST.release[:2]


def test_collections_are_asked_for_once() -> None:
    """requirements.yml asks for the range that an installed collection depends on."""
    asked = yaml.safe_load((PROJECT / "requirements.yml").read_text())["collections"]
    assert {one["name"]: SpecifierSet(one["version"]) for one in asked} == {name: SpecifierSet(spec) for name, spec in DEPENDENCIES.items()}


@pytest.mark.parametrize("role", sorted(path.name for path in (PROJECT / "roles").iterdir()))
def test_roles_begin_where_the_collection_does(role: str) -> None:
    meta = yaml.safe_load((PROJECT / f"roles/{role}/meta/main.yml").read_text())
    assert Version(meta["galaxy_info"]["min_ansible_version"]).release[:2] == OLDEST.release[:2]


def test_the_documents_show_what_was_tested() -> None:
    """`make matrix` ran on each Python with what is pinned for it now, and with collections of the range."""
    rows = table()
    assert [".".join(row["Python"].split(".")[:2]) for row in rows] == list(PYTHONS)
    for row, python in zip(rows, PYTHONS):
        assert Version(row["ansible-core"]) == pins(python)["ansible-core"]
        assert Version(row["community.docker"]) in SpecifierSet(DEPENDENCIES["community.docker"])


@pytest.mark.parametrize(("there", "named", "anew"), [("3.10", True, True), (None, True, False), ("3.10", False, False)])
def test_an_environment_of_another_python_is_made_anew(tmp_path: Path, there: str | None, named: bool, anew: bool) -> None:
    """Where PYTHON names another version; without a name the environment goes on. None: it is of the very version that is named."""
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    if there:
        python.write_text(f"#!/bin/sh\necho {there}\n")
        python.chmod(0o755)
    else:
        python.symlink_to(sys.executable)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    command = ["make", "--dry-run", f"VENV={tmp_path}", f"{tmp_path}/.ready", *([f"PYTHON={sys.executable}"] if named else [])]
    told = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True).stdout
    assert (f"{tmp_path} is of Python {there}; it is made anew with {sys.executable}." in told) == anew
    assert (f"rm -rf {tmp_path}\n" in told.partition("-m venv")[0]) == anew
