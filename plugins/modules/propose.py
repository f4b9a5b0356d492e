#!/usr/bin/python
"""Documentation of the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: propose
short_description: Look at the source of a Go service and write a proposed inventory
description:
  - Reads a directory on the controller and writes an inventory for the role go_service, with the main package, the port, the path of the health check, the
    files beside the binary and the settings that the program requires, as far as the source shows them.
  - Each value that is a guess says so, and names the place in the source from which it comes.
  - No code of the source is run, no host is contacted, and an existing file is never overwritten.
attributes:
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: full
    description: The inventory.
  idempotent:
    support: none
    description: It fails if the file exists, so that no inventory is lost.
options:
  source:
    description: Directory of the source. A relative path is looked for in the same places as O(ignore:go_service_source).
    type: str
    required: true
  name:
    description: Name of the service. Without one it is taken from the source.
    type: str
    default: ""
  dest:
    description: The file to write. The default is C(inventory/<name>.yml) in the current directory.
    type: str
    default: ""
  command:
    description: The command that runs the main job, for the user to read, with V({}) as the place of the inventory.
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
  description: The guesses and where they come from, by their names (V(port), V(health)).
  type: dict
  returned: success
open_points:
  description: What is left to decide before the first run, one sentence for each point.
  type: list
  elements: str
  returned: success
command:
  description: The command that runs the main job with this inventory.
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
