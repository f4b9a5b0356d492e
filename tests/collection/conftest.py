"""What the tests of the collection share: the checkout as it would be committed, the archive made of it, and projects that have it installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from plays import PROJECT, environment, run
from projects import Project, new_project


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a git repository of its own, in a path with a blank, with the checkout as it would be committed now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=PROJECT, capture_output=True, check=False
    )
    if listed.returncode:
        pytest.skip("the project is in no git repository here, so that nobody knows what belongs to it")
    place = tmp_path_factory.mktemp("clone") / "check out"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (PROJECT / name).is_symlink() or (PROJECT / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, place / name, follow_symlinks=False)
    author = ("-c", "user.name=tests", "-c", "user.email=tests@example.org")
    for command in (("init", "--quiet"), ("add", "--all"), (*author, "commit", "--quiet", "--message", "As it is now")):
        subprocess.run(["git", *command], cwd=place, check=True)
    return place


@pytest.fixture(scope="session")
def archive(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of the collection."""
    place = tmp_path_factory.mktemp("archive")
    run("ansible-galaxy", "collection", "build", "--output-path", place, cwd=checkout, env=environment(ANSIBLE_HOME=place / "home"))
    return next(place.glob("*.tar.gz"))


@pytest.fixture(scope="session")
def project(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that has installed the archive."""
    return new_project(tmp_path_factory.mktemp("from-archive"), archive)


@pytest.fixture(scope="session")
def git_project(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Return a project that has installed the collection from a git repository."""
    return new_project(tmp_path_factory.mktemp("from-git"), f"git+{checkout.as_uri()}")
