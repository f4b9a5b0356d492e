"""A check says what a run would do, or what it cannot know, and changes nothing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from small_plays import QUICK, play

CHECK = [{"check_mode": True, "diff": True, "block": [{"ansible.builtin.import_role": {"name": "proven.go_service.go_service"}}]}]
FETCH = [
    {
        "ansible.builtin.import_role": {"name": "proven.go_service.go_service", "tasks_from": "stages/begin.yml"},
        "vars": {"__go_service_override": {}},
    },
    {"proven.go_service.claim": {"settings": "{{ __go_service_record.settings }}", "tree": "source"}},
    {"proven.go_service.fetch": {"settings": "{{ __go_service_record.settings }}", "dest": "{{ top }}/work/utest-git/source"}},
]


def git(*command: str, cwd: Path) -> str:
    """Run git as somebody without a configuration."""
    person = {f"GIT_{who}_{what}": "a@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {**os.environ, **person, "GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(["git", *command], cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path, code: str) -> str:
    """Commit a source and return the commit's first digits."""
    (repository / "main.go").write_text(f"package main\n\n{code}\n")
    git("add", "-A", cwd=repository)
    git("commit", "-qm", "x", cwd=repository)
    return git("rev-parse", "HEAD", cwd=repository)[:12]


@pytest.mark.engine
def test_a_check_of_a_source_from_git_asks_the_repository(engine: Engine, tmp_path: Path) -> None:
    """On a host that never had it, after it was fetched, and after a push."""
    assert engine.container("utest-git") is None
    repository = tmp_path / "repository"
    repository.mkdir()
    git("init", "-q", "-b", "main", cwd=repository)
    (repository / "go.mod").write_text("module example.com/app\n\ngo 1.22\n")
    first = commit(repository, "func main() {}")
    asked: dict[str, Any] = {"go_service_source_type": "git", "go_service_source_version": "main", "go_service_source": str(repository)}
    hosts = {"h": {**QUICK, "go_service_name": "utest-git", "go_service_image_tag": "", **asked}}

    checked = play(tmp_path, CHECK, hosts, {})
    assert f"the source is fetched to the host first: it has none yet, the repository {first}" in " ".join(checked.stdout.split())
    assert "is not known to a check" in checked.stdout
    assert "a check writes no report" in checked.stdout
    assert (checked.returncode, (tmp_path / "work").exists()) == (0, False), checked.stdout

    fetched = play(tmp_path, FETCH, hosts, {})
    assert fetched.returncode == 0, fetched.stdout
    checked = play(tmp_path, CHECK, hosts, {})
    assert "the source is fetched" not in checked.stdout
    assert "there is no image utest-git:" in checked.stdout

    second = commit(repository, "func main() { panic(1) }")
    checked = play(tmp_path, CHECK, hosts, {})
    assert f"the source is fetched to the host first: it has {first}, the repository {second}" in " ".join(checked.stdout.split())
    assert "nothing had to change" not in checked.stdout
    assert checked.returncode == 0, checked.stdout
    assert git("rev-parse", "HEAD", cwd=tmp_path / "work/utest-git/source")[:12] == first
