#!/usr/bin/python
"""Ansible module: take everything away that the role go_service made for a service."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: remove
short_description: Take away what the role go_service made for a service
description:
  - Removes the containers and images that carry the service's ownership label, and what the role keeps in the service's directory on the host.
    Nothing else.
  - Volumes, networks and base images stay. An image that another container uses stays, and a warning names it.
attributes:
  check_mode:
    support: full
    description: Says what it would remove.
  diff_mode:
    support: none
    description: The result lists what is removed.
  idempotent:
    support: full
    description: A second run finds nothing.
options:
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Remove the service
  proven.go_service.remove:
    settings: "{{ __go_service_record.settings }}"
"""

RETURN = r"""
removed:
  description: What was removed, or would be.
  type: dict
  returned: success
  contains:
    containers: {description: "Names.", type: list, elements: str}
    images: {description: "References, or short ids of builder stages.", type: list, elements: str}
    directory: {description: "The service's directory on the host, empty where there was none.", type: str}
"""

import contextlib
import shutil
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Progress, ending
from ..module_utils.common.names import KIND_BUILDER, LABEL_KIND, LABEL_NAME, service_directory
from ..module_utils.deploy.judgement import is_ours
from ..module_utils.engine.client import Engine, EngineUnreachable

# What the role keeps in a service's directory. Another file there is not the role's, nor is the directory then.
KEPT = ("context", "source", "report.json", "lock", "lock.new", "working")


def owned_paths(directory: Path) -> list[Path]:
    """Return what is there of the role's own in a service's directory."""
    return [directory / name for name in KEPT if (directory / name).exists()]


def remove_paths(paths: list[Path]) -> None:
    """Remove files and directories, and the directory that they are in where nothing else is in it."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    with contextlib.suppress(OSError):
        paths[0].parent.rmdir()


def is_ended_build_step(container: dict, name: str) -> bool:
    """Say whether a container of the Engine's list is a step of the service's build that was broken off, as by an end of the Engine."""
    labels = container.get("Labels") or {}
    ours = labels.get(LABEL_NAME) == name and labels.get(LABEL_KIND) == KIND_BUILDER
    return ours and container["State"] in ("created", "exited", "dead")


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
    paths = owned_paths(directory)
    removed: dict = {"containers": [], "images": [], "directory": str(directory) if paths else ""}
    progress = Progress(stages.REMOVE, UNTOUCHED)
    with ending(module, name, progress, {"removed": removed}):
        try:
            engine = Engine()
            progress.at(stages.REMOVE, f"What was not removed yet: docker ps -a --filter label={LABEL_NAME}={name} shows it.")
            for container in engine.containers(name=name):
                if not is_ours(container, name) and not is_ended_build_step(container, name):
                    continue
                if not module.check_mode:
                    engine.remove(container["Id"])
                removed["containers"].append(container["Names"][0].lstrip("/"))
            for reference, shown in owned_images(engine, name):
                if module.check_mode or engine.remove_image(reference):
                    removed["images"].append(shown)
                else:
                    module.warn(f"The image {shown} stays: a container or image that this role did not make uses it.")
        except EngineUnreachable as error:
            module.warn(f"No Engine answers on this host, so only the directory is removed: {error}")
        if paths and not module.check_mode:
            remove_paths(paths)
            if directory.exists():
                module.warn(f"The directory {directory} stays: files that this role did not make are in it.")
    module.exit_json(changed=any(removed.values()), removed=removed)


if __name__ == "__main__":
    main()
