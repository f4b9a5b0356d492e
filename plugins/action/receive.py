"""Action plugin: bring a host the image that the build host has proven, from the archive on the controller or from the registry.

Options: settings (dict): the role's settings; offer (dict): what the action `offer` returned of the image; fetched (dict): what it returned where it brought
the image, and what the look returned, empty to look alone; base_images (dict): as for the action `prepare`. Returns `there`: whether the image is
on the host already; `plan`: if it is, what has to be done with it; `received`: how it came, `way` and `bytes` that were sent, empty if the
host had it.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants as C

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Failure
from ..module_utils.common.settings import Settings
from ..module_utils.image import sent
from ..module_utils.image.pieces import Contents, choose
from ..plugin_utils import turn
from ..plugin_utils.depot import Depot, archive_of
from ..plugin_utils.description import Description, names_of_bases
from ..plugin_utils.fleet import differences
from ..plugin_utils.stage_action import DEPLOY
from ..plugin_utils.transfer_action import TransferAction

MODULE, UNLOCK = TransferAction.cleaner, "proven.go_service.unlock"


class ActionModule(TransferAction):
    """See the module's docstring."""

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what was there, or how it came."""
        self._began = time.monotonic()
        settings, offer = Settings.from_json(args["settings"]), args["offer"]
        self._refuse_another(settings, offer)
        self._bases = args.get("base_images") or {}
        self._common = {
            "settings": settings.as_json(),
            "secrets": self.secrets(),
            "offer": offer,
            "base_images": names_of_bases(settings, self._bases),
        }
        fetched = args.get("fetched") or {}
        if not fetched:
            return self._look(settings)
        if self._task.check_mode:
            return {"changed": not fetched.get("there")}
        self.next_module, self._lock = DEPLOY, ""
        try:
            return self._bring(settings, offer, fetched)
        except BaseException:
            if self._lock:
                with contextlib.suppress(Exception):
                    self.module(UNLOCK, {"settings": self._common["settings"], "lock": self._lock})
            raise

    def _bring(self, settings: Settings, offer: Mapping[str, Any], fetched: Mapping[str, Any]) -> dict[str, Any]:
        if fetched["loaded"]:
            return self._taken(settings, "", 0) or {}
        if fetched.get("digest"):
            return self._taken(settings, settings.registry, 0, digest=fetched["digest"]) or {}
        contents = Contents.from_json(fetched["contents"])
        pieces = Depot(C.DEFAULT_LOCAL_TMP).file(archive_of(offer), settings.name)
        taken = self._send(settings, contents, pieces, fetched["present"])
        # An Engine that misses a layer which it seemed to have gets all of them.
        return taken or self._send(settings, contents, pieces, 0) or {}

    def _refuse_another(self, settings: Settings, offer: Mapping[str, Any]) -> None:
        other = differences(settings, offer["with"])
        if other:
            raise Failure(
                stages.INPUT,
                f"{self.host()} is asked for another image than the build host has made: {'; '.join(other)}",
                "One image is for all hosts of a fleet: set what an image is made of for all of them, or run playbooks/build.yml for this host.",
                UNTOUCHED,
            )

    def _look(self, settings: Settings) -> dict[str, Any]:
        found = self.module(MODULE, {**self._common, "mode": "look", **self.temporary_place()})
        if not self._task.check_mode:
            self.clean(found["left"], self._common)
        seen = {name: found[name] for name in ("there", "loaded", "present")}
        return {"changed": False, **seen, **(self._planned(settings, found) if found["there"] else {})}

    def _planned(self, settings: Settings, found: dict[str, Any], lock: str = "") -> dict[str, Any]:
        """Return what has to be done with an image that is on the host; lock: the token of the lock that is held for it."""
        plan = found["plan"]
        Description({}).complete(plan, settings, self._bases, self._began)
        plan["lock"] = lock
        return {"plan": plan, "diff": found["diff"]}

    def _send(self, settings: Settings, contents: Contents, pieces: Path, present: int) -> dict[str, Any] | None:
        """Send the archive without the lowest layers, which the host has, and have it taken over; None where it lacks one of them."""
        with contextlib.ExitStack() as held:
            with tempfile.NamedTemporaryFile(dir=C.DEFAULT_LOCAL_TMP, suffix=".tar.gz") as chosen:
                if present:
                    sum_, source = choose(pieces, contents, present, Path(chosen.name)), chosen.name
                else:
                    sum_, source = contents.whole, str(pieces)
                archive = held.enter_context(self.brought(source, sent.file_name(turn.controller_identity())))
            asked = {"archive": archive, "sum": {**sum_.as_json(), "whole": not present}}
            return self._taken(settings, "archive", sum_.size, **asked)

    def _taken(self, settings: Settings, way: str, size: int, **asked: Any) -> dict[str, Any] | None:
        """Have the image taken over, waiting for the lock where another run has it; None where the host lacks a layer that was left out."""
        asked.update(self.temporary_place())
        result = turn.wait_for(
            lambda lock: {**self.module(MODULE, {**self._common, "mode": "take", "lock": lock, **asked}), "token": lock["token"]},
            turn.identity(self.host()),
            settings.name,
            settings.lock_timeout,
            self.tell,
        )
        self._lock = result["token"] if result.get("held") else ""
        for sentence in result["recovered"]:
            self.tell(sentence)
        if result.get("incomplete"):
            return None
        for sentence in result["plan"]["hints"]:
            self.tell(sentence)
        self.clean(result["left"], self._common)
        # Another run may have brought it meanwhile.
        received = {"way": way, "bytes": size} if result["brought"] else {}
        return {"changed": result["changed"], "there": False, "received": received, **self._planned(settings, result, self._lock)}
