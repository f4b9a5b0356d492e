"""Runs of the project's playbooks on the machines of a scenario as Molecule itself makes them; the scenarios offline and engines have them too."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

PROJECT = Path(os.environ.get("MOLECULE_PROJECT_DIRECTORY", "."))
SCRATCH = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "."))


def provision(machine: str, *arguments: str, succeeds: bool = True, **variables: Any) -> str:
    """Provision one machine once more; as `run`."""
    return run("provision", machine, *arguments, succeeds=succeeds, **variables)


def run(playbook: str, machine: str, *arguments: str, succeeds: bool = True, **variables: Any) -> str:
    """Run a playbook of the project on one machine and return what it printed; fail with it where it does not end as said.

    variables: of the roles, over those of the inventory.
    """
    command = [shutil.which("ansible-playbook") or "ansible-playbook", "-i", str(SCRATCH / "inventory"), "--limit", machine, *arguments]
    for name, value in variables.items():
        command += ["-e", json.dumps({name: value})]
    env = {
        **os.environ,
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
        "ANSIBLE_NOCOLOR": "1",
        # What is forced wins over what is switched off, and Molecule forces colours where its own are on.
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    env.pop("ANSIBLE_LOG_PATH", None)
    done = subprocess.run([*command, str(PROJECT / f"playbooks/{playbook}.yml")], env=env, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    assert (done.returncode == 0) == succeeds, told[-6000:]
    return re.sub(r"\s+", " ", told)


def changed(told: str) -> int:
    """Return how many tasks of a run changed something."""
    return sum(int(number) for number in re.findall(r": ok=\d+ changed=(\d+)", told))
