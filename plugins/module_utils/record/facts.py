"""The facts of the image and the container, as plain data for the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..common.names import LABEL_DIGEST, LABEL_STAND_IN, OCI
from ..contract.evidence.model import Evidence
from ..contract.expected import Expected
from ..contract.registry import CheckResult
from . import provenance, sbom


def facts(
    evidence: Evidence,
    expected: Expected,
    results: Iterable[CheckResult],
    document: Mapping[str, Any] | None = None,
    statement: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the part of a report about the image and the container, as plain data.

    :param results: what `contract.evaluate` returned.
    :param document: what `sbom.cyclonedx` returned.
    :param statement: what `provenance.statement` returned.
    """
    image, base, engine = evidence.image, evidence.base, evidence.engine
    labels = image.labels
    name = expected.base_name or base.reference
    return {
        "engine": {
            "version": engine.version,
            "api_version": engine.api_version,
            "storage_driver": engine.storage_driver,
            "architecture": engine.architecture,
            "os": engine.os,
            "cgroup_version": engine.cgroup_version,
            "security_options": list(engine.security_options),
        },
        "image": {
            "reference": image.reference,
            "id": image.id,
            "digest": labels.get(LABEL_DIGEST, ""),
            "tags": list(image.tags),
            "version": labels.get(OCI + "version", ""),
            "revision": labels.get(OCI + "revision", ""),
            "source": labels.get(OCI + "source", ""),
            "created": labels.get(OCI + "created", "") or image.created,
            "architecture": image.architecture,
            "os": image.os,
            "user": image.user,
            "size": image.size,
            "engine_size": image.reported_size,
            "base": {
                "reference": base.reference,
                "name": name,
                "digest": sbom.base_digest(evidence),
                "title": base.labels.get(OCI + "title", ""),
                "stand_in": base.labels.get(LABEL_STAND_IN) == "true",
            },
            "layers": [
                {
                    "size": layer.size,
                    "created_by": layer.created_by,
                    "created": layer.created,
                    "in_base": layer.in_base,
                    "diff_id": layer.diff_id,
                }
                for layer in image.layers
            ],
        },
        "binary": _binary_facts(evidence),
        "vulnerabilities": _scan_facts(evidence),
        "dockerfile": dict(evidence.dockerfile) if evidence.dockerfile else None,
        "sbom": sbom.summary(document) if document else None,
        "provenance": provenance.summary(statement) if statement else None,
        "checks": [result.as_dict() for result in results],
        "gaps": list(evidence.gaps),
    }


def with_checks(record: Mapping[str, Any], checks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what `verification.verify` found with these results in the places of those of the candidate."""
    by_id = {result["id"]: dict(result) for result in checks}
    facts_before = record.get("facts") or {}
    merged = [by_id.get(result["id"], result) for result in facts_before.get("checks") or ()]
    return {**record, "facts": {**facts_before, "checks": merged}}


def _binary_facts(evidence: Evidence) -> dict[str, Any] | None:
    binary = evidence.binary
    if binary is None:
        return None
    info = binary.build_info
    return {
        "path": binary.entry.path,
        "size": binary.entry.size,
        "sha256": binary.entry.sha256,
        "module": info.main.path if info and info.main else "",
        "go_version": info.go_version if info else "",
        "settings": dict(info.settings) if info else {},
    }


def _scan_facts(evidence: Evidence) -> dict[str, Any] | None:
    scan = evidence.scan
    if scan is None:
        return None
    return {
        "tool": scan.tool,
        "scanners": [vars(scanner).copy() for scanner in scan.scanners],
        "problem": scan.problem,
        "counts": dict(scan.counts),
        "findings": [{**vars(finding), "aliases": list(finding.aliases)} for finding in scan.worst],
    }
