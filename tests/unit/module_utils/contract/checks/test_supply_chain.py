"""Known vulnerabilities."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence.scanners import Finding, Scanner, merged
from violations import GOOD, result

SCANNER, BROKEN = Scanner("trivy", "0.74.0", "2026-11-27"), Scanner("govulncheck", problem="no database")
BASE = [Finding("CVE-1", severity, "musl", "1.2.5-r9", "1.2.5-r10") for severity in ("critical", "high", "medium")]
LINKED = Finding("GO-1", "high", "golang.org/x/text", "v0.3.5", "v0.3.8", linked=True)
UNMENDED = Finding("GO-2", "high", "golang.org/x/text", "v0.3.5", linked=True)
LOW = Finding("GO-3", "low", "golang.org/x/text", "v0.3.5", "v0.3.8", linked=True)


def judged(*findings, budgets=None, warn_only=(), scanners=(SCANNER,)):
    """The check's result for what scanners found."""
    scan = merged([(scanners[0], list(findings)), *((scanner, []) for scanner in scanners[1:])])
    asked = samples.expected(budgets={**samples.expected().budgets, **(budgets or {})}, warn_only=warn_only)
    return result("vulnerabilities", replace(GOOD, scan=scan), asked)


@pytest.mark.parametrize(
    ("findings", "budgets", "verdict"),
    [
        ([], {}, "pass"),
        ([BASE[2], LOW], {}, "pass"),
        ([BASE[1]], {}, "warn"),
        ([UNMENDED], {}, "warn"),
        ([LINKED], {}, "fail"),
        ([LINKED], {"max_high": 1}, "pass"),
        ([LINKED], {"max_critical": 0}, "fail"),
        ([BASE[0]], {"max_critical": 0}, "fail"),
        ([BASE[0], BASE[1]], {"max_critical": 1, "max_high": 1}, "pass"),
        ([BASE[0], BASE[1]], {"max_critical": 1}, "warn"),
    ],
)
def test_what_the_service_can_mend_fails_and_what_is_over_a_budget(findings, budgets, verdict):
    """A finding of the base, or one that no version mends, warns where there is no budget for it."""
    assert judged(*findings, budgets=budgets).verdict == verdict


def test_the_finding_the_scanner_and_its_day_are_named():
    found = judged(LINKED)
    assert found.measured == "1 high (trivy 0.74.0 with a database of 2026-11-27)"
    assert "GO-1 in golang.org/x/text v0.3.5, fixed in v0.3.8" in found.reason


def test_an_image_that_is_returned_to_is_warned_of_alone():
    """It was in service before; what is known of it since does not keep it from coming back."""
    assert judged(LINKED, warn_only=("max_critical", "max_high")).verdict == "warn"


def test_a_scanner_that_failed_is_a_warning_never_a_pass():
    alone = judged(scanners=(BROKEN,), budgets={"max_critical": 0})
    beside = judged(scanners=(SCANNER, BROKEN))
    assert (alone.verdict, beside.verdict) == ("warn", "warn")
    assert "govulncheck: no database" in alone.reason and "govulncheck: no database" in beside.reason


def test_no_scanner_is_a_skip_never_a_pass():
    assert result("vulnerabilities", replace(GOOD, scan=None), samples.expected()).verdict == "skip"
