"""What a run prints with the project's own settings: few lines, and the cause of a broken build once."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from pathlib import Path

import pytest
from plays import PROJECT, environment, free_port, get, left_on_engine, on_terminal, play, service_variables

SCREEN = {"ANSIBLE_STDOUT_CALLBACK": "proven.go_service.progress"}
NAME = "screen-service"


def test_a_run_prints_its_steps_and_a_broken_build_its_cause_once(tmp_path: Path) -> None:
    source, port = tmp_path / "source", free_port()
    shutil.copytree(PROJECT / "examples/cat-server", source)
    variables = service_variables(NAME, source, tmp_path, port)
    try:
        first = play("build", variables, env=SCREEN).splitlines()
        steps = [
            "Look at the machine and its services",
            "Look at the service and its source",
            "Build the image",
            "Prove the image",
            "Write the report",
        ]
        starts = [next(number for number, line in enumerate(first) if line.startswith(step)) for step in steps]
        assert starts == sorted(starts)
        again = play("build", variables, env=SCREEN)
        assert len(again.splitlines()) <= 30
        assert f"{NAME} is healthy; nothing had to change." in again
        assert "skipping" not in again
        (source / "wrong.go").write_text("package main\n\nfunc wrong() { missing() }\n")
        broken = play("build", variables, env=SCREEN, succeeds=False)
        for told in ("wrong.go:3:16: undefined: missing", "What still runs: ", "What to do: ", f"{NAME}: the build failed"):
            assert broken.count(told) == 1, broken
        assert "Traceback" not in broken
        assert "[ERROR]" not in broken
        assert get(port, "/health")[0] == 200
    finally:
        play("remove", variables)
    assert left_on_engine(NAME) == []


@pytest.mark.long
@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_on_a_terminal_the_step_of_the_build_that_runs_is_shown(tmp_path: Path, request: pytest.FixtureRequest, builder: str) -> None:
    """What takes a while in this build is a test, which waits."""
    client = request.getfixturevalue("buildx") if builder == "buildx" else {}
    source = tmp_path / "source"
    shutil.copytree(PROJECT / "examples/cat-server", source)
    # BuildKit's cache has the results of tests that it has run before.
    (source / "wait_test.go").write_text(
        f"// {time.time_ns()}\n"
        'package main\n\nimport (\n\t"testing"\n\t"time"\n)\n\nfunc TestWait(t *testing.T) { time.Sleep(3 * time.Second) }\n'
    )
    variables = {**service_variables(NAME, source, tmp_path), "go_service_run_tests": True, "go_service_builder": builder}
    command = [Path(sys.executable).with_name("ansible-playbook"), "playbooks/build.yml", "-e", json.dumps(variables)]
    try:
        written, lines = on_terminal(
            command, environment(ANSIBLE_CONFIG=PROJECT / "ansible.cfg", ANSIBLE_HOME=PROJECT / ".ansible", **SCREEN, **client), 60
        )
        assert re.search(r"\r\x1b\[KBuild the image … \d+ s: go test \./\.\.\.\r", written), written[-4000:]
        assert not any("…" in line for line in lines), lines
    finally:
        play("remove", variables)
    assert left_on_engine(NAME) == []
