#!/usr/bin/python
"""Documentation of an action plugin: write a bundle, or fetch the packages that go into one."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: bundle_write
short_description: Write a bundle, or fetch the packages that go into one
description:
  - With O(release), fetches Debian's packages of a release with all their dependencies into the tree.
  - Without it, writes the files in the tree as one archive with checksums, and with a signature if a key is given.
attributes:
  check_mode: {support: none, description: It is not meant for check mode.}
  diff_mode: {support: none, description: A bundle has no lines.}
  idempotent: {support: none, description: It fetches and writes what is current on that day.}
options:
  tree:
    description: Directory of the controller that holds what goes into the bundle.
    type: str
    required: true
  release:
    description: Codename of the release of Debian whose packages are fetched.
    type: str
    default: ""
  packages:
    description: Names of the packages.
    type: list
    elements: str
    default: []
  optional:
    description: Names of packages that are also fetched if the release has them.
    type: list
    elements: str
    default: []
  mirror:
    description: Mirror of the packages.
    type: str
    default: ""
  security_mirror:
    description: Mirror of their security updates.
    type: str
    default: ""
  dest:
    description: The file to write.
    type: str
    default: ""
  key:
    description: Path of a private key of OpenSSH with which to sign, or of a public key whose private key an SSH agent has; empty makes no signature.
    type: str
    default: ""
  machine:
    description: The kind of machine for which the bundle is, as uname -m names it.
    type: str
    default: ""
  base_images:
    description: Names of the base images that are in it.
    type: list
    elements: str
    default: []
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Write a bundle
  proven.go_service.bundle_write:
    tree: /srv/tree
    dest: /srv/go-service-bundle.tar
    machine: x86_64
"""

RETURN = r"""
files:
  description: Names of the packages' files.
  type: list
  elements: str
  returned: with O(release)
path:
  description: The bundle.
  type: str
  returned: without O(release)
sha256:
  description: Its checksum.
  type: str
  returned: without O(release)
size:
  description: Its size in bytes.
  type: int
  returned: without O(release)
contents:
  description: What is in it, as its C(bundle.json) says.
  type: dict
  returned: without O(release)
failure:
  description: What happened (C(message)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""
