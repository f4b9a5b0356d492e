"""The settings of a service, from all go_service_* variables of a host: typed and without secret values; or all problems with these variables."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ansible.errors import AnsibleError

from ..module_utils.common.secrets import conceal
from ..module_utils.common.settings import Settings
from ..module_utils.source.address import HIDDEN, shown_address
from .report.document import paths, unwritable
from .units import Rejected
from .variables import FIELDS, PREFIX, InputError, check_variables, unknown_names


def settings_of(variables: Mapping[str, Any], template: Callable[[Any], Any], *, reports: bool) -> Settings:
    """Return the settings; raise InputError with a sentence for each problem.

    variables: of the host, as they are for the service at hand (`given`). template: of the action's templar. reports: whether a report is to be written.
    """
    problems = unknown_names(name for name in variables if isinstance(name, str))
    raw = {name: _value(variables[PREFIX + name], template) for name in FIELDS if PREFIX + name in variables}
    settings = None
    try:
        settings = check_variables(raw)
    except InputError as error:
        problems += error.problems
    problems += _waiver_problems(raw.get("waivers"))
    if settings and not problems:
        # Relative to the current directory, since reports must not be written into an installed collection.
        settings = replace(settings, report_dir=os.path.abspath(os.path.expanduser(settings.report_dir)))
        if reports:
            problems += _report_problems(settings, str(variables.get("inventory_hostname", "")))
    if not settings or problems:
        raise InputError(problems)
    if settings.source_type == "git":
        # The settings are shown, logged and passed to every module; only git gets the complete address.
        settings = replace(settings, source=shown_address(settings.source) or HIDDEN)
    return conceal(settings)


def _report_problems(settings: Settings, host: str) -> list[str]:
    """Check this before anything else: otherwise it would be noticed only when the service already runs."""
    why = unwritable(paths(settings.report_dir, host, settings.name)["json"].parent)
    wanted = f"{PREFIX}report_dir is {settings.report_dir!r}, where no report can be written: {why}"
    return [f"{wanted}. Choose a directory that this user may write to on the controller."] if why else []


def _value(raw: Any, template: Callable[[Any], Any]) -> Any:
    """Return the value of a variable, or Rejected if its template cannot be evaluated."""
    try:
        return template(raw)
    except AnsibleError as error:
        return Rejected(f"cannot be evaluated: {error}".rstrip("."))


def _waiver_problems(waivers: Any) -> list[str]:
    """Return a sentence for each waiver of a check that does not exist; the reasons are checked with the other values."""
    if not waivers or not isinstance(waivers, Mapping):
        return []
    # Imported here, since importing all checks takes a sixth of a second, and few services waive any.
    from ..module_utils.contract import judge  # noqa: PLC0415

    try:
        judge.check_waivers(dict.fromkeys(map(str, waivers), "given"))
    except judge.WaiverError as error:
        return str(error).splitlines()
    return []
