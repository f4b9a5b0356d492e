#!/usr/bin/python
"""Documentation of the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: propose
short_description: Look at the source of a Go service and write the inventory that it proposes
description:
  - Reads a directory on the controller and writes an inventory for the role go_service, with the main package, the port, the path of the health check, the
    files beside the binary and what the program insists on, as far as the source tells them.
  - What is written is a guess, says so, and names the place in the source that it comes from.
  - Nothing of the source is run, no host is asked, and a file that is there is never overwritten.
attributes:
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: full
    description: The inventory.
  idempotent:
    support: none
    description: It fails where the file is there, so that nobody's inventory is lost.
options:
  source:
    description: Directory of the source. A relative one is looked for as O(ignore:go_service_source) is.
    type: str
    required: true
  name:
    description: Name of the service. Without one it is taken from the source.
    type: str
    default: ""
  dest:
    description: The file to write. Without one it is C(inventory/<name>.yml) in the directory that the command is called in.
    type: str
    default: ""
  command:
    description: What runs the main job, told to the user, with V({}) where the inventory stands.
    type: str
    default: ansible-playbook -i {} proven.go_service.build
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Propose an inventory
  proven.go_service.propose:
    source: ~/src/price-api
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
name:
  description: Name of the service.
  type: str
  returned: success
guesses:
  description: What was guessed, and where it comes from, by what it is (V(port), V(health)).
  type: dict
  returned: success
open_points:
  description: What is left to decide before the first run, a sentence each.
  type: list
  elements: str
  returned: success
command:
  description: What runs the main job with this inventory.
  type: str
  returned: success
summary:
  description: All of it for a reader, line by line.
  type: list
  elements: str
  returned: success
failure:
  description: What happened (C(message)) and what to do (C(remedy)).
  type: dict
  returned: failure
"""
