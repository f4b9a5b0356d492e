#!/usr/bin/python
"""Documentation of the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: report
short_description: Write the report of a run of the role go_service
description:
  - Writes what a run built, measured and decided to the controller, as JSON, as a page, as JUnit's XML for a CI system, and beside them the bill of
    materials and the provenance. Nothing is done on the target.
  - If there are several hosts or services, an index of all of them is written, too.
attributes:
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: none
    description: A report is no part of the host's state.
  idempotent:
    support: full
    description: A report describes the host and is no part of its state; writing one is no change.
options:
  report:
    description: What the stages of the run know.
    type: dict
    required: true
  dir:
    description: Directory of all reports on the controller; created if it is missing.
    type: path
    required: true
  host:
    description: Name of the host in the inventory; the name of a directory below O(dir).
    type: str
    required: true
  service:
    description: Name of the service; the files are named after it.
    type: str
    required: true
  still_runs:
    description: What runs now; part of the message if the report cannot be written.
    type: str
    required: true
  sbom:
    description: The bill of materials, a CycloneDX document. Without it an older one is removed, as it would belong to another image.
    type: dict
  provenance:
    description: Where the image comes from, an in-toto statement. Without it an older one is removed likewise.
    type: dict
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Write the report
  proven.go_service.report:
    report: "{{ facts_of_the_run }}"
    dir: reports
    host: "{{ inventory_hostname }}"
    service: cat-server
    still_runs: The new container runs and is healthy.
"""

RETURN = r"""
path:
  description: The page.
  type: str
  returned: success
paths:
  description: The files by kind, C(json), C(html), C(junit), C(sbom), C(provenance) and C(index).
  type: dict
  returned: success
verdict:
  description: V(pass), V(warn) or V(fail).
  type: str
  returned: success
summary:
  description: The result in one sentence.
  type: str
  returned: success
checks:
  description: The checks of the contract one by one.
  type: list
  elements: dict
  returned: success
"""
