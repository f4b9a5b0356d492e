#!/usr/bin/python
"""Documentation of an action plugin: hold a bundle to its checksums and unpack it on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bundle_open
short_description: Hold a bundle to its checksums and unpack it on the controller
description:
  - Holds each file of a bundle to its checksum, and the checksums to their signature where a key is given, while it is unpacked on the controller, once.
  - Says whether it does for the host. Nothing of a bundle that is damaged, truncated, forged or for another machine is left, and no host is asked.
attributes:
  check_mode: {support: full, description: "No host is changed; the controller unpacks the bundle in a check as well, to see what it holds."}
  diff_mode: {support: none, description: A bundle has no lines.}
  idempotent: {support: full, description: A bundle that is unpacked already is held to its checksums alone.}
options:
  archive:
    description: The bundle, a file on the controller.
    type: str
    required: true
  public_key:
    description: The public key of OpenSSH that has to have signed it, or several, a line each; empty asks for no signature.
    type: str
    default: ""
  cache:
    description: The directory of the controller below which it is unpacked.
    type: str
    required: true
  target:
    description:
      - Of the host C(machine) (uname -m), C(release) (the codename of its Debian), C(name) of its distribution, C(status) of its Engine, and C(images),
        for each base image that it lacks the names that would do.
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
  description: Where what is - C(directory), C(packages), C(base_images), C(images), C(services), C(modules), and whether a key vouches for it (C(signed)).
  type: dict
  returned: success
failure:
  description: What happened (C(message)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""
