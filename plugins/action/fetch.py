"""Action plugin: fetch the source of a service from git to the target, by ansible.builtin.git.

Options: settings (dict): the role's settings; dest (path): the directory on the target.

A password or token in the address goes to git by a program that git asks for it (GIT_ASKPASS): as an argument everybody on the target would
see it, modules would log it, and it would stay in the configuration of the repository.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import urllib.parse
from collections.abc import Iterator
from typing import Any

from ..module_utils.common.failure import DISK_FULL, Failure
from ..module_utils.common.secrets import credentials, mask, without_credentials
from ..module_utils.common.settings import Settings
from ..module_utils.common.stages import SOURCE
from ..module_utils.common.text import visible
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

# Git asks "Username for 'https://host'" and "Password for 'https://user@host'", with the path behind the host where it is configured so.
_ASKPASS = """#!/bin/sh
where=${{1#*\\'}}
scheme=${{where%%://*}}
where=${{where#*://}}
where=${{where%%[/\\']*}}
case "$scheme://${{where##*@}}" in {0}) ;; *) exit 1 ;; esac
case "$1" in
Username*) printf '%s\\n' {1} ;;
*) printf '%s\\n' {2} ;;
esac
"""


def askpass(address: str) -> str:
    """Return a program that answers git's two questions, for the user and for the password, from what stands in an address.

    It answers for the host of the address alone: a submodule, or where a server sends git on to, may be anywhere.
    """
    user, _colon, password = (urllib.parse.unquote(part) for part in credentials(address).partition(":"))
    scheme, _slashes, rest = without_credentials(address).partition("://")
    host = rest.partition("/")[0]
    # A server that moves from http to https stays the same.
    asked = sorted({f"{scheme}://{host}", f"https://{host}"})
    return _ASKPASS.format("|".join(map(shlex.quote, asked)), shlex.quote(user), shlex.quote(password))


def explain(result: dict[str, Any], settings: Settings, still_runs: str) -> Failure:
    """Return the failure of a fetch: what git said, and what to do about it."""
    said = failure_of_module(result, SOURCE, still_runs)
    told = [*said.message.splitlines(), *said.evidence, *str(result.get("stderr", "")).splitlines()]
    lines = [line for line in dict.fromkeys(told) if line.strip()][-_LINES:]
    text = "\n".join(lines)
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.I)), _OTHERWISE)
    return Failure(
        SOURCE, f"the source cannot be fetched from {settings.source}, version {settings.source_version}", remedy, still_runs, lines
    )


class ActionModule(StageAction):
    """See the module's docstring."""

    _supports_diff = True
    stage = SOURCE

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Return what ansible.builtin.git returns, and of a check `unfetched`: why the source on the host is not the one that a run would see."""
        settings = Settings.from_json(args["settings"])
        # The settings have the address as it may be shown; here alone it is needed whole.
        address = str(self._templar.template(self._given[f"{PREFIX}source"]))
        asked = {
            "repo": without_credentials(address),
            "dest": args["dest"],
            "version": settings.source_version,
            "force": True,
            "umask": "0077",
        }
        with self._answering(address) as answers:
            self._task.environment = [*(self._task.environment or []), {**_NOTHING_OF_THE_CLONE, **answers}]
            fetched = self._execute_module(module_name="ansible.builtin.git", module_args=asked, task_vars=self._task_vars)
        result = mask(fetched, self.hidden())
        if result.get("failed"):
            raise explain(result, settings, self._progress.still_runs)
        if self._task.check_mode and result.get("changed"):
            # A check asks the repository (git ls-remote) and leaves the host as it is.
            there = f"it has {str(result['before'])[:12]}" if result.get("before") else "it has none yet"
            result["unfetched"] = f"the source is fetched to the host first: {there}, the repository {str(result.get('after'))[:12]}"
        return dict(visible(result))

    @contextlib.contextmanager
    def _answering(self, address: str) -> Iterator[dict[str, str]]:
        """Yield the environment by which git gets user and password as long as the block runs, from a program that only its user can read."""
        if not credentials(address):
            yield {}
            return
        directory = self._make_tmp_path()
        try:
            program = self._transfer_data(self._connection._shell.join_path(directory, "askpass"), askpass(address))
            self._fixup_perms2((directory, program))
            yield {"GIT_ASKPASS": program}
        finally:
            self._remove_tmp_path(directory)
