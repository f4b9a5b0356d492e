#!/usr/bin/python
"""Documentation of the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: settings
short_description: Check the variables of the role go_service
description:
  - Checks every go_service_* variable of the host on the controller, before anything is touched. It does not need Ansible's check of the argument specs,
    which would report only some of the problems.
  - Reports all problems at once, each with the variable, its value and what is allowed; also names that are not variables of the role.
attributes:
  check_mode:
    support: full
    description: It only reads.
  diff_mode:
    support: none
    description: It only reads.
  idempotent:
    support: full
    description: It only reads.
options:
  reports:
    description: Whether this run writes a report, so that its directory must be writable.
    type: bool
    default: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Check the input
  proven.go_service.settings:
  register: __go_service_input
"""

RETURN = r"""
settings:
  description: The variables without their prefix; times in seconds, sizes in bytes, publish as C(address) and C(port), and only the names of secret values.
  type: dict
  returned: success
failure:
  description: What happened (C(message)), what is wrong, a sentence each (C(evidence)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""
