#!/usr/bin/python
"""Ansible module: put a proven image in the place of the service's container."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: go_service_deploy
short_description: Put a proven image in the place of a service's container
description:
  - Sets the old container aside, starts the new one under the service's name and port, and proves it by the image's own health check.
  - Where that fails, the very same old container runs again before the module fails.
  - Afterwards moves the tags V(latest) and V(previous), removes images beyond those kept, and gives the service's lock back.
attributes:
  check_mode: {support: full, description: Says that it would deploy.}
  diff_mode: {support: none, description: M(go_service_prepare) shows the reasons.}
  idempotency: {support: full, description: A container that is as it should be is not touched.}
options:
  settings:
    description: The role's settings, as M(go_service_settings) returns them.
    type: dict
    required: true
  image:
    description: Reference of the image to deploy.
    type: str
    required: true
  record:
    description: What M(go_service_verify) measured; kept on the host for the report of a run that finds nothing to do.
    type: dict
    default: {}
  lock:
    description: Token of the lock that this run holds.
    type: str
    required: true
author: [go_service contributors]
"""

EXAMPLES = r"""
- name: Put the proven image in the service's place
  go_service_deploy:
    settings: "{{ __go_service_settings }}"
    image: cat-server:3f2a91c07b6e
    lock: "{{ __go_service_plan.lock }}"
"""

RETURN = r"""
deploy:
  description: What was done.
  type: dict
  returned: success
  contains:
    action: {description: "V(created), V(replaced), or V(kept) where the container was as it should be.", type: str}
    container_id: {description: The service's container., type: str}
    old_id: {description: The container that was replaced., type: str}
    outage_seconds: {description: From the order to stop the old container to the first passing health test of the new one., type: float}
    seconds: {description: How long the module took., type: float}
    promoted: {description: Whether V(latest) moved., type: bool}
    pruned: {description: Images that were removed., type: list, elements: str}
failure:
  description: Where it failed, what happened, what to do, the last log lines, and what runs now.
  type: dict
  returned: failure
"""

import json
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.go_service import container as containers
from ansible.module_utils.go_service import context, contract, deploy, evidence, report
from ansible.module_utils.go_service.engine import Engine, EngineError
from ansible.module_utils.go_service.expected import Expected
from ansible.module_utils.go_service.lock import Lock, Lost
from ansible.module_utils.go_service.paths import service_directory
from ansible.module_utils.go_service.registry import FAIL, CheckResult


def fits(engine: Engine, settings: dict, image: dict, reference: str) -> str:
    """Return the id of the service's container where it is as it should be, "" otherwise."""
    found = deploy.refuse_foreign(engine, settings["name"])
    if not found:
        return ""
    body = containers.create_body(settings, reference, engine.api_version)
    same = (
        found["Image"] == image["Id"]
        and found["Config"]["Labels"].get(containers.LABEL_CONFIG) == body["Labels"][containers.LABEL_CONFIG]
        and not deploy.complaint(engine, found)
        and not containers.drift(body, found)
    )
    return found["Id"] if same else ""


class Terms:
    """The contract's checks of the running service, which a candidate, without a host port, cannot show. results: the last ones."""

    def __init__(self, engine: Engine, settings: dict) -> None:
        self._engine = engine
        self._settings = settings
        self._expected = Expected.from_settings(settings)
        self.results: list[CheckResult] = []

    def approve(self, container_id: str) -> None:
        """Hold a container to the contract; raise NotProven where it breaks it."""
        found = evidence.of_container(self._engine.client, container_id)
        self.results = contract.evaluate(found, self._expected, self._settings["waivers"], "runtime")
        if contract.verdict(self.results) == FAIL:
            raise deploy.NotProven(
                "it is healthy, but breaks the contract",
                "Do what each line says, or waive a check with its reason: go_service_waivers: {check: reason}.",
                contract.failures(self.results),
            )


def run(settings: dict, reference: str, lock: Lock, token: str) -> dict:
    """Deploy and return the record of it."""
    began = time.monotonic()
    engine = Engine()
    with lock.working():
        lock.keep(token)
        image = engine.image(reference)
        if image is None:
            raise deploy.DeployError("swap", f"there is no image {reference} on this host", "Build it first.")
        terms = Terms(engine, settings)
        present = fits(engine, settings, image, reference)
        if present:
            terms.approve(present)
        done = deploy.Swap("kept", present, "", 0.0) if present else deploy.swap(engine, settings, reference, terms.approve)
        promoted = deploy.promote(engine, settings["name"], image["Id"])
        pruned = deploy.prune(engine, settings["name"], settings["keep_images"], image["Id"])
    return {
        "action": done.action,
        "container_id": done.container_id,
        "old_id": done.old_id,
        "outage_seconds": done.outage_seconds,
        "seconds": round(time.monotonic() - began, 2),
        "promoted": promoted,
        "pruned": pruned,
        "checks": [result.as_dict() for result in terms.results],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "image": {"type": "str", "required": True},
            "record": {"type": "dict", "default": {}},
            "lock": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True, deploy={"action": "would deploy", "container_id": "", "old_id": "", "outage_seconds": 0.0})
    settings = module.params["settings"]
    lock = Lock(service_directory(settings))
    try:
        done = run(settings, module.params["image"], lock, module.params["lock"])
        record = report.with_checks(module.params["record"], done["checks"])
        context.write_text(service_directory(settings) / "report.json", json.dumps(record))
    except deploy.DeployError as error:
        module.fail_json(msg=f"{error.message}. {error.standing} {error.remedy}", failure=error.as_dict())
    except Lost as error:
        module.fail_json(msg=f"{error}. Run again.", failure={"stage": "lock", "message": str(error), "remedy": "Run again."})
    except deploy.NotProven as error:
        # The service's own container, which had not to be replaced.
        failure = {
            "stage": "contract",
            "message": error.message,
            "evidence": error.evidence,
            "standing": "The service's own container was not touched.",
            "remedy": error.remedy,
        }
        module.fail_json(msg=f"{error.message}: {' '.join(error.evidence)}", failure=failure)
    except EngineError as error:
        module.fail_json(msg=f"The Engine refused: {error}", failure={"stage": "swap", "message": str(error), "remedy": "Run again."})
    finally:
        lock.release(module.params["lock"])
    module.exit_json(changed=done["action"] != "kept" or done["promoted"] or bool(done["pruned"]), deploy=done, verify=record)


if __name__ == "__main__":
    main()
