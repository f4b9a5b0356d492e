"""Action plugin: check all go_service_* variables of a host, and return them typed, without secret values.

Runs on the controller alone. Fails with one message that lists every problem.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils.common import stages
from ..module_utils.common.failure import UNTOUCHED, Progress, failed
from ..module_utils.common.secrets import conceal
from ..module_utils.common.settings import Settings
from ..module_utils.source.address import HIDDEN, shown_address
from ..plugin_utils.report.document import paths, unwritable
from ..plugin_utils.units import Rejected
from ..plugin_utils.variables import FIELDS, PREFIX, InputError, check_variables, given, unknown_names


class ActionModule(ActionBase):
    """Option: reports (bool), whether this run writes a report. Returns `settings`, the variables without their prefix."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings, or a failure that names each wrong variable, its value and what is allowed."""
        result = super().run(tmp, task_vars)
        del tmp
        variables = task_vars or {}
        try:
            variables = given(variables, self._templar.template)
            return {**result, "changed": False, "settings": self._settings(variables)}
        except Exception as error:
            progress = Progress(stages.INPUT, UNTOUCHED)
            name = str(variables.get(f"{PREFIX}name", "go_service"))
            return {**result, **failed(error, name, progress, self._display.verbosity)}

    def _settings(self, variables: dict[str, Any]) -> dict[str, Any]:
        problems = unknown_names(name for name in variables if isinstance(name, str))
        raw = {name: self._value(variables[PREFIX + name]) for name in FIELDS if PREFIX + name in variables}
        settings = None
        try:
            settings = check_variables(raw)
        except InputError as error:
            problems += error.problems
        problems += self._waiver_problems(raw.get("waivers"))
        if settings and not problems:
            # Relative to the directory that the command was called in: an installed collection is no place for somebody's reports.
            settings = replace(settings, report_dir=os.path.abspath(os.path.expanduser(settings.report_dir)))
            if self._task.args.get("reports", True):
                problems += self._report_problems(settings, str(variables.get("inventory_hostname", "")))
        if not settings or problems:
            raise InputError(problems)
        if settings.source_type == "git":
            # The settings are shown, logged and handed to every module; the address whole is for git alone.
            settings = replace(settings, source=shown_address(settings.source) or HIDDEN)
        return conceal(settings).as_json()

    @staticmethod
    def _report_problems(settings: Settings, host: str) -> list[str]:
        """A report that cannot be written must not be found out when the service runs already."""
        why = unwritable(paths(settings.report_dir, host, settings.name)["json"].parent)
        wanted = f"{PREFIX}report_dir is {settings.report_dir!r}, where no report can be written: {why}"
        return [f"{wanted}. Choose a directory that this user may write to on the controller."] if why else []

    def _value(self, raw: Any) -> Any:
        """Return the value of a variable, or Rejected for one that cannot be worked out."""
        try:
            return self._templar.template(raw)
        except AnsibleError as error:
            return Rejected(f"cannot be worked out: {error}".rstrip("."))

    @staticmethod
    def _waiver_problems(waivers: Any) -> list[str]:
        """Return a sentence for each waiver of a check that does not exist; the reasons are checked with the other values."""
        if not waivers or not isinstance(waivers, Mapping):
            return []
        # Imported here: to know all checks takes a sixth of a second, and few services waive any.
        from ..module_utils.contract import judge  # noqa: PLC0415

        try:
            judge.check_waivers(dict.fromkeys(map(str, waivers), "given"))
        except judge.WaiverError as error:
            return str(error).splitlines()
        return []
