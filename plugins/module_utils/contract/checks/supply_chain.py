"""Checks of the components of the image."""

from __future__ import annotations

from collections.abc import Iterable

from ...common.text import listed
from ..evidence.model import Evidence
from ..evidence.scanners import Finding
from ..expected import Expected
from ..registry import Group, Outcome, failed, passed, skipped, warned

GROUP = Group("supply-chain")


@GROUP.check(
    "vulnerabilities",
    "Known vulnerabilities",
    severity="high",
    remedy="Use the versions that fix them: for a module with go get in the source, for Go with a newer builder image (go_service_builder_image), for a "
    "package of the base with a newer one (go_service_runtime_image). If they do not concern the service, set go_service_budget.max_critical and max_high, "
    "or waive the check with the reason.",
    rules=("CIS 4.4", "OWASP #9"),
)
def vulnerabilities(evidence: Evidence, expected: Expected) -> Outcome:
    """What trivy or grype on the host finds in the image, and govulncheck in the executable (the Go database has no severities: each finding in the
    executable counts as high). Limits: go_service_budget.max_critical and max_high. Without limits, the check fails for a critical or high finding in a Go
    module of the service, or in Go itself, that another version fixes; other findings are a warning. Without a scanner on the host it is a skip, never a pass."""
    scan = evidence.scan
    if scan is None:
        return skipped("no scanner: neither trivy, grype nor govulncheck is on the host")
    limits = {name: expected.budget(f"max_{name}") for name in ("critical", "high")}
    limit = ", ".join(f"{allowed:g} {name}" for name, allowed in limits.items() if allowed is not None)
    by_hand = "Run the scanner by hand on the host, and find out why it fails."
    if not scan.counts:
        return warned(f"{scan.tool} failed", limit, scan.problem, by_hand)
    limit = limit or "none critical or high"
    measured = ", ".join(f"{number} {name}" for name, number in scan.counts.items() if number) or "none"
    measured = f"{measured} ({scan.tool})"
    over = [name for name, allowed in limits.items() if allowed is not None and scan.counts[name] > allowed]
    if over:
        gravest = _named(finding for finding in scan.findings if finding.severity in over)
        return failed(measured, limit, f"over the budget of {' and '.join(over)} findings: {gravest}")
    grave = [finding for finding in scan.findings if finding.severity in limits and limits[finding.severity] is None]
    mendable = [finding for finding in grave if finding.linked and finding.fixed_in]
    stops = [finding for finding in mendable if f"max_{finding.severity}" not in expected.warn_only]
    if stops:
        return failed(measured, limit, f"the service is built with vulnerabilities that other versions fix: {_named(stops)}")
    if grave:
        return warned(measured, limit, _named(grave))
    return warned(measured, limit, scan.problem, by_hand) if scan.problem else passed(measured, limit)


def _named(findings: Iterable[Finding]) -> str:
    return listed(
        f"{finding.id} in {finding.package} {finding.version}" + (f", fixed in {finding.fixed_in}" if finding.fixed_in else "")
        for finding in findings
    )
