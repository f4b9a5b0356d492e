#!/usr/bin/python
"""Ansible module: prove an image by a candidate container."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: go_service_verify
short_description: Prove an image by a candidate container
description:
  - Starts a candidate container with the service's final hardening, environment, volumes and arguments, but no host port, and waits until its
    own health check passes and stays so. The service's own container is not touched.
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
    lock: "{{ __go_service_plan.lock }}"
"""

RETURN = r"""
verify:
  description: What was measured.
  type: dict
  returned: success
  contains:
    start_seconds: {description: From the Engine's start record to the end of the first passing health test., type: float}
    image_bytes: {description: Uncompressed size of the image., type: int}
    user: {description: User of the image., type: str}
failure:
  description: Where it failed, what happened, what to do, the last log lines, and what runs now.
  type: dict
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.go_service import container as containers
from ansible.module_utils.go_service import deploy
from ansible.module_utils.go_service.engine import Engine, EngineError
from ansible.module_utils.go_service.lock import Lock, Lost
from ansible.module_utils.go_service.paths import service_directory


def run(settings: dict, reference: str, lock: Lock, token: str) -> dict:
    """Verify and return what was measured."""
    engine = Engine()
    with lock.working():
        lock.keep(token)
        deploy.refuse_foreign(engine, settings["name"])
        proof = deploy.start_candidate(engine, settings, reference)
        try:
            image = engine.image(reference)
        finally:
            engine.remove(containers.candidate_name(settings["name"]))
    return {"start_seconds": proof.start_seconds, "image_bytes": image["Size"], "user": image["Config"].get("User", "")}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "image": {"type": "str", "required": True},
            "lock": {"type": "str", "required": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, verify={})
    settings = module.params["settings"]
    lock = Lock(service_directory(settings))
    try:
        module.exit_json(changed=False, verify=run(settings, module.params["image"], lock, module.params["lock"]))
    except deploy.DeployError as error:
        lock.release(module.params["lock"])
        module.fail_json(msg=f"{error.message}. {error.standing} {error.remedy}", failure=error.as_dict())
    except Lost as error:
        module.fail_json(msg=f"{error}. Run again.", failure={"stage": "lock", "message": str(error), "remedy": "Run again."})
    except EngineError as error:
        lock.release(module.params["lock"])
        module.fail_json(msg=f"The Engine refused: {error}", failure={"stage": "candidate", "message": str(error), "remedy": "Run again."})


if __name__ == "__main__":
    main()
