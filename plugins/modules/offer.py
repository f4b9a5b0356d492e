#!/usr/bin/python
"""Ansible module: give a proven image of a service to other hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: offer
short_description: Give a proven image of a Go service to other hosts
description:
  - Says which image of a service is in service on this host and has passed the contract here, or was built here for another platform; writes it as an
    archive, or pushes it to a registry.
  - Run by the action plugin of the same name, delegated to the build host of a fleet; not meant to be called alone.
attributes:
  check_mode:
    support: full
    description: In check mode nothing is written and nothing is pushed.
  diff_mode:
    support: none
    description: Nothing of the host changes.
  idempotent:
    support: full
    description: Nothing of the host changes; what a registry has already is not pushed again.
options:
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  secrets:
    description: The values of secret variables, packed by C(common/secrets.py).
    type: str
    default: ""
  mode:
    description: V(look) says what there is, V(pack) writes an archive, V(push) pushes to O(settings)' registry.
    type: str
    choices: [look, pack, push]
    required: true
  platform:
    description: The platform for which an image is wanted, such as V(linux/arm64), if it is not this host's own.
    type: str
    default: ""
  image:
    description: Id of the image, of V(pack) and V(push); empty to look for it first.
    type: str
    default: ""
  unless:
    description: Ids of images for which V(pack) and V(push) do no more than V(look).
    type: list
    elements: str
    default: []
  tag:
    description: The tag that V(push) gives it in the registry.
    type: str
    default: ""
  archive:
    description: Path of the archive that V(pack) writes.
    type: path
    default: ""
  remote_tmp:
    description: Ansible's directory for temporary files on this host, where archives that a killed run left are looked for.
    type: str
    default: ""
  remote_user:
    description: The user in whose home directory that directory is.
    type: str
    default: ""
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Ask the build host which image it has proven
  proven.go_service.offer:
    settings: "{{ __go_service_record.settings }}"
    fetch: false
  delegate_to: builder
"""

RETURN = r"""
offer:
  description: The image, and what is known about it, as C(deploy/offer.py) describes it.
  type: dict
  returned: if O(image) is empty
left:
  description: Archives of killed runs.
  type: list
  elements: str
  returned: if O(image) is empty
contents:
  description: The positions of the parts in the archive, as C(image/pieces.py) describes them.
  type: dict
  returned: O(mode=pack), if it was written
digest:
  description: The digest of the image in the registry.
  type: str
  returned: O(mode=push), if it was pushed
failure:
  description: Where it failed (C(stage)), what happened (C(message)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""

import os
import tarfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Problem, Progress, ending
from ..module_utils.common.names import service_directory
from ..module_utils.deploy.offer import proven_image
from ..module_utils.engine.client import Engine
from ..module_utils.engine.transfer import push
from ..module_utils.image import sent
from ..module_utils.image.pieces import NoImage, split


def pack(engine: Engine, image: str, archive: Path) -> dict[str, Any]:
    """Write an image as an archive in pieces, readable only for the user who made its directory, and return the positions of the pieces."""
    try:
        with os.fdopen(os.open(archive, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:

            def write(stream: Any) -> Any:
                # The Engine may have to be asked again.
                target.seek(0)
                target.truncate()
                return split(stream, target)

            contents = engine.read_image(image, write)
    except (NoImage, tarfile.TarError) as error:
        raise Problem(f"the Engine's archive of the image cannot be read: {error}", "Run again.") from error
    if os.geteuid() == 0:
        # The user as whom Ansible connects fetches it.
        owner = archive.parent.stat()
        os.chown(archive, owner.st_uid, owner.st_gid)
    return dict(contents.as_json())


def run(module: AnsibleModule, params: dict[str, Any]) -> dict[str, Any]:
    """Return the module's result; params: its options, the settings with their secret values."""
    settings, engine = params["settings"], Engine()
    image = {"id": params["image"], "tag": params["tag"]}
    found: dict[str, Any] = {"changed": False}
    if not image["id"]:
        image = proven_image(engine, settings.name, service_directory(settings), platform=params["platform"])
        found.update(offer=image, left=sent.found(params["remote_tmp"], params["remote_user"]))
    if params["mode"] == "look" or module.check_mode or image["id"] in params["unless"]:
        return found
    if params["mode"] == "pack":
        return {**found, "contents": pack(engine, image["id"], Path(params["archive"]))}
    return {**found, "digest": push(engine, settings, image["id"], image["tag"])}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "secrets": {"type": "str", "default": "", "no_log": True},
            "mode": {"type": "str", "choices": ["look", "pack", "push"], "required": True},
            "platform": {"type": "str", "default": ""},
            "image": {"type": "str", "default": ""},
            "unless": {"type": "list", "elements": "str", "default": []},
            "tag": {"type": "str", "default": ""},
            "archive": {"type": "path", "default": ""},
            "remote_tmp": {"type": "str", "default": ""},
            "remote_user": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    with ending(module, Progress(stages.TRANSFER, UNTOUCHED), {}) as params:
        module.exit_json(**run(module, params))


if __name__ == "__main__":
    main()
