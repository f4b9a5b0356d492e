"""Checks of what the image is made of."""

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
    remedy="Take the versions that mend them: of a module by go get in the source, of Go by a newer builder image (go_service_builder_image), of a "
    "package of the base by a newer one (go_service_runtime_image). What does not concern the service: set go_service_budget.max_critical and max_high, "
    "or waive the check with the reason.",
    rules=("CIS 4.4", "OWASP #9"),
)
def vulnerabilities(evidence: Evidence, expected: Expected) -> Outcome:
    """What trivy or grype on the host finds in the image, and govulncheck in the executable (the Go database knows no severities: what is in the
    executable counts as high). Limits: go_service_budget.max_critical and max_high. Without them it fails by a critical or high finding in a Go
    module of the service, or in Go itself, that another version mends; others are a warning. Without a scanner on the host it is a skip, never a pass."""
    scan = evidence.scan
    if scan is None:
        return skipped("no scanner: neither trivy, grype nor govulncheck is on the host")
    limits = {name: expected.budget(f"max_{name}") for name in ("critical", "high")}
    limit = ", ".join(f"{allowed:g} {name}" for name, allowed in limits.items() if allowed is not None)
    by_hand = "Run the scanner by hand on the host and mend it."
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
        return failed(measured, limit, f"the service is built with what other versions mend: {_named(stops)}")
    if grave:
        return warned(measured, limit, _named(grave))
    return warned(measured, limit, scan.problem, by_hand) if scan.problem else passed(measured, limit)


def _named(findings: Iterable[Finding]) -> str:
    return listed(
        f"{finding.id} in {finding.package} {finding.version}" + (f", mended in {finding.fixed_in}" if finding.fixed_in else "")
        for finding in findings
    )
