#!/usr/bin/python
"""Ansible module: give the lock of a service back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: unlock
short_description: Give the lock of a Go service back
description:
  - Releases the lock that M(proven.go_service.prepare) took, if a run ends without M(proven.go_service.deploy). A lock of another run stays.
attributes:
  check_mode:
    support: full
    description: A run in check mode takes no lock.
  diff_mode:
    support: none
    description: The lock is no state of the host.
  idempotent:
    support: full
    description: A lock that is already gone is no error.
options:
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  lock:
    description: Token of the lock.
    type: str
    required: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Give the lock back
  proven.go_service.unlock:
    settings: "{{ __go_service_record.settings }}"
    lock: "{{ __go_service_record.plan.lock }}"
"""

RETURN = r"""
released:
  description: Whether this run held the lock.
  type: bool
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common.failure import UNTOUCHED, Progress, ending
from ..module_utils.common.names import service_directory
from ..module_utils.common.stages import LOCK
from ..module_utils.deploy.lock import Lock
from ..module_utils.engine.client import Engine, EngineError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "lock": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    released = False
    with ending(module, Progress(LOCK, UNTOUCHED), {}) as params:
        settings = params["settings"]
        try:
            released = not module.check_mode and Lock(Engine(), settings.name, service_directory(settings)).release(params["lock"])
        except EngineError as error:
            module.warn(f"The lock could not be given back; a later run will take it over after this one has ended: {error}")
    module.exit_json(changed=False, released=released)


if __name__ == "__main__":
    main()
