"""Action plugin: fetch the source of a service from git to the target, by ansible.builtin.git.

Options: settings (dict): the role's settings; dest (path): the directory on the target.
"""

from __future__ import annotations

import re
from typing import Any

from ..module_utils.common.failure import DISK_FULL, Failure
from ..module_utils.common.stages import SOURCE
from ..module_utils.source.address import without_credentials
from ..plugin_utils.stage_action import StageAction, failure_of_module
from ..plugin_utils.variables import PREFIX

_LINES = 10
# Over whatever the clone's own configuration says (git 2.31 and newer): it runs no hook and no monitor, and asks nobody for a password.
_NOTHING_OF_THE_CLONE = {
    "GIT_CONFIG_COUNT": "2",
    "GIT_CONFIG_KEY_0": "core.hooksPath",
    "GIT_CONFIG_VALUE_0": "/dev/null",
    "GIT_CONFIG_KEY_1": "core.fsmonitor",
    "GIT_CONFIG_VALUE_1": "false",
    "GIT_TERMINAL_PROMPT": "0",
}
# What git says -> what to do about it.
_REMEDIES = (
    (r"no space left on device", DISK_FULL),
    (
        r"find required executable|git: (?:command )?not found",
        "Install git on the host, or bring the source another way (go_service_source_type).",
    ),
    (
        r"authentication failed|permission denied|could not read (?:username|password)|host key verification|terminal prompts disabled|returned error: 40[13]",
        "Give the user of this play on the host the right to read the repository (a deploy key, a credential helper, its host key), then run again.",
    ),
    (
        r"could not resolve host|unable to access|connection (?:refused|timed out)|network is unreachable|does not appear to be a git repository"
        r"|repository .*not (?:found|exist)|not found",
        "Check go_service_source, and that the host reaches it (git ls-remote, run there as the user of this play).",
    ),
    (
        r"failed to checkout|pathspec|did not match|remote branch|couldn't find remote ref|reference is not a tree",
        "Set go_service_source_version to a branch, a tag or a commit that the repository has.",
    ),
)
_OTHERWISE = (
    "Try it on the host as the user of this play (git ls-remote), correct go_service_source or go_service_source_version, run again."
)


def explain(result: dict[str, Any], settings: dict[str, Any], address: str, still_runs: str) -> Failure:
    """Return the failure of a fetch: what git said, and what to do about it."""
    said = failure_of_module(result, SOURCE, still_runs)
    told = [
        without_credentials(line, address)
        for line in [*said.message.splitlines(), *said.evidence, *str(result.get("stderr", "")).splitlines()]
    ]
    lines = [line for line in dict.fromkeys(told) if line.strip()][-_LINES:]
    text = "\n".join(lines)
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.I)), _OTHERWISE)
    return Failure(
        SOURCE, f"the source cannot be fetched from {settings['source']}, version {settings['source_version']}", remedy, still_runs, lines
    )


class ActionModule(StageAction):
    """See the module's docstring."""

    _supports_diff = True
    stage = SOURCE

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what ansible.builtin.git returns."""
        settings = args["settings"]
        # The settings have the address as it may be shown; here alone it is needed whole. The clone's configuration holds it.
        address = str(self._templar.template(self._task_vars[f"{PREFIX}source"]))
        asked = {"repo": address, "dest": args["dest"], "version": settings["source_version"], "force": True, "umask": "0077"}
        self._task.environment = [*(self._task.environment or []), _NOTHING_OF_THE_CLONE]
        result = self._execute_module(module_name="ansible.builtin.git", module_args=asked, task_vars=self._task_vars)
        if result.get("failed"):
            raise explain(result, settings, address, self._progress.still_runs)
        return result
