"""Known vulnerabilities."""

from __future__ import annotations

from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import scanners
from violations import GOOD, result


@pytest.mark.parametrize(
    ("scanned", "budgets", "verdict"),
    [
        (scanners.ScanResult("trivy", {"critical": 0, "high": 0, "medium": 3, "low": 0, "unknown": 0}), {}, "pass"),
        (scanners.ScanResult("trivy", {"critical": 0, "high": 1, "medium": 0, "low": 0, "unknown": 0}), {}, "warn"),
        (scanners.ScanResult("trivy", {"critical": 1, "high": 0, "medium": 0, "low": 0, "unknown": 0}), {"max_critical": 0}, "fail"),
        (
            scanners.ScanResult("trivy", {"critical": 1, "high": 2, "medium": 0, "low": 0, "unknown": 0}),
            {"max_critical": 1, "max_high": 2},
            "pass",
        ),
        (scanners.ScanResult("grype", problem="no database"), {"max_critical": 0}, "warn"),
        (None, {"max_critical": 0}, "skip"),
    ],
)
def test_vulnerabilities(scanned, budgets, verdict):
    """Over the budget fails, without one grave findings warn; no scanner is a skip, never a pass."""
    asked = samples.expected(budgets={**samples.expected().budgets, **budgets})
    assert result("vulnerabilities", replace(GOOD, scan=scanned), asked).verdict == verdict
