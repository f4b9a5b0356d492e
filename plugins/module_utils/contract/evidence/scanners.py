"""Known vulnerabilities of an image, as trivy or grype on the host finds them. The scanners are used where they are;
none is brought along.

Formats: trivy's report of schema version 2 (aquasecurity/trivy, integration/testdata/*.json.golden), grype's JSON
document (anchore/grype, grype/presenter/models/document.go).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import Any

SEVERITIES = ("critical", "high", "medium", "low", "unknown")
# grype tells apart what Debian calls negligible; nobody else does.
_SAME_AS = {"negligible": "low", "": "unknown"}
_SECONDS = 300
_KEPT = 20


@dataclass(frozen=True)
class Finding:
    """One vulnerability of one package. fixed_in: the version that mends it, "" where there is none yet."""

    id: str
    severity: str
    package: str
    version: str
    fixed_in: str = ""


@dataclass(frozen=True)
class ScanResult:
    """What a scanner said. counts: findings by severity, every severity present. problem: why there is no result."""

    tool: str
    counts: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    problem: str = ""

    @property
    def worst(self) -> tuple[Finding, ...]:
        """The gravest findings first, no more than a page shows."""
        return self.findings[:_KEPT]


class ScanError(Exception):
    """A scanner's output is not of the documented format."""


def _result(tool: str, findings: list[Finding]) -> ScanResult:
    # One vulnerability of one package counts once, in however many places the package lies.
    unique = sorted(set(findings), key=lambda item: (SEVERITIES.index(item.severity), item.id, item.package))
    counts = {severity: sum(item.severity == severity for item in unique) for severity in SEVERITIES}
    return ScanResult(tool, counts, tuple(unique))


def _severity(text: str) -> str:
    lowered = text.lower()
    lowered = _SAME_AS.get(lowered, lowered)
    return lowered if lowered in SEVERITIES else "unknown"


def parse_trivy(document: Any) -> ScanResult:
    """Read `trivy image --format json`; raise ScanError for anything else."""
    if not isinstance(document, dict) or document.get("SchemaVersion") != 2:
        raise ScanError("not a trivy report of schema version 2")
    findings = [
        Finding(
            id=item["VulnerabilityID"],
            severity=_severity(item.get("Severity") or ""),
            package=item.get("PkgName") or "",
            version=item.get("InstalledVersion") or "",
            fixed_in=item.get("FixedVersion") or "",
        )
        for result in document.get("Results") or ()
        for item in result.get("Vulnerabilities") or ()
    ]
    return _result("trivy", findings)


def parse_grype(document: Any) -> ScanResult:
    """Read `grype -o json`; raise ScanError for anything else."""
    if not isinstance(document, dict) or not isinstance(document.get("matches"), list):
        raise ScanError("not a grype document")
    findings = [
        Finding(
            id=match["vulnerability"]["id"],
            severity=_severity(match["vulnerability"].get("severity") or ""),
            package=match["artifact"].get("name") or "",
            version=match["artifact"].get("version") or "",
            fixed_in=", ".join((match["vulnerability"].get("fix") or {}).get("versions") or ()),
        )
        for match in document["matches"]
    ]
    return _result("grype", findings)


_TOOLS = {
    "trivy": (("image", "--quiet", "--format", "json", "--scanners", "vuln", "--image-src", "docker"), "", parse_trivy),
    "grype": (("--quiet", "--output", "json"), "docker:", parse_grype),
}


def find_scanner() -> str:
    """The path of the scanner that would be used, "" for none."""
    return next((path for path in map(shutil.which, _TOOLS) if path), "")


def scan(image: str, scanner: str | None = None) -> ScanResult | None:
    """Scan an image of the local Engine.

    :param image: reference or id.
    :param scanner: path of trivy or grype; None looks for one in PATH, "" uses none.
    :returns: None without a scanner; a result with `problem` when the scanner failed.
    """
    path = find_scanner() if scanner is None else scanner
    if not path:
        return None
    tool = os.path.basename(path)
    if tool not in _TOOLS:
        return ScanResult(tool, problem=f"{path} is neither trivy nor grype")
    options, prefix, parse = _TOOLS[tool]
    try:
        done = subprocess.run([path, *options, prefix + image], capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode:
            words = done.stderr.decode("utf-8", "replace").strip().splitlines()
            return ScanResult(tool, problem=f"it ended with {done.returncode}: {words[-1] if words else 'without a word'}")
        return parse(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return ScanResult(tool, problem=f"it did not end within {_SECONDS} s")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ScanError) as error:
        return ScanResult(tool, problem=f"its output cannot be read: {error}")
