"""Scanners for vulnerabilities. None can be had where these tests run: their documented formats are read from small samples."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import (
    scanners,
)
from fuzzing import ANY_JSON, EXAMPLES
from hypothesis import given

TRIVY = {
    "SchemaVersion": 2,
    "ArtifactName": "alpine-39.tar.gz",
    "Results": [
        {
            "Target": "alpine 3.9.4",
            "Class": "os-pkgs",
            "Type": "alpine",
            "Vulnerabilities": [
                {
                    "VulnerabilityID": "CVE-2019-1549",
                    "PkgName": "libcrypto1.1",
                    "InstalledVersion": "1.1.1b-r1",
                    "FixedVersion": "1.1.1d-r0",
                    "Severity": "MEDIUM",
                },
                {"VulnerabilityID": "CVE-2019-14697", "PkgName": "musl", "InstalledVersion": "1.1.20-r4", "Severity": "CRITICAL"},
            ],
        },
        {
            "Target": "usr/local/bin/x",
            "Type": "gobinary",
            "Vulnerabilities": [
                {"VulnerabilityID": "CVE-2019-14697", "PkgName": "musl", "InstalledVersion": "1.1.20-r4", "Severity": "CRITICAL"}
            ],
        },
        {"Target": "nothing found", "Class": "lang-pkgs"},
    ],
}


GRYPE = {
    "matches": [
        {
            "vulnerability": {
                "id": "CVE-2019-14697",
                "severity": "Critical",
                "fix": {"versions": ["1.1.20-r5"], "state": "fixed"},
            },
            "artifact": {"name": "musl", "version": "1.1.20-r4", "type": "apk"},
        },
        {"vulnerability": {"id": "CVE-1", "severity": "Negligible", "fix": {}}, "artifact": {"name": "a", "version": "1"}},
        {"vulnerability": {"id": "CVE-2"}, "artifact": {"name": "a", "version": "1"}},
    ],
    "descriptor": {"name": "grype", "version": "0.111.0"},
}


def test_trivy():
    """Counts by severity, the gravest first, one finding once."""
    found = scanners.parse_trivy(TRIVY)
    assert found.counts == {"critical": 1, "high": 0, "medium": 1, "low": 0, "unknown": 0}
    assert [finding.id for finding in found.worst] == ["CVE-2019-14697", "CVE-2019-1549"]
    assert found.worst[1].fixed_in == "1.1.1d-r0"


def test_grype():
    """The same of grype, with its own words for severities."""
    found = scanners.parse_grype(GRYPE)
    assert found.counts == {"critical": 1, "high": 0, "medium": 0, "low": 1, "unknown": 1}
    assert found.worst[0].fixed_in == "1.1.20-r5"


@pytest.mark.parametrize("parse", [scanners.parse_trivy, scanners.parse_grype])
@pytest.mark.parametrize("document", [[], {}, {"SchemaVersion": 1}, None, {"matches": {}}])
def test_foreign_scan(parse, document):
    """Anything else is refused, not taken for an image without vulnerabilities."""
    with pytest.raises(scanners.ScanError):
        parse(document)


@pytest.fixture
def fake_scanner(tmp_path: Path):
    """A scanner that prints what it is told, and notes how it was called."""

    def make(name: str, script: str) -> str:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n{script}\n')
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize(("name", "document", "target"), [("trivy", TRIVY, "x:1"), ("grype", GRYPE, "docker:x:1")])
def test_scanner_is_run(fake_scanner, tmp_path, name, document, target):
    """The image of the local Engine is scanned, and the answer is read."""
    (tmp_path / "answer").write_text(json.dumps(document))
    found = scanners.scan("x:1", fake_scanner(name, f"cat {tmp_path}/answer"))
    assert (found.tool, found.counts["critical"], found.problem) == (name, 1, "")
    assert (tmp_path / "called").read_text().split()[-1] == target


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'FATAL no database' >&2; exit 1", "it ended with 1: FATAL no database"),
        ("echo not json", "its output cannot be read"),
        ("echo '{}'", "its output cannot be read"),
    ],
)
def test_failing_scanner(fake_scanner, script, problem):
    """A scanner that fails is a problem, never an image without vulnerabilities."""
    found = scanners.scan("x:1", fake_scanner("trivy", script))
    assert found.problem.startswith(problem)
    assert found.counts == {}


def test_no_scanner(monkeypatch, tmp_path):
    """None in PATH, and one that is not known."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert scanners.scan("x:1") is None
    assert scanners.scan("x:1", "") is None
    assert "neither trivy nor grype" in scanners.scan("x:1", "/opt/clair").problem


@EXAMPLES
@given(document=ANY_JSON)
def test_any_answer_of_a_scanner_is_read_or_refused(document: Any) -> None:
    for parse in (scanners.parse_trivy, scanners.parse_grype):
        # What `scan` tells as an answer that cannot be read.
        with suppress(ValueError, KeyError, TypeError, AttributeError, scanners.ScanError):
            parse(document)


@pytest.mark.parametrize("document", [{"SchemaVersion": 2, "Results": ["x"]}, {"matches": [{"vulnerability": 1}]}, {"matches": ["x"]}])
def test_an_answer_of_another_form_is_a_problem_of_the_scanner(document: Any, tmp_path: Any) -> None:
    for name in ("trivy", "grype"):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(document)}\nEND\n")
        (tmp_path / name).chmod(0o755)
        found = scanners.scan("image", str(tmp_path / name))
        assert found and found.problem
