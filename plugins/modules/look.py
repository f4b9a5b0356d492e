#!/usr/bin/python
"""Ansible module: look at a host's Engine, its images and several services at once."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: look
short_description: Look at a host's Engine, its images and several services at once
description:
  - Compares what services should be with what is on the host, as M(proven.go_service.prepare) does for one of them.
  - An Engine that does not answer, and a service that cannot be compared, are no failure - they are left to the tasks that deal with them one by one.
  - Run by the action plugin of the same name, which describes the services on the controller and writes the reports of those that need no change;
    not meant to be called alone.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: Changes nothing on the host.
  idempotent:
    support: full
    description: Changes nothing on the host.
options:
  services:
    description: For each service the options of M(proven.go_service.prepare).
    type: list
    elements: dict
    default: []
    suboptions:
      settings:
        description: The role's settings, as M(proven.go_service.settings) returns them.
        type: dict
        required: true
      secrets:
        description: The values of secret variables, packed by C(common/secrets.py); the settings have their names alone.
        type: str
        default: ""
      manifest:
        description: Digest of the manifest of the source.
        type: str
        default: ""
      dockerfile:
        description: Content of the Dockerfile.
        type: str
        default: ""
      dockerfile_buildkit:
        description: The same with caches that BuildKit mounts. It is built by that, and the digest goes by the other one. Empty where there is none.
        type: str
        default: ""
      dockerignore:
        description: Content of the .dockerignore file.
        type: str
        default: ""
      continued:
        description: What decides whether a build may go on from the last one, as in M(proven.go_service.prepare).
        type: dict
        default: {}
      base_images:
        description: The references of the builder and the runtime base, in this order.
        type: list
        elements: str
        default: []
      instead:
        description: What may stand in for the base images, the best first - C(base_images) and the C(dockerfile) on them.
        type: list
        elements: dict
        default: []
      project:
        description: The Go facts of the source.
        type: dict
        default: {}
      unfetched:
        description: Why the source cannot be seen; empty if it can.
        type: str
        default: ""
      deploy_follows:
        description: A deploy is to follow, so that the host port has to be free.
        type: bool
        default: false
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Look at everything at once
  proven.go_service.look:
    wanted: "{{ base_images_wanted }}"
    ignored: "{{ __go_service_ignore_lists }}"
  register: __go_service_looked
"""

RETURN = r"""
ready:
  description: Whether an Engine answers.
  type: bool
  returned: always
missing:
  description: Wanted base images that are not on the host, and whose stand-ins are not there either.
  type: list
  elements: str
  returned: always
base_images:
  description: The images to build on, in the form of the fact base_images_resolved of the role base_images.
  type: dict
  returned: always
unchanged:
  description: Numbers of the services that need no change.
  type: list
  elements: int
  returned: always
outcomes:
  description: Their results, as rows of the table of services.
  type: list
  elements: dict
  returned: always
record:
  description: The record of the last one of them.
  type: dict
  returned: always
seen:
  description: For every other service that could be compared, what M(proven.go_service.prepare) returns for it, by its name.
  type: dict
  returned: always
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common.secrets import reveal
from ..module_utils.common.settings import Settings
from ..module_utils.engine.client import Engine, EngineError
from ..module_utils.engine.records import named
from ..module_utils.plan.comparison import OPTIONS, Comparison

SERVICE: dict[str, dict[str, Any]] = {**OPTIONS, "instead": {"type": "list", "elements": "dict", "default": []}}


def compared(engine: Engine, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return the plan of a service and its diff, None if the service cannot be compared; asked: options of module prepare."""
    try:
        params = {**asked, "settings": reveal(Settings.from_json(asked["settings"]), asked["secrets"])}
        return Comparison(params).result(engine)
    # Whatever the cause is: the task that deals with the service meets it again, and reports it.
    except Exception:
        return None


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE}}, supports_check_mode=True
    )
    os.umask(0o077)
    try:
        engine = Engine()
        # Fails if it is none that the role can work with.
        engine.version()
        images = [named(image) for image in engine.images()]
    except EngineError:
        module.exit_json(changed=False, ready=False, images=[], compared=[])
    module.exit_json(changed=False, ready=True, images=images, compared=[compared(engine, asked) for asked in module.params["services"]])


if __name__ == "__main__":
    main()
