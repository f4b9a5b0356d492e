"""The bill of materials of an image: CycloneDX 1.6 as plain data, with nothing but the standard library.

What is listed: the service's module with the binary's hash, the Go modules linked into it and Go's standard library (from the
binary's own build information), the packages of the runtime base (from apk's database), and the base images by digest.

The same image gives the same document, byte for byte: the serial number is derived from the image's digest, and the time is the
source's date or left out. Sources: https://cyclonedx.org/docs/1.6/json/, https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ..common.names import LABEL_DIGEST, LABEL_STAND_IN, OCI
from ..common.references import digest_of, parts_of
from ..common.text import is_rfc3339
from ..contract.evidence.build_info import GoModule
from ..contract.evidence.model import Evidence, Package

SPEC_VERSION = "1.6"
_SERIAL_NAMESPACE = uuid.UUID("7f1e0d2c-6a43-5f0e-9b57-0c4b7a6f2f11")


def purl(kind: str, name: str, version: str = "", qualifiers: Mapping[str, str] | None = None) -> str:
    """A package URL. name: with its namespace before it, divided by slashes."""
    path = "/".join(quote(part, safe="") for part in name.split("/") if part)
    text = f"pkg:{kind}/{path}"
    if version:
        text += "@" + quote(version, safe=":")
    pairs = "&".join(f"{key}={quote(value, safe='/:')}" for key, value in sorted((qualifiers or {}).items()) if value)
    return f"{text}?{pairs}" if pairs else text


def go_purl(module: GoModule) -> str:
    """The package URL of a Go module, "" for one that is replaced by a directory. The type's rule: in lower case."""
    if module.path.startswith((".", "/")):
        return ""
    version = "" if module.version == "(devel)" else module.version
    return purl("golang", module.path.lower(), version)


def image_purl(reference: str, digest: str) -> str:
    """The package URL of an image (type oci): by digest, with the repository and the tag as qualifiers."""
    repository, tag, given = parts_of(reference)
    qualifiers = {"repository_url": repository, "tag": tag}
    return purl("oci", repository.rpartition("/")[2].lower(), digest or given, qualifiers)


def _component(reference: str, kind: str, name: str, version: str = "", **more: Any) -> dict[str, Any]:
    component: dict[str, Any] = {"type": kind, "bom-ref": reference, "name": name}
    if version:
        component["version"] = version
    component.update({key.replace("_", "-"): value for key, value in more.items() if value})
    return component


def _properties(pairs: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": f"go-service:{name}", "value": value} for name, value in pairs.items() if value]


def _module_component(module: GoModule, replaces: str = "") -> dict[str, Any]:
    url = go_purl(module)
    return _component(
        url or f"module:{module.path}",
        "library",
        module.path,
        module.version,
        purl=url,
        properties=_properties({"go.sum": module.sum, "replaces": replaces}),
    )


def _package_component(package: Package, evidence: Evidence) -> dict[str, Any]:
    system = evidence.os_release.get("ID", "alpine")
    version = evidence.os_release.get("VERSION_ID", "")
    url = purl(
        "apk",
        f"{system}/{package.name}".lower(),
        package.version,
        {"arch": package.architecture, "distro": f"{system}-{version}" if version else ""},
    )
    return _component(
        url,
        "library",
        package.name,
        package.version,
        purl=url,
        licenses=[{"license": {"name": package.license}}] if package.license else [],
        properties=_properties({"origin": package.origin}),
    )


def _base_component(evidence: Evidence, digest: str, name: str) -> dict[str, Any]:
    repository, tag, _digest = parts_of(evidence.base.reference)
    labels = evidence.base.labels
    stand_in = labels.get(LABEL_STAND_IN) == "true"
    license_name = labels.get(OCI + "licenses", "")
    return _component(
        f"base:{evidence.base.reference}",
        "container",
        repository,
        tag,
        description=labels.get(OCI + "title", ""),
        purl=image_purl(evidence.base.reference, digest),
        hashes=[{"alg": "SHA-256", "content": digest.partition(":")[2]}] if digest else [],
        licenses=[{"license": {"name": license_name}}] if license_name else [],
        properties=_properties({"role": "base", "stand-in-for": name if stand_in else ""}),
    )


def base_digest(evidence: Evidence) -> str:
    """The digest of the base."""
    return digest_of(evidence.base.digests, evidence.base.id)


def cyclonedx(evidence: Evidence, *, service: str, base_name: str = "", builder: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Make the bill of materials of an image.

    :param service: the service's name.
    :param base_name: the wanted base image, where a stand-in was used.
    :param builder: {"reference": ..., "digest": ...} of the image that built it, to be listed too.
    """
    labels = evidence.image.labels
    image_digest = evidence.image.id
    subject = f"image:{service}"
    image = _component(
        subject,
        "container",
        service,
        labels.get(OCI + "version", ""),
        purl=image_purl(evidence.image.reference, image_digest),
        hashes=[{"alg": "SHA-256", "content": image_digest.partition(":")[2]}],
        properties=_properties({"content-digest": labels.get(LABEL_DIGEST, ""), "revision": labels.get(OCI + "revision", "")}),
    )
    base = _base_component(evidence, base_digest(evidence), base_name)
    packages = [_package_component(package, evidence) for package in evidence.packages]
    modules, edges = _binary_components(evidence)
    components = [*modules, base, *packages]
    edges[subject] = [base["bom-ref"]]
    if modules:
        edges[subject].insert(0, modules[0]["bom-ref"])
    edges[base["bom-ref"]] = [package["bom-ref"] for package in packages]
    if evidence.os_release.get("ID"):
        system = _component(
            "system",
            "operating-system",
            evidence.os_release["ID"],
            evidence.os_release.get("VERSION_ID", ""),
            description=evidence.os_release.get("PRETTY_NAME", ""),
        )
        components.append(system)
        edges[base["bom-ref"]].insert(0, "system")
    if builder and builder.get("reference"):
        components.append(_builder_component(builder))
    metadata: dict[str, Any] = {
        "lifecycles": [{"phase": "post-build"}],
        "tools": {"components": [{"type": "application", "name": "go_service"}]},
        "component": image,
    }
    created = labels.get(OCI + "created", "")
    if is_rfc3339(created):
        metadata["timestamp"] = created
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SERIAL_NAMESPACE, image_digest)}",
        "version": 1,
        "metadata": metadata,
        "components": _unique(components),
        "dependencies": [{"ref": reference, "dependsOn": sorted(set(needs), key=needs.index)} for reference, needs in edges.items()],
    }


def _binary_components(evidence: Evidence) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """The service's own module first, then what is linked into it; and who needs whom."""
    binary = evidence.binary
    if binary is None or binary.build_info is None:
        return [], {}
    info = binary.build_info
    main = info.main.effective if info.main else GoModule(info.path or evidence.binary_path, "")
    own = _component(
        "binary",
        "application",
        main.path,
        main.version,
        purl=go_purl(main),
        hashes=[{"alg": "SHA-256", "content": binary.entry.sha256}],
        evidence={"occurrences": [{"location": binary.entry.path}]},
        properties=_properties({f"go.{key.lstrip('-')}": value for key, value in sorted(info.settings.items())}),
    )
    toolchain = info.go_version.split(" ")[0].removeprefix("go")
    standard = purl("golang", "stdlib", toolchain)
    linked = [_component(standard, "library", "stdlib", toolchain, purl=standard)]
    for dependency in info.deps:
        replaces = f"{dependency.path} {dependency.version}" if dependency.replaced_by else ""
        linked.append(_module_component(dependency.effective, replaces))
    return [own, *linked], {"binary": [component["bom-ref"] for component in linked]}


def _builder_component(builder: Mapping[str, str]) -> dict[str, Any]:
    repository, tag, _digest = parts_of(builder["reference"])
    digest = builder.get("digest", "")
    return _component(
        f"builder:{builder['reference']}",
        "container",
        repository,
        tag,
        scope="excluded",
        purl=image_purl(builder["reference"], digest),
        hashes=[{"alg": "SHA-256", "content": digest.partition(":")[2]}] if digest else [],
        properties=_properties({"role": "builder"}),
    )


def _unique(components: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({component["bom-ref"]: component for component in components}.values())


def summary(document: Mapping[str, Any]) -> dict[str, Any]:
    """What a report tells of a bill of materials: how many components of each kind, and what the service depends on.

    dependencies: "name version" of Go modules, Go itself and packages, which is what two reports are compared by.
    """
    components = document.get("components") or []
    by_purl = {
        kind: sorted(
            f"{component['name']} {component.get('version', '')}".strip()
            for component in components
            if component["type"] == "library" and component.get("purl", "").startswith(f"pkg:{kind}/")
        )
        for kind in ("golang", "apk")
    }
    other = [
        f"{component['name']} {component.get('version', '')}".strip()
        for component in components
        if component["type"] == "library" and not component.get("purl")
    ]
    return {
        "format": f"CycloneDX {document.get('specVersion', '')}",
        "components": len(components),
        "modules": [*by_purl["golang"], *other],
        "packages": by_purl["apk"],
    }
