#!/usr/bin/python
"""Ansible module: say which of some services run on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: running
short_description: Say which of some services run on a host
description:
  - Looks at the containers of services, at the images that they run, and at the host's architecture. Works also on a host without an Engine.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
  idempotent:
    support: full
    description: It only reads.
options:
  names:
    description: The names of the services.
    type: list
    elements: str
    required: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: See what runs
  proven.go_service.running:
    names: [prices, orders]
  register: seen
"""

RETURN = r"""
architecture:
  description: The architecture that images need here, as Go and the Engine call it, such as V(amd64); of the Engine if one answers, else of the host.
  type: str
  returned: always
engine:
  description: The Engine's version, empty if none answers.
  type: str
  returned: always
containerd:
  description: Whether the Engine keeps images in containerd's store, where an image has another id than in the classic one.
  type: bool
  returned: always
services:
  description: What runs, in the order of O(names).
  type: list
  elements: dict
  returned: always
  contains:
    name: {description: "The service.", type: str}
    container: {description: "Id of its container, empty if there is none.", type: str}
    image: {description: "Id of the image that it runs.", type: str}
    digest: {description: "Content digest of that image.", type: str}
    version: {description: "Version of the service, as the image says it.", type: str}
    layers: {description: "The digests of that image's layers, the lowest first.", type: list, elements: str}
    known: {description: "Ids of the images of the service that runs have built or received on this host.", type: list, elements: str}
    state:
      description: >-
        V(healthy), V(unhealthy), V(starting), what the Engine calls it otherwise, V(nothing runs), or V(another container has its name), of which nothing else
        is told.
      type: str
"""

import os
import platform
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common.names import LABEL_DIGEST, OCI
from ..module_utils.common.settings import MACHINES
from ..module_utils.deploy import history
from ..module_utils.deploy.judgement import is_ours
from ..module_utils.engine.client import Engine, EngineUnreachable
from ..module_utils.engine.records import containerd_store, health, layers

NOTHING = "nothing runs"
FOREIGN = "another container has its name"


def state(container: dict[str, Any], proven: dict[str, Any]) -> str:
    """Return the state of a container; proven: the container that was proven last, from the history.

    An Engine before 25 says "starting" for a whole interval, even if the run has already proven the container by the same check.
    """
    status = str(container["State"]["Status"])
    if status != "running":
        return status
    found = str(health(container).get("Status") or status)
    return "healthy" if found == "starting" and proven.get("id") == container["Id"] else found


def nothing(name: str) -> dict[str, Any]:
    """Return the entry of a service that does not run."""
    return {"name": name, "container": "", "image": "", "digest": "", "version": "", "layers": [], "known": [], "state": NOTHING}


def look(engine: Engine, name: str) -> dict[str, Any]:
    """Return what runs of a service."""
    container = engine.container(name)
    if container is None:
        return nothing(name)
    if not is_ours(engine, container, name):
        return {**nothing(name), "state": FOREIGN}
    image = engine.image(container["Image"]) or {}
    labels = (image.get("Config") or {}).get("Labels") or {}
    past = history.read(engine, name, Path(os.devnull))
    return {
        "name": name,
        "container": container["Id"],
        "image": container["Image"],
        "digest": labels.get(LABEL_DIGEST) or "",
        "version": labels.get(OCI + "version") or "",
        "layers": layers(image),
        "known": [known["id"] for known in (past.images or {}).values()],
        "state": state(container, past.container),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"names": {"type": "list", "elements": "str", "required": True}}, supports_check_mode=True)
    names = module.params["names"]
    machine = platform.machine()
    found: dict[str, Any] = {
        "architecture": MACHINES.get(machine, machine),
        "engine": "",
        "containerd": False,
        "services": [nothing(name) for name in names],
    }
    try:
        engine = Engine(patience=0)
        version = engine.version()
        found.update(architecture=version["Arch"], engine=version["Version"], containerd=containerd_store(engine.info()))
        found["services"] = [look(engine, name) for name in names]
    except EngineUnreachable:
        pass  # A host that the run still has to prepare.
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
