"""References of images: what is one, and what its parts are."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import references
from samples import IMAGE_DIGEST as DIGEST


@pytest.mark.parametrize(
    "reference",
    [
        "alpine",
        "alpine:3.24",
        "library/alpine:3.24",
        "registry.example.com/base/alpine:3.24",
        "localhost:5000/alpine",
        f"alpine:3.24@{DIGEST}",
        "a__b/c-d.e:V1_2",
    ],
)
def test_image_references(reference: str) -> None:
    assert references.is_image_reference(reference)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "Alpine",
        "alpine:3.24\n",
        "alpine:3.24\nUSER root",
        "alpine:",
        "alpine:-1",
        "a b",
        "alpine@sha256:12",
        f"alpine@{DIGEST}0",
        "/alpine",
        "alpine//x",
        "https://x/alpine",
        "a..b",
        "-alpine",
        "alpine:" + "x" * 129,
    ],
)
def test_wrong_image_references(reference: str) -> None:
    assert not references.is_image_reference(reference)


@pytest.mark.parametrize(
    ("reference", "parts", "listed"),
    [
        ("alpine", ("alpine", "", ""), "alpine:latest"),
        ("docker.io/library/alpine:3.24", ("docker.io/library/alpine", "3.24", ""), "alpine:3.24"),
        ("library/alpine:3.24", ("library/alpine", "3.24", ""), "alpine:3.24"),
        ("localhost:5000/alpine", ("localhost:5000/alpine", "", ""), "localhost:5000/alpine:latest"),
        (
            "registry.example.com/library/alpine:1",
            ("registry.example.com/library/alpine", "1", ""),
            "registry.example.com/library/alpine:1",
        ),
        ("index.docker.io/user/app", ("index.docker.io/user/app", "", ""), "user/app:latest"),
        (f"alpine:3.24@{DIGEST}", ("alpine", "3.24", DIGEST), f"alpine@{DIGEST}"),
    ],
)
def test_parts_of_an_image_reference(reference: str, parts: tuple[str, str, str], listed: str) -> None:
    assert references.parts_of(reference) == parts
    assert references.canonical(reference) == listed == references.canonical(listed)


@pytest.mark.parametrize(
    ("repo_digests", "digest"), [([f"alpine@{DIGEST}", "alpine@sha256:2"], DIGEST), ([], "sha256:1"), (None, "sha256:1")]
)
def test_the_digest_of_an_image(repo_digests: list[str] | None, digest: str) -> None:
    assert references.digest_of(repo_digests, "sha256:1") == digest


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("alpine:3.24", "alpine:3.24-linux-arm64"),
        ("docker.io/library/alpine", "alpine:latest-linux-arm64"),
        ("registry.example.com:5000/base/alpine:3.24", "registry.example.com:5000/base/alpine:3.24-linux-arm64"),
        (f"alpine@{DIGEST}", f"alpine:{DIGEST.replace(':', '-')}-linux-arm64"),
        (f"alpine:3.24@{DIGEST}", f"alpine:{DIGEST.replace(':', '-')}-linux-arm64"),
    ],
)
def test_an_image_for_another_platform_has_a_name_of_its_own(reference: str, name: str) -> None:
    assert references.for_platform(reference, "linux/arm64") == name
    assert references.is_image_reference(name)
    assert references.without_platform(name, "linux/arm64") == references.canonical(reference)
