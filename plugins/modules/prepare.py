#!/usr/bin/python
"""Ansible module: look at a service on the target, and stage its source."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: prepare
short_description: Look at a Go service on a host, and stage its source
description:
  - Compares what a service should be (source, base images, container) with what is on the host, and says what a run has to do.
  - With O(mode=stage) it takes the service's lock, finishes or undoes what a killed run left behind, and brings the build context in line.
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
    description: Directory of the source where it is on the host; empty where it is on the controller.
    type: path
    default: ""
  manifest:
    description: Digest of the manifest of a source on the controller.
    type: str
    default: ""
  dockerfile:
    description: Content of the Dockerfile. Empty where no source is needed, because an image is named.
    type: str
    default: ""
  dockerignore:
    description: Content of the .dockerignore file.
    type: str
    default: ""
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
    description: Why a check cannot see the source, so that it is not known what a run would build; empty if it can.
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
  received:
    description: The image came from another host. It takes the place of the one before it as one that was built here does, and is not returned to.
    type: bool
    default: false
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
    digest: {description: "The content digest, 64 hex digits; empty where a base image is missing.", type: str}
    image: {description: "Reference of the image to run.", type: str}
    stage: {description: "Reasons to stage the context.", type: list, elements: str}
    build: {description: "Reasons to build the image.", type: list, elements: str}
    builder: {description: "What builds it: C(name), and the C(reason) where that is not the builder asked for; empty where nothing is built.", type: dict}
    deploy: {description: "Reasons to deploy.", type: list, elements: str}
    hints: {description: "What is told of the Engine before something is deployed on it.", type: list, elements: str}
    elsewhere: {description: "Why what the Engine publishes cannot be seen from where the module runs; empty where it can.", type: str}
    leftovers: {description: "Containers that an ended run left behind.", type: list, elements: str}
    engine:
      description: The Engine's C(version), C(api_version), C(architecture) and C(connection), as M(proven.go_service.engine_info) returns it.
      type: dict
"""

import contextlib
import os
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Failure, Progress, ending
from ..module_utils.common.files import write_text
from ..module_utils.common.interruption import whole
from ..module_utils.common.names import LABEL_DIGEST, TAG_LENGTH, containers_command, service_directory
from ..module_utils.common.references import digest_of
from ..module_utils.common.secrets import fingerprint
from ..module_utils.common.settings import Settings
from ..module_utils.deploy import history, ownership
from ..module_utils.deploy.container import create_body
from ..module_utils.deploy.earlier import as_proven
from ..module_utils.deploy.images import PREVIOUS, adopt, refuse_foreign_images, returnable
from ..module_utils.deploy.judgement import refuse_foreign, restarted, shortcomings, unproven
from ..module_utils.deploy.limits import not_held
from ..module_utils.deploy.lock import Lock, Locked, working
from ..module_utils.deploy.place import elsewhere
from ..module_utils.deploy.port import check_port, refuse_beside
from ..module_utils.deploy.proxies import unasked_proxies
from ..module_utils.deploy.recovery import leftovers, recover
from ..module_utils.engine.builder import choose
from ..module_utils.engine.client import Engine, EngineError, EngineUnreachable
from ..module_utils.engine.records import health
from ..module_utils.image.context import read_context
from ..module_utils.image.dockerfile import image_labels, label_instruction, with_values, without_values
from ..module_utils.image.errors import ContextError
from ..module_utils.image.leftovers import Leftovers
from ..module_utils.image.manifest import (
    DOCKERFILE,
    DOCKERIGNORE,
    FILE,
    GENERATED,
    Entry,
    content_digest,
    difference,
    manifest_digest,
    read_manifest,
)
from ..module_utils.image.transfer import apply_archive, write_archive
from ..module_utils.source.facts import project_facts
from ..module_utils.source.finding import find_source

NOT_BUILT = "the image is not built yet"
# What follows this line in the staged Dockerfile is written for each build, and is no part of the digest.
LABELS_MARK = "# Where this image comes from.\n"


def commands(settings: Settings) -> dict[str, str]:
    """Return the commands by which a person asks the service: one that tells and fails where it is not well, and one to try it."""
    return {"ask": settings.try_command("-fsS"), "try_it": settings.try_command()}


def go_version(image: dict) -> str:
    """Return the Go version that a builder image names in its environment, "" where it names none."""
    for variable in (image.get("Config") or {}).get("Env") or []:
        if variable.startswith("GOLANG_VERSION="):
            return variable.partition("=")[2]
    return ""


def read_text(path: Path) -> str:
    """Return the content of a file, "" where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Preparation:
    """One comparison of what should be with what is on the host."""

    def __init__(self, params: dict) -> None:
        """params: of the module; its settings with their secret values."""
        self.params = params
        self.settings: Settings = params["settings"]
        self.name = self.settings.name
        self.directory = service_directory(self.settings)
        self.context = self.directory / "context"
        self.past = history.History(self.name)
        ownership.examine(self.directory, self.name)
        self.entries: list[Entry] = []
        self.left_out: list[str] = []
        self.manifest = params["manifest"]
        if params["source_root"] and params["dockerfile"]:
            root = Path(params["source_root"])
            leftovers = Leftovers(root, self.settings, params["project"])
            self.entries, params["dockerignore"] = read_context(root, params["dockerignore"], self.settings, params["project"], leftovers)
            self.left_out = leftovers.told()
            self.manifest = manifest_digest(self.entries)
        # The generated files as the builder gets them.
        self.generated = {DOCKERFILE: with_values(params["dockerfile"], self.settings), DOCKERIGNORE: params["dockerignore"]}

    def staged(self) -> list[Entry]:
        """Return the manifest of the staged context, without the generated files."""
        return read_manifest(self.context, skip=GENERATED) if self.context.is_dir() else []

    def _generated_differences(self) -> list[str]:
        return [name for name, text in self.generated.items() if read_text(self.context / name).partition(LABELS_MARK)[0] != text]

    def compare(self) -> dict:
        """Return the plan, and what a diff shows."""
        plan: dict = {
            "directory": str(self.directory),
            "context": str(self.context),
            "digest": "",
            "image": "",
            "image_id": "",
            "base_ids": {},
            "builder_go": "",
            "stage": [],
            "build": [],
            "builder": {},
            "deploy": [],
            "leftovers": [],
            "hints": [],
            "elsewhere": "",
            "container": {},
            **commands(self.settings),
            "engine": {},
            "files": len([entry for entry in self.entries if entry.kind == FILE]),
            "bytes": sum(entry.size for entry in self.entries),
            "left_out": self.left_out,
            "last_report": {},
            "unfetched": self.params["unfetched"],
        }
        try:
            engine = Engine()
        except EngineUnreachable as error:
            # An image that is returned to is not looked for where nobody can be asked.
            if self.settings.image_tag:
                raise
            plan["engine"] = {"unreachable": str(error)}
            reason = (
                "there is no Engine on the host yet" if error.status == "absent" else f"the Engine of the host cannot be asked yet: {error}"
            )
            plan["build"] = [reason]
            plan["deploy"] = [reason]
            self._compare_context(plan)
            return plan
        self._remember(engine)
        version = engine.version()
        plan["engine"] = {
            "version": version["Version"],
            "api_version": version["ApiVersion"],
            "architecture": version["Arch"],
            "connection": engine.address.options,
        }
        self._compare_image(engine, plan)
        if plan["build"] and plan["digest"]:
            plan["builder"] = choose(engine, self.settings.builder)
        if plan["build"]:
            self._compare_context(plan)
        self._compare_container(engine, plan)
        if self.params["unfetched"]:
            unknown = "whether another image has to run is not known before the source is fetched"
            plan["deploy"] = [unknown if reason == NOT_BUILT else reason for reason in plan["deploy"]]
        plan["elsewhere"] = elsewhere(engine)
        if plan["deploy"]:
            plan["hints"] = self._hints(engine, plan)
        if plan["deploy"] and self.params["deploy_follows"]:
            running = engine.container(self.name)
            refuse_beside(engine, self.settings, running)
            check_port(engine, self.settings, running)
        if self.past.report.get("digest") == plan["digest"]:
            plan["last_report"] = self.past.report
        if not plan["deploy"] and plan["last_report"].get("demands") != self.params["settings"].demands:
            asked = "go_service_budget, go_service_budget_warn_only or go_service_waivers changed"
            plan["deploy"].append(asked if plan["last_report"] else "the image was not held to the contract on this host yet")
        return plan

    def _hints(self, engine: Engine, plan: dict) -> list[str]:
        """Return what a person is told of the Engine before something is deployed on it."""
        hints = [not_held(self.settings, engine.limits_not_held), unasked_proxies(self.settings)]
        if plan["elsewhere"] and self.settings.publish:
            hints.append(
                f"The service is proven inside of its container; {self.settings.publish} is not asked from here, since the Engine publishes it elsewhere: "
                f"{plan['elsewhere']}."
            )
        return [hint for hint in hints if hint]

    def _remember(self, engine: Engine) -> None:
        """Read what earlier runs did."""
        self.past = history.read(engine, self.name, self.directory)
        adopt(engine, self.name, self.past)

    def _compare_context(self, plan: dict) -> None:
        """Compare what is staged with what a build needs. Where nothing is built nothing has to be staged, whoever built the image."""
        if self.params["unfetched"]:
            plan["stage"].append(self.params["unfetched"])
        if not self.params["dockerfile"]:
            return
        staged = self.staged()
        if manifest_digest(staged) != self.manifest or not self.context.is_dir():
            plan["stage"].append("the staged source differs")
            plan["staged"] = [entry.identity for entry in staged]
        plan["stage"] += [f"{name} differs" for name in self._generated_differences()]

    def _compare_image(self, engine: Engine, plan: dict) -> None:
        if self.params["unfetched"]:
            plan["build"].append("whether it has to be built is not known before the source is fetched")
            return
        if not self.params["dockerfile"]:
            reference = self._tag_to_return_to(engine)
        else:
            for base in self.params["base_images"]:
                image = engine.image(base)
                if image is None:
                    plan["build"].append(f"the base image {base} is not on the host")
                else:
                    plan["base_ids"][base] = image["Id"]
                    plan["builder_go"] = plan["builder_go"] or go_version(image)
            if plan["build"]:
                plan["deploy"].append(NOT_BUILT)
                return
            plan["digest"] = content_digest(
                self.manifest,
                self.params["dockerfile"],
                self.params["dockerignore"],
                fingerprint({kind: values for kind in ("build_env", "build_args") if (values := getattr(self.settings, kind))}, self.name),
                plan["base_ids"],
            )
            reference = plan["digest"][:TAG_LENGTH]
        plan["image"] = f"{self.name}:{reference}"
        refuse_foreign_images(engine, self.name, self.past, reference)
        image = engine.image(plan["image"])
        if image:
            plan["image_id"] = image["Id"]
            if not plan["digest"]:
                # A moving tag, like "previous": the container is made from the tag that stays.
                plan["digest"] = (image["Config"].get("Labels") or {}).get(LABEL_DIGEST) or ""
                fixed = f"{self.name}:{plan['digest'][:TAG_LENGTH]}"
                if plan["digest"] and fixed in (image.get("RepoTags") or []):
                    plan["image"] = fixed
                noted = (self.past.images or {}).get(plan["image"].rpartition(":")[2], {})
                self.settings = self.settings if self.params["received"] else as_proven(self.settings, image, noted)
                plan.update(commands(self.settings))
        elif self.params["dockerfile"]:
            plan["build"].append(f"there is no image {plan['image']} yet")
        else:
            running = (engine.container(self.name) or {}).get("Image")
            known = [
                tag for tag in returnable(engine, self.name, self.past) if (engine.image(f"{self.name}:{tag}") or {}).get("Id") != running
            ]
            raise Failure(
                stages.IMAGE,
                f"no image of {self.name} was in service before the one that runs"
                if reference == PREVIOUS
                else f"there is no image {plan['image']} on this host",
                f"Set go_service_image_tag to a tag that is there: {', '.join(known)}."
                if known
                else "No image of this service is there to go back to; build one (playbooks/build.yml).",
                UNTOUCHED,
            )

    def _tag_to_return_to(self, engine: Engine) -> str:
        """Return the tag of the image to go back to: with `previous`, that of a run that was on its way and did not arrive."""
        wanted, returning = self.settings.image_tag, self.past.returning
        return returning if wanted == PREVIOUS and returning and engine.image(f"{self.name}:{returning}") else wanted

    def _compare_container(self, engine: Engine, plan: dict) -> None:
        settings = self.settings
        found = refuse_foreign(engine, self.name)
        plan["leftovers"] = leftovers(engine, self.name)
        asked = {"go_service_network": (settings.network,), "go_service_networks": settings.networks}
        for variable, network in [(variable, network) for variable, networks in asked.items() for network in networks]:
            if network not in ("bridge", "host", "none") and not engine.network_exists(network):
                raise Failure(
                    stages.NETWORK,
                    f"there is no network {network} on this host ({variable})",
                    f"Create it (docker network create {network}), or choose another.",
                    UNTOUCHED,
                )
        sources = [volume.split(":")[0] for volume in settings.volumes if volume[0] == "/"]
        missing = [source for source in sources if not engine.has_path(source)]
        if missing:
            raise Failure(
                stages.VOLUMES,
                f"{', '.join(missing)} does not exist on the machine of the Engine (go_service_volumes)",
                "Create it, readable for the service's user, or correct the path.",
                UNTOUCHED,
            )
        if not plan["image_id"]:
            plan["deploy"].append(NOT_BUILT)
        if not found:
            plan["deploy"].append("there is no container yet")
            return
        plan["container"] = {
            "id": found["Id"],
            "image": found["Config"]["Image"],
            "image_id": found["Image"],
            "status": found["State"]["Status"],
            "health": health(found).get("Status", ""),
            "started_at": found["State"]["StartedAt"],
        }
        if not plan["image_id"]:
            return
        record = engine.image(plan["image_id"])
        body = create_body(settings, plan["image"], engine.api_version, record, engine.limits_not_held)
        reasons = shortcomings(engine, found, body, plan["image_id"])
        told = restarted(found, self.past.container) if reasons else unproven(engine, found, self.past.container)
        plan["deploy"] += [*reasons, *filter(None, [told])]
        latest = engine.image(f"{self.name}:latest")
        if not latest or latest["Id"] != plan["image_id"]:
            plan["deploy"].append(f"{self.name}:latest is not {plan['image']}")

    def diff(self, plan: dict) -> list[dict]:
        """Return what a run with --diff shows for this plan."""
        shown = []
        # Secret values are no part of what is shown, so that a change of one alone is told by the reasons below.
        wanted = {DOCKERFILE: self.params["dockerfile"], DOCKERIGNORE: self.params["dockerignore"]}
        for name, text in wanted.items():
            before = without_values(read_text(self.context / name).partition(LABELS_MARK)[0])
            if text and before != text:
                shown.append({"before_header": f"{self.context}/{name}", "after_header": name, "before": before, "after": text})
        reasons = [f"{kind}: {reason}\n" for kind in ("stage", "build", "deploy") for reason in plan[kind]]
        if plan["builder"]:
            reasons.append(f"builder: {': '.join(filter(None, plan['builder'].values()))}\n")
        reasons += [f"clean up: {name}\n" for name in plan["leftovers"]]
        if reasons:
            shown.append({"before_header": "service", "after_header": "what a run does", "before": "", "after": "".join(reasons)})
        return shown

    def claim(self, engine: Engine) -> None:
        """Make the service's directory the role's, and know which images are; raise Failure where something foreign is in the way."""
        self._remember(engine)
        ownership.claim(self.directory, self.name)
        # Of a run that was killed while it built.
        with contextlib.suppress(FileNotFoundError):
            (self.directory / ownership.ACCESS).unlink()
        refuse_foreign_images(engine, self.name, self.past)

    def note(self, engine: Engine, plan: dict) -> None:
        """Note in the history that this role builds an image."""
        tag = plan["image"].rpartition(":")[2]
        if self.past.images is not None and tag not in self.past.images:
            self.past.images[tag] = {"id": "", "proven": False}
        self.past.save(engine)

    def note_return(self, engine: Engine, plan: dict) -> None:
        """Note in the history which image this run goes back to, before the tag that names it moves."""
        tag = plan["image"].rpartition(":")[2]
        if self.past.returning != tag:
            self.past.returning = tag
            self.past.save(engine)

    def stage(self) -> bool:
        """Bring the staged context in line with the source and return whether it changed; raise ContextError where it is not afterwards."""
        ownership.claim(self.directory, self.name, "context")
        self.context.mkdir(mode=0o700, exist_ok=True)
        before = manifest_digest(self.staged()), self._generated_differences()
        archive, delete = self.params["archive"], self.params["delete"]
        if self.entries:
            present = [entry.identity for entry in self.staged()]
            send, delete = difference(self.entries, present)
            with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".tar.gz") as packed:
                write_archive(Path(self.params["source_root"]), send, Path(packed.name))
                apply_archive(self.context, Path(packed.name), delete)
        elif archive:
            apply_archive(self.context, Path(archive), delete)
        for name in self._generated_differences():
            write_text(self.context / name, self.generated[name], 0o600)
        if manifest_digest(self.staged()) != self.manifest:
            raise ContextError(f"the staged source in {self.context} is not what was sent", "Something else writes there; run again.")
        return before != (self.manifest, [])

    def write_labels(self, engine: Engine, plan: dict) -> None:
        """Write the labels that say where the image comes from to the end of the staged Dockerfile."""
        runtime = engine.image(self.params["base_images"][1]) or {}
        base_digest = digest_of(runtime.get("RepoDigests"), runtime.get("Id", ""))
        labels = image_labels(self.params["project"], self.settings, plan["digest"], base_digest)
        instruction = label_instruction(labels)
        write_text(self.context / DOCKERFILE, f"{self.generated[DOCKERFILE]}{LABELS_MARK}{instruction}", 0o600)


def base_image_missing(plan: dict, still_runs: str) -> Failure:
    """Return the error of a run whose image cannot be built, because what it is built on is not there."""
    return Failure(
        stages.BASE,
        "; ".join(plan["build"]),
        "Bring it there (role base_images does, by pulling, loading or assembling it), or correct go_service_builder_image and "
        "go_service_runtime_image.",
        still_runs,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["analyze", "compare", "stage"], "required": True},
            "settings": {"type": "dict", "required": True},
            "secrets": {"type": "str", "default": "", "no_log": True},
            "source_root": {"type": "path", "default": ""},
            "manifest": {"type": "str", "default": ""},
            "dockerfile": {"type": "str", "default": ""},
            "dockerignore": {"type": "str", "default": ""},
            "base_images": {"type": "list", "elements": "str", "default": []},
            "archive": {"type": "str", "default": ""},
            "unfetched": {"type": "str", "default": ""},
            "delete": {"type": "list", "elements": "str", "default": []},
            "project": {"type": "dict", "default": {}},
            "deploy_follows": {"type": "bool", "default": False},
            "received": {"type": "bool", "default": False},
            "keep_lock": {"type": "bool", "default": False},
            "lock": {"type": "dict", "default": {}, "no_log": False},
        },
        supports_check_mode=True,
    )
    os.umask(0o077)
    progress = Progress(stages.LOOK, UNTOUCHED)
    with ending(module, progress, {}) as params:
        module.exit_json(**run(module, params, progress))


def run(module: AnsibleModule, params: dict, progress: Progress) -> dict:
    """Return the module's result; params: its options, the settings with their secret values."""
    settings = params["settings"]
    if params["mode"] == "analyze":
        progress.at(stages.SOURCE)
        root = find_source(params["source_root"], [str(Path.home())])
        return {"changed": False, "source_root": str(root), "project": project_facts(root, settings)}
    preparation = Preparation(params)
    if params["mode"] == "compare" or module.check_mode:
        plan = preparation.compare()
        return {"changed": bool(plan["stage"] or plan["leftovers"]), "plan": plan, "diff": preparation.diff(plan)}
    progress.at(stages.STAGE)
    engine = Engine()
    lock = Lock(engine, preparation.name, preparation.directory)
    identity = params["lock"]
    done = []
    with working(preparation.name):
        try:
            stale = lock.take(**identity)
        except Locked as locked:
            return {"changed": False, "locked": locked.as_dict()}
        if stale:
            done.append(f"Took over the lock of an ended run ({stale}).")
        try:
            refuse_foreign(engine, preparation.name)
            preparation.claim(engine)
            progress.at(stages.RECOVERY, f"See {containers_command(preparation.name)}; the next run goes on with it.")
            with whole():
                done += recover(engine, settings, [known["id"] for known in (preparation.past.images or {}).values() if known.get("alone")])
            progress.at(stages.STAGE, " ".join([*done, UNTOUCHED.replace("Nothing", "Nothing else")]) if done else UNTOUCHED)
            plan = preparation.compare()
            if params["dockerfile"] and not plan["digest"]:
                raise base_image_missing(plan, progress.still_runs)
            staged = bool(plan["build"]) and preparation.stage()
            if plan["build"]:
                plan.update(stage=[], staged=[])
                preparation.note(engine, plan)
                preparation.write_labels(engine, plan)
            elif plan["deploy"] and settings.image_tag == PREVIOUS:
                preparation.note_return(engine, plan)
        except BaseException:
            with contextlib.suppress(EngineError):
                lock.release(identity["token"])
            raise
        held = bool(plan["build"] or plan["deploy"] or params["keep_lock"])
        if not held:
            lock.release(identity["token"])
    return {"changed": staged or bool(done), "plan": plan, "recovered": done, "held": held}


if __name__ == "__main__":
    main()
