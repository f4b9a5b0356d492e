"""Plays of the role through ansible-playbook on this machine: many hosts, which are all this machine, or one host and many services."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from plays import PROJECT, RUNTIME, SERVE, ansible_playbook, environment

# A small image that is not built by the role runs as its service where every check is waived.
ALL_WAIVED = {name: "this test is about something else" for name in judge.CHECKS}
# Settings of a service that starts at once, from an image that `service_image` makes.
QUICK: dict[str, Any] = {
    "go_service_image_tag": "1",
    "go_service_args": [SERVE],
    "go_service_publish": "",
    "go_service_stable_seconds": 0,
    "go_service_stop_timeout": 0,
    "go_service_start_timeout": 5,
    "go_service_waivers": ALL_WAIVED,
    "go_service_builder_image": RUNTIME,
    "go_service_runtime_image": RUNTIME,
}


def digest_of(name: str) -> str:
    """Return the content digest of a service's image."""
    return hashlib.sha256(name.encode()).hexdigest()


def service_image(client: Callable[..., str], name: str, base: str) -> None:
    """Make <name>:1 of an image; the role takes it for one of its own by how it ends."""
    lines = [
        f"FROM {base}",
        f"LABEL go-service.name={name} go-service.kind=image",
        f"COPY --from={RUNTIME} /bin/busybox /usr/local/bin/{name}",
        f"LABEL go-service.digest={digest_of(name)}",
    ]
    client("build", "-q", "-t", f"{name}:1", "-", stdin="\n".join(lines) + "\n")


def play(
    directory: Path,
    tasks: list[dict[str, Any]],
    hosts: Mapping[str, Mapping[str, Any]],
    variables: Mapping[str, Any],
    strategy: str = "free",
    *,
    options: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run tasks on hosts, with variables for all; directory: where everything of the run is; options: of the command."""
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_remote_tmp": str(directory / "remote"),
        "go_service_work_dir": str(directory / "work"),
        "go_service_report_dir": str(directory / "reports"),
        "top": str(directory),
        **variables,
    }
    (directory / "inventory.json").write_text(json.dumps({"all": {"vars": common, "hosts": hosts}}))
    written = [
        {
            "hosts": "all",
            "gather_facts": False,
            "strategy": strategy,
            "environment": "{{ asked | default({}) }}",
            "tasks": tasks,
        }
    ]
    (directory / "play.yml").write_text(yaml.safe_dump(written))
    (directory / "ansible.cfg").write_text("[defaults]\ncallback_result_format = yaml\n[connection]\npipelining = true\n")
    env = environment(
        ANSIBLE_CONFIG=directory / "ansible.cfg",
        ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections",
        ANSIBLE_FORKS="8",
        ANSIBLE_HOME=directory / "controller",
    )
    return ansible_playbook(*options, "-i", directory / "inventory.json", directory / "play.yml", cwd=directory, env=env)
