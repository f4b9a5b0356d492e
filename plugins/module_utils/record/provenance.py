"""Where an image comes from, for programs: an in-toto statement (v1) with the predicate SLSA provenance v1, as plain data.

It is not signed, and says what the role knows about a build on one of the user's hosts: level 1 of SLSA's build track. The meaning of its fields is in
docs/provenance.md, which `buildType` names. Sources: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md,
https://slsa.dev/spec/v1.0/provenance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..common.names import LABEL_DIGEST, LABEL_STAND_IN, OCI
from ..common.secrets import conceal, mask, secret_values
from ..common.settings import OF_IMAGE, Settings
from ..contract.evidence.model import Evidence
from . import sbom

STATEMENT_TYPE, PREDICATE_TYPE = "https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1"
_PROJECT = "https://github.com/go-service/go_service"
BUILD_TYPE = f"{_PROJECT}/blob/main/docs/provenance.md"
# The settings that determine the image, besides the source and the base images (which are given by their digests); of secret mappings only the names.
PARAMETERS = (
    "module_dir",
    "main_package",
    "version",
    "platform",
    "build_tags",
    "ldflags",
    "run_tests",
    "build_args",
    "build_env",
    "ca_certificates",
    "ca_in_image",
    "build_network",
    "dockerignore",
    *OF_IMAGE,
)


def statement(evidence: Evidence, settings: Settings, *, builder: Mapping[str, str], built_by: str = "") -> dict[str, Any]:
    """Make the statement of an image.

    :param settings: with which it was built, including secret values.
    :param builder: {"reference": ..., "digest": ..., "stand_in_for": ...} of the image that built it; the last is "" for one that is no stand-in.
    :param built_by: what the role built it with, such as `docker_image`; "" if that was another run.
    """
    image = evidence.image
    labels = image.labels
    subject = [_resource(image.reference, digest=image.id)]
    if evidence.binary and evidence.binary.entry.sha256:
        subject.append(_resource(evidence.binary.entry.path, digest="sha256:" + evidence.binary.entry.sha256))
    internal = {"builder": built_by, "architecture": image.architecture, "storageDriver": evidence.engine.storage_driver}
    go_version = evidence.binary.build_info.go_version if evidence.binary and evidence.binary.build_info else ""
    versions = {"docker": evidence.engine.version, "go": go_version}
    return {
        "_type": STATEMENT_TYPE,
        "subject": subject,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"service": settings.name, **parameters(settings)},
                "internalParameters": _filled(internal),
                "resolvedDependencies": [*_sources(labels), *_bases(evidence, builder, settings.runtime_image)],
            },
            "runDetails": {
                "builder": {"id": f"{_PROJECT}/tree/main/roles/go_service", "version": _filled(versions)},
                "metadata": _filled({"finishedOn": _time(image.created)}),
            },
        },
    }


def parameters(settings: Settings) -> dict[str, Any]:
    """Return the settings that determine the image in a form that everybody may see: secret values are masked everywhere, and empty settings are left out."""
    shown = conceal(settings).as_json()
    found = mask({name: shown[name] for name in PARAMETERS}, secret_values(vars(settings)))
    return {name: value for name, value in found.items() if value not in ("", None, False, [], {})}


def _sources(labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """The revision, where the source is of a repository, and all that the builder saw by its digest."""
    found = []
    commit, edited, _rest = labels.get(OCI + "revision", "").partition("-")
    address = labels.get(OCI + "source", "")
    if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        uri = f"git+{address}" if "://" in address else address
        algorithm = "gitCommit" if len(commit) == 40 else "sha256"
        annotations = {"edited": True} if edited else {}
        found.append(_resource("source", f"{uri}@{commit}" if uri else "", f"{algorithm}:{commit}", annotations))
    if labels.get(LABEL_DIGEST):
        found.append(_resource("content", digest="sha256:" + labels[LABEL_DIGEST]))
    return found


def _bases(evidence: Evidence, builder: Mapping[str, str], wanted: str) -> list[dict[str, Any]]:
    base = evidence.base
    made_from = [
        ("runtime", base.reference, sbom.base_digest(evidence), wanted if base.labels.get(LABEL_STAND_IN) == "true" else ""),
        ("builder", builder.get("reference", ""), builder.get("digest", ""), builder.get("stand_in_for", "")),
    ]
    return [
        _resource(name, sbom.image_purl(reference, digest), digest, {"standInFor": stands_for} if stands_for else {})
        for name, reference, digest, stands_for in made_from
        if digest
    ]


def _resource(name: str, uri: str = "", digest: str = "", annotations: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A ResourceDescriptor: https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md."""
    algorithm, _colon, value = digest.partition(":")
    return _filled({"name": name, "uri": uri, "digest": {algorithm: value} if value else {}, "annotations": dict(annotations or {})})


def _filled(pairs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in pairs.items() if value}


def _time(text: str) -> str:
    """A time of the Engine's in whole seconds, "" for none."""
    found = re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z\Z", text)
    return f"{found[1]}Z" if found else ""


def summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a report says about a statement: its format, and what the image was made from, by name and digest."""
    definition = document["predicate"]["buildDefinition"]
    made_from = [
        f"{item['name']} {algorithm}:{value}" for item in definition["resolvedDependencies"] for algorithm, value in item["digest"].items()
    ]
    return {"format": "in-toto statement v1, SLSA provenance v1", "made_from": made_from}
