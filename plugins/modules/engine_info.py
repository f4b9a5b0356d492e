#!/usr/bin/python
"""Ansible module: tells whether a Docker Engine answers, and which one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Tell whether a Docker Engine answers, and which one
description:
  - Asks the Engine for its version and its properties, and says in one word what came of it.
  - An Engine that is not there is an answer, not a failure, so that a role can decide what to do about it.
  - The Docker client is not used; a client without an Engine is therefore not mistaken for one.
options:
  wait:
    description: How many seconds to wait for an Engine that does not answer yet. C(0) asks once.
    type: int
    default: 0
extends_documentation_fragment:
  - community.docker.docker.api_documentation
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Changes nothing.
  idempotent:
    support: full
    description: Changes nothing.
notes:
  - E(DOCKER_HOST) and its relatives are honoured as community.docker's modules honour them.
requirements:
  - requests (its absence is reported as RV(library=false))
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Look for a Docker Engine
  proven.go_service.engine_info:
  register: engine

- name: Wait for it up to a minute
  proven.go_service.engine_info:
    wait: 60
  register: engine
  failed_when: engine.status != 'ready'
"""

RETURN = r"""
status:
  description:
    - V(ready), an Engine answers.
    - V(absent), nobody listens at the address.
    - V(denied), the socket is there, and this user may not use it.
    - V(no_library), somebody may listen, and the Python that runs modules lacks requests to find out.
    - V(silent), somebody listens at the socket and does not answer, as systemd does for an engine that does not start.
    - V(unusable), what answers is no Engine that community.docker can work with, or nothing answers at a network address.
  type: str
  returned: always
message:
  description: The reason in words, empty where an Engine answers.
  type: str
  returned: always
docker_host:
  description: The address asked.
  type: str
  returned: always
user:
  description: The name of the user who asked.
  type: str
  returned: always
python:
  description: The interpreter that ran the module.
  type: str
  returned: always
library:
  description: Whether that interpreter has requests, which community.docker's modules need.
  type: bool
  returned: always
system_python:
  description: Whether that interpreter is the distribution's, so that the distribution's packages serve it.
  type: bool
  returned: always
server:
  description: The Engine, empty where none answers.
  type: dict
  returned: always
  contains:
    version: {description: "Release of the Engine.", type: str, sample: 26.1.5}
    api_version: {description: "Newest API it speaks.", type: str, sample: "1.45"}
    min_api_version: {description: "Oldest API it speaks.", type: str, sample: "1.24"}
    storage_driver: {description: "How layers are stored.", type: str, sample: overlay2}
    containerd_store: {description: "Whether containerd keeps the images.", type: bool}
    os: {description: "What it runs containers for.", type: str, sample: linux}
    operating_system: {description: "The host's system.", type: str}
    architecture: {description: "The host's machine.", type: str, sample: x86_64}
    kernel_version: {description: "The host's kernel.", type: str}
    cgroup_version: {description: "V(1) or V(2).", type: str}
    cgroup_driver: {description: "V(systemd), V(cgroupfs) or V(none).", type: str}
    cpus: {description: "Number of processors.", type: int}
    memory_bytes: {description: "Memory of the host.", type: int}
    rootless: {description: "Whether it runs without root.", type: bool}
    live_restore: {description: "Whether containers outlive the daemon.", type: bool}
images:
  description: The images it has, each with C(Id), C(RepoTags) and C(RepoDigests) as the Engine lists them; empty where none answers.
  type: list
  elements: dict
  returned: always
"""

import os
import pwd
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.community.docker.plugins.module_utils.common_api import AnsibleDockerClientBase
from ansible_collections.community.docker.plugins.module_utils.util import (
    DEFAULT_DOCKER_HOST,
    DOCKER_COMMON_ARGS,
    DOCKER_MUTUALLY_EXCLUSIVE,
    DOCKER_REQUIRED_TOGETHER,
)

try:
    import requests
except ImportError:
    requests = None

UNIX = "unix://"
# Seconds between two questions while waiting, and seconds for which a socket may keep a connection waiting.
INTERVAL = 0.5
CONNECT_TIMEOUT = 5
# What is told of an image, as `GET /images/json` names it.
IMAGE_KEYS = ("Id", "RepoTags", "RepoDigests")


class EngineError(Exception):
    """No Engine that can be used answers; the cause, where there is one, is in the chain of contexts."""


class ProbeClient(AnsibleDockerClientBase):
    """community.docker's client, which raises its failures instead of ending the module."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Connect.

        Args:
            params: The module's options, which hold those of every module of community.docker.

        Raises:
            EngineError: Where no Engine that can be used answers, with the reason in words.
        """
        self._params = params
        super().__init__()

    def fail(self, msg: str, **_details: Any) -> None:
        """Raise what the client would have ended the module with."""
        raise EngineError(msg)

    def _get_params(self) -> Mapping[str, Any]:
        return self._params


def listener(docker_host: str) -> str:
    """Say who is at an address.

    Args:
        docker_host: The address, such as `unix:///var/run/docker.sock`.

    Returns:
        `absent` or `denied`, as in RETURN; `present` where somebody accepts connections, `remote` for an address other
        than a socket, which is not looked at.
    """
    if not docker_host.startswith(UNIX):
        return "remote"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_TIMEOUT)
        try:
            connection.connect(docker_host[len(UNIX) :])
        except PermissionError:
            return "denied"
        except OSError:
            return "absent"
    return "present"


def is_silence(error: BaseException | None) -> bool:
    """Tell whether an error comes from a connection without an answer, rather than from an answer."""
    while error is not None:
        if isinstance(error, (requests.ConnectionError, requests.Timeout)):
            return True
        error = error.__context__
    return False


def describe(version: Mapping[str, Any], info: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what users of the role need from the answers to `GET /version` and `GET /info`.

    Args:
        version: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemVersion
        info: https://docs.docker.com/reference/api/engine/version/v1.41/#tag/System/operation/SystemInfo

    Returns:
        `server`, as in RETURN.
    """
    driver_status = dict(info.get("DriverStatus") or [])
    return {
        "version": version.get("Version", ""),
        "api_version": version.get("ApiVersion", ""),
        "min_api_version": version.get("MinAPIVersion", ""),
        "storage_driver": info.get("Driver", ""),
        "containerd_store": str(driver_status.get("driver-type", "")).startswith("io.containerd.snapshotter"),
        "os": version.get("Os", ""),
        "operating_system": info.get("OperatingSystem", ""),
        "architecture": info.get("Architecture", ""),
        "kernel_version": version.get("KernelVersion", ""),
        "cgroup_version": info.get("CgroupVersion", ""),
        "cgroup_driver": info.get("CgroupDriver", ""),
        "cpus": info.get("NCPU", 0),
        "memory_bytes": info.get("MemTotal", 0),
        "rootless": "name=rootless" in (info.get("SecurityOptions") or []),
        "live_restore": bool(info.get("LiveRestoreEnabled", False)),
    }


def probe(params: Mapping[str, Any], docker_host: str) -> dict[str, Any]:
    """Ask once.

    Args:
        params: The module's options.
        docker_host: The address that they lead to.

    Returns:
        `status`, `message`, `server` and `images`, as in RETURN.
    """
    status = listener(docker_host)
    if requests is None:
        status = status if status in ("absent", "denied") else "no_library"
        return {"status": status, "message": "the Python library requests is missing", "server": {}, "images": []}
    try:
        client = ProbeClient(params)
        server = describe(client.version(), client.info())
        images = [{key: image.get(key) for key in IMAGE_KEYS} for image in client.get_json("/images/json")]
    except Exception as error:  # The client lets through errors of requests, of urllib3 and of its own.
        if status in ("present", "remote"):
            status = "silent" if status == "present" and is_silence(error) else "unusable"
        return {"status": status, "message": str(error), "server": {}, "images": []}
    return {"status": "ready", "message": "", "server": server, "images": images}


def user_name() -> str:
    """Return the name of the user the module runs as, or the number of one without a name."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**DOCKER_COMMON_ARGS, "wait": {"type": "int", "default": 0}},
        mutually_exclusive=DOCKER_MUTUALLY_EXCLUSIVE,
        required_together=DOCKER_REQUIRED_TOGETHER,
        supports_check_mode=True,
    )
    docker_host = module.params["docker_host"] or DEFAULT_DOCKER_HOST
    deadline = time.monotonic() + module.params["wait"]
    result = probe(module.params, docker_host)
    while result["status"] not in ("ready", "no_library", "denied") and time.monotonic() < deadline:
        time.sleep(INTERVAL)
        # A daemon that hangs must not hold the last question longer than there is time for.
        patience = max(1, min(module.params["timeout"], int(deadline - time.monotonic())))
        result = probe({**module.params, "timeout": patience}, docker_host)
    module.exit_json(
        changed=False,
        docker_host=docker_host,
        user=user_name(),
        python=sys.executable,
        library=requests is not None,
        system_python=sys.prefix == "/usr" and sys.base_prefix == "/usr",
        **result,
    )


if __name__ == "__main__":
    main()
