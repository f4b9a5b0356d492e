#!/usr/bin/python
"""Ansible module: receive an image of a service that another host has built and proven."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: receive
short_description: Receive an image of a Go service that another host has built
description:
  - Says whether an image is on this host, and which of its layers are; takes the image over from an archive or from a registry.
  - Before anything changes, the checksum of the archive and the id of the image are verified. M(proven.go_service.deploy) proves the image afterwards, like
    any other.
  - Run by the action plugin of the same name, which sends the archive; not meant to be called alone.
attributes:
  check_mode:
    support: full
    description: In check mode nothing is taken over.
  diff_mode:
    support: none
    description: An image has no lines.
  idempotent:
    support: full
    description: An image that is there is not taken over again.
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
    description: >-
      V(look) says what is there, V(take) takes the image over and keeps the service's lock if it has to be deployed, V(clean) removes archives of killed runs.
    type: str
    choices: [look, take, clean]
    required: true
  offer:
    description: The image, and what the build host knows of it.
    type: dict
    default: {}
  archive:
    description: Path of the archive on this host; empty if the image comes from the registry, or is already there.
    type: path
    default: ""
  sum:
    description: The expected C(size) in bytes and C(sha256) of the archive.
    type: dict
    default: {}
  digest:
    description: Digest of the image in the registry; empty if it comes as an archive.
    type: str
    default: ""
  paths:
    description: Archives that V(clean) removes.
    type: list
    elements: str
    default: []
  remote_tmp:
    description: Ansible's directory for temporary files on this host, where archives that a killed run left are looked for.
    type: str
    default: ""
  remote_user:
    description: The user in whose home directory that directory is.
    type: str
    default: ""
  base_images:
    description: The references of the builder and the runtime base, in this order.
    type: list
    elements: str
    default: []
  lock:
    description: Token, owner and controller of this run, and the token of a run that is known to be gone.
    type: dict
    default: {}
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Receive the image that the build host has proven
  proven.go_service.receive:
    settings: "{{ __go_service_record.settings }}"
    offer: "{{ __go_service_offered.offer }}"
"""

RETURN = r"""
there:
  description: Whether the image is on this host, under the service's name and known to its history.
  type: bool
  returned: O(mode=look)
loaded:
  description: Whether the Engine has the image, by its id.
  type: bool
  returned: O(mode=look)
present:
  description: How many of its layers, counted from the lowest one, need not be sent.
  type: int
  returned: O(mode=look)
left:
  description: Archives of killed runs.
  type: list
  elements: str
  returned: O(mode=look) and O(mode=take)
plan:
  description: What has to be done with the image on this host, in the form of M(proven.go_service.prepare).
  type: dict
  returned: if the image is there
recovered:
  description: What was done about a killed run, as sentences.
  type: list
  elements: str
  returned: O(mode=take)
held:
  description: Whether the lock stays with this run.
  type: bool
  returned: O(mode=take)
brought:
  description: Whether the Engine did not have the image before.
  type: bool
  returned: O(mode=take)
incomplete:
  description: Whether the Engine refused an archive that did not hold all layers.
  type: bool
  returned: O(mode=take)
failure:
  description: Where it failed (C(stage)), what happened (C(message)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""

import dataclasses
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Problem, Progress, ending
from ..module_utils.common.names import service_directory
from ..module_utils.common.settings import Settings
from ..module_utils.deploy.beginning import begun
from ..module_utils.deploy.images import remember
from ..module_utils.deploy.lock import Locked
from ..module_utils.engine.client import Engine, EngineError
from ..module_utils.engine.records import containerd_store, layers
from ..module_utils.engine.transfer import OtherImage, pull
from ..module_utils.image import sent
from ..module_utils.image.pieces import Sum, present_layers
from ..module_utils.plan.comparison import OPTIONS, Comparison

# What the Engine says about a layer that an archive does not contain.
_MISSING = "no such file or directory"


class Damaged(Problem):
    """What arrived is not what was sent."""

    stage = stages.TRANSFER
    remedy = (
        "Run again; if it happens again, look for errors of the disks and of the network between controller and host. Nothing was loaded."
    )


def known(offer: dict[str, Any], images: dict[str, dict[str, Any]]) -> bool:
    """Say whether a history has a received image, with what the build host knows of it."""
    entry = images.get(offer["tag"], {})
    # One without a provenance was found after a history was lost.
    return entry.get("id") == offer["id"] and bool(entry.get("provenance") or not offer["provenance"])


def note(offer: dict[str, Any], images: dict[str, dict[str, Any]]) -> bool:
    """Record the received image in a history, and return whether that is new."""
    if known(offer, images):
        return False
    entry = images.get(offer["tag"], {})
    kept = entry if entry.get("id") == offer["id"] else {"id": offer["id"], "proven": False}
    # Its bill of materials names licenses that only the build stage shows, which stays on the build host.
    images[offer["tag"]] = {**kept, "provenance": offer["provenance"], "sbom": offer["sbom"]}
    return True


def look(engine: Engine, settings: Settings, offer: dict[str, Any]) -> dict[str, Any]:
    """Return which parts of an image are on this host."""
    name = settings.name
    past = remember(engine, name, service_directory(settings))
    tagged = engine.image(f"{name}:{offer['tag']}") or {}
    loaded = engine.image(offer["id"]) is not None
    present = 0
    if not loaded and not containerd_store(engine.info()):
        records = (engine.image(image["Id"]) or {} for image in engine.images())
        present = present_layers(offer["layers"], map(layers, records))
    return {"there": loaded and known(offer, past.images or {}) and tagged.get("Id") == offer["id"], "loaded": loaded, "present": present}


def compared(engine: Engine, params: dict[str, Any]) -> dict[str, Any]:
    """Return what module prepare would of an image that is on this host."""
    asked = {name: option.get("default") for name, option in OPTIONS.items()}
    settings = dataclasses.replace(params["settings"], image_tag=params["offer"]["tag"])
    asked.update(settings=settings, base_images=params["base_images"], received=True, deploy_follows=True)
    return Comparison(asked).result(engine)


def load(engine: Engine, archive: Path, expected: Sum, offer: dict[str, Any], *, whole: bool) -> bool:
    """Load an archive; return False if the Engine lacks a layer that was left out of it. Then nothing has changed."""
    found = Sum.of(archive)
    if found != expected:
        raise Damaged(
            f"the archive of the image is damaged: {found.size} bytes with the checksum {found.sha256[:12]} arrived, "
            f"but {expected.size} with {expected.sha256[:12]} were sent"
        )
    before = {image["Id"] for image in engine.images()}
    try:
        engine.load_image(archive)
    except EngineError as error:
        if not whole and _MISSING in str(error):
            return False
        raise
    if engine.image(offer["id"]) is None:
        for image in engine.images():
            if image["Id"] not in before:
                engine.remove_image(image["Id"])
        raise OtherImage(f"the archive holds another image than {offer['id'][7:19]}, which the build host has proven")
    return True


def take(engine: Engine, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Take an image over under the service's lock, and return the module's result."""
    settings, offer, name = params["settings"], params["offer"], params["settings"].name
    directory = service_directory(settings)
    try:
        with begun(engine, settings, directory, params["lock"], progress, offer["tag"]) as state:
            progress.at(stages.TRANSFER)
            brought = engine.image(offer["id"]) is None
            if brought:
                if params["archive"]:
                    whole = params["sum"].get("whole", True)
                    expected = Sum(params["sum"]["size"], params["sum"]["sha256"])
                    if not load(engine, Path(params["archive"]), expected, offer, whole=whole):
                        return {"changed": bool(state.done), "incomplete": True, "recovered": state.done}
                else:
                    pull(engine, settings, params["digest"], offer["id"], offer["tag"])
            named = (engine.image(f"{name}:{offer['tag']}") or {}).get("Id") == offer["id"]
            if not named:
                engine.tag(offer["id"], name, offer["tag"])
            past = state.past
            noted = past.images is not None and note(offer, past.images)
            if noted:
                past.save(engine)
            progress.at(stages.LOOK)
            found = compared(engine, params)
            # As long as an error gives the lock back.
            left = sent.found(params["remote_tmp"], params["remote_user"])
            state.held = bool(found["plan"]["deploy"])
    except Locked as locked:
        return {"changed": False, "locked": locked.as_dict()}
    changed = brought or not named or noted or bool(state.done)
    return {**found, "changed": changed, "brought": brought, "incomplete": False, "recovered": state.done, "held": state.held, "left": left}


def run(module: AnsibleModule, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the module's result; params: its options, the settings with their secret values."""
    if params["mode"] == "clean":
        return {"changed": bool(not module.check_mode and sent.remove(params["paths"]))}
    engine = Engine()
    if params["mode"] == "look":
        found = look(engine, params["settings"], params["offer"])
        found.update(compared(engine, params) if found["there"] else {})
        return {**found, "changed": False, "left": sent.found(params["remote_tmp"], params["remote_user"])}
    return {"changed": True} if module.check_mode else take(engine, params, progress)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "secrets": {"type": "str", "default": "", "no_log": True},
            "mode": {"type": "str", "choices": ["look", "take", "clean"], "required": True},
            "offer": {"type": "dict", "default": {}},
            "archive": {"type": "path", "default": ""},
            "sum": {"type": "dict", "default": {}},
            "digest": {"type": "str", "default": ""},
            "paths": {"type": "list", "elements": "str", "default": []},
            "remote_tmp": {"type": "str", "default": ""},
            "remote_user": {"type": "str", "default": ""},
            "base_images": {"type": "list", "elements": "str", "default": []},
            "lock": {"type": "dict", "default": {}, "no_log": False},
        },
        supports_check_mode=True,
    )
    progress = Progress(stages.LOOK, UNTOUCHED)
    with ending(module, progress, {}) as params:
        module.exit_json(**run(module, params, progress))


if __name__ == "__main__":
    main()
