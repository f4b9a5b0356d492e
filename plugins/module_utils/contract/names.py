"""The words of the contract: verdicts, severities, groups."""

from __future__ import annotations

PASS, WARN, FAIL, SKIP, WAIVED = "pass", "warn", "fail", "skip", "waived"
VERDICTS = (FAIL, WARN, WAIVED, SKIP, PASS)
SEVERITIES = ("critical", "high", "medium", "low")
GROUPS = {
    "budgets": "Budgets",
    "binary": "Binary",
    "identity": "Identity",
    "files": "File system",
    "configuration": "Configuration",
    "runtime": "Runtime",
    "dockerfile": "Dockerfile",
    "supply-chain": "Supply chain",
}
