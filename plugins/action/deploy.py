"""Action plugin: examine the Dockerfile by the linters that the controller has, and hand what they find to the module of the same name.

Options beyond the module's: dockerfile (str): text of the rendered Dockerfile, "" where an earlier image is returned to;
report_dir (path), host (str): where the report of the run before is, whose findings are used again for the same Dockerfile.
"""

from __future__ import annotations

from typing import Any

from ..module_utils.common import stages
from ..module_utils.common.names import containers_command
from ..plugin_utils import lint
from ..plugin_utils.report import document
from ..plugin_utils.stage_action import StageAction, failure_of_module


class ActionModule(StageAction):
    """See the module's docstring."""

    stage = stages.CANDIDATE

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what the module returns."""
        dockerfile, folder, host = args.pop("dockerfile"), args.pop("report_dir"), args.pop("host")
        args["secrets"] = self.secrets()
        name = args["settings"]["name"]
        if dockerfile and not self._task.check_mode:
            before = document.read(document.paths(folder, host, name)["json"])
            args["dockerfile"] = lint.examine(dockerfile, (before or {}).get("dockerfile"))
        result = self._execute_module(module_args=args, task_vars=self._task_vars)
        if result.get("failed") and not result.get("failure"):
            # The module was broken off: what it left is seen on the host alone.
            look = f"It is not known: {containers_command(name)} shows it. The next run finishes or undoes what was begun."
            raise failure_of_module(result, stages.CANDIDATE if args["prove_only"] else stages.SWAP, look)
        return result
