"""Action plugin: examine the Dockerfile by the linters that the controller has, and hand what they find to the module of the same name.

Options beyond the module's: dockerfile (str): text of the rendered Dockerfile, "" where an earlier image is returned to;
report_dir (path), host (str): where the report of the run before is, whose findings are used again for the same Dockerfile.
"""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ..plugin_utils import lint
from ..plugin_utils.report import document as reports


class ActionModule(ActionBase):
    """See the module's docstring."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the module returns."""
        result = super().run(tmp, task_vars)
        del tmp
        args = dict(self._task.args)
        dockerfile, folder, host = args.pop("dockerfile"), args.pop("report_dir"), args.pop("host")
        if dockerfile and not self._task.check_mode:
            before = reports.read(reports.paths(folder, host, args["settings"]["name"])["json"])
            args["dockerfile"] = lint.examine(dockerfile, (before or {}).get("dockerfile"))
        return {**result, **self._execute_module(module_args=args, task_vars=task_vars)}
