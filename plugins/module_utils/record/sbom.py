"""The bill of materials of an image: CycloneDX 1.6 as plain data, made only with the standard library.

It lists the service's module with the binary's hash, the Go modules linked into it and Go's standard library (from the
binary's own build information), the packages of the runtime base (from apk's database), and the base images by digest; and which of these need which.

The same image gives the same document, byte for byte, if the same is known about its modules: the serial number is derived from the image's digest,
and the time is the source's date or left out. Sources: https://cyclonedx.org/docs/1.6/json/, https://github.com/package-url/purl-spec.

A module's package URL has its whole path, with a major version (`/v2`) as its last part: by the purl specification's type golang the subpath points to
a package within a module (types/golang-definition.json), and `/v2` is a part of the module's own path (https://go.dev/ref/mod#major-version-suffixes).
syft, trivy and cyclonedx-gomod write it in the same way. That definition requires lower case, although Go is case-sensitive: the component's name keeps the case.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from ..common.names import LABEL_DIGEST, LABEL_STAND_IN, OCI
from ..common.references import digest_of, parts_of
from ..common.text import is_rfc3339
from ..contract.evidence.build_info import GoModule
from ..contract.evidence.model import Evidence, Package
from . import licenses
from .modules import MAIN, ModuleFacts, is_directory, key

SPEC_VERSION = "1.6"
# Go's own: https://go.dev/LICENSE
_GO_LICENSE = "BSD-3-Clause"
_RELEASE = re.compile(r"v?([0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]+)?)")
_SERIAL_NAMESPACE = uuid.UUID("7f1e0d2c-6a43-5f0e-9b57-0c4b7a6f2f11")


def purl(kind: str, name: str, version: str = "", qualifiers: Mapping[str, str] | None = None) -> str:
    """A package URL. name: with its namespace before it, separated by slashes."""
    path = "/".join(quote(part, safe="") for part in name.split("/") if part)
    text = f"pkg:{kind}/{path}"
    if version:
        text += "@" + quote(version, safe=":")
    pairs = "&".join(f"{key}={quote(value, safe='/:')}" for key, value in sorted((qualifiers or {}).items()) if value)
    return f"{text}?{pairs}" if pairs else text


def go_purl(path: str, version: str) -> str:
    """The package URL of a Go module. The type's rule: in lower case."""
    return purl("golang", path.lower(), "" if version == "(devel)" else version)


def main_version(path: str, said: str, labels: Mapping[str, str]) -> str:
    """The version of the service's own module: that of the build; else the image's, if that is a release; else the pseudo-version that
    Go gives to the revision if it sees the repository (https://go.dev/ref/mod#pseudo-versions); else the image's tag.

    :param path: of the module, which may end with a major version.
    :param said: by the build information.
    :param labels: of the image.
    """
    if said not in ("", "(devel)"):
        return said
    given = labels.get(OCI + "version", "")
    release = _RELEASE.fullmatch(given)
    if release:
        return f"v{release[1]}"
    commit, dash, edited = labels.get(OCI + "revision", "").partition("-")
    date = labels.get(OCI + "created", "")
    if re.fullmatch(r"[0-9a-f]{12,}", commit) and re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}Z", date):
        major = re.search(r"[/.]v([0-9]+)\Z", path)
        pseudo = f"v{major[1] if major else 0}.0.0-{re.sub('[^0-9]', '', date)}-{commit[:12]}"
        return f"{pseudo}+{edited}" if dash else pseudo
    return given


def _sum_hashes(value: str) -> list[dict[str, str]]:
    """A module's hash of go.sum, an SHA-256 in Base64 behind `h1:`, in the form that CycloneDX has; of https://go.dev/ref/mod#go-sum-files."""
    if not value.startswith("h1:"):
        return []
    try:
        content = base64.b64decode(value[3:], validate=True)
    except (binascii.Error, ValueError):
        return []
    return [{"alg": "SHA-256", "content": content.hex()}] if len(content) == 32 else []


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


def _module_component(dependency: GoModule, known: Mapping[str, ModuleFacts]) -> dict[str, Any]:
    module = dependency.effective
    replaced = f"{dependency.path} {dependency.version}" if dependency.replaced_by else ""
    if is_directory(module):
        # Its code is not a published version; a directory has no address, so the name of the module that it replaces is more informative.
        url = go_purl(dependency.path, "")
        directory = _properties({"replaces": replaced, "directory": module.path})
        return _component(url, "library", dependency.path, purl=url, properties=directory)
    facts = known.get(key(module), ModuleFacts())
    url = go_purl(module.path, module.version)
    total = module.sum or facts.sum
    return _component(
        url,
        "library",
        module.path,
        "" if module.version == "(devel)" else module.version,
        purl=url,
        hashes=_sum_hashes(total),
        licenses=licenses.named(facts.license),
        properties=_properties({"go.sum": total, "replaces": replaced}),
    )


def _package_component(package: Package, evidence: Evidence) -> dict[str, Any]:
    system = evidence.os_release.get("ID", "alpine")
    version = evidence.os_release.get("VERSION_ID", "")
    url = purl(
        "apk",
        f"{system}/{package.name}".lower(),
        package.version,
        # Vulnerability databases of distributions use the origin.
        {
            "arch": package.architecture,
            "distro": f"{system}-{version}" if version else "",
            "upstream": package.origin if package.origin != package.name else "",
        },
    )
    return _component(
        url,
        "library",
        package.name,
        package.version,
        purl=url,
        licenses=licenses.named(package.license),
        properties=_properties({"origin": package.origin}),
    )


def _base_component(evidence: Evidence, digest: str, name: str) -> dict[str, Any]:
    repository, tag, _digest = parts_of(evidence.base.reference)
    labels = evidence.base.labels
    stand_in = labels.get(LABEL_STAND_IN) == "true"
    return _component(
        f"base:{evidence.base.reference}",
        "container",
        repository,
        # A tag may be less precise than the version, or a different name; the address below has it.
        evidence.os_release.get("VERSION_ID", "") or tag,
        description=labels.get(OCI + "title", ""),
        purl=image_purl(evidence.base.reference, digest),
        hashes=[{"alg": "SHA-256", "content": digest.partition(":")[2]}] if digest else [],
        licenses=licenses.named(labels.get(OCI + "licenses", "")),
        properties=_properties({"role": "base", "stand-in-for": name if stand_in else ""}),
    )


def base_digest(evidence: Evidence) -> str:
    """The digest of the base."""
    return digest_of(evidence.base.digests, evidence.base.id)


def cyclonedx(
    evidence: Evidence,
    *,
    service: str,
    base_name: str = "",
    builder: Mapping[str, str] | None = None,
    modules: Mapping[str, ModuleFacts] | None = None,
) -> dict[str, Any]:
    """Make the bill of materials of an image.

    :param service: the service's name.
    :param base_name: the wanted base image, where a stand-in was used.
    :param builder: {"reference": ..., "digest": ...} of the image that built it, to be listed too.
    :param modules: what `modules.gather` found of the Go modules.
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
    of_binary, edges = _binary_components(evidence, modules or {})
    components = [*of_binary, base, *packages]
    edges[subject] = [base["bom-ref"]]
    if of_binary:
        edges[subject].insert(0, of_binary[0]["bom-ref"])
    edges[base["bom-ref"]] = [package["bom-ref"] for package in packages]
    references = {package.name: component["bom-ref"] for package, component in zip(evidence.packages, packages)}
    for package in evidence.packages:
        edges[references[package.name]] = [references[name] for name in package.needs if name in references]
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


def _binary_components(evidence: Evidence, known: Mapping[str, ModuleFacts]) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """The service's own module first, then the modules linked into it; and which of them need which.

    A module that the service's own go.mod does not require directly is needed by another module; if it is not known by which one, by the service.
    """
    binary = evidence.binary
    if binary is None or binary.build_info is None:
        return [], {}
    info = binary.build_info
    main = info.main.effective if info.main else GoModule(info.path or evidence.binary_path, "")
    labels = evidence.image.labels
    version = main_version(main.path, main.version, labels)
    own = _component(
        "binary",
        "application",
        main.path,
        version,
        purl=go_purl(main.path, version),
        hashes=[{"alg": "SHA-256", "content": binary.entry.sha256}],
        evidence={"occurrences": [{"location": binary.entry.path}]},
        properties=_properties({f"go.{name.lstrip('-')}": value for name, value in sorted(info.settings.items())}),
    )
    toolchain = info.go_version.split(" ")[0].removeprefix("go")
    standard = purl("golang", "stdlib", toolchain)
    linked = [_component(standard, "library", "stdlib", toolchain, purl=standard, licenses=licenses.named(_GO_LICENSE))]
    linked += [_module_component(dependency, known) for dependency in info.deps]
    # A replacement is required under the name of the module that it replaces.
    references = {dependency.path: component["bom-ref"] for dependency, component in zip(info.deps, linked[1:])}
    edges: dict[str, list[str]] = {}
    for dependency in info.deps:
        requires = known.get(key(dependency.effective), ModuleFacts()).requires
        if requires is not None:
            edges[references[dependency.path]] = [references[path] for path in requires if path in references]
    first = known.get(MAIN, ModuleFacts()).requires
    if first is None:
        edges["binary"] = [component["bom-ref"] for component in linked]
    else:
        reached = {need for needs in edges.values() for need in needs}
        direct = [reference for path, reference in references.items() if path in first or reference not in reached]
        edges["binary"] = [standard, *direct]
    return [own, *linked], edges


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
    """What a report says about a bill of materials: how many components of each kind, and what the service depends on.

    dependencies: "name version" of Go modules, Go itself and packages, by which two reports are compared.
    """
    components = document.get("components") or []
    libraries = [component for component in components if component["type"] == "library"]
    by_purl = {
        kind: sorted(
            f"{component['name']} {component.get('version', '')}".strip()
            for component in libraries
            if component.get("purl", "").startswith(f"pkg:{kind}/")
        )
        for kind in ("golang", "apk")
    }
    return {
        "format": f"CycloneDX {document.get('specVersion', '')}",
        "components": len(components),
        "modules": by_purl["golang"],
        "packages": by_purl["apk"],
    }
