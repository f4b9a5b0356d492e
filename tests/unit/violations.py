"""The good image, and how a violation of the contract is caught: by the checks that are there for it, and by no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import model
from ansible_collections.proven.go_service.plugins.module_utils.contract.registry import CheckResult, Group

GOOD = samples.good_evidence()
# What makes the evidence, what was asked for beside it, the checks that catch it, and words that they say.
Violation = tuple[Callable[[], model.Evidence], dict[str, Any], set[str], str]


def verdicts(found, asked=None, waivers=None) -> dict[str, str]:
    """Verdicts by check."""
    return {result.id: result.verdict for result in judge.evaluate(found, asked or samples.expected(), waivers or {})}


def result(identifier: str, found, asked=None, waivers=None):
    """The result of one check."""
    results = judge.evaluate(found, asked or samples.expected(), waivers or {})
    return next(item for item in results if item.id == identifier)


def with_verdict(word: str, found, asked=None) -> set[str]:
    """Checks with that verdict."""
    return {identifier for identifier, verdict in verdicts(found, asked).items() if verdict == word}


def in_container(**host):
    """The good evidence with another HostConfig; the kernel's record is out of reach, so that the configuration is
    judged."""
    return replace(GOOD, container=samples.container_record(**host), process=None)


def with_process(**facts):
    """The good evidence with another record of the kernel."""
    return replace(GOOD, process=replace(samples.GOOD_PROCESS, **facts))


def assert_caught(violation: Violation) -> None:
    """Insist that a violation is caught by its checks and by no other, with the words that name it and a remedy."""
    make, asked, caught, words = violation
    results = judge.evaluate(make(), samples.expected(**asked), {})
    failing = [item for item in results if item.verdict == "fail"]
    found = {item.id for item in failing}
    assert found == caught, f"the violation is caught by {sorted(found)}, and VIOLATIONS says {sorted(caught)}"
    assert judge.verdict(results) == "fail"
    said = " ".join(f"{item.measured} {item.reason}" for item in failing)
    assert words in said, f"VIOLATIONS wants the words {words!r}, and the checks say {said!r}"
    assert all(item.remedy and item.reason for item in failing), "a check that fails says neither why nor what to do"
    assert all(item.id in sentence for item, sentence in zip(failing, judge.failures(results)))


def assert_all_provoked(group: Group, violations: Mapping[str, Violation], *elsewhere: str) -> None:
    """Insist that no check is without a test that makes it fail; elsewhere: those that have another test."""
    provoked = set(elsewhere).union(*(caught for _make, _asked, caught, _words in violations.values()))
    without = sorted({check.id for check in group.checks} - provoked)
    assert not without, f"no test makes these checks fail: {without}; write an entry of VIOLATIONS in this test file for each"


def judged(answers: dict | None, name: str = "hadolint", **asked) -> CheckResult:
    """The result of a Dockerfile's check, from what the linters answered."""
    dockerfile = None if answers is None else {"fingerprint": "x", "linters": answers}
    waivers = asked.pop("waivers", {})
    results = judge.evaluate(replace(GOOD, dockerfile=dockerfile), samples.expected(**asked), waivers, "dockerfile")
    return next(item for item in results if item.id == f"dockerfile-{name}")
