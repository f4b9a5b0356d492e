"""Action plugin: bring a host the image that the build host has proven, from the archive on the controller or from the registry.

Options: settings (dict): the role's settings; offer (dict): what the action `offer` returned of the image; fetched (dict): what it returned with fetch,
empty to look alone. Returns `there`: whether the image is on the host already; `received`: how it came, `way` and `bytes` that were sent.
"""

from __future__ import annotations

import contextlib
import tempfile
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
from ..plugin_utils.fleet import differences
from ..plugin_utils.transfer_action import TransferAction

MODULE = TransferAction.cleaner


class ActionModule(TransferAction):
    """See the module's docstring."""

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what was there, or how it came."""
        settings, offer = Settings.from_json(args["settings"]), args["offer"]
        self._common = {"settings": settings.as_json(), "secrets": self.secrets(), "offer": offer}
        fetched = args.get("fetched") or {}
        if not fetched:
            return self._look(settings, offer)
        if fetched["loaded"]:
            return self._taken(settings, "an earlier run", 0) or {}
        if fetched.get("digest"):
            return self._taken(settings, settings.registry, 0, digest=fetched["digest"]) or {}
        contents = Contents.from_json(fetched["contents"])
        pieces = Depot(C.DEFAULT_LOCAL_TMP).file(archive_of(offer), settings.name)
        taken = self._send(settings, contents, pieces, fetched["present"])
        # An Engine that misses a layer which it seemed to have gets all of them.
        return taken or self._send(settings, contents, pieces, 0) or {}

    def _look(self, settings: Settings, offer: Mapping[str, Any]) -> dict[str, Any]:
        other = differences(settings, offer["with"])
        if other:
            raise Failure(
                stages.INPUT,
                f"{self.host()} is asked for another image than the build host has made: {'; '.join(other)}",
                "One image is for all hosts of a fleet: set what an image is made of for all of them, or run playbooks/build.yml for this host.",
                UNTOUCHED,
            )
        found = self.module(MODULE, {**self._common, "mode": "look", **self.temporary_place()})
        if not self._task.check_mode:
            self.clean(found["left"], self._common)
        return {"changed": False, "there": found["there"], "loaded": found["loaded"], "present": found["present"]}

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
        result = turn.wait_for(
            lambda lock: self.module(MODULE, {**self._common, "mode": "take", "lock": lock, **asked}),
            turn.identity(self.host()),
            settings.name,
            settings.lock_timeout,
            self.tell,
        )
        if result.get("incomplete"):
            return None
        return {"changed": True, "there": False, "received": {"way": way, "bytes": size}}
