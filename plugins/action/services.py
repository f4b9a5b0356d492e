"""Action plugin: check the list go_services, before the first of them is seen to. Runs on the controller alone."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Progress, failed
from ..plugin_utils.variables import check_services


class ActionModule(ActionBase):
    """Returns `names`, of the services in their order. Reads the variable itself: an argument of a task is printed, and services have secrets."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the names, or a failure with every problem of the list."""
        result = super().run(tmp, task_vars)
        del tmp
        try:
            return {**result, "changed": False, "names": check_services(self._templar.template((task_vars or {})["__go_service_list"]))}
        except Exception as error:
            return {**result, **failed(error, "go_services", Progress(stages.INPUT, UNTOUCHED), self._display.verbosity)}
