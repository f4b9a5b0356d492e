"""The contract: compares the evidence with every check, applies waivers, and gives one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..common.failure import Problem
from ..common.stages import INPUT
from ..common.text import did_you_mean
from .checks import (
    binary,
    budgets,
    configuration,
    confinement,
    dockerfile,
    files,
    host,
    identity,
    limits,
    privileges,
    publishing,
    restart,
    supply_chain,
)
from .evidence.model import Evidence
from .expected import Expected
from .names import FAIL, PASS, WARN
from .registry import Check, CheckResult

# In the order of the report.
_GROUPS = (
    budgets.GROUP,
    binary.GROUP,
    identity.GROUP,
    files.GROUP,
    configuration.GROUP,
    privileges.GROUP,
    confinement.GROUP,
    limits.GROUP,
    host.GROUP,
    publishing.GROUP,
    restart.GROUP,
    dockerfile.GROUP,
    supply_chain.GROUP,
)
CHECKS: Mapping[str, Check] = {check.id: check for group in _GROUPS for check in group.checks}

REMEDY = "Do what each line says, or waive a check with its reason: go_service_waivers: {check: reason}."


class WaiverError(Problem, ValueError):
    """A waiver names no check, or gives no reason."""

    stage = INPUT
    remedy = "Correct go_service_waivers."


def check_waivers(waivers: Mapping[str, str]) -> None:
    """Raise WaiverError for a waiver of an unknown check (naming the most similar check) or for one without a reason."""
    problems = []
    for name, reason in waivers.items():
        if name not in CHECKS:
            problems.append(
                f"go_service_waivers names the check {name!r}, which does not exist{did_you_mean(name, CHECKS)}. docs/checks.md lists them all."
            )
        elif not isinstance(reason, str) or not reason.strip():
            problems.append(f"go_service_waivers.{name} gives no reason. Write why the check does not apply.")
    if problems:
        raise WaiverError("\n".join(problems))


def evaluate(evidence: Evidence, expected: Expected, waivers: Mapping[str, str] | None = None, group: str = "") -> list[CheckResult]:
    """Judge the evidence by every check, or by those of one group.

    :param waivers: check id -> reason. A waived failure or warning is shown as waived, with the reason, and never as
        passed.
    :returns: one result for each check, in the order of the report.
    :raises WaiverError: a waiver for an unknown check, or without a reason.
    """
    given = waivers or {}
    check_waivers(given)
    chosen = [check for check in CHECKS.values() if group in ("", check.group)]
    return [check.result(check.function(evidence, expected), given) for check in chosen]


def verdict(results: Iterable[CheckResult]) -> str:
    """The verdict of all: "fail" when any check failed, else "warn" when any warned, else "pass"."""
    found = {result.verdict for result in results}
    return next((word for word in (FAIL, WARN) if word in found), PASS)


def failures(results: Iterable[CheckResult]) -> list[str]:
    """A sentence for each failed check, with its remedy, for the message of a failed run."""
    return [
        f"{result.title} ({result.id}): {result.measured} instead of {result.limit}: {result.reason}. {result.remedy}"
        for result in results
        if result.verdict == FAIL
    ]
