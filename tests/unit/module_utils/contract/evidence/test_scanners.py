"""Scanners for vulnerabilities: their documented formats, read from small samples. tests/scan.py runs the real ones."""

from __future__ import annotations

import io
import json
import shutil
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
    "descriptor": {"name": "grype", "version": "0.111.0", "db": {"status": {"built": "2026-11-03T06:31:00Z"}}},
}


GOVULNCHECK = [
    {
        "config": {
            "protocol_version": "v1.0.0",
            "scanner_name": "govulncheck",
            "scanner_version": "v1.9.0",
            "db": "file:///m/golang.org/x/vulndb@v0.0.0-20261105234957-e22db6528018/data/osv",
            "db_last_modified": "0001-01-01T00:00:00Z",
        }
    },
    {"progress": {"message": "Scanning"}},
    {
        "osv": {
            "id": "GO-1",
            "aliases": ["CVE-1", "GHSA-1"],
            "affected": [
                {
                    "package": {"name": "a.example/one"},
                    "ecosystem_specific": {
                        "imports": [{"path": "a.example/one/x", "symbols": ["Parse"]}, {"path": "a.example/one/whole"}],
                    },
                }
            ],
        }
    },
    {"osv": {"id": "GO-2", "affected": [{"package": {"name": "a.example/one"}}]}},
    {"finding": {"osv": "GO-1", "fixed_version": "v1.1.0", "trace": [{"module": "a.example/one", "version": "v1.0.0"}]}},
]


def messages(*more: Any) -> str:
    """What govulncheck prints: one object after the other."""
    return "".join(json.dumps(message, indent=1) + "\n" for message in [*GOVULNCHECK, *more])


def go_finding(osv: str = "GO-1", **frame: str) -> dict[str, Any]:
    """A message of what was found, with the place that it was found in."""
    trace = [{"module": "a.example/one", "version": "v1.0.0", **frame}]
    return {"finding": {"osv": osv, "fixed_version": "v1.1.0", "trace": trace}}


def test_trivy():
    """Counts by severity, the gravest first, one finding once."""
    found = scanners.merged([scanners.parse_trivy(json.dumps(TRIVY))])
    assert found.counts == {"critical": 2, "high": 0, "medium": 1, "low": 0, "unknown": 0}
    assert {(finding.id, finding.linked) for finding in found.worst if finding.severity == "critical"} == {
        ("CVE-2019-14697", False),
        ("CVE-2019-14697", True),
    }
    assert found.worst[-1].fixed_in == "1.1.1d-r0"


def test_grype():
    """The same of grype, with its own words for severities, and the day of its database."""
    scanner, findings = scanners.parse_grype(json.dumps(GRYPE))
    found = scanners.merged([(scanner, findings)])
    assert found.counts == {"critical": 1, "high": 0, "medium": 0, "low": 1, "unknown": 1}
    assert (found.worst[0].fixed_in, found.worst[0].linked) == ("1.1.20-r5", False)
    assert str(scanner) == "grype 0.111.0 with a database of 2026-11-03"
    older = {**GRYPE, "descriptor": {"version": "0.80.0", "db": {"built": "2024-01-02T03:04:05Z"}}}
    assert scanners.parse_grype(json.dumps(older))[0].database == "2024-01-02"


@pytest.mark.parametrize(
    ("found", "severity"),
    [
        ([go_finding()], "low"),
        ([go_finding(package="a.example/one/x")], "low"),
        ([go_finding(package="a.example/one/x", function="Parse")], "high"),
        ([go_finding(package="a.example/one/whole")], "high"),
        ([go_finding(), go_finding(package="a.example/one/x", function="Parse"), go_finding()], "high"),
        ([go_finding("GO-2")], "high"),
    ],
    ids=["module", "package", "function", "package as a whole", "the gravest counts", "module as a whole"],
)
def test_govulncheck(found, severity):
    """What the executable has of the vulnerable part is grave, what it has not is not: the Go database knows no severities itself."""
    scanner, findings = scanners.parse_govulncheck(messages(*found))
    assert str(scanner) == "govulncheck v1.9.0 with a database of 2026-11-05"
    (gravest,) = (finding for finding in findings if finding.id == found[0]["finding"]["osv"])
    assert (gravest.severity, gravest.package, gravest.fixed_in, gravest.linked) == (severity, "a.example/one", "v1.1.0", True)


@pytest.mark.parametrize(
    ("config", "day"),
    [
        ({"db_last_modified": "2026-11-20T10:00:00Z"}, "2026-11-20"),
        ({"db": "file:///srv/vulndb"}, ""),
        ({"db": "file:///m/x@v1.2.3-0.20261105234957-e22db6528018"}, "2026-11-05"),
    ],
)
def test_the_day_of_the_go_database(config, day):
    """As it says itself, or as the version of the module says that it was taken from; not a day that nobody knows."""
    first = {"config": {**GOVULNCHECK[0]["config"], **config}}
    assert scanners.parse_govulncheck(json.dumps(first))[0].database == day


def test_what_two_scanners_know_by_different_names_counts_once():
    """With the severity of the one that knows it."""
    trivy = {
        "SchemaVersion": 2,
        "Results": [
            {
                "Type": "gobinary",
                "Vulnerabilities": [
                    {"VulnerabilityID": "CVE-1", "PkgName": "a.example/one", "InstalledVersion": "v1.0.0", "Severity": "MEDIUM"}
                ],
            }
        ],
    }
    found = scanners.merged([scanners.parse_trivy(json.dumps(trivy)), scanners.parse_govulncheck(messages(go_finding("GO-2")))])
    assert [(finding.id, finding.severity) for finding in found.findings] == [("GO-2", "high"), ("CVE-1", "medium")]


PARSERS = [scanners.parse_trivy, scanners.parse_grype, scanners.parse_govulncheck]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize("document", [[], {}, {"SchemaVersion": 1}, None, {"matches": {}}, {"config": {}}])
def test_foreign_scan(parse, document):
    """Anything else is refused, not taken for an image without vulnerabilities."""
    with pytest.raises(scanners.ScanError):
        parse(json.dumps(document))


@pytest.fixture
def fake_scanner(tmp_path: Path):
    """A scanner that prints what it is told, and notes how it was called."""

    def make(name: str, script: str) -> str:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\n{script}\n')
        path.chmod(0o755)
        return str(path)

    return make


@pytest.mark.parametrize(("name", "document", "target"), [("trivy", TRIVY, "x:1"), ("grype", GRYPE, "docker:x:1")])
def test_scanner_is_run(fake_scanner, tmp_path, name, document, target):
    """The image of the local Engine is scanned, and the answer is read."""
    (tmp_path / "answer").write_text(json.dumps(document))
    found = scanners.scan("x:1", paths=(fake_scanner(name, f"cat {tmp_path}/answer"),))
    assert (found.scanners[0].name, found.counts["medium"] + found.counts["low"], found.problem) == (name, 1, "")
    assert (tmp_path / "called").read_text().splitlines()[0].split()[-1] == target


def test_the_day_of_trivys_database_is_asked_for(fake_scanner, tmp_path):
    """Its report does not have it."""
    (tmp_path / "answer").write_text(json.dumps(TRIVY))
    version = '{"Version": "0.74.0", "VulnerabilityDB": {"UpdatedAt": "2026-11-27T00:31:06.57Z"}}'
    path = fake_scanner("trivy", f"test $1 = version && echo '{version}' || cat {tmp_path}/answer")
    assert scanners.scan("x:1", paths=(path,)).tool == "trivy 0.74.0 with a database of 2026-11-27"


@pytest.mark.parametrize(
    ("database", "asked"),
    [("", []), ("/srv/vulndb", ["-db", "file:///srv/vulndb"]), ("https://vuln.example.com", ["-db", "https://vuln.example.com"])],
)
def test_govulncheck_gets_the_executable_and_the_database(fake_scanner, tmp_path, database, asked):
    (tmp_path / "answer").write_text(messages())
    path = fake_scanner("govulncheck", f'for last; do :; done; cp "$last" {tmp_path}/copy; cat {tmp_path}/answer')
    found = scanners.scan("x:1", io.BytesIO(b"an executable"), (path,), database)
    assert (found.counts["low"], found.problem) == (1, "")
    called = (tmp_path / "called").read_text().split()
    assert (called[:-1], (tmp_path / "copy").read_bytes()) == (["-mode", "binary", "-format", "json", *asked], b"an executable")
    assert not Path(called[-1]).exists()


def test_an_executable_that_cannot_be_read_is_a_problem(fake_scanner):
    found = scanners.scan("x:1", None, (fake_scanner("govulncheck", "exit 0"),))
    assert (found.problem, found.counts) == ("govulncheck: the service's executable cannot be read", {})


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("echo 'FATAL no database' >&2; exit 1", "it ended with 1: FATAL no database"),
        ("echo not json", "its output cannot be read"),
        ("echo '{}'", "its output cannot be read"),
    ],
)
@pytest.mark.parametrize("name", ["trivy", "grype", "govulncheck"])
def test_failing_scanner(fake_scanner, name, script, problem):
    """A scanner that fails is a problem, never an image without vulnerabilities."""
    found = scanners.scan("x:1", io.BytesIO(), (fake_scanner(name, script),))
    assert found.problem.startswith(f"{name}: {problem}")
    assert found.counts == {}


def test_one_scanner_that_fails_does_not_hide_what_the_other_found(fake_scanner, tmp_path):
    (tmp_path / "answer").write_text(messages(go_finding("GO-2")))
    paths = (fake_scanner("trivy", "exit 1"), fake_scanner("govulncheck", f"cat {tmp_path}/answer"))
    found = scanners.scan("x:1", io.BytesIO(), paths)
    assert (found.counts["high"], found.problem) == (1, "trivy: it ended with 1: without a word")


def test_which_scanners_are_used(monkeypatch, tmp_path, fake_scanner):
    """One for the image, and the one for executables, also where `go install` puts it; none, and one that is not known."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(scanners, "_FURTHER_PLACES", ("~/go/bin",))
    assert (scanners.find_scanners(), scanners.scan("x:1"), scanners.scan("x:1", paths=())) == ((), None, None)
    grype = fake_scanner("grype", "exit 0")
    (tmp_path / "home/go/bin").mkdir(parents=True)
    shutil.copy(grype, tmp_path / "home/go/bin/govulncheck")
    assert scanners.find_scanners() == (grype, str(tmp_path / "home/go/bin/govulncheck"))
    assert scanners.find_scanners()[0] != fake_scanner("trivy", "exit 0") == scanners.find_scanners()[0]
    assert "none of trivy, grype, govulncheck" in scanners.scan("x:1", paths=("/opt/clair",)).problem


@EXAMPLES
@given(document=ANY_JSON)
def test_any_answer_of_a_scanner_is_read_or_refused(document: Any) -> None:
    for parse in PARSERS:
        # What `scan` tells as an answer that cannot be read.
        with suppress(ValueError, KeyError, IndexError, TypeError, AttributeError, scanners.ScanError):
            parse(json.dumps(document))


@pytest.mark.parametrize(
    "document",
    [
        {"SchemaVersion": 2, "Results": ["x"]},
        {"matches": [{"vulnerability": 1}]},
        {"matches": ["x"]},
        {"config": {"protocol_version": "v1"}, "finding": {"osv": "GO-1", "trace": []}},
    ],
)
def test_an_answer_of_another_form_is_a_problem_of_the_scanner(document: Any, tmp_path: Path) -> None:
    for name in ("trivy", "grype", "govulncheck"):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(document)}\nEND\n")
        (tmp_path / name).chmod(0o755)
        found = scanners.scan("image", io.BytesIO(), (str(tmp_path / name),))
        assert found and found.problem
