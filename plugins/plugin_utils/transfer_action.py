"""The common part of the actions that transfer an image from one host to another."""

from __future__ import annotations

import contextlib
from typing import Any

from ..module_utils.common import stages
from ..module_utils.common.failure import Failure
from ..module_utils.image import sent
from .stage_action import StageAction
from .turn import is_dead


class TransferAction(StageAction):
    """An action whose modules find archives that killed runs have left on a host."""

    stage = stages.TRANSFER
    cleaner = "proven.go_service.receive"

    def temporary_place(self) -> dict[str, str]:
        """Return the options with which a module finds Ansible's temporary directories on the host."""
        return {"remote_tmp": str(self.get_shell_option("remote_tmp", "")), "remote_user": str(self._get_remote_user() or "")}

    def clean(self, left: list[str], common: dict[str, Any]) -> None:
        """Remove the archives on the host whose run has ended, or leave that to the next run; common: options of the module that does it."""
        ended = [path for path in left if is_dead(sent.sender(path))]
        if ended:
            with contextlib.suppress(Failure):
                self.module(self.cleaner, {**common, "mode": "clean", "paths": ended})
