#!/usr/bin/python
"""Ansible module: remove everything that the role go_service made for a service."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: remove
short_description: Remove what the role go_service made for a service
description:
  - Waits for the service's lock, then removes the containers and images that the role provably made, the tags that it gave them, the history
    of its runs, and the files that its record lists in the service's directory on the host. Nothing else (docs/security.md).
  - Volumes, networks and base images stay. So does an image that somebody else uses or has tagged, and an image that was built from one of the
    role's images; a warning names each of them.
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
  lock:
    description: Which run this is, from the action plugin of the same name, which waits for the service's lock; without it, a held lock fails the module.
    type: dict
    default: {}
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
    caches: {description: "Whether BuildKit had caches for its builds. Caches that services share are removed with the last service of the host.", type: bool}
    secrets: {description: "Whether the Engine had volumes with its secret files.", type: bool}
    history: {description: "Whether the Engine had the history of its runs.", type: bool}
    directory: {description: "The service's directory on the host, empty if there was none.", type: str}
failure:
  description: What is in the way that the role did not make, and what to do.
  type: dict
  returned: failure
locked:
  description: Who holds the service's lock; nothing was done.
  type: dict
  returned: when another run has the lock
"""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Progress, ending
from ..module_utils.common.names import KIND_SERVICE, LABEL_KIND, LABEL_NAME, caches_directory, service_directory
from ..module_utils.deploy import history, images, ownership, secret_files
from ..module_utils.deploy.broken_builds import ended_steps
from ..module_utils.deploy.judgement import is_ours
from ..module_utils.deploy.lock import Lock, Locked, working
from ..module_utils.engine.client import Engine, EngineError, EngineUnreachable
from ..module_utils.engine.records import mounted_at


def owned_paths(directory: Path, record: ownership.Record) -> list[Path]:
    """Return the role's own files in a service's directory, its record last, so that a killed removal can be continued."""
    names = [*record.trees, *(name for name in ownership.FILES if name != ownership.RECORD), ownership.RECORD]
    return [directory / name for name in names if (directory / name).exists()]


def remove_paths(paths: list[Path]) -> None:
    """Remove files and directories, and the directory above them if nothing else is in it."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    with contextlib.suppress(OSError):
        paths[0].parent.rmdir()


class Removal:
    """What is to be removed of a service. removed: what was removed, or would be; stays: what the role leaves, as sentences."""

    def __init__(self, name: str, directory: Path) -> None:
        """Raise Failure if the role did not make the directory."""
        self._name = name
        self._directory = directory
        # If nothing in it has a name that the role uses, it does not matter whose directory it is.
        record = ownership.examine(directory, name) if ownership.has_our_names(directory) else ownership.Record(name, [])
        self._paths = owned_paths(directory, record)
        self.removed: dict = {
            "containers": [],
            "images": [],
            "caches": False,
            "history": False,
            "secrets": False,
            "directory": str(directory) if self._paths else "",
        }
        self.stays: list[str] = []

    def from_engine(self, engine: Engine, check_mode: bool) -> None:
        """Remove containers and images; what the role did not make, or cannot show to have made, stays."""
        of_builds = set(ended_steps(engine, self._name, self._directory))
        past = images.remember(engine, self._name, self._directory)
        for listed in engine.containers(name=self._name):
            container = engine.container(listed["Id"])
            if container and (container["Id"] in of_builds or is_ours(engine, container, self._name)):
                if not check_mode:
                    engine.remove(container["Id"])
                self.removed["containers"].append(container["Name"].lstrip("/"))
            elif container and container["Config"]["Labels"].get(LABEL_KIND) == KIND_SERVICE:
                self.stays.append(f"The container {container['Name'].lstrip('/')} stays: it has labels of {self._name}, but not its name.")
        by_buildkit = False
        for image in self._images(engine):
            by_buildkit = by_buildkit or "buildkit" in str((engine.image(image["Id"]) or {}).get("Comment"))
            given = images.tags(image)
            shown = given[0] if given else image["Id"][7:19]
            if images.is_ours(engine, image, self._name, past):
                own = images.own_references(self._name, image) if given else [image["Id"]]
            elif not given and (images.is_our_builder_stage(engine, image, self._name) or images.is_unfinished(engine, image, self._name)):
                own = [image["Id"]]
            else:
                self.stays.append(f"The image {shown} stays: it has labels of {self._name}, but this role did not make it.")
                continue
            self._remove_image(engine, image, own, check_mode)
            others = sorted(set(given) - set(own))
            if others:
                self.stays.append(f"The image {others[0]} stays: this role did not give it that name.")

        if by_buildkit:
            self._remove_caches(engine, check_mode)
        for volume in secret_files.volumes(engine, self._name):
            self.removed["secrets"] = True
            try:
                if not check_mode:
                    engine.remove_volume(volume)
            except EngineError as error:
                self.stays.append(f"The volume {volume} stays: {error.message}.")
        # Last, since after an interruption the role recognises by it what is still to be removed.
        for volume in history.volumes(engine, self._name):
            self.removed["history"] = True
            if not check_mode:
                engine.remove_volume(volume)

    def _images(self, engine: Engine) -> Iterator[dict]:
        """Yield the images with the service's label, each once, also those that show only when others are gone: containerd's store keeps what they stand on."""
        seen: set[str] = set()
        while fresh := [image for image in engine.images(name=self._name) if image["Id"] not in seen]:
            seen.update(image["Id"] for image in fresh)
            yield from fresh

    def _remove_image(self, engine: Engine, image: dict, references: list[str], check_mode: bool) -> None:
        for reference in references:
            shown = reference if reference != image["Id"] else image["Id"][7:19]
            if check_mode or engine.remove_image(reference):
                self.removed["images"].append(shown)
            else:
                self.stays.append(f"The image {shown} stays: a container or image that this role did not make uses it.")

    def _remove_caches(self, engine: Engine, check_mode: bool) -> None:
        """Remove BuildKit's caches for the service, and the shared ones if this was the last service."""
        others = [image for image in engine.images(kind="image") if (image.get("Labels") or {}).get(LABEL_NAME) != self._name]
        ours = [caches_directory(self._name), *([] if others else [caches_directory()])]
        for cache in engine.build_caches():
            if mounted_at(cache, *ours):
                self.removed["caches"] = True
                if not check_mode:
                    engine.remove_build_cache(cache["ID"])

    def from_disk(self) -> None:
        """Remove what the role keeps in the service's directory."""
        if self._paths:
            remove_paths(self._paths)
            if self._directory.exists():
                self.stays.append(f"The directory {self._directory} stays: files that this role did not make are in it.")


def run(params: dict, check_mode: bool, progress: Progress, known: dict) -> Removal:
    """Remove the service while this run has its lock; put what was removed under `removed`. Raise Locked if another run has it."""
    name, directory = params["settings"].name, service_directory(params["settings"])
    removal = Removal(name, directory)
    try:
        engine = Engine()
    except EngineUnreachable as error:
        # Containers and images may be there, and the files in the directory show whose they are.
        if error.status != "absent" or removal.removed["directory"]:
            raise
        known["removed"] = removal.removed
        return removal
    if check_mode:
        known["removed"] = removal.removed
        removal.from_engine(engine, check_mode)
        return removal
    lock = Lock(engine, name, directory)
    identity = params["lock"] or {"token": secrets.token_hex(8), "owner": f"process {os.getpid()}", "controller": ""}
    progress.at(stages.LOCK)
    with working(name):
        lock.take(**identity)
        try:
            # Once more, now that no other run can change it.
            removal = Removal(name, directory)
            known["removed"] = removal.removed
            progress.at(stages.REMOVE, f"What was not removed yet: docker ps -a --filter label={LABEL_NAME}={name} shows it.")
            removal.from_engine(engine, check_mode)
            removal.from_disk()
        finally:
            with contextlib.suppress(EngineError):
                lock.release(identity["token"])
    return removal


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"settings": {"type": "dict", "required": True}, "lock": {"type": "dict", "default": {}, "no_log": False}},
        supports_check_mode=True,
    )
    known: dict = {"removed": {}}
    progress = Progress(stages.REMOVE, UNTOUCHED)
    with ending(module, progress, known) as params:
        try:
            done = run(params, module.check_mode, progress, known)
        except Locked as held:
            if not module.params["lock"]:
                raise
            module.exit_json(changed=False, locked=held.as_dict(), **known)
    for sentence in done.stays:
        module.warn(sentence)
    module.exit_json(changed=any(done.removed.values()), **known)


if __name__ == "__main__":
    main()
