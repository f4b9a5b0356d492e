"""Action plugin: build an image by the builder that was chosen, and take the time that it took on this host.

The builder is a module of community.docker, run by its full name as Ansible runs modules from an action: with the task's environment, become,
delegation and check mode. The clock is read right before and after it by the worker of this host, which waits for
no other host.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from ..module_utils.common.failure import UNTOUCHED, Failure
from ..module_utils.common.secrets import mask
from ..module_utils.common.settings import Settings
from ..module_utils.common.stages import BUILD
from ..module_utils.common.text import visible
from ..module_utils.image.changes import NOT_AS_RECORDED
from ..module_utils.image.module_access import DOWNLOAD, way
from ..plugin_utils.build_log import explain, steps
from ..plugin_utils.build_step import watched
from ..plugin_utils.stage_action import DEPLOY, StageAction
from ..plugin_utils.variables import BUILDERS

MODULES = "proven.go_service.private_modules"


class ActionModule(StageAction):
    """See the documentation of the module of the same name."""

    stage = BUILD
    next_module = DEPLOY

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return how the build went; raise Failure where it failed."""
        _spec, build = self.validate_argument_spec(
            argument_spec={
                "builder": {"type": "str", "required": True, "choices": BUILDERS},
                "tag": {"type": "str", "required": True},
                "context": {"type": "str", "required": True},
                "changes": {"type": "str", "default": ""},
                "dockerfile": {"type": "str", "default": ""},
                "connection": {"type": "dict", "default": {}},
                "project": {"type": "dict", "default": {}},
                "settings": {"type": "dict", "required": True},
                "builder_image": {"type": "str", "required": True},
                "standing": {"type": "dict", "default": {}},
            }
        )
        builder = import_module(f"..plugin_utils.builders.{build['builder']}", __package__)
        settings = Settings.from_json(build["settings"])
        build["project"] = {**build["project"], "credentials": sorted(settings.build_secrets)}
        named = {"name": settings.name, "network": settings.build_network, "timeout": settings.build_timeout}
        began, hidden = time.monotonic(), self.hidden()
        with self._private_modules(build, settings) as access, watched(self._connection, self.host(), build["dockerfile"], hidden):
            for context in filter(None, (build["changes"], build["context"])):
                asked = {**builder.arguments({**build, **named, "context": context, "access": access}), **build["connection"]}
                result = self._execute_module(module_name=builder.MODULE, module_args=asked, task_vars=self._task_vars)
                # Somebody may have changed something in the Engine: then the whole source is built, which costs only time.
                if not (result.get("failed") and NOT_AS_RECORDED in str(result)):
                    break
        seconds = round(time.monotonic() - began, 1)
        if self._task.check_mode:
            # A context that a check has not staged is no failure.
            return {"changed": bool(result.get("changed") or result.get("failed")), "build": {}, "stage": {}}
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
                "steps": visible(mask(steps(printed), hidden)),
            },
            "stage": {"id": builder.stage(printed), **build["standing"]},
            "image_id": result["image"].get("Id", ""),
        }

    @contextlib.contextmanager
    def _private_modules(self, build: Mapping[str, Any], settings: Settings) -> Iterator[str]:
        """Let the builder read private modules as long as the block runs; yield the path of the program by which it does, "" where it needs none."""
        if self._task.check_mode or not way(settings, build["project"]):
            yield ""
            return
        known = {name: build[name] for name in ("settings", "project", "builder_image")}
        try:
            with self._bundled(settings.build_modules) as archive:
                given = self.module(MODULES, {**known, "state": "present", "secrets": self.secrets(), "archive": archive})
            if given["code"]:
                raise explain("", DOWNLOAD, given["printed"], build["project"])
            yield given["access"]
        except BaseException:
            with contextlib.suppress(Failure):
                self.module(MODULES, {**known, "state": "absent"})
            raise
        self.module(MODULES, {**known, "state": "absent"})

    def _bundled(self, modules: str) -> contextlib.AbstractContextManager[str]:
        """Return what brings an archive of modules to the host, and gives its path there, "" for none. modules: its path here."""
        if not modules:
            return contextlib.nullcontext("")
        source = os.path.expanduser(modules)
        if not os.path.isfile(source):
            raise Failure(
                BUILD, f"there is no archive of modules {source} on the controller", "Correct go_service_build_modules.", UNTOUCHED
            )
        return self.brought(source, "modules.tar")
