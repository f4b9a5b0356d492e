#!/usr/bin/python
"""Documentation of the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: services
short_description: Check the list go_services
description:
  - Checks on the controller that go_services is a list of mappings, each with a different name and only with variables of the role, before the
    first service is processed. The values are checked when each service is processed.
  - Reports all problems at once.
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
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Check the list of services
  proven.go_service.services:
  register: __go_service_services
"""

RETURN = r"""
names:
  description: The names of the services, in their order.
  type: list
  elements: str
  returned: success
failure:
  description: What happened (C(message)), what is wrong, a sentence each (C(evidence)), what runs now (C(still_runs)), what to do (C(remedy)).
  type: dict
  returned: failure
"""
