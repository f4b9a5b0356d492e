"""After check mode on a VM that has not been converged yet: it has told of changes and has made none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Where Ansible itself puts its modules, and where the packages' lists and the like may be renewed at any time.
BESIDE_THE_POINT = ("/root/.ansible", "/home/dev/.ansible", "/tmp", "/run", "/var/tmp", "/var/log", "/var/lib/systemd")


def test_check_mode_told_of_changes(machine_name: str, last_recap: dict[str, dict[str, int]]) -> None:
    """Check mode says that the machine would be changed."""
    assert last_recap[machine_name]["changed"] > 0


def test_check_mode_changed_no_file(host, machine_name: str) -> None:
    """No file of the VM has changed."""
    before = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], f"files-of-{machine_name}.txt").read_text(encoding="utf-8").splitlines()
    command = ["docker", "diff", host.backend.name]
    after = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    # "C /root" says no more than that something is new in it, which is told on a line of its own.
    holders = {f"C {Path(path).parent}" for path in BESIDE_THE_POINT}
    new = set(after) - set(before) - holders
    assert [line for line in sorted(new) if not line.split(" ", 1)[1].startswith(BESIDE_THE_POINT)] == []


def test_check_mode_left_the_engine_alone(host) -> None:
    """Where there is an Engine, it has got no container and no image."""
    if host.exists("docker"):
        assert host.check_output("docker ps --all --quiet && docker images --quiet") == ""
