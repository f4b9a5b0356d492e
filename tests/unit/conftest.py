"""What the unit tests share: the role's Python package under the name it has on a target."""

from __future__ import annotations

from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).parents[2]

# Ansible ships a role's module_utils as ansible.module_utils.<package>; append them to that name here.
ansible.module_utils.__path__.append(str(ROOT / "roles/go_service/module_utils"))
