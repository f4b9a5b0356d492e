"""What a run prints with the project's own settings: few lines, and the cause of a broken build once."""

from __future__ import annotations

import shutil
from pathlib import Path

from plays import PROJECT, free_port, get, left_on_engine, play, service_variables

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
