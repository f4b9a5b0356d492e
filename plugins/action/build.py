"""Action plugin: build an image by the builder that was chosen, and take the time that it took on this host.

The builder is a module of community.docker, run by its full name as Ansible runs modules from an action: with the task's environment, become,
delegation and check mode. The clock is read right before and after it by the worker of this host, which waits for
no other host.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any

from ..module_utils.common.secrets import mask
from ..module_utils.common.stages import BUILD
from ..module_utils.common.text import visible
from ..plugin_utils.build_log import steps
from ..plugin_utils.stage_action import StageAction
from ..plugin_utils.variables import BUILDERS


class ActionModule(StageAction):
    """See the documentation of the module of the same name."""

    stage = BUILD

    def service(self, args: Any) -> str:
        """Return the service's name."""
        return str(args["name"])

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return how the build went; raise Failure where it failed."""
        _spec, build = self.validate_argument_spec(
            argument_spec={
                "builder": {"type": "str", "required": True, "choices": BUILDERS},
                "name": {"type": "str", "required": True},
                "tag": {"type": "str", "required": True},
                "context": {"type": "str", "required": True},
                "network": {"type": "str", "default": "default"},
                "timeout": {"type": "int", "default": 3600},
                "connection": {"type": "dict", "default": {}},
                "project": {"type": "dict", "default": {}},
            }
        )
        builder = import_module(f"..plugin_utils.builders.{build['builder']}", __package__)
        asked = {**builder.arguments(build), **build["connection"]}
        began = time.monotonic()
        result = self._execute_module(module_name=builder.MODULE, module_args=asked, task_vars=self._task_vars)
        seconds = round(time.monotonic() - began, 1)
        if self._task.check_mode:
            # A context that a check has not staged is no failure.
            return {"changed": bool(result.get("changed") or result.get("failed")), "build": {}}
        failure = builder.failure(result, build["project"])
        if failure:
            raise failure
        printed = builder.log(result)
        return {
            "changed": bool(result.get("changed")),
            "build": {
                "builder": build["builder"],
                "seconds": seconds,
                "cached": builder.was_cached(printed),
                "steps": visible(mask(steps(printed), self.hidden())),
            },
            "image_id": result["image"].get("Id", ""),
        }
