#!/usr/bin/python
"""Ansible module: publish a proven image of a service."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: publish
short_description: Publish a proven image of a Go service, its bill of materials and its provenance
description:
  - Pushes the image that is in service on a host, or the one of go_service_image_tag, to go_service_registry. An image that did not pass the contract on
    this host is refused.
  - Puts its bill of materials (CycloneDX) and its provenance (in-toto) beside it, as OCI artifacts that refer to the image by its digest.
attributes:
  check_mode:
    support: full
    description: In check mode nothing is pushed, and the registry is not asked.
  diff_mode:
    support: none
    description: An image has no lines.
  idempotent:
    support: full
    description: What the registry has already is not changed.
options:
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  secrets:
    description: The values of secret variables, packed by C(common/secrets.py).
    type: str
    default: ""
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Publish the image
  proven.go_service.publish:
    settings: "{{ __go_service_record.settings }}"
"""

RETURN = r"""
published:
  description: What is in the registry.
  type: dict
  returned: success
  contains:
    reference: {description: "The image by its digest; in check mode by its tag.", type: str}
    tags: {description: "Tags that it has there.", type: list, elements: str}
    documents: {description: "Digests of the documents beside it, by V(sbom) and V(provenance); a document that does not exist is left out.", type: dict}
failure:
  description: Where it failed (C(stage)), what happened (C(message)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Failure, Progress, ending
from ..module_utils.common.names import service_directory
from ..module_utils.common.settings import Settings
from ..module_utils.deploy.images import LATEST
from ..module_utils.deploy.offer import proven_image
from ..module_utils.engine import artifacts
from ..module_utils.engine.client import Engine
from ..module_utils.engine.transfer import push, repository

# The documents of an image: media type and file name.
DOCUMENTS = {
    "sbom": ("application/vnd.cyclonedx+json", "sbom.cdx.json"),
    "provenance": ("application/vnd.in-toto+json", "provenance.intoto.json"),
}


def with_subject(statement: dict[str, Any], there: str, digest: str) -> dict[str, Any]:
    """Return a statement that names the image also by its digest in the registry; on a host it is known by its id."""
    algorithm, _colon, value = digest.partition(":")
    return {**statement, "subject": [{"name": there, "digest": {algorithm: value}}, *statement["subject"]]}


def publish(engine: Engine, settings: Settings, *, check: bool) -> dict[str, Any]:
    """Publish an image, and return the module's result."""
    if not settings.registry:
        raise Failure(
            stages.INPUT, "there is no registry to publish to", "Set go_service_registry, like registry.example.com:5000/team.", UNTOUCHED
        )
    image = proven_image(engine, settings.name, service_directory(settings), settings.image_tag or LATEST)
    there = repository(settings)
    tags = tuple(dict.fromkeys(filter(None, (image["tag"], image["version"]))))
    published: dict[str, Any] = {"reference": f"{there}:{image['tag']}", "tags": list(tags), "documents": {}}
    if check:
        return {"changed": True, "published": published}
    known = {kind: image[kind] for kind in DOCUMENTS if image[kind]}
    with artifacts.repository(engine, there, settings.registry_credentials, settings.registry_ca) as place:
        before = [place.digest(tag) for tag in tags]
        digest = push(engine, settings, image["id"], *tags)
        changed = before != [digest] * len(tags)
        if "provenance" in known:
            known["provenance"] = with_subject(known["provenance"], there, digest)
        for kind, document in known.items():
            media_type, title = DOCUMENTS[kind]
            published["documents"][kind], new = place.attach(digest, media_type, artifacts.document_of(document), title)
            changed = changed or new
    return {"changed": changed, "published": {**published, "reference": f"{there}@{digest}"}}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"settings": {"type": "dict", "required": True}, "secrets": {"type": "str", "default": "", "no_log": True}},
        supports_check_mode=True,
    )
    with ending(module, Progress(stages.TRANSFER, UNTOUCHED), {}) as params:
        module.exit_json(**publish(Engine(), params["settings"], check=module.check_mode))


if __name__ == "__main__":
    main()
