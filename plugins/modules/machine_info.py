#!/usr/bin/python
"""Ansible module: tells what a machine has for containers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: Tell what a machine has for containers
description:
  - Asks the Engine, and looks at the machine that it runs on; which package its program comes from, where its data is and how much space is free there,
    control groups, security modules of the kernel, and the Engine's own warnings about what it cannot do there.
  - Run it as root, since only root may look into the Engine's directory.
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
requirements:
  - Docker SDK for Python, 5.0.3 or newer
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Look at the machine
  proven.go_service.machine_info:
  register: machine

- name: Tell about it
  ansible.builtin.debug:
    msg: "{{ machine.machine | proven.go_service.machine_report }}"
"""

RETURN = r"""
machine:
  description: What was found.
  type: dict
  returned: always
  contains:
    problem: {description: "Why no Engine could be asked, empty if one answered; then there is nothing else.", type: str}
    engine: {description: "C(version), C(storage_driver), C(root), C(cgroup_version), C(cgroup_driver), C(rootless), C(seccomp), C(live_restore).", type: dict}
    origin: {description: "C(program), C(package), C(package_version), C(source) of the daemon that answers.", type: dict}
    record: {description: "What the role docker_engine has installed there, empty if it has not.", type: dict}
    space: {description: "C(free_bytes) and C(size_bytes) where the Engine keeps its data.", type: dict}
    system: {description: "C(name), C(kernel), C(architecture), C(cpus), C(memory_bytes), C(init).", type: dict}
    security_modules: {description: "Modules of the kernel that confine programs.", type: list}
    limits_not_held: {description: "Limits of a container that the Engine cannot hold, by their variables.", type: list}
    warnings: {description: "The Engine's own warnings about what it lacks there.", type: list}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.engine import machine
from ..module_utils.engine.client import Engine, EngineError
from ..module_utils.engine.records import describe, limits_not_held


def look() -> dict[str, Any]:
    """Return `machine`, as in RETURN."""
    try:
        engine = Engine(patience=0)
        version, info = engine.version(), engine.info()
    except EngineError as error:
        return {"problem": str(error)}
    known, local = describe(version, info), engine.address.docker_host.startswith("unix://")
    told = ("version", "storage_driver", "cgroup_version", "cgroup_driver", "rootless", "live_restore")
    return {
        "problem": "",
        "engine": {
            **{key: known[key] for key in told},
            "address": engine.address.docker_host,
            "root": info.get("DockerRootDir", ""),
            "seccomp": any(str(option).startswith("name=seccomp") for option in info.get("SecurityOptions") or []),
        },
        # For an Engine on another machine, nothing that is found here is true.
        "origin": machine.origin(machine.program()) if local else {},
        "record": machine.record() if local else {},
        "space": machine.space(str(info.get("DockerRootDir") or "")) if local else {},
        "system": {
            "name": known["operating_system"],
            "kernel": known["kernel_version"],
            **{key: known[key] for key in ("architecture", "cpus", "memory_bytes")},
            "init": machine.first_process() if machine.has_unit() else "",
        },
        "security_modules": machine.security_modules() if local else [],
        "limits_not_held": list(limits_not_held(info)),
        "warnings": machine.limits(info),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, machine=look())


if __name__ == "__main__":
    main()
