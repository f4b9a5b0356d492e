"""Action plugin: describe the source where it is, compare it with the target, and send what differs.

With the source on the controller nothing travels but the module itself when nothing changed; otherwise one archive of the files
that the target lacks. Peak memory does not grow with the size of the source: files are hashed and packed one block at a time.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible import constants as C

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Failure
from ..module_utils.common.settings import Settings
from ..module_utils.image.manifest import Entry, difference
from ..module_utils.image.transfer import write_archive
from ..plugin_utils import turn
from ..plugin_utils.description import Description, generate, names_of_bases, of_source
from ..plugin_utils.stage_action import DEPLOY, PREPARE, StageAction


class ActionModule(StageAction):
    """See the module's documentation. Options of the action alone:

    base_images: reference -> {"image": reference to use instead}; ignored: the lists of the .dockerignore template; host_source: directory of a
    source on the target; unfetched: why a check cannot see the source, "" if it can; keep_lock: take the lock even if nothing is to do;
    must_be_built: fail where the image is not built; seen: what action look has seen of the service already.
    """

    _supports_diff = True
    stage = stages.SOURCE

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return the plan, with the context staged unless nothing has to be done or this is a check."""
        return self._prepare(Settings.from_json(args["settings"]), args.get("base_images") or {}, args["ignored"])

    def _module(self, **args: Any) -> dict[str, Any]:
        return self.module(PREPARE, args)

    def _describe(self, settings: Settings, bases: list[str], ignored: dict[str, Any], unfetched: str) -> Description:
        asked: dict[str, Any] = {
            "settings": settings.as_json(),
            "secrets": self.secrets(),
            "base_images": bases,
            "deploy_follows": bool(self._task.args.get("deploy_follows")),
        }
        if unfetched:
            return Description({**asked, "unfetched": unfetched})
        if settings.image_tag:
            return Description(asked)
        if settings.source_type == "controller":
            return of_source(settings, asked, [bases], self.places(), ignored=ignored)
        known = {key: asked[key] for key in ("settings", "secrets")}
        found = self._module(mode="analyze", source_root=self._task.args["host_source"], **known)
        project = found["project"]
        files = generate(settings, project, bases, ignored)
        return Description({**asked, **files, "project": project, "source_root": found["source_root"]}, project)

    def _prepare(self, settings: Settings, base_images: dict, ignored: dict[str, Any]) -> dict[str, Any]:
        began = time.monotonic()
        bases = names_of_bases(settings, base_images)
        unfetched = str(self._task.args.get("unfetched") or "") if self._task.check_mode else ""
        described = self._describe(settings, bases, ignored, unfetched)
        common, project, root, entries = described.asked, described.project, described.root, described.entries
        seen = self._task.args.get("seen") or {}
        self._progress.at(stages.LOOK)
        compared = seen if seen.get("mark") == described.mark else self._module(mode="compare", **common)
        plan = compared["plan"]
        if self._task.args.get("must_be_built") and plan["build"] and not unfetched:
            message = f"the image of this source is not built on this host: {'; '.join(plan['build'])}"
            raise Failure(stages.IMAGE, message, "Build it first (playbooks/build.yml, or tasks_from: build).", UNTOUCHED)
        staged = plan.pop("staged", [])
        described.complete(plan, settings, base_images, began)
        if plan["builder"].get("reason"):
            self.tell(f"BuildKit builds the image instead of docker_image: {plan['builder']['reason']}.")
        for sentence in plan["hints"]:
            self.tell(sentence)
        if plan["build"]:
            for sentence in described.left_out or plan["left_out"]:
                self.tell(sentence)
        if plan["build"] and project.get("cgo_files"):
            self.tell(f'{", ".join(project["cgo_files"])} is left out of the build: it imports "C", and a static build switches cgo off.')
        for sentence in project.get("placeholders") or () if plan["build"] else ():
            self.tell(
                f"{sentence}, of which the source has hidden files alone: if the rest is generated, as a web page is, generate it before the run."
            )
        outcome = {"changed": compared["changed"], "plan": plan, "diff": compared["diff"]}
        keep_lock = bool(self._task.args.get("keep_lock"))
        todo = plan["build"] or plan["deploy"] or plan["leftovers"] or keep_lock
        if self._task.check_mode or not todo:
            return outcome
        self._progress.at(stages.STAGE)
        self.next_module = DEPLOY
        if plan["builder"]:
            self.next_module = import_module(f"..plugin_utils.builders.{plan['builder']['name']}", __package__).MODULE
        common = {**common, "builder": plan["builder"], "keep_lock": keep_lock}
        after = self._stage(settings, common, root if plan["build"] else None, entries, staged)
        after["plan"].pop("staged", None)
        known = {key: plan[key] for key in ("project", "bases", "stand_in", "dockerfile", "files", "bytes")}
        known["lock"] = after["token"] if after["held"] else ""
        known["seconds"] = round(time.monotonic() - began, 2)
        outcome.update(changed=after["changed"], recovered=after["recovered"], plan={**after["plan"], **known})
        return outcome

    def _stage(self, settings: Settings, common: dict[str, Any], root: Path | None, entries: list[Entry], staged: list) -> dict[str, Any]:
        """Send what the target lacks, waiting for the lock where another run has it."""
        archive = ""
        delete: list[str] = []
        with contextlib.ExitStack() as held:
            send: list[Entry] = []
            if root is not None:
                send, delete = difference(entries, staged)
            if root is not None and (send or delete):
                with tempfile.NamedTemporaryFile(dir=C.DEFAULT_LOCAL_TMP, suffix=".tar.gz") as packed:
                    write_archive(root, send, Path(packed.name))
                    archive = held.enter_context(self.brought(packed.name, "context.tar.gz"))
            result = turn.wait_for(
                lambda lock: {**self._module(mode="stage", lock=lock, archive=archive, delete=delete, **common), "token": lock["token"]},
                turn.identity(self.host()),
                settings.name,
                settings.lock_timeout,
                self.tell,
            )
            # In the task's result they show with -v alone.
            for sentence in result["recovered"]:
                self.tell(sentence)
            return result
