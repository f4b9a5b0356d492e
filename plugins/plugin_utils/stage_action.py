"""What the actions of the role have in common: they end as a stage does, by a result or by a failure that says it all."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils.common.failure import FULL, UNTOUCHED, Failure, Problem, Progress, failed
from ..module_utils.common.names import containers_command
from ..module_utils.common.secrets import pack
from ..module_utils.common.text import visible
from .results import why
from .variables import given, secret_texts, secret_variables

PREPARE, DEPLOY = "proven.go_service.prepare", "proven.go_service.deploy"
_LAST_LINES = 20
_REACH = "Make sure that the controller reaches the host, then run again."
_REMEDY = "See that this host can run Ansible's modules for this user: its Python, its disk, the user's rights (become). Then run again."
_ROOM = "Free space on the host: df shows what is full (the home directory of the SSH user, /tmp, and what the path above is in). Then run again."


def failure_of_module(result: Mapping[str, Any], stage: str, still_runs: str) -> Failure:
    """Return the failure that the result of a failed module is: the one that it tells, or else one of its message."""
    if result.get("failure"):
        return Failure.from_dict(result["failure"])
    printed = str(result.get("module_stderr") or result.get("module_stdout") or "").splitlines()
    problem = _of_ansible(why(result) or "a module failed without a word", *printed)
    return Failure(stage, problem.message, problem.remedy, still_runs, printed[-_LAST_LINES:])


def _of_ansible(words: str, *printed: str) -> Problem:
    """Return the problem of a module that Ansible could not run; words: what Ansible says, printed: what the host printed."""
    full = next((line for line in (*words.splitlines(), *printed) if re.search(FULL, line, re.I)), "")
    if not full:
        return Problem(words, _REMEDY)
    # The path is in the first line, the reason may be in the last.
    return Problem(" ".join(words.split()) if full in words else f"{words}: {full.strip()}", _ROOM)


def spare_inherited_objects() -> None:
    """Let Python's collector of reference cycles look only at objects that are new from now on, and less often (https://docs.python.org/3/library/gc.html#gc.freeze).

    A worker of Ansible begins with all objects of the controller. To pack a module, Ansible makes the syntax trees of some hundred files, and the collector went through old and new objects
    again and again meanwhile: half of the time of a packing. Without any collector, the memory would grow by half.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)


class StageAction(ActionBase):
    """An action of one stage. `stage`: the stage that it begins with; `work` does it; `next_module`: what the task after it most likely runs on the host.

    While it works, `self._progress` says how far it is, `self._task_vars` holds the variables of the host, and `self._given` the same as they are
    for the service at hand.
    """

    _supports_check_mode = True
    stage = ""
    next_module = ""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what the work returns, or its failure."""
        # This process of Ansible's does this task alone.
        spare_inherited_objects()
        result = super().run(tmp, task_vars)
        del tmp
        self._task_vars = task_vars or {}
        self._given = given(self._task_vars, self._templar.template)
        self._progress = Progress(self.stage, UNTOUCHED)
        try:
            return {**result, **self.work(dict(self._task.args))}
        except AnsibleConnectionFailure as error:
            # Ansible itself tells a host that is out of reach. But it ends a run if that holds for all of a batch: then no table says which host of a fleet runs what.
            if "__go_service_fleet_begun" not in self._task_vars:
                raise
            name = self.service(self._task.args)
            unknown = f"It is not known: {containers_command(name)} shows it. The next run finishes or undoes what was begun."
            failure = Failure(self._progress.stage, f"the host cannot be reached any more: {error}", _REACH, unknown)
            return {**result, **failed(failure, name, self._progress, self._display.verbosity, self.hidden())}
        except Exception as error:
            problem = _of_ansible(str(error)) if isinstance(error, AnsibleError) else error
            return {**result, **failed(problem, self.service(self._task.args), self._progress, self._display.verbosity, self.hidden())}

    def cleanup(self, force: bool = False) -> None:
        """Remove Ansible's temporary directory on the host, or leave it if the host cannot be reached: that must not take the place of the result."""
        with contextlib.suppress(AnsibleConnectionFailure):
            super().cleanup(force)

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Do the stage's work and return its result; raise anything where it fails."""
        raise NotImplementedError

    def service(self, args: Mapping[str, Any]) -> str:
        """Return the service's name, from the task's arguments."""
        return str(args["settings"]["name"])

    def secrets(self) -> str:
        """Return the values of the host's secret variables, packed for a module; raise Problem where others of the host could read them."""
        values = secret_variables(self._given, self._templar.template)
        if any(values.values()) and self._is_become_unprivileged() and not self._is_pipelining_enabled("new"):
            # A module lies in a file then, with its arguments, for as long as it runs.
            opened = [name for name in ("world_readable_temp", "common_remote_group") if self.get_shell_option(name)]
            if opened:
                raise Problem(
                    f"a module with secret values would lie in a file that others of the host can read: Ansible's option {' and '.join(opened)} "
                    "allows it where one user becomes another, and pipelining is off",
                    "Switch pipelining on (ansible_pipelining: true, with sudo; su knows none), or install acl on the host and take the option away, or become root.",
                )
        return pack(values)

    def hidden(self) -> tuple[str, ...]:
        """Return what is taken out of foreign text."""
        return secret_texts(self._given, self._templar.template)

    def places(self) -> tuple[str, str]:
        """Return the directories of the inventory and of the playbook, "" where there is none."""
        return str(self._task_vars.get("inventory_dir") or ""), str(self._task_vars.get("playbook_dir") or "")

    def host(self) -> str:
        """Return the inventory's name of the host."""
        return str(self._task_vars.get("inventory_hostname", ""))

    def tell(self, sentence: str) -> None:
        """Tell a person something while the work goes on."""
        # It may name files of the source, and who holds a lock.
        self._display.display(f"[{self.host()}]: {visible(sentence)}")

    @contextlib.contextmanager
    def brought(self, source: str, name: str) -> Iterator[str]:
        """Bring a file of the controller to the host as long as the block runs, and yield its path there; name: of the file there."""
        temporary = self._make_tmp_path()
        try:
            path = self._transfer_file(source, self._connection._shell.join_path(temporary, name))
            # Fails where one user without rights becomes another, and the host has no acl.
            self._fixup_perms2((temporary, path))
            yield path
        finally:
            self._remove_tmp_path(temporary)

    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> tuple[Any, ...]:
        """Pack a module as Ansible does, and then the next one beside its run: the task after this finds it in Ansible's cache, half a second earlier."""
        packed = super()._configure_module(module_name, module_args, task_vars)
        if self.next_module and (os.cpu_count() or 1) > 1:
            name, self.next_module = self.next_module, ""
            threading.Thread(target=self._pack_ahead, args=(name, task_vars), daemon=True).start()
        return packed

    def _pack_ahead(self, name: str, task_vars: dict[str, Any]) -> None:
        # What goes wrong here comes up again, and is told, where the module is needed.
        with contextlib.suppress(Exception):
            super()._configure_module(name, {}, task_vars)

    def module(self, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Run a module on the target and return its result; raise Failure where it failed."""
        result = self._execute_module(module_name=name, module_args=dict(args), task_vars=self._task_vars)
        if result.get("failed"):
            raise failure_of_module(result, self._progress.stage, self._progress.still_runs)
        return result
