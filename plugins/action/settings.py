"""Action plugin: check all go_service_* variables of a host, and return them typed, without secret values.

Runs on the controller alone. Fails with one message that lists every problem.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Progress, failed
from ..plugin_utils.input import settings_of
from ..plugin_utils.variables import PREFIX, given


class ActionModule(ActionBase):
    """Option: reports (bool), whether this run writes a report. Returns `settings`, the variables without their prefix."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings, or a failure that names each wrong variable, its value and what is allowed."""
        result = super().run(tmp, task_vars)
        del tmp
        variables, template = task_vars or {}, self._templar.template
        try:
            variables = given(variables, template)
            settings = settings_of(variables, template, reports=bool(self._task.args.get("reports", True)))
            return {**result, "changed": False, "settings": settings.as_json()}
        except Exception as error:
            progress = Progress(stages.INPUT, UNTOUCHED)
            name = str(variables.get(f"{PREFIX}name", "go_service"))
            return {**result, **failed(error, name, progress, self._display.verbosity)}
