#!/usr/bin/python
"""Ansible module: take everything away that the role go_service made for a service."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: go_service_remove
short_description: Take away what the role go_service made for a service
description:
  - Removes the containers and images that carry the service's ownership label, and the service's directory on the host. Nothing else.
  - Volumes, networks and base images stay. An image that another container uses stays, and a warning names it.
attributes:
  check_mode: {support: full, description: Says what it would remove.}
  diff_mode: {support: none, description: The result lists what is removed.}
  idempotency: {support: full, description: A second run finds nothing.}
options:
  settings:
    description: The role's settings, as M(go_service_settings) returns them.
    type: dict
    required: true
author: [go_service contributors]
"""

EXAMPLES = r"""
- name: Remove the service
  go_service_remove:
    settings: "{{ __go_service_settings }}"
"""

RETURN = r"""
removed:
  description: What was removed, or would be.
  type: dict
  returned: success
  contains:
    containers: {description: Names., type: list, elements: str}
    images: {description: References, or short ids of builder stages., type: list, elements: str}
    directory: {description: The service's directory on the host, empty where there was none., type: str}
"""

import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.go_service.engine import Engine, EngineError, EngineUnreachable
from ansible.module_utils.go_service.paths import service_directory


def owned_images(engine: Engine, name: str) -> list[tuple[str, str]]:
    """Return (reference to remove, name to show) of the service's images, tags first and builder stages last."""
    tags, untagged = [], []
    for image in engine.images(name=name):
        own = [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
        tags += [(tag, tag) for tag in own]
        if not own:
            untagged.append((image["Id"], image["Id"][7:19]))
    return sorted(tags) + sorted(untagged)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={"settings": {"type": "dict", "required": True}}, supports_check_mode=True)
    settings = module.params["settings"]
    name, directory = settings["name"], service_directory(settings)
    removed: dict = {"containers": [], "images": [], "directory": str(directory) if directory.exists() else ""}
    try:
        engine = Engine()
        for container in engine.containers(name=name):
            removed["containers"].append(container["Names"][0].lstrip("/"))
            if not module.check_mode:
                engine.remove(container["Id"])
        for reference, shown in owned_images(engine, name):
            if module.check_mode or engine.remove_image(reference):
                removed["images"].append(shown)
            else:
                module.warn(f"The image {shown} stays: a container or image that this role did not make uses it.")
    except EngineUnreachable as error:
        module.warn(f"No Engine answers on this host, so only the directory is removed: {error}")
    except EngineError as error:
        module.fail_json(msg=f"The Engine refused: {error}. Run again.", removed=removed)
    if directory.exists() and not module.check_mode:
        shutil.rmtree(directory)
    module.exit_json(changed=any(removed.values()), removed=removed)


if __name__ == "__main__":
    main()
