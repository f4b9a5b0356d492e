"""What brings a source may be any tasks: how they fail, and what a check makes of them, is told as of the types that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_plays import play

ROLE = "proven.go_service.go_service"
SEND = {"ansible.builtin.copy": {"src": "{{ __go_service_source_file }}", "dest": "{{ top }}/sent", "mode": "0600"}}
BRING = {"name": "Bring it", **SEND, "register": "__go_service_fetched"}


def run(top: Path, tasks: list[dict[str, Any]], source: str, *options: str) -> str:
    """Run the role, whose Engine answers to nobody, with these tasks as what brings the source; return what is printed."""
    (top / "source.yml").write_text(yaml.safe_dump(tasks))
    include = {"name": "Run", "ansible.builtin.include_role": {"name": ROLE}, "vars": {"__go_service_source_tasks": "{{ top }}/source.yml"}}
    asked = {"go_service_source": source, "go_service_source_type": "host", "asked": {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}}
    done = play(top, [include], {"utest": asked}, {}, options=options)
    return done.stdout + done.stderr


def failure_of(top: Path, tasks: list[dict[str, Any]], source: str) -> dict[str, Any]:
    """Run them as `run` does; return the failure in the report."""
    printed = run(top, tasks, source)
    report = top / "reports/utest/cat-server.json"
    assert report.exists(), printed
    return json.loads(report.read_text())["failure"]


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"ansible.builtin.fail": {"msg": "no way there"}}, "no way there"),
        ({"ansible.builtin.copy": {"content": "{{ nothing_like_this }}", "dest": "/nonexistent/x"}}, "nothing_like_this"),
        (SEND, "no such file: "),
    ],
    ids=["a module that fails", "a variable that is not there", "a file that is nowhere"],
)
def test_a_task_that_cannot_bring_the_source_is_told_as_one_of_the_source(tmp_path: Path, task: dict[str, Any], words: str) -> None:
    failure = failure_of(tmp_path, [{"name": "Bring it", **task}], "none.tar")
    assert failure["stage"] == "source", failure
    assert "'Bring it'" in failure["message"] and words in failure["message"]


def test_a_relative_file_is_found_beside_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "api.tar").write_text("packed")
    failure = failure_of(tmp_path, [BRING], "api.tar")
    assert (tmp_path / "sent").read_text() == "packed"
    assert "no such directory" in failure["message"], failure


def test_a_check_does_not_judge_a_source_that_is_not_brought_yet(tmp_path: Path) -> None:
    """A source that is there is read, which fails here."""
    (tmp_path / "api.tar").write_text("packed")
    printed = run(tmp_path, [BRING], "api.tar", "--check")
    assert "is not known to a check: the source is brought to the host first" in printed and "no such directory" not in printed, printed
    (tmp_path / "sent").write_text("packed")
    (tmp_path / "sent").chmod(0o600)
    assert "no such directory" in run(tmp_path, [BRING], "api.tar", "--check")
