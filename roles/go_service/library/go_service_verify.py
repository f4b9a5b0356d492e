#!/usr/bin/python
"""Ansible module: prove an image by a candidate container."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: go_service_verify
short_description: Prove an image by a candidate container, and hold it to the contract
description:
  - Starts a candidate container with the service's final hardening, environment, volumes and arguments, but no host port, and waits until its
    own health check passes and stays so. The service's own container is not touched.
  - Holds the image and the candidate to the contract, the checks of docs/checks.md. A check that fails, and is not waived, fails the module.
  - The candidate is gone when the module ends. Where it fails, the service's lock is given back.
attributes:
  check_mode: {support: full, description: Says that it would verify.}
  diff_mode: {support: none, description: It changes nothing that lasts.}
  idempotency: {support: full, description: It leaves nothing behind.}
options:
  settings:
    description: The role's settings, as M(go_service_settings) returns them.
    type: dict
    required: true
  image:
    description: Reference of the image to verify.
    type: str
    required: true
  bases:
    description: References of the builder and of the runtime base, in this order.
    type: list
    elements: str
    required: true
  build:
    description: How the build of this run went, C(seconds) and C(cached); empty where nothing was built.
    type: dict
    default: {}
  dockerfile:
    description: What the controller's linters find in the Dockerfile, by the action plugin of the same name; empty where an earlier image is returned to.
    type: dict
    default: {}
  source_date:
    description: Date of the source's revision, RFC 3339; empty where it is not known.
    type: str
    default: ""
  lock:
    description: Token of the lock that this run holds.
    type: str
    required: true
author: [go_service contributors]
"""

EXAMPLES = r"""
- name: Prove the image by a candidate
  go_service_verify:
    settings: "{{ __go_service_settings }}"
    image: cat-server:3f2a91c07b6e
    bases: ["golang:1.27-alpine3.24", "alpine:3.24"]
    lock: "{{ __go_service_plan.lock }}"
"""

RETURN = r"""
verify:
  description: What was measured.
  type: dict
  returned: success, and failure where the contract is not met
  contains:
    digest: {description: Content digest of the image., type: str}
    verdict: {description: "V(pass), V(warn) or V(fail).", type: str}
    violations: {description: A sentence for each check that failed., type: list, elements: str}
    terms: {description: "What was asked by budgets and waivers, as one word.", type: str}
    checked_at: {description: "When, RFC 3339.", type: str}
    start_seconds: {description: From the Engine's start record to the end of the first passing health test., type: float}
    seconds: {description: How long the module took., type: float}
    facts: {description: "Engine, image, binary, and the checks one by one, as docs/report.schema.json describes them.", type: dict}
    bill: {description: Bill of materials in CycloneDX JSON., type: dict}
failure:
  description: Where it failed, what happened, what to do, the last log lines, and what runs now.
  type: dict
  returned: failure
"""

import time
from dataclasses import replace
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.go_service import container as containers
from ansible.module_utils.go_service import contract, deploy, evidence, report, sbom
from ansible.module_utils.go_service import settings as values
from ansible.module_utils.go_service.engine import Engine, EngineError
from ansible.module_utils.go_service.expected import Expected
from ansible.module_utils.go_service.lock import Lock, Lost
from ansible.module_utils.go_service.paths import service_directory
from ansible.module_utils.go_service.registry import FAIL


def run(params: dict, lock: Lock) -> dict:
    """Verify and return what was measured; raise DeployError where the candidate does not prove itself."""
    began = time.monotonic()
    settings, reference = params["settings"], params["image"]
    contract.check_waivers(settings["waivers"])
    engine = Engine()
    with lock.working():
        lock.keep(params["lock"])
        deploy.refuse_foreign(engine, settings["name"])
        # Nothing can prove an image without a health check: it is held to the contract as it lies there.
        proof = deploy.start_candidate(engine, settings, reference) if deploy.can_be_proven(engine, reference) else None
        try:
            found = evidence.collect(
                engine.client,
                reference,
                proof.container_id if proof else "",
                base_image_ref=base_of(engine, reference) or params["bases"][1],
                binary_path=f"/usr/local/bin/{settings['name']}",
            )
        finally:
            engine.remove(containers.candidate_name(settings["name"]))
    found = replace(found, dockerfile=params["dockerfile"] or None)
    expected = Expected.from_settings(
        settings,
        candidate=True,
        source_date=params["source_date"],
        start_seconds=proof.start_seconds if proof else None,
        build_seconds=params["build"].get("seconds"),
        build_cached=bool(params["build"].get("cached")),
    )
    results = contract.evaluate(found, expected, settings["waivers"])
    if proof is None and contract.verdict(results) != FAIL:
        raise deploy.not_provable(reference)
    bill = sbom.cyclonedx(found, service=settings["name"], base_name=settings["runtime_image"], builder=builder(engine, params["bases"][0]))
    return {
        "digest": found.image.labels.get(containers.LABEL_DIGEST, ""),
        "verdict": contract.verdict(results),
        "violations": contract.failures(results),
        "terms": values.contract_terms(settings),
        "checked_at": datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "start_seconds": proof.start_seconds if proof else None,
        "seconds": round(time.monotonic() - began, 2),
        "facts": report.facts(found, expected, results, bill),
        "bill": bill,
    }


def base_of(engine: Engine, reference: str) -> str:
    """Return the base that an image says it is made from, "" where it says none: an image that is returned to may have had another."""
    labels = ((engine.image(reference) or {}).get("Config") or {}).get("Labels") or {}
    return labels.get("org.opencontainers.image.base.name", "")


def builder(engine: Engine, reference: str) -> dict[str, str]:
    """Return the builder image as the bill of materials names it."""
    image = engine.image(reference) or {}
    digests = [known.partition("@")[2] for known in image.get("RepoDigests") or []]
    return {"reference": reference, "digest": (digests or [image.get("Id", "")])[0]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "image": {"type": "str", "required": True},
            "bases": {"type": "list", "elements": "str", "required": True},
            "build": {"type": "dict", "default": {}},
            "dockerfile": {"type": "dict", "default": {}},
            "source_date": {"type": "str", "default": ""},
            "lock": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, verify={})
    settings = module.params["settings"]
    lock = Lock(service_directory(settings))
    try:
        verified = run(module.params, lock)
    except contract.WaiverError as error:
        lock.release(module.params["lock"])
        failure = {"stage": "contract", "message": str(error), "remedy": "Correct go_service_waivers."}
        module.fail_json(msg=f"{error} {failure['remedy']}", failure=failure)
    except deploy.DeployError as error:
        lock.release(module.params["lock"])
        module.fail_json(msg=f"{error.message}. {error.standing} {error.remedy}", failure=error.as_dict())
    except Lost as error:
        module.fail_json(msg=f"{error}. Run again.", failure={"stage": "lock", "message": str(error), "remedy": "Run again."})
    except EngineError as error:
        lock.release(module.params["lock"])
        module.fail_json(msg=f"The Engine refused: {error}", failure={"stage": "candidate", "message": str(error), "remedy": "Run again."})
    if verified["verdict"] == "fail":
        lock.release(module.params["lock"])
        failure = {
            "stage": "contract",
            "message": f"the image {module.params['image']} {'is healthy, but ' if verified['start_seconds'] else ''}breaks the contract",
            "evidence": verified["violations"],
            "standing": "The service's own container was not touched.",
            "remedy": "Do what each line says, or waive a check with its reason: go_service_waivers: {check: reason}.",
        }
        module.fail_json(msg=f"{failure['message']}: {' '.join(verified['violations'])}", failure=failure, verify=verified)
    module.exit_json(changed=False, verify=verified)


if __name__ == "__main__":
    main()
