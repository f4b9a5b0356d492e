"""Action plugin: wait for the service's lock, then run the module of the same name."""

from __future__ import annotations

from typing import Any

from ..module_utils.common.settings import Settings
from ..module_utils.common.stages import REMOVE
from ..plugin_utils import turn
from ..plugin_utils.stage_action import StageAction

MODULE = "proven.go_service.remove"


class ActionModule(StageAction):
    """See the module's documentation."""

    stage = REMOVE

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what the module returns."""
        settings = Settings.from_json(args["settings"])
        return turn.wait_for(
            lambda lock: self.module(MODULE, {**args, "lock": lock}),
            turn.identity(self.host()),
            settings.name,
            settings.lock_timeout,
            self.tell,
        )
