"""The manifests for orchestrators keep the hardening that the role's own container has, and those who read them say that they can."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import EXAMPLES, PROJECT

pytestmark = pytest.mark.skipif("FLEET" not in os.environ, reason="make fleet runs it")
MANIFESTS = EXAMPLES / "orchestrators"
PROGRAMS = Path(os.environ.get("MANIFESTS", PROJECT / ".venv/manifests")) / "bin"
DEFAULTS = yaml.safe_load((PROJECT / "roles/go_service/defaults/main.yml").read_text(encoding="utf-8"))
# As the role writes a memory limit, and as the others do.
MEGABYTES = int(DEFAULTS["go_service_memory"].removesuffix("m"))


def read(text: str) -> Any:
    """Return what HCL says, each block as a list of one."""
    program = "import sys, json, hcl2; print(json.dumps(hcl2.loads(sys.stdin.read())))"
    return json.loads(subprocess.check_output([PROGRAMS / "python", "-c", program], input=text, text=True))


def within(value: Any, *path: str) -> Any:
    """Return what lies at a path of blocks, whatever quotes stand around a name."""
    for part in path:
        blocks = value if isinstance(value, list) else [value]
        value = next(block[name] for block in blocks for name in block if name.strip('"') == part)
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else value


def is_by_digest(image: str) -> bool:
    """Say whether an image is named by its digest."""
    return "@sha256:" in image


def test_kubernetes() -> None:
    path = MANIFESTS / "kubernetes.yml"
    done = subprocess.run([PROGRAMS / "kubernetes-validate", "--strict", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    deployment = next(document for document in yaml.safe_load_all(path.read_text()) if document["kind"] == "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"} and pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": DEFAULTS["go_service_cap_drop"]},
    }
    assert container["resources"]["limits"] == {"cpu": f"{DEFAULTS['go_service_cpus']:g}", "memory": f"{MEGABYTES}Mi"}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] == DEFAULTS["go_service_health_path"]
    assert is_by_digest(container["image"]) and container["ports"][0]["containerPort"] == DEFAULTS["go_service_port"]
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert pod["terminationGracePeriodSeconds"] == DEFAULTS["go_service_stop_timeout"]


def test_kubernetes_is_not_valid_with_a_word_that_it_does_not_know(tmp_path: Path) -> None:
    """The check is one that can fail."""
    wrong = (MANIFESTS / "kubernetes.yml").read_text().replace("readOnlyRootFilesystem", "readonlyRootFilesystem")
    (tmp_path / "wrong.yml").write_text(wrong)
    done = subprocess.run(
        [PROGRAMS / "kubernetes-validate", "--strict", tmp_path / "wrong.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0 and "readonlyRootFilesystem" in done.stdout + done.stderr


def test_swarm() -> None:
    path = MANIFESTS / "swarm.yml"
    if subprocess.run(["docker", "stack", "config", "--help"], capture_output=True, check=False).returncode:
        pytest.skip("this docker command has no `stack config`, which came with 23.0")
    read_by_docker = yaml.safe_load(subprocess.check_output(["docker", "stack", "config", "-c", path], text=True))
    (service,) = read_by_docker["services"].values()
    assert service["read_only"] is True and service["cap_drop"] == DEFAULTS["go_service_cap_drop"]
    assert not service["user"].startswith(("0", "root")) and is_by_digest(service["image"])
    limits = service["deploy"]["resources"]["limits"]
    assert (limits["pids"], int(limits["memory"]), float(limits["cpus"])) == (
        DEFAULTS["go_service_pids_limit"],
        MEGABYTES << 20,
        DEFAULTS["go_service_cpus"],
    )
    ((place, options),) = DEFAULTS["go_service_tmpfs"].items()
    assert service["tmpfs"] == [f"{place}:{options}"]
    assert (service["deploy"]["update_config"]["order"], service["deploy"]["update_config"]["failure_action"]) == (
        "start-first",
        "rollback",
    )


def test_nomad() -> None:
    """Its own parser is no module that can be had here: this says that it is HCL, and what it holds."""
    job = within(read((MANIFESTS / "nomad.hcl").read_text()), "job", "cat-server")
    task = within(job, "group", "cat-server", "task", "cat-server")
    config = within(task, "config")
    assert (config["readonly_rootfs"], config["cap_drop"], config["pids_limit"]) == (True, ['"all"'], DEFAULTS["go_service_pids_limit"])
    assert config["security_opt"] == ['"no-new-privileges"'] and is_by_digest(config["image"])
    assert not task["user"].strip('"').startswith(("0", "root")) and within(task, "resources")["memory"] == MEGABYTES
    check = within(job, "group", "cat-server", "service", "check")
    assert check["path"].strip('"') == DEFAULTS["go_service_health_path"]
    assert within(job, "update")["auto_revert"] is True
