#!/usr/bin/python
"""Documentation of an action plugin: verify the checksums of a bundle and unpack it on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bundle_open
short_description: Verify the checksums of a bundle and unpack it on the controller
description:
  - Verifies the checksum of each file of a bundle, and the signature of the checksums if a key is given, while the bundle is unpacked on the controller, once.
  - Says whether the bundle fits the host. If the bundle is damaged, truncated, forged or for another machine, no file of it is left, and no host is contacted.
attributes:
  check_mode: {support: full, description: "No host is changed; the controller unpacks the bundle in check mode as well, to see what it contains."}
  diff_mode: {support: none, description: A bundle has no lines.}
  idempotent: {support: full, description: "For a bundle that is already unpacked, only its checksums are verified."}
options:
  archive:
    description: The bundle, a file on the controller.
    type: str
    required: true
  public_key:
    description: The public key of OpenSSH whose signature the bundle must have, or several, one on each line; empty requires no signature.
    type: str
    default: ""
  cache:
    description: The directory of the controller below which it is unpacked.
    type: str
    required: true
  target:
    description:
      - About the host - C(machine) (uname -m), C(release) (the codename of its Debian), C(name) of its distribution, C(status) of its Engine, and C(images),
        for each base image that it lacks, the names that can be used.
    type: dict
    required: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Open the bundle
  proven.go_service.bundle_open:
    archive: /srv/go-service-bundle.tar
    cache: ~/.cache/go-service/bundles
    target: {machine: x86_64, release: trixie, name: Debian 13, status: absent, images: []}
"""

RETURN = r"""
bundle:
  description: Paths - C(directory), C(packages), C(base_images), C(images), C(services), C(modules); and whether its signature was verified (C(signed)).
  type: dict
  returned: success
failure:
  description: What happened (C(message)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""
