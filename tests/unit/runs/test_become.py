"""One user without rights becomes another: no secret lies in a file that others of the host can read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_plays import QUICK, play

SECRET = "hidden-word"


@pytest.mark.parametrize("option", ["ansible_shell_allow_world_readable_temp", "ansible_common_remote_group"])
@pytest.mark.parametrize(
    ("secret", "method"), [(True, "su"), (True, "sudo"), (False, "su")], ids=["refused", "pipelining, which sudo knows", "no secret"]
)
def test_secrets_and_temporary_files(tmp_path: Path, option: str, secret: bool, method: str) -> None:
    if os.geteuid() or not shutil.which(method):
        pytest.skip(f"becoming another user needs root and {method}")
    tmp_path.chmod(0o755)
    given: dict[str, Any] = {
        **QUICK,
        "go_service_name": "utest-become",
        "go_service_env": {"TOKEN": SECRET} if secret else {},
        "ansible_become": True,
        "ansible_become_user": "nobody",
        "ansible_become_method": f"ansible.builtin.{method}",
        **({"ansible_become_flags": "-s /bin/sh"} if method == "su" else {}),
        "ansible_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_remote_tmp": "/tmp/go-service-utest-become",
        option: "nogroup" if "group" in option else True,
        "asked": {"DOCKER_HOST": "unix:///nonexistent.sock"},
    }
    tasks = [{"ansible.builtin.include_role": {"name": "proven.go_service.go_service"}}]
    done = play(tmp_path, tasks, {"host": {}}, given)
    told = " ".join((done.stdout + done.stderr).split())
    assert done.returncode
    assert ("would lie in a file that others of the host can read" in told) == (secret and method == "su"), told[-3000:]
    assert SECRET not in told
