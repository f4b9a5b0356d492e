"""Action plugin: look at a source on the controller and write the inventory that it proposes. Nothing of the source is run, and no host is asked."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..module_utils.common.stages import SOURCE
from ..module_utils.common.text import spelled
from ..module_utils.source.address import is_address
from ..module_utils.source.errors import SourceError
from ..plugin_utils.proposal import inventory
from ..plugin_utils.proposal.service import look_at
from ..plugin_utils.source_place import directory_on_controller
from ..plugin_utils.stage_action import StageAction


def _taken(port: int) -> bool:
    """Return whether something on this machine listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ActionModule(StageAction):
    """See plugins/modules/propose.py."""

    TRANSFERS_FILES = False
    _requires_connection = False
    stage = SOURCE

    def service(self, args: Mapping[str, Any]) -> str:
        """Return what a failure is told of: the source."""
        return str(args.get("source", "new"))

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Look, write, and return what was found."""
        _spec, args = self.validate_argument_spec(
            argument_spec={
                "source": {"type": "str", "required": True},
                "name": {"type": "str", "default": ""},
                "dest": {"type": "str", "default": ""},
                "command": {"type": "str", "default": "ansible-playbook -i {} proven.go_service.build"},
            }
        )
        source = args["source"]
        if is_address(source):
            raise SourceError("an address cannot be looked at", "Fetch it first (git clone), then name its directory.", "go_service_source")
        root = directory_on_controller(source, "", str(self._task_vars.get("playbook_dir", "")))
        named = args["dest"] or (f"inventory/{args['name']}.yml" if args["name"] else "")
        if named:
            # Before a look that takes long in a large source.
            inventory.refuse_existing(Path(os.path.expanduser(named)))
        service = look_at(root, args["name"])
        path = Path(os.path.expanduser(named or f"inventory/{service.name}.yml"))
        command = args["command"].replace("{}", str(path))
        text = inventory.render(service, os.path.abspath(root), command, _taken)
        if self._task.check_mode:
            inventory.refuse_existing(path)
        else:
            inventory.write_new(path, text)
        told = inventory.guesses(service)
        points = [spelled(point) for point in inventory.open_points(service)]
        return {
            "changed": True,
            "path": str(path),
            "name": service.name,
            "guesses": told,
            "open_points": points,
            "command": command,
            "summary": [
                f"{path}: proposed for {service.name}. Each guess in it says where it comes from.",
                *(f"  {name:<12}  {value}" for name, value in told.items()),
                *(["Left to you:", *(f"  {point}" for point in points)] if points else []),
                "Read it, then run:",
                f"  {command}",
            ],
            "diff": {"before": "", "after": text, "before_header": "", "after_header": str(path)},
        }
