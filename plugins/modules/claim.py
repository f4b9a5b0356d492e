#!/usr/bin/python
"""Ansible module: make the directory of a Go service on a host, or refuse a directory that the role did not make."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: claim
short_description: Make the directory of a Go service on a host
description:
  - Makes the service's directory if it is missing, and records that the role makes a directory tree in it, before another module fills that tree.
  - Fails, and touches nothing, if the role did not make the directory or the tree.
attributes:
  check_mode:
    support: full
    description: Only looks.
  diff_mode:
    support: none
    description: The directory is the role's own.
  idempotent:
    support: full
    description: A directory that the role has made is not changed.
options:
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  tree:
    description: Name of the tree in the directory.
    type: str
    choices: [context, source]
    required: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Prepare the directory of the source
  proven.go_service.claim:
    settings: "{{ __go_service_record.settings }}"
    tree: source
"""

RETURN = r"""
directory:
  description: The service's directory on the host.
  type: str
  returned: success
failure:
  description: What is in the way that the role did not make, and what to do.
  type: dict
  returned: failure
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common.failure import UNTOUCHED, Progress, ending
from ..module_utils.common.names import service_directory
from ..module_utils.common.stages import DIRECTORY
from ..module_utils.deploy import ownership
from ..module_utils.deploy.lock import working


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "tree": {"type": "str", "choices": list(ownership.TREES), "required": True},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    with ending(module, Progress(DIRECTORY, UNTOUCHED), {}) as params:
        name, directory = params["settings"].name, service_directory(params["settings"])
        if module.check_mode:
            ownership.examine(directory, name)
        else:
            with working(name):
                ownership.claim(directory, name, module.params["tree"])
    module.exit_json(changed=False, directory=str(directory))


if __name__ == "__main__":
    main()
