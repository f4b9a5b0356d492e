#!/usr/bin/python
"""Ansible module: prove an image with a candidate container, and replace the service's container by a container of that image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: deploy
short_description: Prove an image, and replace a service's container by a container of that image
description:
  - Starts a candidate container with the service's final hardening, environment, volumes and arguments, but no host port, and waits until its
    own health check passes and stays so. The service's own container is not touched.
  - Checks the image and the candidate against the contract, the checks of docs/checks.md. A check that fails and is not waived fails the module.
  - Then sets the old container aside, starts the new one under the service's name and port, proves it with the image's own health check, and makes
    the contract's checks of the running service. If that fails, the very same old container runs again before the module fails.
  - With the strategy V(recreate) no candidate is started. First the checks that need only the image are made, then the old container is stopped and set aside,
    and the new one is proven in its place, with all checks of the contract.
  - An image for another platform (C(go_service_platform)) cannot run here. The checks that need only the image are made, nothing is started or replaced, and
    the tag of that platform's newest image moves, such as V(latest-arm64).
  - Afterwards moves the tags V(latest) and V(previous) and removes the images beyond those that are kept.
  - The service's lock is given back in any case.
attributes:
  check_mode:
    support: full
    description: Says that it would deploy.
  diff_mode:
    support: none
    description: M(proven.go_service.prepare) shows the reasons.
  idempotent:
    support: full
    description: A container that needs no change is not touched.
options:
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  secrets:
    description: The values of secret variables, packed by C(common/secrets.py); the settings have their names alone.
    type: str
    default: ""
  image:
    description: Reference of the image to deploy.
    type: str
    required: true
  bases:
    description: References of the builder and of the runtime base, in this order.
    type: list
    elements: str
    required: true
  build:
    description: How the build of this run went, C(seconds), C(cached) and C(builder); empty if nothing was built.
    type: dict
    default: {}
  stage:
    description: What the next build needs to go on from the builder stage of this run's build, as M(proven.go_service.build) returns it.
    type: dict
    default: {}
  dockerfile:
    description: What the controller's linters find in the Dockerfile, from the action plugin of the same name; empty for a rollback to an earlier image.
    type: dict
    default: {}
  source_date:
    description: Date of the source's revision, RFC 3339; empty if it is not known.
    type: str
    default: ""
  received:
    description: The image came from another host. It takes the place of the one before it as one that was built here does, and is not returned to.
    type: bool
    default: false
  prove_only:
    description: End when the candidate has proven itself.
    type: bool
    default: false
  lock:
    description: Token of the lock that this run holds.
    type: str
    required: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Prove the image and put it in the service's place
  proven.go_service.deploy:
    settings: "{{ __go_service_record.settings }}"
    image: cat-server:3f2a91c07b6e
    bases: ["golang:1.27-alpine3.24", "alpine:3.24"]
    lock: "{{ __go_service_record.plan.lock }}"
"""

RETURN = r"""
verify:
  description: What was measured.
  type: dict
  returned: success, and every failure after the candidate was checked against the contract
  contains:
    digest: {description: "Content digest of the image.", type: str}
    verdict: {description: "V(pass), V(warn) or V(fail).", type: str}
    demands: {description: "A fingerprint of the budgets and waivers with which it was judged.", type: str}
    checked_at: {description: "When, RFC 3339.", type: str}
    start_seconds: {description: "From the Engine's start record to the end of the first passing health check.", type: float}
    seconds: {description: "How long it took.", type: float}
    facts: {description: "Engine, image, binary, and the checks one by one, as docs/report.schema.json describes them.", type: dict}
    sbom: {description: "Bill of materials in CycloneDX JSON.", type: dict}
    provenance: {description: "In-toto statement of where the image comes from; empty if that is not known any more.", type: dict}
deploy:
  description: What was done.
  type: dict
  returned: success, unless O(prove_only=true)
  contains:
    strategy: {description: "How the new version took the old one's place, V(candidate) or V(recreate).", type: str}
    action: {description: "V(created), V(replaced), or V(kept) where the container was as it should be, V(proven) where it was proven again.", type: str}
    container_id: {description: "The service's container.", type: str}
    old_id: {description: "The container that was replaced.", type: str}
    outage_seconds: {description: "From the order to stop the old container to the first passing health check of the new one.", type: float}
    ended:
      description: How the container that was there before ended, if the Engine had restarted it, and its last log lines.
      type: list
      elements: str
    silent: {description: "Entries of go_service_publish_more whose port in the container nothing listens on.", type: list, elements: str}
    seconds: {description: "How long it took.", type: float}
    promoted: {description: "Whether V(latest) moved.", type: bool}
    pruned: {description: "Images that were removed.", type: list, elements: str}
failure:
  description: Where it failed (C(stage)), what happened (C(message)), the last log lines (C(evidence)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""

import contextlib
import functools
import time

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Failure, NoHealthCheck, Progress, ending
from ..module_utils.common.interruption import whole
from ..module_utils.common.names import service_directory
from ..module_utils.common.secrets import mask, secret_values
from ..module_utils.common.settings import BUILDX, RECREATE, Settings
from ..module_utils.common.text import last_said, visible
from ..module_utils.contract import judge
from ..module_utils.contract.evidence.collect import observe, of_container
from ..module_utils.contract.evidence.model import Evidence
from ..module_utils.contract.expected import Expected
from ..module_utils.contract.names import FAIL
from ..module_utils.deploy import history, ownership, secret_files
from ..module_utils.deploy.broken_builds import ended_steps
from ..module_utils.deploy.candidate import Watch, drop_candidate, may_run_on, prove_candidate, remedy_beside
from ..module_utils.deploy.container import create_body
from ..module_utils.deploy.earlier import as_proven, built_with, is_earlier, ran_with
from ..module_utils.deploy.images import MOVING, builder_stage, latest_for, own_references, promote, prune, refuse_foreign_images, remember
from ..module_utils.deploy.judgement import SETTLED, refuse_foreign, restarted, runs_for, shortcomings, unproven
from ..module_utils.deploy.kept import kept_for_speed
from ..module_utils.deploy.lock import Lock, working
from ..module_utils.deploy.proof import NotProven, how_it_ended, prove_service, silent_ports
from ..module_utils.deploy.swap import Swap, swap
from ..module_utils.engine.client import Engine, EngineError
from ..module_utils.engine.records import health_test
from ..module_utils.record.facts import with_checks
from ..module_utils.record.modules import ModuleFacts, of_build_cache, of_builder_stage
from ..module_utils.record.verification import ContractBroken, examine, judged, verify

# How many log lines of a restarted container are reported.
SHOWN_LINES = 5


class RunningService:
    """Judges the service's own container: by the checks that a candidate (without a host port) cannot pass, or by all checks if there was no
    candidate. verified: what is known about image and container, as the result has it under `verify`.
    """

    def __init__(self, engine: Engine, params: dict, verified: dict, image_alone: Evidence | None) -> None:
        """params: of the module; verified: what was found before; image_alone: evidence of the image, where no candidate was proven."""
        self._engine = engine
        self._params = params
        self._settings = params["settings"]
        self._image_alone = image_alone
        self._watch = Watch(engine, self._settings)
        self.verified = verified

    def accept(self, container_id: str, start_seconds: float) -> None:
        """Approve a new container if its candidate, if any, still runs; raise NotProven or Failure otherwise."""
        self.approve(container_id, start_seconds)
        self._watch.check()

    def approve(self, container_id: str, start_seconds: float | None = None) -> None:
        """Check a container against the contract; raise NotProven or ContractBroken if it breaks it. start_seconds: how long it took until healthy."""
        if self._image_alone:
            found = observe(self._engine, self._image_alone, container_id)
            try:
                self.verified = judged(self._engine, self._params, found, start_seconds, candidate=False, began=time.monotonic())
            except ContractBroken as broken:
                self.verified = broken.verified
                raise
            return
        expected = Expected.from_settings(self._settings)
        results = judge.evaluate(of_container(self._engine, container_id), expected, self._settings.waivers, "runtime")
        self.verified = with_checks(self.verified, [result.as_dict() for result in results])
        if judge.verdict(results) == FAIL:
            raise NotProven("it is healthy, but breaks the contract", judge.REMEDY, judge.failures(results))


def leave_in_place(engine: Engine, settings: Settings, body: dict, image_id: str, past: history.History) -> Swap | None:
    """Return what becomes of the service's container if it is as it should be, None if it must be replaced."""
    found = refuse_foreign(engine, settings.name)
    if not found or shortcomings(engine, found, body, image_id):
        return None
    action = "kept"
    if unproven(engine, found, past.container):
        try:
            # If the Engine has restarted it, it must run for the time after which the Engine itself regards a start as successful.
            longer = SETTLED - runs_for(found) if restarted(found, past.container) else 0
            prove_service(engine, found["Id"], settings, restarts=found["RestartCount"], longer=longer)
        except NotProven:
            return None
        action = "proven"
    # Also for a container that is kept: a killed run may have put it in place before it could record that.
    past.container = {"id": found["Id"], "restarts": found["RestartCount"]}
    return Swap(action, found["Id"], "", 0.0)


def _told(ended: NotProven, settings: Settings) -> list[str]:
    """Return how the container that was there before ended, and its last lines, in a form that can be shown."""
    said = last_said([line[len("log: ") :] for line in ended.evidence if line.startswith("log: ")], SHOWN_LINES)
    return visible(mask([ended.message, *(f"log: {line}" for line in said)], secret_values(vars(settings))))


def put_in_place(
    engine: Engine, params: dict, past: history.History, *, progress: Progress, known: dict, image_alone: Evidence | None = None
) -> None:
    """Deploy an image; put what was done under `deploy`, and add the results of the running service's checks to those of the image.

    image_alone: evidence of an image that was not proven by a candidate.
    """
    began = time.monotonic()
    settings, reference = params["settings"], params["image"]
    image = engine.image(reference)
    if image is None:
        raise Failure(stages.IMAGE, f"there is no image {reference} on this host any more", "Run again, which builds it.", UNTOUCHED)
    found = refuse_foreign(engine, settings.name)
    beside = may_run_on(settings, found)
    if not beside:
        drop_candidate(engine, settings)
    service = RunningService(engine, params, known["verify"], image_alone)
    ended = how_it_ended(engine, found) if found and restarted(found, past.container) else None
    body = create_body(settings, reference, engine.api_version, image, engine.limits_not_held)
    done = leave_in_place(engine, settings, body, image["Id"], past)
    if done:
        try:
            service.approve(done.container_id)
        except (NotProven, ContractBroken) as failure:
            known["verify"] = service.verified
            message = f"the service's container {done.container_id[:12]}: {failure.message}"
            raise Failure(stages.CONTRACT, message, failure.remedy, UNTOUCHED, failure.evidence) from failure
    else:
        try:
            done = swap(engine, settings, body, service.accept)
        except Failure as failure:
            failure.remedy = remedy_beside(settings, failure) if beside and not image_alone else failure.remedy
            raise
        finally:
            known["verify"] = service.verified
        past.container = {"id": done.container_id, "restarts": 0}
    progress.at(stages.TAGS, f"The container {done.container_id[:12]} of {reference} runs and is healthy.")
    known["verify"] = service.verified
    known["deploy"] = {
        "action": done.action,
        "strategy": settings.deploy_strategy,
        "container_id": done.container_id,
        "old_id": done.old_id,
        "outage_seconds": done.outage_seconds,
        "ended": _told(ended, settings) if ended else [],
        "silent": silent_ports(engine, done.container_id, settings),
        "seconds": round(time.monotonic() - began, 2),
        "promoted": False,
        "pruned": [],
    }
    known["deploy"]["promoted"] = promote(engine, settings.name, image["Id"], past, back=params["earlier"])
    for step in ended_steps(engine, settings.name, service_directory(settings)):
        engine.remove(step)
    known["deploy"]["pruned"] = prune(engine, settings.name, settings.keep_images, image["Id"], past)
    with contextlib.suppress(EngineError):
        # An error in the figures about the disk must not fail the deploy of a service that runs.
        known["verify"]["facts"]["kept_for_speed"] = kept_for_speed(
            engine, settings.name, params["bases"][0], buildkit=built_by_buildkit(params)
        )
    known["deploy"]["seconds"] = round(time.monotonic() - began, 2)


def note(engine: Engine, past: history.History, reference: str) -> dict:
    """Record in the history which image a run is about to prove, and return that entry; an image under a tag that somebody else gave is not recorded."""
    tag = reference.rpartition(":")[2]
    image = engine.image(reference)
    if past.images is None or image is None or reference not in own_references(reference.rpartition(":")[0], image) or tag in MOVING:
        return {}
    if past.images.get(tag, {}).get("id") != image["Id"]:
        past.images[tag] = {"id": image["Id"], "proven": False}
    return past.images[tag]


def note_stage(engine: Engine, stage: dict[str, str]) -> dict[str, str]:
    """Return what the history keeps of the builder stage of this run's build, {} where the next build cannot go on from it."""
    image = engine.image(stage["id"]) if stage.get("id") and stage.get("standing") else None
    return {**stage, "id": image["Id"]} if image else {}


def note_proven(built: dict, settings: Settings, known: dict) -> None:
    """Record in the history that an image is proven, and what a rollback to it needs."""
    built.update(proven=True, ran=ran_with(settings), provenance=known["verify"]["provenance"])
    built["with"] = built_with(settings)


def give_to_others(engine: Engine, params: dict, past: history.History, built: dict, known: dict) -> bool:
    """Let hosts of another platform have an image that was built for them and met the contract as far as that can be judged without running it; they prove
    it themselves. Return whether anything changed."""
    settings, image = params["settings"], engine.image(params["image"]) or {"Id": ""}
    verified = known["verify"]
    built.update(platform=settings.platform, checked_for=settings.demands, provenance=verified["provenance"], sbom=verified["sbom"])
    built["with"] = built_with(settings)
    before = engine.image(f"{settings.name}:{latest_for(settings.platform)}")
    engine.tag(image["Id"], settings.name, latest_for(settings.platform))
    pruned = prune(engine, settings.name, settings.keep_images, image["Id"], past, platform=settings.platform)
    return bool(pruned) or before is None or before["Id"] != image["Id"]


def prove(engine: Engine, params: dict, known: dict) -> Evidence | None:
    """Prove an image with a candidate; or, if its container will be proven in the service's place or on another host, judge only the image. Return what is then known about
    it. What was measured is under `verify`, also for an image that breaks the contract."""
    settings = params["settings"]
    try:
        if settings.platform or settings.deploy_strategy == RECREATE:
            return judge_alone(engine, params, known)
        known["verify"] = verify(engine, params, prove_candidate)
    except ContractBroken as broken:
        known["verify"] = broken.verified
        raise
    return None


def judge_alone(engine: Engine, params: dict, known: dict) -> Evidence:
    """Make the checks that need only the image, before its container is proven in the service's place; return what is known about it."""
    began = time.monotonic()
    found = examine(engine, params)
    known["verify"] = judged(engine, params, found, None, began=began)
    if health_test(engine.image(params["image"]) or {}) is None:
        raise NoHealthCheck(params["image"])
    return found


def built_by_buildkit(params: dict) -> bool:
    """Say whether BuildKit builds the service: it built its image in this run, or it would do so."""
    return BUILDX in (params["build"].get("builder"), params["settings"].builder)


def modules_in_builder(engine: Engine, params: dict, wanted: tuple[str, ...]) -> dict[str, ModuleFacts]:
    """Return what the build stage of a service says about Go modules, {} if there is no such stage."""
    settings = params["settings"]
    if built_by_buildkit(params):
        # For a rollback, another source may be staged.
        return {} if params["earlier"] else of_build_cache(service_directory(settings) / "context", settings.build_network, wanted)
    stage = builder_stage(engine, settings.name, settings.goarch)
    return of_builder_stage(engine, settings.name, stage, wanted) if stage else {}


def run(engine: Engine, params: dict, lock: Lock, progress: Progress, known: dict) -> bool:
    """Prove and deploy; put what becomes known under `verify` and `deploy`. Return whether anything changed."""
    settings, reference = params["settings"], params["image"]
    name, directory = settings.name, service_directory(settings)
    with working(name):
        lock.ensure_held(params["lock"])
        progress.at(stages.CANDIDATE)
        ownership.examine(directory, name)
        past = remember(engine, name, directory)
        refuse_foreign(engine, name)
        refuse_foreign_images(engine, name, past, reference.rpartition(":")[2], latest_for(settings.platform))
        built = note(engine, past, reference)
        # For a later run that finds this one killed: the new container is not checked against the contract before it is in its place.
        built["alone"] = settings.deploy_strategy == RECREATE
        if params["build"] and not settings.platform:
            past.stage = note_stage(engine, params["stage"])
        past.save(engine)
        image = engine.image(reference) or {"Id": ""}
        params = {
            **params,
            "demands": settings.demands,
            "earlier": not params["received"] and is_earlier(settings, image, built),
            "settings": settings if params["received"] else as_proven(settings, image, built),
            "provenance_before": built.get("provenance") or {},
            # An image from another host keeps the documents of that host until it is proven here.
            "sbom_before": built.get("sbom") or past.report.get("sbom") or {},
        }
        # Also if an image is judged a second time in the service's place, its modules are the same.
        params["modules_in_builder"] = functools.lru_cache(functools.partial(modules_in_builder, engine, dict(params)))
        settings = params["settings"]
        try:
            if settings.platform:
                prove(engine, params, known)
                changed = give_to_others(engine, params, past, built, known)
                past.save(engine)
                return changed
            secret_files.write(engine, settings, reference)
            image_alone = prove(engine, params, known)
            if params["prove_only"]:
                if not image_alone:
                    note_proven(built, settings, known)
                    past.save(engine)
                return False
            progress.at(stages.SWAP)
            with whole():
                try:
                    put_in_place(engine, params, past, progress=progress, known=known, image_alone=image_alone)
                except Failure as failure:
                    # Whatever goes wrong from here on, the failure says this about what runs.
                    progress.at(failure.stage, failure.still_runs)
                    raise
                # Only now, and not already when its candidate was proven: an image that fails when it first comes into service is not one to roll back to.
                note_proven(built, settings, known)
                # For the report of a run that finds nothing to do.
                past.report = known["verify"]
                built.pop("sbom", None)
                past.returning = ""
                past.save(engine)
        finally:
            drop_candidate(engine, settings)
            with contextlib.suppress(EngineError, OSError):
                secret_files.prune(engine, settings)
    done = known["deploy"]
    return done["action"] in ("created", "replaced") or done["promoted"] or bool(done["pruned"])


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "secrets": {"type": "str", "default": "", "no_log": True},
            "image": {"type": "str", "required": True},
            "bases": {"type": "list", "elements": "str", "required": True},
            "build": {"type": "dict", "default": {}},
            "stage": {"type": "dict", "default": {}},
            "dockerfile": {"type": "dict", "default": {}},
            "source_date": {"type": "str", "default": ""},
            "received": {"type": "bool", "default": False},
            "prove_only": {"type": "bool", "default": False},
            "lock": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        would = {"action": "would deploy", "container_id": "", "old_id": "", "outage_seconds": 0.0}
        module.exit_json(changed=not module.params["prove_only"], verify={}, deploy=would)
    known: dict = {}
    progress = Progress(stages.LOCK, UNTOUCHED)
    with ending(module, progress, known) as params:
        settings, engine = params["settings"], Engine()
        lock = Lock(engine, settings.name, service_directory(settings))
        try:
            changed = run(engine, params, lock, progress, known)
        finally:
            with contextlib.suppress(EngineError):
                lock.release(module.params["lock"])
    for published in known.get("deploy", {}).get("silent", ()):
        module.warn(
            f"go_service_publish_more has {published}, but nothing listens on that port of {settings.name} yet: "
            "correct it, or make the service open the port."
        )
    module.exit_json(changed=changed, **known)


if __name__ == "__main__":
    main()
