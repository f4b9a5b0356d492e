"""The oldest Python of a target: everything that runs there runs under Python 3.9."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plays import SERVICES, changed, free_port, get, left_on_engine, play

OLDEST = "3.9"


@pytest.fixture
def interpreter(tmp_path: Path) -> Path:
    """Return the interpreter of an environment of Python 3.9 that holds what a target needs, and nothing else."""
    found = [shutil.which(f"python{OLDEST}"), *sorted((Path.home() / ".pyenv/versions").glob(f"{OLDEST}.*/bin/python3"))]
    # One in PATH may be a shim of pyenv's that runs nothing.
    runs = [one for one in found if one and subprocess.run([one, "--version"], capture_output=True, check=False).returncode == 0]
    if not runs:
        pytest.skip(f"there is no Python {OLDEST} in PATH or in ~/.pyenv/versions")
    subprocess.run([runs[0], "-m", "venv", tmp_path / "target"], check=True)
    python = tmp_path / "target/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "docker", "requests"], check=True)
    assert subprocess.check_output([python, "--version"], text=True).startswith(f"Python {OLDEST}.")
    return python


def test_the_whole_way_of_a_service(interpreter: Path, tmp_path: Path) -> None:
    """Built and run, left alone by a second run, removed; the interpreter's path in what Ansible executes proves that it was used."""
    port = free_port()
    variables: dict[str, Any] = {
        "ansible_python_interpreter": str(interpreter),
        "go_service_name": "python-notes",
        "go_service_source": str(shutil.copytree(SERVICES / "notes", tmp_path / "source")),
        "go_service_publish": f"127.0.0.1:{port}",
        "go_service_work_dir": str(tmp_path / "work"),
        "go_service_report_dir": str(tmp_path / "reports"),
    }
    try:
        first = play("build", variables, "-vvv")
        executed = [line for line in first.splitlines() if "EXEC /bin/sh" in line and "python" in line]
        assert len(executed) >= 4
        assert [line for line in executed if str(interpreter) not in line] == []
        assert get(port, "/health") == (200, "ok")
        assert changed(play("build", variables)) == 0
    finally:
        removed = play("remove", variables)
    assert changed(removed) > 0
    assert left_on_engine("python-notes") == []
