#!/usr/bin/python
"""Documentation of the action plugin of the same name."""

DOCUMENTATION = r"""
---
module: fetch
short_description: Fetch the source of a Go service from git
description:
  - Runs M(ansible.builtin.git) on the host for O(settings); if the fetch fails, the message quotes git and says what to do.
  - The address is that of the variable C(go_service_source). A password or token in it is given only to git, and is stored nowhere.
attributes:
  check_mode: {support: full, description: "Asks the repository, and changes nothing on the host."}
  diff_mode: {support: full, description: As M(ansible.builtin.git).}
  idempotent: {support: full, description: A version that is already there is not fetched again.}
options:
  settings:
    description: The role's settings, as M(proven.go_service.settings) returns them.
    type: dict
    required: true
  dest:
    description: Directory of the source on the host.
    type: path
    required: true
author:
  - go_service contributors (@go-service)
"""

EXAMPLES = r"""
- name: Fetch the source from git
  proven.go_service.fetch:
    settings: "{{ __go_service_record.settings }}"
    dest: /var/lib/go-service/cat-server/source
"""

RETURN = r"""
before:
  description: Commit that was there.
  type: str
  returned: success
after:
  description: Commit that is there.
  type: str
  returned: success
unfetched:
  description: Why the source on the host is not the one that a run would see.
  type: str
  returned: in check mode, where the repository has another commit
failure:
  description: Why the fetch failed.
  type: dict
  returned: failure
"""
