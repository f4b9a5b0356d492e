"""Known vulnerabilities of an image, as the scanners on the host find them: trivy or grype in the whole image, govulncheck in the service's
executable. They are used if they are installed; the role installs none.

Formats: trivy's report of schema version 2 (aquasecurity/trivy, integration/testdata/*.json.golden), grype's JSON document (anchore/grype,
grype/presenter/models/document.go), govulncheck's stream of messages (golang.org/x/vuln/internal/govulncheck).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from ...common.text import listed

SEVERITIES = ("critical", "high", "medium", "low", "unknown")
# Only grype has this severity, which Debian calls negligible.
_SAME_AS = {"negligible": "low", "": "unknown"}
_SECONDS = 300
_KEPT = 20
# Where `go install` puts programs; a module that runs over SSH seldom has this directory in its PATH.
_FURTHER_PLACES = ("~/go/bin", "/usr/local/bin")
_PSEUDO_VERSION = re.compile(r"@v\d+\.\d+\.\d+-(?:\S*\.)?(\d{4})(\d\d)(\d\d)\d{6}-[0-9a-f]{12}\b")
_DATE = re.compile(r"[1-9]\d{3}-\d\d-\d\d")
_NO_DATE = "0001-01-01"


@dataclass(frozen=True)
class Finding:
    """One vulnerability of one package. fixed_in: the version that fixes it, "" if there is none yet. linked: the package is one of the Go modules in
    the service's executable, or Go itself. aliases: other names of the vulnerability."""

    id: str
    severity: str
    package: str
    version: str
    fixed_in: str = ""
    linked: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scanner:
    """A scanner that was run. database: the date of its database, YYYY-MM-DD, "" if it does not tell. problem: why there is no result."""

    name: str
    version: str = ""
    database: str = ""
    problem: str = ""

    def __str__(self) -> str:
        known = f" with a database of {self.database}" if self.database else ""
        return f"{self.name} {self.version}".strip() + known


@dataclass(frozen=True)
class ScanResult:
    """The results of the scanners. counts: findings by severity, with every severity; empty if no scanner has a result."""

    scanners: tuple[Scanner, ...]
    counts: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def tool(self) -> str:
        """The scanners by name, version and day of their databases."""
        return listed(str(scanner) for scanner in self.scanners)

    @property
    def problem(self) -> str:
        """Why a scanner, or several, have no result; "" if each has one."""
        return "; ".join(f"{scanner.name}: {scanner.problem}" for scanner in self.scanners if scanner.problem)

    @property
    def worst(self) -> tuple[Finding, ...]:
        """The severest findings first, as many as a page shows."""
        return self.findings[:_KEPT]


class ScanError(Exception):
    """A scanner's output is not of the documented format."""


def _severity(text: str) -> str:
    lowered = text.lower()
    lowered = _SAME_AS.get(lowered, lowered)
    return lowered if lowered in SEVERITIES else "unknown"


def _day(text: Any) -> str:
    """Return the day of a time of RFC 3339, "" for none: Go writes the first day of the first year for a time that it does not know."""
    found = _DATE.match(str(text or ""))
    return found[0] if found else ""


def parse_trivy(text: str) -> tuple[Scanner, list[Finding]]:
    """Read `trivy image --format json`; raise ScanError for anything else."""
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("SchemaVersion") != 2:
        raise ScanError("not a trivy report of schema version 2")
    findings = [
        Finding(
            id=item["VulnerabilityID"],
            severity=_severity(item.get("Severity") or ""),
            package=item.get("PkgName") or "",
            version=item.get("InstalledVersion") or "",
            fixed_in=item.get("FixedVersion") or "",
            linked=result.get("Type") == "gobinary",
        )
        for result in document.get("Results") or ()
        for item in result.get("Vulnerabilities") or ()
    ]
    return Scanner("trivy", str((document.get("Trivy") or {}).get("Version") or "")), findings


def parse_grype(text: str) -> tuple[Scanner, list[Finding]]:
    """Read `grype -o json`; raise ScanError for anything else."""
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("matches"), list):
        raise ScanError("not a grype document")
    findings = [
        Finding(
            id=match["vulnerability"]["id"],
            severity=_severity(match["vulnerability"].get("severity") or ""),
            package=match["artifact"].get("name") or "",
            version=match["artifact"].get("version") or "",
            fixed_in=", ".join((match["vulnerability"].get("fix") or {}).get("versions") or ()),
            linked=match["artifact"].get("type") == "go-module",
        )
        for match in document["matches"]
    ]
    about = document.get("descriptor") or {}
    known = about.get("db") or {}
    built = (known.get("status") or known).get("built")
    return Scanner("grype", str(about.get("version") or ""), _day(built)), findings


def parse_govulncheck(text: str) -> tuple[Scanner, list[Finding]]:
    """Read `govulncheck -format json`; raise ScanError for anything else.

    Go's database has no severities: a finding in code of the executable counts as high, and one in a part of a module that the executable does not have
    counts as low. For an executable without symbols, as `-ldflags=-s` makes it, govulncheck assumes that all of a module is linked.
    """
    config: dict[str, Any] = {}
    entries: dict[str, Any] = {}
    found: dict[tuple[str, str], Finding] = {}
    for message in _messages(text):
        config = message.get("config") or config
        if message.get("osv"):
            entries[message["osv"]["id"]] = message["osv"]
        if message.get("finding"):
            finding = _go_finding(message["finding"], entries)
            known = found.get((finding.id, finding.package))
            if known is None or SEVERITIES.index(finding.severity) < SEVERITIES.index(known.severity):
                found[finding.id, finding.package] = finding
    if not config.get("protocol_version"):
        raise ScanError("no stream of govulncheck's messages")
    database = _day(config.get("db_last_modified"))
    # The entries as the Go module golang.org/x/vulndb has them are without times; its version has one.
    dated = _PSEUDO_VERSION.search(str(config.get("db") or ""))
    if database in ("", _NO_DATE):
        database = "-".join(dated.groups()) if dated else ""
    return Scanner("govulncheck", str(config.get("scanner_version") or ""), database), list(found.values())


def _messages(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that follow each other in a text."""
    decoder, position = json.JSONDecoder(), 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        message, position = decoder.raw_decode(text, position)
        if not isinstance(message, dict):
            raise ScanError("a message is no object")
        yield message


def _go_finding(finding: Mapping[str, Any], entries: Mapping[str, Any]) -> Finding:
    entry = entries.get(finding["osv"]) or {}
    frame = finding["trace"][0]
    parts = [
        part
        for affected in entry.get("affected") or ()
        if affected["package"]["name"] == frame["module"]
        for part in (affected.get("ecosystem_specific") or {}).get("imports") or ()
    ]
    # If the entry names no function, it means the whole package; if it names no package, the whole module.
    functions = [symbol for part in parts if part.get("path") == frame.get("package") for symbol in part.get("symbols") or ()]
    linked = bool(frame.get("function")) or not parts or bool(frame.get("package") and not functions)
    return Finding(
        id=finding["osv"],
        severity="high" if linked else "low",
        package=frame["module"],
        version=frame.get("version") or "",
        fixed_in=finding.get("fixed_version") or "",
        linked=True,
        aliases=tuple(entry.get("aliases") or ()),
    )


def merged(scans: list[tuple[Scanner, list[Finding]]]) -> ScanResult:
    """Combine the results of several scanners. One vulnerability of one package counts once, even if the package is in several places or the scanners name
    the vulnerability differently; the finding of the scanner that tells the severity is kept."""
    findings = [finding for _scanner, found in scans for finding in found]
    named = {(finding.id, finding.package) for finding in findings}
    kept = {finding for finding in findings if not any((alias, finding.package) in named for alias in finding.aliases)}
    unique = sorted(kept, key=lambda item: (SEVERITIES.index(item.severity), item.id, item.package, item.version))
    counts = {severity: sum(item.severity == severity for item in unique) for severity in SEVERITIES}
    answered = any(not scanner.problem for scanner, _found in scans)
    return ScanResult(tuple(scanner for scanner, _found in scans), counts if answered else {}, tuple(unique))


# One of the first two is enough: both look at the whole image. No option makes them quiet, or they would not say why they fail.
_OF_IMAGES: dict[str, tuple[tuple[str, ...], str, Callable[[str], tuple[Scanner, list[Finding]]]]] = {
    "trivy": (("image", "--no-progress", "--format", "json", "--scanners", "vuln", "--image-src", "docker"), "", parse_trivy),
    "grype": (("--output", "json"), "docker:", parse_grype),
}
_OF_BINARIES = "govulncheck"


def find_scanners() -> tuple[str, ...]:
    """Return the paths of the scanners that would be used."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(os.path.expanduser, _FURTHER_PLACES)])
    found = {name: path for name in (*_OF_IMAGES, _OF_BINARIES) if (path := shutil.which(name, path=places))}
    of_image = next((found[name] for name in _OF_IMAGES if name in found), "")
    return tuple(filter(None, (of_image, found.get(_OF_BINARIES))))


def scan(image: str, binary: IO[bytes] | None = None, paths: tuple[str, ...] | None = None, database: str = "") -> ScanResult | None:
    """Scan an image of the local Engine.

    :param image: reference or id.
    :param binary: content of the service's executable, None if it cannot be read.
    :param paths: of the scanners; None looks for them on the host.
    :param database: a directory on the host, or an address, of the Go vulnerability database; "" for Go's own.
    :returns: None without a scanner.
    """
    scans = []
    for path in find_scanners() if paths is None else paths:
        name = os.path.basename(path)
        if name == _OF_BINARIES:
            scans.append(_scan_binary(path, binary, database))
        elif name in _OF_IMAGES:
            options, prefix, parse = _OF_IMAGES[name]
            scanner, found = _run([path, *options, prefix + image], parse)
            scans.append((_with_day_of_trivy(path, scanner) if name == "trivy" and not scanner.problem else scanner, found))
        else:
            scans.append((Scanner(name, problem=f"{path} is none of {listed((*_OF_IMAGES, _OF_BINARIES))}"), []))
    return merged(scans) if scans else None


def _scan_binary(path: str, binary: IO[bytes] | None, database: str) -> tuple[Scanner, list[Finding]]:
    if binary is None:
        return Scanner(_OF_BINARIES, problem="the service's executable cannot be read"), []
    asked = ["-db", f"file://{database}" if database.startswith("/") else database] if database else []
    try:
        with tempfile.NamedTemporaryFile(prefix="go-service-") as copy:
            binary.seek(0)
            shutil.copyfileobj(binary, copy)
            copy.flush()
            return _run([path, "-mode", "binary", "-format", "json", *asked, copy.name], parse_govulncheck)
    except OSError as error:
        return Scanner(_OF_BINARIES, problem=f"no copy of the service's executable can be made: {error}"), []


def _run(command: list[str], parse: Callable[[str], tuple[Scanner, list[Finding]]]) -> tuple[Scanner, list[Finding]]:
    """Run a scanner and read what it printed; one that fails is a problem, never an image without vulnerabilities."""
    name = os.path.basename(command[0])
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        if done.returncode:
            words = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
            return Scanner(name, problem=f"it ended with {done.returncode}: {'; '.join(words[-3:]) or 'without a word'}"), []
        return parse(done.stdout.decode("utf-8", "replace"))
    except subprocess.TimeoutExpired:
        return Scanner(name, problem=f"it did not end within {_SECONDS} s"), []
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError, ScanError) as error:
        return Scanner(name, problem=f"its output cannot be read: {error}"), []


def _with_day_of_trivy(path: str, scanner: Scanner) -> Scanner:
    """Return trivy with its version and the day of its database, which its report does not have."""
    with contextlib.suppress(OSError, ValueError, AttributeError, subprocess.TimeoutExpired):
        done = subprocess.run([path, "version", "--format", "json"], capture_output=True, timeout=_SECONDS, check=False)
        said = json.loads(done.stdout)
        return Scanner(
            scanner.name, scanner.version or str(said.get("Version") or ""), _day((said.get("VulnerabilityDB") or {}).get("UpdatedAt"))
        )
    return scanner
