#!/usr/bin/python
"""Ansible module: tells whether a Docker Engine answers, and which one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Tell whether a Docker Engine answers, and which one
description:
  - Asks the Engine for its version and its properties, and returns the result as one word.
  - An Engine that is not there is an answer, not a failure, so that a role can decide what to do about it.
  - The Docker client is not used; a client without an Engine is therefore not mistaken for one.
options:
  docker_host:
    description:
      - Address of the Engine, such as V(unix:///var/run/docker.sock), V(tcp://192.0.2.10:2376) or V(ssh://dev@192.0.2.10).
      - Without it the address is found as by the docker command. E(DOCKER_HOST) names it, or else E(DOCKER_CONTEXT) or C(currentContext)
        in C(config.json) of E(DOCKER_CONFIG) or C(~/.docker) names a context that does. Otherwise it is V(unix:///var/run/docker.sock).
    type: str
  timeout:
    description: How many seconds one question may wait for its answer.
    type: int
    default: 60
  wait:
    description: How many seconds to wait for an Engine that does not answer yet. V(0) asks once.
    type: int
    default: 0
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
  - For an address of the form C(tcp://), TLS is used if E(DOCKER_TLS_VERIFY) is set, or, without verifying the Engine's certificate, E(DOCKER_TLS). The
    certificates are C(ca.pem), C(cert.pem) and C(key.pem) in E(DOCKER_CERT_PATH), or beside C(config.json). E(DOCKER_TLS_HOSTNAME) is the name
    to look for in the Engine's certificate if that is not the name in its address. A context has its own certificates.
  - For an address of the form C(ssh://), the program C(ssh) is used, with the keys and the known hosts of the user. The Docker SDK also needs
    paramiko for that.
requirements:
  - Docker SDK for Python, 5.0.3 or newer (its absence is reported as RV(library=false))
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

- name: Pull an image by the Engine that was found, also where a docker context names it
  community.docker.docker_image_pull:
    name: alpine:3.24
  module_defaults:
    group/community.docker.docker: "{{ engine.connection }}"
"""

RETURN = r"""
status:
  description:
    - V(ready), an Engine answers.
    - V(absent), nobody listens at the address.
    - V(denied), the socket is there, but this user may not use it.
    - V(no_library), an Engine may be there, but the Python that runs modules lacks the Docker SDK to find out.
    - V(silent), something listens at the socket, but does not answer, as systemd does for an Engine that does not start.
    - V(unusable), what answers is not a usable Engine, nothing answers at a network address, or the chosen context cannot be read.
  type: str
  returned: always
message:
  description: The reason in words, empty if an Engine answers.
  type: str
  returned: always
docker_host:
  description: The address asked, empty if none could be found out.
  type: str
  returned: always
connection:
  description:
    - Options with which the modules of community.docker use the same Engine, whatever their environment says; those modules do not support contexts.
    - O(community.docker.docker_image#module:docker_host), O(community.docker.docker_image#module:tls) and
      O(community.docker.docker_image#module:validate_certs), and those of the certificates where there are any.
  type: dict
  returned: always
  sample: {docker_host: "unix:///var/run/docker.sock", tls: false, validate_certs: false}
user:
  description: The name of the user who asked.
  type: str
  returned: always
python:
  description: The interpreter that ran the module.
  type: str
  returned: always
library:
  description: Whether that interpreter has the Docker SDK, and with it the library requests, which community.docker's modules need.
  type: bool
  returned: always
system_python:
  description: Whether that interpreter is the distribution's, so that the distribution's packages of Python libraries work for it.
  type: bool
  returned: always
server:
  description: The Engine, empty if none answers.
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
    live_restore: {description: "Whether containers keep running while the daemon is stopped.", type: bool}
    proxies: {description: "V(http_proxy), V(https_proxy) and V(no_proxy) of the daemon, without passwords.", type: dict}
set_up:
  description:
    - What is set up on the machine itself. V(record) is what the role docker_engine has installed there, empty if it has not, or if the daemon of
      another vendor took its place; V(settings) is the content of C(/etc/docker/daemon.json) without passwords, empty if there is no such file, null if it holds
      no JSON object or this user may not read it; V(pending) says whether a run of the role was killed before the daemon used its new settings; V(installing) whether one was killed while it installed packages; V(process) is the
      number of the process of the machine's own daemon, 0 if none runs; V(rootless) has C(user) and C(docker_host) of each Engine that a user runs there without
      root and that answers.
  type: dict
  returned: always
images:
  description: The images it has, each with C(Id), C(RepoTags) and C(RepoDigests) as the Engine lists them; empty if none answers.
  type: list
  elements: dict
  returned: always
"""

import os
import pwd
import sys
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.engine import machine
from ..module_utils.engine.client import MISSING_LIBRARY, TIMEOUT, Engine, EngineError, EngineUnreachable
from ..module_utils.engine.records import describe, named

# Seconds between two questions while waiting.
INTERVAL = 0.5


def probe(docker_host: str, timeout: int) -> dict[str, Any]:
    """Ask once.

    Returns:
        `status`, `message`, `docker_host`, `connection`, `server` and `images`, as in RETURN.
    """
    status, message, asked, server, images = "ready", "", None, {}, []
    try:
        engine = Engine(docker_host, timeout, patience=0)
        asked = engine.address
        server = describe(engine.version(), engine.info())
        images = [named(image) for image in engine.images()]
    except EngineUnreachable as error:
        status, message, asked = error.status, str(error), error.asked
    except EngineError as error:
        status, message = "unusable", str(error)
    return {
        "status": status,
        "message": message,
        "docker_host": asked.docker_host if asked else "",
        "connection": asked.options if asked else {},
        "server": server if status == "ready" else {},
        "images": images,
    }


def user_name() -> str:
    """Return the name of the user as whom the module runs, or the id if the user has no name."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "docker_host": {"type": "str"},
            "timeout": {"type": "int", "default": TIMEOUT},
            "wait": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    docker_host, timeout = module.params["docker_host"] or "", module.params["timeout"]
    deadline = time.monotonic() + module.params["wait"]
    result = probe(docker_host, timeout)
    while result["status"] not in ("ready", "no_library", "denied") and time.monotonic() < deadline:
        time.sleep(INTERVAL)
        # If the daemon hangs, the last question must not take longer than the remaining time.
        result = probe(docker_host, max(1, min(timeout, int(deadline - time.monotonic()))))
    module.exit_json(
        changed=False,
        user=user_name(),
        python=sys.executable,
        library=not MISSING_LIBRARY,
        system_python=sys.prefix == "/usr" and sys.base_prefix == "/usr",
        set_up=machine.set_up(),
        **result,
    )


if __name__ == "__main__":
    main()
