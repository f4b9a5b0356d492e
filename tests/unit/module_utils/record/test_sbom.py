"""The bill of materials: valid against the published schema, the same for the same image, and complete."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import build_info, model
from ansible_collections.proven.go_service.plugins.module_utils.record import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

GOOD = samples.good_evidence()
BUILDER = {"reference": "golang:1.27-alpine3.24", "digest": "sha256:" + "e" * 64}


def problem(document) -> object:
    """What the schema's own library finds wrong with a document, None for nothing."""
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))


def component(document, name):
    """A component by name."""
    return next(item for item in document["components"] if item["name"] == name)


VARIANTS = {
    "all": GOOD,
    "no build information": samples.good_evidence(replace_binary=samples.binary_layer(samples.elf())),
    "no binary": samples.good_evidence(replace_binary=samples.Layer()),
    "no labels": samples.good_evidence(config={"Labels": None}),
    "no modules": samples.good_evidence(replace_binary=samples.binary_layer(samples.elf(info=samples.build_info(text="build\tA=1\n")))),
    "directory in the place of a module": samples.good_evidence(
        replace_binary=samples.binary_layer(
            samples.elf(info=samples.build_info(text="mod\tm\t(devel)\t\ndep\texample.com/a\tv1.0.0\n=>\t./a\t(devel)\t\n"))
        )
    ),
    "base without anything": replace(GOOD, base=model.BaseFacts("scratch"), packages=(), os_release={}),
    "odd date": samples.good_evidence(config={"Labels": samples.labels(created="yesterday")}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_valid(name):
    """Every variant is valid, with and without the builder."""
    assert problem(sbom.cyclonedx(VARIANTS[name], service="cat-server")) is None
    assert problem(sbom.cyclonedx(VARIANTS[name], service="cat-server", base_name="alpine:3.24", builder=BUILDER)) is None


def test_validator_can_fail():
    """The validation that the test above relies on does find what is wrong."""
    document = sbom.cyclonedx(GOOD, service="cat-server")
    document["components"][0]["type"] = "thing"
    assert problem(document) is not None
    assert problem({**sbom.cyclonedx(GOOD, service="cat-server"), "unknown": 1}) is not None


def test_deterministic():
    """The same image gives the same document, byte for byte; another image another serial number."""
    first = sbom.cyclonedx(GOOD, service="cat-server", builder=BUILDER)
    again = sbom.cyclonedx(samples.good_evidence(), service="cat-server", builder=BUILDER)
    assert json.dumps(first) == json.dumps(again)
    other = replace(GOOD, image=replace(GOOD.image, id="sha256:" + "9" * 64))
    assert sbom.cyclonedx(other, service="cat-server")["serialNumber"] != first["serialNumber"]


def test_date_is_the_sources():
    """The time is the source's date, and left out where that is unknown."""
    assert sbom.cyclonedx(GOOD, service="x")["metadata"]["timestamp"] == samples.SOURCE_DATE
    assert "timestamp" not in sbom.cyclonedx(VARIANTS["odd date"], service="x")["metadata"]


def test_components():
    """The service, Go itself, the modules as linked, the packages, the system and both base images."""
    document = sbom.cyclonedx(GOOD, service="cat-server", base_name="alpine:3.24", builder=BUILDER)
    assert [item["name"] for item in document["components"]] == [
        "example.com/cat-server",
        "stdlib",
        "golang.org/x/net",
        "example.com/Fork",
        "alpine",
        "busybox",
        "musl",
        "alpine",
        "golang",
    ]
    own = component(document, "example.com/cat-server")
    assert own["hashes"] == [{"alg": "SHA-256", "content": GOOD.binary.entry.sha256}]
    assert own["evidence"]["occurrences"] == [{"location": samples.BINARY}]
    fork = component(document, "example.com/Fork")
    assert fork["purl"] == "pkg:golang/example.com/fork@v1.0.1%2Bincompatible"
    assert {"name": "go-service:replaces", "value": "example.com/old v1.0.0"} in fork["properties"]
    assert component(document, "stdlib")["purl"] == "pkg:golang/stdlib@1.27.3"
    musl = component(document, "musl")
    assert musl["purl"] == "pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64&distro=alpine-3.24.1"
    assert musl["licenses"] == [{"license": {"name": "MIT"}}]
    base = component(document, "alpine")
    assert base["hashes"] == [{"alg": "SHA-256", "content": "d" * 64}]
    assert component(document, "golang")["scope"] == "excluded"


def test_package_urls_are_canonical():
    """Every package URL is what the specification's own library would write."""
    document = sbom.cyclonedx(GOOD, service="cat-server", builder=BUILDER)
    urls = [item["purl"] for item in document["components"] if "purl" in item] + [document["metadata"]["component"]["purl"]]
    assert len(urls) == 9
    assert [PackageURL.from_string(url).to_string() for url in urls] == urls


@pytest.mark.parametrize(
    ("module", "url"),
    [
        (build_info.GoModule("github.com/Masterminds/semver/v3", "v3.2.1"), "pkg:golang/github.com/masterminds/semver/v3@v3.2.1"),
        (build_info.GoModule("example.com/app", "(devel)"), "pkg:golang/example.com/app"),
        (build_info.GoModule("./local", ""), ""),
        (build_info.GoModule("/abs/local", ""), ""),
        (build_info.GoModule("a.b/c", "v0.0.0-20260101000000-0123456789ab"), "pkg:golang/a.b/c@v0.0.0-20260101000000-0123456789ab"),
    ],
)
def test_go_purl(module, url):
    """Modules by the type's rules; a directory has no address."""
    assert sbom.go_purl(module) == url


@pytest.mark.parametrize(
    ("reference", "digest", "url"),
    [
        ("alpine:3.24", "sha256:ab", "pkg:oci/alpine@sha256:ab?repository_url=alpine&tag=3.24"),
        ("r.example.com:5000/base/alpine", "", "pkg:oci/alpine?repository_url=r.example.com:5000/base/alpine"),
        ("a/b@sha256:cd", "", "pkg:oci/b@sha256:cd?repository_url=a/b"),
    ],
)
def test_image_purl(reference, digest, url):
    """Images with ports, without tags, by digest."""
    assert sbom.image_purl(reference, digest) == url


def test_dependencies_are_listed_components():
    """Every end of the graph is a component, and the image is its root."""
    document = sbom.cyclonedx(GOOD, service="cat-server", builder=BUILDER)
    known = {item["bom-ref"] for item in document["components"]} | {"image:cat-server"}
    edges = {item["ref"]: item["dependsOn"] for item in document["dependencies"]}
    assert set(edges) | {need for needs in edges.values() for need in needs} <= known
    assert edges["image:cat-server"] == ["binary", "base:alpine:3.24"]
    assert len(edges["binary"]) == 3


def test_stand_in():
    """A stand-in for the base says so, with what it stands for and its license."""
    labels = {
        "go-service.stand-in": "true",
        "org.opencontainers.image.title": "Alpine 3.23.6, put together",
        "org.opencontainers.image.licenses": "GPL-2.0-only",
    }
    base = replace(GOOD.base, reference="stand-in/runtime:alpine-3.23.6", digests=(), labels=labels)
    document = sbom.cyclonedx(replace(GOOD, base=base), service="cat-server", base_name="alpine:3.24")
    found = component(document, "stand-in/runtime")
    assert {"name": "go-service:stand-in-for", "value": "alpine:3.24"} in found["properties"]
    assert found["description"] == "Alpine 3.23.6, put together"
    assert found["hashes"][0]["content"] == "2" * 64
    assert found["licenses"] == [{"license": {"name": "GPL-2.0-only"}}]
    assert problem(document) is None


def test_summary():
    """What a report compares by."""
    found = sbom.summary(sbom.cyclonedx(GOOD, service="cat-server"))
    assert found == {
        "format": "CycloneDX 1.6",
        "components": 8,
        "modules": ["example.com/Fork v1.0.1+incompatible", "golang.org/x/net v0.39.0", "stdlib 1.27.3"],
        "packages": ["busybox 1.37.0-r12", "musl 1.2.5-r9"],
    }
    local = sbom.summary(sbom.cyclonedx(VARIANTS["directory in the place of a module"], service="x"))
    assert "./a (devel)" in local["modules"]
