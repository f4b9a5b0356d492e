"""Checks of the Dockerfile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...common.text import count, listed
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, passed, skipped, warned

GROUP = Group("dockerfile")

# The severest first, as both linters name them.
_LEVELS = ("error", "warning", "info", "style")


def judge_findings(name: str, dockerfile: Mapping[str, Any] | None, numeric_user: bool) -> Outcome:
    """Judge what a linter found: nothing at `warning` or above, with a numeric user nothing at `info` or above.

    :param dockerfile: what `lint.examine` returned; None if this run has no Dockerfile, because it returns to an earlier image.
    """
    if not dockerfile:
        return skipped("the run returned to an earlier image, whose Dockerfile is no longer there")
    answer = dockerfile["linters"].get(name)
    if answer is None:
        return skipped(f"no {name} on the controller")
    threshold = "info" if numeric_user else "warning"
    if answer["problem"]:
        return warned(f"{name} failed", f"nothing at {threshold}", answer["problem"], f"Run {name} by hand, and find out why it fails.")
    grave = _LEVELS[: _LEVELS.index(threshold) + 1]
    findings = [finding for finding in answer["findings"] if finding["level"] in grave]
    limit = f"nothing at {threshold} or above"
    if findings:
        words = [f"line {item['line']}: {item['code']} {item['message']}" for item in findings]
        return failed(count(len(findings), "finding"), limit, listed(words))
    below = len(answer["findings"])
    return passed(f"none, {below} below the threshold" if below else "none", limit)


@GROUP.check(
    "dockerfile-hadolint",
    "hadolint",
    severity="medium",
    remedy="Follow the rule's page at https://github.com/hadolint/hadolint/wiki; pin packages in go_service_packages (name=version).",
    rules=(
        "CIS 4.9",
        "hadolint DL3002",
        "hadolint DL3006",
        "hadolint DL3007",
        "hadolint DL3020",
        "hadolint DL3066",
        "OWASP #9",
    ),
)
def dockerfile_hadolint(evidence: Evidence, expected: Expected) -> Outcome:
    """hadolint finds nothing at `warning` or above in the rendered Dockerfile, and nothing at `info` or above with
    go_service_numeric_user. It runs on the controller; without hadolint there it is a skip. DL3064 does not count for the names in
    go_service_build_env and go_service_build_args: they belong to the build stage, and the image has nothing of them."""
    return judge_findings("hadolint", evidence.dockerfile, expected.numeric_user)


@GROUP.check(
    "dockerfile-checkov",
    "checkov",
    severity="medium",
    remedy="Follow the guideline that checkov names.",
    rules=("checkov CKV_DOCKER_2", "checkov CKV_DOCKER_3", "checkov CKV_DOCKER_7", "checkov CKV_DOCKER_8", "OWASP #9"),
)
def dockerfile_checkov(evidence: Evidence, expected: Expected) -> Outcome:
    """None of checkov's Dockerfile checks fails on the rendered Dockerfile. It runs on the controller; without checkov
    there it is a skip."""
    return judge_findings("checkov", evidence.dockerfile, expected.numeric_user)
