"""What a check is, what it may return, and how that becomes a result.

A check is a function of the evidence and of what was expected, which returns an Outcome; the decorator `check` of its group gives it
its id, title and remedy. `judge.CHECKS` holds the checks of all groups; the documentation is generated from it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .evidence.model import Evidence
from .expected import Expected
from .names import FAIL, GROUPS, PASS, SEVERITIES, SKIP, WAIVED, WARN
from .rules import RULES


@dataclass(frozen=True)
class Outcome:
    """What a check found.

    measured, limit: as text for a reader. reason: why it is not a plain pass. remedy: what to do in this case, if the
    check's own remedy is too general. amount, allowed, unit: the same as numbers, for a check with a budget.
    """

    verdict: str
    measured: str = ""
    limit: str = ""
    reason: str = ""
    remedy: str = ""
    amount: float | None = None
    allowed: float | None = None
    unit: str = ""


def passed(measured: str = "", limit: str = "", reason: str = "") -> Outcome:
    """The check is met."""
    return Outcome(PASS, measured, limit, reason)


def failed(measured: str, limit: str, reason: str, remedy: str = "") -> Outcome:
    """The check is not met, and the run must not go on."""
    return Outcome(FAIL, measured, limit, reason, remedy)


def warned(measured: str, limit: str, reason: str, remedy: str = "") -> Outcome:
    """The check is not fully met; the run may go on."""
    return Outcome(WARN, measured, limit, reason, remedy)


def skipped(reason: str, measured: str = "") -> Outcome:
    """Nothing could be judged, which is not the same as a pass."""
    return Outcome(SKIP, measured, reason=reason)


@dataclass(frozen=True)
class CheckResult:
    """The result of one check, with everything a report shows of it.

    verdict: pass, warn, fail, skip or waived. reason: why it is not a plain pass. waiver: the user's reason, if it
    is waived. remedy: what to do about it; empty for a pass. amount, allowed, unit: of a budget, else None and "".
    """

    id: str
    title: str
    group: str
    severity: str
    verdict: str
    measured: str = ""
    limit: str = ""
    reason: str = ""
    waiver: str = ""
    remedy: str = ""
    rules: tuple[str, ...] = ()
    amount: float | None = None
    allowed: float | None = None
    unit: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The result as plain data, as it stands in a report."""
        return {**asdict(self), "rules": list(self.rules)}


CheckFunction = Callable[[Evidence, Expected], Outcome]


@dataclass(frozen=True)
class Check:
    """A check and what is known about it before it runs. about: what it looks at, for the documentation."""

    id: str
    title: str
    group: str
    severity: str
    remedy: str
    rules: tuple[str, ...]
    about: str
    function: CheckFunction

    def result(self, outcome: Outcome, waivers: Mapping[str, str]) -> CheckResult:
        """Make the result of an outcome; only a failure or a warning becomes "waived" by a waiver."""
        result = CheckResult(
            id=self.id,
            title=self.title,
            group=self.group,
            severity=self.severity,
            verdict=outcome.verdict,
            measured=outcome.measured,
            limit=outcome.limit,
            reason=outcome.reason,
            remedy=(outcome.remedy or self.remedy) if outcome.verdict in (WARN, FAIL) else "",
            rules=self.rules,
            amount=outcome.amount,
            allowed=outcome.allowed,
            unit=outcome.unit,
        )
        if self.id in waivers and outcome.verdict in (WARN, FAIL):
            return replace(result, verdict=WAIVED, waiver=waivers[self.id])
        return result


class Group:
    """Checks of one group, in the order of the report; one file for each group, and several for a large group. key: one of GROUPS."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.checks: list[Check] = []

    def check(
        self, identifier: str, title: str, *, severity: str, remedy: str, rules: tuple[str, ...] = ()
    ) -> Callable[[CheckFunction], CheckFunction]:
        """Enter a function into the group. Its docstring is the check's description.

        :raises ValueError: an id that is taken, or a group, severity or rule that is not known.
        """

        def enter(function: CheckFunction) -> CheckFunction:
            wrong = {
                "its id is taken": identifier in [known.id for known in self.checks],
                f"its group {self.key!r} is not in GROUPS of contract/names.py": self.key not in GROUPS,
                f"its severity {severity!r} is none of {', '.join(SEVERITIES)}": severity not in SEVERITIES,
                "its function has no docstring, which is its description": not function.__doc__,
                **{f"its rule {rule!r} is not in RULES of contract/rules.py": rule not in RULES for rule in rules},
            }
            told = [sentence for sentence, is_so in wrong.items() if is_so]
            if told:
                raise ValueError(f"the check {identifier} is entered wrongly: {'; '.join(told)}")
            about = " ".join(inspect.cleandoc(function.__doc__ or "").split())
            self.checks.append(Check(identifier, title, self.key, severity, remedy, rules, about, function))
            return function

        return enter


def needs_container(function: CheckFunction) -> CheckFunction:
    """Skip a check of the running container if only the image is looked at."""

    @functools.wraps(function)
    def guarded(evidence: Evidence, expected: Expected) -> Outcome:
        if evidence.container is None:
            return skipped("only the image was looked at, no container was started")
        return function(evidence, expected)

    return guarded


def needs_layers(function: CheckFunction) -> CheckFunction:
    """Skip a check of the contents of each layer if the layers could not be read."""

    @functools.wraps(function)
    def guarded(evidence: Evidence, expected: Expected) -> Outcome:
        if not evidence.layers:
            return skipped("; ".join(evidence.gaps) or "the layers of the image were not read")
        return function(evidence, expected)

    return guarded


def needs_binary(function: CheckFunction) -> CheckFunction:
    """Skip a check of the executable's contents if there is no readable executable; then only the check `binary-elf`
    fails."""

    @functools.wraps(function)
    def guarded(evidence: Evidence, expected: Expected) -> Outcome:
        if evidence.binary is None or evidence.binary.elf is None:
            return skipped(f"there is no executable to look into at {evidence.binary_path}")
        return function(evidence, expected)

    return guarded
