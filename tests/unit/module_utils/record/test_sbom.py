"""The bill of materials: valid against the published schema, the same for the same image, and complete."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import databases, model
from ansible_collections.proven.go_service.plugins.module_utils.record import sbom
from ansible_collections.proven.go_service.plugins.module_utils.record.modules import MAIN, ModuleFacts
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

SUM = "h1:" + "A" * 43 + "="
GOOD = samples.good_evidence()
# Three modules, of which only one is required by the service itself.
CHAIN = samples.good_evidence(
    replace_binary=samples.binary_layer(
        samples.elf(
            info=samples.build_info(
                text=f"mod\texample.com/chain/v3\t(devel)\t\ndep\ta.example/First\tv1.0.0\t{SUM}\ndep\tb.example/second/v2\tv2.1.0\t\n"
                "dep\tc.example/third\tv0.1.0\t\n"
            )
        )
    )
)
KNOWN = {
    MAIN: ModuleFacts(requires=("a.example/First", "not.example/linked")),
    "a.example/First@v1.0.0": ModuleFacts("MIT", requires=("b.example/second/v2",)),
    "b.example/second/v2@v2.1.0": ModuleFacts("Apache-2.0 AND MIT", SUM, requires=("a.example/First", "not.example/linked")),
    "c.example/third@v0.1.0": ModuleFacts(),
}
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
    "what is known of modules": CHAIN,
    "odd date": samples.good_evidence(config={"Labels": samples.labels(created="yesterday")}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_valid(name):
    """Every variant is valid, with and without the builder and what is known of modules."""
    assert problem(sbom.cyclonedx(VARIANTS[name], service="cat-server", modules=KNOWN)) is None
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
    assert musl["licenses"] == [{"license": {"id": "MIT"}}]
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
    ("path", "version", "url"),
    [
        ("github.com/Masterminds/semver/v3", "v3.2.1", "pkg:golang/github.com/masterminds/semver/v3@v3.2.1"),
        ("gopkg.in/yaml.v3", "v3.0.1", "pkg:golang/gopkg.in/yaml.v3@v3.0.1"),
        ("example.com/app", "(devel)", "pkg:golang/example.com/app"),
        ("a.b/c", "v0.0.0-20260101000000-0123456789ab", "pkg:golang/a.b/c@v0.0.0-20260101000000-0123456789ab"),
    ],
)
def test_go_purl(path, version, url):
    """Modules by the type's rules, a major version as a part of the path."""
    assert sbom.go_purl(path, version) == url


REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("path", "said", "labels", "version"),
    [
        ("m", "v1.2.3", {"version": "9.9.9"}, "v1.2.3"),
        ("m", "(devel)", {"version": "1.2.0", "revision": REVISION, "created": samples.SOURCE_DATE}, "v1.2.0"),
        ("m", "", {"version": "v1.2.0-rc.1"}, "v1.2.0-rc.1"),
        (
            "m",
            "(devel)",
            {"version": "c0ffee000000", "revision": REVISION, "created": "2026-11-01T10:00:00Z"},
            "v0.0.0-20261101100000-0123456789ab",
        ),
        (
            "m/v2",
            "(devel)",
            {"version": "c0ffee000000", "revision": f"{REVISION}-dirty", "created": "2026-11-01T10:00:00Z"},
            "v2.0.0-20261101100000-0123456789ab+dirty",
        ),
        ("m", "(devel)", {"version": "c0ffee000000", "revision": REVISION}, "c0ffee000000"),
        ("m", "(devel)", {}, ""),
    ],
)
def test_the_services_own_module_has_a_version(path, said, labels, version):
    """The build's own, the image's, the revision's as Go writes it, the content's: whichever there is."""
    assert sbom.main_version(path, said, {f"org.opencontainers.image.{name}": value for name, value in labels.items()}) == version


def test_modules_have_hashes_and_licenses():
    """The hash of the build information or of go.sum as CycloneDX has it; licenses as SPDX writes them."""
    document = sbom.cyclonedx(CHAIN, service="chain", modules=KNOWN)
    first, second, third = (component(document, name) for name in ("a.example/First", "b.example/second/v2", "c.example/third"))
    assert first["hashes"] == second["hashes"] == [{"alg": "SHA-256", "content": "00" * 32}]
    assert (first["licenses"], second["licenses"]) == ([{"license": {"id": "MIT"}}], [{"expression": "Apache-2.0 AND MIT"}])
    assert "hashes" not in third and "licenses" not in third
    assert component(document, "stdlib")["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]


@pytest.mark.parametrize("damaged", ["h1:", "h1:AAAA", "h2:" + SUM[3:], "h1:not base64"])
def test_a_damaged_hash_is_no_hash(damaged):
    """What is no SHA-256 is not passed on as one."""
    known = {"c.example/third@v0.1.0": ModuleFacts(sum=damaged)}
    assert "hashes" not in component(sbom.cyclonedx(CHAIN, service="chain", modules=known), "c.example/third")


def edges(document):
    """Who needs whom."""
    return {item["ref"]: item["dependsOn"] for item in document["dependencies"]}


def test_who_needs_whom():
    """Modules as their go.mod say, whichever is linked; what nobody is known to need is the service's; packages as apk's database says."""
    first, second, third = "pkg:golang/a.example/first@v1.0.0", "pkg:golang/b.example/second/v2@v2.1.0", "pkg:golang/c.example/third@v0.1.0"
    found = edges(sbom.cyclonedx(CHAIN, service="chain", modules=KNOWN))
    assert found["binary"] == ["pkg:golang/stdlib@1.27.3", first, third]
    assert (found[first], found[second]) == ([second], [first])
    assert third not in found
    unknown = edges(sbom.cyclonedx(CHAIN, service="chain"))
    assert unknown["binary"] == ["pkg:golang/stdlib@1.27.3", first, second, third]
    packages = databases.parse_apk_database("P:ssl\nV:1\nD:so:libc.so.1 gone !busybox ssl\n\nP:musl\nV:2\np:so:libc.so.1=1\n\n")
    found = edges(sbom.cyclonedx(replace(GOOD, packages=packages), service="x"))
    assert found["pkg:apk/alpine/ssl@1?distro=alpine-3.24.1"] == ["pkg:apk/alpine/musl@2?distro=alpine-3.24.1"]
    assert found["pkg:apk/alpine/musl@2?distro=alpine-3.24.1"] == []


def test_a_package_of_another_origin_names_it():
    """Vulnerability databases of distributions go by the origin."""
    package = model.Package("ssl_client", "1.37.0-r30", "x86_64", "GPL-2.0-only", "busybox")
    found = component(sbom.cyclonedx(replace(GOOD, packages=(package,)), service="x"), "ssl_client")
    assert found["purl"] == "pkg:apk/alpine/ssl_client@1.37.0-r30?arch=x86_64&distro=alpine-3.24.1&upstream=busybox"


def test_the_base_has_the_version_that_it_says_itself():
    """Not that of its tag, which may say less, or another one."""
    document = sbom.cyclonedx(GOOD, service="x")
    assert {item["version"] for item in document["components"] if item["name"] == "alpine"} == {"3.24.1"}
    silent = sbom.cyclonedx(replace(GOOD, os_release={}), service="x")
    assert component(silent, "alpine")["version"] == "3.24"


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
    assert found["licenses"] == [{"license": {"id": "GPL-2.0-only"}}]
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


def test_a_directory_in_the_place_of_a_module():
    """It goes by the name that the service imports, without a version, which no directory has."""
    document = sbom.cyclonedx(VARIANTS["directory in the place of a module"], service="x")
    local = component(document, "example.com/a")
    assert (local["purl"], "version" in local) == ("pkg:golang/example.com/a", False)
    assert {"name": "go-service:directory", "value": "./a"} in local["properties"]
    assert "example.com/a" in sbom.summary(document)["modules"]
