#!/usr/bin/python
"""Ansible module: look at a service on the target, and stage its source."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: prepare
short_description: Look at a Go service on a host, and stage its source
description:
  - Compares what a service should be (source, base images, container) with what is on the host, and says what a run has to do.
  - With O(mode=stage) it takes the service's lock, finishes or undoes what a killed run left behind, and makes the build context equal to the source.
  - Run by the action plugin of the same name, which describes a source on the controller and sends what differs; not meant to be called alone.
attributes:
  check_mode:
    support: full
    description: O(mode=stage) is not run in check mode; the other modes only read.
  diff_mode:
    support: full
    description: Shows the generated files, the paths of the context that change, and the reasons for a build or deploy.
  idempotent:
    support: full
    description: A second run finds nothing to stage.
options:
  mode:
    description: V(analyze) reads the Go facts of a source on the host, V(compare) compares it with the host, V(stage) changes the staged context.
    type: str
    choices: [analyze, compare, stage]
    required: true
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  secrets:
    description: The values of secret variables, packed by C(common/secrets.py); the settings have their names alone.
    type: str
    default: ""
  source_root:
    description: Directory of the source if it is on the host; empty if it is on the controller.
    type: path
    default: ""
  manifest:
    description: Digest of the manifest of a source on the controller.
    type: str
    default: ""
  dockerfile:
    description: Content of the Dockerfile. Empty if no source is needed, because an image is named.
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
    description: What decides whether a build by the classic builder may go on from the builder stage of the last one. Empty where it never may.
    type: dict
    default: {}
  base_images:
    description: The references of the builder and the runtime base, in this order.
    type: list
    elements: str
    default: []
  archive:
    description: Archive on the host with the entries that the staged context lacks.
    type: str
    default: ""
  unfetched:
    description: Why check mode cannot see the source, so that it is not known what a run would build; empty if it can.
    type: str
    default: ""
  delete:
    description: Paths of the staged context that the source does not have.
    type: list
    elements: str
    default: []
  project:
    description: The Go facts of the source; the labels of the image come from them.
    type: dict
    default: {}
  deploy_follows:
    description: A deploy is to follow, so that the host port has to be free.
    type: bool
    default: false
  builder:
    description: The builder that a comparison has found, as C(plan.builder) of it. It is not looked for again.
    type: dict
    default: {}
  keep_lock:
    description: Keep the lock even if neither a build nor a deploy is left to do.
    type: bool
    default: false
  lock:
    description: Token, owner and controller of this run, and the token of a run that is known to be gone.
    type: dict
    default: {}
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Look at the service and stage its source
  proven.go_service.prepare:
    settings: "{{ __go_service_record.settings }}"
    base_images: "{{ base_images_resolved }}"
"""

RETURN = r"""
plan:
  description: What is on the host and what has to be done.
  type: dict
  returned: success
  contains:
    digest: {description: "The content digest, 64 hex digits; empty if a base image is missing.", type: str}
    image: {description: "Reference of the image to run.", type: str}
    stage: {description: "Reasons to stage the context.", type: list, elements: str}
    build: {description: "Reasons to build the image.", type: list, elements: str}
    builder: {description: "What builds it: C(name), and the C(reason) where that is not the builder asked for; empty if nothing is built.", type: dict}
    standing: {description: "What the next build must have in common with this one to go on from its build stage; empty if it cannot.", type: dict}
    changes: {description: "The build context with only what changed since the last build; empty if the whole one has to be built.", type: str}
    deploy: {description: "Reasons to deploy.", type: list, elements: str}
    hints: {description: "Messages about the Engine before something is deployed on it.", type: list, elements: str}
    elsewhere: {description: "Why the Engine's published ports cannot be reached from where the module runs; empty if they can.", type: str}
    leftovers: {description: "Containers that an ended run left behind.", type: list, elements: str}
    engine:
      description: The Engine's C(version), C(api_version), C(architecture) and C(connection), as M(proven.go_service.engine_info) returns it.
      type: dict
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Failure, Progress, ending
from ..module_utils.common.files import write_text
from ..module_utils.common.references import digest_of
from ..module_utils.common.settings import CLASSIC
from ..module_utils.deploy import ownership
from ..module_utils.deploy.beginning import begun
from ..module_utils.deploy.builds import added_bytes, builds, instruction
from ..module_utils.deploy.images import PREVIOUS, is_our_builder_stage
from ..module_utils.deploy.lock import Locked
from ..module_utils.engine.client import Engine
from ..module_utils.image import changes, continued
from ..module_utils.image.context import read_context
from ..module_utils.image.dockerfile import image_labels, label_instruction
from ..module_utils.image.errors import ContextError
from ..module_utils.image.leftovers import Leftovers
from ..module_utils.image.manifest import (
    DOCKERFILE,
    difference,
    manifest_digest,
)
from ..module_utils.image.transfer import apply_archive, write_archive
from ..module_utils.plan.comparison import LABELS_MARK, OPTIONS, Comparison
from ..module_utils.source.facts import project_facts
from ..module_utils.source.finding import find_source


class Preparation(Comparison):
    """A comparison, and the work that makes the staged context equal to it."""

    def __init__(self, params: dict[str, Any]) -> None:
        """params: of the module; its settings with their secret values."""
        if not params["source_root"] or not params["dockerfile"]:
            super().__init__(params)
            return
        root, settings, project = Path(params["source_root"]), params["settings"], params["project"]
        leftovers = Leftovers(root, settings, project)
        entries, params["dockerignore"] = read_context(root, params["dockerignore"], settings, project, leftovers)
        super().__init__(params, entries, leftovers.told())

    @property
    def changes(self) -> Path:
        """The directory of a build context with only what changed since the last build."""
        return self.directory / "changes"

    def note(self, engine: Engine, plan: dict[str, Any]) -> None:
        """Note in the history that this role builds an image."""
        tag = plan["image"].rpartition(":")[2]
        if self.past.images is not None and tag not in self.past.images:
            self.past.images[tag] = {"id": "", "proven": False}
        self.past.save(engine)

    def note_return(self, engine: Engine, plan: dict[str, Any]) -> None:
        """Record in the history to which image this run rolls back, before the tag that names it moves."""
        tag = plan["image"].rpartition(":")[2]
        if self.past.returning != tag:
            self.past.returning = tag
            self.past.save(engine)

    def stage(self, plan: dict[str, Any]) -> bool:
        """Make the staged context equal to the source and return whether it changed; raise ContextError if it is not equal afterwards.

        plan: of a comparison that was made with the lock held.
        """
        ownership.claim(self.directory, self.name, "context")
        self.context.mkdir(mode=0o700, exist_ok=True)
        if not plan["stage"]:
            return False
        archive, delete = self.params["archive"], self.params["delete"]
        if self.entries and "staged" in plan:
            send, delete = difference(self.entries, plan["staged"])
            with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tar.gz") as packed:
                write_archive(Path(self.params["source_root"]), send, Path(packed.name))
                apply_archive(self.context, Path(packed.name), delete)
        elif archive:
            apply_archive(self.context, Path(archive), delete)
        for name in self._generated_differences():
            write_text(self.context / name, self.generated[name], 0o600)
        if manifest_digest(self.read_staged()) != self.manifest:
            raise ContextError(f"the staged source in {self.context} is not what was sent", "Something else writes there; run again.")
        return True

    def write_dockerfiles(self, engine: Engine, plan: dict[str, Any]) -> None:
        """Write the labels that say where the image comes from to the end of the staged Dockerfile; and, if the build may go on from the last one's stage, a
        context for that."""
        runtime = engine.image(self.params["base_images"][1]) or {}
        base_digest = digest_of(runtime.get("RepoDigests"), runtime.get("Id", ""))
        labels = image_labels(self.params["project"], self.settings, plan["digest"], base_digest)
        instruction = label_instruction(labels)
        labelled = f"{self.generated[DOCKERFILE]}{LABELS_MARK}{instruction}"
        write_text(self.context / DOCKERFILE, labelled, 0o600)
        if plan["builder"]["name"] == CLASSIC:
            builder = plan["base_ids"][self.params["base_images"][0]]
            plan["standing"] = continued.standing_on(self.params["continued"], self.values, builder, self.manifest)
        stage = self._stage_to_go_on_from(engine, plan)
        if stage:
            write_text(self.changes / DOCKERFILE, continued.dockerfile(labelled, stage), 0o600)
            plan["changes"] = str(self.changes)
        else:
            shutil.rmtree(self.changes, ignore_errors=True)

    def _stage_to_go_on_from(self, engine: Engine, plan: dict[str, Any]) -> str:
        """Return the id of the build stage of the last build, with the changes since then written, if the build may go on from it; "" otherwise."""
        wanted, last, sources = plan["standing"], self.past.stage, self.directory / ownership.SOURCES
        if not wanted:
            return ""
        # As it was staged.
        source = self.present
        before = changes.recall(sources, last.get("manifest", ""))
        kept = {last["manifest"]: before} if before else {}
        changes.remember(sources, {**kept, self.manifest: [entry.identity for entry in source]})
        if not before or last.get("standing") != wanted["standing"]:
            return ""
        stage = engine.image(last["id"])
        if not stage or not is_our_builder_stage(engine, stage, self.name):
            return ""
        history = engine.history(stage["Id"])
        number = builds(map(instruction, history))
        if number >= continued.MAX_BUILDS or added_bytes(history) >= continued.MAX_BYTES:
            return ""
        if not continued.is_worth_it(self.params["continued"], last, number, len(source)):
            return ""
        ownership.claim(self.directory, self.name, self.changes.name)
        beside = [asked["src"] for asked in self.params["project"]["files"]]
        return str(stage["Id"]) if changes.write(self.changes, self.context, before, source, beside) else ""


def base_image_missing(plan: dict[str, Any], still_runs: str) -> Failure:
    """Return the error of a run whose image cannot be built, because a base image is missing."""
    return Failure(
        stages.BASE,
        "; ".join(plan["build"]),
        "Get it onto the host (the role base_images pulls, loads or assembles it), or correct go_service_builder_image and "
        "go_service_runtime_image.",
        still_runs,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["analyze", "compare", "stage"], "required": True},
            **OPTIONS,
            "source_root": {"type": "path", "default": ""},
            "archive": {"type": "str", "default": ""},
            "delete": {"type": "list", "elements": "str", "default": []},
            "builder": {"type": "dict", "default": {}},
            "keep_lock": {"type": "bool", "default": False},
            "lock": {"type": "dict", "default": {}, "no_log": False},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    progress = Progress(stages.LOOK, UNTOUCHED)
    with ending(module, progress, {}) as params:
        module.exit_json(**run(module, params, progress))


def run(module: AnsibleModule, params: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Return the module's result; params: its options, the settings with their secret values."""
    settings = params["settings"]
    if params["mode"] == "analyze":
        progress.at(stages.SOURCE)
        root = find_source(params["source_root"], [str(Path.home())])
        return {"changed": False, "source_root": str(root), "project": project_facts(root, settings)}
    preparation = Preparation(params)
    if params["mode"] == "compare" or module.check_mode:
        return preparation.result()
    progress.at(stages.STAGE)
    engine = Engine()
    try:
        with begun(engine, settings, preparation.directory, params["lock"], progress) as state:
            plan = preparation.compare()
            if params["dockerfile"] and not plan["digest"]:
                raise base_image_missing(plan, progress.still_runs)
            staged = bool(plan["build"]) and preparation.stage(plan)
            if plan["build"]:
                plan.update(stage=[], staged=[])
                preparation.note(engine, plan)
                preparation.write_dockerfiles(engine, plan)
            elif plan["deploy"] and settings.image_tag == PREVIOUS:
                preparation.note_return(engine, plan)
            state.held = bool(plan["build"] or plan["deploy"] or params["keep_lock"])
    except Locked as locked:
        return {"changed": False, "locked": locked.as_dict()}
    return {"changed": staged or bool(state.done), "plan": plan, "recovered": state.done, "held": state.held}


if __name__ == "__main__":
    main()
