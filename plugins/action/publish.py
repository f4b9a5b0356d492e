"""Action plugin: hand the secret values to the module of the same name. Its options are the module's."""

from __future__ import annotations

from typing import Any

from ..module_utils.common import stages
from ..plugin_utils.stage_action import StageAction


class ActionModule(StageAction):
    """See the module's documentation."""

    stage = stages.TRANSFER

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what the module returns."""
        return self.module("proven.go_service.publish", {**args, "secrets": self.secrets()})
