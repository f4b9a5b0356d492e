"""Checks of what the image is made of."""

from __future__ import annotations

from ...common.text import listed
from ..evidence.model import Evidence
from ..expected import Expected
from ..registry import Group, Outcome, failed, passed, skipped, warned

GROUP = Group("supply-chain")


@GROUP.check(
    "vulnerabilities",
    "Known vulnerabilities",
    severity="high",
    remedy="Renew the base image and Go's release line (go_service_runtime_image, go_service_builder_image) and the "
    "modules that the report "
    "names; or set go_service_budget.max_critical and max_high.",
    rules=("CIS 4.4", "OWASP #9"),
)
def vulnerabilities(evidence: Evidence, expected: Expected) -> Outcome:
    """What trivy or grype on the host finds. Limits: go_service_budget.max_critical and max_high; without them,
    critical and high findings are a warning. Without a scanner on the host it is a skip, never a pass."""
    scan = evidence.scan
    if scan is None:
        return skipped("no scanner: neither trivy nor grype is on the host")
    limits = {name: expected.budget(f"max_{name}") for name in ("critical", "high")}
    limit = ", ".join(f"{allowed:g} {name}" for name, allowed in limits.items() if allowed is not None)
    if scan.problem:
        return warned(
            f"{scan.tool} failed",
            limit,
            f"{scan.tool}: {scan.problem}",
            f"Run {scan.tool} by hand on the host and mend it.",
        )
    measured = ", ".join(f"{number} {name}" for name, number in scan.counts.items() if number) or "none"
    measured = f"{measured} ({scan.tool})"
    over = [name for name, allowed in limits.items() if allowed is not None and scan.counts[name] > allowed]
    gravest = listed(f"{finding.id} in {finding.package} {finding.version}" for finding in scan.worst[:5])
    if over:
        return failed(measured, limit, f"over the budget of {' and '.join(over)} findings: {gravest}")
    unlimited = sum(scan.counts[name] for name, allowed in limits.items() if allowed is None)
    if unlimited:
        return warned(measured, limit or "none critical or high", gravest)
    return passed(measured, limit or "none critical or high")
